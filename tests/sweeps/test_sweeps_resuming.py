"""A sweep that goes on: killed, grown, with lanes refilled, with too little memory, with draws in common."""

import functools
import itertools
import json
import subprocess
import sys

import jax
import numpy as np
import pandas as pd
import pytest
from safetensors import safe_open
from safetensors.numpy import save as to_bytes

from fnnet import errors, hp, schedulers
from fnnet.sweeps import ledger, packs
from fnnet.sweeps.book import Book
from fnnet.train import driving

pytestmark = pytest.mark.exact


@pytest.fixture(scope="session")
def sweep_flowers(sweep_flowers):
    """One lane after another: what "auto" tries while it times other widths may round otherwise."""
    return functools.partial(sweep_flowers, lanes="map")


def tables(*sweeps):
    """Tables and histories without what follows the clock."""
    return [(s.table.drop(columns="seconds"), dict(s.history)) for s in sweeps]


def assert_same(one, other, same):
    for (a, x), (b, y) in [tuple(tables(one, other))]:
        pd.testing.assert_frame_equal(a, b)
        same(x, y)


class Killed(BaseException):
    """Stands for a signal that no one can catch."""


@pytest.fixture
def kill(monkeypatch):
    """Lets the n-th writing of runs be the last thing that happens; never, if n is 0."""

    usual = ledger.Ledger.write

    def after(number):
        written = []

        def write(self, part, replaced):
            usual(self, part, replaced)
            written.append(1)
            if len(written) == number:
                self.close()
                raise Killed

        monkeypatch.setattr(ledger.Ledger, "write", write)

    return after


def test_law_10_a_killed_sweep_that_is_called_again_has_the_same_table(
    sweep_flowers, space, tmp_path, kill, monkeypatch, same
):
    """Runs in flight are written after each chunk here."""
    monkeypatch.setattr(ledger, "SECONDS", 0.0)
    arguments = {"trials": 3, "seeds": 2, "epochs": 40, "early_stopping": 4, "monitor": "validation/loss"}
    whole = sweep_flowers(space, **arguments)
    for number in range(1, 6):
        kill(number)
        try:
            sweep_flowers(space, **arguments, out=tmp_path / str(number))
        except Killed:
            pass
        else:  # it was done before; how often it writes follows the clock
            break
        assert not (tmp_path / str(number) / "best.safetensors").exists()
        kill(0)
        resumed = sweep_flowers(space, **arguments, out=tmp_path / str(number))
        assert_same(resumed, whole, same)
        for trial, seed in ((0, 0), (2, 1)):
            same(resumed.run(trial, seed).state, whole.run(trial, seed).state)
    assert number > 2


def test_law_10_runs_that_wait_for_their_last_evaluation_go_on(
    sweep_flowers, space, tmp_path, monkeypatch, pressing, same
):
    """Interrupted after every step, also after those at which a run has done all of its own but is not evaluated."""
    monkeypatch.setattr(packs, "drive", functools.partial(driving.drive, limit=lambda done: 1))
    arguments = {"trials": 4, "epochs": hp.integers(1, 4), "evaluate_every": "7 steps"}
    whole, waited = sweep_flowers(space, **arguments), False
    lasts = (whole.table["epochs"] * 4).astype(int).tolist()
    for _ in range(4 * max(lasts)):
        with pressing(at=None):
            swept = sweep_flowers(space, **arguments, out=tmp_path)
        book = swept._trained.book
        runs = [(trial, 0, 0) for trial in range(4)]
        waited |= any(map(book.waits, runs, lasts))
        if (swept.table["status"] == "finished").all():
            break
    else:
        pytest.fail("it never ended")
    assert waited
    assert_same(swept, whole, same)


def test_law_10_copies_of_runs_that_have_ended_have_ended(sweep_flowers, space, tmp_path, kill, same):
    """A population whose last rung is between two evaluations, killed after each writing."""
    population = schedulers.population_based(every=1, exploit=0.25)
    arguments = {"trials": 4, "epochs": 5, "evaluate_every": "7 steps", "scheduler": population}
    whole = sweep_flowers(space, **arguments)
    assert any(parent != [trial] for trial, parent in enumerate(whole.rungs[-1]["parents"]))
    assert (whole.table["status"] == "finished").all()
    for name in ("train/loss", "validation/loss"):
        assert np.isfinite(whole.history[name]).all()
    for number in range(1, 6):
        kill(number)
        with pytest.raises(Killed):
            sweep_flowers(space, **arguments, out=tmp_path / str(number))
        kill(0)
        assert_same(sweep_flowers(space, **arguments, out=tmp_path / str(number)), whole, same)


def test_more_trials_seeds_and_epochs_go_on_with_what_there_is(sweep_flowers, space, tmp_path, same):
    first = sweep_flowers(space, trials=3, seeds=2, out=tmp_path)
    seconds = first.table["seconds"]
    again = sweep_flowers(space, trials=3, seeds=2, out=tmp_path)
    assert (again.table["seconds"] == seconds).all()
    pd.testing.assert_frame_equal(again.cost, first.cost)
    assert again.cost["updates"].tolist() == [6 * 3 * 4]
    wider = sweep_flowers(space, trials=4, seeds=3, out=tmp_path)
    assert len(wider.table) == 12
    kept = wider.table.query("trial < 3 and seed < 2").reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, first.table)
    assert wider.cost["updates"].tolist() == [12 * 3 * 4]
    assert wider.cost["seconds"].iloc[0] > first.cost["seconds"].iloc[0]
    longer = sweep_flowers(space, trials=4, seeds=3, epochs=5, out=tmp_path)
    assert_same(longer, sweep_flowers(space, trials=4, seeds=3, epochs=5), same)
    assert json.loads((tmp_path / "asked.json").read_text())["epochs"] == 5


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seeds": 1}, "it has 2 seeds and now 1 are asked for, but a sweep can only grow"),
        ({"sampler": "latin", "trials": 4}, "a Latin hypercube of another size has other points"),
        ({"share": ["data"]}, "its share was [] and now is ['data']"),
        ({"early_stopping": 3}, "its early_stopping was None and now is [3.0, 0.0]"),
    ],
)
def test_what_does_not_go_on_with_a_sweep_is_refused(changes, said, sweep_flowers, space, tmp_path, compilations):
    before = {"trials": 3, "seeds": 2, "sampler": changes.get("sampler", "random"), "out": tmp_path}
    sweep_flowers(space, **before)
    compilations.clear()
    with pytest.raises(errors.FileError) as caught:
        sweep_flowers(space, **(before | changes))
    assert said in str(caught.value)
    assert compilations == []


@pytest.mark.exhaustive  # compiles programs of its own
def test_epochs_that_end_between_two_evaluations_cannot_be_more(sweep_flowers, space, tmp_path):
    sweep_flowers(space, trials=3, seeds=2, evaluate_every=2, out=tmp_path)
    with pytest.raises(errors.FileError, match="its epochs were 3, which does not end with an evaluation"):
        sweep_flowers(space, trials=3, seeds=2, evaluate_every=2, epochs=5, out=tmp_path)


@pytest.mark.exhaustive  # compiles programs of its own
def test_a_second_process_is_refused_while_the_first_is_at_work(sweep_flowers, space, tmp_path):
    first = ledger.Ledger(tmp_path)
    program = f"from pathlib import Path; from fnnet.sweeps.ledger import Ledger; Ledger(Path({str(tmp_path)!r}))"
    second = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert f"sweep: another process is at work in {tmp_path}. Wait until it ends" in second.stderr
    first.close()
    assert subprocess.run([sys.executable, "-c", program], capture_output=True).returncode == 0


def test_a_state_of_another_structure_is_named(sweep_flowers, space, tmp_path):
    """As another version of the library might have left it."""
    sweep_flowers(space, trials=3, seeds=2, out=tmp_path)
    for file in (tmp_path / "runs").iterdir():
        with safe_open(file, framework="numpy") as saved:
            header = saved.metadata()
            tensors = {name: saved.get_tensor(name) for name in saved.keys()}  # noqa: SIM118
        del tensors["state/tally/loss"]
        file.write_bytes(to_bytes(tensors, header))
    with pytest.raises(errors.FileError, match=r"has nothing at state/tally/loss of a run, which has float32\[\]"):
        sweep_flowers(space, trials=3, seeds=2, epochs=4, out=tmp_path)


def test_a_damaged_file_of_runs_is_named_and_its_runs_are_trained_again(sweep_flowers, space, tmp_path, same):
    whole = sweep_flowers(space, trials=3, seeds=2, out=tmp_path)
    file = next((tmp_path / "runs").iterdir())
    file.write_bytes(file.read_bytes()[:-7])
    with pytest.warns(errors.FnnetWarning, match="cannot be read .* Its runs are trained again"):
        again = sweep_flowers(space, trials=3, seeds=2, out=tmp_path)
    assert_same(again, whole, same)


@pytest.fixture
def at_most(monkeypatch):
    """Lets so many runs fly at once."""

    def limit(number):
        usual = packs.Packs.__init__

        def init(self, group, work, lanes, at_once, host):
            usual(self, group, work, lanes, number, host)

        monkeypatch.setattr(packs.Packs, "__init__", init)

    return limit


def test_lanes_are_refilled_and_change_nothing(sweep_flowers, space, same, at_most):
    arguments = {"trials": 8, "seeds": 2, "epochs": 40, "early_stopping": 2, "monitor": "validation/loss"}
    whole = sweep_flowers(space, **arguments)
    assert whole.table["epochs"].nunique() > 3
    at_most(8)
    few = sweep_flowers(space, **arguments)
    assert_same(few, whole, same)
    # Without refilling, each pack of eight would compute as long as its longest run.
    runs, updates = whole.table["epochs"].to_numpy() * 4, few.cost["updates"].sum()
    assert updates == runs.sum()
    assert few.cost["finished"].iloc[0] < 0.5


def test_runs_that_were_entered_between_two_evaluations_go_on_without_memory(
    sweep_flowers, space, same, monkeypatch, tmp_path
):
    """Each call is entered; the fourth, which is in the midst of a period, finds no memory."""
    arguments = {"trials": 4, "epochs": 4, "evaluate_every": "7 steps", "devices": jax.devices()[:1]}
    whole = sweep_flowers(space, **arguments)
    monkeypatch.setattr(ledger, "SECONDS", 0.0)
    calls = itertools.count(1)

    def drive(advance, state, **others):
        def advanced(*call):
            if next(calls) == 4:
                raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1 bytes.")
            return advance(*call)

        return driving.drive(advanced, state, **others, limit=lambda done: 3)

    monkeypatch.setattr(packs, "drive", drive)
    assert_same(sweep_flowers(space, **arguments, out=tmp_path), whole, same)


@pytest.mark.exhaustive  # compiles programs of its own
def test_a_device_without_memory_gets_half_of_the_lanes(sweep_flowers, space, swept, same, monkeypatch):
    widths = []
    usual = packs.drive

    def drive(advance, state, **arguments):
        lanes = state.step.shape[0]
        widths.append(lanes)
        if lanes > 4:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1 bytes.")
        return usual(advance, state, **arguments)

    monkeypatch.setattr(packs, "drive", drive)
    few = sweep_flowers(space, trials=3, seeds=2)
    assert widths[0] == 32
    assert set(widths[1:]) == {4}
    assert_same(few, swept, same)


def test_states_that_are_let_go_are_trained_again(sweep_flowers, space, swept, flowers, same):
    few = sweep_flowers(space, trials=3, seeds=2)
    book: Book = few._trained.book
    best = few.table.loc[few.best.name, ["trial", "seed"]].tolist()
    book.let_go(2, lambda run: float(list(run[:2]) == best))
    assert not any(part.kept for part in book.parts())
    same(few.run(1, 1).state, swept.run(1, 1).state)
    same(few.predict(flowers[1].inputs), swept.predict(flowers[1].inputs))


def test_common_random_numbers(sweep_flowers, same):
    rows = [{"learning_rate": 0.01, "drop_rate": 0.3}] * 2
    apart = sweep_flowers(rows, seeds=2)
    assert (apart.history["train/loss"][0] != apart.history["train/loss"][2]).any()
    alike = sweep_flowers(rows, seeds=2, share=("initialization", "data", "dropout"))
    same(alike.history["train/loss"][:2], alike.history["train/loss"][2:])
    assert (alike.history["train/loss"][0] != alike.history["train/loss"][1]).any()
    assert (alike.table["share"] == "initialization, data, dropout").all()
    assert alike.compare(0, 1).difference == 0
    some = sweep_flowers(rows, seeds=2, share=["initialization"], epochs=1)
    assert (some.history["train/loss"][0] != some.history["train/loss"][2]).any()
    with pytest.raises(errors.HyperparameterError) as caught:
        sweep_flowers(rows, share="weights")
    assert str(caught.value) == (
        "sweep: share names 'weights', but trials can share only 'initialization', 'data', 'dropout'."
    )
