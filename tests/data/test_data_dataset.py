"""A Dataset is a pytree whose rows can be taken, by NumPy, by JAX and inside jit."""

import dataclasses
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnnet import data, errors
from fnnet.data import About, Dataset


@pytest.fixture(params=[np.asarray, jnp.asarray], ids=["numpy", "jax"])
def rows(request):
    make = request.param
    return Dataset(
        make(np.arange(12, dtype=np.float32).reshape(6, 2)),
        make(np.arange(6, dtype=np.int32)),
        make(np.linspace(0, 1, 6, dtype=np.float32)),
        About("six", ("a", "b", "c", "d", "e", "f")),
    )


def test_only_asked_for_libraries_are_imported():
    program = (
        "import sys, fnnet.data; heavy = {'pandas', 'scipy', 'sklearn', 'matplotlib'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    # A fresh interpreter, because this one has imported everything: about two seconds.
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "index",
    [
        slice(1, 4),
        slice(None, None, -2),
        [0, 5, 5],
        [],
        [True, False, True, False, False, True],
        np.array([2, -1]),
        np.array([False] * 5 + [True]),
        np.array([[0, 1], [2, 3]]),
        jnp.array([3, 0]),
        jnp.array([True] * 6),
    ],
    ids=str,
)
def test_rows_are_taken_of_every_field_at_once(rows, index):
    taken = rows[index]
    plain = index if isinstance(index, slice) else np.asarray(index, None if len(index) else int)
    for field in ("inputs", "targets", "weights"):
        np.testing.assert_array_equal(getattr(taken, field), np.asarray(getattr(rows, field))[plain])
    assert taken.about == rows.about


def test_rows_are_taken_inside_jit(rows):
    assert jax.jit(lambda d: d[1:3].inputs)(rows).tolist() == [[2, 3], [4, 5]]
    assert jax.jit(lambda d, i: d[i].targets)(rows, jnp.array([4, 0])).tolist() == [4, 0]
    assert jax.jit(lambda i: rows[i].targets)(jnp.array([4, 0])).tolist() == [4, 0]


def test_fields_without_weights_stay_without(rows):
    assert dataclasses.replace(rows, weights=None)[:2].weights is None


def test_length_and_shape_in_the_text(rows):
    assert len(rows) == 6
    assert repr(rows) == (
        "Dataset(six, 6 rows: inputs (6, 2) float32, targets (6,) int32, weights (6,) float32, "
        "6 classes (a, b, c, ...))"
    )


def test_it_is_a_pytree_with_static_names(rows):
    assert len(jax.tree.leaves(rows)) == 3
    hollow = jax.tree.map(lambda _: object(), rows)
    assert isinstance(hollow, Dataset)
    assert "object" in repr(hollow)
    doubled = jax.jit(lambda d: jax.tree.map(lambda x: x * 2, d))(rows)
    assert doubled.about.classes == rows.about.classes
    assert "ShapeDtypeStruct" not in repr(jax.eval_shape(lambda d: d, rows))


def test_it_scans_and_maps(rows):
    folds = jax.tree.map(lambda x: jnp.stack([x[:3], x[3:]]), rows)
    assert jax.vmap(lambda d: d.inputs.sum())(folds).tolist() == [15, 51]
    _, sums = jax.lax.scan(lambda c, d: (c, d.targets.sum()), 0, folds)
    assert sums.tolist() == [3, 12]


@pytest.mark.parametrize("index", [2, -1, np.int64(2)])
def test_an_integer_index_says_which_slice_to_use(rows, index):
    with pytest.raises(errors.StructureError, match=r"use d\[i:i\+1\]"):
        rows[index]


def test_unpacking_says_where_the_arrays_are(rows):
    with pytest.raises(errors.StructureError, match=r"d\.inputs and d\.targets"):
        _inputs, _targets, *_ = rows


@pytest.mark.parametrize(
    ("index", "error"),
    [
        ("inputs", errors.StructureError),
        ((slice(None), 0), errors.StructureError),
        (np.array([0.0, 1.0]), errors.StructureError),
        (np.array(3), errors.StructureError),
        (np.array([6]), errors.DataError),
        (np.array([-7]), errors.DataError),
        (np.array([True, False]), errors.DataError),
    ],
    ids=str,
)
def test_an_index_that_names_no_rows_is_refused(rows, index, error):
    with pytest.raises(error, match=r"^Dataset\[\.\.\.\]: "):
        rows[index]


def test_a_traced_mask_is_refused_with_the_way_out(rows):
    with pytest.raises(errors.StructureError, match="weight 0"):
        jax.jit(lambda mask: rows[mask].inputs)(jnp.ones(6, bool))


def test_the_public_names_are_there():
    assert sorted(data.__all__) == data.__all__
    assert all(hasattr(data, name) for name in data.__all__)
