"""The rows of the parity tables hold, and the page shows them."""

import re

import parity_table
import pytest
import solver_table

from fnnet import optim

PAIRS = [
    pytest.param(row, peer, id=f"{row.ours} {peer}")
    for row in parity_table.ROWS
    for peer in ("optax", "torch")
    if getattr(row, peer)
]


@pytest.mark.parametrize(("row", "peer"), PAIRS)
def test_a_hundred_steps_on_three_problems_are_the_peers(row, peer, record_property):
    pytest.importorskip(peer, reason=f"{peer} is a reference and not a dependency")
    gap = parity_table.largest(row, peer)
    record_property("largest difference", float(gap))
    assert gap <= parity_table.LARGEST


def test_a_row_that_a_peer_has_no_equal_to_says_why():
    for row in parity_table.ROWS:
        assert (row.optax and row.torch) or row.why, row.ours


def test_every_first_order_method_is_compared():
    named = {row.name for row in parity_table.ROWS}
    assert named <= set(optim.__all__)
    assert named == {
        "sgd", "ema_momentum", "normalized_gradient", "lion", "adagrad", "rmsprop", "adadelta", "adam", "adamw",
        "nadam", "amsgrad", "adamax", "radam", "adan", "muon",
    }  # fmt: skip


@pytest.mark.parametrize("call", solver_table.DIRECTIONS)
def test_directions_of_lbfgs_are_the_peers(call, record_property):
    pytest.importorskip(solver_table.DIRECTIONS[call][0], reason="a reference and not a dependency")
    gap = parity_table.largest_direction(call)
    record_property("largest difference", float(gap))
    assert gap <= solver_table.LARGEST


@pytest.mark.parametrize("solver", solver_table.SOLVERS, ids=lambda solver: solver.ours)
def test_a_solver_finds_the_minimum_that_scipy_finds(solver, record_property):
    pytest.importorskip("optax", reason="runs where the parity with peers is asked for")
    with parity_table.as_they_are("scipy"):
        steps, theirs, gap = solver_table.solved(solver)
    record_property("updates, scipy's, difference", (steps, theirs, gap))
    assert gap <= solver.close


def test_every_optimizer_is_compared_or_a_transformation_of_another():
    named = {row.name for row in parity_table.ROWS} | {row.ours.split("(")[0] for row in solver_table.SOLVERS}
    transformations = {
        "accumulate", "add_weight_decay", "chain", "clip", "clip_by_global_norm", "clip_by_norm", "freeze",
        "decoupled_weight_decay", "ema_parameters", "partition", "skip_nonfinite",
    }  # fmt: skip
    others = {
        "Optimizer", "Result", "apply_updates", "augmented_lagrangian", "by_path", "elementwise", "rate",
        "evaluation_parameters", "grid_search", "half_sum_of_squares", "learning_rate", "least_squares", "line_search",
        "matrices", "minimize", "minimize_quadratic", "newton_root", "schedules", "solve_conjugate_gradient",
    }  # fmt: skip
    assert set(optim.__all__) == named | transformations | others


def test_the_page_is_the_one_that_the_table_writes_but_for_the_size_of_the_differences():
    def without_sizes(text):
        return re.sub(r"(\| *\d+, \d+ |\|  )?\| *(\d+e[+-]\d+)? *\|$", "| |", text, flags=re.MULTILINE)

    written = parity_table.PAGE.read_text()
    assert without_sizes(written) == without_sizes(parity_table.page({}, {}, {})), (
        "run: python tests/peers/parity_table.py"
    )
    stepwise, found = written.split("| fnnet | SciPy |")
    sizes = re.findall(r"\| (\d+e[+-]\d+) \|$", stepwise, re.MULTILINE)
    assert len(sizes) == len(PAIRS) + len(solver_table.DIRECTIONS)
    gaps = re.findall(r"\| \d+, \d+ \| (\d+e[+-]\d+) \|$", found, re.MULTILINE)
    assert all(float(gap) <= solver.close for gap, solver in zip(gaps, solver_table.SOLVERS, strict=True))
    assert max(map(float, sizes)) <= parity_table.LARGEST
