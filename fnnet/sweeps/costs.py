"""What a sweep has cost, and how much of it was of use."""

from __future__ import annotations

import dataclasses
from typing import Any


@dataclasses.dataclass
class Cost:
    """Times in seconds, and updates: of lanes that were computed, of lanes that had a run, and of runs that went on.

    An update that is computed for a lane without a run is padding; one for a run that has ended already is computed
    and thrown away.
    """

    compile_seconds: float = 0.0
    seconds: float = 0.0
    computed: int = 0
    occupied: int = 0
    updates: int = 0

    def add(self, seconds: float, compile_seconds: float, steps: int, lanes: int, runs: int, updates: int) -> None:
        """Counts a stretch of so many steps with so many lanes, of which some have runs."""
        self.seconds += seconds
        self.compile_seconds += compile_seconds
        self.computed += steps * lanes
        self.occupied += steps * runs
        self.updates += updates

    @classmethod
    def of(cls, facts: dict[str, Any]) -> Cost:
        """The cost that a row of `Sweep.cost` tells of, to which more is added."""
        return cls(**{field.name: facts[field.name] for field in dataclasses.fields(cls)})

    def facts(self, runs: int) -> dict[str, Any]:
        """A row of `Sweep.cost`."""
        return {
            "runs": runs,
            "compile_seconds": self.compile_seconds,
            "seconds": self.seconds,
            "updates": self.updates,
            "occupied": self.occupied,
            "computed": self.computed,
            "seconds_a_step": self.seconds / max(self.updates, 1),
            "seconds_a_run": self.seconds / max(runs, 1),
            "padding": (self.computed - self.occupied) / max(self.computed, 1),
            "finished": (self.occupied - self.updates) / max(self.computed, 1),
        }
