"""Priors: maximum a posteriori in closed form, weight decay, sparsity, masks, and what is told of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnnet
from fnnet import data, losses, nn, optim
from fnnet.errors import HyperparameterError, ShapeError, StructureError
from fnnet.recipes import describe, split

RANDOM = np.random.default_rng(0)
TREE = {"kernel": jnp.array([[1.0, -2.0]]), "bias": jnp.array([3.0, 0.0])}


def is_kernel(path):
    return path.endswith("kernel")


def constant(theta):
    """A model with one parameter, which it predicts for every input."""
    return nn.Layer(
        lambda key, x: (jnp.full((), theta), ()),
        lambda params, state, x, **_: (jnp.full(x.shape, params), state),
    )


def trained(learner, targets, steps):
    """The parameters after so many steps on all the data."""
    table = data.from_arrays(np.zeros_like(targets), targets)
    training = fnnet.training(learner)
    state = training.init(jax.random.key(0), table.inputs[:1])
    return training.chunk(state, table, steps)[0].params


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_gaussian_prior_is_coupled_weight_decay_step_by_step(momentum, flowers):
    table = flowers[0]
    base = fnnet.Learner(nn.mlp([4, 3]), losses.softmax_cross_entropy, optim.sgd(0.2, momentum=momentum))
    decayed = base._replace(optimizer=optim.chain(optim.add_weight_decay(0.05), base.optimizer))
    prior = base._replace(prior=losses.gaussian_prior(0.05))
    pair = [fnnet.training(learner, batch_size=5) for learner in (prior, decayed)]
    states = [training.init(jax.random.key(0), table.inputs[:1]) for training in pair]
    for start in range(0, 15, 5):
        batch = table[start : start + 5]
        states = [training.step(state, batch)[0] for training, state in zip(pair, states, strict=True)]
        for one, other in zip(*(jax.tree.leaves(state.params) for state in states), strict=True):
            np.testing.assert_allclose(one, other, rtol=2e-6, atol=2e-7)


def test_maximum_a_posteriori_of_a_gaussian_mean_is_the_closed_form():
    """Of N numbers with variance v and a mean with prior variance w: Σy / (N + v/w)."""
    y, v, w = RANDOM.normal(2.0, 1.0, size=(8, 1)).astype(np.float32), 0.5, 0.25
    learner = fnnet.Learner(
        constant(0.0),
        lambda f, t: losses.gaussian_nll(f, t, variance=v),
        optim.sgd(0.2),
        prior=losses.gaussian_prior(1 / (len(y) * w)),
    )
    assert float(trained(learner, y, 60)) == pytest.approx(y.sum() / (len(y) + v / w), rel=1e-5)


@pytest.mark.parametrize("mean", [2.0, 0.3, -2.0])
def test_a_laplace_prior_gives_the_soft_threshold_of_the_mean(mean):
    """Minimising ½(θ − y)² + λ|θ| gives sign(y) max(|y| − λ, 0); descent stays near a zero.

    A step at 0 is rate · (λ + |y|), with |y| < λ at the most twice rate · λ.
    """
    strength, rate = 0.5, 0.01
    learner = fnnet.Learner(
        constant(1.0), losses.half_squared_error, optim.sgd(rate), prior=losses.laplace_prior(strength)
    )
    y = np.float32(mean) + np.array([[-1.0], [1.0], [0.5], [-0.5]], np.float32)
    expected = np.sign(mean) * max(abs(mean) - strength, 0)
    assert float(trained(learner, y, 1500)) == pytest.approx(expected, abs=1e-5 if expected else 2 * rate * strength)


def test_a_laplace_prior_empties_what_the_data_hardly_ask_for_and_a_gaussian_one_shrinks_all_alike():
    """Orthogonal inputs, for which each weight is its own problem: soft threshold against θ / (1 + λ)."""
    inputs = np.sqrt(40) * np.linalg.qr(RANDOM.normal(size=(40, 4)))[0].astype(np.float32)
    wanted = np.array([[2.0], [-0.4], [0.1], [-1.5]], np.float32)
    table = data.from_arrays(inputs, inputs @ wanted)
    base = fnnet.Learner(nn.dense(1, bias=False), losses.half_squared_error, optim.sgd(0.05))
    found = {}
    for factory in (losses.laplace_prior, losses.gaussian_prior):
        training = fnnet.training(base._replace(prior=factory(0.5)))
        state = training.init(jax.random.key(0), inputs[:1])
        found[factory] = training.chunk(state, table, 400)[0].params["kernel"]
    hop = 2 * 0.05 * 0.5
    expected = np.sign(wanted) * np.maximum(np.abs(wanted) - 0.5, 0)
    np.testing.assert_allclose(found[losses.laplace_prior], expected, atol=hop + 1e-6)
    np.testing.assert_allclose(found[losses.gaussian_prior], wanted / 1.5, rtol=1e-4)


def test_values_and_derivatives_are_the_closed_forms_and_zero_at_zero():
    for prior, value, slope in (
        (losses.gaussian_prior(0.5), -0.25 * 14, lambda x: -0.5 * x),
        (losses.laplace_prior(0.5), -0.5 * 6, lambda x: -0.5 * np.sign(x)),
    ):
        found, slopes = jax.value_and_grad(prior)(TREE)
        assert float(found) == pytest.approx(value)
        for name, got in slopes.items():
            np.testing.assert_allclose(got, slope(np.asarray(TREE[name])))
        assert not np.asarray(jax.grad(prior)(jax.tree.map(jnp.zeros_like, TREE))["kernel"]).any()
        assert float(prior({})) == 0
        assert prior(jax.tree.map(lambda x: x.astype(jnp.bfloat16), TREE)).dtype == jnp.float32


def by_hand(params):
    return {"kernel": True, "bias": False}


@pytest.mark.parametrize("mask", [optim.matrices, optim.by_path(is_kernel), {"kernel": True, "bias": False}, by_hand])
def test_a_mask_says_which_parameters_have_a_prior(mask):
    for factory, value in ((losses.gaussian_prior, -2.5), (losses.laplace_prior, -3.0)):
        prior = factory(1.0, mask=mask)
        assert float(prior(TREE)) == value
        assert not np.asarray(jax.grad(prior)(TREE)["bias"]).any()


@pytest.mark.parametrize("factory", [losses.gaussian_prior, losses.laplace_prior])
def test_law_1_strengths_may_be_mapped_and_are_numbers_of_a_learner(factory):
    strengths = jnp.array([0.1, 0.4])
    mapped = jax.vmap(lambda s: factory(s)(TREE))(strengths)
    np.testing.assert_allclose(mapped, [factory(float(s))(TREE) for s in strengths], rtol=1e-6)
    learners = [fnnet.Learner(nn.dense(1), losses.squared_error, optim.sgd(0.1), prior=factory(s)) for s in (0.1, 0.2)]
    (numbers, one), (others, other) = (split(learner) for learner in learners)
    assert one == other
    assert 0.1 in numbers
    assert 0.2 in others
    assert describe(factory(0.1, mask=optim.matrices)) == f"{factory.__name__}(0.1, mask=matrices)"


def test_what_is_told_of_a_fit_is_the_loss_without_the_prior(flowers):
    train, validation = flowers
    base = fnnet.Learner(nn.dense(3), losses.softmax_cross_entropy, optim.sgd(0.0))
    runs = [
        fnnet.fit(learner, train, validation=validation, epochs=1, key=jax.random.key(0), progress=False)
        for learner in (base, base._replace(prior=losses.gaussian_prior(10.0)))
    ]
    for name in ("train/loss", "validation/loss"):
        np.testing.assert_allclose(runs[0].history[name], runs[1].history[name], rtol=1e-6)
    assert runs[0].evaluate(train) == pytest.approx(runs[1].evaluate(train))


def columns(params):
    return params["kernel"].sum(axis=0)


MISTAKES = {
    "a number": (0.1, StructureError, r"^fit: the prior is 0\.1, which is not a function of the parameters"),
    "not summed": (columns, ShapeError, r"^fit: the prior returned shape \(3,\), .* one number\. Sum over them\.$"),
    "another tree": (
        losses.gaussian_prior(0.1, mask={"weight": True}),
        StructureError,
        r"^fit: mask is not a tree like the parameters: the first difference is at bias",
    ),
}


@pytest.mark.parametrize(("prior", "error", "sentence"), MISTAKES.values(), ids=MISTAKES)
def test_a_wrong_prior_is_named_before_anything_is_compiled(prior, error, sentence, flowers):
    learner = fnnet.Learner(nn.dense(3), losses.softmax_cross_entropy, optim.sgd(0.1), prior=prior)
    with pytest.raises(error, match=sentence):
        fnnet.fit(learner, flowers[0], epochs=1, key=jax.random.key(0))


@pytest.mark.parametrize("factory", [losses.gaussian_prior, losses.laplace_prior])
def test_a_negative_strength_is_refused(factory):
    with pytest.raises(HyperparameterError, match=f"^{factory.__name__}: strength is -1, but it has to be at least 0"):
        factory(-1.0)
