"""from_arrays and from_npz look at every value once and bring it to one of few forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnnet import data, errors

X = np.arange(8, dtype=np.float32).reshape(4, 2)
Y = np.array([0, 1, 1, 0])
FLOAT = jax.dtypes.canonicalize_dtype(np.float64)  # float32 unless x64 is on


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (np.float32, np.float32),
        (np.float16, np.float16),
        (jnp.bfloat16, jnp.bfloat16),
        (np.float64, FLOAT),
        (np.int64, np.int32),
        (np.int8, np.int32),
        (np.uint8, np.float32),
        (bool, np.float32),
    ],
)
def test_inputs_come_in_few_dtypes(given, kept):
    loaded = data.from_arrays(X.astype(given), Y).inputs
    assert isinstance(loaded, np.ndarray)
    assert loaded.dtype == kept
    np.testing.assert_array_equal(loaded.astype(np.float32), X.astype(given).astype(np.float32))


def test_numbers_too_large_for_float32_are_refused():
    with jax.enable_x64(False), pytest.raises(errors.DataError, match="too large for float32 in 2 of 8"):
        data.from_arrays(bad(3, 1e300), Y)


def test_float64_stays_where_jax_has_it():
    with jax.enable_x64(True):
        assert data.from_arrays(X.astype(np.float64), Y).inputs.dtype == np.float64


def test_jax_arrays_and_lists_become_numpy():
    for inputs in (jnp.asarray(X), X.tolist()):
        loaded = data.from_arrays(inputs, Y.tolist())
        assert isinstance(loaded.inputs, np.ndarray)
        np.testing.assert_array_equal(loaded.inputs, X)


@pytest.mark.parametrize(
    ("targets", "shape", "dtype"),
    [
        (Y, (4,), np.int32),
        (Y.astype(np.uint8), (4,), np.int32),
        (Y.astype(bool), (4,), np.int32),
        (Y.astype(float), (4,), FLOAT),
        (Y.astype(float)[:, None], (4, 1), FLOAT),
        (np.zeros((4, 3)), (4, 3), FLOAT),
        (np.zeros((4, 3), bool), (4, 3), np.float32),
        (np.zeros((4, 3), int), (4, 3), np.int32),
    ],
)
def test_targets_are_class_ids_or_numbers_of_their_own_shape(targets, shape, dtype):
    loaded = data.from_arrays(X, targets).targets
    assert (loaded.shape, loaded.dtype) == (shape, dtype)


def test_texts_become_class_ids():
    texts = np.array(["yes", "no", "no", "yes"])
    for given in (texts, texts.tolist(), texts.astype(object)):
        loaded = data.from_arrays(X, given)
        assert loaded.targets.tolist() == [1, 0, 0, 1]
        assert loaded.about.classes == ("no", "yes")
    assert data.from_arrays(X, texts, classes=["yes", "no"]).targets.tolist() == [0, 1, 1, 0]


def test_weights_are_floats_a_row():
    assert data.from_arrays(X, Y, weights=[0, 1, 2, 3]).weights.dtype == np.float32


def bad(row, value, like=X):
    array = like.astype(np.float64)
    array[row:] = value
    return array


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ((X[:0], Y[:0]), errors.DataError, "no rows"),
        ((X, Y[:3]), errors.DataError, "inputs have 4 rows and targets 3"),
        ((X.T, Y), errors.DataError, r"pass inputs\.T"),
        ((bad(3, np.nan), Y), errors.DataError, r"2 of 8 values \(1 row, first row 3\)"),
        ((X, bad(2, np.inf, Y)), errors.DataError, "first row 2"),
        ((X.astype(complex), Y), errors.StructureError, "complex"),
        ((1.0, Y), errors.StructureError, "rows of numbers"),
        (([[1.0], [1.0, 2.0]], [0, 1]), errors.StructureError, "same length"),
        ((np.array([{}, {}, {}, {}]), Y), errors.StructureError, "rows of numbers"),
        ((np.full((4, 2), "a"), Y), errors.StructureError, "data.from_table"),
        ((np.full((4, 2), 2**40), Y), errors.DataError, "beyond int32"),
        ((X, np.full((4, 2), "a")), errors.ShapeError, "one a row"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(arguments, error, sentence):
    with pytest.raises(error, match=sentence) as caught:
        data.from_arrays(*arguments)
    assert str(caught.value).startswith("data.from_arrays: ")


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"weights": [1, 1]}, errors.ShapeError, r"\(4,\)"),
        ({"weights": [1, -1, 1, -2]}, errors.DataError, "2 rows, first row 1"),
        ({"weights": [0, 0, 0, 0]}, errors.DataError, "all weights are 0"),
        ({"weights": [0, np.nan, 0, 1]}, errors.DataError, "first row 1"),
        ({"weights": list("abcd")}, errors.StructureError, "texts"),
        ({"classes": ["a"]}, errors.DataError, "contain 1 but classes names 1"),
        ({"classes": "ab"}, errors.StructureError, "list of names"),
    ],
)
def test_weights_and_classes_are_looked_at(options, error, sentence):
    with pytest.raises(error, match=sentence):
        data.from_arrays(X, Y, **options)


def test_names_need_class_ids():
    with pytest.raises(errors.DataError, match="class ids are integers"):
        data.from_arrays(X, Y.astype(float), classes=["a", "b"])
    with pytest.raises(errors.DataError, match="'c', which is not among"):
        data.from_arrays(X, list("abca"), classes=["a", "b"])


def test_traced_arrays_cannot_be_looked_at():
    with pytest.raises(errors.StructureError, match=r"data\.Dataset"):
        jax.jit(lambda x: data.from_arrays(x, Y).inputs)(X)


@pytest.mark.parametrize("names", [("inputs", "targets"), ("X", "y")])
def test_an_npz_file_is_read_by_its_usual_names(tmp_path, names):
    path = tmp_path / "four.npz"
    np.savez(path, **{names[0]: X, names[1]: Y}, weights=np.ones(4), classes=np.array(["a", "b"]))
    loaded = data.from_npz(path)
    np.testing.assert_array_equal(loaded.inputs, X)
    assert loaded.targets.tolist() == Y.tolist()
    assert loaded.weights.tolist() == [1, 1, 1, 1]
    assert loaded.about == data.About("four", ("a", "b"))


def test_an_npz_file_is_read_by_names_that_are_given(tmp_path):
    np.savez(tmp_path / "a.npz", signals=X, labels=Y, unrelated=np.array([{}]))
    loaded = data.from_npz(str(tmp_path / "a.npz"), inputs="signals", targets="labels")
    np.testing.assert_array_equal(loaded.inputs, X)


def test_npz_files_that_cannot_be_read_say_why(tmp_path):
    np.savez(tmp_path / "odd.npz", inputs=X, labels=Y)
    with pytest.raises(errors.FileError, match=r"no array 'targets'; it has 'inputs', 'labels'"):
        data.from_npz(tmp_path / "odd.npz")
    with pytest.raises(errors.FileError, match=r"Did you mean 'odd\.npz'"):
        data.from_npz(tmp_path / "od.npz")
    np.savez(tmp_path / "objects.npz", inputs=np.array([{}], object), targets=Y)
    with pytest.raises(errors.FileError, match="pickle"):
        data.from_npz(tmp_path / "objects.npz")
    (tmp_path / "text.npz").write_text("not an archive")
    with pytest.raises(errors.FileError, match=r"not an \.npz file"):
        data.from_npz(tmp_path / "text.npz")
    (tmp_path / "empty.npz").write_bytes(b"")
    with pytest.raises(errors.FileError, match=r"not an \.npz file"):
        data.from_npz(tmp_path / "empty.npz")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "odd.npz").read_bytes()[:200])
    with pytest.raises(errors.FileError, match=r"not an \.npz file"):
        data.from_npz(tmp_path / "cut.npz")
    np.save(tmp_path / "one.npy", X)
    with pytest.raises(errors.FileError, match="one array"):
        data.from_npz(tmp_path / "one.npy")
    with pytest.raises(errors.FileError, match="folder"):
        data.from_npz(tmp_path)
    with pytest.raises(errors.FileError, match="folder does not exist"):
        data.from_npz(tmp_path / "none" / "a.npz")
