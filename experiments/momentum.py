"""A little momentum damps oscillations and much of it speeds up; Nesterov's look-ahead does not damp.

Lecture 000 ("GD with Momentum", "Gradient Descent with Nesterov Momentum") says that gradient descent oscillates when α
is large, and shows paths, without telling of which function, for α = 1.4 with γ = 0, with momentum of γ = 0.1, and with
Nesterov's of γ = 0.04, which seem to need less and less of it. Here they run on half a squared distance with curvatures
λ = 1/4 and 4/3, where α = 1.4 oscillates and yet converges. The steep error shrinks by a factor r in each step:

    none: r = 1 − αλ                           momentum: r² − (1 + γ − αλ) r + γ = 0
    Nesterov: r² − (1 + γ)(1 − αλ) r + γ (1 − αλ) = 0
    Nesterov as printed: r² − (1 + γ (1 + αλ) − αλ) r + γ (1 + αλ) = 0

Not as the lecture has it: where a plain step overshoots, 1 < αλ < 2, the third equation has a root below 1 − αλ for
every γ > 0, so that Nesterov's look-ahead makes each oscillation worse. The form that the lecture prints has the other
sign: the gradient is taken at θ + γv although θ ← θ − v, which looks behind, and that does damp like the picture.

Lecture 002 ("Momentum") shows the head of Goh's article with α = 0.02 and β = 0.99. Its function is
(1 − x)² + 20 (3y − x²)², from (−1.21, 0.853). The two numbers are what stands in that page before its sliders, of which
α ends at 0.006, have set it: with them the article's v ← βv + g diverges. In the form that the lecture writes beside
it, m ← βm + (1 − β) g, they are α = 0.0002 of the article's form, and that converges, with oscillations of its own.

Asked for, over random starts: measured factors within 0.01 of the equations; from every start the last steep error is
smaller with momentum than without, and with the look-ahead larger; momentum of 0.74 and of 0.9 ends 150 steps in Goh's
valley below gradient descent, all with α = 0.003, from nine starts of ten; the article's form diverges from nine of ten
with the lecture's numbers, and the lecture's form goes below 0.001 within 3000 steps from nine of ten, after a rise to
more than twice an earlier loss.

Source: lecture 000 and lecture 002, as above; Goh, "Why Momentum Really Works", Distill, 2017.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments._descent import descent_path
from experiments._drawing import COLOURS, draw_band, drawing, plain_numbers
from experiments.running import Claim, Options, main
from fnnet import optim

CURVATURES = (0.25, 4 / 3)
ALPHA, GAMMA, LOOKING = 1.4, 0.1, 0.04
STEPS, VALLEY_STEPS, LONG = 40, 150, 3000
START = (-1.21, 0.853)
FORMS = ("γ = 0", "momentum, γ = 0.1", "Nesterov, γ = 0.04", "Nesterov as printed, γ = 0.04")
VALLEY = {
    "α = 0.003, no momentum": (0.003, 0.0),
    "α = 0.003, β = 0.74": (0.003, 0.74),
    "α = 0.003, β = 0.9": (0.003, 0.9),
    "α = 0.02, β = 0.99, article's form": (0.02, 0.99),
}
LECTURE = "α = 0.02, β = 0.99, lecture's form"
EXACT, MOST, LOW = 0.01, 0.9, 1e-3


def bowl(theta: jax.Array) -> jax.Array:
    """½ Σ λᵢ θᵢ²."""
    return jnp.sum(jnp.array(CURVATURES) * theta**2) / 2


def valley(w: jax.Array) -> jax.Array:
    """Goh's: (1 − x)² + 20 (3y − x²)²; the minimum is at (1, 1/3)."""
    return (1 - w[0]) ** 2 + 20 * (3 * w[1] - w[0] ** 2) ** 2


def as_printed(alpha: float, gamma: float) -> optim.Optimizer:
    """Takes the gradient from behind: v ← γv + α ∇f(θ + γv), θ ← θ − v."""

    def update(_: Any, v: Any, theta: Any, *, value_fn: Callable[[Any], Any]) -> tuple[Any, Any]:
        v = gamma * v + alpha * jax.grad(value_fn)(theta + gamma * v)
        return -v, v

    return optim.Optimizer(jnp.zeros_like, update)


@jax.jit
def run(starts: jax.Array, valley_starts: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Paths in the bowl (forms, starts, points, 2), in the valley (settings, …), and the lecture's form for long."""

    def in_bowl(start: jax.Array) -> jax.Array:
        nesterov = optim.sgd(ALPHA, LOOKING, nesterov=True)
        forms = (optim.sgd(ALPHA), optim.sgd(ALPHA, GAMMA), nesterov, as_printed(ALPHA, LOOKING))
        return jnp.stack([descent_path(bowl, start, optimizer, STEPS) for optimizer in forms])

    def in_valley(start: jax.Array, alpha: jax.Array, beta: jax.Array) -> jax.Array:
        return descent_path(valley, start, optim.sgd(alpha, beta), VALLEY_STEPS)

    alphas, betas = jnp.array(list(VALLEY.values())).T
    short = jax.vmap(jax.vmap(in_valley, (0, None, None)), (None, 0, 0))(valley_starts, alphas, betas)
    long = jax.vmap(lambda start: descent_path(valley, start, optim.ema_momentum(0.02, 0.99), LONG))(valley_starts)
    return jnp.moveaxis(jax.vmap(in_bowl)(starts), 0, 1), short, long


def closed_forms() -> np.ndarray:
    """The root that is largest in size, for each form in the steep direction."""
    step = ALPHA * CURVATURES[1]
    polynomials = [
        [1, step - 1],
        [1, -(1 + GAMMA - step), GAMMA],
        [1, -(1 + LOOKING) * (1 - step), LOOKING * (1 - step)],
        [1, -(1 + LOOKING * (1 + step) - step), LOOKING * (1 + step)],
    ]
    return np.array([roots[np.argmax(np.abs(roots))].real for roots in map(np.roots, polynomials)])


def draw(where: Any, title: str, count: int, paths: np.ndarray, settings: dict[str, tuple[Any, Any]]) -> None:
    """Above the lecture's paths with their errors, below Goh's valley with the losses."""
    subtitle = (
        f"Above: ½ (θ₁²/4 + 4θ₂²/3), α = 1.4 (lecture 000). Below: Goh's valley (lecture 002); what leaves "
        f"the picture diverges. Left: one start. Right: mean (below: median) of {count} random starts, and their range."
    )
    with drawing(where, title, subtitle, rows=2, columns=2, height=7.6) as panels:
        colours: tuple[str, ...] = (COLOURS[7], COLOURS[0], COLOURS[2], COLOURS[1])
        axes = panels[0, 0]
        grid = np.stack(np.meshgrid(np.linspace(-6.5, 2, 60), np.linspace(-2.5, 2.5, 60)), -1)
        axes.contour(grid[..., 0], grid[..., 1], (np.array(CURVATURES) * grid**2).sum(-1) / 2, 12, colors="#CCCCCC",
                     linewidths=0.7)  # fmt: skip
        for colour, points in zip(colours, paths[:, 0], strict=True):
            axes.plot(*points.T, color=colour, marker="o", markersize=2.5, linewidth=1.1)
        axes.set(xlabel="θ₁ (flat)", ylabel="θ₂ (steep)", xlim=(-6.5, 2), ylim=(-2.5, 2.5))
        axes = panels[0, 1]
        for colour, name, errors in zip(colours, FORMS, np.abs(paths[..., 1]), strict=True):
            draw_band(axes, np.arange(STEPS + 1), np.log10(np.maximum(errors, 1e-12)), colour)
            axes.plot([], [], color=colour, label=name)
        axes.legend(loc="lower left")
        axes.set(xlabel="step", ylabel="log₁₀ of the error in θ₂")
        axes = panels[1, 0]
        grid = np.stack(np.meshgrid(np.linspace(-1.8, 1.9, 120), np.linspace(-0.4, 1.2, 120)), -1)
        heights = np.asarray(jax.vmap(jax.vmap(valley))(jnp.asarray(grid)))
        axes.contour(grid[..., 0], grid[..., 1], heights, np.geomspace(0.05, 60, 14), colors="#CCCCCC", linewidths=0.7)
        colours = (COLOURS[7], COLOURS[5], COLOURS[0], COLOURS[4], COLOURS[2])
        for colour, (name, (points, losses)) in zip(colours, settings.items(), strict=True):
            shown = points[0][: VALLEY_STEPS + 1]
            shown = shown[np.cumprod(np.abs(shown).max(axis=-1) < 1e3).astype(bool)]
            axes.plot(*shown.T, color=colour, linewidth=1.1)
            at = np.arange(1, losses.shape[1] + 1)
            middle = np.median(losses, axis=0)
            known = losses.max(axis=0) < 1e4
            panels[1, 1].fill_between(at[known], losses.min(axis=0)[known], losses.max(axis=0)[known], color=colour,
                                      alpha=0.15, linewidth=0)  # fmt: skip
            panels[1, 1].plot(at[middle < 1e8], middle[middle < 1e8], color=colour, label=name)
        axes.plot(1, 1 / 3, "*", color=COLOURS[6], markersize=11, markeredgecolor="white", zorder=5)
        axes.annotate("minimum", (1, 1 / 3), xytext=(6, -12), textcoords="offset points")
        axes.plot(*START, "o", color=COLOURS[6], markersize=5, zorder=5)
        axes.set(xlabel="x", ylabel="y", xlim=(-1.8, 1.9), ylim=(-0.4, 1.2))
        panels[1, 1].set(xscale="log", yscale="log", ylim=(1e-8, 1e3), xlabel="step (the start is 1)", ylabel="loss")
        plain_numbers(panels[1, 1].xaxis, panels[1, 1].yaxis)
        panels[1, 1].legend(loc="lower left", fontsize=7.5)


def experiment(options: Options) -> Claim:
    """Measured factors in the bowl, ends in the valley."""
    count = 10 if options.quick else 100
    keys = jax.random.split(jax.random.key(options.seed), 2)
    # The first of each is that of the pictures.
    starts = jax.random.uniform(keys[0], (count, 2), minval=jnp.array([-6.0, 0.5]), maxval=jnp.array([-3.0, 2.0]))
    starts = starts.at[0].set(jnp.array([-6.0, 2.0]))
    jitter = jax.random.uniform(keys[1], (count, 2), minval=-0.1, maxval=0.1).at[0].set(0.0)
    paths, short, long = map(np.asarray, run(starts, jnp.array(START) + jitter))

    steep = paths[..., 1]
    errors = np.abs(steep)
    # Of forms and starts: the mean over ten steps, with the sign of the first of them.
    factors = np.sign(steep[..., 21] / steep[..., 20]) * (errors[..., 30] / errors[..., 20]) ** 0.1
    wanted = closed_forms()
    deviation = float(np.abs(factors - wanted[:, None]).max())
    damped = bool((errors[1, :, -1] < errors[0, :, -1]).all())
    worse = bool((errors[2, :, -1] > errors[0, :, -1]).all())

    loss = jax.jit(jax.vmap(jax.vmap(valley)))
    losses = np.stack([np.asarray(loss(points)) for points in short])
    losses = np.where(np.isfinite(losses), losses, 1e30)  # what has overflowed has diverged
    slow = np.asarray(loss(long))
    faster = [float((losses[index, :, -1] < losses[0, :, -1]).mean()) for index in (1, 2)]
    diverged = float((losses[3, :, -1] > 1e6).mean())
    converged = float((slow.min(axis=1) < LOW).mean())
    # The largest ratio of a loss to the smallest before it.
    swing = (slow / np.minimum.accumulate(slow, axis=1)).max(axis=1)
    swings = float((swing > 2).mean())

    parts = {
        "factors are those of the equations": deviation <= EXACT,
        "momentum damps": damped,
        "the look-ahead does not": worse,
        "momentum ends lower in the valley": min(faster) >= MOST,
        "the article's form diverges": diverged >= MOST,
        "the lecture's form converges": converged >= MOST,
        "the lecture's form oscillates": swings >= MOST,
    }
    settings = {name: (short[index], losses[index]) for index, name in enumerate(VALLEY)}
    settings[LECTURE] = (long, slow)
    sizes = [float(np.abs(row).mean()) for row in factors]
    title = (
        f"A step of α = 1.4 leaves {100 * sizes[0]:.0f} % of the error, with momentum {100 * sizes[1]:.0f} %, with "
        f"Nesterov's look-ahead {100 * sizes[2]:.0f} %; α = 0.02 with β = 0.99 "
        f"{'diverges' if diverged >= MOST else 'does not always diverge'} in the form of Goh's article"
    )
    draw(options.out / "momentum.png", title, count, paths, settings)
    words = (
        f"factors of {', '.join(f'{size:.3f}' for size in sizes)} a step (none, momentum, Nesterov, Nesterov as "
        f"printed), within {deviation:.1g} of the closed forms (asked for: {EXACT}): momentum "
        f"{'damps' if damped else 'does not always damp'}, the look-ahead {'never does' if worse else 'does too'}; in "
        f"Goh's valley β = 0.74 and 0.9 end lower from {100 * faster[0]:.0f} and {100 * faster[1]:.0f} % of {count} "
        f"starts; α = 0.02 with β = 0.99 diverges from {100 * diverged:.0f} % in the article's form, in the lecture's "
        f"oscillates from {100 * swings:.0f} and converges from {100 * converged:.0f} % (asked for: {100 * MOST:.0f} % "
        f"each)"
    )
    numbers = {
        "starts": count, "factors": dict(zip(FORMS, sizes, strict=True)), "closed_forms": wanted,
        "deviation": deviation, "lower_with_momentum": faster, "diverged": diverged, "converged": converged,
        "swings": swings, "median_swing": np.median(swing), "last_losses": np.minimum(losses[:3, :, -1], 1e30),
    }  # fmt: skip
    return Claim(parts, words, numbers)


if __name__ == "__main__":
    main("momentum", __doc__, experiment)
