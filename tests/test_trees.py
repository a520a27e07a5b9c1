"""Arithmetic on pytrees: values, and derivatives where the plain formulas have none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnnet import trees

TREE = {"a": jnp.array([3.0, 0.0]), "b": (jnp.array([[4.0]]), jnp.array(12.0))}


def test_the_global_norm_is_the_length_of_all_leaves_as_one_vector():
    assert float(trees.global_norm(TREE)) == 13
    assert float(trees.squared_norm(TREE)) == 169
    slope = jax.grad(trees.global_norm)(TREE)
    np.testing.assert_allclose(slope["a"], [3 / 13, 0], rtol=1e-6)


def test_the_global_norm_and_its_derivative_are_zero_at_zero():
    zeros = jax.tree.map(jnp.zeros_like, TREE)
    value, slope = jax.value_and_grad(trees.global_norm)(zeros)
    assert float(value) == 0
    assert all(not leaf.any() for leaf in jax.tree.leaves(slope))
    assert float(trees.global_norm({})) == 0


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_the_norm_of_low_precision_is_summed_in_single_precision(dtype):
    leaf = jnp.full(10_000, 300.0, dtype)  # its square overflows float16, and bfloat16 counts to 256 alone
    norm = trees.global_norm([leaf, leaf])
    assert norm.dtype == jnp.float32
    assert float(norm) == pytest.approx(300 * np.sqrt(20_000), rel=3e-3)


def test_the_norm_of_a_mixed_tree_has_the_widest_dtype():
    with jax.enable_x64(True):
        assert trees.global_norm([jnp.ones(2, jnp.bfloat16), jnp.ones(2, jnp.float64)]).dtype == jnp.float64


def test_safe_divide_is_the_quotient_and_zero_with_finite_derivatives_where_it_divides_by_zero():
    with jax.enable_x64(True):
        a, b = jnp.array([6.0, 0.0, 5.0, -1.0]), jnp.array([3.0, 2.0, 0.0, 0.0])
        assert trees.safe_divide(a, b).tolist() == [2, 0, 0, 0]
        slopes = jax.vmap(jax.grad(trees.safe_divide, (0, 1)))(a, b)
        assert [slope.tolist() for slope in slopes] == [[1 / 3, 0.5, 0, 0], [-6 / 9, 0, 0, 0]]
        assert jnp.isnan(trees.safe_divide(jnp.array([jnp.nan, jnp.nan, 1.0]), jnp.array([0.0, 1.0, jnp.nan]))).all()


def test_safe_sqrt_is_the_root_with_derivative_zero_at_zero():
    with jax.enable_x64(True):
        x = jnp.array([0.0, 1e-300, 0.25, 4.0])
        np.testing.assert_allclose(trees.safe_sqrt(x), np.sqrt(x), rtol=1e-15)
        slope = jax.vmap(jax.grad(trees.safe_sqrt))(x)
        np.testing.assert_allclose(slope, [0, 5e149, 1, 0.25], rtol=1e-12)
        assert trees.safe_sqrt(-jnp.ones(())) == 0  # rounding can put it there; see the docstring


def test_wide_is_at_least_single_precision():
    for given, wide in (
        ("bfloat16", "float32"),
        ("float16", "float32"),
        ("float32", "float32"),
        ("float64", "float64"),
    ):
        assert trees.wide(jnp.dtype(given)) == wide


def test_tree_where_chooses_whole_trees_and_tree_scale_keeps_dtypes():
    other = jax.tree.map(lambda leaf: -leaf, TREE)
    for condition, chosen in ((True, TREE), (False, other)):
        picked = jax.jit(trees.tree_where)(jnp.asarray(condition), TREE, other)
        assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), picked, chosen))
    half = {"x": jnp.ones(2, jnp.bfloat16), "y": jnp.ones(2)}
    scaled = trees.tree_scale(0.5, half)
    assert [str(leaf.dtype) for leaf in scaled.values()] == ["bfloat16", "float32"]
    assert float(scaled["x"][0]) == 0.5


def test_leaves_go_to_names_and_back():
    named = trees.flatten_with_names(TREE)
    assert list(named) == ["a", "b/0", "b/1"]
    back = trees.unflatten_from_names(TREE, {name: 2 * leaf for name, leaf in reversed(named.items())})
    np.testing.assert_array_equal(back["b"][0], [[8.0]])
    assert trees.flatten_with_names(jnp.ones(1)).keys() == {""}
