"""The table of a model: parameters counted by hand, operations against XLA's own analysis."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnnet import nn
from fnnet.errors import ShapeError, StructureError
from fnnet.nn.operations import operations
from fnnet.trees import flatten_with_names

KEY = jax.random.key(0)


def spec(*shape, dtype="float32"):
    return jax.ShapeDtypeStruct(shape, dtype)


@pytest.mark.parametrize(
    ("widths", "count"),
    [([298, 10], 15208), ([100, 100, 10], 15210), ([75] * 3 + [10], 15235), ([63] * 4 + [10], 15319)],
)
def test_the_nets_of_figure_20_2_have_as_many_parameters_as_the_lecture_counts(widths, count):
    params, _ = jax.eval_shape(nn.mlp(widths).init, KEY, spec(1, 40))
    assert nn.count_parameters(params) == count
    assert nn.summary(nn.mlp(widths), spec(1, 40)).parameters == count


def test_the_operations_of_a_dense_layer_are_those_of_the_product_and_of_the_bias():
    found = nn.summary(nn.dense(100), spec(50, 64))
    assert found.flops == 2 * 50 * 64 * 100 + 50 * 100
    assert (found.parameters, found.bytes) == (6500, 26000)
    (row,) = found.rows
    assert row == ("", "dense(100)", (50, 100), 6500, 26000, found.flops)


PROGRAMS = {
    "a perceptron": (nn.mlp([20, 5]), (7, 9)),
    "a convolution": (nn.conv(4, 3, padding="VALID", bias=False), (2, 8, 8, 3)),
}


@pytest.mark.parametrize(("model", "shape"), PROGRAMS.values(), ids=PROGRAMS)
def test_operations_agree_with_those_that_xla_counts_where_nothing_loops(model, shape):
    params, state = jax.eval_shape(model.init, KEY, spec(*shape))
    call = lambda p, x: model.apply(p, state, x)[0]  # noqa: E731
    counted = jax.jit(call).lower(params, spec(*shape)).cost_analysis()["flops"]
    assert operations(call, params, spec(*shape)) == counted


def test_a_loop_counts_as_often_as_it_runs_and_a_choice_as_its_dearest_branch():
    once = operations(jnp.tanh, spec(5))
    assert once == 5

    def program(x):
        x, _ = jax.lax.scan(lambda c, _: (jnp.tanh(c), None), x, None, length=7)
        return jax.lax.cond(True, lambda x: jnp.tanh(jnp.sin(x)), jnp.tanh, x)

    assert operations(program, spec(5)) == 7 * once + 2 * once
    assert operations(lambda x: x.sum(), spec(5)) == 5
    assert operations(lambda x: x.reshape(1, 5).T, spec(5)) == 0
    assert operations(jax.checkpoint(jnp.tanh), spec(5)) == once


def test_rows_stand_under_the_paths_of_their_parameters_and_count_every_copy():
    model = nn.chain(
        nn.dense(8),
        nn.repeat(nn.residual(nn.chain(nn.dense(8), nn.relu)), 5),
        nn.remat(nn.freeze(nn.chain(out=nn.dense(2)))),
    )
    found = nn.summary(model, spec(4, 3))
    rows = {row.path: row for row in found.rows}
    assert list(rows) == ["0", "1", "1/body", "1/body/0", "1/body/1", "1/shortcut", "2", "2/out"]
    params, _ = jax.eval_shape(model.init, KEY, spec(4, 3))
    sizes = {name: leaf.size for name, leaf in flatten_with_names(params).items()}
    for path, row in rows.items():
        assert row.parameters == sum(size for name, size in sizes.items() if name.startswith(f"{path}/")), path
    assert found.parameters == sum(sizes.values()) == 4 * 8 + 5 * 9 * 8 + 9 * 2
    assert found.bytes == 4 * found.parameters
    assert rows["1/body/0"].flops == 5 * (2 * 4 * 8 * 8 + 4 * 8)
    assert rows["1/body/1"].flops == 5 * 4 * 8
    assert found.flops == sum(rows[path].flops for path in ("0", "1", "2"))
    assert (rows["2"].layer, rows["2/out"].output) == ("remat(freeze(chain(out=dense(2))))", (4, 2))


def test_the_table_has_a_line_a_row_and_the_totals():
    table = str(
        nn.summary(nn.chain(nn.embedding(11, 8), nn.gru(4), nn.last_step), spec(2, 3, dtype="int32"))
    ).splitlines()
    assert table[0].split() == ["path", "layer", "output", "parameters", "bytes", "FLOPs"]
    assert [line.split()[0] for line in table[2:5]] == ["0", "1", "2"]
    assert table[4].split()[1:4] == ["last_step", "(2,", "4)"]
    assert table[-1].split()[:3] == ["total", f"{11 * 8 + 3 * (8 + 4 + 1) * 4 + 4}", f"{4 * (11 * 8 + 160)}"]
    assert len({len(line) for line in table if line.startswith("-")}) == 1


def test_a_model_larger_than_any_machine_can_be_looked_at():
    found = nn.summary(nn.repeat(nn.dense(10**6), 100), spec(1, 10**6))
    assert found.parameters == 100 * (10**12 + 10**6)


def test_joined_outputs_and_pairs_of_inputs_have_rows_too():
    heads = nn.summary(nn.parallel(nn.dense(2), nn.dense(3), join=tuple), spec(4, 5))
    assert heads.parameters == 6 * 5
    cross = nn.summary(nn.multi_head_attention(2), (spec(2, 5, 4), spec(2, 6, 3)))
    assert [row.path for row in cross.rows] == ["query", "key", "value", "out"]
    assert cross.rows[1].output == (2, 6, 4)


MISTAKES = {
    "an input without a shape": (lambda: nn.summary(nn.dense(2), "x"), StructureError, "summary: x is 'x'"),
    "no layer": (lambda: nn.summary(3, spec(1, 2)), (StructureError, TypeError), "neither a layer nor|not an instance"),
    "an input that does not fit": (
        lambda: nn.summary(nn.chain(nn.relu, nn.squeeze), spec(4, 3)),
        ShapeError,
        "squeeze: layer 1: the input has shape",
    ),
    "a layer in place of parameters": (
        lambda: nn.count_parameters(nn.dense(2)),
        StructureError,
        r"count_parameters: .*nn.summary\(model, x\).parameters",
    ),
}


@pytest.mark.parametrize(("call", "error", "sentence"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_raises_a_sentence(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()


def test_looking_at_a_model_leaves_nothing_behind():
    with jax.checking_leaks():
        nn.summary(nn.repeat(nn.remat(nn.rnn(2)), 2), spec(2, 3, 2))
    params, state = nn.dense(2).init(KEY, np.ones((1, 2), np.float32))
    assert nn.chain(nn.dense(2)).apply((params,), (state,), jnp.ones((1, 2)))[0].shape == (1, 2)
