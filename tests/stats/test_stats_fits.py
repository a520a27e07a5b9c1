"""Closed forms are the formulas of the lecture, SciPy's fits, and what minimisation finds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.stats

from fnnet import optim, stats
from fnnet.errors import DataError, HyperparameterError, ShapeError, StructureError

RANDOM = np.random.default_rng(0)
NUMBERS = RANDOM.laplace(loc=0.7, size=25)
COIN = (RANDOM.uniform(size=30) < 0.3).astype(int)
IDS = RANDOM.integers(0, 3, size=30)
X = RANDOM.normal(size=(20, 3))
Y = X @ np.array([1.0, -2.0, 0.5]) + 0.3 * RANDOM.normal(size=20)

MODELS = {
    "gaussian": (stats.gaussian(), NUMBERS),
    "gaussian, known variance": (stats.gaussian(variance=2.0), NUMBERS),
    "gaussian, prior": (stats.gaussian(variance=2.0, prior_variance=0.05), NUMBERS),
    "laplace": (stats.laplace(), NUMBERS),
    "laplace, prior": (stats.laplace(scale=1.0, prior_scale=0.22), NUMBERS),  # 0.2 would leave an interval
    "bernoulli": (stats.bernoulli(), COIN),
    "bernoulli, prior": (stats.bernoulli(a=3.0, b=5.0), COIN),
    "categorical": (stats.categorical(3), IDS),
    "categorical, prior": (stats.categorical(3, concentration=4.0), IDS),
    "linear": (stats.linear(), (X, Y)),
    "linear, prior": (stats.linear(variance=0.09, prior_variance=0.02), (X, Y)),
}


@pytest.fixture
def double():
    with jax.enable_x64(True):
        yield


def compare(model, data, rtol=1e-5, **options):
    closed, fit = model.closed_form(data), stats.fit_by_minimize(model, data, **options)
    assert closed.keys() == fit.parameters.keys()
    for parameter, value in closed.items():
        np.testing.assert_allclose(fit.parameters[parameter], value, rtol=rtol, atol=1e-7, err_msg=parameter)


QUICK = ("laplace", "linear, prior")
RARE = pytest.mark.exhaustive  # each a solver of its own to compile; the closed forms are compared with SciPy besides


@pytest.mark.parametrize("name", [name if name in QUICK else pytest.param(name, marks=RARE) for name in MODELS])
def test_the_closed_form_is_what_minimisation_finds(name, double):
    compare(*MODELS[name], steps=200, tol=1e-9)


@pytest.mark.parametrize(("shift", "size"), [(1e6, 1.0), (0.0, 1e6), (0.0, 1e-6)])
def test_minimisation_finds_it_in_any_unit_and_far_from_zero(shift, size):
    """In float32, with the tolerance that is set unless told."""
    data = jnp.asarray(shift + size * np.arange(1.0, 5.0), jnp.float32)
    found = FITTED(data)
    np.testing.assert_allclose(found["mean"], shift + 2.5 * size, rtol=1e-5)
    np.testing.assert_allclose(found["variance"], 1.25 * size**2, rtol=1e-4)


FITTED = jax.jit(lambda data: stats.fit_by_minimize(stats.gaussian(), data).parameters)


def test_closed_forms_are_those_of_scipy(double):
    for model, theirs in ((stats.gaussian(), scipy.stats.norm), (stats.laplace(), scipy.stats.laplace)):
        place, spread = model.closed_form(NUMBERS).values()
        location, scale = theirs.fit(NUMBERS)
        assert float(place) == pytest.approx(location, rel=1e-12)
        assert float(spread) == pytest.approx(scale**2 if theirs is scipy.stats.norm else scale, rel=1e-12)
    even = NUMBERS[:24]
    assert float(stats.laplace().closed_form(even)["median"]) == pytest.approx(np.median(even), rel=1e-12)
    assert float(stats.bernoulli().closed_form(COIN)["probability"]) == COIN.mean()
    np.testing.assert_allclose(stats.categorical(3).closed_form(IDS)["probabilities"], np.bincount(IDS) / 30)
    found = stats.linear().closed_form((X, Y))
    w, (residual,), *_ = np.linalg.lstsq(X, Y)
    np.testing.assert_allclose(found["coefficients"], w, rtol=1e-12)
    assert float(found["variance"]) == pytest.approx(residual / 20, rel=1e-12)


POSTERIORS = {
    "gaussian, prior": lambda m: (
        scipy.stats.norm.logpdf(NUMBERS, m, 2**0.5).sum() + scipy.stats.norm.logpdf(m, 0, 0.05**0.5)
    ),
    "laplace, prior": lambda m: scipy.stats.laplace.logpdf(NUMBERS, m).sum() + scipy.stats.laplace.logpdf(m, 0, 0.22),
    "bernoulli, prior": lambda p: scipy.stats.bernoulli.logpmf(COIN, p).sum() + scipy.stats.beta.logpdf(p, 3, 5),
}


@pytest.mark.parametrize("name", POSTERIORS)
def test_with_a_prior_the_closed_form_has_the_highest_posterior_density_of_scipy(name, double):
    model, data = MODELS[name]
    (found,) = model.closed_form(data).values()
    best = scipy.optimize.minimize_scalar(
        lambda m: -POSTERIORS[name](m), bounds=(1e-3, 1), method="bounded", options={"xatol": 1e-10}
    ).x
    assert float(found) == pytest.approx(best, abs=1e-6)


def test_a_prior_over_many_examples_is_forgotten_and_of_few_decisive(double):
    """So are the lecture's: n x̄ / (n + σ²/τ²), ridge regression, and pseudo-examples."""
    many = np.full(100_000, 2.0)
    model = stats.gaussian(variance=1.0, prior_variance=1.0)
    assert float(model.closed_form(many)["mean"]) == pytest.approx(2, abs=1e-4)
    assert float(model.closed_form(many[:1])["mean"]) == 1
    ridge = stats.linear(variance=0.09, prior_variance=0.02).closed_form((X, Y))["coefficients"]
    np.testing.assert_allclose(ridge, np.linalg.solve(X.T @ X + 4.5 * np.eye(3), X.T @ Y), rtol=1e-10)
    together = stats.categorical(3, concentration=jnp.float32(2)).closed_form(np.array([0]))["probabilities"]
    np.testing.assert_allclose(together, [2 / 4, 1 / 4, 1 / 4])
    # A prior that counts more than half of all examples keeps a median at 0.
    assert float(stats.laplace(scale=1.0, prior_scale=0.01).closed_form(NUMBERS)["median"]) == 0


def test_an_nll_over_ever_more_examples_is_the_cross_entropy_of_the_truth():
    """Lecture 001, 3.8: E[−log p_model] = H(p_data, p_model), and least where they are equal."""
    p, model = np.array([0.2, 0.5, 0.3]), stats.categorical(3)
    ids = np.random.default_rng(0).choice(3, size=40_000, p=p)
    logits = jnp.array([0.0, 1.0, 1.0])
    nll = -model.log_likelihood({"logits": logits}, ids).mean()
    assert float(nll) == pytest.approx(float(stats.cross_entropy(p, stats.Logits(logits))), abs=0.01)
    best = -model.log_likelihood({"logits": jnp.log(model.closed_form(ids)["probabilities"])}, ids).mean()
    assert float(best) == pytest.approx(float(stats.entropy(p)), abs=0.01)


@pytest.mark.exhaustive  # a solver compiled for four samples at once
def test_fits_are_mapped_over_stacked_data_and_priors():
    stack = jnp.asarray(RANDOM.normal(size=(4, 25)), jnp.float32)
    fits = jax.vmap(lambda x: stats.fit_by_minimize(stats.gaussian(), x, steps=50))(stack)
    np.testing.assert_allclose(fits.parameters["mean"], stack.mean(axis=1), atol=1e-4)
    closed = jax.jit(jax.vmap(stats.laplace().closed_form))(stack)
    np.testing.assert_allclose(closed["median"], jnp.median(stack, axis=1), rtol=1e-6)
    means = jax.vmap(lambda v: stats.gaussian(1.0, v).closed_form(stack[0])["mean"])(jnp.array([0.1, 1.0, 1e6]))
    assert (jnp.diff(jnp.abs(means)) > 0).all()


def test_any_optimizer_fits_and_mistakes_are_sentences():
    fit = stats.fit_by_minimize(stats.bernoulli(), COIN, optim.adam(0.1), steps=300, tol=1e-4)
    assert float(fit.parameters["probability"]) == pytest.approx(COIN.mean(), abs=1e-3)
    with pytest.raises(StructureError, match=r"no Model. Call its factory"):
        stats.fit_by_minimize(stats.gaussian, NUMBERS)
    with pytest.raises(HyperparameterError, match=r"only for a known variance. Pass variance="):
        stats.gaussian(prior_variance=1.0)
    with pytest.raises(HyperparameterError, match="scale is 0"):
        stats.laplace(scale=0.0)
    with pytest.raises(HyperparameterError, match=r"a is 0.5, but it has to be at least 1"):
        stats.bernoulli(a=0.5)
    with pytest.raises(DataError, match="more than 0 and 1"):
        stats.bernoulli().closed_form([0, 1, 2])
    with pytest.raises(DataError, match="class 3, but there are classes 0 to 2"):
        stats.categorical(3).closed_form([0, 3])
    with pytest.raises(DataError, match="class -1, but there are classes 0 to 2"):
        stats.categorical(3).closed_form([-1, 0])
    with pytest.raises(DataError, match="class ids are integers"):
        stats.categorical(3).closed_form([0.5])
    with pytest.raises(DataError, match="NaN or ∞, first at row 1"):
        stats.gaussian().closed_form([0.0, np.nan])
    with pytest.raises(ShapeError, match=r"Map over several with jax.vmap"):
        stats.gaussian().closed_form(X)
    with pytest.raises(ShapeError, match=r"a pair .X, y."):
        stats.linear().closed_form(X)
    with pytest.raises(ShapeError, match=r"X has shape \(20, 3\) and y \(5,\)"):
        stats.linear().closed_form((X, Y[:5]))
