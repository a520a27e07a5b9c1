"""120 networks on digits by a sweep, and scikit-learn's halving search of the same grid: cold processes, in turn.

24 combinations of learning rate and L2 penalty, 5 folds, one hidden layer of 64 relus, batches of 64, Adam, 50
epochs. The sweep trains all 120 networks to the end, or halves them from 5 epochs on. scikit-learn's search begins with
few rows, as it does unless told, or with 5 epochs, gives three times as many to the better third, each time from the
start, and stops a network whose training loss stands still; it is measured in one process and in two. The time is that
of the whole process: imports, compiling, data, search.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import warnings
from pathlib import Path
from typing import Any

from benchmarks.measuring import Measured, cold, keep, say, spread

LEARNING_RATES = [3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1]
PENALTIES = [1e-4, 1e-2, 1e-1, 1.0]
HIDDEN, BATCH, EPOCHS, FOLDS, CORES = 64, 64, 50, 5, 2
WITHIN = 0.005
"""How far apart the best scores may be."""


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


def by_scikit_learn(seed: int, resource: str, jobs: int) -> None:
    """The halving search over the same grid."""
    import numpy as np
    from sklearn.datasets import load_digits
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.model_selection import HalvingGridSearchCV, StratifiedKFold
    from sklearn.neural_network import MLPClassifier

    inputs, targets = load_digits(return_X_y=True)
    resources: dict[str, Any] = {"resource": resource}
    if resource == "max_iter":
        resources["max_resources"] = EPOCHS
    search = HalvingGridSearchCV(
        MLPClassifier((HIDDEN,), batch_size=BATCH, solver="adam", max_iter=EPOCHS, random_state=seed),
        {"learning_rate_init": LEARNING_RATES, "alpha": PENALTIES},
        cv=StratifiedKFold(FOLDS, shuffle=True, random_state=seed),
        random_state=seed,
        n_jobs=jobs,
        refit=False,
        return_train_score=False,
        **resources,
    )
    search.fit((inputs / 16).astype(np.float32), targets)
    scores, rungs = search.cv_results_["mean_test_score"], search.cv_results_["iter"]
    best = int(np.nanargmax(np.where(rungs == rungs.max(), scores, -1)))
    say(
        score=float(scores[best]),
        best={"learning_rate": search.best_params_["learning_rate_init"], "alpha": search.best_params_["alpha"]},
        runs=len(scores) * FOLDS,
        resources=search.n_resources_,
        candidates=search.n_candidates_,
    )


def main() -> None:
    """Measures in turn, and says what was found; the exit code is 0 if the claim holds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.halving", description=__doc__)
    parser.add_argument("--times", type=int, default=3, help="how often each is measured")
    parser.add_argument("--out", type=Path, default=Path("runs") / "benchmarks", help="folder for the numbers")
    options = parser.parse_args()
    calls: dict[str, tuple[Any, ...]] = {"fnnet, all to the end": ("fnnet", 0), "fnnet, halving": ("fnnet", 1)}
    calls |= {
        f"scikit-learn, {resource}, n_jobs={jobs}": ("sklearn", resource, jobs)
        for resource in ("n_samples", "max_iter")
        for jobs in (1, 2)
    }
    found: dict[str, list[Measured]] = {name: [] for name in calls}
    for seed in range(options.times):
        for name, (side, *how) in calls.items():
            found[name].append(cold("halving", side, seed, *how))
    for name, measured in found.items():
        scores = spread([m.said["score"] for m in measured], 4)
        others = max(m.others for m in measured)
        sys.stdout.write(
            f"{name}: {spread([m.seconds for m in measured])} s, score {scores}, others {others:.1f} cores\n"
        )
    seconds = {name: statistics.median(m.seconds for m in measured) for name, measured in found.items()}
    score = {name: statistics.median(m.said["score"] for m in measured) for name, measured in found.items()}
    whole, halved, *theirs = calls
    usual = min((name for name in theirs if "n_samples" in name), key=seconds.__getitem__)
    quickest = min(theirs, key=seconds.__getitem__)
    pairs = [(whole, usual), (halved, quickest)]
    seen = all(seconds[a] < seconds[b] and score[a] >= score[b] - WITHIN for a, b in pairs)
    keep("halving", options.out, {name: [m._asdict() for m in measured] for name, measured in found.items()})
    words = "; ".join(
        f"{a} {seconds[a]:.1f} s, {b} {seconds[b]:.1f} s, scores {score[a] - score[b]:+.4f} apart" for a, b in pairs
    )
    sys.stdout.write(f"{'seen' if seen else 'NOT SEEN'}: {words}\n")
    sys.exit(0 if seen else 1)


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # scikit-learn says of every network that 50 epochs did not suffice
    if sys.argv[1:2] == ["fnnet"]:
        by_fnnet(int(sys.argv[2]), sys.argv[3] == "1")
    elif sys.argv[1:2] == ["sklearn"]:
        by_scikit_learn(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
    else:
        main()
