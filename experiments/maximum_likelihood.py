"""The likelihood chooses mean or median, a prior helps while data are few, an NLL tends to H(p, q).

Lecture 001 (3.6 to 3.14) and lecture 000 ("Estimating function parameters") fit models by maximum likelihood: a
Gaussian likelihood is the squared error, whose best constant is the mean; a Laplace likelihood is the absolute error,
whose best constant is the median and which is more robust to outliers; and the mean negative log-likelihood of m
examples tends to the cross entropy H(p, q). A prior makes it maximum a posteriori, useful "if we have some prior
knowledge". Seen will be, with ten seeds of many draws each:

1. minimised by gradients, both likelihoods and the posterior end at mean, median and n x̄/(n + σ²/τ²);
2. with two examples the posterior's squared error is less than half of that of maximum likelihood, with 128 more than
   0.9 of it, and both are as large as theory says. That is so if the prior is right: where the truth is three standard
   deviations of the prior away, the prior does harm, and the error with two examples is more than 1.5 times as large;
3. with a tenth of outliers the error of the mean is more than three times that of the median. Without outliers the
   median is the worse one, which the lecture does not say: its squared error is about π/2 times that of the mean;
4. |NLL − H(p, q)| falls as m^−½, within 0.1 of this power.

Source: lectures 000 and 001; the Gaussian NLL with ½ log(2πσ²), which 001 prints as ½ 2(πσ²).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments._drawing import COLOURS, draw_band, drawing, plain_numbers, spread
from experiments.running import Claim, Options, main
from fnnet import losses, optim, stats
from fnnet.types import Array

SIZES = np.array([1, 2, 4, 8, 16, 32, 64, 128])
VARIANCE, PRIOR_VARIANCE = 4.0, 1.0
SURPRISING = 3.0
"""A truth that the prior, whose standard deviation is 1, holds for unlikely."""
SHARES = np.array([0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3])
OUTLIER = 10.0
EXAMPLES = 101
COUNTS = np.array([10, 30, 100, 300, 1000, 3000])
P = np.array([0.5, 0.3, 0.15, 0.05], np.float32)
Q = np.array([0.4, 0.2, 0.2, 0.2], np.float32)
NEAR = 0.02
"""How far a minimisation may end from the closed form, in standard deviations of the data."""
THEORY = 0.15
"""How far mean squared errors may be from theory, as a share of it."""


class Found(NamedTuple):
    """What one seed has found: mean squared errors over its draws, but for the first."""

    distances: Array
    """(3,) of mean, maximum a posteriori and median by minimisation from what they should be, in one draw"""
    likelihood: Array
    posterior: Array
    surprised: Array
    """(sizes,) each; the last is the posterior's if the truth is `SURPRISING`"""
    mean: Array
    median: Array
    """(shares,) each"""
    nll: Array
    """(counts,)"""


def minimisation(key: Array) -> Array:
    """How far minimised likelihoods and posteriors end from mean, shrunk mean and median."""
    x = 1 + jax.random.normal(key, (EXAMPLES,))
    optimizer = optim.adam(optim.schedules.linear_decay(0.1, 0.0, 500))
    ridge = 1 / PRIOR_VARIANCE
    wanted = (x.mean(), x.sum() / (EXAMPLES + ridge), jnp.median(x))
    models = (stats.gaussian(1.0), stats.gaussian(1.0, PRIOR_VARIANCE), stats.laplace(1.0))
    fits = (stats.fit_by_minimize(model, x, optimizer).parameters for model in models)
    return jnp.stack([jnp.abs(next(iter(fit.values())) - value) for fit, value in zip(fits, wanted, strict=True)])


def one_draw(key: Array) -> tuple[Array, ...]:
    """Squared errors of all estimates."""
    keys = jax.random.split(key, 5)
    truth = jnp.sqrt(PRIOR_VARIANCE) * jax.random.normal(keys[0])
    noise = jnp.sqrt(VARIANCE) * jax.random.normal(keys[1], (int(SIZES[-1]),))

    def errors(truth: Any, prior_variance: float | None) -> Array:
        model = stats.gaussian(VARIANCE, prior_variance)
        return jnp.stack([model.closed_form(truth + noise[:n])["mean"] - truth for n in SIZES])

    outlying = jax.random.uniform(keys[2], (EXAMPLES,)) < SHARES[:, None]
    x = jax.random.normal(keys[3], (EXAMPLES,)) + OUTLIER * outlying
    mean = jax.vmap(lambda x: stats.gaussian(1.0).closed_form(x)["mean"])(x)
    median = jax.vmap(lambda x: stats.laplace(1.0).closed_form(x)["median"])(x)
    ids = jax.random.categorical(keys[4], jnp.log(P), shape=(int(COUNTS[-1]),))
    nll = losses.categorical(jnp.broadcast_to(jnp.log(Q), (len(ids), len(Q))), ids)
    entropy = stats.cross_entropy(P, Q)
    found = (errors(truth, None), errors(truth, PRIOR_VARIANCE), errors(SURPRISING, PRIOR_VARIANCE), mean, median)
    return *map(jnp.square, found), jnp.square(jnp.stack([nll[:m].mean() for m in COUNTS]) - entropy)


def experiment(options: Options) -> Claim:
    """All draws of all seeds as one program."""
    seeds, draws = (5, 400) if options.quick else (10, 1000)

    @jax.jit
    @jax.vmap
    def by_seed(key: Array) -> Found:
        first, second = jax.random.split(key)
        errors = jax.vmap(one_draw)(jax.random.split(first, draws))
        return Found(minimisation(second), *(error.mean(axis=0) for error in errors))

    found = jax.tree.map(np.asarray, by_seed(jax.random.split(jax.random.key(options.seed), seeds)))
    average = jax.tree.map(lambda values: values.mean(axis=0), found)
    theory = {"likelihood": VARIANCE / SIZES, "posterior": 1 / (SIZES / VARIANCE + 1 / PRIOR_VARIANCE)}
    off = max(np.abs(getattr(average, name) / law - 1).max() for name, law in theory.items())
    shrunk = found.posterior / found.likelihood
    harmed = found.surprised[:, 1] / found.likelihood[:, 1]
    robust = np.sqrt(found.mean / found.median)
    clean = found.median[:, 0] / found.mean[:, 0]
    slopes = np.array([np.polyfit(np.log(COUNTS), np.log(nll) / 2, 1)[0] for nll in found.nll])
    parts = {
        "minimisation": found.distances.max() < NEAR,
        "right prior": shrunk[:, 1].mean() < 0.5 and shrunk[:, -1].mean() > 0.9 and off < THEORY,
        "wrong prior": harmed.mean() > 1.5,
        "outliers": robust[:, 2].mean() > 3,
        "no outliers": 1.3 < clean.mean() < 1.85,
        "cross entropy": abs(slopes.mean() + 0.5) < 0.1,
    }
    words = (
        f"a prior makes the squared error of two examples {spread(shrunk[:, 1], 2)} times as large (asked for: < 0.5), "
        f"a wrong one {spread(harmed, 2)} times (> 1.5); with 10 % outliers the mean errs {spread(robust[:, 2], 2)} "
        f"times as far as the median (> 3), without any the median's squared error is {clean.mean():.2f} times the "
        f"mean's (1.3 to 1.85); |NLL − H(p, q)| falls as m to the {spread(slopes, 2)} (−0.6 to −0.4); minimisation is "
        f"off by {found.distances.max():.1g} at most (< {NEAR}); {seeds} seeds"
    )
    draw(options, found, theory, seeds, draws)
    numbers = {"seeds": seeds, "draws": draws, "off_theory": off, "slopes": slopes}
    numbers |= {"sizes": SIZES, "shares": SHARES, "counts": COUNTS, "mean_squared_errors": average._asdict()}
    return Claim(parts, words, numbers)


def draw(options: Options, found: Found, theory: dict[str, np.ndarray], seeds: int, draws: int) -> None:
    """Three panels: the prior, the outliers, the cross entropy."""
    times = np.sqrt(found.mean / found.median)[:, 2].mean()
    part = (found.posterior / found.likelihood)[:, 1].mean()
    title = (
        f"A right prior leaves {part:.2f} of the squared error of two examples; with 10 % outliers the mean errs "
        f"{times:.1f} times as far as the median"
    )
    subtitle = f"Line: mean of {seeds} seeds of {draws} draws each; band: from the least to the greatest of the seeds."
    with drawing(options.out / "maximum_likelihood.png", title, subtitle, columns=3, height=3.2) as panels:
        prior, outliers, entropy = panels[0]
        prior.set_title("Estimated mean of a Gaussian")
        for colour, name, law in (
            (COLOURS[1], "maximum likelihood", "likelihood"),
            (COLOURS[0], "a posteriori, prior right", "posterior"),
            (COLOURS[2], f"a posteriori, truth at {SURPRISING:.0f} τ", "surprised"),
        ):
            draw_band(prior, SIZES, getattr(found, law), colour, label=name)
            if law in theory:
                prior.plot(SIZES, theory[law], color="#222222", linestyle=":", linewidth=1, zorder=3)
        prior.plot([], [], color="#222222", linestyle=":", linewidth=1, label="theory")
        prior.set(xlabel="examples n", ylabel="mean squared error", xscale="log", yscale="log")
        outliers.set_title("Mean and median with outliers")
        draw_band(outliers, 100 * SHARES, np.sqrt(found.mean), COLOURS[1], label="mean (Gaussian, MSE)")
        draw_band(outliers, 100 * SHARES, np.sqrt(found.median), COLOURS[0], label="median (Laplace, MAE)")
        outliers.set(xlabel="outliers, %, at ten standard deviations", ylabel="root mean squared error")
        outliers.set(xlim=(0, 30), ylim=(0, None))
        entropy.set_title("Mean NLL tends to H(p, q)")
        draw_band(entropy, COUNTS, np.sqrt(found.nll), COLOURS[0], label="NLL − H(p, q)")
        line = np.sqrt(found.nll[:, 0].mean() * COUNTS[0] / COUNTS)
        entropy.plot(COUNTS, line, color="#222222", linestyle=":", linewidth=1, label="∝ 1/√m", zorder=3)
        entropy.set(xlabel="examples m", ylabel="root mean squared difference, nats", xscale="log", yscale="log")
        for axes in panels[0]:
            axes.legend(loc="best")
            for axis in (axes.xaxis, axes.yaxis):
                if axis.get_scale() == "log":
                    plain_numbers(axis)


if __name__ == "__main__":
    main("maximum_likelihood", __doc__, experiment)
