"""The rows of the parity table hold, and the page shows them."""

import re

import parity_table
import pytest

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


def test_the_page_is_the_one_that_the_table_writes_but_for_the_size_of_the_differences():
    def without_sizes(text):
        return re.sub(r"\| *(\d+e[+-]\d+)? *\|$", "| |", text, flags=re.MULTILINE)

    written = parity_table.PAGE.read_text()
    assert without_sizes(written) == without_sizes(parity_table.page({})), "run: python tests/peers/parity_table.py"
    sizes = re.findall(r"\| (\d+e[+-]\d+) \|$", written, re.MULTILINE)
    assert len(sizes) == len(PAIRS)
    assert max(map(float, sizes)) <= parity_table.LARGEST
