"""Embeddings: rows of a table, whatever integers name them, and ids that it does not have."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnnet
from fnnet import losses, nn, optim
from fnnet.errors import DataError, StructureError

KEY = jax.random.key(0)
IDS = np.array([[3, 0, 299], [3, 3, 7]])
LAYER = nn.embedding(300, 4)


def table():
    return LAYER.init(KEY, jnp.zeros((1, 1), jnp.int32))[0]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint32", "int32", "int64", "uint64"])
def test_an_id_of_any_integer_dtype_is_a_row_and_the_product_with_a_one_hot_row(dtype):
    with jax.enable_x64(dtype.endswith("64")):
        ids = jnp.asarray(IDS % 100, dtype)
        params = {"embedding": jnp.arange(1200, dtype=jnp.float32).reshape(300, 4)}
        for apply in (LAYER.apply, jax.jit(lambda p, s, x: LAYER.apply(p, s, x))):
            rows, state = apply(params, (), ids)
            np.testing.assert_array_equal(rows, np.asarray(params["embedding"])[IDS % 100])
            assert (rows.dtype, state) == (jnp.float32, ())
        one_hot = np.eye(300, dtype=np.float32)[IDS % 100]
        np.testing.assert_array_equal(one_hot @ np.asarray(params["embedding"]), rows)


def test_the_derivative_sums_over_the_places_of_an_id():
    slope = jax.grad(lambda p: LAYER.apply(p, (), jnp.asarray(IDS))[0].sum())(table())["embedding"]
    counts = np.bincount(IDS.ravel(), minlength=300)
    np.testing.assert_array_equal(slope, np.repeat(counts[:, None], 4, axis=1))


def test_vectors_start_standard_normal_unless_told_otherwise():
    drawn = nn.embedding(500, 100).init(KEY, jnp.zeros((1,), jnp.int8))[0]["embedding"]
    assert (float(drawn.mean()), float(drawn.std())) == pytest.approx((0, 1), abs=0.02)
    small = nn.embedding(5, 2, embedding_init=nn.initializers.constant(0.1)).init(KEY, jnp.zeros((1,), jnp.int8))
    assert (small[0]["embedding"] == jnp.float32(0.1)).all()


def test_an_id_that_is_not_there_is_nan_where_it_is_traced_and_leaves_the_others_alone():
    evaluate = jax.jit(lambda p, x: LAYER.apply(p, (), x)[0])
    rows = np.asarray(evaluate(table(), jnp.array([5, -1, 300, 2**31 - 1, -(2**31), 299])))
    assert np.isnan(rows[1:5]).all()
    np.testing.assert_array_equal(rows[[0, 5]], np.asarray(table()["embedding"])[[5, 299]])
    narrow = jax.jit(lambda p, x: nn.embedding(3, 4).apply(p, (), x)[0])
    assert np.isnan(narrow({"embedding": jnp.ones((3, 4))}, jnp.array([-128, 127, 3], jnp.int8))).all()


def test_training_on_an_id_that_is_not_there_diverges_rather_than_go_on():
    inputs, targets = np.array([[1], [2], [5], [0]]), np.zeros((4, 1), np.float32)
    model = nn.chain(nn.embedding(3, 2), nn.flatten, nn.dense(1))
    learner = fnnet.Learner(model, losses.squared_error, optim.sgd(0.1))
    with pytest.warns(fnnet.errors.DivergenceWarning):
        run = fnnet.fit(learner, (inputs, targets), epochs=1, key=KEY, progress=False)
    assert run.status == "diverged"


MISTAKES = {
    "an id too large": (
        lambda: LAYER.apply(table(), (), jnp.array([[1, 2], [3, 300], [-1, 5]])),
        DataError,
        r"^embedding: the input holds id 300 but the vocabulary has 300 entries \(ids 0 to 299\): 2 ids, first at "
        r"\[1, 1\]\. Count from 0, or enlarge the vocabulary\.$",
    ),
    "a negative id in a model": (
        lambda: nn.chain(words=LAYER).apply({"words": table()}, {"words": ()}, np.array([0, -1])),
        DataError,
        r"^embedding: layer words: the input holds id -1 .*: 1 id, first at \[1\]",
    ),
    "features": (
        lambda: LAYER.init(KEY, jnp.ones((2, 3))),
        StructureError,
        r"^embedding: the input has dtype float32, but ids are integers\. Pass x\.astype\(jnp\.int32\)",
    ),
    "truth values": (lambda: LAYER.apply(table(), (), jnp.array([True])), StructureError, "dtype bool"),
}


@pytest.mark.parametrize(("call", "error", "sentence"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_raises_a_sentence(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()
