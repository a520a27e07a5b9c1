"""Docstrings as pages: paragraphs that are equations keep their lines, and what is no markup is not taken for any."""

from __future__ import annotations

import re
import textwrap
from typing import Any

import griffe

SIGNS = re.compile(r"[=←→≤≥≈∝∼<>]")
WORDS = re.compile(r"[A-Za-z]{3,}")
SECTION = re.compile(r"^(Args|Returns|Raises|Yields|Attributes|Source|Note|Example|Examples):", re.MULTILINE)


def is_equation(paragraph: str) -> bool:
    """Whether a paragraph of a docstring stands for itself in plain notation, and not for a sentence."""
    lines = paragraph.splitlines()
    if (
        paragraph.startswith((">>>", "- ", "* ", "```"))
        or SECTION.match(paragraph)
        or paragraph.rstrip().endswith((".", ":"))
    ):
        return False
    signed = sum(bool(SIGNS.search(line)) for line in lines)
    wordy = sum(len(WORDS.findall(line)) for line in lines)
    return signed > 0 and signed >= len(lines) - 1 and wordy <= 13 * len(lines) and all(len(x) < 116 for x in lines)


def escaped(text: str) -> str:
    """Text outside of backticks with the signs that Markdown would take for emphasis or HTML escaped."""
    parts = re.split(r"(``.+?``|`[^`]+`)", text, flags=re.DOTALL)
    return "".join(
        part if i % 2 else re.sub(r"([*_])", r"\\\1", part.replace("<", "&lt;")) for i, part in enumerate(parts)
    )


def section(paragraph: str) -> str:
    """A section such as Args, in which the name before a colon is not text."""
    split = re.split(r"(^ +\*{0,2}\w[\w, *]*: )", paragraph, flags=re.MULTILINE)
    return "".join(part if i % 2 else escaped(part) for i, part in enumerate(split))


def tidy(docstring: str, returns: str = "") -> str:
    """A docstring for mkdocstrings: equations and examples fenced, the source in a line of its own.

    What a function ``returns``, its type, stands before the text of Returns, or else its first colon would end one.
    """
    first, *rest = docstring.strip().split("\n\n")
    done = [escaped(first)]
    for paragraph in rest:
        if is_equation(paragraph):
            done.append(f"```text\n{paragraph}\n```")
        elif paragraph.startswith(">>>"):
            done.append(f"```pycon\n{paragraph}\n```")
        elif paragraph.startswith("Example:\n"):
            lines = textwrap.dedent(paragraph.removeprefix("Example:\n"))
            done.append(f"```pycon\n{lines}\n```")
        elif paragraph.startswith("Source:"):
            done.append("**Source:**" + escaped(paragraph.removeprefix("Source:")))
        elif paragraph.startswith("Returns:\n") and returns:
            done.append(f"Returns:\n    {returns}: {escaped(paragraph.removeprefix('Returns:').lstrip())}")
        elif SECTION.match(paragraph):
            done.append(section(paragraph))
        else:
            done.append(escaped(paragraph))
    return "\n\n".join(done)


class Equations(griffe.Extension):
    """Applied to every object that has a docstring."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Replaces the text before it is parsed."""
        if obj.docstring:
            obj.docstring.value = tidy(obj.docstring.value, str(getattr(obj, "returns", None) or ""))
