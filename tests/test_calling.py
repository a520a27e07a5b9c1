"""What a function of a user is offered, and what it takes of it."""

import functools

import jax

from fnnet.calling import accepted, bound, innermost


def test_a_function_is_given_what_it_names_and_all_if_it_takes_anything():
    offered = {"key": 1, "weights": 2}
    assert accepted(lambda x, *, weights=None: x, offered) == {"weights": 2}
    assert accepted(lambda x: x, offered) == {}
    assert accepted(lambda x, **anything: x, offered) == offered


def test_wrapped_and_bound_functions_are_asked_for_what_is_inside():
    def function(x, *, key=None, scale=1.0):
        return x

    assert accepted(jax.jit(function), {"key": 1, "mask": 2}) == {"key": 1}
    bound = functools.partial(functools.partial(function, scale=2.0), key=0)
    assert accepted(bound, {"mask": 2}) == {}
    assert innermost(bound) is function
    assert innermost(function) is function


def test_the_outermost_partial_says_which_number_is_bound():
    def function(x, *, scale=1.0, shift=0.0):
        return x

    chained = functools.partial(functools.partial(function, scale=2.0, shift=1.0), scale=3.0)
    assert bound(chained) == {"scale": 3.0, "shift": 1.0}
    assert bound(function) == {}
    assert bound(chained) == chained.keywords
