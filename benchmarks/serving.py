"""Contenders that are prepared once and asked in turn: each a process of its own, so that none disturbs another."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, NamedTuple

from benchmarks.measuring import FORGOTTEN, busy, wait_for_quiet

Work = Callable[[], Mapping[str, Any]]


class Turns(NamedTuple):
    """What a contender took each time that it was asked, in seconds, and what it said of the last.

    ``missing`` is the package that it lacks, in which case it was not asked. ``others`` is how many cores other
    processes used in the worst of its turns.
    """

    seconds: list[float]
    said: dict[str, Any]
    others: float
    missing: str = ""

    @property
    def median(self) -> float:
        """Seconds of the turn in the middle."""
        return statistics.median(self.seconds)


def interleaved(module: str, contenders: Mapping[str, Sequence[Any]], times: int) -> dict[str, Turns]:
    """Each contender prepares its work, does it once unmeasured, and is then asked in turn, ``times`` rounds.

    A contender is ``python -m MODULE ARGUMENTS``, which calls `serve`.
    """
    kept = {key: value for key, value in os.environ.items() if key not in FORGOTTEN}
    began = {name: _Contender(module, arguments, kept) for name, arguments in contenders.items()}
    try:
        there = {name: contender for name, contender in began.items() if not contender.missing}
        for contender in there.values():
            contender.ask()
        for _ in range(times):
            for contender in there.values():
                wait_for_quiet(20, 0.2)
                contender.turn()
    finally:
        for contender in began.values():
            contender.end()
    return {name: Turns(c.seconds, c.said, c.others, c.missing) for name, c in began.items()}


class _Contender:
    """A process that waits for its turn."""

    def __init__(self, module: str, arguments: Sequence[Any], environment: Mapping[str, str]) -> None:
        command = [sys.executable, "-m", module, *map(str, arguments)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(environment)
        )
        self.seconds: list[float] = []
        self.said: dict[str, Any] = {}
        self.others = 0.0
        self.missing = self._read().get("missing", "")

    def _read(self) -> dict[str, Any]:
        output: IO[str] | None = self._process.stdout
        assert output is not None
        line = output.readline()
        if not line:
            raise RuntimeError(f"{self._process.args} ended with {self._process.wait()}")
        return json.loads(line)

    def ask(self) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._read()

    def turn(self) -> None:
        before, began = busy(), time.perf_counter()
        self.said = self.ask()
        cores = (busy() - before - self.said["busy"]) / (time.perf_counter() - began)
        self.others = max(self.others, cores)
        self.seconds.append(self.said["seconds"])

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def serve(prepare: Callable[[], Work]) -> None:
    """The contender's side: prepares its work, and does it each time that it is asked.

    The seconds are those of the whole work, unless what it returns has ``seconds`` of its own.
    """
    answers, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no answer

    def answer(**numbers: Any) -> None:
        answers.write(json.dumps(numbers) + "\n")
        answers.flush()

    try:
        work = prepare()
    except ModuleNotFoundError as error:
        answer(missing=error.name)
        return
    answer()
    for _ in sys.stdin:
        spent, began = sum(os.times()[:2]), time.perf_counter()
        found = work()
        seconds = time.perf_counter() - began
        answer(**{"seconds": seconds, "busy": sum(os.times()[:2]) - spent, **found})
