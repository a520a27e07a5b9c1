"""A hook of MkDocs: what a page names is linked, and what is linked is there.

- `optim.adam` in backticks leads to its entry in the reference, in pages and in docstrings;
- `tests/optim/test_newton.py`: name_of_a_test leads to the source of the test, of which the site has a copy;
- docs/scale.md and experiments/momentum.py lead to their pages.

After the build every link of every page is followed, anchors too, and nothing may be fetched from elsewhere: what is
wrong is a warning, by which a strict build fails.
"""

from __future__ import annotations

import ast
import html
import importlib.util
import itertools
import logging
import re
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote

from mkdocs.structure.files import File, Files

DOCS = Path(__file__).parent
ROOT = DOCS.parent
PAGES = sorted(path.stem for path in DOCS.glob("*.md"))
LOG = logging.getLogger("mkdocs.hooks.linking")

TEST = re.compile(r"<code>(tests/[\w/]+\.py)</code>(?:: (\w+))?")
CODE = re.compile(r"<code>([^<]+)</code>")
PROTECTED = re.compile(r"(<pre\b.*?</pre>|<a\b.*?</a>|<h1\b.*?</h1>)", re.DOTALL)
ROW = re.compile(r"(?<=<tr>\n)<td>([^<]+)</td>")
SCIPY = {"minimize", "least_squares"}  # on the page of the optimizers these are SciPy's functions, not fnnet's
ANCHORS: dict[str, str] = {}


def _beside(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tests_named(text: str) -> list[tuple[str, str]]:
    """The files of tests that a page names, each with the test, or "" for all of it."""
    return re.findall(r"`(tests/[\w/]+\.py)`(?:: (\w+))?", text)


def test_page(path: str) -> str:
    """The place of the page of a file of tests: ``source/tests/optim/test_newton.md``."""
    return f"source/{path.removesuffix('.py')}.md"


def listing(path: str) -> str:
    """A file of tests as a page: each test under its name, with what stands before it."""
    source = (ROOT / path).read_text()
    lines = source.splitlines()
    tree = ast.parse(source)
    parts = [f"# {path}", "", ast.get_docstring(tree) or "", ""]
    end = 0
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            start = min([node.lineno, *(d.lineno for d in node.decorator_list)]) - 1
            parts += _fenced(lines[end:start])
            title = node.name.removeprefix("test_").replace("_", " ")
            parts += [f"## {title} {{ #{node.name.removeprefix('test_')} }}", ""]
            parts += _fenced(lines[start : node.end_lineno])
            end = node.end_lineno or start
    return "\n".join(parts + _fenced(lines[end:])) + "\n"


def _fenced(lines: list[str]) -> list[str]:
    text = "\n".join(lines).strip("\n")
    return ["````python", text, "````", ""] if text else []


def on_config(config: Any) -> None:
    """Learns the public names."""
    global ANCHORS
    reference = _beside("make_reference")
    ANCHORS = reference.anchors()
    ANCHORS |= {name: f"fnnet.errors.{name}" for name in reference.public("fnnet.errors") if name[0].isupper()}


def on_files(files: Files, config: Any) -> None:
    """Adds a page for each file of tests that a page names."""
    named = {path for page in PAGES for path, _ in tests_named((DOCS / f"{page}.md").read_text())}
    for path in sorted(named):
        files.append(File.generated(config, test_page(path), content=listing(path)))


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> None:
    """Pages of tests are not searched, and have no menu beside them; the wide map of the lectures has no contents."""
    if page.file.src_uri.startswith("source/"):
        page.meta["search"] = {"exclude": True}
        page.meta["hide"] = ["navigation"]
    if page.file.src_uri == "lectures.md":
        page.meta["hide"] = ["toc"]


def link(code: str, up: str, page: str) -> str | None:
    """The link for what stands in backticks, if it has one; ``up`` leads from the page to the top of the site."""
    bare = html.unescape(code).partition("(")[0]
    usual = f"optim.{bare}" if page == "optimizers.md" and bare not in SCIPY else bare
    for name in (bare, usual):
        if name in ANCHORS and ("." in name or name[0].isupper()):
            return f'<autoref identifier="{ANCHORS[name]}"><code>{code}</code></autoref>'
    if (match := re.fullmatch(r"docs/(\w+)\.md", bare)) and match[1] in PAGES:
        return f'<a href="{up}{match[1]}.html">{match[1]}</a>'
    if match := re.fullmatch(r"experiments/(\w+)\.py|python -m experiments\.(\w+)", bare):
        name = match[1] or match[2]
        if page != "experiments.md":
            return f'<a href="{up}experiments.html#{name}"><code>{code}</code></a>'
    return None


def linked(text: str, uri: str) -> str:
    """The HTML of a page with links for what it names."""
    up = "../" * uri.count("/")

    def test(match: re.Match[str]) -> str:
        path, name = match[1], match[2]
        target = f"{up}{test_page(path).removesuffix('.md')}.html"
        words = html.escape(name.replace("_", " ")) if name else f"<code>{path}</code>"
        return f'<a href="{target}{"#" + name if name else ""}" title="{path}">{words}</a>'

    def code(match: re.Match[str]) -> str:
        return link(match[1], up, uri) or match[0]

    parts = PROTECTED.split(text)
    for i in range(0, len(parts), 2):
        parts[i] = CODE.sub(code, TEST.sub(test, parts[i]))
    return "".join(parts)


def on_page_content(html: str, page: Any, config: Any, files: Files) -> str:
    """Links what stands in backticks; rows of the wide tables get anchors, ``#A1`` and ``#000-nesterov``."""
    uri = page.file.src_uri
    if uri.startswith("source/"):
        return html
    html = linked(html, uri)
    if uri in ("lectures.md", "errata.md"):
        seen: set[str] = set()
        html = re.sub(r"<table>.*?</table>", lambda table: labelled(anchored(table[0], seen)), html, flags=re.DOTALL)
    return html


def anchored(table: str, seen: set[str]) -> str:
    """A table whose rows can be linked by their first cell, the first of several rows of one name."""

    def anchor(match: re.Match[str]) -> str:
        name = re.sub(r"\W+", "-", match[1]).strip("-")
        name = name if re.fullmatch(r"[A-G]\d+", name) else name.lower()
        if not name or name in seen:
            return match[0]
        seen.add(name)
        return f'<td id="{name}">{match[1]}</td>'

    return ROW.sub(anchor, table)


def labelled(table: str) -> str:
    """A table whose cells know their columns, so that a narrow screen can show each row as a card."""
    heads = re.findall(r"<th>(.*?)</th>", table)
    count = itertools.count()
    text = table.replace("<td>–</td>", '<td class="none">–</td>')
    text = re.sub(r'(<a href="images/[^>]*>)(\w+)', lambda m: m[1] + m[2].replace("_", "_<wbr>"), text)
    text = CODE.sub(lambda m: "<code>" + re.sub(r"([_/])(?=\w)", r"\1<wbr>", m[1]) + "</code>", text)
    text = re.sub(r"<td(?=[ >])", lambda _: f'<td data-label="{heads[next(count) % len(heads)]}"', text)
    return text.replace("<table>", '<table class="wide">')


def on_post_build(config: Any) -> None:
    """Follows every link of the site."""
    site = Path(config.site_dir)
    pages = {path: path.read_text() for path in site.rglob("*.html")}
    ids = {path: set(re.findall(r'\b(?:id|name)="?([^"\s>]+)', text)) for path, text in pages.items()}
    for path, text in pages.items():
        name = path.relative_to(site)
        for asset in re.findall(r'<(?:script|img|iframe|source)\b[^>]*\bsrc="?(https?:[^"\s>]+)', text):
            LOG.warning("%s fetches %s", name, asset)
        for asset in re.findall(
            r'<link\b[^>]*rel="?(?:stylesheet|preconnect|icon)"?[^>]*href="?(https?:[^"\s>]+)', text
        ):
            LOG.warning("%s fetches %s", name, asset)
        if name.name == "404.html":
            continue
        for target in set(re.findall(r'\b(?:href|src)="?([^"\s>]+)', re.sub(r"<pre\b.*?</pre>", "", text, flags=re.S))):
            if re.match(r"[a-z]+:", target):
                continue
            file, _, anchor = html.unescape(unquote(target)).partition("#")
            there = (path.parent / file).resolve() if file else path
            if there.is_dir():
                there = there / "index.html"
            if not there.exists():
                LOG.warning("%s leads to %s, which is not there", name, target)
            elif anchor and there in ids and anchor not in ids[there]:
                LOG.warning("%s leads to %s, which has no such place", name, target)
