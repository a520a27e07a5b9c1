"""What the programs of training consist of, counted: facts that cost time wherever they change, and no seconds."""

import re

import jax
import numpy as np
import pytest

import fnnet
from fnnet import data, hp, losses, metrics, nn, optim

ROWS, FEATURES, HIDDEN, CLASSES, BATCH = 60, 7, 9, 3, 12
HOST = r"infeed|outfeed|\bsend\b|\brecv\b|callback|host"


def learner(learning_rate=1e-2, hidden=HIDDEN):
    return fnnet.Learner(
        nn.mlp([hidden, CLASSES]),
        losses.softmax_cross_entropy,
        optim.adam(learning_rate),
        {"accuracy": metrics.accuracy},
    )


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    return data.from_arrays(
        rng.normal(size=(ROWS, FEATURES)).astype(np.float32), np.arange(ROWS, dtype=np.int32) % CLASSES
    )


@pytest.fixture(scope="module")
def advance(rows):
    """The compiled program of `fnnet.fit`'s loop, and the shapes of its state."""
    training = fnnet.training(learner(), batch_size=BATCH)
    state = jax.eval_shape(training.init, jax.random.key(0), rows.inputs[:1])
    number = jax.ShapeDtypeStruct((), np.int32)
    jitted = jax.jit(
        lambda state, rows, start, steps: training.advance(state, rows, None, start, steps), donate_argnums=0
    )
    return jitted.lower(state, rows, number, number).compile(), state


def test_a_step_has_five_products_of_matrices_and_nothing_that_sorts_or_scatters(advance):
    """Two forwards and three backwards: there is no gradient with respect to the inputs."""
    text = advance[0].as_text()
    shapes = sorted(re.findall(r"= f32\[([\d,]+)\]\S* dot\(", text))
    pairs = [(BATCH, HIDDEN), (BATCH, CLASSES), (BATCH, HIDDEN), (FEATURES, HIDDEN), (HIDDEN, CLASSES)]
    assert shapes == sorted(f"{a},{b}" for a, b in pairs)
    # The order of a batch is arithmetic; the loss of a class id is a choice, and a row of the history a slice.
    assert not re.search(r"\b(sort|scatter)\(", text)


def loops_inside_of_loops(text):
    """The bodies of the loops of a compiled program, the innermost first: each a list of its operations."""
    bodies = {}
    for name, block in re.findall(r"\n%?(\S+) \([^\n]*\{\n(.*?)\n\}", text, re.DOTALL):
        bodies[name] = re.findall(r"= (?:\([^=]*?\)|\S+) ([\w-]+)\(", block)
    wanted = re.findall(r"body=%?([\w.-]+)", text)
    return sorted((bodies[name] for name in wanted), key=lambda ops: "while" in ops)


def test_a_step_is_few_loops_over_arrays_and_what_is_around_it_not_many(advance):
    """What is compiled costs seconds, what is in the innermost loop microseconds: numbers of XLA for a CPU."""
    innermost, around = loops_inside_of_loops(advance[0].as_text())
    kernels = {"fusion", "dot", "copy", "reduce", "reduce-window", "gather", "dynamic-slice", "dynamic-update-slice"}
    # 44 and 44 when this was written. A kernel costs about 0.2 µs a step, and 4 ms to compile.
    assert sum(op in kernels for op in innermost) <= 46
    assert sum(op in kernels for op in around) <= 46


def test_a_fit_traces_its_model_a_few_times_and_one_like_it_only_to_check_shapes(rows):
    traced = []

    def counted(x):
        traced.append(x.shape)
        return x

    def fitted(rate):
        model = nn.chain(nn.dense(CLASSES), counted)
        return fnnet.fit(
            fnnet.Learner(model, losses.softmax_cross_entropy, optim.adam(rate)), rows, epochs=2, batch_size=BATCH,
            key=jax.random.key(0), progress=False,
        )  # fmt: skip

    fitted(1e-2)
    first = len(traced)
    fitted(2e-2)
    assert first <= 4
    assert len(traced) - first <= 2


def test_nothing_leaves_the_device_inside_of_the_loop(advance):
    assert not re.search(HOST, re.sub(r"metadata=\{[^}]*\}", "", advance[0].as_text()))


def test_the_state_is_given_away_and_steps_need_one_more_of_it_and_what_a_batch_computes(advance):
    program, state = advance
    sizes = program.memory_analysis()
    held = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state._replace(key=())))
    assert sizes.alias_size_in_bytes >= held
    batch = 4 * BATCH * (FEATURES + 4 * HIDDEN + 6 * CLASSES)
    # The state before a part of the steps is kept until their outcome is known.
    aligned = 64 * 64  # a number alone takes 64 bytes
    assert sizes.temp_size_in_bytes < 2 * held + batch + aligned


@pytest.mark.exhaustive  # compiles a program that no other test does
def test_a_sweep_compiles_a_few_programs_and_one_like_it_none(rows, compilations):
    def swept(*rates):
        return fnnet.sweep(
            learner, {"learning_rate": hp.grid(*rates)}, rows, epochs=2, batch_size=BATCH, key=jax.random.key(0),
            progress=False,
        )  # fmt: skip

    swept(1e-3, 1e-2, 1e-1)
    # Keys, initialisation, training, and what is done once for each of them on the way.
    assert len(compilations) <= 8
    compilations.clear()
    swept(2e-3, 2e-2, 2e-1)
    assert not compilations
