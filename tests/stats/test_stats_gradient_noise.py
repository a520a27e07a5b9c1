"""The gradient of a mini-batch is unbiased, and its variance that of one example over the size of the batch."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnnet
from fnnet import losses, nn, optim, stats
from fnnet.errors import DataError, HyperparameterError, ShapeError, StructureError

N = 6
RANDOM = np.random.default_rng(0)
X, Y = RANDOM.normal(size=(N, 2)).astype(np.float32), RANDOM.normal(size=N).astype(np.float32)
W = np.array([0.5, -1.0], np.float32)
SLOPES = (X @ W - Y)[:, None] * X  # of ½(xᵀw − y)²
TRACE = ((SLOPES - SLOPES.mean(axis=0)) ** 2).sum(axis=1).mean()
KEY = jax.random.key(0)


def loss(w, batch):
    x, y = batch
    return (jnp.square(x @ w - y) / 2).mean()


def all_batches(size, replace):
    """The mean gradient of every batch there is."""
    rows = itertools.product(range(N), repeat=size) if replace else itertools.combinations(range(N), size)
    return np.stack([SLOPES[list(batch)].mean(axis=0) for batch in rows])


@pytest.mark.parametrize("replace", [False, True])
def test_the_law_is_the_variance_over_all_batches_that_can_be_drawn(replace):
    found = stats.gradient_noise(loss, W, (X, Y), (1, 2, 4), replace=replace, repetitions=3000, key=KEY)
    np.testing.assert_allclose(found.gradient, SLOPES.mean(axis=0), rtol=1e-5)
    assert float(found.trace) == pytest.approx(TRACE, rel=1e-5)
    assert float(found.noise_scale) == pytest.approx(TRACE / (SLOPES.mean(axis=0) ** 2).sum(), rel=1e-4)
    for size, law in zip((1, 2, 4), found.law, strict=True):
        batches = all_batches(size, replace)
        np.testing.assert_allclose(batches.mean(axis=0), SLOPES.mean(axis=0), atol=1e-6)  # unbiased, exactly
        assert float(law) == pytest.approx(((batches - batches.mean(axis=0)) ** 2).sum(axis=1).mean(), rel=1e-4)
    np.testing.assert_allclose(found.measured, found.law, rtol=0.1)
    assert (found.deviation < 3).all()


def test_a_batch_of_everything_has_no_noise():
    found = stats.gradient_noise(loss, W, (X, Y), (N,), repetitions=5, key=KEY)
    assert float(found.law[0]) == 0
    assert float(found.measured[0]) == pytest.approx(0, abs=1e-10)
    assert "–" in str(found)


@pytest.mark.exhaustive  # a network, 500 batches of each size
def test_the_gradients_of_a_learner_obey_the_law_too(flowers):
    train, _ = flowers
    learner = fnnet.Learner(nn.chain(nn.dense(4), nn.tanh, nn.dense(3)), losses.softmax_cross_entropy, optim.sgd(0.1))
    params, state = learner.model.init(KEY, train.inputs[:1])

    def mean_loss(params, batch):
        return learner.loss(learner.model.apply(params, state, batch.inputs)[0], batch.targets).mean()

    found = stats.gradient_noise(mean_loss, params, train, (2, 8), repetitions=500, key=KEY)
    whole = jax.grad(mean_loss)(params, train)
    for ours, theirs in zip(jax.tree.leaves(found.gradient), jax.tree.leaves(whole), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    np.testing.assert_allclose(found.measured, found.law, rtol=0.15)


@pytest.mark.exhaustive  # compiled twice, mapped and alone
def test_stacked_models_each_have_the_noise_of_their_own():
    stack = jnp.stack([W, 2 * W])
    found = jax.jit(jax.vmap(lambda w: stats.gradient_noise(loss, w, (X, Y), (2,), repetitions=8, key=KEY)))(stack)
    alone = stats.gradient_noise(loss, 2 * W, (X, Y), (2,), repetitions=8, key=KEY)
    np.testing.assert_allclose(found.trace[1], alone.trace, rtol=1e-5)
    np.testing.assert_allclose(found.measured[1], alone.measured, rtol=1e-4)
    assert str(found) == "GradientNoise of 2 models, stacked"


def test_figures_of_gradient_noise_state_how_near_the_law_is(tmp_path):
    pytest.importorskip("matplotlib")
    sizes = jnp.array([1, 2, N])
    law = jnp.array([4.0, 1.6, 0.0])
    found = stats.GradientNoise(W, *map(jnp.float32, (0.5, 4.0, 8.0)), sizes, law, 1.1 * law, jnp.ones(3))
    figure = stats.plot_gradient_noise(found, tmp_path / "noise.png")
    assert (tmp_path / "noise.png").stat().st_size < 60_000
    assert figure.texts[0].get_text() == "Measured variance within 10 % of the law"
    assert len(figure.axes[0].lines[1].get_xdata()) == 2  # no point for the batch without noise
    assert len(str(found).splitlines()) == 5
    still = stats.plot_gradient_noise(found._replace(squared_norm=jnp.zeros(())))  # a logarithmic axis has no line at 0
    assert len(still.axes[0].lines) == 2
    with pytest.raises(ShapeError, match="of several models"):
        stats.plot_gradient_noise(jax.tree.map(lambda x: jnp.stack([x, x]), found))
    with pytest.raises(StructureError, match="no GradientNoise"):
        stats.plot_gradient_noise(None)


def test_parameters_may_be_of_several_precisions():
    narrow = {"w": jnp.asarray(W[:1], jnp.bfloat16), "v": jnp.asarray(W[1:])}
    whole = lambda p, batch: loss(jnp.concatenate([p["w"].astype("float32"), p["v"]]), batch)  # noqa: E731
    found = stats.gradient_noise(whole, narrow, (X, Y), (2,), repetitions=8, key=KEY)
    assert (found.gradient["w"].dtype, found.gradient["v"].dtype) == (jnp.bfloat16, jnp.float32)
    assert float(found.trace) == pytest.approx(TRACE, rel=1e-2)


def test_mistakes_with_gradient_noise_are_sentences():
    with pytest.raises(HyperparameterError, match="a batch of 7 cannot be drawn from 6 examples without replacement"):
        stats.gradient_noise(loss, W, (X, Y), (7,), key=KEY)
    with pytest.raises(HyperparameterError, match="a batch size is 0"):
        stats.gradient_noise(loss, W, (X, Y), (0,), key=KEY)
    with pytest.raises(HyperparameterError, match=r"sizes is \(\), but one or more are needed"):
        stats.gradient_noise(loss, W, (X, Y), (), key=KEY)
    with pytest.raises(ShapeError, match=r"has shape \(1,\), but a scalar is needed. Average it"):
        stats.gradient_noise(lambda w, batch: batch[0] @ w, W, (X, Y), (1,), key=KEY)
    with pytest.raises(ShapeError, match="all need the same number of examples on axis 0"):
        stats.gradient_noise(loss, W, (X, Y[:3]), (1,), key=KEY)
    with pytest.raises(StructureError, match="has dtype int32, which has no gradient"):
        stats.gradient_noise(loss, jnp.arange(2), (X, Y), (1,), key=KEY)
    with pytest.raises(StructureError, match="not a function of parameters and a batch"):
        stats.gradient_noise(None, W, (X, Y), (1,), key=KEY)
    with pytest.raises(DataError, match="the gradients are not finite"):
        stats.gradient_noise(loss, np.nan * W, (X, Y), (1,), repetitions=2, key=KEY)
    with pytest.raises(StructureError, match="not a random key"):
        stats.gradient_noise(loss, W, (X, Y), (1,), key=0)
