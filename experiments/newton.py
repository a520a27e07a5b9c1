"""Newton lands on a quadratic's minimum in one step; elsewhere it squares errors, or finds a saddle.

Lecture 004 ("2nd order methods") derives ϑ ← ϑ − η H⁻¹ ∇L and works out its example L = ϑ·Aϑ: each step multiplies the
distance to the minimum by 1 − η, whatever A is, and with η = 1 one step is enough. Seen will be, in float64 on random
quadratics of eight variables of which the curvatures differ by factors of up to 10⁴: one step of η = 1 leaves less than
10⁻⁸ of the distance, and each step of a smaller η multiplies it by 1 − η to eight digits, while gradient descent with
its best constant step, 2/(λ_min + λ_max), has more than half of the distance left after twelve steps (median).

What the example cannot show, since it is a quadratic: on F = (x² − 1)²/4 + y²/2 + xy³/10, with minima at (±1, 0) and
a saddle at the origin between them, the steps near a minimum square the error. The order, measured by the slope of
log error against log error of the step before, is asked to be 2 to within 0.3, as the median of the starts. And of
starts close to the saddle, where F curves down along x (|x| < 0.35), the plain iteration is asked to end at the saddle
from all: a solve with H goes uphill where H is not positive definite. `optim.newton` refuses these steps, stands and
says so, which is asked for as well, so that the plain iteration is written out here.

Source: lecture 004, "2nd order methods"; lecture 001, section 5.9; lecture 000, "Finding the root of a function".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments._descent import descent_path
from experiments._drawing import COLOURS, draw_band, drawing, label, plain_numbers
from experiments.running import Claim, Options, main
from fnnet import optim

DAMPINGS = (1.0, 0.75, 0.5, 0.25, 0.1)
DIMENSION, STEPS, WELL_STEPS = 8, 12, 12
SADDLE_WIDTH = 0.35
"""Without y the plain iteration goes to the saddle from |x| < 1/√5."""
EXACT = 1e-8
"""Share of the distance that one full step may leave, and how far a factor may be from 1 − η."""
LEFT = 0.5
"""Share of the distance that gradient descent has to leave."""
ORDER = 0.3
LOW, HIGH = 1e-12, 1e-1
"""Errors between which the order is measured: smaller ones are rounding, larger ones are not yet near."""


def wells(x: Any) -> Any:
    """F: two minima at (±1, 0), a saddle at the origin."""
    return (x[0] ** 2 - 1) ** 2 / 4 + x[1] ** 2 / 2 + x[0] * x[1] ** 3 / 10


def quadratics(key: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Distances by damping and step (dampings, steps + 1), gradient descent's, condition; of one random quadratic."""
    keys = jax.random.split(key, 3)
    exponents = jax.random.uniform(keys[0], (DIMENSION,), minval=-2.0, maxval=2.0)
    axes, _ = jnp.linalg.qr(jax.random.normal(keys[1], (DIMENSION, DIMENSION)))
    curvatures = 10**exponents
    matrix = (axes * curvatures) @ axes.T
    minimum, start = jax.random.normal(keys[2], (2, DIMENSION))

    def loss(theta: jax.Array) -> jax.Array:
        return (theta - minimum) @ matrix @ (theta - minimum) / 2

    def distances(optimizer: Any) -> jax.Array:
        return jnp.linalg.norm(descent_path(loss, start, optimizer, STEPS) - minimum, axis=-1)

    newton = jax.vmap(lambda damping: distances(optim.newton(damping)))(jnp.array(DAMPINGS))
    descent = distances(optim.sgd(2 / (curvatures.min() + curvatures.max())))
    return newton, descent, curvatures.max() / curvatures.min()


def plain(start: jax.Array) -> jax.Array:
    """All points of the plain iteration on F, (steps + 1, 2), wherever it leads."""

    def update(gradient: Any, state: Any, x: Any, *, value_fn: Callable[[Any], Any]) -> tuple[Any, Any]:
        return -jnp.linalg.solve(jax.hessian(value_fn)(x), gradient), state

    return descent_path(wells, start, optim.Optimizer(lambda _: (), update), WELL_STEPS)


@jax.jit
def run(keys: jax.Array, near_minimum: jax.Array, near_saddle: jax.Array) -> Any:
    """Everything, mapped over quadratics and over starts."""
    refused = jax.vmap(lambda x: optim.minimize(wells, x, optim.newton(), steps=WELL_STEPS))(near_saddle)
    return jax.vmap(quadratics)(keys), jax.vmap(plain)(near_minimum), jax.vmap(plain)(near_saddle), refused


def orders(errors: np.ndarray) -> np.ndarray:
    """Slope log(eₜ₊₂/eₜ₊₁) / log(eₜ₊₁/eₜ) of each start's last errors that are large enough to tell; NaN if none."""
    found = np.full(len(errors), np.nan)
    for index, row in enumerate(errors):
        near = row[(row > LOW) & (row < HIGH)]
        if len(near) >= 3:
            found[index] = np.log(near[-1] / near[-2]) / np.log(near[-2] / near[-3])
    return found


def draw(
    where: Any, title: str, newton: np.ndarray, descent: np.ndarray, errors: np.ndarray, at_saddle: np.ndarray
) -> None:
    """Distances on quadratics; errors near a minimum; where starts around the saddle go."""
    from matplotlib.ticker import LogLocator, NullLocator

    count = len(newton)
    subtitle = (
        f"Left: {count} random quadratics of 8 variables, mean and range of the logarithm. Middle and right: a "
        f"function with two minima and a saddle, {len(errors)} starts each. Dashed: the error is squared."
    )
    handles = [label(COLOURS[i], f"Newton, η = {eta:g}") for i, eta in enumerate(DAMPINGS)]
    handles.append(label(COLOURS[7], "gradient descent, best constant step"))
    with drawing(where, title, subtitle, handles, columns=3, height=3.6) as panels:
        axes = panels[0, 0]
        at = np.arange(STEPS + 1)
        for colour, distances in zip(COLOURS, np.moveaxis(newton, 1, 0), strict=False):
            draw_band(axes, at, np.log10(np.maximum(distances / distances[:, :1], 1e-16)), colour)
        draw_band(axes, at, np.log10(descent / descent[:, :1]), COLOURS[7])
        axes.set(xlabel="step", ylabel="log₁₀ of the share of the distance that is left", xticks=range(0, STEPS + 1, 3))
        axes.set_title("quadratics")
        axes = panels[0, 1]
        for row in errors:
            shown = row[row > 1e-15]
            axes.plot(shown[:-1], shown[1:], "o", color=COLOURS[0], markersize=3, alpha=0.5)
        line = np.geomspace(1e-7, 0.3, 20)
        axes.plot(line, line**2, "--", color=COLOURS[6], linewidth=1)
        axes.set(xscale="log", yscale="log", xlabel="error before the step", ylabel="error after the step")
        axes.set_title("near a minimum of another function")
        plain_numbers(axes.xaxis, axes.yaxis)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(10, numticks=6))
            axis.set_minor_locator(NullLocator())
        axes = panels[0, 2]
        grid = np.stack(np.meshgrid(np.linspace(-1.5, 1.5, 80), np.linspace(-1.2, 1.2, 80)))
        axes.contour(*grid, wells(grid), 16, colors="#CCCCCC", linewidths=0.7)
        for points in at_saddle[:10]:
            axes.plot(*points.T, color=COLOURS[2], marker="o", markersize=2.5, linewidth=1)
        axes.plot([-1, 1], [0, 0], "*", color=COLOURS[0], markersize=11)
        axes.plot(0, 0, "X", color=COLOURS[6], markersize=8, markeredgecolor="white", zorder=5)
        axes.annotate("saddle", (0, 0), xytext=(5, -14), textcoords="offset points")
        axes.annotate("minimum", (1, 0), xytext=(-22, 8), textcoords="offset points")
        axes.set(xlabel="x", ylabel="y", xlim=(-1.5, 1.5), ylim=(-1.2, 1.2))
        axes.set_title("the same function, around its saddle")


def experiment(options: Options) -> Claim:
    """Quadratics, a minimum and a saddle."""
    count, starts = (10, 20) if options.quick else (50, 100)
    keys = jax.random.split(jax.random.key(options.seed), 3)
    with jax.enable_x64(True):
        near = jnp.array([1.0, 0.0]) + jax.random.uniform(keys[1], (starts, 2), float, -0.35, 0.35)
        around = jax.random.uniform(keys[2], (starts, 2), float, -1.0, 1.0) * jnp.array([SADDLE_WIDTH, 0.5])
        found = run(jax.random.split(keys[0], count), near, around)
        (newton, descent, condition), to_minimum, to_saddle, refused = jax.tree.map(np.asarray, found)
    one_step = newton[:, 0, 1] / newton[:, 0, 0]
    damped = newton[:, 1:, 1:] / newton[:, 1:, :-1]
    wanted = 1 - np.array(DAMPINGS[1:])
    # Eight digits of the starting distance: what is left after many steps is known no better than that.
    deviation = np.abs(newton[:, 1:, 1:] - wanted[:, None] * newton[:, 1:, :-1]) / newton[:, 1:, :1]
    left = descent[:, -1] / descent[:, 0]
    errors = np.linalg.norm(to_minimum - np.array([1.0, 0.0]), axis=-1)
    measured = orders(errors)
    order = float(np.nanmedian(measured))
    caught = float((np.linalg.norm(to_saddle[:, -1], axis=-1) < 1e-6).mean())
    stands = float(np.mean(["not positive definite" in sentence for sentence in refused.sentence]))
    parts = {
        "one step is enough": one_step.max() < EXACT,
        "damped steps multiply by 1 − η": deviation.max() < EXACT,
        "gradient descent has most left": np.median(left) > LEFT,
        "errors are squared": abs(order - 2) <= ORDER,
        "the saddle takes all": caught == 1,
        "optim.newton refuses": stands == 1,
    }
    title = (
        f"One full Newton step leaves {one_step.max():.0e} of the distance on a quadratic; near another minimum the "
        f"order is {order:.2f}; a saddle takes {100 * caught:.0f} % of the starts around it"
    )
    draw(options.out / "newton.png", title, newton, descent, errors, to_saddle)
    words = (
        f"on {count} quadratics one step leaves at most {one_step.max():.1e} of the distance and damped steps multiply "
        f"it by 1 − η to within {deviation.max():.1e} (asked for: {EXACT:g}); gradient descent has "
        f"{100 * np.median(left):.0f} % left after {STEPS} steps (> {100 * LEFT:.0f} %); order near a minimum "
        f"{order:.2f} (2 ± {ORDER}); the saddle takes {100 * caught:.0f} % of {starts} starts, of which optim.newton "
        f"refuses {100 * stands:.0f} % (100 % both)"
    )
    numbers = {
        "quadratics": count, "starts": starts, "conditions": condition, "one_step": one_step,
        "factors": damped.mean(axis=(0, 2)), "dampings": DAMPINGS, "descent_left": left, "orders_median": order,
        "orders_measured": int(np.isfinite(measured).sum()), "saddle": caught, "refused": stands,
    }  # fmt: skip
    return Claim(parts, words, numbers)


if __name__ == "__main__":
    main("newton", __doc__, experiment)
