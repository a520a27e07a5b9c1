"""Finite differences and the gradient checker: closed forms, planted errors, what is refused."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnnet import calculus, losses, nn
from fnnet.errors import DataError, HyperparameterError, ShapeError, StructureError

POINT = {"w": jnp.array([[0.5, -1.0], [2.0, 3.0]], jnp.float32), "b": jnp.array(1.5, jnp.float32)}
SCALES = np.array([[1.0, 2.0], [-3.0, 0.25]], np.float32)


def smooth(p):
    return jnp.sum(SCALES * p["w"] ** 3) + jnp.sin(p["b"]) * p["w"][0, 0]


def slope_of_smooth(p):
    w = 3 * SCALES * p["w"] ** 2
    return {"w": w.at[0, 0].add(jnp.sin(p["b"])), "b": jnp.cos(p["b"]) * p["w"][0, 0]}


def test_central_differences_have_ten_digits_although_the_caller_works_in_float32():
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda leaf: leaf.astype("float64"), POINT)
        found = calculus.finite_difference(smooth, wide)
        w, b = np.array(POINT["w"], float), float(POINT["b"])
        expected = 3 * SCALES * w**2
        expected[0, 0] += np.sin(b)
        np.testing.assert_allclose(found["w"], expected, rtol=1e-9)
        np.testing.assert_allclose(found["b"], np.cos(b) * w[0, 0], atol=1e-9)
    narrow = calculus.finite_difference(smooth, POINT)
    assert narrow["w"].dtype == narrow["b"].dtype == jnp.float32
    np.testing.assert_array_equal(narrow["w"], found["w"].astype("float32"))
    assert jnp.result_type(float) == jnp.float32  # nothing was switched for the caller


def test_a_derivative_is_the_limit_of_the_lecture_with_an_error_of_second_order():
    with jax.enable_x64(True):
        steps = [0.2, 0.1, 0.05]
        errors = [calculus.finite_difference(jnp.exp, jnp.array(0.0), step=h) - 1 for h in steps]
    for ratio in np.divide(errors[:-1], errors[1:]):
        np.testing.assert_allclose(ratio, 4, rtol=0.01)


def test_partial_derivatives_of_a_kink_are_the_mean_of_both_sides():
    np.testing.assert_allclose(calculus.finite_difference(lambda x: jnp.sum(nn.relu(x)), jnp.zeros(2)), 0.5)


def test_the_gradient_of_a_network_passes_and_names_no_wrong_entry():
    model = nn.mlp([3, 2], activation=nn.tanh)
    x, y = jnp.linspace(-1, 1, 8).reshape(4, 2), jnp.array([0, 1, 1, 0])
    shapes, state = jax.eval_shape(model.init, jax.random.key(0), x)
    params = jax.tree.map(
        lambda leaf: jnp.asarray(np.linspace(-1, 1, leaf.size).reshape(leaf.shape), "float32"), shapes
    )
    report = calculus.check_gradient(
        lambda p: losses.softmax_cross_entropy(model.apply(p, state, x)[0], y).mean(), params
    )
    assert report
    assert report.passed
    assert [leaf.path for leaf in report.leaves] == ["0/bias", "0/kernel", "2/bias", "2/kernel"]
    assert sum(leaf.entries for leaf in report.leaves) == nn.count_parameters(params) == 17
    assert report.worst.error < 1e-6
    assert "agrees with differences in 17 places" in str(report)


@pytest.mark.parametrize("absolute", [True, False])
def test_an_error_of_one_in_ten_thousand_is_found_in_its_entry(absolute):
    def wrong(p):
        g = slope_of_smooth(p)
        planted = 1e-4 if absolute else 1e-4 * g["w"][1, 0]
        return {**g, "w": g["w"].at[1, 0].add(planted)}

    assert calculus.check_gradient(smooth, POINT, slope_of_smooth)
    report = calculus.check_gradient(smooth, POINT, wrong)
    assert not report
    assert (report.worst.path, report.worst.position, report.worst.wrong) == ("w", (1, 0), 1)
    assert report.leaves[0].wrong == 0
    exact = 3 * -3 * 2.0**2
    np.testing.assert_allclose(report.worst.measured, exact, rtol=1e-9)
    expected = 1e-4 / abs(exact) if absolute else 1e-4
    np.testing.assert_allclose(report.worst.error, expected, rtol=1e-3)
    assert "wrong in 1 of 5 places, worst at w[1, 0]" in str(report)


@pytest.mark.parametrize("planted", [np.nan, 1e20])
def test_an_entry_that_is_far_off_hides_no_other(planted):
    point = jnp.array([1.0, 2.0, 3.0])
    report = calculus.check_gradient(squares, point, jnp.array([2.001, planted, 6.0]))
    assert (report.worst.wrong, report.worst.position) == (2, (1,))
    assert "wrong in 2 of 3 places" in str(report)


def squares(x):
    return jnp.sum(x**2)


def test_the_bottom_of_a_bowl_is_no_kink():
    """The slopes to both sides have opposite signs there, as at a kink, but shrink with the step."""
    report = calculus.check_gradient(squares, jnp.zeros(3), jnp.array([0.0, 1.0, 0.0]))
    assert report.worst.wrong == 1
    assert not report.worst.kink


def test_a_wrong_rule_of_a_function_of_its_own_is_found():
    @jax.custom_vjp
    def cube(x):
        return x**3

    cube.defvjp(lambda x: (x**3, x), lambda x, g: (3.001 * x**2 * g,))
    report = calculus.check_gradient(lambda x: cube(x).sum(), jnp.array([1.0, -2.0]))
    assert report.leaves[0].wrong == 2
    assert "relative error of 3.3e-04" in str(report)


def test_a_gradient_may_be_given_as_arrays():
    assert calculus.check_gradient(smooth, POINT, slope_of_smooth(POINT))
    with pytest.raises(ShapeError, match=r"the gradient has shape \(2,\) at w"):
        calculus.check_gradient(smooth, POINT, {**POINT, "w": jnp.ones(2)})
    with pytest.raises(StructureError, match="the first difference is at b"):
        calculus.check_gradient(smooth, POINT, {"w": POINT["w"]})


@pytest.mark.exhaustive  # ten thousand numbers, twice
def test_of_a_large_leaf_a_sample_and_directions_find_what_the_sample_missed():
    size = 10_000
    params = {"large": jnp.linspace(-1, 1, size), "small": jnp.ones(2)}

    def fun(p):
        return jnp.sum(jnp.sin(p["large"])) / 100 + jnp.sum(p["small"] ** 2)

    def slope(p, planted):
        return {"large": (jnp.cos(p["large"]) / 100).at[4321].add(planted), "small": 2 * p["small"]}

    report = calculus.check_gradient(fun, params, functools.partial(slope, planted=0.0), entries=20)
    assert report
    assert (report.leaves[0].entries, report.leaves[0].directions, report.leaves[1].directions) == (20, 2, 0)
    assert "20 of 10,000 and 2 directions" in str(report)
    report = calculus.check_gradient(fun, params, functools.partial(slope, planted=1e-4), entries=20)
    assert (report.worst.path, report.worst.position, report.worst.wrong) == ("large", None, 2)
    assert "large along a random direction" in str(report)


def test_a_kink_and_an_edge_of_the_domain_are_told_from_a_wrong_gradient():
    report = calculus.check_gradient(lambda x: jnp.sum(jnp.abs(x)), jnp.array([1.0, 0.0]))
    assert report.worst.kink
    assert "the function has a kink" in str(report)
    report = calculus.check_gradient(lambda x: jnp.sum(jnp.sqrt(x)), jnp.array([1e-6]))
    assert not report
    assert "A step away from the point the function is not finite" in str(report)


def test_a_function_that_casts_to_float32_is_measured_with_the_steps_of_float32():
    report = calculus.check_gradient(lambda x: jnp.sum(x.astype(jnp.float32) ** 2), jnp.array([1.0, -3.0]))
    assert report
    assert report.precision == "float32"
    assert report.tol == 1e-2


@pytest.mark.parametrize("call", [calculus.finite_difference, calculus.check_gradient])
def test_what_has_no_gradient_is_refused_in_sentences(call):
    where = call.__name__
    with pytest.raises(ShapeError, match=rf"{where}: fun returns shape \(2,\), but a scalar is needed"):
        call(lambda x: x**2, jnp.ones(2))
    with pytest.raises(StructureError, match=rf"{where}: fun is 3, which is not a function"):
        call(3, jnp.ones(2))
    with pytest.raises(DataError, match=rf"{where}: the function gives nan at this point"):
        call(lambda x: jnp.sum(jnp.log(x)), -jnp.ones(2))
    with pytest.raises(DataError, match=rf"{where}: parameter w is not finite: 1 of 2 entries, first at \(1,\)"):
        call(lambda p: jnp.sum(p["w"]), {"w": jnp.array([1.0, jnp.nan])})
    with pytest.raises(StructureError, match=rf"{where}: parameter w has dtype int32, which has no gradient"):
        call(lambda p: jnp.sum(p["w"]), {"w": jnp.array([1, 2])})
    with pytest.raises(StructureError, match=rf"{where}: the parameters hold no number"):
        call(lambda p: jnp.sum(p["w"]), {"w": jnp.zeros((0, 3))})
    with pytest.raises(StructureError, match=rf"{where}: the parameters are traced"):
        jax.jit(lambda x: call(jnp.sum, x))(jnp.ones(2))


def test_numbers_out_of_range_are_refused():
    with pytest.raises(HyperparameterError, match="step is 0"):
        calculus.finite_difference(jnp.sum, jnp.ones(2), step=0)
    with pytest.raises(HyperparameterError, match="tol is -1"):
        calculus.check_gradient(jnp.sum, jnp.ones(2), tol=-1)
    with pytest.raises(HyperparameterError, match="entries is 0"):
        calculus.check_gradient(jnp.sum, jnp.ones(2), entries=0)
