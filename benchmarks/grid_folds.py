"""120 networks on digits by a sweep, and scikit-learn's searches of the same grid: new processes, in turn.

24 combinations of learning rate and L2 penalty, 5 folds, one hidden layer of 64 relus, batches of 64, Adam, 50
epochs. The sweep trains all 120 networks to the end, or halves them from 5 epochs on, with an empty cache of compiled
programs and with a filled one. scikit-learn trains all of them in two processes, or halves them: it begins with few
rows, as it does unless told, or with 5 epochs, gives three times as many to the better third, each time from the start,
and stops a network whose training loss stands still. The time is that of the whole process: imports, compiling, data,
search.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import warnings
from typing import Any

import numpy as np

from benchmarks.measuring import Measured, cold, say
from benchmarks.reporting import Options, Row

LEARNING_RATES = [3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1]
PENALTIES = [1e-4, 1e-2, 1e-1, 1.0]
HIDDEN, BATCH, EPOCHS, FOLDS, CORES = 64, 64, 50, 5, 2


def by_fnnet(seed: int, halving: bool) -> None:
    """All 120 networks, as a user's program would train them."""
    import jax

    jax.config.update("jax_num_cpu_devices", CORES)
    import fnnet
    from fnnet import data, hp, losses, metrics, nn, optim

    def learner(learning_rate: Any, alpha: Any) -> fnnet.Learner:
        return fnnet.Learner(
            nn.mlp([HIDDEN, 10]),
            losses.softmax_cross_entropy,
            optim.adam(learning_rate),
            {"accuracy": metrics.accuracy},
            # scikit-learn divides the penalty of the weights by the examples of a batch.
            losses.gaussian_prior(alpha / BATCH, mask=optim.matrices),
        )

    swept = fnnet.sweep(
        learner,
        {"learning_rate": hp.grid(*LEARNING_RATES), "alpha": hp.grid(*PENALTIES)},
        data.load("digits"),
        folds=FOLDS,
        epochs=EPOCHS,
        batch_size=BATCH,
        key=jax.random.key(seed),
        scheduler=fnnet.schedulers.successive_halving(epochs=5, factor=3) if halving else None,
        progress=False,
    )
    best, cost = swept.summary().iloc[0], swept.cost.iloc[0]
    # scikit-learn judges a network as it is at the end, of those that get there; the table has the best epoch of each.
    at_end = swept.history["validation/accuracy"][:, -1].reshape(-1, FOLDS).mean(axis=1)
    say(
        score=float(max(at_end[at_end >= 0])),
        best_epoch_score=float(best["mean"]),
        best={"learning_rate": float(best["learning_rate"]), "alpha": float(best["alpha"])},
        runs=len(swept.table),
        updates=int(cost["updates"]),
        compiling=float(cost["compile_seconds"]),
        training=float(cost["seconds"]),
    )


def by_scikit_learn(seed: int, resource: str) -> None:
    """The search over the same grid, by halving with a resource, or of all with ``resource`` "none"."""
    from sklearn.datasets import load_digits
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, StratifiedKFold
    from sklearn.neural_network import MLPClassifier

    inputs, targets = load_digits(return_X_y=True)
    options: dict[str, Any] = {"cv": StratifiedKFold(FOLDS, shuffle=True, random_state=seed), "n_jobs": CORES}
    net = MLPClassifier((HIDDEN,), batch_size=BATCH, solver="adam", max_iter=EPOCHS, random_state=seed)
    grid = {"learning_rate_init": LEARNING_RATES, "alpha": PENALTIES}
    if resource == "none":
        search = GridSearchCV(net, grid, refit=False, **options)
    else:
        most = {"max_resources": EPOCHS} if resource == "max_iter" else {}
        search = HalvingGridSearchCV(net, grid, refit=False, resource=resource, random_state=seed, **most, **options)
    search.fit((inputs / 16).astype(np.float32), targets)
    scores = search.cv_results_["mean_test_score"]
    rungs = search.cv_results_.get("iter", np.zeros(len(scores)))
    say(score=float(np.nanmax(np.where(rungs == rungs.max(), scores, -1))), runs=len(scores) * FOLDS)


CALLS: dict[str, tuple[Any, ...]] = {
    "all": ("fnnet", 0),
    "halving": ("fnnet", 1),
    "grid": ("sklearn", "none"),
    "halving, rows": ("sklearn", "n_samples"),
    "halving, max_iter": ("sklearn", "max_iter"),
}
PAIRS = [
    ("all", "grid", "GridSearchCV, n_jobs=2", 4.0, 6.0),
    ("halving", "halving, rows", "HalvingGridSearchCV, n_jobs=2", 1.3, 2.0),
    ("halving", "halving, max_iter", "the same, max_iter as the resource", 1.3, 2.0),
]
"""Ours, theirs, what theirs is, and what is asked with an empty cache and with a filled one."""


def measure(options: Options) -> tuple[list[Row], Any]:
    """Rows with an empty cache, then with a filled one."""
    found: dict[str, list[Measured]] = {name: [] for name in (*CALLS, "all, filled", "halving, filled")}
    with tempfile.TemporaryDirectory() as folder:
        cache = {"JAX_COMPILATION_CACHE_DIR": folder, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
        for name in ("all", "halving"):
            cold("grid_folds", "fnnet", 0, CALLS[name][1], environment=cache)
        for seed in range(1 if options.quick else options.times):
            for name, (side, *how) in CALLS.items():
                found[name].append(cold("grid_folds", side, seed, *how))
                if side == "fnnet":
                    found[f"{name}, filled"].append(cold("grid_folds", side, seed, *how, environment=cache))
    seconds = {name: statistics.median(m.seconds for m in measured) for name, measured in found.items()}
    score = {name: statistics.median(m.said["score"] for m in measured) for name, measured in found.items()}
    rows = []
    for filled in (False, True):
        for ours, theirs, words, *asked in PAIRS:
            mine = f"{ours}, filled" if filled else ours
            work = f"120 networks, {ours}, {'filled' if filled else 'empty'} cache"
            note = f"best score {score[mine]:.4f}, theirs {score[theirs]:.4f}"
            rows.append(Row(work, words, seconds[mine], seconds[theirs], "s", asked[filled], note))
    return rows, {name: [m._asdict() for m in measured] for name, measured in found.items()}


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # scikit-learn says of every network that 50 epochs did not suffice
    if sys.argv[1] == "fnnet":
        by_fnnet(int(sys.argv[2]), sys.argv[3] == "1")
    else:
        by_scikit_learn(int(sys.argv[2]), sys.argv[3])
