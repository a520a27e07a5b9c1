"""The page of a sweep: one file that holds everything, and in which strings stay strings."""

import base64
import html.parser
import json
import re

import numpy as np
import pandas as pd
import pytest
from chromium import CHROMIUM, DRIVER, browsing

from fnnet.errors import DataError, FileError
from fnnet.report.embedding import MOST_POINTS
from fnnet.report.page import page, write_page

HOSTILE = '</script><script>alert("1")</script><img src=x onerror=alert(2)>\u2028<!-- & {{data}}'
ASKED = {
    "learner": "net",
    "space": {
        "learning_rate": "log_uniform(0.0001, 0.1)",
        "momentum": "uniform(0.5, 0.9)",
        "activation": "choice('a')",
    },
    "trials": 4,
    "seeds": 2,
    "epochs": 8,
    "monitor": {"name": "validation/accuracy", "maximize": True},
    "versions": {"fnnet": "1.2.3"},
}


def swept(trials=4, seeds=2, folds=0, epochs=8, diverged=(3,)):
    """A table and a tidy history; momentum belongs to every other trial, and runs in ``diverged`` have no score."""
    draws = np.random.default_rng(0)
    runs = [(t, s, f) for t in range(trials) for s in range(seeds) for f in range(folds or 1)]
    trial, seed, fold = np.array(runs).T
    names = {"trial": trial, "seed": seed} | ({"fold": fold} if folds else {})
    rates = 10 ** draws.uniform(-4, -1, trials)
    top = draws.permutation(len(runs)) / len(runs) / 2 + 0.4
    time = np.arange(1, epochs + 1)
    curves = (top[:, None] * (1 - np.exp(-time / epochs * 4))).astype(np.float32)
    gone = np.isin(np.arange(len(runs)), diverged)
    table = pd.DataFrame(
        names
        | {
            "learning_rate": rates[trial],
            "momentum": np.where(trial % 2, draws.uniform(0.5, 0.9, trials)[trial], np.nan),
            "activation": np.where(trial % 3, "relu", "tanh"),
            "validation/loss": np.where(gone, np.nan, 1 - curves[:, -1]),
            "validation/accuracy": np.where(gone, np.float32(np.nan), curves[:, -1]),
            "status": np.where(gone, "diverged", "finished"),
            "epochs": np.where(gone, epochs // 2, epochs),
            "seconds": 0.25,
        }
    )
    columns = {name: np.repeat(values, epochs) for name, values in names.items()} | {"epoch": np.tile(time, len(runs))}
    scores = {"train/loss": 0.9 - curves, "validation/loss": 1 - curves, "validation/accuracy": curves}
    history = pd.DataFrame(columns | {name: values.ravel() for name, values in scores.items()})
    ended = np.repeat(table["epochs"].to_numpy(), epochs)
    return table, history[history["epoch"] <= ended]


class Reader(html.parser.HTMLParser):
    """Reads a page as browsers do: its elements, and the text of each script."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.scripts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data):
        if self.elements and self.elements[-1][0] == "script":
            self.scripts[-1] += data


def held(text):
    """The data that a page holds."""
    return json.loads(Reader(text).scripts[0])


def cells_of(data, name):
    return next(column["values"] for column in data["columns"] if column["name"] == name)


def test_the_page_asks_for_nothing_from_elsewhere():
    read = Reader(page(*swept(), ASKED))
    assert [tag for tag, given in read.elements if "src" in given] == []
    assert [given["href"] for _, given in read.elements if "href" in given] == ["data:,"]
    addresses = set(re.findall(r"https?://[^\"' ]+", read.scripts[1]))
    assert addresses == {"http://www.w3.org/2000/svg"}  # a name, which nothing is fetched from
    policy = next(given["content"] for tag, given in read.elements if given.get("http-equiv"))
    assert policy.startswith("default-src 'none'")


def test_the_page_states_the_best_run():
    table, history = swept()
    best = table["validation/accuracy"].idxmax()
    data = held(page(table, history, ASKED))
    assert data["best"] == best
    assert data["finding"].startswith(
        f"Best validation accuracy {table['validation/accuracy'][best]:.3g} at learning_rate"
    )
    assert data["circumstances"].startswith("4 trials × 2 seeds, 8 epochs; 1 of 8 runs diverged. The best of many")


def test_the_page_says_what_data_say_that_chose_nothing_and_whether_runs_are_on_their_way():
    table, history = swept()
    tested = {"rows": 30, "scores": {"best": {"loss": 0.1, "accuracy": 0.9}, "mean of the 3 best": {"accuracy": 0.95}}}
    on_the_way = table.assign(status=["running", *table["status"][1:]])
    said = held(page(on_the_way, history, ASKED, tested=tested))["circumstances"]
    assert "; 1 not at their end. On 30 test rows, which chose nothing: best accuracy 0.9; mean of the 3 best" in said


def test_with_folds_the_best_is_the_trial_with_the_best_mean():
    table, _ = swept()
    folds = table.rename(columns={"seed": "fold"}).assign(seed=0)
    means = folds.groupby("trial")["validation/accuracy"].mean()
    said = held(page(folds, None, ASKED))
    assert said["finding"].startswith(f"Best mean validation accuracy {means.max():.3g} over 2 folds at learning_rate")
    assert said["circumstances"].startswith("4 trials × 2 folds, 8 epochs")


def test_a_hyperparameter_that_the_best_run_does_not_have_is_not_in_the_finding():
    table, history = swept()
    table["momentum"] = np.where(table.index == table["validation/accuracy"].idxmax(), np.nan, 0.5)
    assert "momentum" not in held(page(table, history, ASKED))["finding"]


def test_the_page_holds_every_digit_of_the_table_and_null_for_what_is_no_number():
    table, history = swept()
    data = held(page(table, history, ASKED))
    assert cells_of(data, "learning_rate") == table["learning_rate"].tolist()
    accuracy = cells_of(data, "validation/accuracy")
    assert accuracy[3] is None
    np.testing.assert_array_equal(np.float32(accuracy[:3]), table["validation/accuracy"][:3])
    assert cells_of(data, "momentum")[0] is None
    kinds = {column["name"]: column["kind"] for column in data["columns"]}
    told = {"seed": "run", "momentum": "hyperparameter", "validation/loss": "score", "status": "fact"}
    assert kinds | told == kinds


def test_curves_stand_in_the_order_of_the_table_and_end_where_the_run_did():
    table, history = swept(folds=2)
    shuffled = history.sample(frac=1, random_state=0)
    curves = held(page(table, shuffled, ASKED))["history"]
    assert curves["epochs"] == list(range(1, 9))
    for row, (trial, seed, fold) in enumerate(zip(table["trial"], table["seed"], table["fold"], strict=True)):
        own = history[(history["trial"] == trial) & (history["seed"] == seed) & (history["fold"] == fold)]
        np.testing.assert_allclose(curves["scores"]["train/loss"][row], own["train/loss"], rtol=1e-3)
        assert len(curves["scores"]["train/loss"][row]) == table["epochs"][row]


def test_a_page_of_two_thousand_runs_is_small():
    table, history = swept(trials=1000, epochs=100)
    text = page(table, history, ASKED)
    assert len(text.encode()) < 6e6
    epochs = held(text)["history"]["epochs"]
    assert len(epochs) <= MOST_POINTS
    assert (epochs[0], epochs[-1]) == (1, 100)


def test_hostile_strings_stay_strings():
    table, history = swept()
    table["activation"] = HOSTILE
    asked = ASKED | {"learner": HOSTILE, "command": f"fnnet sweep {HOSTILE}", "space": {"activation": HOSTILE}}
    text = page(table, history, asked, plan={HOSTILE: HOSTILE}, cost=[{HOSTILE: HOSTILE}])
    read, plain = Reader(text), Reader(page(*swept(), ASKED))
    assert [tag for tag, _ in read.elements if tag != "span"] == [tag for tag, _ in plain.elements if tag != "span"]
    assert cells_of(held(text), "activation") == [HOSTILE] * 8
    assert held(text)["plan"] == {HOSTILE: HOSTILE}


def test_a_hostile_name_in_the_finding_stays_text():
    table, history = swept()
    table["activation"] = [f"{HOSTILE}{row}" for row in table.index]
    read = Reader(page(table, history, ASKED))
    assert len(read.scripts) == 2
    assert "img" not in [tag for tag, _ in read.elements]


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (lambda table: table.iloc[:1], "Best validation accuracy"),
        (lambda table: table.assign(learning_rate=0.1, momentum=0.5, activation="relu"), "Best validation accuracy"),
        (lambda table: table.drop(columns=["learning_rate", "momentum", "activation"]), "Best validation accuracy"),
        (lambda table: table.assign(status="diverged", **{"validation/accuracy": np.nan}), "All 8 runs diverged"),
        (
            lambda table: table.assign(status="running", **{"validation/accuracy": np.nan}),
            "No run has a validation accuracy",
        ),
    ],
)
def test_one_run_nothing_that_varies_and_nothing_that_worked_have_pages_too(change, finding):
    table, history = swept()
    assert held(page(change(table), history, ASKED))["finding"].startswith(finding)


def test_what_is_missing_is_left_out():
    table, _ = swept()
    data = held(page(table, None, {"monitor": ASKED["monitor"]}))
    assert (data["history"], data["summary"], data["plan"], data["cost"], data["versions"]) == (None, None, {}, [], {})
    assert [column["name"] for column in data["columns"] if column["kind"] == "hyperparameter"] == [
        "learning_rate", "momentum", "activation",
    ]  # fmt: skip


def test_the_command_is_the_way_to_run_it_again_and_else_the_call():
    table, history = swept()
    assert held(page(table, history, ASKED | {"command": "fnnet sweep iris"}))["reproduce"] == "fnnet sweep iris"
    call = held(page(table, history, ASKED))["reproduce"]
    assert '"learning_rate": hp.log_uniform(0.0001, 0.1),' in call
    compile(call, "call", "eval")  # it reads as Python
    compile(held(page(table, history, ASKED | {"space": [{"learning_rate": "0.1"}]}))["reproduce"], "call", "eval")


def test_mistakes_are_answered_with_sentences(tmp_path):
    table, history = swept()
    with pytest.raises(DataError, match="which score chooses"):
        page(table, history, {})
    with pytest.raises(DataError, match="monitor is 'validation/f1', but the table has no such column"):
        page(table, history, {"monitor": {"name": "validation/f1", "maximize": True}})
    with pytest.raises(DataError, match="the history has no column 'epoch'"):
        page(table, history.drop(columns="epoch"), ASKED)
    with pytest.raises(DataError, match="two rows of the table have the same trial, seed"):
        page(pd.concat([table, table]), history, ASKED)
    with pytest.raises(FileError, match="cannot write"):
        write_page(table, history, ASKED, tmp_path)


needs_browser = pytest.mark.skipif(
    not (CHROMIUM and DRIVER),
    reason="no chromium and chromedriver on the path; Debian: apt-get install chromium-driver",
)


@pytest.fixture(scope="module")
def browser():
    with browsing() as opened:
        yield opened


SHOWN = "return Number(document.querySelector('#count b').textContent.replaceAll(',', ''))"
COLUMN = """
const headings = [...document.querySelectorAll('#table th button')].map((button) => button.textContent);
const at = headings.indexOf(arguments[0]) + 1;
return [...document.querySelectorAll('#table tbody tr')].map((row) => row.cells[at].title || row.cells[at].textContent);
"""
SORT = (
    "[...document.querySelectorAll('#table th button')].find((button) => button.textContent === arguments[0]).click()"
)
SORTED = """
const marked = [...document.querySelectorAll("#table th[aria-sort]")];
return marked.map((heading) => [heading.textContent, heading.getAttribute("aria-sort")]);
"""
TYPE = """
const field = document.querySelector(`[aria-label="${arguments[0]}"]`);
field.value = arguments[1];
field.dispatchEvent(new Event("change"));
"""
TRIALS = "return document.querySelector('#summary .pager span').textContent"
PIXELS = "return [...document.querySelectorAll('canvas')].map((canvas) => canvas.toDataURL()).join(' ')"


@needs_browser
@pytest.mark.exhaustive  # starts a browser
def test_sorting_filtering_brushing_and_picking_are_one_in_a_page_of_two_thousand_runs(browser, tmp_path):
    table, history = swept(trials=1000, epochs=60, diverged=range(40, 60))
    means = table.groupby("trial")["validation/accuracy"].mean()
    summary = pd.DataFrame({"trial": means.index, "mean": means.to_numpy(), "low": means - 0.1, "high": means + 0.1})
    browser.open(write_page(table, history, ASKED, tmp_path / "page.html", summary=summary))
    scores = table["validation/accuracy"].dropna()
    assert browser.run(SHOWN) == 2000
    assert browser.run("return document.querySelectorAll('#table tbody tr').length") <= 50

    first = np.array(browser.run(COLUMN, "validation/accuracy"), float)  # the best come first
    np.testing.assert_allclose(first, np.sort(scores)[::-1][: len(first)], rtol=1e-6)
    browser.run(SORT, "validation/accuracy")
    first = np.array(browser.run(COLUMN, "validation/accuracy"), float)
    np.testing.assert_allclose(first, np.sort(scores)[: len(first)], rtol=1e-6)
    browser.run(SORT, "learning_rate")
    first = np.array(browser.run(COLUMN, "learning_rate"), float)
    np.testing.assert_array_equal(first, np.sort(table["learning_rate"])[: len(first)])  # every digit, on hover
    assert browser.run(SORTED) == [["learning_rate", "ascending"]]
    browser.write("#table th[aria-sort] button", "\ue007")  # the Enter key
    assert browser.run(SORTED) == [["learning_rate", "descending"]]

    before = browser.run(PIXELS)
    browser.write("#search", "relu diverged")
    wanted = table[(table["activation"] == "relu") & (table["status"] == "diverged")]
    assert browser.run(SHOWN) == len(wanted) > 0
    assert browser.run(TRIALS).endswith(f" of {wanted['trial'].nunique()}")
    assert browser.run(PIXELS) != before  # the curves and the axes follow
    browser.run(
        "const field = document.getElementById('search'); field.value = ''; field.dispatchEvent(new Event('input'))"
    )

    browser.run(TYPE, "validation/accuracy from", "0.5")
    browser.run(TYPE, "trial to", "99")
    assert browser.run(SHOWN) == ((table["validation/accuracy"] >= 0.5) & (table["trial"] <= 99)).sum()
    browser.click("#chips .all")
    assert browser.run(SHOWN) == 2000

    x, y, width, height = browser.run(
        "const axis = document.querySelector('.axis .hit'); axis.scrollIntoView({block: 'center'});"
        "const box = axis.getBoundingClientRect(); return [box.x, box.y, box.width, box.height]"
    )
    browser.drag((x + width / 2, y + 0.1 * height), (x + width / 2, y + 0.5 * height))
    low, high = map(
        float, re.findall(r"[\d.]+(?:e-?\d+)?", browser.run("return document.querySelector('.chip').textContent"))
    )
    inside = table["learning_rate"].between(low * 0.999, high * 1.001).sum()
    assert browser.run(SHOWN) == pytest.approx(inside, abs=2)
    assert 0 < inside < 2000

    before = browser.run(PIXELS)
    browser.run("document.querySelector('#table tbody input').click()")
    assert browser.run("return document.querySelectorAll('tr.picked').length") == 1
    assert "trial" in browser.run("return document.getElementById('curves-legend').textContent")
    assert browser.run(PIXELS) != before
    assert browser.complaints() == []


@needs_browser
@pytest.mark.exhaustive  # starts a browser
@pytest.mark.parametrize(
    "change",
    [
        lambda table: table,
        lambda table: table.iloc[:1],
        lambda table: table.assign(learning_rate=0.1, momentum=0.5, activation="relu"),
        lambda table: table.assign(status="diverged", **{"validation/accuracy": np.nan, "validation/loss": np.nan}),
        lambda table: table.assign(activation=HOSTILE + table["activation"]),
        lambda table: table.drop(columns=["status", "epochs", "validation/loss"]),
    ],
    ids=["folds", "one run", "nothing varies", "all diverged", "hostile", "few columns"],
)
def test_unusual_sweeps_are_drawn_without_a_complaint(browser, tmp_path, change):
    table, history = swept(folds=2)
    table = change(table)
    browser.open(write_page(table, history, ASKED, tmp_path / "page.html", plan={"programs": 2}, cost=[{"runs": 3}]))
    assert browser.run(SHOWN) == len(table)
    assert browser.run("return document.querySelectorAll('img').length") == 0
    if table["activation"].str.startswith("<").all():
        assert browser.run(COLUMN, "activation")[0].startswith(HOSTILE)
    browser.click("#table tbody input")
    assert base64.b64decode(browser.picture()).startswith(b"\x89PNG")
    assert browser.complaints() == []


@needs_browser
@pytest.mark.exhaustive  # starts a browser
def test_on_a_phone_only_tables_and_axes_are_wider_than_the_window_and_these_scroll(tmp_path):
    with browsing(width=390, height=800) as phone:
        phone.open(write_page(*swept(), ASKED, tmp_path / "page.html"))
        assert phone.run("return [innerWidth, document.documentElement.scrollWidth]") == [390, 390]
        wide = "return [...document.querySelectorAll('.scroll')].filter((e) => e.scrollWidth > e.clientWidth).length"
        assert phone.run(wide) == 2


def test_curves_are_those_of_scores_and_the_axis_says_what_it_counts():
    table, history = swept()
    told = history.assign(step=6 * history["epoch"], epoch=history["epoch"] / 2)
    curves = held(page(table, told, ASKED))["history"]
    assert (curves["counts"], curves["epochs"][:2]) == ("epoch", [0.5, 1.0])
    assert set(curves["scores"]) == {"train/loss", "validation/loss", "validation/accuracy"}
    assert held(page(table, history.assign(epoch=2 * history["epoch"]), ASKED))["history"]["counts"] == "evaluation"


def test_the_call_names_what_decided_and_what_was_shared():
    asked = ASKED | {
        "scheduler": "successive_halving(1, 3)", "share": ["data"], "updates_an_epoch": 4, "evaluate_every": 4,
    }  # fmt: skip
    call = held(page(*swept(), asked))["reproduce"]
    compile(call, "call", "eval")
    for part in ("scheduler=fnnet.schedulers.successive_halving(1, 3)", "share=['data']", "monitor='validation/acc"):
        assert part in call
    assert "evaluate_every" not in call
    assert 'evaluate_every="6 steps"' in held(page(*swept(), asked | {"evaluate_every": 6}))["reproduce"]
