"""The folder of a sweep, and Ctrl-C."""

import json
import re

import jax
import numpy as np
import pandas as pd
import pytest

import fnnet
from fnnet import errors, hp, nn

FILES = ["asked.json", "best.safetensors", "cost.json", "history.parquet", "plan.json", "runs"]
FILES += ["table.csv", "table.parquet"]


@pytest.fixture(scope="module")
def kept(sweep_flowers, space, tmp_path_factory):
    """A sweep and its folder."""
    folder = tmp_path_factory.mktemp("runs") / "flowers"
    return sweep_flowers(space, trials=3, seeds=2, out=folder), folder


def test_the_folder_holds_table_history_best_model_and_what_was_asked(kept):
    assert sorted(path.name for path in kept[1].iterdir()) == FILES


def test_the_table_is_read_back_as_it_was(kept):
    swept, folder = kept
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "table.parquet"), swept.table, check_dtype=False)
    pd.testing.assert_frame_equal(
        pd.read_csv(folder / "table.csv"), swept.table, check_dtype=False, check_exact=False, rtol=1e-6
    )


def test_the_history_is_read_back_with_a_row_a_run_and_epoch(kept):
    swept, folder = kept
    tidy = pd.read_parquet(folder / "history.parquet")
    assert list(tidy.columns[:3]) == ["trial", "seed", "epoch"]
    assert len(tidy) == 18
    assert tidy["epoch"].tolist() == [1, 2, 3] * 6
    for name, values in swept.history.items():
        np.testing.assert_array_equal(tidy[name].to_numpy().reshape(6, 3), values)


def test_what_was_asked_is_written_down(kept):
    asked = json.loads((kept[1] / "asked.json").read_text())
    assert asked.pop("versions")["fnnet"] == fnnet.__version__
    assert len(asked.pop("drawn")) == 3
    assert asked.pop("structures")[0].startswith("Learner(model=")
    assert re.fullmatch(r"3\.\d+ [0-9a-f]{16}", asked.pop("learner's code"))
    digests = {part: facts.pop("digest") for part, facts in asked["data"].items()}
    assert digests["train"] != digests["validation"]
    assert asked == {
        "learner": "make_learner",
        "space": {"learning_rate": "log_uniform(0.001, 0.1)", "drop_rate": "uniform(0.1, 0.5)"},
        "trials": 3,
        "seeds": 2,
        "folds": None,
        "evaluate_every": 4,
        "early_stopping": None,
        "epochs": 3,
        "each": None,
        "batch_size": 5,
        "updates_an_epoch": 4,
        "sampler": "random",
        "scheduler": None,
        "share": [],
        "command": None,
        "monitor": {"name": "validation/accuracy", "maximize": True},
        "key": jax.random.key_data(jax.random.key(2)).tolist(),
        "data": {
            "train": {"name": "", "inputs": ["float32", 17, 3], "targets": ["int32", 17]},
            "validation": {"name": "", "inputs": ["float32", 6, 3], "targets": ["int32", 6]},
        },
    }


def test_the_best_model_is_loaded_and_predicts_the_same(kept, learner, flowers):
    swept, folder = kept
    best = swept.best
    run = swept.run(best["trial"], best["seed"])
    again = fnnet.load(folder / "best.safetensors", learner(best["learning_rate"], best["drop_rate"]))
    np.testing.assert_array_equal(again.predict(flowers[1].inputs), run.predict(flowers[1].inputs))
    assert again.score == run.score
    with pytest.raises(errors.FileError, match="holds another model: at params/0/bias the file has float32\\[4\\]"):
        fnnet.load(folder / "best.safetensors", learner(width=5))


def test_the_same_call_may_write_again_and_another_may_not(kept, sweep_flowers, space, compilations):
    _, folder = kept
    before = pd.read_parquet(folder / "table.parquet").drop(columns="seconds")
    sweep_flowers(space, trials=3, seeds=2, out=folder)
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "table.parquet").drop(columns="seconds"), before)
    with pytest.raises(errors.FileError) as caught:
        sweep_flowers(space, trials=3, seeds=2, epochs=2, out=folder)
    assert str(caught.value) == (
        f"sweep: {folder} holds another sweep: it has 3 epochs and now 2 are asked for, but a sweep can only grow. "
        f"Choose another out=, or delete the folder."
    )
    with pytest.raises(errors.FileError, match=r"its key was .* and now is"):
        sweep_flowers(space, trials=3, seeds=2, key=jax.random.key(3), out=folder)
    with pytest.raises(errors.FileError, match=r"its space/drop_rate was .* and now is"):
        sweep_flowers({**space, "drop_rate": hp.uniform(0.1, 0.2)}, trials=3, seeds=2, out=folder)
    assert json.loads((folder / "asked.json").read_text())["epochs"] == 3
    assert compilations == []


def test_a_folder_whose_request_is_damaged_is_not_overwritten(tmp_path, sweep_flowers, space):
    (tmp_path / "asked.json").write_text("{")
    with pytest.raises(errors.FileError, match=r"asked\.json is damaged, so it is not known what the folder holds"):
        sweep_flowers(space, trials=3, seeds=2, out=tmp_path)
    assert (tmp_path / "asked.json").read_text() == "{"


def test_functions_and_values_of_several_kinds_are_kept_by_name(tmp_path, flowers, learner, sweep_flowers):
    def function(learning_rate, activation, note):
        return learner(learning_rate)._replace(model=nn.chain(nn.dense(3), activation))

    rows = [{"learning_rate": 0.1, "activation": nn.tanh, "note": hp.static("a")}]
    rows = [*rows, {"learning_rate": 0.1, "activation": nn.tanh, "note": hp.static(8)}]
    swept = sweep_flowers(rows, function, devices=jax.devices()[:1], epochs=1, out=tmp_path)
    assert swept.table["activation"].tolist() == ["tanh", "tanh"]
    assert swept.table["note"].tolist() == ["a", 8]
    assert pd.read_parquet(tmp_path / "table.parquet")["note"].tolist() == ["a", "8"]
    asked = json.loads((tmp_path / "asked.json").read_text())
    assert asked["space"][1] == {"learning_rate": "0.1", "activation": "tanh", "note": "static(8)"}


def test_a_sweep_in_which_all_diverged_has_a_folder_without_best_model(tmp_path, sweep_flowers):
    rows = [{"learning_rate": float("nan"), "drop_rate": 0.2}] * 5
    with pytest.warns(errors.DivergenceWarning, match="5 of 5 runs diverged"):
        swept = sweep_flowers(rows, out=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [name for name in FILES if name != "best.safetensors"]
    assert len(pd.read_parquet(tmp_path / "history.parquet")) == 0
    assert len(pd.read_parquet(tmp_path / "table.parquet")) == 5
    assert "best validation/accuracy nan" in repr(swept)
    swept.plot(tmp_path / "sweep.png")


WIDTHS = [{"learning_rate": 0.1 / (i + 1), "width": hp.static(width)} for i, width in enumerate((3, 4, 3, 4))]


def test_ctrl_c_keeps_what_there_is(pressing, sweep_flowers, flowers, tmp_path):
    with pressing():
        swept = sweep_flowers(WIDTHS, out=tmp_path)
    assert swept.table["status"].tolist() == ["running"] * 4
    assert swept.table["epochs"].tolist() == [1, 0, 1, 0]
    assert swept.table["validation/accuracy"].isna().tolist() == [False, True, False, True]
    assert swept.best["trial"] in (0, 2)
    assert swept.run(2).status == "running"
    assert swept.run(2).history.epochs == 1
    with pytest.raises(errors.HyperparameterError) as caught:
        swept.run(1)
    assert str(caught.value) == (
        "sweep.run: there is no run of trial 1 and seed 0: the sweep was interrupted before that run."
    )
    predictions = swept.predict(flowers[1].inputs)
    assert np.isnan(predictions).all(axis=(1, 2)).tolist() == [False, True, False, True]
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES
    assert len(pd.read_parquet(tmp_path / "history.parquet")) == 2


@pytest.mark.parametrize("at", [3, 4])  # told twice of each structure: when runs can begin, and when they can train
def test_ctrl_c_while_the_second_structure_compiles_keeps_the_first(pressing, sweep_flowers, at):
    try:
        with pressing("compiled", at=at):
            swept = sweep_flowers(WIDTHS)
    except KeyboardInterrupt:  # which would end the session of pytest
        pytest.fail("what was trained is lost")
    assert swept.table["epochs"].tolist() == [3, 0, 3, 0]
