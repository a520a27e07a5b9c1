"""Centred kernel alignment against its definition by kernels and centring matrices, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fnnet.analysis import compare_representations, linear_cka
from fnnet.errors import DataError, ShapeError, StructureError

RNG = np.random.default_rng(0)


def by_kernels(a, b):
    """HSIC(K, L)/√(HSIC(K, K)·HSIC(L, L)) with HSIC(K, L) = tr(K H L H) and H = I − 11ᵀ/n."""
    a, b = (np.asarray(x, np.float64).reshape(len(x), -1) for x in (a, b))
    H = np.eye(len(a)) - 1 / len(a)
    K, L = a @ a.T, b @ b.T

    def hsic(K, L):
        return np.trace(K @ H @ L @ H)

    return hsic(K, L) / np.sqrt(hsic(K, K) * hsic(L, L))


@pytest.mark.parametrize("shapes", [((20, 3), (20, 5)), ((6, 30), (6, 4, 10))], ids=["over features", "over kernels"])
def test_the_alignment_is_that_of_its_definition(shapes):
    a, b = (RNG.normal(2, 3, size=shape).astype(np.float32) for shape in shapes)
    assert float(linear_cka(a, b)) == pytest.approx(by_kernels(a, b), rel=1e-4)
    with jax.enable_x64(True):
        found = linear_cka(a.astype(np.float64), b.astype(np.float64))
        assert found.dtype == jnp.float64
        assert float(found) == pytest.approx(by_kernels(a, b), rel=1e-10)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([1e-30, 1e-3, 1.0, -7.0, 1e30]))
def test_rotations_shifts_and_one_factor_change_nothing_and_other_maps_do(seed, factor):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(12, 4)), rng.normal(size=(12, 4))
    rotation = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    turned = factor * (a @ rotation + rng.normal(size=4))
    a, b, turned = (x.astype(np.float32) for x in (a, b, turned))
    assert 0 <= linear_cka(a, b) < 0.99
    assert float(linear_cka(a, turned)) == pytest.approx(1, abs=1e-5)
    assert float(linear_cka(turned, b)) == pytest.approx(float(linear_cka(b, a)), rel=1e-3, abs=1e-5)
    assert linear_cka(a, a * np.float32([1, 1, 1, 30])) < 0.999


def test_what_is_the_same_for_all_examples_is_like_nothing():
    a = RNG.normal(size=(12, 4)).astype(np.float32)
    assert linear_cka(a, np.full((12, 4), 0.1, np.float32)) == 0
    assert linear_cka(a, np.zeros((12, 4), np.float32)) == 0
    assert np.isfinite(jax.grad(lambda b: linear_cka(a, b))(jnp.zeros((12, 4)))).all()


def test_every_layer_is_compared_with_every_other_in_each_of_many_models():
    outputs = {str(k): RNG.normal(size=(2, 10, width)).astype(np.float32) for k, width in enumerate((5, 2))}
    first, second = ({name: y[lane] for name, y in outputs.items()} for lane in range(2))
    found = compare_representations(first, second)
    assert found.first == found.second == ("0", "1")
    expected = [[by_kernels(a, b) for b in second.values()] for a in first.values()]
    np.testing.assert_allclose(found.similarity, expected, rtol=1e-3)
    mapped = jax.vmap(compare_representations, in_axes=(None, 0))(first, outputs).similarity
    np.testing.assert_allclose(np.diag(mapped[0]), 1, rtol=1e-5)
    np.testing.assert_allclose(mapped[1], found.similarity, rtol=1e-4)


def test_mistakes_meet_a_sentence():
    a = np.ones((5, 2), np.float32)
    with pytest.raises(ShapeError, match=r"'b' has shape \(4, 2\).*as many for all: 5"):
        linear_cka(a, a[:4])
    with pytest.raises(ShapeError, match="at least two examples"):
        linear_cka(a[:1], a[:1])
    with pytest.raises(ShapeError, match="examples, features"):
        linear_cka(a[:, 0], a)
    with pytest.raises(DataError, match="'a' holds NaN"):
        linear_cka(np.nan * a, a)
    with pytest.raises(StructureError, match="a mapping from layers"):
        compare_representations(a, a)
