"""A look at each part's outcome is enough: a run that diverges ends where a look at each step would have ended it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnnet
from fnnet import losses, metrics, nn, optim
from fnnet.train.core import functions
from fnnet.train.lockstep import anywhere, least
from fnnet.train.state import DIVERGED, FINISHED, RUNNING

PERIOD, STEPS, NEVER = 4, 16, 99.0
WHENS = [0.0, 5.0, 7.0, 11.0, NEVER]


@pytest.fixture(scope="module")
def lanes(flowers):
    """Functions over lanes that are computed at once: their states, and steps of lanes that diverge when told."""
    train, validation = (jax.tree.map(jnp.asarray, part) for part in flowers)

    def training(when):
        def learning_rate(t):
            return jnp.where(t == when, jnp.nan, 0.05)

        model = nn.chain(nn.dense(4), nn.relu, nn.dropout(0.2), nn.dense(3))
        found = {"accuracy": metrics.accuracy}
        learner = fnnet.Learner(model, losses.softmax_cross_entropy, optim.adam(learning_rate), found)
        return functions(learner, batch_size=5)

    def advance(when, state, start, steps, until):
        return training(when).advance(state, train, validation, start, steps, until=until)

    def begun(key):
        return training(NEVER).init(key, train.inputs[:1])

    mapped = jax.vmap(advance, in_axes=(0, 0, None, None, 0))
    return jax.vmap(begun)(jax.random.split(jax.random.key(0), len(WHENS))), jax.jit(mapped), advance


def lane(tree, index):
    return jax.tree.map(lambda leaf: leaf[index], tree)


def test_each_lane_ends_at_its_own_last_finite_state_and_the_others_do_not_notice(lanes, same):
    states, advance, _ = lanes
    everything, calm = jnp.full(len(WHENS), STEPS), jnp.full(len(WHENS), NEVER)
    after, rows = advance(jnp.asarray(WHENS), states, 0, STEPS, everything)
    assert after.status.tolist() == [DIVERGED] * 4 + [FINISHED]
    assert after.step.tolist() == [*WHENS[:4], STEPS]
    undisturbed, undisturbed_rows = advance(calm, states, 0, STEPS, everything)
    same(lane((after, rows), 4), lane((undisturbed, undisturbed_rows), 4))
    for index, when in enumerate(WHENS[:4]):
        until_then, _ = advance(calm, states, 0, int(when), everything)
        assert until_then.status.tolist() == [RUNNING] * len(WHENS)
        same(lane(after._replace(status=()), index), lane(until_then._replace(status=()), index))
        ended = int(when) // PERIOD
        for name, values in rows.items():
            np.testing.assert_array_equal(values[index, :ended], undisturbed_rows[name][index, :ended])
            assert np.isnan(values[index, ended:]).all()


@pytest.mark.parametrize("cuts", [[2], [5, 6], [7, 8, 9], range(1, STEPS)])
def test_no_cut_of_the_calls_changes_where_a_lane_ends_or_what_it_tells(cuts, lanes, same):
    states, advance, _ = lanes
    whens, until = jnp.asarray(WHENS), jnp.asarray([STEPS, STEPS, 6, 9, 13])  # in the midst of periods
    whole, history = advance(whens, states, 0, STEPS, until)
    assert whole.step.tolist() == [0, 5, 6, 9, 13]
    assert whole.status.tolist() == [DIVERGED, DIVERGED, FINISHED, FINISHED, FINISHED]
    assert np.isfinite(history["gradient_norm"][4, : STEPS // PERIOD]).all()
    start, parts = 0, []
    for end in [*cuts, STEPS]:
        states, rows = advance(whens, states, start, end - start, until)
        ended = end // PERIOD - start // PERIOD
        parts.append({name: values[:, :ended] for name, values in rows.items()})
        start = end
    same(states, whole)
    for name, values in history.items():
        joined = np.concatenate([part[name] for part in parts], axis=1)
        np.testing.assert_array_equal(joined, values[:, : STEPS // PERIOD], err_msg=name)


def test_what_a_lane_tells_that_waits_for_the_end_of_its_period_does_not_depend_on_the_others(lanes):
    states, advance, _ = lanes
    calm = jnp.full(len(WHENS), NEVER)
    beside = [[6, 6, 6, 6, 6], [6, 7, 8, 8, 8], [6, 5, 7, 1, 8]]
    norms = [advance(calm, states, 0, 8, jnp.asarray(until))[1]["gradient_norm"][0, 1] for until in beside]
    assert len({float(norm) for norm in norms}) == 1
    assert norms[0] > 0


def test_lanes_may_do_different_numbers_of_steps(lanes):
    states, _, alone = lanes
    whens, counts = jnp.asarray(WHENS), jnp.asarray([3, 8, 6, 0, 12])
    everything = jnp.full(len(WHENS), STEPS)
    after, _ = jax.jit(jax.vmap(alone, in_axes=(0, 0, None, 0, 0)))(whens, states, 0, counts, everything)
    assert after.step.tolist() == [0, 5, 6, 0, 12]
    assert after.status.tolist() == [DIVERGED, DIVERGED, RUNNING, RUNNING, RUNNING]


def test_a_branch_stays_a_branch_for_lanes_that_are_computed_at_once(lanes):
    """Else every lane would be evaluated at every step."""
    states, mapped, alone = lanes
    whens, until = jnp.asarray(WHENS), jnp.full(len(WHENS), STEPS)
    at_once = str(jax.make_jaxpr(mapped)(whens, states, 0, STEPS, until))
    one = str(jax.make_jaxpr(alone)(whens[0], lane(states, 0), 0, STEPS, until[0]))
    # The evaluation and the norm of the gradient; and two choices of a state, which each lane makes for itself.
    assert (at_once.count(" cond["), one.count(" cond[")) == (2, 4)


def test_what_lanes_share_has_no_lane_axis_however_they_are_mapped():
    flags, numbers = jnp.asarray([[False, True], [False, False]]), jnp.asarray([[3, 1], [2, 4]])

    def shared(flag, number):
        return anywhere(flag), least(number)

    assert [bool(shared(flag, 0)[0]) for flag in (True, False)] == [True, False]
    any_row, least_row = jax.vmap(shared, out_axes=None)(flags[0], numbers[0])
    assert (any_row.shape, bool(any_row), int(least_row)) == ((), True, 1)
    inner = jax.vmap(shared, out_axes=None)
    any_all, least_all = jax.vmap(inner, out_axes=None)(flags, numbers)
    assert (any_all.shape, bool(any_all), int(least_all)) == ((), True, 1)
    any_one, least_one = jax.vmap(shared, in_axes=(None, 0), out_axes=None)(jnp.asarray(True), numbers[1])
    assert (bool(any_one), int(least_one)) == (True, 2)
