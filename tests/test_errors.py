"""Errors as sentences: what they are, where they say they come from, and the checks that raise them."""

import copy
import inspect
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnnet import errors

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.FnnetError)]


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_says_where_and_is_also_one_that_python_knows(kind):
    error = kind("fit", "something is wrong.", ("1", "0"))
    assert str(error) == "fit: layer 1/0: something is wrong."
    assert str(kind("fit", "something is wrong.")) == "fit: something is wrong."
    assert kind is errors.FnnetError or issubclass(kind, ValueError | TypeError | ImportError)


@pytest.mark.parametrize("kind", CLASSES)
def test_errors_survive_a_trip_to_another_process(kind):
    for again in (pickle.loads(pickle.dumps(kind("fit", "no.", ("2",)))), copy.copy(kind("fit", "no.", ("2",)))):
        assert type(again) is kind
        assert (again.where, again.sentence, again.layer) == ("fit", "no.", ("2",))


def test_within_renames_the_place_and_inside_adds_the_layer():
    inward = pytest.raises(errors.ShapeError, match=r"^fit: layer 0/encoder: bad$")
    with inward, errors.within("fit"), errors.inside(0), errors.inside("encoder"):
        raise errors.ShapeError("dense", "bad")
    with pytest.raises(KeyError), errors.within("fit"), errors.inside(0):
        raise KeyError("not ours")


IN_RANGE = [0, 1, 0.5, np.float32(1), np.int64(1), np.array(0.5), jnp.array(0.5)]


@pytest.mark.parametrize("value", IN_RANGE, ids=lambda value: type(value).__name__)
def test_a_number_in_its_closed_range_passes(value):
    errors.check_number("f", "x", value, low=0, high=1)


def test_a_function_passes_only_where_a_schedule_may_stand():
    errors.check_number("f", "x", lambda t: t, low=0, high=1, schedule=True)
    with pytest.raises(errors.StructureError, match="which is not a number"):
        errors.check_number("f", "x", lambda t: t, low=0, high=1)


BAD_NUMBERS = [
    (-1, errors.HyperparameterError, "x is -1, but it has to be at least 0 and less than 1"),
    (1.0, errors.HyperparameterError, "x is 1, but"),
    (float("nan"), errors.HyperparameterError, "x is nan, but"),
    (True, errors.StructureError, "x is True, which is not a number"),
    ("0.1", errors.StructureError, "x is '0.1', which is not a number"),
    (None, errors.StructureError, "x is None, which is not a number"),
    (0.5j, errors.StructureError, "which is not a number"),
    (np.array([0.1]), errors.ShapeError, r"x has shape \(1,\), but one number is needed"),
]


@pytest.mark.parametrize(("value", "kind", "sentence"), BAD_NUMBERS)
def test_a_bad_number_raises(value, kind, sentence):
    with pytest.raises(kind, match=sentence):
        errors.check_number("f", "x", value, low=0, high=1, high_open=True)


def test_a_range_without_ends_takes_every_number_but_nan():
    errors.check_number("f", "x", -1e30)
    with pytest.raises(errors.HyperparameterError, match="has to be a number"):
        errors.check_number("f", "x", float("nan"))


def test_tracers_pass_as_numbers_and_fail_as_sizes():
    jax.jit(lambda x: errors.check_number("f", "x", x, low=0, high=1))(7.0)
    with pytest.raises(errors.HyperparameterError, match=r"f: n fixes a shape.*hp\.static"):
        jax.jit(lambda n: errors.check_size("f", "n", n))(3)


@pytest.mark.parametrize("value", [0, -1, 2.0, "3", None, True, np.float32(3), (3,)], ids=str)
def test_a_size_is_a_positive_integer(value):
    errors.check_size("f", "n", 3)
    errors.check_size("f", "n", np.int64(3))
    with pytest.raises(errors.HyperparameterError, match=r"^f: n is .*, but it has to be a positive integer"):
        errors.check_size("f", "n", value)


def test_a_key_is_one_typed_key():
    errors.check_key("f", jax.random.key(0))
    for value in (0, jnp.zeros(2, jnp.uint32), jax.random.PRNGKey(0), None):
        with pytest.raises(errors.StructureError, match=r"which is not a random key\. Make one with jax\.random\.key"):
            errors.check_key("f", value)
    with pytest.raises(errors.ShapeError, match=r"key has shape \(2,\), but one key is needed"):
        errors.check_key("f", jax.random.split(jax.random.key(0)))


def test_a_missing_package_says_which_extra_brings_it():
    assert errors.require("plot", "math", "experiments").pi > 3
    with pytest.raises(errors.MissingPackageError, match=r"needs the package no_such_package.*'fnnet\[experiments\]'"):
        errors.require("plot", "no_such_package", "experiments")
