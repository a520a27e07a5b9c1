"""Edges of sweeps: names, counts and data that are almost right."""

import jax
import numpy as np
import pytest

from fnnet import errors, hp, metrics
from fnnet.sweeps.drawing import draw_trials

FAST = {"validation": None, "epochs": 1}


def test_a_structure_without_the_monitored_metric_is_refused(sweep_flowers, learner):
    def function(kind):
        metric = {"a": metrics.accuracy} if kind == "a" else {"b": metrics.accuracy}
        return learner()._replace(metrics=metric)

    with pytest.raises(errors.FnnetError):
        sweep_flowers({"kind": hp.static("a", "b")}, function, epochs=1)


@pytest.mark.exhaustive
def test_counts_may_be_numpy_integers(sweep_flowers, space, tmp_path):
    sweep_flowers(space, trials=3, seeds=np.int64(2), out=tmp_path)


def test_a_hyperparameter_may_not_have_the_name_of_a_column(sweep_flowers, learner):
    with pytest.raises(errors.HyperparameterError):
        sweep_flowers({"seed": hp.grid(0.1, 0.2)}, lambda seed: learner(seed), **FAST)


def test_the_same_call_on_other_data_is_another_sweep(sweep_flowers, space, flowers, tmp_path):
    sweep_flowers(space, trials=3, seeds=2, out=tmp_path)
    other = flowers[1][::-1]
    with pytest.raises(errors.FileError):
        sweep_flowers(space, trials=3, seeds=2, validation=other, out=tmp_path)


def test_a_plain_whole_number_means_the_same_in_a_space_and_in_a_row():
    key = jax.random.key(0)
    assert draw_trials({"width": 4}, None, key, "random") == draw_trials([{"width": 4}], None, key, "random")


@pytest.mark.exhaustive
def test_numbers_that_are_equal_to_python_are_not_one_program(sweep_flowers, learner):
    def function(flag):
        return learner(0.1 if flag is True else 0.001)

    both = sweep_flowers({"flag": hp.static(True, 1)}, function, **FAST)
    alone = sweep_flowers({"flag": hp.static(False, 1)}, function, **FAST)
    assert both.table["train/loss"][1] == alone.table["train/loss"][1]


def test_a_whole_number_that_jax_does_not_hold_is_refused(sweep_flowers, learner):
    with pytest.raises(errors.HyperparameterError, match="which int32 does not hold"):
        sweep_flowers({"n": hp.integers(2**33, 2**34)}, lambda n: learner(), trials=2, **FAST)


def test_a_number_out_of_range_is_refused_before_anything_is_compiled(sweep_flowers, learner):
    with pytest.raises(errors.HyperparameterError, match=r"trial 1 \(drop_rate=1\.5\): dropout: drop_rate is 1\.5"):
        sweep_flowers({"drop_rate": hp.grid(0.1, 1.5)}, lambda drop_rate: learner(0.1, drop_rate), **FAST)


def test_a_folder_with_other_files_is_left_alone(sweep_flowers, space, tmp_path):
    (tmp_path / "table.csv").write_text("mine")
    with pytest.raises(errors.FileError, match="nothing is overwritten"):
        sweep_flowers(space, trials=3, seeds=2, out=tmp_path)
    assert (tmp_path / "table.csv").read_text() == "mine"
