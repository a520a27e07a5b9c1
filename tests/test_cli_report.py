"""``fnnet report``: the folder of a sweep as a page, or a sentence on what is missing."""

import json

import pandas as pd
import pytest

typer_testing = pytest.importorskip("typer.testing")
pytest.importorskip("pyarrow")

from fnnet.cli import commands  # noqa: E402

ASKED = {"space": {"learning_rate": "grid(0.1, 0.2)"}, "monitor": {"name": "validation/loss", "maximize": False}}
TABLE = pd.DataFrame(
    {
        "trial": [0, 0, 1, 1],
        "seed": [0, 1, 0, 1],
        "learning_rate": [0.1, 0.1, 0.2, 0.2],
        "validation/loss": [0.5, 0.7, 0.3, 0.6],
        "status": "finished",
    }
)
HISTORY = TABLE[["trial", "seed", "validation/loss"]].assign(epoch=1)


@pytest.fixture
def folder(tmp_path):
    """A folder as a sweep leaves it."""
    (tmp_path / "asked.json").write_text(json.dumps(ASKED))
    TABLE.to_parquet(tmp_path / "table.parquet")
    HISTORY.to_parquet(tmp_path / "history.parquet")
    return tmp_path


def report(*arguments):
    return typer_testing.CliRunner().invoke(commands.application(), ["report", *map(str, arguments)])


def held(path):
    """The data that a page holds."""
    text = path.read_text(encoding="utf-8")
    return json.loads(text.split('<script type="application/json" id="data">')[1].split("</script>")[0])


def test_the_page_is_written_into_the_folder(folder):
    done = report(folder)
    assert (done.exit_code, done.output) == (0, f"Wrote {folder / 'report.html'}.\n")
    data = held(folder / "report.html")
    assert data["finding"] == "Best validation loss 0.3 at learning_rate\u00a00.2"
    summary = {column["name"]: column["values"] for column in data["summary"]}
    assert summary["trial"] == [1, 0]
    assert summary["mean"] == pytest.approx([0.45, 0.6])
    assert data["history"]["scores"]["validation/loss"] == [[0.5], [0.7], [0.3], [0.6]]


def test_the_page_is_written_where_it_is_asked_for(folder):
    assert report(folder, "--out", folder / "pages" / "first.html").exit_code == 0
    assert (folder / "pages" / "first.html").exists()
    assert not (folder / "report.html").exists()


def test_plan_and_cost_are_shown_where_there_are_any(folder):
    (folder / "plan.json").write_text('{"programs": 2}')
    (folder / "cost.json").write_text('[{"program": "width=8", "seconds": 1.5}]')
    assert report(folder).exit_code == 0
    data = held(folder / "report.html")
    assert (data["plan"], data["cost"]) == ({"programs": 2}, [{"program": "width=8", "seconds": 1.5}])


def test_a_sweep_without_histories_has_a_page(folder):
    (folder / "history.parquet").unlink()
    assert report(folder).exit_code == 0
    assert held(folder / "report.html")["history"] is None


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda folder: (folder / "table.parquet").unlink(), "has no table.parquet yet: the sweep is still running"),
        (lambda folder: (folder / "asked.json").unlink(), "has no asked.json, so it is not the folder of a sweep"),
        (lambda folder: (folder / "asked.json").write_text("{"), "asked.json' is damaged: it is not JSON"),
        (lambda folder: (folder / "asked.json").write_text("[]"), "asked.json' is damaged: an object is needed"),
        (lambda folder: (folder / "asked.json").write_text("{}"), "does not say which score chooses"),
        (lambda folder: (folder / "cost.json").write_text("[1]"), "cost.json' is damaged: a list of objects is needed"),
        (lambda folder: (folder / "plan.json").write_bytes(b"\xff"), "plan.json' is damaged: it is not JSON"),
        (lambda folder: (folder / "table.parquet").write_bytes(b"PAR1"), "table.parquet' is damaged: "),
        (lambda folder: (folder / "history.parquet").write_bytes(b""), "history.parquet' is damaged: "),
        (lambda folder: TABLE[:0].to_parquet(folder / "table.parquet"), "the table has no rows"),
        (lambda folder: TABLE[["trial"]].to_parquet(folder / "table.parquet"), "the table has no such column"),
    ],
)
def test_what_is_missing_or_damaged_is_said_in_a_sentence(folder, spoil, sentence):
    spoil(folder)
    done = report(folder)
    assert done.exit_code == 2
    assert done.output.startswith("Error: ")
    assert sentence in done.output
    assert "Traceback" not in done.output
    assert not (folder / "report.html").exists()


def test_a_folder_that_is_none_is_said_to_be_none(folder):
    assert "does not exist" in report(folder / "nowhere").output
    assert "is a file" in report(folder / "asked.json").output


def test_the_folder_of_a_sweep_becomes_a_page_whose_call_gives_the_same_table(flowers, tmp_path):
    import jax

    import fnnet
    from fnnet import hp, losses, nn, optim

    def learner(learning_rate):
        return fnnet.Learner(nn.dense(3), losses.softmax_cross_entropy, optim.sgd(learning_rate))

    sweep = fnnet.sweep(
        learner, {"learning_rate": hp.grid(0.1, 0.2)}, flowers[0], validation=flowers[1], seeds=2, epochs=3,
        batch_size=5, key=jax.random.key(7), early_stopping=2, out=tmp_path / "sweep",
    )  # fmt: skip
    assert report(tmp_path / "sweep").exit_code == 0
    data = held(tmp_path / "sweep" / "report.html")
    assert [len(curve) for curve in data["history"]["scores"]["train/loss"]] == sweep.table["epochs"].tolist()
    assert "evaluate_every" not in data["reproduce"]  # it was left at its default
    again = {"fnnet": fnnet, "hp": hp, "jax": jax, "learner": learner, "train": flowers[0], "validation": flowers[1]}
    scores = [name for name in sweep.table if "/" in name]
    pd.testing.assert_frame_equal(eval(data["reproduce"], again).table[scores], sweep.table[scores])
