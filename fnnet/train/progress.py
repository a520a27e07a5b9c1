"""One line of progress on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any


class Progress:
    """A tqdm bar that counts epochs, with the latest scores and steps a second; nothing if not shown."""

    def __init__(self, epochs: int, label: str, shown: bool) -> None:
        self._bar: Any = _bar(epochs, label) if shown else _Hidden()
        self._label = label
        self.compile_seconds = 0.0

    @classmethod
    def none(cls) -> Progress:
        """Shows nothing."""
        return cls(0, "", False)

    def __enter__(self) -> Progress:
        self._bar.set_postfix_str("compiling")
        return self

    def say(self, text: str) -> None:
        """Shows lines above the bar."""
        self._bar.write(text, file=sys.stderr)

    def update(self, epoch: int, scores: dict[str, float], steps_per_second: float, note: str = "") -> None:
        """Shows how far training is."""
        shown = [f"{name} {value:.4g}" for name, value in scores.items()]
        self._bar.n = epoch
        self._bar.set_postfix_str(", ".join([*shown, f"{steps_per_second:,.0f} steps/s", *([note] if note else [])]))

    def compiled(self, seconds: float) -> None:
        """Adds to the time that went into compiling, and tells it."""
        self.compile_seconds += seconds
        self._bar.set_description_str(f"{self._label} (compiled in {self.compile_seconds:.1f} s)")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()


class _Hidden:
    """In place of a bar; does nothing of what a bar does."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *arguments, **named: None


def _bar(epochs: int, label: str) -> Any:
    # Imported where it is shown: its first bar brings up multiprocessing, which takes longer than a short fit.
    from tqdm import tqdm

    shape = "{desc} {percentage:3.0f}%|{bar:20}| epoch {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"
    return tqdm(total=epochs, desc=label, bar_format=shape)
