"""The ``fnnet`` command: its grammar, its sentences, its files."""

import json

import jax
import numpy as np
import pandas as pd
import pytest

import fnnet
from fnnet import data
from fnnet.cli import Convolutional, Perceptron, commands, parse_space
from fnnet.cli.grammar import ACTIVATIONS, parse_spaces
from fnnet.cli.preparing import prepare, three_parts
from fnnet.cli.printing import described
from fnnet.errors import DataError, HyperparameterError

typer_testing = pytest.importorskip("typer.testing")


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Runs ``fnnet …`` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    jax.devices()  # JAX is started before the command could give this process more devices
    runner = typer_testing.CliRunner()
    return lambda *arguments: runner.invoke(commands.application(), [str(part) for part in arguments])


@pytest.mark.parametrize(
    ("text", "dimension"),
    [
        ("learning_rate=log:1e-4:1e-1", "log_uniform(0.0001, 0.1)"),
        (" learning_rate = log:1e-4:1e-1 ", "log_uniform(0.0001, 0.1)"),
        ("drop_rate=uniform:0:0.5", "uniform(0.0, 0.5)"),
        ("drop_rate=choice:0.1,0.2", "choice(0.1, 0.2)"),
        ("learning_rate=grid:1e-3,1e-2", "grid(0.001, 0.01)"),
        ("weight_decay=0", "static(0.0)"),
        ("width=static:32,64,128", "static(32, 64, 128)"),
        ("width=grid:32,64", "static(32, 64)"),
        ("depth=choice:1,2", "static(1, 2)"),
        ("depth=int:0:3", "static(0, 1, 2, 3)"),
        ("activation=static:relu,tanh", "static('relu', 'tanh')"),
        ("activation=gelu", "static('gelu')"),
    ],
)
def test_space_is_read_as_the_dimension_it_says(text, dimension):
    name, made = parse_space(text)
    assert name == text.split("=")[0].strip()
    assert repr(made) == dimension


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("learning_rate", "does not read NAME=VALUE or NAME=KIND:"),
        ("learning_rate=", "does not read NAME=VALUE"),
        ("=log:1:2", "does not read NAME=VALUE"),
        ("learning_rat=0.1", "Did you mean 'learning_rate'?"),
        ("lr=0.1", "Did you mean 'learning_rate'?"),
        ("dropout=0.1", "Did you mean 'drop_rate'?"),
        ("batch_size=64", "is an option of its own and not part of the space: --batch-size 64"),
        ("learning_rate=logg:1e-4:1e-1", "the kinds are log, uniform, int, choice, grid, static. Did you mean 'log'"),
        ("learning_rate=log:1e-4", "has 1 of the two bounds of an interval. Write learning_rate=log:LOW:HIGH."),
        ("learning_rate=log:1:2:3", "has 3 of the two bounds"),
        ("learning_rate=log:0:1", "has the value '0', but learning_rate has to be a number above 0."),
        ("learning_rate=log:a:1", "has the value 'a', but learning_rate has to be a number above 0."),
        ("learning_rate=log:1e-1:1e-4", "two finite numbers with low < high are needed"),
        ("learning_rate=nan", "has to be a number above 0"),
        ("learning_rate=inf", "has to be a number above 0"),
        ("learning_rate=int:1:3", "asks for whole numbers, but learning_rate is a number above 0"),
        ("drop_rate=uniform:0:1", "has the value '1', but drop_rate has to be a number from 0 to below 1."),
        ("width=64.5", "has the value '64.5', but width has to be a whole number from 1 on."),
        ("width=0", "has to be a whole number from 1 on"),
        ("width=uniform:8:64", "each of its values needs a program of its own. Use width=static:32,64,128."),
        ("width=int:16:256", "holds 241 values"),
        ("depth=int:3:1", "LOW may not be above HIGH"),
        ("activation=static:rely", "Did you mean 'relu'?"),
        ("activation=static:relu,", "has the value ''"),
    ],
)
def test_a_mistake_in_the_space_is_answered_with_rule_value_and_fix(text, sentence):
    with pytest.raises(HyperparameterError) as raised:
        parse_space(text)
    assert str(raised.value).startswith("--space: ")
    assert sentence in str(raised.value)


def test_given_dimensions_replace_those_of_the_default_space():
    default = dict([parse_space("learning_rate=0.1"), parse_space("width=8")])
    space = parse_spaces(["width=static:4,5", "depth=1"], default)
    assert {name: repr(dimension) for name, dimension in space.items()} == {
        "learning_rate": "static(0.1)",
        "width": "static(4, 5)",
        "depth": "static(1)",
    }
    with pytest.raises(HyperparameterError, match="width is given twice"):
        parse_spaces(["width=4", "width=5"], default)


def test_every_activation_of_the_grammar_is_a_function_of_nn():
    assert all(callable(getattr(fnnet.nn, name)) for name in ACTIVATIONS)


def test_three_parts_share_no_row_and_lose_none():
    dataset = data.from_arrays(np.arange(100.0, dtype=np.float32)[:, None], np.arange(100) % 2)
    parts = three_parts(dataset, jax.random.key(0))
    assert [len(part) for part in parts[:3]] == [64, 16, 20]
    assert sorted(np.concatenate([part.inputs[:, 0] for part in parts[:3]])) == list(range(100))
    train, validation, test, published = three_parts(dataset, jax.random.key(0), test_rows=10)
    assert (len(train), len(validation), published) == (72, 18, True)
    assert test.inputs[:, 0].tolist() == list(range(90, 100))
    assert sorted(np.concatenate([train.inputs[:, 0], validation.inputs[:, 0]])) == list(range(90))


def test_data_that_were_published_with_a_test_part_are_tested_on_it():
    _, parts, _ = prepare("train", "mnist1d", None, "error", None, 0)
    np.testing.assert_array_equal(parts.test.inputs, data.load("mnist1d").inputs[4000:])
    assert described(parts) == (
        "mnist1d: 5000 rows (3200 to train, 800 to choose, 1000 to test, the test part that the data come with), "
        "40 inputs, 10 classes."
    )


@pytest.mark.parametrize("shape", [(9, 9), (9, 9, 1)])
def test_convolutions_take_images_with_and_without_an_axis_of_channels(shape):
    images = data.Dataset(np.zeros((4, *shape), np.float32), np.arange(4, dtype=np.int32))
    learner = Convolutional.fitted(images)(width=2, depth=3)
    params, _ = jax.eval_shape(learner.model.init, jax.random.key(0), jax.ShapeDtypeStruct((4, *shape), np.float32))
    kernels = [leaf.shape for leaf in jax.tree.leaves(params) if leaf.ndim > 1]
    # 9 × 9 becomes 5 × 5 by the stride, then 3 × 3 and 2 × 2 by the means.
    assert kernels == [(5, 5, 1, 2), (3, 3, 2, 4), (3, 3, 4, 8), (2 * 2 * 8, 128), (128, 4)]


def test_perceptrons_for_the_same_data_are_equal_and_share_programs():
    iris = data.load("iris")
    assert Perceptron.fitted(iris) == Perceptron.fitted(iris)
    assert hash(Perceptron.fitted(iris)) == hash(Perceptron.fitted(iris))
    assert Perceptron.fitted(iris) != Perceptron.fitted(iris[:100])


def test_a_saved_perceptron_takes_raw_inputs_and_answers_in_the_units_of_the_data(tmp_path):
    draws = np.random.default_rng(0)
    inputs = draws.normal(1000, 50, (80, 2, 2)).astype(np.float32)
    targets = (5e4 + 30 * inputs.sum((1, 2)) - 1e5).astype(np.float32)[:, None]
    dataset = data.from_arrays(inputs, targets)
    learner = Perceptron.fitted(dataset)(learning_rate=0.03, width=16, depth=1)
    run = fnnet.fit(
        learner, dataset, validation=dataset, epochs=40, batch_size=16, key=jax.random.key(0), progress=False
    )
    scores = run.evaluate(dataset)
    assert scores["r2"] > 0.9
    # The loss is in units of the targets' spread, so it is the share that r² leaves unexplained.
    assert scores["loss"] == pytest.approx(1 - scores["r2"], rel=1e-3)
    run.save(tmp_path / "best.safetensors")
    other = Perceptron.fitted(dataset[:10])(width=16, depth=1)
    loaded = fnnet.load(tmp_path / "best.safetensors", other)
    assert np.abs(loaded.predict(inputs) - run.predict(inputs)).max() < 0.05 * targets.std()


def test_targets_of_one_class_are_refused():
    with pytest.raises(DataError, match="all targets are of one class"):
        Perceptron.fitted(data.Dataset(np.zeros((4, 1), np.float32), np.zeros(4, np.int32)))


def test_version_and_help_and_data(command):
    assert command("--version").output == f"fnnet {fnnet.__version__}\n"
    assert "sweep" in command("--help").output
    listed = command("data")
    assert listed.exit_code == 0
    assert all(name in listed.output for name in data.available())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["sweep", "digitz"], "neither bundled data"),
        (["sweep", "no.csv", "--target", "y"], "there is no file 'no.csv'"),
        (["sweep", "iris", "--space", "lr=1"], "Error: --space: 'lr=1' names 'lr'"),
        (["sweep", "iris", "--target", "species"], "takes no options"),
        (["train", "iris", "--activation", "rely"], "Error: --activation: it is 'rely'"),
        (["train", "iris", "--drop-rate", "1.5"], "drop_rate has to be a number from 0 to below 1"),
        (
            ["train", "iris", "--model", "convolutions"],
            "--model: it is 'convolutions', but has to be one of mlp, conv.",
        ),
        (["train", "iris", "--model", "conv"], "an input has shape (4,), but images (height, width)"),
        (["train", "iris", "--schedule", "cosin"], "Did you mean 'cosine'?"),
        (["train", "iris", "--resume"], "Name it with --checkpoint DIR"),
        (["train", "iris", "--early-stopping", "0"], "--early-stopping is 0, but it has to be at least 1"),
        (["train", "iris", "--precision", "float8"], "--precision: it is 'float8'"),
        (["train", "small.csv"], "Pass --target COLUMN, one of 'a', 'y'"),
        (["train", "holes.csv", "--target", "y"], "--missing 'drop'"),
        (["train", "iris", "--out", "."], "already holds files, and nothing is overwritten"),
        (["train", "iris", "--out", "small.csv"], "is a file, and nothing is overwritten"),
    ],
)
def test_mistakes_end_with_one_sentence_and_code_2(command, tmp_path, arguments, sentence):
    (tmp_path / "small.csv").write_text("a,y\n1.5,2.5\n")
    (tmp_path / "holes.csv").write_text("a,y\n1.5,2.5\n,1.5\n")
    before = sorted(tmp_path.rglob("*"))
    result = command(*arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_without_typer_the_command_says_what_to_install(monkeypatch):
    monkeypatch.setattr(commands, "typer", None)
    with pytest.raises(SystemExit) as raised:
        commands.main()
    assert raised.value.code == (
        "fnnet: the command needs the package typer. Install it with: pip install 'fnnet[experiments]'"
    )


@pytest.mark.slow  # compiles a sweep and draws three pictures
def test_sweep_trains_prints_the_ten_best_and_leaves_the_files(command, tmp_path):
    result = command(
        "sweep", "iris", "--trials", 4, "--seeds", 3, "--epochs", 2, "--space", "width=8", "--space", "depth=1"
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    folder = tmp_path / "runs" / "sweep-iris"
    files = {path.name for path in folder.iterdir()}
    assert files >= {
        "table.parquet", "table.csv", "history.parquet", "asked.json", "best.safetensors",
        "curves.png", "space.png", "sweep.png",
    }  # fmt: skip
    assert all(path.stat().st_size < 150 * 1024 for path in folder.glob("*.png"))
    table = pd.read_parquet(folder / "table.parquet")
    assert len(table) == 12
    lines = result.stdout.splitlines()
    assert lines[0] == "iris: 150 rows (96 to train, 24 to choose, 30 to test), 4 inputs, 3 classes."
    header = next(index for index, line in enumerate(lines) if line.split()[:2] == ["trial", "seed"])
    rows = [line.split() for line in lines[header + 1 : header + 11]]
    best = table.sort_values(["validation/accuracy", "validation/loss"], ascending=[False, True], kind="stable").iloc[0]
    assert len(rows) == 10
    assert rows[0][:2] == [str(best["trial"]), str(best["seed"])]
    assert "On the 30 test rows, which played no part until now: accuracy" in result.stdout
    assert "Wrote asked.json, best.safetensors, cost.json, curves.png" in result.stdout
    assert json.loads((folder / "asked.json").read_text())["trials"] == 4


@pytest.mark.slow  # compiles a fit and draws a picture, twice
def test_train_predicts_a_number_of_a_table_and_never_overwrites(command, tmp_path):
    draws = np.random.default_rng(0)
    table = pd.DataFrame(draws.normal(size=(60, 2)), columns=["a", "b"])
    table["y"] = 100 + 10 * table["a"]
    table.to_csv(tmp_path / "line.csv", index=False)
    arguments = ["train", "line.csv", "--target", "y", "--epochs", 3, "--width", 4, "--depth", 1]
    for name in ("train-line", "train-line-2"):
        result = command(*arguments)
        assert result.exit_code == 0, result.output
        assert "2 inputs, a number (y)" in result.stdout
        assert "mean absolute error" in result.stdout
        folder = tmp_path / "runs" / name
        assert {path.name for path in folder.iterdir()} == {"best.safetensors", "curves.png", "history.csv"}
        assert len(pd.read_csv(folder / "history.csv")) == 3


@pytest.mark.exhaustive
@pytest.mark.slow  # compiles a sweep and draws three pictures
def test_runs_that_diverge_are_a_warning_and_not_the_end(command):
    result = command(
        "sweep", "iris", "--trials", 2, "--seeds", 1, "--epochs", 2, "--space", "learning_rate=grid:1e-2,1e38",
        "--space", "width=4", "--space", "depth=1", "--out", "here",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "Warning: sweep: 1 of 2 runs diverged" in result.stderr
    assert "sweep.png" in result.stdout


@pytest.mark.exhaustive  # compiles programs of its own
@pytest.mark.slow  # compiles a fit of convolutions twice
def test_train_goes_on_from_a_checkpoint_with_the_same_history(command, tmp_path):
    draws = np.random.default_rng(0)
    np.savez(tmp_path / "images.npz", X=draws.uniform(size=(40, 6, 6)).astype(np.float32), y=np.arange(40) % 2)
    arguments = ["train", "images.npz", "--model", "conv", "--width", 2, "--depth", 1, "--schedule", "constant"]
    arguments += ["--checkpoint", "states", "--precision", "bfloat16"]
    first = command(*arguments, "--epochs", 1, "--out", "first")
    then = command(*arguments, "--epochs", 2, "--out", "then", "--resume")
    assert (first.exit_code, then.exit_code) == (0, 0), first.output + then.output
    histories = [pd.read_csv(tmp_path / name / "history.csv") for name in ("first", "then")]
    assert [len(history) for history in histories] == [1, 2]
    pd.testing.assert_frame_equal(histories[0], histories[1][:1])
    other = command(*arguments, "--epochs", 3, "--seed", 1, "--resume", "--out", "other")
    assert other.exit_code == 2
    assert other.stderr.endswith("Choose another --checkpoint.\n")


@pytest.mark.exhaustive  # compiles programs of its own
@pytest.mark.slow  # compiles a fit and draws a picture
def test_train_stops_early_and_says_so(command):
    result = command("train", "iris", "--depth", 0, "--learning-rate", 1e-30, "--early-stopping", 2)
    assert result.exit_code == 0, result.output
    assert "Stopped early, after epoch 3 of 50." in result.stdout
