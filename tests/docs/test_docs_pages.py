"""Every program in the book runs as it stands, and prints what the page says that it prints."""

import contextlib
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```\n(?:\n```text\n(.*?)^```)?", re.DOTALL | re.MULTILINE)


def programs(page):
    """The blocks of Python of a page, each with the text behind it, if that is what it prints, and its line."""
    text = (DOCS / page).read_text()
    found = [(match, text[: match.start()].count("\n") + 1) for match in BLOCK.finditer(text)]
    return [(match[2], match[3], line) for match, line in found if match[1] == "python"]


PAGES = [path.name for path in sorted(DOCS.glob("*.md")) if programs(path.name)]


@pytest.mark.slow  # trains small networks as the pages do; 17 s for all of them
@pytest.mark.parametrize("page", [page for page in PAGES if page != "programs.md"])
def test_the_programs_of_a_page_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": page}
    for code, printed, line in programs(page):
        lines = io.StringIO()
        with contextlib.redirect_stdout(lines):
            exec(compile("\n" * line + code, str(DOCS / page), "exec"), names)
        if printed is not None:
            assert lines.getvalue() == printed, f"{page}:{line}"


def test_the_page_of_the_two_programs_has_those_of_the_readme():
    readme = re.findall(r"<!-- program: \w+ -->\n```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    known = [line for program in readme for line in program.splitlines() if line]
    told = [line for code, _, _ in programs("programs.md") for line in code.splitlines() if line]
    assert told[: len(known)] == known  # and test_docs.py runs them


@pytest.mark.slow  # differentiates through twenty steps of training
def test_what_the_page_of_the_two_programs_adds_runs():
    *_, before = [code for code, _, _ in programs("programs.md") if "def learner" in code]
    names = {}
    exec(programs("programs.md")[0][0] + before, names)
    added = (DOCS / "programs.md").read_text().partition("<!-- from here on not of the README -->")[2]
    exec("training = fnnet.training(learner(), batch_size=50)", names)
    for code in re.findall(r"```python\n(.*?)```", added, re.DOTALL):
        exec(code, names)
    assert names["states"].params[0]["kernel"].shape == (4, 64, 64)


def test_pages_have_no_python_that_hides_from_the_tests():
    for path in sorted(DOCS.glob("*.md")):
        text = path.read_text()
        assert len(re.findall(r"```py", text)) == len(programs(path.name)), path.name
        assert set(re.findall(r"^```(\w+)", text, re.MULTILINE)) <= {"python", "text", "sh"}, path.name
