"""What is particular to single methods of the Adam family, and to Muon."""

import first_order_equations as equations
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnnet import optim

GRADS = list(np.random.default_rng(0).normal(size=(30, 4)))


def steps_of(optimizer, grads, start=0.0):
    """Every update, with the parameters standing still."""
    with jax.enable_x64(True):
        params = jnp.full(np.shape(grads[0]), start)
        state = optimizer.init(params)
        updates = []
        for g in grads:
            update, state = optimizer.update(jnp.asarray(g), state, params)
            updates.append(np.asarray(update))
    return np.array(updates)


def test_the_step_size_of_amsgrad_never_grows():
    steps = steps_of(optim.amsgrad(0.1, b1=0.0, b2=0.9), GRADS)
    sizes = -steps / np.array(GRADS)
    assert (np.diff(sizes, axis=0) <= 1e-15).all()
    grown = np.diff(-steps_of(optim.adam(0.1, b1=0.0, b2=0.9), GRADS) / np.array(GRADS), axis=0)
    assert (grown > 0).any()


@pytest.mark.parametrize("b2", [0.9, 0.99, 0.999, 0.9999])
def test_radam_begins_to_adapt_at_the_step_at_which_the_length_exceeds_the_threshold_in_float32_too(b2):
    lengths = [2 / (1 - b2) - 1 - 2 * t * b2**t / (1 - b2**t) for t in range(1, 13)]
    optimizer = optim.radam(1.0, b1=0.0, b2=b2)
    state = optimizer.init(jnp.zeros(()))
    for length in lengths:
        update, state = optimizer.update(jnp.float32(100.0), state)
        assert (abs(float(update)) < 2) == (length > 5), (length, update)  # −100 before, −r after


def test_the_derivative_of_radam_is_finite_before_and_after_it_begins_to_adapt():
    def end(b2, threshold, eps):
        optimizer = optim.radam(0.1, b2=b2, threshold=threshold, eps=eps)

        def step(carry, g):
            params, state = carry
            updates, state = optimizer.update(g, state)
            return (params + updates, state), None

        start = jnp.zeros(2)
        grads = jnp.stack([jnp.array([0.0, 1.0])] * 10)
        return jax.lax.scan(step, (start, optimizer.init(start)), grads)[0][0].sum()

    b2, threshold = jnp.meshgrid(jnp.array([0.0, 0.5, 0.6, 2 / 3, 0.9, 0.999]), jnp.array([4.0, 5.0]))
    slopes = jax.jit(jax.vmap(jax.grad(end, (0, 1, 2)), (0, 0, None)))(b2.ravel(), threshold.ravel(), 1e-8)
    assert np.isfinite(slopes).all()


def test_the_first_change_of_the_gradient_is_zero_for_adan():
    np.testing.assert_allclose(steps_of(optim.adan(0.1, eps=0.0), GRADS[:1])[0], -0.1 * np.sign(GRADS[0]), rtol=1e-12)


def test_adan_decays_by_a_division_which_no_learning_rate_turns_around():
    """The proximal form: θ / (1 + αλ) for a zero gradient, where θ (1 − αλ) of AdamW would change its sign."""
    for alpha in (0.1, 10.0):
        step = steps_of(optim.adan(alpha, weight_decay=1.0), [np.zeros(2)], start=3.0)[0]
        np.testing.assert_allclose(3 + step, 3 / (1 + alpha), rtol=1e-12)
    assert (3 + steps_of(optim.adamw(10.0, weight_decay=1.0), [np.zeros(2)], start=3.0) < 0).all()


def test_lion_moves_by_the_learning_rate_or_not_at_all():
    steps = steps_of(optim.lion(0.25, weight_decay=0.0), [np.array([1e-20, -5.0, 0.0])])
    assert steps[0].tolist() == [-0.25, 0.25, 0.0]


@pytest.mark.parametrize("name", ["lion", "adamw"])
def test_a_mask_says_which_parameters_decay(name):
    optimizer = getattr(optim, name)(0.1, weight_decay=0.5, mask=optim.matrices)
    params = {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}
    updates, _ = optimizer.update(jax.tree.map(jnp.zeros_like, params), optimizer.init(params), params)
    np.testing.assert_allclose(updates["kernel"], -0.05, rtol=1e-6)
    assert not updates["bias"].any()


@pytest.mark.parametrize("name", ["adam", "nadam", "amsgrad", "adamax", "radam", "adagrad", "rmsprop"])
def test_a_coordinate_that_never_has_a_gradient_stays_where_it_is_without_any_epsilon(name):
    eps = {"eps": 0.0} if name == "adamax" else {"eps": 0.0, "eps_root": 0.0}
    steps = steps_of(getattr(optim, name)(0.1, **eps), [np.array([0.0, 1.0])] * 12)
    assert not steps[:, 0].any()
    assert (steps[:, 1] < 0).all()


class TestMuon:
    def test_its_step_has_singular_values_near_one_along_the_singular_vectors_of_the_gradient(self):
        g = np.random.default_rng(1).normal(size=(4, 6))
        u, _, vt = np.linalg.svd(g, full_matrices=False)
        step = -steps_of(optim.muon(1.0), [g])[0] / np.sqrt(6 / 4)
        turned = u.T @ step @ vt.T
        np.testing.assert_allclose(turned, np.diag(np.diag(turned)), atol=1e-6)
        assert (np.abs(np.diag(turned) - 1) < 0.35).all()

    def test_it_treats_a_matrix_and_its_transpose_alike_but_for_the_scale(self):
        g = np.random.default_rng(1).normal(size=(4, 6))
        wide, tall = steps_of(optim.muon(1.0), [g])[0], steps_of(optim.muon(1.0), [g.T])[0]
        np.testing.assert_allclose(wide, np.sqrt(6 / 4) * tall.T, rtol=1e-9)

    def test_it_does_not_depend_on_the_size_of_the_gradient(self):
        g = np.random.default_rng(1).normal(size=(3, 3))
        np.testing.assert_allclose(
            steps_of(optim.muon(1.0, eps=0.0), [g]), steps_of(optim.muon(1.0, eps=0.0), [1e6 * g]), rtol=1e-9
        )

    def test_what_is_no_matrix_goes_to_the_fallback_which_is_adam_unless_told(self):
        params = {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3), "filter": jnp.ones((2, 2, 1, 1)), "none": None}
        grads = jax.tree.map(lambda p: 2 * p, params)
        for fallback, alone in ((None, optim.adam(0.1)), (optim.sgd(0.5), optim.sgd(0.5))):
            optimizer = optim.muon(0.1, fallback=fallback)
            state = optimizer.init(params)
            updates, state = optimizer.update(grads, state, params)
            expected, _ = alone.update(grads, alone.init(params), params)
            assert jax.tree.structure(updates) == jax.tree.structure(params)
            np.testing.assert_array_equal(updates["bias"], expected["bias"])
            np.testing.assert_array_equal(updates["filter"], expected["filter"])
            assert state.inner_states["matrix"].mu["bias"] is None
            assert state.inner_states["matrix"].mu["kernel"].shape == (2, 3)

    @pytest.mark.parametrize("params", [jnp.ones(3), jnp.ones((2, 3)), [jnp.ones(())]], ids=["vector", "matrix", "0"])
    def test_parameters_may_be_all_of_one_kind(self, params):
        optimizer = optim.muon(0.1)
        updates, state = optimizer.update(params, optimizer.init(params), params)
        assert jax.tree.structure(updates) == jax.tree.structure(params)
        assert len(state.inner_states) == 1

    def test_a_schedule_serves_both_parts_and_can_be_read(self):
        optimizer = optim.muon(lambda t: 1 / (1 + t))
        params = {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}
        state = optimizer.init(params)
        for count in range(3):
            assert float(optim.learning_rate(optimizer, state)) == pytest.approx(1 / (1 + count))
            updates, state = optimizer.update(params, state, params)
        np.testing.assert_allclose(updates["bias"], -1 / 3, rtol=1e-5)


def test_an_equation_of_the_reference_is_not_that_of_another():
    """Guards the references: any two methods differ on the same gradients."""
    grads = [g.reshape(2, 2) for g in GRADS]
    start = np.ones((2, 2))
    ends = {name: equation(start, grads) for name, (_, equation) in equations.EQUATIONS.items()}
    names = list(ends)
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            assert np.abs(ends[one] - ends[other]).max() > 1e-9, (one, other)
