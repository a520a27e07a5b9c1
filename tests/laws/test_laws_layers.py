"""Laws 1 to 4 for every public layer, combinator and activation, and what else a layer promises.

Compiling is what these tests cost, so programs are kept from test to test, and where values do not matter nothing is
compiled at all. Outside of jit every operation is a program of its own, so that law looks at the layers that others
are made of.
"""

import functools
import inspect
import re

import catalogue
import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from catalogue import both, first, lane, second
from catalogue.layers import ACTIVATIONS, SIMPLE_LAYERS, TOGETHER
from safetensors.numpy import load, save

from fnnet import errors, nn
from fnnet.recipes import split
from fnnet.trees import flatten_with_names, unflatten_from_names

TABLE = {name: cases for name, cases in catalogue.LAYERS.items() if name not in ACTIVATIONS} | TOGETHER
layers = pytest.mark.parametrize("case", catalogue.rows(TABLE))
simple = pytest.mark.parametrize(
    "case", catalogue.rows({name: TABLE[name] for name in TABLE if name in SIMPLE_LAYERS | TOGETHER})
)
tuned = pytest.mark.parametrize(
    "case", catalogue.rows({name: [case for case in cases if case.numbers] for name, cases in TABLE.items()})
)
# The same programs, without the passes that make them fast but take a third of the time to compile.
quick = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
INIT, CALL = jax.random.key(0), jax.random.key(1)
_kept = {}


def kept(make):
    """Computes once a row what several tests use; rows hold functions and dicts, so they go by identity."""

    @functools.wraps(make)
    def found(case):
        if (make.__name__, id(case)) not in _kept:
            _kept[make.__name__, id(case)] = make(case)
        return _kept[make.__name__, id(case)]

    return found


@kept
def inputs(case):
    random = np.random.default_rng(0)
    if case.integers is not None:
        return jnp.asarray(random.integers(0, case.integers, case.shape), jnp.int32)
    return jnp.asarray(random.normal(size=case.shape), jnp.float32)


def built(case, numbers=None):
    plain = {name: values[0] for name, values in case.numbers.items()}
    return nn.as_layer(case.build(**(plain if numbers is None else numbers)))


def train(layer, params, state, x):
    """Output and state after a call in training, or after two where the first one may be special to a state."""
    y, after = layer.apply(params, state, x, key=CALL, train=True)
    if jax.tree.leaves(after):
        _, after = layer.apply(params, after, 2 * x, key=CALL, train=True)
    return y, after


def init_and_train(case, numbers, x, key=INIT):
    layer = built(case, numbers)
    made = layer.init(key, x)
    return made, train(layer, *made, x)


@kept
def training(case):
    """The one program of a row, compiled ahead for any numbers, inputs and key."""
    traced = quick(lambda numbers, x, key: init_and_train(case, numbers, x, key))
    return traced.lower(first(case), inputs(case), INIT).compile()


@kept
def trained(case):
    return training(case)(first(case), inputs(case), INIT)


def variables(case):
    return trained(case)[0]


@kept
def inference(case):
    layer = built(case)
    return quick(lambda variables, x: layer.apply(*variables, x)[0])


def kinds(tree):
    return jax.tree.map(lambda leaf: (leaf.shape, str(leaf.dtype)), tree)


@pytest.mark.usefixtures("checking_leaks")
def test_what_leaks_out_of_a_trace_is_seen():
    kept = []
    with pytest.raises(Exception, match="Leaked"):
        jax.eval_shape(lambda x: kept.append(x + 1), 1.0)


@pytest.mark.usefixtures("checking_leaks")
def test_nothing_leaks_out_of_a_trace():
    """Of all rows in one trace, as the check looks at every object that is alive at the end of each."""
    cases = [case for rows in TABLE.values() for case in rows]

    def everything(numbers, xs):
        return [init_and_train(*row) for row in zip(cases, numbers, xs, strict=True)]

    numbers, xs = [first(case) for case in cases], [inputs(case) for case in cases]
    jax.eval_shape(everything, numbers, xs)


@tuned
def test_one_program_serves_all_numbers_and_mapped_over_them_equals_a_loop(case):
    x = inputs(case)
    looped = [training(case)(numbers, x, INIT) for numbers in (first(case), second(case))]
    same = [np.array_equal(a, b) for a, b in zip(*(jax.tree.leaves(made) for made, _ in looped), strict=True)]
    if all(same):
        # Initialisation takes no number: its draws, which are dear to compile, are left out.
        mapped = quick(jax.vmap(lambda n, made: train(built(case, n), *made, x), (0, None)))(both(case), looped[0][0])
        wanted = [results for _, results in looped]
    else:
        mapped = quick(jax.vmap(lambda n: init_and_train(case, n, x)))(both(case))
        wanted = looped
    for index, alone in enumerate(wanted):
        chex.assert_trees_all_close(lane(mapped, index), alone, rtol=2e-6, atol=1e-6)
    apart = jax.tree.map(lambda a, b: float(np.abs(a - b).max()), *looped)
    assert max(jax.tree.leaves(apart)) > 1e-4, "no number makes a difference"


@pytest.mark.parametrize("case", catalogue.rows(catalogue.LAYERS))
def test_a_layer_made_again_shares_its_programs_as_only_its_numbers_are_others(case):
    one, other = ({name: values[i] for name, values in case.numbers.items()} for i in (0, 1))
    (few, skeleton), (many, again) = split(nn.as_layer(case.build(**one))), split(nn.as_layer(case.build(**other)))
    assert skeleton == again
    assert set(one.values()) <= set(few)
    assert set(other.values()) <= set(many)


@pytest.mark.exhaustive
@simple
def test_calls_outside_of_jit_equal_the_ones_inside(case):
    outside = init_and_train(case, first(case), inputs(case))
    chex.assert_trees_all_close(outside, trained(case), rtol=2e-6, atol=1e-6)


@pytest.mark.exhaustive
@layers
def test_mapped_over_parameters_equals_a_loop(case):
    x, evaluate = inputs(case), inference(case)
    moved = jax.tree.map(lambda leaf: leaf + jnp.ones_like(leaf), variables(case))
    draws = [variables(case), moved]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *draws)
    mapped = jax.vmap(evaluate, in_axes=(0, None), axis_size=2)(stacked, x)
    for index, alone in enumerate(draws):
        np.testing.assert_allclose(mapped[index], evaluate(alone, x), rtol=2e-6, atol=1e-6)


@layers
def test_a_shape_is_enough_to_initialise_for_no_row_and_one_row_too_and_another_key_makes_other_draws(case):
    x, layer, made = inputs(case), built(case), variables(case)
    for rows in (0, 1, len(x)):
        shape = jax.ShapeDtypeStruct((rows, *x.shape[1:]), x.dtype)
        # Closed over and not an argument, so that there is no array behind the shape.
        assert kinds(jax.eval_shape(lambda shape=shape: layer.init(INIT, shape))) == kinds(made)
    other = training(case)(first(case), x, CALL)[0]
    for a, b in zip(*map(jax.tree.leaves, (made[0], other[0])), strict=True):
        # Biases start at 0, or in part at 1, whatever the key.
        assert len(np.unique(a)) <= 2 or not np.array_equal(a, b)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
@layers
def test_outputs_and_parameters_have_the_dtype_of_the_inputs_and_state_keeps_its_own(case, dtype):
    with jax.enable_x64(dtype == "float64"):
        layer, key = built(case), jax.random.key(0)
        whole = case.integers is not None
        x = jax.ShapeDtypeStruct(case.shape, jnp.int32 if whole else jnp.dtype(dtype))
        wanted = jnp.result_type(float) if whole else x.dtype

        def everything(x):
            params, state = layer.init(key, x)
            calls = [layer.apply(params, state, x, key=key, train=train) for train in (True, False)]
            return params, state, [y for y, _ in calls], [after for _, after in calls]

        params, state, outputs, states = jax.eval_shape(everything, x)
        assert {leaf.dtype for leaf in jax.tree.leaves((params, outputs))} == {wanted}
        assert kinds(outputs[0]) == kinds(outputs[1]), "training and inference give the same shape"
        for after in states:
            assert kinds(after) == kinds(state)
        assert all(leaf.dtype.itemsize >= 4 for leaf in jax.tree.leaves(state))


@pytest.mark.exhaustive
@layers
def test_values_in_bfloat16_are_those_of_float32_up_to_rounding(case):
    def rounded(tree):
        narrow = lambda leaf: leaf.astype(jnp.bfloat16) if leaf.dtype == jnp.float32 else leaf  # noqa: E731
        return jax.tree.map(narrow, tree)

    layer, (params, state) = built(case), variables(case)
    call = quick(lambda params, x: layer.apply(params, state, x, key=CALL, train=True)[0])
    wanted, _ = trained(case)[1]
    found = np.asarray(call(rounded(params), rounded(inputs(case))), np.float64)
    # A few roundings of the inputs, the parameters and what comes between; sums over a batch are not among them.
    atol = 4 * float(jnp.finfo(jnp.bfloat16).eps) * max(1.0, float(np.abs(wanted).max()))
    np.testing.assert_allclose(found, np.float64(wanted), rtol=0, atol=atol)


@layers
def test_a_row_does_not_depend_on_the_others_at_inference_and_no_rows_are_a_batch(case):
    x, made = inputs(case), variables(case)
    together = inference(case)(made, x)
    alone = inference(case)(made, x[1:2])
    np.testing.assert_allclose(alone, together[1:2], rtol=2e-6, atol=1e-6)
    none = inference(case)(made, x[:0])
    assert none.shape == (0, *together.shape[1:])
    assert none.dtype == together.dtype


@layers
def test_derivatives_are_finite_also_for_inputs_and_parameters_of_zero(case):
    x, (params, state) = inputs(case), variables(case)

    @quick
    def derivative(numbers, params, x):
        def total(numbers, params, x):
            y, _ = built(case, numbers).apply(params, state, x, key=CALL, train=True)
            return (y * jnp.cos(jnp.arange(y.size, dtype=y.dtype).reshape(y.shape))).sum()

        return jax.grad(total, argnums=(0, 1) if case.integers is not None else (0, 1, 2))(numbers, params, x)

    zeros = jax.tree.map(jnp.zeros_like, (params, x))
    for point in ((params, x), zeros):
        slopes = derivative(first(case), *point)
        chex.assert_tree_all_finite(slopes)
        chex.assert_trees_all_equal_shapes_and_dtypes(slopes[1], params)


@layers
def test_parameters_and_state_come_back_from_a_file_bit_by_bit(case):
    (params, _), (_, state) = trained(case)
    tree = {"params": params, "state": state}
    read = load(save({name: np.asarray(leaf) for name, leaf in flatten_with_names(tree).items()}))
    back = unflatten_from_names(tree, read)
    assert kinds(back) == kinds(tree)
    for ours, again in zip(jax.tree.leaves(tree), jax.tree.leaves(back), strict=True):
        assert np.asarray(ours).tobytes() == again.tobytes()


@pytest.mark.parametrize("name", catalogue.LAYERS)
def test_every_size_and_number_out_of_its_range_is_refused_by_name(name):
    wrong = {argument: value for case in catalogue.LAYERS[name] for argument, value in case.wrong.items()}
    parameters = inspect.signature(getattr(nn, name)).parameters.values()
    numeric = {p.name for p in parameters if re.search(r"\b(int|Integer|Scalar|Sizes|Padding)\b", str(p.annotation))}
    if getattr(nn, name) in vars(jax.nn).values():
        numeric = set()
    assert numeric <= set(wrong), f"{name}: no row says what is wrong for {sorted(numeric - set(wrong))}"
    for argument, (call, values) in wrong.items():
        for value in values:
            with pytest.raises(errors.FnnetError, match=rf"^{name}: .*\b{argument}\b"):
                call(value)


@layers
def test_a_seed_in_the_place_of_a_key_is_refused_in_a_sentence_unless_no_key_is_needed(case):
    layer, x = built(case), inputs(case)
    params, state = variables(case)
    for call in (lambda: layer.init(0, x), lambda: layer.apply(params, state, x, key=0, train=True)):
        said = "key is 0, which is not a random key. Make one with jax.random.key(0)."
        try:
            jax.eval_shape(call)
        except errors.StructureError as error:
            said = str(error)
        assert said.endswith("key is 0, which is not a random key. Make one with jax.random.key(0).")
