"""The lectures' own forms of the first-order methods, and where fnnet deviates from one and why."""

import first_order_equations as equations
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnnet import optim

GRADS = list(np.random.default_rng(0).normal(size=(100, 4)))
START = np.linspace(-1, 2, 4)


def after(optimizer, grads=GRADS):
    return np.asarray(equations.trajectory(optimizer, START, grads)[0])


def slope(theta):
    """Of Rosenbrock's valley."""
    x, y = theta
    return np.array([-2 * (1 - x) - 400 * x * (y - x**2), 200 * (y - x**2)])


@pytest.mark.parametrize("gamma", [0.0, 0.04, 0.9])
def test_nesterov_of_the_lecture_and_of_the_field_are_one_method_in_two_variables(gamma):
    """Lecture: v ← γv + α∇f(θ − γv), θ ← θ − v. The field's θ′ is the point θ − γv where the gradient is taken."""
    alpha, theta, v = 5e-4, np.array([-1.2, 1.0]), np.zeros(2)
    optimizer = optim.sgd(alpha, gamma, nesterov=True)
    with jax.enable_x64(True):
        ours = jnp.asarray(theta)
        state = optimizer.init(ours)
        for _ in range(100):
            v = gamma * v + alpha * slope(theta - gamma * v)
            theta = theta - v
            updates, state = optimizer.update(jax.grad(equations.rosenbrock)(ours), state)
            ours = optim.apply_updates(ours, updates)
            np.testing.assert_allclose(ours, theta - gamma * v, rtol=0, atol=1e-12)
    assert np.abs(theta - [-1.2, 1.0]).max() > 0.1


def test_nesterov_as_printed_looks_behind_and_not_ahead():
    """With θ ← θ − v, momentum alone leads to θ − γv: at θ + γv (lecture 000) the gradient is that of the past."""

    def run(sign, alpha=1.0, gamma=0.6):
        theta, v = 1.0, 0.0
        for _ in range(100):
            v = gamma * v + alpha * (theta + sign * gamma * v)  # f = θ²/2
            theta = theta - v
        return abs(theta)

    assert run(-1) < 1e-6
    assert run(+1) > 1e3


def test_the_lectures_velocity_is_the_fields_times_the_learning_rate():
    """Lecture 000: v ← γv + αg, θ ← θ − v; lecture 004: u ← γu − αg, θ ← θ + u."""
    theta, v, other, u = START, 0.0, START, 0.0
    for g in GRADS:
        v = 0.9 * v + 0.1 * g
        theta = theta - v
        u = 0.9 * u - 0.1 * g
        other = other + u
    np.testing.assert_allclose(after(optim.sgd(0.1, 0.9)), theta, rtol=0, atol=1e-12)
    np.testing.assert_allclose(after(optim.sgd(0.1, 0.9)), other, rtol=0, atol=1e-12)


def test_momentum_with_the_sign_that_lecture_1_prints_in_one_place_goes_uphill():
    """Erratum: v ← αv + εg with θ ← θ + v; its own Algorithm 2, v ← αv − εg with θ ← θ + v, is `sgd`."""

    def run(sign):
        theta, v, values = 1.0, 0.0, []
        for _ in range(50):
            values.append(theta**2 / 2)  # f, whose gradient is θ
            v = 0.5 * v + sign * 0.1 * theta
            theta = theta + v
        return values

    with jax.enable_x64(True):
        found = optim.minimize(lambda x: x**2 / 2, 1.0, optim.sgd(0.1, 0.5), steps=50, tol=0.0, trace=True)
        np.testing.assert_allclose(found.trace, run(-1), rtol=1e-9, atol=1e-16)
    assert run(-1)[-1] < 1e-4
    assert run(+1)[-1] > 1e3


def test_rmsprop_of_lecture_2_is_that_of_the_others_once_its_extra_factor_is_left_out():
    """Erratum: m̃ ∂L/∂φ / √(ṽ + ε), Adam's numerator times the gradient once more, is no step: its sign is lost."""
    g, v = GRADS[0], 0.1 * GRADS[0] ** 2
    ours = after(optim.rmsprop(0.1, 0.9, eps=0.0, eps_root=1e-8), [g]) - START
    np.testing.assert_allclose(ours, -0.1 * g / np.sqrt(v + 1e-8), rtol=1e-12)
    printed = -0.1 * g * (0.1 * g) / np.sqrt(v + 1e-8)
    assert (printed <= 0).all()
    assert (ours > 0).any()


def test_momentum_as_a_mean_is_momentum_with_a_smaller_learning_rate():
    mean = after(optim.ema_momentum(0.1, 0.99))
    np.testing.assert_allclose(mean, after(optim.sgd(0.1 * (1 - 0.99), 0.99)), rtol=0, atol=1e-12)


def test_dampening_is_the_mean_but_for_the_first_gradient():
    """torch leaves the first gradient whole."""
    one = [GRADS[0]]
    np.testing.assert_allclose(after(optim.sgd(0.1, 0.9, dampening=0.9), one), after(optim.sgd(0.1), one), rtol=1e-15)
    np.testing.assert_allclose(
        after(optim.sgd(0.1, 0.9, dampening=0.9), [0 * GRADS[0], *GRADS]),
        after(optim.ema_momentum(0.1, 0.9)),
        rtol=0,
        atol=1e-12,
    )


def test_normalized_gradients_are_those_of_the_lectures_example():
    """Lecture 002: m = (3, −2, 5), v = (9, 4, 25), m / √(v + ε) = (1, −1, 1)."""
    optimizer = optim.normalized_gradient(1.0)
    updates, _ = optimizer.update(jnp.array([3.0, -2.0, 5.0]), optimizer.init(jnp.zeros(3)))
    np.testing.assert_allclose(updates, [-1, 1, -1], rtol=1e-6)


def test_normalized_gradients_are_adam_without_memory():
    forms = optim.normalized_gradient(0.1, 1e-3, 1e-2), optim.adam(0.1, 0.0, 0.0, 1e-3, 1e-2)
    np.testing.assert_allclose(after(forms[0]), after(forms[1]), rtol=0, atol=1e-12)


def test_lecture_4_gives_its_weight_to_the_new_value_so_it_is_one_minus_ours():
    """Lecture 004: EMA ← γ g² + (1 − γ) EMA, corrected by 1 − (1 − γ)ᵗ."""
    gamma1, gamma2, theta, m, v = 0.1, 0.01, START, 0.0, 0.0
    for t, g in enumerate(GRADS, start=1):
        m = gamma1 * g + (1 - gamma1) * m
        v = gamma2 * g**2 + (1 - gamma2) * v
        theta = theta - 0.1 * (m / (1 - (1 - gamma1) ** t)) / np.sqrt(v / (1 - (1 - gamma2) ** t))
    np.testing.assert_allclose(after(optim.adam(0.1, 1 - gamma1, 1 - gamma2, eps=0.0)), theta, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["adagrad", "rmsprop", "adam"])
def test_lecture_4_divides_by_the_accumulator_before_the_step_which_is_zero_by_zero_at_first(name):
    """The deviation: fnnet divides by the accumulator that has seen g, so that its first step is α in size, or finite.

    Printed: θ ← θ − η (G⁽ᵗ⁻¹⁾)⁻¹ g⁽ᵗ⁻¹⁾ with G⁽⁰⁾ an empty sum; for Adam m̂⁽⁰⁾ / √r̂⁽⁰⁾ with both corrections 0 as well.
    """
    g, zero = GRADS[0], np.zeros(4)
    with np.errstate(divide="ignore", invalid="ignore"):
        printed = {
            "adagrad": g / np.sqrt(zero),
            "rmsprop": g / np.sqrt(zero),
            "adam": (zero / (1 - 0.9**0)) / np.sqrt(zero / (1 - 0.999**0)),
        }[name]
        at_zero_gradient = zero / np.sqrt(zero)
    assert not np.isfinite(printed).any()
    assert np.isnan(at_zero_gradient).all()
    optimizer = getattr(optim, name)(0.1)
    first = after(optimizer, [g]) - START
    size = 0.1 / np.sqrt(1 - 0.9) if name == "rmsprop" else 0.1
    np.testing.assert_allclose(first, -size * np.sign(g), rtol=1e-6)
    assert (after(optimizer, [zero]) == START).all()


def test_epsilon_inside_and_outside_of_the_root_differ_where_gradients_are_small():
    """With ε inside, a gradient far below √ε hardly moves; with the same ε outside it needs to be below ε."""
    tiny = [np.full(4, 1e-5)]
    outside = START - after(optim.rmsprop(0.1, 0.0, eps=1e-8, eps_root=0.0), tiny)
    inside = START - after(optim.rmsprop(0.1, 0.0, eps=0.0, eps_root=1e-8), tiny)
    np.testing.assert_allclose(outside, 0.1 / (1 + 1e-3), rtol=1e-9)
    np.testing.assert_allclose(inside, 0.1 * 1e-5 / np.sqrt(1e-10 + 1e-8), rtol=1e-9)
    assert (inside < outside / 9).all()
