"""Schedules, chains and the edges of the first optimizers, against the equations in NumPy float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from first_order_equations import adam, sgd, trajectory

from fnnet import optim

STEPS = 20
START = {"kernel": np.linspace(-1, 2, 6).reshape(2, 3), "bias": np.array([0.5, -0.5, 0.0])}
GRADS = [
    jax.tree.map(lambda p, s=step: np.random.default_rng(s + p.size).normal(size=p.shape), START)
    for step in range(STEPS)
]


def falling(t):
    return (1 - min(t / 10, 1)) * 0.1 + min(t / 10, 1) * 0.01


SCHEDULE = optim.schedules.linear_decay(0.1, 0.01, 10)
CASES = {
    "momentum of zero": (optim.sgd(0.1, 0.0), sgd(0.1)),
    "sgd with a schedule": (optim.sgd(SCHEDULE), sgd(falling)),
    "sgd with a constant schedule": (optim.sgd(optim.schedules.constant(0.1)), sgd(0.1)),
    "sgd with a schedule of one's own": (optim.sgd(lambda t: 0.1 / (1 + t)), sgd(lambda t: 0.1 / (1 + t))),
    "adam with everything": (optim.adam(0.1, 0.8, 0.95, 1e-3, 1e-2), adam(0.1, 0.8, 0.95, 1e-3, 1e-2)),
    "adam without memory": (optim.adam(0.1, b1=0.0), adam(0.1, b1=0.0)),
    "adam with a schedule": (optim.adam(SCHEDULE), adam(falling)),
    "adamw with a schedule": (optim.adamw(SCHEDULE), adam(falling, decay=0.01)),
    "adamw without decay": (optim.adamw(0.1, weight_decay=0.0), adam(0.1)),
}


def run(optimizer, params=START, grads=GRADS):
    return trajectory(optimizer, params, grads)


@pytest.mark.parametrize(("optimizer", "equation"), CASES.values(), ids=CASES)
def test_an_optimizer_is_its_equation(optimizer, equation):
    params, _ = run(optimizer)
    for name, theta in START.items():
        expected = equation(theta, [g[name] for g in GRADS])
        # Bias corrections subtract a power of b2 from 1, which leaves 13 of the 16 digits.
        np.testing.assert_allclose(params[name], expected, rtol=1e-11, atol=1e-12)


def test_a_schedule_is_asked_with_the_number_of_updates_done():
    asked = []

    def schedule(count):
        asked.append(float(count))
        return 0.1

    optimizer = optim.adam(schedule)
    state = optimizer.init(jnp.ones(1))
    for _ in range(3):
        _, state = optimizer.update(jnp.ones(1), state)
    assert asked == [0.0, 1.0, 2.0]
    assert int(state.count) == 3


def test_the_first_step_of_adam_has_the_size_of_the_learning_rate_for_any_gradient():
    updates, _ = optim.adam(0.01).update(jnp.array([1e-3, -1.0, 1e6]), optim.adam(0.01).init(jnp.zeros(3)))
    np.testing.assert_allclose(updates, [-0.01, 0.01, -0.01], rtol=2e-5)


def test_adam_moves_nothing_that_never_had_a_gradient():
    params, _ = run(optim.adam(0.1), {"a": np.ones(2)}, [{"a": np.array([0.0, 1.0])}] * 3)
    still, moved = np.asarray(params["a"])
    assert still == 1
    assert moved < 1


def test_the_mask_of_adamw_says_which_leaves_decay():
    masked = optim.adamw(0.1, weight_decay=0.3, mask=lambda params: {"kernel": True, "bias": False})
    params, _ = run(masked)
    for name, decay in (("kernel", 0.3), ("bias", 0.0)):
        expected = adam(0.1, decay=decay)(START[name], [g[name] for g in GRADS])
        np.testing.assert_allclose(params[name], expected, rtol=1e-11)


@pytest.mark.parametrize("max_norm", [0.5, 5.0, 1e3])
def test_clipping_shortens_the_gradient_as_one_vector_and_only_if_it_is_too_long(max_norm):
    with jax.enable_x64(True):
        clip = optim.clip_by_global_norm(max_norm)
        grads = jax.tree.map(lambda g: jnp.asarray(3 * g), GRADS[0])
        clipped, _ = clip.update(grads, clip.init(grads))
        norm = np.sqrt(sum((np.asarray(g) ** 2).sum() for g in grads.values()))
        for name in grads:
            np.testing.assert_allclose(clipped[name], np.asarray(grads[name]) * min(1, max_norm / norm), rtol=1e-14)


def test_clipping_keeps_zero_and_does_not_hide_nan():
    clip = optim.clip_by_global_norm(1.0)
    assert not clip.update(jnp.zeros(3), ())[0].any()
    assert np.isnan(clip.update(jnp.array([jnp.nan, 1.0]), ())[0]).any()


def test_clipping_keeps_small_numbers_of_half_precision():
    clip = optim.clip_by_global_norm(1e-3)
    clipped, _ = clip.update(jnp.full(4, 6e4, jnp.float16), ())
    np.testing.assert_allclose(np.float32(clipped), 5e-4, rtol=1e-3)


def test_a_chain_passes_the_updates_of_each_on_to_the_next():
    params, state = run(optim.chain(optim.clip_by_global_norm(0.5), optim.sgd(0.1, 0.9)))
    clipped = []
    for g in GRADS:
        norm = np.sqrt(sum((leaf**2).sum() for leaf in g.values()))
        clipped.append({name: leaf * min(1, 0.5 / norm) for name, leaf in g.items()})
    for name, theta in START.items():
        np.testing.assert_allclose(params[name], sgd(0.1, 0.9)(theta, [g[name] for g in clipped]), rtol=1e-12)
    assert state[0] == ()
    assert int(state[1].count) == STEPS


def test_a_chain_gives_extra_arguments_to_those_that_ask_for_them():
    seen = {}

    def plain(grads, state, params=None):
        return grads, state

    def greedy(grads, state, params=None, *, value):
        seen["value"] = value
        return grads, state

    def anything(grads, state, params=None, **extra):
        seen["extra"] = set(extra)
        return grads, state

    chain = optim.chain(*(optim.Optimizer(lambda params: (), f) for f in (plain, greedy, anything)), optim.sgd(1.0))
    chain.update(jnp.ones(2), chain.init(jnp.ones(2)), jnp.ones(2), value=3.0, value_fn=None)
    assert seen == {"value": 3.0, "extra": {"value", "value_fn"}}


def test_the_chain_of_nothing_changes_nothing():
    chain = optim.chain()
    assert chain.update(1.0, chain.init(None)) == (1.0, ())


def test_elementwise_lifts_what_is_written_for_one_array():
    @optim.elementwise("total")
    def adagrad(learning_rate):
        def update(t, g, s):
            s = s + g**2
            return -learning_rate * g / (jnp.sqrt(s) + 1e-8), s

        return update

    optimizer = adagrad(0.1)
    state = optimizer.init({"a": jnp.zeros(2), "b": [jnp.zeros((2, 1))]})
    assert state._fields == ("count", "total")
    updates, state = optimizer.update({"a": jnp.ones(2), "b": [jnp.ones((2, 1))]}, state)
    np.testing.assert_allclose(updates["b"][0], -0.1, rtol=1e-6)
    assert repr(optimizer) == "adagrad(0.1)"


def test_any_container_may_hold_the_parameters():
    tree = (jnp.ones(2), [{"x": jnp.ones(())}, None], {"y": ()})
    optimizer = optim.adamw(0.1)
    updates, _ = optimizer.update(tree, optimizer.init(tree), tree)
    assert jax.tree.structure(updates) == jax.tree.structure(tree)
    assert jax.tree.structure(optim.apply_updates(tree, updates)) == jax.tree.structure(tree)


def test_linear_decay_goes_straight_from_start_to_end_and_stays_there():
    schedule = optim.schedules.linear_decay(0.2, 0.04, 8)
    np.testing.assert_allclose(
        [schedule(t) for t in (0, 2, 4, 8, 9, 10**9)], [0.2, 0.16, 0.12, 0.04, 0.04, 0.04], rtol=1e-6
    )
