"""Laws 1 to 4 for every public optimizer and transformation of gradients, and what all of them say to wrong input.

What takes time is to compile, so the tests of one row share two programs: one for a row, and one for a map over it.
"""

import functools

import catalogue
import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from catalogue import both, first, lane, second, traced_once
from catalogue.cases import SOLVERS

from fnnet import optim
from fnnet.errors import HyperparameterError, ShapeError, StructureError
from fnnet.optim.base import is_derivative_free

STEPS = 7  # RAdam adapts from the fifth or sixth on, and accumulation is in the middle of its next mean
FEW_STEPS = 3  # of a loop outside of jit, which compiles every branch anew, and of solvers, which amplify rounding
PARAMS = {"kernel": np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3), "bias": np.ones(3, np.float32)}
GRADS = jax.tree.map(lambda p: np.random.default_rng(p.size).normal(size=(STEPS, *p.shape)).astype(np.float32), PARAMS)
NEED_PARAMETERS = SOLVERS | {
    "adamw", "adan", "lion", "muon", "add_weight_decay", "decoupled_weight_decay", "ema_parameters",
}  # fmt: skip
MAY_BE_ZERO = ("eps", "eps_root", "b1", "b2", "b3", "initial_accumulator_value")
dtypes = pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "float64"])


@pytest.fixture(scope="module", params=catalogue.rows(catalogue.OPTIMIZERS))
def case(request):
    """A row; pytest runs all tests of one row before those of the next."""
    return request.param


@pytest.fixture(scope="module")
def run(case):
    """The row from numbers, gradients and a number of steps, compiled once."""
    return traced_once(lambda numbers, grads, steps: looped(case, numbers, grads, steps))


@pytest.fixture(scope="module")
def mapped(case):
    """The same over lanes with numbers and gradients of their own."""
    return jax.jit(jax.vmap(lambda numbers, grads: looped(case, numbers, grads, steps_of(case))))


def working(case):
    """The precision that rows are compared in: float64 for solvers, which amplify rounding, float32 for all others."""
    return jax.enable_x64(name_of(case) in SOLVERS)


def assert_close(case, found, wanted):
    rtol, atol = (1e-12, 1e-12) if name_of(case) in SOLVERS else (2e-6, 1e-7)
    chex.assert_trees_all_close(found, wanted, rtol=rtol, atol=atol)


def as_dtype(tree, dtype):
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), tree)


def kinds(tree):
    return jax.tree.map(lambda leaf: (leaf.shape, str(leaf.dtype), bool(leaf.weak_type)), tree)


def plain(case):
    """The first value of every number, as Python numbers."""
    return {name: values[0] for name, values in case.numbers.items()}


def name_of(case):
    return next(name for name, cases in catalogue.OPTIMIZERS.items() if any(case is other for other in cases))


def steps_of(case):
    return FEW_STEPS if name_of(case) in SOLVERS else STEPS


def stacked(*trees):
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)


def looped(case, numbers, grads, steps):
    """Parameters and state after so many steps."""
    optimizer, params, grads = case.build(**numbers), as_dtype(PARAMS, float), as_dtype(grads, float)
    step = stepping(case, optimizer)
    return jax.lax.fori_loop(0, steps, lambda i, at: step(at, lane(grads, i)), (params, optimizer.init(params)))


def scanned(case, optimizer, params, grads):
    """Parameters and state after all gradients, in one scan, through which reverse mode can go."""
    step = stepping(case, optimizer)
    return jax.lax.scan(lambda at, g: (step(at, g), None), (params, optimizer.init(params)), grads)[0]


def stepping(case, optimizer):
    def step(at, g):
        params, state = at
        updates, state = optimizer.update(g, state, params, **case.extra)
        return optim.apply_updates(params, updates), state

    return step


def test_mapped_over_hyperparameters_equals_a_loop_and_new_numbers_never_retrace(case, run, mapped):
    with working(case):
        one_by_one = [run(numbers, GRADS, steps_of(case)) for numbers in (first(case), second(case))]
        lanes = mapped(both(case), stacked(GRADS, GRADS))
        for index, alone in enumerate(one_by_one):
            assert_close(case, lane(lanes, index), alone)
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), one_by_one[0][0], one_by_one[1][0])
    assert max(jax.tree.leaves(moved)) > 1e-4  # the two values do differ, else nothing was compared


def test_a_nan_gradient_stays_in_its_lane_of_a_map(case, mapped):
    with working(case):
        poisoned = mapped(both(case), stacked(GRADS, jax.tree.map(lambda g: np.full_like(g, np.nan), GRADS)))
        chex.assert_trees_all_equal(lane(poisoned, 0), lane(mapped(both(case), stacked(GRADS, GRADS)), 0))


def test_a_loop_outside_of_jit_equals_the_loop_inside(case, run):
    with working(case):
        optimizer, params = case.build(**first(case)), as_dtype(PARAMS, float)
        at, step = (params, optimizer.init(params)), stepping(case, optimizer)
        for index in range(FEW_STEPS):
            at = step(at, as_dtype(lane(GRADS, index), float))
        assert_close(case, at, run(first(case), GRADS, FEW_STEPS))


@dtypes
def test_states_and_updates_keep_shapes_dtypes_weak_types_and_structure(case, dtype):
    """Whether the hyperparameters are Python numbers or, all of them, arrays of float32."""
    with jax.enable_x64(dtype == "float64"):
        params, grads = as_dtype(PARAMS, dtype), as_dtype(lane(GRADS, 0), dtype)
        for kind in (float, np.float32, jnp.float32):
            numbers = {name: kind(value) for name, value in plain(case).items()}
            optimizer = case.build(**numbers)
            state = jax.eval_shape(optimizer.init, params)
            updates, after = jax.eval_shape(functools.partial(optimizer.update, **case.extra), grads, state, params)
            assert kinds(after) == kinds(state)
            assert kinds(updates) == kinds(jax.eval_shape(lambda g: g, grads))
            stepped = jax.eval_shape(optim.apply_updates, params, updates)
            assert kinds(stepped) == kinds(jax.eval_shape(lambda p: p, params))
            sequence = jax.tree.map(lambda g: jnp.stack([g, g]), grads)
            jax.eval_shape(functools.partial(scanned, case, optimizer), params, sequence)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_low_precision_follows_single_precision(case, dtype):
    rounded = as_dtype(as_dtype(lane(GRADS, 0), dtype), "float32")
    optimizer = case.build(**plain(case))
    params = as_dtype(PARAMS, "float32")
    expected, _ = optimizer.update(rounded, optimizer.init(params), params, **case.extra)
    low = as_dtype(params, dtype)
    updates, _ = optimizer.update(as_dtype(rounded, dtype), optimizer.init(low), low, **case.extra)
    for got, wanted in zip(jax.tree.leaves(updates), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(np.float32(got), wanted, rtol=4 * float(jnp.finfo(dtype).eps))


def with_zeros(case):
    """The numbers with 0 for every constant that may be 0, by which the methods without it divide or take a root."""
    numbers = plain(case)
    for name in set(MAY_BE_ZERO) & set(numbers):
        try:
            case.build(**(numbers | {name: 0.0}))
        except HyperparameterError:
            continue
        numbers[name] = 0.0
    return {name: jnp.float32(value) for name, value in numbers.items()}


def test_derivatives_are_finite_where_gradients_and_parameters_are_zero(case):
    def total(numbers, params, grads):
        after, _state = scanned(case, case.build(**numbers), params, grads)
        return sum(leaf.sum() for leaf in jax.tree.leaves(after))

    # One array is enough, in half the time, where all arrays are treated alike.
    chosen = PARAMS if name_of(case) in ("muon", "partition") else {"kernel"}
    whole, slopes = ({name: tree[name] for name in chosen} for tree in (PARAMS, GRADS))
    zeros = jax.tree.map(np.zeros_like, (whole, slopes))
    dead = jax.tree.map(lambda g: np.where(np.arange(g.shape[-1]) == 0, 0, g).astype(np.float32), slopes)
    tiny = jax.tree.map(lambda g: np.full_like(g, 1e-21), slopes)  # its square is a denormal number
    derivative = jax.jit(jax.grad(total, argnums=(0, 1, 2)))
    for params, grads in (zeros, (whole, zeros[1]), (whole, dead)):
        chex.assert_tree_all_finite(derivative(first(case), params, grads))
        chex.assert_tree_all_finite(derivative(with_zeros(case), params, grads)[0])
    chex.assert_tree_all_finite(derivative(first(case), whole, tiny))


@pytest.mark.usefixtures("checking_leaks")
def test_nothing_leaks_out_of_a_trace():
    """Of all rows in one trace, as the check looks at every object that is alive at the end of each."""
    cases = [case for rows in catalogue.OPTIMIZERS.values() for case in rows]

    def everything(numbers, g):
        after = []
        for case, mine in zip(cases, numbers, strict=True):
            optimizer, params = case.build(**mine), as_dtype(PARAMS, "float32")
            after.append(stepping(case, optimizer)((params, optimizer.init(params)), g))
        return after

    jax.eval_shape(everything, [first(case) for case in cases], as_dtype(lane(GRADS, 0), "float32"))


def test_the_learning_rate_can_be_read_where_one_is_given(case):
    optimizer = case.build(**plain(case))
    if "learning_rate" in case.numbers and name_of(case) not in SOLVERS:
        if "b1" in case.numbers and name_of(case) == "partition":  # two groups, each with an optimizer
            with pytest.raises(StructureError, match="has 2 learning rates"):
                optim.learning_rate(optimizer, optimizer.init(PARAMS))
            return
        rate = optim.learning_rate(optimizer, optimizer.init(PARAMS))
        np.testing.assert_allclose(rate, case.numbers["learning_rate"][0], rtol=1e-6)


# What is said to wrong input.


def refused(call, kind, sentence):
    with pytest.raises(kind, match=rf"^\w+: {sentence}"):
        call()


def test_gradients_unlike_the_parameters_are_refused_by_the_first_path_that_differs(case):
    optimizer = case.build(**plain(case))
    if is_derivative_free(optimizer):
        return  # it does not look at them
    params, grads = as_dtype(PARAMS, "float32"), as_dtype(lane(GRADS, 0), "float32")
    update = functools.partial(optimizer.update, state=optimizer.init(params), params=params, **case.extra)
    missing, turned = {"kernel": grads["kernel"]}, {**grads, "kernel": grads["kernel"].T}
    refused(lambda: update(missing), StructureError, "the gradients are not a tree .* first difference is at bias")
    refused(lambda: update(turned), ShapeError, r"the gradient at kernel has shape \(3, 2\), but the parameter")


def test_parameters_that_cannot_be_trained_are_refused(case):
    optimizer = case.build(**plain(case))
    refused(lambda: optimizer.init({}), StructureError, "the parameters are an empty tree")
    whole = {**as_dtype(PARAMS, "float32"), "bias": jnp.arange(3)}
    refused(lambda: optimizer.init(whole), StructureError, r"parameter bias has dtype int32.*\.astype\(float\)")


def test_what_an_update_needs_and_does_not_get_is_asked_for(case):
    """The parameters, the function and the key; who does not need the last two does without."""
    optimizer, params = case.build(**plain(case)), as_dtype(PARAMS, "float32")
    state, grads = optimizer.init(params), as_dtype(lane(GRADS, 0), "float32")

    def without(name):
        given = {"params": params, **case.extra, name: None}
        return lambda: jax.eval_shape(lambda g: optimizer.update(g, state, **given), grads)

    for name, needed in (
        ("value_fn", name_of(case) in SOLVERS - {"levenberg_marquardt"}),
        ("key", is_derivative_free(optimizer)),
    ):
        if needed:
            refused(without(name), StructureError, f".*{name}")
        else:
            without(name)()
    if name_of(case) in NEED_PARAMETERS:
        refused(without("params"), StructureError, "needs the parameters")
    else:
        without("params")()
