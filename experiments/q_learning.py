"""Q-learning by the lecture's semi-gradient balances a pole; the gradient of the whole loss does not.

Lecture 002 ("High-level goal", "Example") learns Q(x, u; θ) of states x and actions u from what happens, by

    θ ← θ + α ∂Q(x, u; θ)/∂θ · [r + γ max_u′ Q(x′, u′; θ) − Q(x, u; θ)]

and also prints the loss L(θ) = E[r + γ max Q(x′, u′; θ) − Q(x, u; θ)]², of which this is not the gradient: its target
depends on θ too, and the update takes it for a number (a semi-gradient). Seen will be, on the cart-pole: the update
as printed, without replay buffer or target network, learns to keep the pole up for 400 of 500 steps or more on
average over ten seeds; descending the gradient of the printed loss instead makes that loss smaller and ends with less
than half of these steps.

Circumstances that the lecture leaves open: the update is averaged over 32 cart-poles side by side, since steps of one
are alike; α is Adam's, falling to 0; layer normalisation in the net; γ = 0.99; rewards are counted in units of
1/(1 − γ), so that Q is at most 1; a random action with a probability that falls from 1 to 0.2 in the first third.
With one constant α for all parameters (0.05 to 2, tried once) nothing was learned in 2000 updates.

Source: lecture 002; Baird, "Residual algorithms", 1995, on the whole gradient.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from experiments import _cart_pole as cart_pole
from experiments._drawing import COLOURS, drawing, label, plain_numbers, spread
from experiments.running import Claim, Options, main
from fnnet import nn, optim, stats
from fnnet.types import Array, PyTree

NETWORK = nn.mlp([64, 64, cart_pole.ACTIONS], normalization=nn.layer_norm())
SCALE = np.array([cart_pole.FARTHEST, 2.0, cart_pole.STEEPEST, 2.0], np.float32)
"""By what states are divided, so that all inputs have about the same size."""
SIDE_BY_SIDE = 32
EPISODES = 20
"""How many are played at each evaluation, always with the action of the largest Q."""
PERIODS = 12
DISCOUNT = 0.99
RANDOM = 0.2
"""Share of random actions in the last two thirds, which keeps falling poles in view."""
LEARNING_RATE = 1e-3
RULES = {"semi-gradient, as printed": 0.0, "whole gradient of the printed loss": 1.0}
LEAST = {False: 400, True: 250}
"""Steps of 500 that are claimed, by default and for the quick version."""
APART = 0.5
"""The whole gradient has to end below this share of the semi-gradient's steps."""


class Player(NamedTuple):
    """What an update changes."""

    params: PyTree
    optimizer_state: PyTree
    states: Array
    ages: Array
    key: Array


def values(params: PyTree, states: Array) -> Array:
    """Q(x, ·; θ) of states (batch, 4): (batch, actions)."""
    return NETWORK.apply(params, NETWORK_STATE, states / SCALE)[0]


NETWORK_STATE = jax.eval_shape(NETWORK.init, jax.random.key(0), jax.ShapeDtypeStruct((1, 4), np.float32))[1]


def learn(key: Array, whole: Array, updates: int) -> tuple[Array, Array]:
    """Returns of greedy episodes, and mean squared temporal differences in training, after each of the periods."""
    keys = jax.random.split(key, 4)
    states = jax.vmap(cart_pole.reset)(jax.random.split(keys[0], SIDE_BY_SIDE))
    params, _ = NETWORK.init(keys[1], states)
    optimizer = optim.adam(optim.schedules.linear_decay(LEARNING_RATE, 0.0, updates))

    def update(player: Player, t: Array) -> tuple[Player, Array]:
        key, coin, action, start = jax.random.split(player.key, 4)
        x = player.states
        explores = jax.random.uniform(coin, (SIDE_BY_SIDE,)) < jnp.maximum(RANDOM, 1 - 3 * t / updates)
        random = jax.random.randint(action, (SIDE_BY_SIDE,), 0, cart_pole.ACTIONS)
        u = jnp.where(explores, random, values(player.params, x).argmax(axis=-1))
        after, failed = jax.vmap(cart_pole.step)(x, u)

        def loss(params: PyTree) -> tuple[Array, Array]:
            now = jnp.take_along_axis(values(params, x), u[:, None], axis=-1)[:, 0]
            best = values(params, after).max(axis=-1)
            best = whole * best + (1 - whole) * lax.stop_gradient(best)
            difference = (1 - DISCOUNT) + DISCOUNT * jnp.where(failed, 0, best) - now
            return jnp.square(difference).mean() / 2, jnp.square(difference).mean()

        gradient, squared = jax.grad(loss, has_aux=True)(player.params)
        step, optimizer_state = optimizer.update(gradient, player.optimizer_state, player.params)
        ages = player.ages + 1
        over = failed | (ages >= cart_pole.STEPS)
        fresh = jax.vmap(cart_pole.reset)(jax.random.split(start, SIDE_BY_SIDE))
        return Player(
            params=optim.apply_updates(player.params, step),
            optimizer_state=optimizer_state,
            states=jnp.where(over[:, None], fresh, after),
            ages=jnp.where(over, 0, ages),
            key=key,
        ), squared

    def period(player: Player, number: Array) -> tuple[Player, tuple[Array, Array]]:
        steps = updates // PERIODS
        player, squared = lax.scan(update, player, number * steps + jnp.arange(steps))
        return player, (mean_return(player.params, jax.random.fold_in(keys[2], number)), squared.mean())

    ages = jnp.zeros(SIDE_BY_SIDE, jnp.int32)
    player = Player(params, optimizer.init(params), states, ages, keys[3])
    return lax.scan(period, player, jnp.arange(PERIODS))[1]


def mean_return(params: PyTree, key: Array) -> Array:
    """Steps that the pole stays up, averaged over episodes."""

    def one(carry: tuple[Array, Array], _: Any) -> tuple[tuple[Array, Array], Array]:
        states, up = carry
        states, failed = jax.vmap(cart_pole.step)(states, values(params, states).argmax(axis=-1))
        return (states, up & ~failed), up

    states = jax.vmap(cart_pole.reset)(jax.random.split(key, EPISODES))
    return lax.scan(one, (states, jnp.ones(EPISODES, bool)), length=cart_pole.STEPS)[1].sum(axis=0).mean()


def experiment(options: Options) -> Claim:
    """Both rules over all seeds as lanes of one program."""
    seeds, updates = (3, 1800) if options.quick else (10, 9000)
    keys = jax.random.split(jax.random.key(options.seed), seeds)
    by_seed = jax.vmap(learn, in_axes=(0, None, None))
    by_rule = jax.vmap(by_seed, in_axes=(None, 0, None))
    learned = jax.jit(by_rule, static_argnums=2)(keys, jnp.array(list(RULES.values())), updates)
    returns, squares = (np.asarray(scores) for scores in learned)
    semi, whole = returns[:, :, -1]
    least = LEAST[options.quick]
    found = (
        f"{semi.mean():.0f} of {cart_pole.STEPS} steps by the semi-gradient, {whole.mean():.0f} by the whole gradient"
    )
    draw(options, returns, squares, updates, f"Q-learning keeps the pole up for {found}")
    smaller = float(squares[1, :, -1].mean() / squares[0, :, -1].mean())
    parts = {
        "the semi-gradient learns": semi.mean() >= least,
        "the whole gradient does not": whole.mean() < APART * semi.mean(),
        "but makes the loss smaller": smaller < 1,
    }
    words = (
        f"after {updates} updates the pole stays up for {spread(semi)} of {cart_pole.STEPS} steps (asked for: "
        f"{least}), and for {spread(whole)} with the whole gradient (asked for: less than half), whose loss is "
        f"{smaller:.2g} times the other's (< 1); {seeds} seeds"
    )
    numbers = {
        "seeds": seeds,
        "updates": updates,
        "transitions": updates * SIDE_BY_SIDE,
        "returns": {name: runs[:, -1] for name, runs in zip(RULES, returns, strict=True)},
        "mean_return_interval": stats.bootstrap_interval(semi, seed=options.seed),
        "learning_curves": {name: runs.mean(axis=0) for name, runs in zip(RULES, returns, strict=True)},
        "squared_differences": {name: runs.mean(axis=0) for name, runs in zip(RULES, squares, strict=True)},
    }
    return Claim(parts, words, numbers)


def draw(options: Options, returns: np.ndarray, squares: np.ndarray, updates: int, title: str) -> None:
    """Learning curves, and the loss that only one of the rules descends."""
    at = updates // PERIODS * np.arange(1, PERIODS + 1)
    seeds = returns.shape[1]
    subtitle = (
        f"Cart-pole, {SIDE_BY_SIDE} side by side, no replay buffer, no target network. Thick: mean of {seeds} seeds; "
        "band: its 95 % bootstrap interval; thin: each seed."
    )
    handles = [label(colour, name) for colour, name in zip(COLOURS, RULES, strict=False)]
    with drawing(options.out / "q_learning.png", title, subtitle, handles, columns=2) as panels:
        for axes, scores in zip(panels[0], (returns, squares), strict=True):
            for colour, runs in zip(COLOURS, scores, strict=False):
                axes.plot(at, runs.T, color=colour, linewidth=0.5, alpha=0.5)
                axes.plot(at, runs.mean(axis=0), color=colour, linewidth=2)
                band = stats.bootstrap_interval(runs.T, seed=options.seed)
                axes.fill_between(at, *band, color=colour, alpha=0.2, linewidth=0)
            axes.set(xlabel="updates", xlim=(0, updates))
        panels[0, 0].set(
            ylabel=f"steps that the pole stays up (of {cart_pole.STEPS})", ylim=(0, 1.04 * cart_pole.STEPS)
        )
        panels[0, 0].axhline(LEAST[options.quick], color="#767676", linewidth=1, linestyle=":")
        panels[0, 0].annotate("asked for", (updates, LEAST[options.quick] - 4), ha="right", va="top", color="#767676")
        panels[0, 1].set(ylabel="squared temporal difference, in training", yscale="log")
        plain_numbers(panels[0, 1].yaxis)


if __name__ == "__main__":
    main("q_learning", __doc__, experiment)
