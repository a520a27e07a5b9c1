"""Joint tables: sums, slices and Bayes' rule are the lecture's equations written with NumPy."""

import hypothesis
import hypothesis.extra.numpy
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from fnnet import stats
from fnnet.errors import DataError, HyperparameterError, ShapeError, StructureError

SHAPE, NAMES = (2, 3, 4), ("x", "y", "z")
TABLE = np.random.default_rng(0).dirichlet(np.ones(24)).reshape(SHAPE)
laws = hypothesis.settings(max_examples=40, deadline=None, database=None, derandomize=True)


@st.composite
def tables(draw):
    """Joint tables of x and y, of which no value of x is impossible."""
    counts = draw(hypothesis.extra.numpy.arrays(float, SHAPE[:2], elements=st.one_of(st.just(0.0), st.floats(0.01, 1))))
    counts[:, 0] += 0.01
    return counts / counts.sum()


def test_a_marginal_sums_over_the_other_axes_in_the_order_asked_for():
    joint = stats.joint(TABLE, NAMES)
    np.testing.assert_allclose(stats.marginal(joint, "y").table, TABLE.sum(axis=(0, 2)), rtol=1e-6)
    turned = stats.marginal(joint, "z", "x")
    assert turned.names == ("z", "x")
    np.testing.assert_allclose(turned.table, TABLE.sum(axis=1).T, rtol=1e-6)
    assert float(stats.marginal(joint).table) == pytest.approx(1)
    assert repr(joint) == "Joint(x 2 × y 3 × z 4)"


def test_a_conditional_is_a_slice_over_its_sum_also_for_every_value_at_once():
    joint = stats.joint(TABLE, NAMES)
    found = stats.conditional(joint, {"y": 1})
    assert found.names == ("x", "z")
    np.testing.assert_allclose(found.table, TABLE[:, 1] / TABLE[:, 1].sum(), rtol=1e-6)
    both = stats.conditional(joint, {"z": 3, "x": 0})
    np.testing.assert_allclose(both.table, TABLE[0, :, 3] / TABLE[0, :, 3].sum(), rtol=1e-6)
    each = jax.vmap(lambda value: stats.conditional(joint, {"y": value}).table)(jnp.arange(3))
    np.testing.assert_allclose(each, np.moveaxis(TABLE / TABLE.sum(axis=(0, 2), keepdims=True), 1, 0), rtol=1e-6)


@laws
@hypothesis.given(table=tables(), seen=st.integers(0, SHAPE[0] - 1))
def test_the_posterior_sums_to_1_and_is_the_conditional_of_the_joint(table, seen):
    with jax.enable_x64(True):
        joint = stats.joint(table, ("x", "y"))
        prior = np.asarray(stats.marginal(joint, "y").table)
        hypothesis.assume((prior > 0).all())
        posterior = np.asarray(stats.bayes_posterior(prior, table[seen] / prior))
        conditional = np.asarray(stats.conditional(joint, {"x": seen}).table)
    assert posterior.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(posterior, conditional, rtol=1e-12, atol=1e-15)


@jax.jit
def entropies(table):
    """H(X, Y), H(X), H(Y), Σ p(x) H(Y | x) and I(X; Y)."""
    joint = stats.joint(table, ("x", "y"))
    x, y = (stats.marginal(joint, name).table for name in "xy")
    given = jax.vmap(lambda value: stats.entropy(stats.conditional(joint, {"x": value}).table))(jnp.arange(SHAPE[0]))
    information = stats.mutual_information(joint, "x", "y")
    return stats.entropy(table.reshape(-1)), stats.entropy(x), stats.entropy(y), x @ given, information


@laws
@hypothesis.given(table=tables())
def test_the_entropy_of_a_table_is_that_of_one_variable_and_of_the_other_given_it(table):
    with jax.enable_x64(True):
        both, x, y, given, information = (float(value) for value in entropies(table))
    assert both == pytest.approx(x + given, abs=1e-12)
    assert information == pytest.approx(x + y - both, abs=1e-12)
    assert information >= -1e-12


def test_a_thousand_observations_do_not_underflow_as_logarithms():
    """A coin is fair or shows heads two times of three; 1000 throws, 520 of them heads."""
    heads = np.array([1 / 2, 2 / 3])
    log_likelihood = scipy.stats.binom.logpmf(520, 1000, heads)
    raw = 520 * np.log(heads) + 480 * np.log1p(-heads)  # without the binomial coefficient, which cancels
    assert np.exp(raw).max() < 1e-300
    odds = np.exp(log_likelihood[1] - log_likelihood[0])
    found = stats.bayes_posterior(jnp.array([0.5, 0.5]), stats.Logits(jnp.asarray(raw, jnp.float32)))
    assert float(found[0]) == pytest.approx(1 / (1 + odds), rel=1e-5)
    assert float(found[1]) == pytest.approx(odds / (1 + odds), rel=1e-3)


def test_independence_is_a_product_of_margins_and_no_mutual_information():
    a, b, c = (np.random.default_rng(i).dirichlet(np.ones(size)) for i, size in enumerate(SHAPE))
    product = stats.joint(a[:, None, None] * b[:, None] * c, NAMES)
    assert bool(stats.is_independent(product, "x", "y"))
    assert bool(stats.is_independent(product, ("x", "z"), "y"))
    assert float(stats.mutual_information(product, ("x", "z"), "y")) == pytest.approx(0, abs=1e-6)
    assert not bool(stats.is_independent(stats.joint(TABLE, NAMES), "x", "y"))
    # Of three coins of which the third says whether the others agree, any two are independent, but not all three.
    agree = np.zeros((2, 2, 2))
    agree[[0, 0, 1, 1], [0, 1, 0, 1], [1, 0, 0, 1]] = 1 / 4
    coins = stats.joint(agree, NAMES)
    assert all(bool(stats.is_independent(coins, *pair)) for pair in ("xy", "xz", "yz"))
    assert float(stats.mutual_information(coins, ("x", "y"), "z", base=2)) == pytest.approx(1)
    assert not bool(stats.is_independent(coins, ("x", "y"), "z"))


def test_rare_values_tell_little_and_rounded_tables_are_tables():
    rare = stats.joint(np.array([[1.0, 0.0], [0.0, 1e-25]]), ("x", "y"))  # p(x) p(y) is 1e-50 in float32
    assert float(stats.mutual_information(rare, "x", "y")) == pytest.approx(1e-25 * np.log(1e25), rel=1e-5)
    rounded = stats.joint((1 + 9e-6) * np.eye(2) / 2, ("x", "y"))
    assert float(stats.mutual_information(rounded, "x", "y", base=2)) == pytest.approx(1, abs=1e-4)


def test_of_likelihoods_only_the_proportions_count_however_small_they_are():
    np.testing.assert_allclose(stats.bayes_posterior([0.5, 0.5], [1e-60, 3e-60]), [0.25, 0.75], rtol=1e-6)


def test_tables_may_be_compiled_mapped_and_differentiated():
    weights = jnp.asarray(np.random.default_rng(1).normal(size=(2, 3, 4)), jnp.float32)

    @jax.jit
    @jax.vmap
    def told(z):
        joint = stats.joint(jax.nn.softmax(z.reshape(-1)).reshape(z.shape), ("x", "y"))
        return stats.mutual_information(joint, "x", "y"), stats.conditional(joint, {"x": 1})

    information, given = told(weights)
    assert information.shape == (2,)
    assert given.names == ("y",)
    assert given.table.shape == (2, 4)
    slope = jax.grad(lambda z: told(z)[0].sum())(weights)
    step = 1e-2 * slope / jnp.linalg.norm(slope)
    rise = told(weights + step)[0].sum() - told(weights - step)[0].sum()
    assert float(rise) == pytest.approx(2e-2 * float(jnp.linalg.norm(slope)), rel=1e-2)


def test_mistakes_with_tables_are_sentences():
    joint = stats.joint(TABLE, NAMES)
    with pytest.raises(DataError, match="joint: the table is no distribution: it sums to 2"):
        stats.joint(2 * TABLE, NAMES)
    with pytest.raises(ShapeError, match=r"shape .2, 3, 4. and 2 names"):
        stats.joint(TABLE, ("x", "y"))
    with pytest.raises(StructureError, match=r"names are .3,., but they have to be different strings"):
        stats.joint([0.5, 0.5], 3)
    with pytest.raises(StructureError, match="different strings"):
        stats.joint(TABLE, ("x", "x", "y"))
    with pytest.raises(StructureError, match=r"there is no variable 'w'. The joint has x, y, z"):
        stats.marginal(joint, "w")
    with pytest.raises(StructureError, match="'x' is named twice"):
        stats.is_independent(joint, ("x", "y"), "x")
    with pytest.raises(StructureError, match="a side has no variable"):
        stats.mutual_information(joint, (), "x")
    with pytest.raises(StructureError, match=r"no Joint. Make one with stats.joint"):
        stats.marginal(TABLE, "x")
    with pytest.raises(HyperparameterError, match=r"'y' is given as 3, but it has 3 values \(0 to 2\)"):
        stats.conditional(joint, {"y": 3})
    with pytest.raises(HyperparameterError, match="the number of one value is needed"):
        stats.conditional(joint, {"y": 0.5})
    with pytest.raises(HyperparameterError, match="all variables are given"):
        stats.conditional(joint, {"x": 0, "y": 0, "z": 0})
    with pytest.raises(StructureError, match="a dict is needed"):
        stats.conditional(joint, "y")
    with pytest.raises(DataError, match="has probability 0, so nothing follows"):
        stats.conditional(stats.joint([[0.0, 0.0], [0.5, 0.5]], ("x", "y")), {"x": 0})
    with pytest.raises(DataError, match=r"the likelihood holds -1, .*Mark log-likelihoods with stats.Logits"):
        stats.bayes_posterior([0.5, 0.5], [-1.0, 0.0])
    with pytest.raises(DataError, match="impossible under every hypothesis"):
        stats.bayes_posterior([0.0, 1.0], [0.5, 0.0])
    with pytest.raises(ShapeError, match="prior has shape"):
        stats.bayes_posterior([0.5, 0.5], [0.5])
