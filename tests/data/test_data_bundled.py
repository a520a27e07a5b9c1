"""The bundled data are those of their packages, in fnnet's forms; read finds them and files."""

import random
import sys

import numpy as np
import pytest
from sklearn import datasets

from fnnet import data, errors


@pytest.mark.parametrize("name", ["digits", "breast_cancer", "wine", "iris"])
def test_classification_data_are_scikit_learns(name):
    loaded, source = data.load(name), getattr(datasets, f"load_{name}")()
    scale = 16 if name == "digits" else 1
    np.testing.assert_array_equal(loaded.inputs, (source.data / scale).astype(np.float32))
    np.testing.assert_array_equal(loaded.targets, source.target)
    assert (loaded.inputs.dtype, loaded.targets.dtype) == (np.float32, np.int32)
    assert loaded.about.classes == tuple(map(str, source.target_names))
    assert loaded.about.features == tuple(map(str, source.feature_names))


def test_diabetes_has_a_column_of_numbers_to_predict():
    loaded, source = data.load("diabetes"), datasets.load_diabetes()
    np.testing.assert_array_equal(loaded.inputs, source.data.astype(np.float32))
    assert (loaded.targets.shape, loaded.targets.dtype) == ((442, 1), np.float32)
    np.testing.assert_array_equal(loaded.targets[:, 0], source.target.astype(np.float32))
    assert loaded.about.classes is None


def test_mnist1d_is_generated_and_leaves_the_global_generators_alone():
    np.random.seed(7)
    random.seed(7)
    expected = np.random.rand(), random.random()
    np.random.seed(7)
    random.seed(7)
    # Generating the 5000 signals takes most of a second.
    loaded = data.load("mnist1d")
    assert (np.random.rand(), random.random()) == expected
    assert (loaded.inputs.shape, loaded.targets.shape) == ((5000, 40), (5000,))
    assert np.bincount(loaded.targets).tolist() == [500] * 10
    # The signals have mean 0 and variance 1 over everything, as the package says; the labels pin the seed 42.
    assert loaded.targets[:8].tolist() == [2, 6, 4, 5, 6, 6, 6, 0]
    assert abs(loaded.inputs.mean()) < 1e-5
    assert abs(loaded.inputs.std() - 1) < 1e-5
    assert len(set(loaded.targets[4000:].tolist())) == 10


def test_every_name_has_a_line_of_description():
    named = {"digits", "breast_cancer", "wine", "iris", "diabetes", "mnist1d", "fashion_mnist"}
    assert set(data.available()) == named
    assert all(line and "\n" not in line for line in data.available().values())


def test_an_unknown_name_lists_the_names_and_the_closest():
    with pytest.raises(errors.DataError, match=r"^data\.load: .*iris.*Did you mean 'digits'\?"):
        data.load("digit")
    with pytest.raises(errors.StructureError, match="pass one of"):
        data.load(3)


def test_a_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(errors.MissingPackageError, match=r"fnnet\[experiments\]"):
        data.load("iris")


def test_read_finds_names_and_files(tmp_path):
    assert data.read("wine").about.name == "wine"
    (tmp_path / "t.csv").write_text("a,b\n1,x\n2,y\n3,x\n")
    assert data.read(tmp_path / "t.csv", target="b").about.classes == ("x", "y")
    assert data.read(str(tmp_path / "t.csv"), target="a", classes=False).targets.shape == (3, 1)
    np.savez(tmp_path / "t.npz", X=np.eye(2), labels=[0, 1])
    assert len(data.read(tmp_path / "t.npz", targets="labels")) == 2


@pytest.mark.parametrize(
    ("source", "options", "error", "sentence"),
    [
        ("digts", {}, errors.FileError, "Did you mean 'digits'"),
        ("table.xlsx", {}, errors.FileError, "ending in .csv, .parquet, .npz"),
        ("absent.csv", {}, errors.FileError, "there is no file"),
        ("iris", {"target": "x"}, errors.StructureError, "takes no options, not 'target'"),
        ("a.csv", {"inputs": "x"}, errors.StructureError, "takes the options target, classes, missing"),
        (np.eye(2), {}, errors.StructureError, "data.from_arrays"),
    ],
    ids=str,
)
def test_read_says_what_it_cannot_find(source, options, error, sentence):
    with pytest.raises(error, match=sentence) as caught:
        data.read(source, **options)
    assert str(caught.value).startswith("data.read: ")


def test_read_asks_for_the_target_of_a_table(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,x\n2,y\n3,x\n")
    with pytest.raises(errors.StructureError, match=r"data\.read: which column .* 'a', 'b'"):
        data.read(tmp_path / "t.csv")
