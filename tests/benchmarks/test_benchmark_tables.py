"""What benchmarks make of the seconds that they have measured; no seconds are measured here."""

import importlib
import inspect

import pytest

from benchmarks import __main__ as command
from benchmarks import measuring, reporting, scaling, sweep_warm, update

ROW = reporting.Row("a step", "by hand", 2.0, 3.0, "s", 1.5)


@pytest.mark.parametrize("name", command.NAMES)
def test_every_benchmark_measures_by_options_and_says_in_one_line_what_it_is(name):
    assert list(inspect.signature(importlib.import_module(f"benchmarks.{name}").measure).parameters) == ["options"]
    assert len(command.first_line(name)) > 20


def test_what_takes_longer_than_ours_has_a_ratio_above_one():
    assert ROW.ratio == 1.5
    assert [ROW._replace(asked=asked).reached for asked in (1.5, 1.6, None)] == ["yes", "no", ""]


def test_a_contender_that_is_missing_has_no_ratio_and_its_row_says_so():
    row = ROW._replace(theirs=None, note="torch is not installed")
    assert (row.ratio, row.reached) == (None, "")
    said = "| a step | by hand | 1.5 | 2\N{NO-BREAK SPACE}s | – (torch is not installed) |  |"
    assert said in reporting.table({"here": [row]})


@pytest.mark.parametrize(
    ("theirs", "unit", "said"),
    [
        (999.0, "µs", "999 µs"),
        (1000.0, "µs", "1 ms"),
        (1.1e6, "µs", "1.1 s"),
        (5000.0, "s", "5,000 s"),
        (2e3, "MiB", "2,000 MiB"),
    ],
)
def test_long_times_are_in_larger_units(theirs, unit, said):
    row = ROW._replace(theirs=theirs, unit=unit)
    assert f"| {said} |" in reporting.table({"here": [row]}).replace("\N{NO-BREAK SPACE}", " ")


def test_machines_stand_side_by_side_and_what_one_has_not_measured_is_empty():
    other = ROW._replace(work="another", asked=2.0)
    head, _, *lines = (
        reporting.table({"here": [ROW], "there": [other, ROW]}).replace("\N{NO-BREAK SPACE}", " ").split("\n")
    )
    assert head == "| work | against | asked | here: fnnet | theirs | ratio | there: fnnet | theirs | ratio |"
    assert lines == [
        "| a step | by hand | 1.5 | 2 s | 3 s | 1.50 | 2 s | 3 s | 1.50 |",
        "| another | by hand | 2 |  |  |  | 2 s | 3 s | 1.50, missed |",
    ]


def test_a_table_stands_between_its_marks_and_what_is_around_them_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(reporting, "RESULTS", tmp_path)
    reporting.keep("fit", reporting.Options(1, "cpu", False), [ROW], {})
    begin, end = (mark.format(name="fit") for mark in (reporting.BEGIN, reporting.END))
    (machine,) = reporting.kept("fit")
    assert reporting.kept("fit") == {machine: [ROW]}
    for old in ("", "an old table"):
        page = reporting.page(f"before\n{begin}{old}{end}\nbehind")
        assert page == f"before\n{begin}\n\n{reporting.table({machine: [ROW]})}\n\n{end}\nbehind"


@pytest.mark.parametrize(("ratios", "counts"), [((3.0, 1.0), 1.0), ((3.0, 1.0, 2.0), 2.0), ((4.0, 1.0, 2.0, 3.0), 2.0)])
def test_the_beginning_in_the_middle_counts_and_never_the_better_of_two(ratios, counts):
    ours, theirs = update.middle({"fnnet": [1e-6] * len(ratios), "optax": [1e-6 * r for r in ratios]}, "optax")
    assert theirs / ours == pytest.approx(counts)


@pytest.mark.parametrize("count", [2, 4, 8, 64])
def test_a_contender_that_trains_some_rates_has_as_many_different_ones(count):
    places = sweep_warm.places(count)
    assert len(set(places.tolist())) == count
    assert 0 <= places.min() <= places.max() < len(sweep_warm.RATES)


@pytest.mark.parametrize(("device", "largest"), [("cpu", 1e8), ("gpu", 1e9)])
def test_a_card_has_a_larger_tree(device, largest):
    sizes = [[cell.size for cell in update.adams(device, False) if cell.leaves == leaves] for leaves in (1, 30, 1000)]
    assert list(map(max, sizes)) == [largest, largest, 1e8]


@pytest.mark.parametrize(
    ("device", "runs", "devices"), [("cpu", [1, 8, 64, 512, 4096], 2), ("gpu", [1, 8, 64, 512, 4096, 16384], 1)]
)
def test_of_every_number_of_runs_the_time_in_the_middle_counts(device, runs, devices, monkeypatch):
    turns = []

    def cold(name, count, used):
        turns.append((count, used))
        disturbed = turns.count((count, used)) == 2
        said = {"seconds": count * (9.0 if disturbed else 1.0), "peak": count * 2**20, "planned": count * 2**20}
        return measuring.Measured(0.0, 0, 0.0, said)

    monkeypatch.setattr(scaling, "cold", cold)
    rows, _ = scaling.measure(reporting.Options(3, device, False))
    each = [row for row in rows if row.unit == "ms"]
    assert [row.work for row in each] == [f"{count} runs, each" for count in runs]
    assert {(row.ours, row.theirs) for row in each} == {(1000.0, 1000.0)}
    assert ("64 runs on 2 devices" in {row.work for row in rows}) == (device == "cpu")
    assert turns == ([(count, devices) for count in runs] + ([(64, 1)] if device == "cpu" else [])) * 3
    assert rows[-1].theirs == devices * rows[-1].ours == devices * (max(runs) - 1)
