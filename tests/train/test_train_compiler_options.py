"""What XLA is told about single programs: what it knows, and nothing on other machines than CPUs."""

import jax
import pytest

from fnnet.train import options


@pytest.fixture
def newer(monkeypatch):
    """A JAX that has to be asked."""
    monkeypatch.setattr(options, "TRIED", (0, 0))


@pytest.mark.parametrize("told", [options.once, options.loops])
def test_options_are_for_cpus_and_a_jax_that_is_asked_knows_all_of_them(told, newer):
    assert told("gpu") is None
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(options, "TRIED", (*jax.__version_info__, 1))
        untold = told("cpu")
    assert told("cpu") == untold != {}


def test_an_option_that_is_gone_is_left_out(newer):
    assert options._known("cpu", xla_cpu_no_such_option=True, xla_backend_optimization_level=1) == {
        "xla_backend_optimization_level": 1
    }
