"""Ctrl-C: the first brings back what there is, the second raises."""

import signal

import numpy as np
import pytest

from fnnet.train.progress import Progress


@pytest.fixture
def press(monkeypatch):
    """Sends this process SIGINT, a number of times, when the first chunk is reported."""
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def times(count):
        def update(self, *arguments):
            for _ in range(count):
                signal.raise_signal(signal.SIGINT)

        monkeypatch.setattr(Progress, "update", update)

    yield times
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_returns_what_there_is(press, run, fit_flowers, flowers, learner):
    press(1)
    part = fit_flowers(learner(), epochs=1000)
    assert part.status == "running"
    assert part.history.epochs == 1
    assert int(part.state.step) == 4
    assert "it was interrupted and can go on" in part.sentence
    for name, values in part.history.items():
        np.testing.assert_array_equal(values, run.history[name][:1])
    assert part.predict(flowers[1].inputs).shape == (6, 3)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_ctrl_c_raises(press, fit_flowers, learner):
    press(2)
    with pytest.raises(KeyboardInterrupt):
        fit_flowers(learner(), epochs=1000)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
