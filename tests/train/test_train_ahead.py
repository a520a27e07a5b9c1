"""Programs that are compiled while Python goes on: once each, and by the thread that is there for it."""

import threading
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnnet
from fnnet import losses, nn, optim
from fnnet.train.ahead import Program
from tests.conftest import COMPILED


@pytest.fixture
def compiled():
    """How often each program was compiled in each thread."""
    found = Counter()

    def listen(name, seconds, fun_name=None, **kwargs):
        if name == COMPILED:
            found[fun_name, threading.current_thread() is threading.main_thread()] += 1

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield found
    jax.monitoring.unregister_event_duration_listener(listen)


def doubled_sum(numbers):
    return 2 * numbers.sum()


def test_a_program_is_compiled_from_shapes_alone_and_not_again(compiled):
    program = Program(jax.jit(doubled_sum))
    program.ahead(jax.ShapeDtypeStruct((3,), np.float32))
    assert float(program(np.arange(3, dtype=np.float32))) == 6
    assert compiled == {("jit(doubled_sum)", False): 1}
    program(np.ones(3, np.float32))
    program(np.ones(4, np.float32))
    assert compiled == {("jit(doubled_sum)", False): 1, ("jit(doubled_sum)", True): 1}


def test_settings_of_the_calling_thread_hold():
    program = Program(jax.jit(lambda x: x + jnp.zeros((), jnp.result_type(float))))
    with jax.enable_x64(True):
        program.ahead(jax.ShapeDtypeStruct((), np.float64))
        assert program(np.float64(1)).dtype == np.float64


def test_what_goes_wrong_in_tracing_is_raised_at_once_and_in_compiling_by_the_call():
    with pytest.raises(TypeError):
        Program(jax.jit(doubled_sum)).ahead("words")
    program = Program(jax.jit(doubled_sum, compiler_options={"no_such_option": True}))
    program.ahead(jax.ShapeDtypeStruct((3,), np.float32))
    with pytest.raises(jax.errors.JaxRuntimeError, match="no_such_option"):
        program(np.ones(3, np.float32))


def learner(learning_rate):
    return fnnet.Learner(nn.mlp([7, 3]), losses.softmax_cross_entropy, optim.sgd(learning_rate))


@pytest.mark.parametrize("validated", [False, True])
def test_the_program_that_trains_is_compiled_beside_the_one_that_begins(flowers, validated, compiled):
    train, validation = flowers
    fnnet.fit(
        learner(0.1), train, validation=validation if validated else None, epochs=1, batch_size=7 - validated,
        key=jax.random.key(0), progress=False,
    )  # fmt: skip
    assert compiled["jit(advance)", False] == 1
    assert compiled["jit(advance)", True] == 0


@pytest.mark.parametrize("more", [{}, {"seeds": 2, "folds": 3}, {"lanes": "vmap"}])
def test_so_it_is_in_a_sweep(flowers, more, compiled):
    rates = [{"learning_rate": rate} for rate in np.geomspace(0.01, 0.1, 5).tolist()]
    fnnet.sweep(
        learner, rates, flowers[0], epochs=2, batch_size=5 + len(more), key=jax.random.key(0), progress=False, **more
    )
    beside = {name: count for (name, main), count in compiled.items() if not main}
    assert beside == {"jit(advance_of_lanes)": 1}
    assert sum(count for (name, main), count in compiled.items() if main and name in beside) == 0
