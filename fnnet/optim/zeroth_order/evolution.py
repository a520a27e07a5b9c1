"""Populations that evolve: a genetic algorithm, and the evolution strategy with covariance matrix adaptation."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from fnnet.errors import HyperparameterError, check_number, check_size
from fnnet.optim.base import Optimizer, check_parameters, derivative_free, rate
from fnnet.optim.vectors import as_vector
from fnnet.optim.zeroth_order.adaptation import cma_es_constants, cma_es_population, product, symmetric_root
from fnnet.optim.zeroth_order.candidates import (
    Box,
    box_for,
    check_box,
    check_start,
    into_box,
    offered,
    step_to_best,
    try_out,
)
from fnnet.recipes import recipe
from fnnet.trees import global_norm, tree_where
from fnnet.types import Array, PyTree, Scalar, Schedule


class GeneticState(NamedTuple):
    """The number of updates, the population as vectors (k, n), and their values (k,), +∞ for unknown."""

    count: Array  # type: ignore[assignment]
    population: Array
    values: Array


@recipe
def genetic(
    population: int = 64,
    elites: int = 2,
    tournament: int = 3,
    crossover_rate: Scalar = 0.9,
    mutation_rate: Scalar | None = None,
    mutation_scale: Scalar | Schedule = 0.3,
    spread: Scalar = 1.0,
    low: Scalar | PyTree | None = None,
    high: Scalar | PyTree | None = None,
) -> Optimizer:
    """A genetic algorithm on real numbers: selection, crossover, mutation, elitism.

    selection:  each of two parents of a child is the best of ``tournament`` members drawn with replacement
    crossover:  with probability p_c the child takes each coordinate from one parent or the other, by a fair coin;
                else it is the first parent
    mutation:   with probability p_m a coordinate gets a draw of N(0, σ²)
    elitism:    the ``elites`` best live on beside population − elites children; their values are not evaluated anew

    The first update draws the first generation: uniform in the box, or N(x₀, spread²) without one. An update leads
    to the best member so far, so the value never rises, and the parameters are themselves the first elite.

    Args:
        population: members, more than ``elites``; children are evaluated at once by `jax.vmap`.
        elites: at least 1.
        tournament: at least 1, which selects nothing; the larger, the greedier.
        crossover_rate: p_c in [0, 1].
        mutation_rate: p_m in [0, 1]; None for 1 / n with n the number of parameters.
        mutation_scale: σ ≥ 0, or a schedule of it.
        spread: standard deviation of the first generation, more than 0; not used with a box.
        low: lower bound of the box, a number for all parameters or a tree like them; children are moved into it.
        high: upper bound of the box, likewise.

    Returns:
        Optimizer with state ``(count, population, values)``; its update needs ``value_fn`` and ``key`` and ignores
        gradients. A member whose value is not finite ranks last.

    Raises:
        HyperparameterError: a number out of range, a start outside of the box.
        ShapeError: bounds that do not fit the parameters.
        StructureError: a bound without the other; update without ``value_fn`` or ``key``.

    Source: lecture 000, "0-Order Optimization"; lecture 001, "Evolutionary Algorithms"; Goldberg and Deb, 1991
    (tournaments); Syswerda, 1989 (uniform crossover).

    >>> import jax, jax.numpy as jnp
    >>> from fnnet import optim
    >>> fun = lambda x: 20 + jnp.sum(x**2 - 10 * jnp.cos(2 * jnp.pi * x))  # Rastrigin: a minimum near each integer
    >>> optimizer = genetic(low=-5.12, high=5.12)
    >>> found = optim.minimize(fun, jnp.full(2, 4.0), optimizer, steps=100, key=jax.random.key(0))
    >>> bool(found.value < 0.1)
    True
    """
    where = "genetic"
    check_size(where, "population", population)
    check_size(where, "elites", elites)
    check_size(where, "tournament", tournament)
    if elites >= population:
        raise HyperparameterError(
            where, f"elites is {elites}, but it has to be less than the population of {population}, to leave children."
        )
    check_number(where, "crossover_rate", crossover_rate, low=0.0, high=1.0)
    if mutation_rate is not None:
        check_number(where, "mutation_rate", mutation_rate, low=0.0, high=1.0)
    check_number(where, "mutation_scale", mutation_scale, low=0.0, schedule=True)
    check_number(where, "spread", spread, low=0.0, low_open=True)
    check_box(where, low, high)

    def init(params: PyTree) -> GeneticState:
        check_parameters(where, params)
        check_start(where, params, box_for(where, params, low, high))
        theta = as_vector(params)
        members = jnp.tile(theta[None, :], (population, 1))
        return GeneticState(jnp.zeros((), jnp.int32), members, jnp.full(population, jnp.inf, theta.dtype))

    def update(
        grads: PyTree, state: Any, params: PyTree = None, *,
        value: Any = None, value_fn: Any = None, key: Any = None, **extra: Any,
    ) -> tuple[PyTree, Any]:  # fmt: skip
        theta, value, fun = offered(where, params, value, value_fn, key)
        box = box_for(where, params, low, high)
        count = state.count + 1
        sigma = rate(mutation_scale, count.astype(theta.dtype))
        p_m = jnp.asarray(1 / theta.size if mutation_rate is None else mutation_rate, theta.dtype)
        p_c = jnp.asarray(crossover_rate, theta.dtype)
        # The incumbent stands for the best member: the same point, unless the caller has moved it or its function.
        _, order = lax.top_k(-state.values, elites)
        elite_points = state.population[order].at[0].set(theta)
        elite_values = state.values[order].at[0].set(value)

        # Two draws serve all of a generation, since random-number calls are dear to compile.
        number, n = population - elites, theta.size
        to_choose, to_move = jax.random.split(key)
        u = jax.random.uniform(to_choose, (number, 2 * tournament + 1 + 2 * n), theta.dtype)
        contest, whether, which, coins = jnp.split(
            u, [2 * tournament, 2 * tournament + 1, 2 * tournament + 1 + n], axis=1
        )
        noise = jax.random.normal(to_move, (number, n), theta.dtype)

        parents = state.population[select(contest.reshape(number, 2, tournament), state.values)]
        children = cross(whether, which, parents[:, 0], parents[:, 1], p_c)
        bred = mutate(coins, noise, children, p_m, sigma)
        first = _first_generation(theta, noise, jnp.asarray(spread, theta.dtype), box)
        tried = try_out(where, fun, params, into_box(jnp.where(state.count == 0, first, bred), box))
        return step_to_best(value, tried), GeneticState(
            count,
            jnp.concatenate([elite_points, tried.points]),
            jnp.concatenate([elite_values, tried.values]),
        )

    return derivative_free(Optimizer(init, update))


def _first_generation(center: Array, noise: Array, spread: Array, box: Box | None) -> Array:
    """Points from standard normal noise: normal around the centre, or uniform in the box."""
    if box is None:
        return center[None, :] + spread * noise
    uniform = jax.scipy.special.ndtr(noise)  # one draw serves the first generation and all mutations after it
    return box.low[None, :] + uniform * (box.high - box.low)[None, :]


def select(u: Array, values: Array) -> Array:
    """Indices of tournament winners, (…): the least of the values of the members that u, (…, tournament), draws."""
    size = values.shape[0]
    entrants = jnp.minimum(jnp.floor(u * size).astype(jnp.int32), size - 1)
    winner = jnp.argmin(values[entrants], axis=-1, keepdims=True)
    return jnp.take_along_axis(entrants, winner, axis=-1)[..., 0]


def cross(whether: Array, which: Array, mothers: Array, fathers: Array, crossover_rate: Scalar) -> Array:
    """Uniform crossover of rows, (k, n), by draws whether to cross, (k, 1), and which parent to take, (k, n)."""
    return jnp.where((whether < crossover_rate) & (which < 0.5), fathers, mothers)


def mutate(coins: Array, noise: Array, members: Array, mutation_rate: Scalar, scale: Array) -> Array:
    """Adds scale · noise to each coordinate whose coin, a uniform draw, is less than the rate."""
    return jnp.where(coins < mutation_rate, members + scale * noise, members)


class CmaEsState(NamedTuple):
    """The number of updates, m (n,), σ, C (n, n), and the paths p_σ (n,) and p_c (n,)."""

    count: Array  # type: ignore[assignment]
    mean: Array
    scale: Array
    covariance: Array
    scale_path: Array
    covariance_path: Array


@recipe
def cma_es(scale: Scalar, population: int | None = None) -> Optimizer:
    """CMA-ES: an evolution strategy that learns the covariance of its steps and their size.

    z_k ~ N(0, I),  y_k = C^½ z_k,  x_k = m + σ y_k,  k = 1 … λ;  sorted by f(x_k)
    ⟨y⟩ = Σ w_i y_i,  ⟨z⟩ = Σ w_i z_i over the better half
    m   ← m + σ ⟨y⟩
    p_σ ← (1 − c_σ) p_σ + √(c_σ (2 − c_σ) μ_eff) ⟨z⟩                               (⟨z⟩ = C^−½ ⟨y⟩)
    σ   ← σ exp((c_σ / d_σ) (‖p_σ‖ / E‖N(0, I)‖ − 1))
    p_c ← (1 − c_c) p_c + h √(c_c (2 − c_c) μ_eff) ⟨y⟩
    C   ← (1 + c_1 (1 − h) c_c (2 − c_c) − c_1 − c_μ) C + c_1 p_c p_cᵀ + c_μ Σ w_i y_i y_iᵀ
    h   = 1 if ‖p_σ‖ / √(1 − (1 − c_σ)^2t) < (1.4 + 2/(n + 1)) E‖N(0, I)‖, else 0

    with the constants of the tutorial's Table 1 and C^½ the symmetric root. m starts at the parameters. Only the
    ranks of values count, so any increasing function of f gives the same path. An update leads to the best point
    so far, not to m, which is in the state: the best point is what the caller asked for, and its value never rises.

    A step decomposes C in O(n³) and the state holds n² numbers, so this is for up to a few hundred parameters.

    Args:
        scale: σ at the start, more than 0; about a third of the distance at which the minimum is expected.
        population: λ, at least 2; None for 4 + ⌊3 ln n⌋. More finds the basin of multimodal functions more often.
            Candidates are evaluated at once by `jax.vmap`.

    Returns:
        Optimizer with state ``(count, mean, scale, covariance, scale_path, covariance_path)``; its update needs
        ``value_fn`` and ``key`` and ignores gradients. Candidates whose values are not finite rank last and weigh
        nothing; if all are such, the state stays and the next step draws anew.

    Raises:
        HyperparameterError: a number out of range.
        StructureError: update without ``value_fn`` or ``key``.

    Without the tutorial's negative weights, as in its section 3 up to equation 30.

    Source: Hansen, 2016, "The CMA Evolution Strategy: A Tutorial", arXiv 1604.00772; lecture 000, "0-Order
    Optimization" (populations and fancier updates).

    >>> import jax, jax.numpy as jnp
    >>> from fnnet import optim
    >>> rosenbrock = lambda x: 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2
    >>> found = optim.minimize(rosenbrock, jnp.zeros(2), cma_es(0.5), steps=150, key=jax.random.key(0))
    >>> found.solution.round(2).tolist()
    [1.0, 1.0]
    """
    where = "cma_es"
    check_number(where, "scale", scale, low=0.0, low_open=True)
    if population is not None:
        check_size(where, "population", population)
        if population < 2:
            raise HyperparameterError(where, "population is 1, but ranks need at least 2 candidates.")

    def init(params: PyTree) -> CmaEsState:
        check_parameters(where, params)
        m = as_vector(params)
        zeros = jnp.zeros_like(m)
        identity = jnp.eye(m.size, dtype=m.dtype)
        return CmaEsState(jnp.zeros((), jnp.int32), m, jnp.asarray(scale, m.dtype), identity, zeros, zeros)

    def update(
        grads: PyTree, state: Any, params: PyTree = None, *,
        value: Any = None, value_fn: Any = None, key: Any = None, **extra: Any,
    ) -> tuple[PyTree, Any]:  # fmt: skip
        theta, value, fun = offered(where, params, value, value_fn, key)
        n, dtype = theta.size, theta.dtype
        size = cma_es_population(n) if population is None else population
        k = cma_es_constants(n, size)
        count, m, sigma, C, p_sigma, p_c = state
        t = (count + 1).astype(dtype)

        z = jax.random.normal(key, (size, n), dtype)
        y = product(z, symmetric_root(C))
        tried = try_out(where, fun, params, m[None, :] + sigma * y)

        # The weight of each candidate by its rank; those without a finite value get none, the others share it.
        w = jnp.zeros(size, dtype).at[jnp.argsort(tried.values)].set(jnp.asarray(k.weights, dtype))
        w = jnp.where(jnp.isfinite(tried.values), w, 0)
        total = jnp.sum(w)
        w = w / jnp.where(total > 0, total, 1)
        mu_eff = jnp.where(total > 0, 1 / jnp.where(total > 0, jnp.sum(w**2), 1), 1)

        y_mean, z_mean = product(w, y), product(w, z)
        p_sigma = (1 - k.c_sigma) * p_sigma + jnp.sqrt(k.c_sigma * (2 - k.c_sigma) * mu_eff) * z_mean
        length = global_norm(p_sigma)
        h = (length / jnp.sqrt(1 - (1 - k.c_sigma) ** (2 * t)) < (1.4 + 2 / (n + 1)) * k.chi).astype(dtype)
        p_c = (1 - k.c_c) * p_c + h * jnp.sqrt(k.c_c * (2 - k.c_c) * mu_eff) * y_mean
        kept = 1 + k.c_1 * (1 - h) * k.c_c * (2 - k.c_c) - k.c_1 - k.c_mu
        rank_one = p_c[:, None] * p_c[None, :]
        rank_mu = product(y.T, w[:, None] * y)
        after = CmaEsState(
            count=count,
            mean=m + sigma * y_mean,
            scale=sigma * jnp.exp(k.c_sigma / k.d_sigma * (length / k.chi - 1)),
            covariance=kept * C + k.c_1 * rank_one + k.c_mu * rank_mu,
            scale_path=p_sigma,
            covariance_path=p_c,
        )
        finite = jnp.stack([jnp.all(jnp.isfinite(part)) for part in after]).all()
        after = tree_where(finite & (total > 0), after, state)
        return step_to_best(value, tried), after._replace(count=count + 1)

    return derivative_free(Optimizer(init, update))
