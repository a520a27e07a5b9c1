"""Rows on disk: memory maps, folders of .npy files, Parquet."""

import numpy as np
import pandas as pd
import pytest

from fnnet import data
from fnnet.errors import DataError, FileError, ShapeError

X = np.arange(24, dtype=np.float32).reshape(12, 2)
Y = np.arange(12) % 3


def test_rows_come_in_the_order_asked_for_whatever_part_they_lie_in(tmp_path):
    for part, rows in enumerate((slice(0, 5), slice(5, 6), slice(6, 12))):
        np.save(tmp_path / f"inputs-{part}.npy", X[rows])
        np.save(tmp_path / f"targets-{part}.npy", Y[rows])
    stream = data.from_directory(tmp_path)
    rows = [11, 0, 5, 4, 5]
    found = stream.read(rows)
    np.testing.assert_array_equal(found.inputs, X[rows])
    np.testing.assert_array_equal(found.targets, Y[rows])
    assert (len(stream), stream.about.name) == (12, tmp_path.name)


def test_dtypes_become_what_they_become_in_memory(tmp_path):
    np.save(tmp_path / "x.npy", X.astype(np.uint8))
    stream = data.from_memmap(tmp_path / "x.npy", Y, weights=np.ones(12, np.float32), classes=["a", "b", "c"])
    found, memory = stream.read(np.arange(12)), data.from_arrays(X.astype(np.uint8), Y)
    assert (found.inputs.dtype, found.targets.dtype) == (memory.inputs.dtype, memory.targets.dtype)
    assert found.about.classes == ("a", "b", "c")
    np.testing.assert_array_equal(found.weights, 1)


@pytest.mark.parametrize("kind", ["int64", "float64"])
def test_a_parquet_file_is_read_group_by_group(tmp_path, kind):
    table = pd.DataFrame({"a": X[:, 0], "y": Y.astype(kind), "b": X[:, 1].astype(int)})
    table.to_parquet(tmp_path / "t.parquet", row_group_size=5)
    stream = data.from_parquet(tmp_path / "t.parquet", "y", scratch=tmp_path / "copy")
    found = stream.read([7, 2])
    np.testing.assert_array_equal(found.inputs, X[[7, 2]])
    expected = Y[[7, 2]] if kind == "int64" else Y[[7, 2], None]
    np.testing.assert_array_equal(found.targets, expected)
    assert found.targets.dtype == (np.int32 if kind == "int64" else np.float32)
    assert stream.about.features == ("a", "b")


def test_mistakes_are_met_with_sentences(tmp_path):
    np.save(tmp_path / "inputs.npy", X)
    with pytest.raises(FileError, match=r"has no targets\*\.npy"):
        data.from_directory(tmp_path)
    with pytest.raises(FileError, match="there is no folder"):
        data.from_directory(tmp_path / "nowhere")
    with pytest.raises(DataError, match="there are 12 inputs, 11 targets"):
        data.from_memmap(X, Y[1:])
    with pytest.raises(ShapeError, match=r"parts of the inputs are float32\(2,\) and float32\(1,\)"):
        data.from_memmap([X, X[:, :1]], Y)
    (tmp_path / "bad.npy").write_text("nothing")
    with pytest.raises(FileError, match=r"is not an \.npy file"):
        data.from_memmap(tmp_path / "bad.npy", Y)
    with pytest.raises(FileError, match="is not a Parquet file"):
        data.from_parquet(tmp_path / "bad.npy", "y")
    pd.DataFrame({"a": ["x"], "y": [1]}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"column 'a' is .*string, not numbers"):
        data.from_parquet(tmp_path / "t.parquet", "y")
    with pytest.raises(DataError, match="no column 'z'; it has a, y"):
        data.from_parquet(tmp_path / "t.parquet", "z")
