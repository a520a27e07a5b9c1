"""What a sweep will be, said before it is, and that it keeps to it."""

import jax
import numpy as np
import pytest

import fnnet
from fnnet import errors, hp
from fnnet.sweeps import memory, plans, timing
from fnnet.sweeps.lanes import Lanes, choose_lanes
from fnnet.sweeps.preparing import prepare

KEY = jax.random.key(2)


@pytest.fixture(scope="module")
def plan_flowers(flowers, learner):
    """The plan for the flowers, on one device."""

    def plan(space, **changes):
        arguments = {"validation": flowers[1], "epochs": 3, "batch_size": 5, "key": KEY, "devices": jax.devices()[:1]}
        return fnnet.plan(learner, space, flowers[0], **(arguments | changes))

    return plan


@pytest.fixture(scope="module")
def planned(plan_flowers, space):
    """Twelve trials of two structures, with two seeds."""
    return plan_flowers({**space, "width": hp.static(4, 8)}, trials=12, seeds=2)


def test_a_plan_counts_runs_programs_parameters_and_bytes(planned, flowers):
    assert (planned.runs, planned.trials, planned.seeds, planned.folds) == (24, 12, 2, None)
    assert (planned.epochs, planned.updates) == (3, 12)
    table = planned.table
    assert table["width"].tolist() == [4, 8] or table["width"].tolist() == [8, 4]
    assert table["runs"].tolist() == [12, 12]
    for row in table.itertuples():
        assert row.parameters == 3 * row.width + row.width + row.width * 3 + 3
        # Parameters, the best ones, Adam's two moments, 64 rows of five scores, a few numbers more, and the largest
        # array once more on its way to the host, of four devices one after the other.
        assert 0 < row.bytes_a_lane - 4 * (4 * row.parameters + 64 * 5 + 3 * row.width / 4) < 200
        assert row.bytes > row.runs * row.bytes_a_lane
        # Forward two products, backward three, of 5 rows with 3·w and w·3 weights: two operations each.
        products = 2 * 5 * (3 * row.width * 2 + 3 * row.width * 3)
        assert products < row.flops < 10 * products
    arrays = [array for part in flowers for array in (part.inputs, part.targets)]
    assert planned.data == sum(np.asarray(array).nbytes for array in arrays)


def test_a_plan_says_itself_in_a_few_lines(planned):
    said = str(planned)
    assert "12 trials × 2 seeds = 24" in said
    assert "traced hyperparameters: learning_rate, drop_rate" in said
    assert "programs: 2" in said
    assert "on each device (50% of " in said
    assert "width=4: 12 runs, 31 parameters" in said


@pytest.mark.exhaustive  # compiles several programs of its own
def test_folds_are_runs_too(plan_flowers, space):
    planned = plan_flowers(space, trials=4, folds=3, validation=None)
    assert planned.runs == 12
    assert "4 trials × 1 seed × 3 folds = 12" in str(planned)


def ready_for(flowers, learner, space, lanes, devices=1, **changes):
    arguments = {"trials": 8, "seeds": 1, "epochs": 3, "batch_size": 5, "key": KEY, "sampler": "random", "folds": None}
    arguments |= {"monitor": None, "evaluate_every": 1, "early_stopping": None, "share": (), "memory": 0.5}
    arguments |= {"lanes": lanes, "devices": jax.devices()[:devices]}
    return prepare("sweep", learner, space, *flowers, **(arguments | changes))


@pytest.mark.exhaustive  # compiles several programs of its own
@pytest.mark.parametrize("lanes", ["map", 2, "vmap"])
def test_memory_is_linear_in_lanes_and_what_the_compiler_says(lanes, flowers, learner, space):
    ready = ready_for(flowers, learner, space, lanes)
    group, work = ready.groups[0], ready.work
    found = memory.measure(group, work, ready.lanes)
    programs = memory.group_programs(group.build, work.batch_size, work.monitor, ready.lanes, work.period)
    for lanes_there in (32, 64):
        said = memory.compiled_bytes(programs, group, work, ready.lanes, lanes_there)
        assert abs(found.of(lanes_there) - said) <= 0.03 * said
    # The estimate without compiling may be too careful, but not careless.
    assert memory.estimate(group, work, ready.lanes, memory.one_lane(group, work)).of(64) > 0.6 * found.of(64)


@pytest.mark.exhaustive  # compiles several programs of its own
def test_as_many_lanes_fly_as_fit_and_the_others_wait(sweep_flowers, space, same, monkeypatch):
    arguments = {"trials": 16, "devices": jax.devices()[:1]}
    whole = sweep_flowers(space, **arguments)
    assert whole.plan.groups[0].at_once >= 16
    exactly = plans.plan_group(
        whole.plan.groups[0].group, whole._trained.work, Lanes(1, jax.devices()[:1]), whole.plan.share, True
    ).memory
    monkeypatch.setattr(plans, "device_memory", lambda device: 2 * exactly.of(5))
    few = sweep_flowers(space, **arguments)
    group = few.plan.groups[0]
    assert group.at_once == 4  # the greatest power of two that fits
    assert group.bytes_at_once <= few.plan.share.limit < group.memory.of(8)
    pack = few.table.drop(columns="seconds")
    assert pack.equals(whole.table.drop(columns="seconds"))
    same(dict(few.history), dict(whole.history))


def test_memory_is_a_share(sweep_flowers, space):
    for wrong in (0.0, 1.5, "half"):
        with pytest.raises((errors.HyperparameterError, errors.StructureError), match="memory"):
            sweep_flowers(space, trials=2, memory=wrong)


def test_the_machine_has_memory():
    assert 2**28 < memory.machine_memory() < 2**50
    assert memory.device_memory(jax.devices()[0]) == memory.machine_memory() // len(jax.devices())


def test_lanes_have_few_sizes():
    parts, whole = Lanes(2, jax.devices()), Lanes(0, jax.devices())
    assert [parts.capacity(runs) for runs in (1, 8, 9, 16, 17, 33)] == [8, 8, 16, 16, 32, 64]
    assert parts.capacity(1, widest=33) == 64
    assert [whole.capacity(runs, widest=64) for runs in (64, 33, 32, 17, 5, 4, 1)] == [64, 64, 32, 32, 8, 4, 4]
    assert parts.parts(3, 16).tolist() == [1, 1, 1, 0]
    assert parts.parts(13, 16).tolist() == [2, 2, 2, 2]
    assert parts.positions(6, 16).tolist() == [0, 1, 4, 5, 8, 12]


@pytest.mark.exhaustive  # compiles several programs of its own
def test_ways_are_timed_if_there_is_enough_to_do_and_the_answer_is_kept(
    sweep_flowers, learner, space, monkeypatch, tmp_path, same
):
    """Two ways on one device; the clock is made to prefer the second, so that the answer does not depend on it."""
    arguments = {"trials": 4, "epochs": 20, "devices": jax.devices()[:1], "lanes": "auto"}
    assert choose_lanes("auto", jax.devices()).others == (16, 128)
    plain = sweep_flowers(space, **arguments | {"lanes": 4})
    monkeypatch.setattr(timing, "WORTH", 0.0)
    monkeypatch.setattr(timing, "_found", {})
    usual, asked = timing._pace, []

    def pace(packs, until, generation):
        usual(packs, until, generation)
        asked.append(packs.lanes.width)
        return 1.0 / packs.lanes.width

    monkeypatch.setattr(timing, "_pace", pace)
    timed = sweep_flowers(space, **arguments, out=tmp_path)
    assert asked == [1, 4]
    assert timed.cost["lanes"].tolist() == ["4 at once"]
    assert (timed.table["epochs"] == 20).all()
    for name, values in plain.history.items():
        np.testing.assert_allclose(timed.history[name], values, rtol=2e-3, atol=1e-5)
    again = sweep_flowers(space, **arguments)
    assert asked == [1, 4]
    same(dict(again.history), dict(plain.history))
    timing._found.clear()
    more = sweep_flowers(space, **arguments | {"seeds": 2}, out=tmp_path)
    assert asked == [1, 4]
    assert more.cost["lanes"].tolist() == ["4 at once"]


def test_little_work_is_not_timed(sweep_flowers, space, monkeypatch):
    monkeypatch.setattr(timing, "_pace", lambda *_: pytest.fail("timed"))
    sweep_flowers(space, trials=3, seeds=2, epochs=19)
