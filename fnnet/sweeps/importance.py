"""Which hyperparameters matter: the variance of the score, divided among them by functional ANOVA."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np

from fnnet.errors import HyperparameterError, StructureError, check_size, require
from fnnet.recipes import describe
from fnnet.report.scales import spread_over_decades

FEWEST = 6
"""Different settings with a score below which a forest has nothing to split on."""

FEW = 10
"""A column of at most so many different numbers is a choice among these."""


class Axis(NamedTuple):
    """A column as the forest sees it.

    Attributes:
        codes: (rows,) numbers, each value of a choice a whole number, a missing one below all others.
        points: the codes of a choice, or of what is missing, each of which has a weight of its own.
        weights: their weights; what they leave of 1 is uniform on ``interval``.
        interval: the ends of the numbers, None for a choice.
    """

    codes: np.ndarray
    points: np.ndarray
    weights: np.ndarray
    interval: tuple[float, float] | None = None


def importance(
    table: Any, hyperparameters: list[str], monitor: str, *, pairs: bool = False, trees: int = 64, seed: int = 0
) -> Any:
    """The share of the variance of a score that each hyperparameter explains alone, by functional ANOVA.

    f = f₀ + Σⱼ fⱼ(xⱼ) + Σⱼₖ fⱼₖ(xⱼ, xₖ) + …,  importance of U = Var[f_U] / Var[f]

    A random forest is fitted to the scores, and for each of its trees the averages over all other hyperparameters,
    and so the variances, are exact sums over the boxes of its leaves. What the main effects leave of 1 belongs to
    interactions. Numbers are uniform between the least and the largest in the table, in their logarithm where they
    were drawn so (positive, over more than a decade, and their median nearer to the middle of the logarithms); a
    column of at most 10 different numbers, and anything else, is a choice whose values all weigh the same. A missing
    cell, of a hyperparameter that does not exist there, is a value of its own; beside numbers it weighs its share of
    the rows. Rows without a finite score are left out.

    Seeds of a trial are rows of equal hyperparameters. Noise of the score that the forest follows counts for the
    hyperparameters too, so that one that does nothing has a little more than 0.

    Args:
        table: a DataFrame, a row a run.
        hyperparameters: names of its columns.
        monitor: name of the column of scores.
        pairs: whether interactions of two hyperparameters are listed as well.
        trees: trees of the forest, positive.
        seed: of the forest.

    Returns:
        A DataFrame of ``hyperparameter`` (of a pair ``"a × b"``), ``importance`` in [0, 1], the mean over trees, and
        ``std``, their standard deviation; the most important first. A hyperparameter with one value has 0.

    Raises:
        HyperparameterError: a name is not a column, or fewer than 6 different settings have a score.
        StructureError: scores are not numbers.
        MissingPackageError: scikit-learn is not installed.

    Source: Hutter, Hoos & Leyton-Brown, "An efficient approach for assessing hyperparameter importance", ICML 2014.

    >>> import pandas as pd
    >>> x, y = np.meshgrid(np.linspace(0, 1, 20), np.linspace(0, 1, 20))
    >>> table = pd.DataFrame({"rate": x.ravel(), "width": y.ravel(), "score": (3 * x + y).ravel()})
    >>> importance(table, ["width", "rate"], "score").round(1)[["hyperparameter", "importance"]].values.tolist()
    [['rate', 0.9], ['width', 0.1]]
    """
    check_size("importance", "trees", trees)
    scores = _scores(table, hyperparameters, monitor)
    scored = np.isfinite(scores)
    axes = [_axis(table[name].to_list(), scored) for name in hyperparameters]
    codes = np.stack([axis.codes for axis in axes], axis=1) if axes else np.zeros((int(scored.sum()), 0))
    settings = len(np.unique(codes, axis=0)) if axes else 0
    if settings < FEWEST:
        raise HyperparameterError(
            "importance",
            f"{settings} different settings have a finite {monitor!r}, of {len(scores)} runs, but at least {FEWEST} "
            f"are needed. Sweep over more trials, or vary more than constants.",
        )
    varying = [place for place in range(len(axes)) if np.ptp(codes[:, place]) > 0]
    forest = _forest(codes[:, varying], scores[scored], trees, seed)
    subsets: list[tuple[int, ...]] = [(place,) for place in range(len(axes))]
    subsets += list(itertools.combinations(range(len(axes)), 2)) if pairs else []
    shares = np.array([_shares(tree.tree_, axes, varying, subsets) for tree in forest.estimators_])
    import pandas as pd

    found = pd.DataFrame(
        {
            "hyperparameter": [" × ".join(hyperparameters[place] for place in subset) for subset in subsets],
            "importance": shares.mean(axis=0),
            "std": shares.std(axis=0),
        }
    )
    return found.sort_values("importance", ascending=False, kind="stable", ignore_index=True)


def _scores(table: Any, hyperparameters: list[str], monitor: str) -> np.ndarray:
    for name in (monitor, *hyperparameters):
        if name not in table:
            raise HyperparameterError(
                "importance", f"the table has no column {name!r}; it has {', '.join(map(repr, table))}."
            )
    try:
        return table[monitor].to_numpy(dtype=float)
    except (TypeError, ValueError) as error:
        raise StructureError("importance", f"column {monitor!r} does not hold numbers, so it is no score.") from error


def _axis(cells: list[Any], scored: np.ndarray) -> Axis:
    """A column, of its scored rows, as numbers."""
    cells = [cell for cell, kept in zip(cells, scored, strict=True) if kept]
    missing = np.array([_is_missing(cell) for cell in cells], dtype=bool)
    present = [cell for cell, lost in zip(cells, missing, strict=True) if not lost]
    numeric = all(isinstance(cell, int | float | np.number) and not isinstance(cell, bool) for cell in present)
    # Names in their order, so that the order of rows decides nothing.
    values = np.array([float(cell) if numeric else describe(cell) for cell in present])
    different, places = np.unique(values, return_inverse=True)
    codes = np.full(len(cells), -1.0)
    if not numeric or different.size <= FEW:
        codes[~missing] = places
        points = np.unique(codes)
        return Axis(codes, points, np.full(points.size, 1 / max(1, points.size)))
    if spread_over_decades(different):
        values = np.log(values)
    # In units of the box, so that float32, in which the forest computes, tells all of its values apart.
    codes[~missing] = (values - values.min()) / np.ptp(values)
    share = float(missing.mean())
    return Axis(codes, np.full(int(share > 0), -1.0), np.full(int(share > 0), share), (0.0, 1.0))


def _is_missing(cell: Any) -> bool:
    """Whether a cell is None, NaN or what pandas puts there; an infinite number has no place on an axis either."""
    if isinstance(cell, float | np.floating):
        return not np.isfinite(cell)
    return cell is None or type(cell).__name__ in ("NAType", "NaTType")


def _forest(codes: np.ndarray, scores: np.ndarray, trees: int, seed: int) -> Any:
    """A random forest, to which the rows are given in an order of their own, whatever theirs was."""
    ensemble = require("importance", "sklearn.ensemble", "experiments")
    order = np.lexsort((scores, *codes.T))
    forest = ensemble.RandomForestRegressor(trees, random_state=seed)
    return forest.fit(codes[order], scores[order])


def _shares(tree: Any, axes: list[Axis], varying: list[int], subsets: list[tuple[int, ...]]) -> list[float]:
    """The shares of the subsets of axes in the variance of one tree; 0 for what the tree does not vary with."""
    variances = tree_variances(tree, [axes[place] for place in varying], max(map(len, subsets)))
    total = variances[()]
    names = [tuple(varying.index(place) if place in varying else -1 for place in subset) for subset in subsets]
    return [variances.get(name, 0.0) / total if total > 0 else 0.0 for name in names]


def tree_variances(tree: Any, axes: list[Axis], order: int) -> dict[tuple[int, ...], float]:
    """The variances of a tree's main effects, and of its pairs for ``order`` 2; that of the tree itself under ().

    V_U = ∫ a_U² − Σ V_W over the proper parts W of U, where a_U is the average of f − ∫ f over all axes but those of U
    """
    lows, highs, values = _leaves(tree, len(axes))
    # Each axis falls into cells, between neighbouring thresholds and at points, on which all marginals are constant.
    # A leaf covers cells from its first to before its last.
    spans = [_span(axis, lows[:, place], highs[:, place]) for place, axis in enumerate(axes)]
    sizes = np.array([widths[stop] - widths[start] for start, stop, widths in spans])
    volumes = sizes.prod(axis=0)
    mean = float(volumes @ values)
    variances: dict[tuple[int, ...], float] = {(): float(volumes @ (values - mean) ** 2)}
    for subset in itertools.chain.from_iterable(itertools.combinations(range(len(axes)), k + 1) for k in range(order)):
        others = np.delete(sizes, subset, axis=0).prod(axis=0)
        average = _marginal([spans[place] for place in subset], others * (values - mean))
        weights = np.ones(())
        for place in subset:
            weights = np.multiply.outer(weights, np.diff(spans[place][2]))
        parts = sum(variances[(place,)] for place in subset) if len(subset) > 1 else 0.0
        variances[subset] = max(0.0, float((weights * average**2).sum()) - parts)
    return variances


def _leaves(tree: Any, axes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The boxes (low, high] of the leaves of a tree, (leaves, axes) each, and their values, level by level."""
    nodes = np.zeros(1, int)
    lows, highs = np.full((1, axes), -np.inf), np.full((1, axes), np.inf)
    boxes = []
    while nodes.size:
        is_leaf = tree.children_left[nodes] < 0
        boxes.append((lows[is_leaf], highs[is_leaf], tree.value[nodes[is_leaf], 0, 0]))
        nodes, lows, highs = nodes[~is_leaf], lows[~is_leaf], highs[~is_leaf]
        rows = np.arange(nodes.size)
        below, above = highs.copy(), lows.copy()
        below[rows, tree.feature[nodes]] = above[rows, tree.feature[nodes]] = tree.threshold[nodes]
        nodes = np.concatenate([tree.children_left[nodes], tree.children_right[nodes]])
        lows, highs = np.concatenate([lows, above]), np.concatenate([below, highs])
    low, high, value = (np.concatenate(parts) for parts in zip(*boxes, strict=True))
    return low, high, value


def _span(axis: Axis, lows: np.ndarray, highs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The first cell of each leaf, the one after its last, and the weight of all cells before each cell."""
    centres, weights = axis.points, axis.weights
    if axis.interval is not None:
        edges = np.unique(np.clip(np.concatenate([lows, highs, axis.interval]), *axis.interval))
        centres = np.concatenate([centres, (edges[1:] + edges[:-1]) / 2])
        left = 1 - weights.sum()
        weights = np.concatenate([weights, left * np.diff(edges) / (edges[-1] - edges[0])])
    before = np.concatenate([[0.0], np.cumsum(weights)])
    return np.searchsorted(centres, lows, "right"), np.searchsorted(centres, highs, "right"), before


def _marginal(spans: list[tuple[np.ndarray, np.ndarray, np.ndarray]], values: np.ndarray) -> np.ndarray:
    """The sum, in each cell of a few axes, of the values of all leaves that cover it."""
    cells = np.zeros([before.size for _, _, before in spans])
    # A leaf is added where it begins and taken away where it ends, so that running sums fill its box.
    for corner in itertools.product((0, 1), repeat=len(spans)):
        np.add.at(
            cells, tuple(span[side] for span, side in zip(spans, corner, strict=True)), values * (-1) ** sum(corner)
        )
    for place in range(len(spans)):
        cells = cells.cumsum(axis=place)
    return cells[(slice(-1),) * len(spans)]


__all__ = ["importance"]
