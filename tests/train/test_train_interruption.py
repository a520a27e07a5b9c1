"""Ctrl-C: the first brings back what there is, the second raises."""

import numpy as np
import pytest


def test_ctrl_c_returns_what_there_is(pressing, run, fit_flowers, flowers, learner):
    with pressing():
        part = fit_flowers(learner(), epochs=1000)
    assert part.status == "running"
    assert part.history.epochs == 1
    assert int(part.state.step) == 4
    assert "it was interrupted and can go on" in part.sentence
    for name, values in part.history.items():
        np.testing.assert_array_equal(values, run.history[name][:1])
    assert part.predict(flowers[1].inputs).shape == (6, 3)


def test_a_second_ctrl_c_raises(pressing, fit_flowers, learner):
    with pressing(times=2), pytest.raises(KeyboardInterrupt):
        fit_flowers(learner(), epochs=1000)
