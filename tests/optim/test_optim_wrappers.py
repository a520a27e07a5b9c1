"""Optimizers around optimizers: what they store, when they act, and what can be read from them."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnnet import optim
from fnnet.errors import StructureError

RANDOM = np.random.default_rng(0)
PARAMS = {"kernel": jnp.asarray(RANDOM.normal(size=(2, 3)), jnp.float32), "bias": jnp.ones(3)}
GRADS = [jax.tree.map(lambda p: jnp.asarray(RANDOM.normal(size=p.shape), jnp.float32), PARAMS) for _ in range(6)]
NAN = jax.tree.map(lambda g: g.at[(0,) * g.ndim].set(jnp.nan), GRADS[0])


def path_of(optimizer, grads, params=PARAMS):
    """Parameters after each update, and the last state."""
    state, path = optimizer.init(params), []
    for g in grads:
        updates, state = optimizer.update(g, state, params)
        params = optim.apply_updates(params, updates)
        path.append(params)
    return path, state


def compiled(optimizer):
    """With one program for all updates, where each would otherwise compile its branch anew."""
    return optimizer._replace(update=jax.jit(optimizer.update))


def mean(trees):
    return jax.tree.map(lambda *leaves: sum(leaves) / len(leaves), *trees)


def counted(calls):
    """Gradient descent that notes on the host when it is computed."""

    def update(grads, state, params=None):
        jax.debug.callback(lambda: calls.append(1))
        return jax.tree.map(jnp.negative, grads), state

    return optim.Optimizer(lambda params: (), update)


# Accumulation.


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_accumulated_updates_equal_updates_on_the_whole_batch(steps):
    path, state = path_of(compiled(optim.accumulate(optim.adam(0.1), steps)), GRADS)
    whole = [mean(GRADS[i : i + steps]) for i in range(0, 6, steps)]
    expected, inner = path_of(optim.adam(0.1), whole)
    chex.assert_trees_all_close(path[steps - 1 :: steps], expected, rtol=1e-6)
    chex.assert_trees_all_close(state.inner_state, inner, rtol=1e-6, atol=1e-7)
    assert (int(state.gradient_step), int(state.mini_step)) == (6 // steps, 0)
    assert int(state.inner_state.count) == 6 // steps


def test_between_updates_parameters_stand_still_and_the_count_too():
    path, state = path_of(compiled(optim.accumulate(optim.adam(0.1), 4)), GRADS)
    chex.assert_trees_all_equal(path[0], path[2], PARAMS)
    chex.assert_trees_all_equal(path[3], path[5])
    assert (int(state.mini_step), int(state.inner_state.count)) == (2, 1)
    chex.assert_trees_all_close(state.acc_grads, mean(GRADS[4:]), rtol=1e-6)


def test_the_optimizer_inside_is_not_computed_in_between():
    calls = []
    optimizer = optim.accumulate(counted(calls), 3)
    step = jax.jit(lambda state, g: optimizer.update(g, state)[1])
    state = optimizer.init(PARAMS)
    for g in GRADS:
        state = step(state, g)
    jax.effects_barrier()
    assert len(calls) == 2


def test_how_many_gradients_make_an_update_may_be_mapped():
    def last(steps):
        optimizer = optim.accumulate(optim.adam(0.1), steps)

        def step(at, g):
            updates, state = optimizer.update(g, at[1], at[0])
            return (optim.apply_updates(at[0], updates), state), None

        grads = jax.tree.map(lambda *leaves: jnp.stack(leaves), *GRADS)
        return jax.lax.scan(step, (PARAMS, optimizer.init(PARAMS)), grads)[0][0]

    mapped, alone = jax.jit(jax.vmap(last))(jnp.array([2, 3])), jax.jit(last)
    for lane, steps in enumerate((2, 3)):
        chex.assert_trees_all_close(jax.tree.map(lambda leaf: leaf[lane], mapped), alone(steps), rtol=1e-6)


def test_half_precision_gradients_are_added_up_in_single_precision():
    optimizer = optim.accumulate(optim.sgd(1.0), 1000)
    grads = jnp.full(1, 0.1, jnp.bfloat16)

    def step(state, _):
        updates, state = optimizer.update(grads, state)
        return state, updates

    _, updates = jax.lax.scan(step, optimizer.init(grads), None, length=1000)
    assert updates.dtype == jnp.bfloat16
    assert updates[-1, 0] == -grads[0]


# The moving mean of parameters.


def test_the_mean_of_parameters_is_its_weighted_sum():
    path, state = path_of(optim.ema_parameters(optim.adam(0.1), 0.8), GRADS)
    plain, inner = path_of(optim.adam(0.1), GRADS)
    chex.assert_trees_all_equal(path, plain)
    chex.assert_trees_all_equal(state.inner_state, inner)
    weights = 0.2 * 0.8 ** np.arange(5, -1, -1)
    expected = jax.tree.map(lambda *p: sum(w * leaf for w, leaf in zip(weights, p, strict=True)) / sum(weights), *path)
    chex.assert_trees_all_close(optim.evaluation_parameters(state, path[-1]), expected, rtol=1e-5)


def test_without_debiasing_the_mean_starts_at_the_initial_parameters():
    path, state = path_of(optim.ema_parameters(optim.sgd(0.1), 0.8, debias=False), GRADS)
    expected = PARAMS
    for params in path:
        expected = jax.tree.map(lambda m, p: 0.8 * m + 0.2 * p, expected, params)
    chex.assert_trees_all_close(optim.evaluation_parameters(state, path[-1]), expected, rtol=1e-5)


@pytest.mark.parametrize("debias", [True, False])
def test_before_the_first_update_the_mean_is_the_initial_parameters(debias):
    state = optim.ema_parameters(optim.sgd(0.1), 0.9, debias).init(PARAMS)
    chex.assert_trees_all_equal(optim.evaluation_parameters(state, PARAMS), PARAMS)


def test_a_mean_in_half_precision_moves_by_less_than_its_unit_in_the_last_place():
    optimizer = optim.ema_parameters(optim.sgd(1.0), 0.999, debias=False)
    params = jnp.ones(1, jnp.bfloat16)
    state = optimizer.init(params)
    state, _ = jax.lax.scan(
        lambda state, g: (optimizer.update(g, state, params)[1], None), state, jnp.full((500, 1), -1, jnp.bfloat16)
    )
    evaluated = optim.evaluation_parameters(state, params)
    assert evaluated.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.float32(evaluated), 2 - 0.999**500, rtol=1e-2)


WHERE = {
    "in a chain": lambda ema: optim.chain(optim.clip(10.0), ema),
    "in wrappers": lambda ema: optim.skip_nonfinite(optim.accumulate(ema, 1)),
    "in a partition": lambda ema: optim.partition({"all": ema}, optim.by_path(lambda path: "all")),
}


@pytest.mark.parametrize("name", WHERE)
def test_evaluation_parameters_are_found_wherever_they_are_kept(name):
    ema = optim.ema_parameters(optim.adam(0.1), 0.8)
    path, state = path_of(ema, GRADS)
    expected = optim.evaluation_parameters(state, path[-1])
    path, nested = path_of(compiled(WHERE[name](ema)), GRADS)
    read = jax.jit(lambda outer, params: optim.evaluation_parameters(outer, params))
    chex.assert_trees_all_close(read({"optimizer_state": nested}, path[-1]), expected, rtol=1e-6)


def test_where_no_mean_is_kept_the_parameter_itself_is_evaluated():
    optimizer = optim.partition(
        {True: optim.ema_parameters(optim.sgd(0.1), 0.9), False: optim.sgd(0.1)}, optim.matrices
    )
    path, state = path_of(optimizer, GRADS)
    evaluated = optim.evaluation_parameters(state, path[-1])
    assert jnp.array_equal(evaluated["bias"], path[-1]["bias"])
    assert not jnp.allclose(evaluated["kernel"], path[-1]["kernel"])


# Updates that are left out.


def test_a_gradient_that_is_not_finite_changes_nothing_and_is_counted():
    optimizer = compiled(optim.skip_nonfinite(optim.adam(0.1)))
    path, state = path_of(optimizer, [GRADS[0], NAN, NAN, GRADS[1]])
    expected, inner = path_of(optim.adam(0.1), GRADS[:2])
    chex.assert_trees_all_equal(path[0], path[1], path[2])
    chex.assert_trees_all_close(path[3], expected[1], rtol=1e-6)
    chex.assert_trees_all_close(state.inner_state, inner, rtol=1e-6)
    assert (int(state.notfinite_count), int(state.total_notfinite)) == (0, 2)


@pytest.mark.parametrize("limit", [0, 2])
def test_after_a_limit_in_a_row_they_are_let_through(limit):
    path, state = path_of(optim.skip_nonfinite(optim.sgd(0.1), limit), [NAN] * (limit + 1))
    assert all(np.isfinite(p["kernel"]).all() for p in path[:limit])
    assert np.isnan(path[limit]["kernel"][0, 0])
    assert int(state.notfinite_count) == limit + 1


def test_finite_gradients_start_the_count_again():
    path, _ = path_of(compiled(optim.skip_nonfinite(optim.sgd(0.1), 1)), [NAN, GRADS[0], NAN, GRADS[1]])
    chex.assert_tree_all_finite(path)


def test_the_derivative_through_what_was_left_out_is_finite_in_a_map():
    def total(learning_rate, grads):
        optimizer = optim.skip_nonfinite(optim.adam(learning_rate))
        updates, _ = optimizer.update(grads, optimizer.init(PARAMS), PARAMS)
        return sum(leaf.sum() for leaf in jax.tree.leaves(updates))

    both = jax.tree.map(lambda *leaves: jnp.stack(leaves), NAN, GRADS[0])
    slopes = jax.jit(jax.vmap(jax.grad(total), (None, 0)))(0.1, both)
    assert slopes[0] == 0
    assert np.isfinite(slopes[1])
    assert slopes[1] != 0


# Groups of parameters.


def test_each_group_is_trained_as_if_it_were_alone_and_stored_once():
    optimizer = optim.partition({"a": optim.adam(0.1), "b": optim.sgd(0.5, 0.9)}, {"kernel": "a", "bias": "b"})
    path, state = path_of(optimizer, GRADS)
    kernel, _ = path_of(optim.adam(0.1), [g["kernel"] for g in GRADS], PARAMS["kernel"])
    bias, _ = path_of(optim.sgd(0.5, 0.9), [g["bias"] for g in GRADS], PARAMS["bias"])
    chex.assert_trees_all_equal(path, [{"kernel": k, "bias": b} for k, b in zip(kernel, bias, strict=True)])
    shapes = {label: [leaf.shape for leaf in jax.tree.leaves(part)] for label, part in state.inner_states.items()}
    assert shapes == {"a": [(), (2, 3), (2, 3)], "b": [(), (3,)]}


def test_masks_and_norms_inside_a_group_see_the_group_alone():
    mask = {"kernel": True, "bias": False}  # of the whole tree, though the group has a part of it
    inner = optim.chain(optim.clip_by_global_norm(0.1), optim.adamw(0.1, weight_decay=0.5, mask=mask))
    optimizer = optim.partition({True: inner, False: optim.freeze()}, optim.matrices)
    path, _ = path_of(optimizer, GRADS)
    alone, _ = path_of(
        optim.chain(optim.clip_by_global_norm(0.1), optim.adamw(0.1, weight_decay=0.5)),
        [g["kernel"] for g in GRADS],
        PARAMS["kernel"],
    )
    chex.assert_trees_all_close(path[-1], {"kernel": alone[-1], "bias": PARAMS["bias"]}, rtol=1e-6)


def test_a_group_is_offered_the_function_of_its_own_parameters():
    def look(grads, state, params=None, *, value_fn, grad, value):
        assert jax.tree.structure(grad) == jax.tree.structure(grads)
        return jax.grad(value_fn)(params), value_fn(params) + value

    looking = optim.Optimizer(lambda params: jnp.zeros(()), look)
    optimizer = optim.partition({True: looking, False: optim.sgd(1.0)}, optim.matrices)

    def value_fn(p):
        return (p["kernel"] ** 2).sum() * p["bias"].sum()

    updates, state = optimizer.update(
        GRADS[0], optimizer.init(PARAMS), PARAMS, value=1.0, value_fn=value_fn, grad=GRADS[0]
    )
    chex.assert_trees_all_close(updates["kernel"], 6 * PARAMS["kernel"], rtol=1e-6)
    np.testing.assert_allclose(state.inner_states[True], value_fn(PARAMS) + 1, rtol=1e-6)


def test_an_optimizer_for_a_label_that_no_parameter_has_is_left_out():
    optimizer = optim.partition({"a": optim.sgd(0.1), "b": optim.adam(0.1)}, optim.by_path(lambda path: "a"))
    assert set(optimizer.init(PARAMS).inner_states) == {"a"}
    path, _ = path_of(optimizer, GRADS)
    chex.assert_trees_all_equal(path, path_of(optim.sgd(0.1), GRADS)[0])


def test_groups_in_groups():
    inner = optim.partition({True: optim.sgd(0.1), False: optim.adam(0.1)}, optim.matrices)
    outer = optim.partition({"all": inner}, optim.by_path(lambda path: "all"))
    chex.assert_trees_all_equal(path_of(outer, GRADS)[0], path_of(inner, GRADS)[0])


# What wrappers pass on.

SCHEDULE = optim.schedules.linear_decay(1.0, 0.0, 10)
READABLE = {
    "a number": (optim.adam(0.25), 0.25),
    "an array": (optim.adam(learning_rate=jnp.float32(0.25)), 0.25),
    "a whole number": (optim.sgd(1), 1.0),
    "a schedule": (optim.sgd(SCHEDULE), 0.4),
    "by keyword": (optim.adamw(b1=0.5, learning_rate=SCHEDULE), 0.4),
    "masked": (optim.adamw(SCHEDULE, mask=optim.matrices), 0.4),
    "in a chain": (optim.chain(optim.clip(1.0), optim.chain(optim.sgd(SCHEDULE)), optim.freeze()), 0.4),
    "accumulated": (optim.accumulate(optim.sgd(SCHEDULE), 2), 0.7),
    "averaged": (optim.ema_parameters(optim.sgd(SCHEDULE), 0.9), 0.4),
    "with skips": (optim.skip_nonfinite(optim.accumulate(optim.sgd(SCHEDULE), 6)), 0.9),
    "decayed": (optim.decoupled_weight_decay(optim.adam(SCHEDULE), 0.1), 0.4),
    "decayed by its own": (optim.decoupled_weight_decay(optim.clip(1.0), 0.1, learning_rate=SCHEDULE), 0.4),
    "one group": (optim.partition({True: optim.sgd(SCHEDULE), False: optim.freeze()}, optim.matrices), 0.4),
}


@pytest.mark.parametrize("name", READABLE)
def test_the_learning_rate_of_the_next_update_can_be_read(name):
    optimizer, expected = READABLE[name]
    _, state = path_of(optimizer, GRADS)
    for rate in (optim.learning_rate(optimizer, state), jax.jit(lambda s: optim.learning_rate(optimizer, s))(state)):
        assert rate.shape == ()
        np.testing.assert_allclose(rate, expected, rtol=1e-6)


def test_the_learning_rate_of_each_lane_can_be_read():
    def trained(steps):
        optimizer = optim.sgd(optim.schedules.linear_decay(1.0, 0.0, steps))
        return optim.learning_rate(optimizer, path_of(optimizer, GRADS)[1])

    np.testing.assert_allclose(jax.vmap(trained)(jnp.array([10.0, 12.0])), [0.4, 0.5], rtol=1e-6)


NOT_READABLE = {
    "none": (optim.clip(1.0), r"clip\(1\.0\) has no learning rate that can be read"),
    "a pair without a recipe": (counted([]), "has no learning rate that can be read"),
    "two": (optim.chain(optim.sgd(0.1), optim.adam(0.1)), "has 2 learning rates, of sgd, adam. Read each"),
}


@pytest.mark.parametrize("name", NOT_READABLE)
def test_none_or_several_learning_rates_are_a_sentence(name):
    optimizer, sentence = NOT_READABLE[name]
    with pytest.raises(StructureError, match=f"^learning_rate: .*{sentence}"):
        optim.learning_rate(optimizer, optimizer.init(PARAMS))


def test_a_foreign_state_is_a_sentence():
    for optimizer in (optim.sgd(SCHEDULE), optim.chain(optim.sgd(0.1)), optim.accumulate(optim.sgd(0.1), 2)):
        with pytest.raises(StructureError, match="is none that its init returns"):
            optim.learning_rate(optimizer, ())


WRAPPED = {
    "accumulate": lambda o: optim.accumulate(o, 2),
    "ema_parameters": lambda o: optim.ema_parameters(o, 0.9),
    "skip_nonfinite": lambda o: optim.skip_nonfinite(o),
    "partition": lambda o: optim.partition({"all": o}, optim.by_path(lambda path: "all")),
    "decoupled_weight_decay": lambda o: optim.decoupled_weight_decay(o, 0.1, learning_rate=0.1),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_what_is_offered_reaches_an_optimizer_that_wants_it_and_no_other(name):
    def update(grads, state, params=None, *, value):
        return jax.tree.map(lambda g: g * value, grads), state

    wants = WRAPPED[name](optim.Optimizer(lambda params: (), update))
    for optimizer in (wants, WRAPPED[name](counted([]))):
        optimizer.update(GRADS[0], optimizer.init(PARAMS), PARAMS, value=jnp.float32(2), grad=GRADS[0])


@pytest.mark.parametrize("name", WRAPPED)
def test_what_is_not_an_optimizer_cannot_be_wrapped(name):
    with pytest.raises(StructureError, match=f"^{name}: optimizer.* which is not an .init, update. pair. Call its fac"):
        WRAPPED[name](optim.adam)


MISTAKES = {
    "a label without an optimizer": (
        lambda: optim.partition({"a": optim.sgd(0.1), "c": optim.sgd(0.1)}, {"kernel": "a", "bias": "b"}).init(PARAMS),
        "^partition: parameter bias has the label 'b', but the optimizers are for 'a', 'c'. Add one",
    ),
    "labels of another structure": (
        lambda: optim.partition({"a": optim.sgd(0.1)}, {"kernel": "a"}).init(PARAMS),
        "^partition: labels is not a tree like the parameters: the first difference is at bias",
    ),
    "no groups": (lambda: optim.partition({}, optim.matrices), "^partition: optimizers is {}, but it has to be a dict"),
    "a decay without a rate": (
        lambda: optim.decoupled_weight_decay(optim.clip(1.0), 0.1).init(PARAMS),
        "^decoupled_weight_decay: .* has no learning rate that can be read",
    ),
    "two means": (
        lambda: optim.evaluation_parameters(
            optim.ema_parameters(optim.ema_parameters(optim.sgd(0.1), 0.9), 0.5).init(PARAMS), PARAMS
        ),
        "^evaluation_parameters: two means are kept of parameter bias",
    ),
    "a mean of other parameters": (
        lambda: optim.evaluation_parameters(optim.ema_parameters(optim.sgd(0.1), 0.9).init(PARAMS), PARAMS["bias"]),
        "^evaluation_parameters: the state keeps a mean of bias, which is not in params",
    ),
}


@pytest.mark.parametrize(("call", "sentence"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_raises_a_sentence(call, sentence):
    with pytest.raises(StructureError, match=sentence):
        call()
