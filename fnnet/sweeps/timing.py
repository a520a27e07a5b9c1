"""Which way of computing lanes is the quickest: tried on the runs themselves, whose training it counts as."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping

from fnnet.sweeps.book import RunId
from fnnet.sweeps.lanes import Lanes
from fnnet.sweeps.packs import Packs
from fnnet.sweeps.plans import GroupPlan

LEAST_PERIODS = 20
"""Evaluations of a run from which on it is timed: each way is tried for one, a twentieth of the work at the most."""

WORTH = 10.0
"""How many times what it takes to compile the other ways has to be left to do, for them to be tried."""

_found: dict[Hashable, int] = {}
_compiling: dict[Hashable, float] = {}
"""Seconds that a program took the first time, which a process that has it compiled already cannot tell."""


def remembered(name: Hashable) -> int | None:
    """The width that was found for this program in this process, so that the same sweep takes the same again."""
    return _found.get(name)


def settle(
    packs: Packs, until: Mapping[RunId, int], generation: int, name: Hashable, planned: Callable[[Lanes], GroupPlan]
) -> int | None:  # fmt: skip
    """Trains runs for an evaluation in each way, if it is worth it, and lets the quickest go on.

    Args:
        packs: of the runs, with the way that is likely the best.
        until: how far the runs are to go.
        generation: of the scheduler's decisions.
        name: of the program, by which the answer is remembered.
        planned: how many lanes of which size fit.

    Returns:
        The width of the quickest, or None if there was too little to do to ask, or an interruption.
    """
    work, book = packs.work, packs.host.book
    periods = max((steps - book.step(run)) // work.period for run, steps in until.items())
    if periods < LEAST_PERIODS:
        return None
    packs.settled = True
    pace = {packs.lanes: _pace(packs, until, generation)}
    left = sum(steps - book.step(run) for run, steps in until.items()) * pace[packs.lanes]
    compiling = _compiling[name] = max(packs.cost.compile_seconds, _compiling.get(name, 0.0))
    if left < WORTH * compiling or packs.host.interrupted():
        return None
    others = [planned(packs.lanes.of_width(width)) for width in packs.lanes.others]
    ways = {other.lanes: other for other in others if other.lanes != packs.lanes}
    if left < WORTH * compiling * len(ways):
        return None
    first = packs.at_once
    for lanes, way in ways.items():
        packs.use(lanes, way.at_once)
        pace[lanes] = _pace(packs, until, generation)
    if packs.host.interrupted():  # what was cut short was not timed
        return None
    best = min(pace, key=lambda lanes: pace[lanes])
    packs.use(best, ways[best].at_once if best in ways else first)
    _found[name] = best.width
    return best.width


def _pace(packs: Packs, until: Mapping[RunId, int], generation: int) -> float:
    """Seconds an update takes, up to the next evaluation of every run."""
    book, cost, period = packs.host.book, packs.cost, packs.work.period
    seconds, updates = cost.seconds, cost.updates
    packs.train({run: min((book.step(run) // period + 1) * period, steps) for run, steps in until.items()
                 if book.goes_on(run, steps)}, generation)  # fmt: skip
    return (cost.seconds - seconds) / max(cost.updates - updates, 1)
