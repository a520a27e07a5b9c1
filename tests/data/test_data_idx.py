"""IDX files, which the tests write byte by byte, and Fashion-MNIST, which is four of them."""

import gzip
import struct

import numpy as np
import pytest

from fnnet import data, errors
from fnnet.data.idx import read_idx

TYPES = {8: "B", 9: "b", 11: "h", 12: "i", 13: "f", 14: "d"}


def idx(code, sizes, values):
    """An IDX file's bytes, as its description says: magic number, sizes, values, all big-endian."""
    header = bytes([0, 0, code, len(sizes)]) + struct.pack(f">{len(sizes)}I", *sizes)
    return header + struct.pack(f">{len(values)}{TYPES[code]}", *values)


def images(rows, first=0):
    return idx(8, (rows, 28, 28), [(first + index) % 256 for index in range(rows * 784)])


def labels(rows):
    return idx(8, (rows,), [index % 10 for index in range(rows)])


@pytest.fixture
def clothes(tmp_path, monkeypatch):
    """A folder with a tiny Fashion-MNIST, three rows to train and two to test, that FNNET_DATA names."""
    folder = tmp_path / "fashion-mnist"
    folder.mkdir()
    for part, rows in (("train", 3), ("t10k", 2)):
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images(rows, first=rows)))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(labels(rows))
    monkeypatch.setenv("FNNET_DATA", str(tmp_path))
    return folder


@pytest.mark.parametrize("code", TYPES)
def test_every_type_of_the_format_is_read_in_the_byte_order_of_the_machine(tmp_path, code):
    values = [0, 1, 100, 3, 7, 127]
    (tmp_path / "plain").write_bytes(idx(code, (2, 3), values))
    (tmp_path / "packed.gz").write_bytes(gzip.compress(idx(code, (2, 3), values)))
    for name in ("plain", "packed.gz"):
        array = read_idx("read", tmp_path / name)
        assert array.tolist() == [values[:3], values[3:]]
        assert array.dtype.isnative


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is not an IDX file"),
        (b"PK\3\4", "is not an IDX file"),
        (bytes([0, 0, 10, 1, 0, 0, 0, 0]), "is not an IDX file"),
        (bytes([0, 0, 8, 3, 0, 0]), "is not an IDX file"),
        (labels(7)[:-1], "states sizes (7,), which take 7 bytes, but holds 6"),
        (labels(7) + b"x", "but holds 8"),
        (bytes([0, 0, 8, 2]) + b"\xff" * 8, "but holds 0"),
        (gzip.compress(labels(7))[:-9], "cannot be read"),
        (gzip.compress(labels(99))[:20] + b"damage" + gzip.compress(labels(99))[26:], "cannot be read"),
    ],
    ids=["empty", "zip", "type", "sizes", "short", "long", "huge", "cut-gzip", "damaged-gzip"],
)
def test_a_damaged_file_is_a_sentence_with_its_name(tmp_path, content, sentence):
    (tmp_path / "labels.gz").write_bytes(content)
    with pytest.raises(errors.FileError, match=r"^read: .*labels\.gz") as raised:
        read_idx("read", tmp_path / "labels.gz")
    assert sentence in str(raised.value)


def test_fashion_mnist_is_images_in_the_unit_interval_with_the_training_part_first(clothes):
    loaded = data.load("fashion_mnist")
    expected = np.concatenate([(first + np.arange(rows * 784)) % 256 for first, rows in ((3, 3), (2, 2))])
    np.testing.assert_allclose(loaded.inputs, expected.reshape(5, 28, 28, 1) / 255, rtol=1e-7)
    assert (loaded.inputs.dtype, loaded.targets.dtype) == (np.float32, np.int32)
    assert loaded.targets.tolist() == [0, 1, 2, 0, 1]
    assert len(loaded.about.classes) == 10
    assert data.read("fashion_mnist").about == loaded.about


def test_files_stand_in_the_folder_itself_as_well(clothes, monkeypatch):
    monkeypatch.setenv("FNNET_DATA", str(clothes))
    assert len(data.load("fashion_mnist")) == 5


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("train-labels-idx1-ubyte", labels(4)),
        ("t10k-labels-idx1-ubyte", idx(8, (2,), [3, 10])),
        ("t10k-labels-idx1-ubyte", idx(13, (2,), [0.5, 1.0])),
        ("train-images-idx3-ubyte.gz", idx(8, (3, 2, 2), range(12))),
        ("train-images-idx3-ubyte.gz", idx(9, (3, 28, 28), [1] * 3 * 784)),
    ],
    ids=["more-labels", "class-10", "float-labels", "small-images", "signed-images"],
)
def test_files_that_do_not_belong_together_are_refused(clothes, name, content):
    (clothes / name).write_bytes(content)
    with pytest.raises(errors.FileError, match=r"^data\.load: the files (train|t10k)-"):
        data.load("fashion_mnist")


def test_without_the_files_the_sentence_says_how_to_get_them(clothes, monkeypatch):
    monkeypatch.setattr("fnnet.data.idx._FASHION", clothes / "nowhere")
    (clothes / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(errors.MissingPackageError, match=r"apt-get install dataset-fashion-mnist.*FNNET_DATA"):
        data.load("fashion_mnist")
