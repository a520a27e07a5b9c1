"""Tables become numbers; nothing is dropped or guessed in silence."""

import datetime
import decimal

import numpy as np
import pandas as pd
import pytest

from fnnet import data, errors
from fnnet.errors import FnnetWarning

PEOPLE = pd.DataFrame(
    {
        "age": [31, 25, 47, 52, 38, 29],
        "height": [1.7, 1.6, 1.8, 1.75, 1.65, 1.9],
        "town": ["Rome", "Paris", "Rome", "Oslo", "Paris", "Rome"],
        "member": [True, False, True, True, False, False],
        "kind": ["b", "a", "b", "a", "a", "b"],
    }
)


def with_column(values, dtype=None, name="extra"):
    return PEOPLE.assign(**{name: pd.Series(values, dtype=dtype)})


def test_features_are_numbers_and_one_column_a_value():
    loaded = data.from_table(PEOPLE, "kind")
    reference = pd.get_dummies(PEOPLE.drop(columns="kind"), columns=["town", "member"], prefix_sep="=")
    assert loaded.about.features == tuple(reference.columns)
    np.testing.assert_array_equal(loaded.inputs, reference.to_numpy(np.float32))
    assert loaded.inputs.dtype == np.float32
    assert (loaded.targets.tolist(), loaded.targets.dtype) == ([1, 0, 1, 0, 0, 1], np.int32)
    assert (loaded.about.classes, loaded.about.target) == (("a", "b"), "kind")


@pytest.mark.parametrize("dtype", ["str", "object", "category", "string[python]", "string[pyarrow]"])
def test_texts_of_every_dtype_are_alike(dtype):
    table = PEOPLE.astype({"town": dtype, "kind": dtype})
    loaded, expected = data.from_table(table, "kind"), data.from_table(PEOPLE, "kind")
    np.testing.assert_array_equal(loaded.inputs, expected.inputs)
    np.testing.assert_array_equal(loaded.targets, expected.targets)
    assert loaded.about == expected.about


@pytest.mark.parametrize("dtype", ["int8", "uint64", "Int64", "Float32", "float64", "object", "int64[pyarrow]"])
def test_numbers_of_every_dtype_are_alike(dtype):
    loaded = data.from_table(PEOPLE.astype({"age": dtype}), "kind")
    assert loaded.inputs[:, 0].tolist() == PEOPLE.age.tolist()


@pytest.mark.parametrize("dtype", ["object", "boolean", "bool[pyarrow]"])
def test_booleans_of_every_dtype_are_alike(dtype):
    assert data.from_table(PEOPLE.astype({"member": dtype}), "kind").about.features[-2:] == (
        "member=False",
        "member=True",
    )


def test_categories_keep_their_order_and_the_values_that_do_not_occur():
    sizes = pd.Categorical(["M", "S", "S", "L", "M", "S"], categories=["S", "M", "L", "XL"], ordered=True)
    with pytest.warns(FnnetWarning, match="'size=XL'"):
        loaded = data.from_table(with_column(sizes, name="size"), "kind")
    assert loaded.about.features[-4:] == ("size=S", "size=M", "size=L", "size=XL")
    target = data.from_table(with_column(sizes, name="size"), "size")
    assert target.targets.tolist() == [1, 0, 0, 2, 1, 0]


def test_decimals_are_numbers():
    values = [decimal.Decimal(i) / 4 for i in range(6)]
    assert data.from_table(with_column(values), "kind").inputs[:, -1].tolist() == [i / 4 for i in range(6)]


def test_the_target_is_classes_or_numbers_by_the_rule():
    assert data.from_table(PEOPLE, "member").about.classes == ("False", "True")
    assert data.from_table(PEOPLE, "height").targets.shape == (6, 1)
    assert data.from_table(PEOPLE, "age").targets.dtype == np.float32
    few = with_column([4, 7, 4, 9, 7, 9])
    assert data.from_table(few, "extra").targets.tolist() == [0, 1, 0, 2, 1, 2]
    assert data.from_table(few, "extra").about.classes == ("4", "7", "9")
    assert data.from_table(few, "extra", classes=False).targets[:, 0].tolist() == [4, 7, 4, 9, 7, 9]
    assert data.from_table(PEOPLE, "member", classes=False).targets[:, 0].tolist() == [1, 0, 1, 1, 0, 0]
    assert data.from_table(PEOPLE, "age", classes=True).about.classes == ("25", "29", "31", "38", "47", "52")
    many = pd.DataFrame({"x": np.arange(100.0), "y": np.arange(100) % 21})
    assert data.from_table(many, "y").about.classes is None


def test_csv_and_parquet_files_give_the_same_as_the_table(tmp_path):
    PEOPLE.to_csv(tmp_path / "people.csv", index=False)
    PEOPLE.to_parquet(tmp_path / "people.parquet")
    expected = data.from_table(PEOPLE, "kind")
    for ending in ("csv", "parquet"):
        loaded = data.from_table(tmp_path / f"people.{ending}", "kind")
        np.testing.assert_array_equal(loaded.inputs, expected.inputs)
        assert loaded.about.features == expected.about.features
        assert loaded.about.name == "people"


def test_an_index_column_is_left_out_aloud(tmp_path):
    PEOPLE.to_csv(tmp_path / "people.csv")
    with pytest.warns(FnnetWarning, match="counts the rows"):
        loaded = data.from_table(tmp_path / "people.csv", "kind")
    assert loaded.about.features == data.from_table(PEOPLE, "kind").about.features


HOLES = PEOPLE.assign(age=[31, None, 47, 52, None, 29], town=["Rome", "Paris", None, "Oslo", "Paris", "Paris"])


def test_missing_values_are_counted():
    with pytest.raises(errors.DataError) as caught:
        data.from_table(HOLES, "kind")
    assert "'age' in 2 rows, first row 1; 'town' in 1 row, first row 2" in str(caught.value)
    assert "these 3 of 6 rows" in str(caught.value)
    assert "missing='drop'" in str(caught.value)
    assert "missing='impute'" in str(caught.value)


def test_rows_are_dropped_aloud():
    with pytest.warns(FnnetWarning, match="dropped 3 of 6 rows"):
        loaded = data.from_table(HOLES, "kind", missing="drop")
    assert loaded.inputs[:, 0].tolist() == [31, 52, 29]
    assert loaded.targets.tolist() == [1, 0, 1]


@pytest.mark.parametrize("dtype", ["float64", "Int64", "object"])
def test_missing_values_are_filled_in_and_marked(dtype):
    loaded = data.from_table(HOLES.astype({"age": dtype}), "kind", missing="impute")
    feature = dict(zip(loaded.about.features, loaded.inputs.T.tolist(), strict=True))
    assert feature["age"] == [31, 39, 47, 52, 39, 29]
    assert feature["age is missing"] == [0, 1, 0, 0, 1, 0]
    assert feature["town=Paris"] == [0, 1, 1, 0, 1, 1]
    assert feature["town is missing"] == [0, 0, 1, 0, 0, 0]


@pytest.mark.parametrize("dtype", ["category", "boolean", "object"])
def test_other_columns_are_filled_with_the_most_frequent_value(dtype):
    values = pd.Series([True, None, True, True, False, False], dtype="object").astype(dtype)
    loaded = data.from_table(with_column(values), "kind", missing="impute")
    feature = dict(zip(loaded.about.features, loaded.inputs.T.tolist(), strict=True))
    assert feature["extra=True"] == [1, 1, 1, 1, 0, 0]
    assert feature["extra is missing"] == [0, 1, 0, 0, 0, 0]


def test_a_missing_target_is_never_filled_in():
    holes = PEOPLE.assign(kind=["a", "b", None, "a", "b", "a"])
    with pytest.raises(errors.DataError, match=r"dropna\(subset=\['kind'\]\)"):
        data.from_table(holes, "kind", missing="impute")
    with pytest.warns(FnnetWarning, match="dropped 1 of 6"):
        assert len(data.from_table(holes, "kind", missing="drop")) == 5


def test_constant_features_are_reported():
    with pytest.warns(FnnetWarning, match="1 of 8 features have the same value in every row: 'extra'"):
        data.from_table(with_column([1.0] * 6), "kind")


DAYS = pd.date_range("2024-01-01", periods=6)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (DAYS, "dates or times"),
        (DAYS.astype(str), "dates or times"),
        (list(DAYS.date), "dates or times"),
        (DAYS - DAYS[0], "dates or times"),
        ([datetime.time(i) for i in range(6)], "dates or times"),
        (["1/2/2024"] * 6, "dates or times"),
        ([1, "a", 2, "b", 3, 4], "type int, str"),
        ([[1], [2], [3], [4], [5], [6]], "type list"),
        (["1", "2", "?", "4", "5", "6"], r"numbers but for 1 of 6 rows, first row 2 \('\?'\)"),
        ([1.0, np.inf, 2, 3, 4, 5], "first row 1"),
        ([1.0, 1e300, 2, 3, 4, 5], "too large for float32"),
        ([None] * 6, "no value in any row"),
    ],
)
def test_columns_that_are_no_features_say_why(values, sentence):
    with pytest.raises(errors.DataError, match=sentence) as caught:
        data.from_table(with_column(values), "kind")
    assert "column 'extra'" in str(caught.value)


def test_names_are_not_categories():
    table = pd.DataFrame({"name": [f"n{i}" for i in range(150)], "y": [0, 1] * 75})
    with pytest.raises(errors.DataError, match="150 different values"):
        data.from_table(table, "y")
    with pytest.raises(errors.DataError, match="looks like a name"):
        data.from_table(table, "name")
    assert len(data.from_table(table, "name", classes=True).about.classes) == 150


@pytest.mark.parametrize(
    ("table", "options", "error", "sentence"),
    [
        (PEOPLE, {"target": "knd"}, errors.DataError, "Did you mean 'kind'"),
        (PEOPLE, {"target": None}, errors.StructureError, "'age', 'height', 'town'"),
        (PEOPLE, {"target": "town", "classes": False}, errors.DataError, "needs numbers"),
        (PEOPLE, {"classes": "yes"}, errors.HyperparameterError, "True or False"),
        (PEOPLE, {"missing": "ignore"}, errors.HyperparameterError, '"impute"'),
        (PEOPLE[["kind"]], {}, errors.DataError, "no column besides"),
        (PEOPLE[:0], {}, errors.DataError, "no rows"),
        (pd.DataFrame(), {}, errors.DataError, "no columns"),
        (PEOPLE.assign(kind="a"), {}, errors.DataError, "nothing to learn"),
        (
            PEOPLE.rename(columns={"age": "height"}),
            {},
            errors.DataError,
            "several columns are named 'height'",
        ),
        (PEOPLE.assign(age=None), {"missing": "drop"}, errors.DataError, "no value in any row"),
        ({"a": [1]}, {}, errors.StructureError, "pandas.DataFrame"),
    ],
)
def test_other_mistakes_are_sentences(table, options, error, sentence):
    with pytest.raises(error, match=sentence) as caught:
        data.from_table(table, **{"target": "kind", **options})
    assert caught.value.where == "data.from_table"


def test_no_row_may_be_left():
    holes = pd.DataFrame({"a": [1, None], "b": [None, 1], "y": [0, 1]})
    with pytest.raises(errors.DataError, match="every row misses a value"):
        data.from_table(holes, "y", missing="drop")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"a;b\n1;2\n3;4\n", "not to be separated by commas"),
        (b"5.1,3.5,0\n4.9,3.0,1\n", "first line .* holds numbers"),
        (b"a,a,y\n1,2,0\n3,4,1\n", "several columns are named 'a'"),
        (b"a,y\n1,2,3\n4,5,6\n", "cannot be read as comma-separated values"),
        (b"a,y\n1,2\n4,5,6\n", "cannot be read as comma-separated values"),
        (b"a,y\n\xff\xfe,2\n\xe9,3\n", "not text in UTF-8"),
        (b"a,y\n1\n2,3\n", "'y' in 1 row, first row 0"),
    ],
)
def test_csv_files_that_cannot_be_read_say_why(tmp_path, content, sentence):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises((errors.FileError, errors.DataError), match=sentence):
        data.from_table(tmp_path / "t.csv", "y")


def test_other_files_say_why(tmp_path):
    (tmp_path / "t.parquet").write_bytes(b"no parquet")
    with pytest.raises(errors.FileError, match="not a Parquet file"):
        data.from_table(tmp_path / "t.parquet", "y")
    (tmp_path / "t.xlsx").write_bytes(b"")
    with pytest.raises(errors.FileError, match="Read it with pandas"):
        data.from_table(tmp_path / "t.xlsx", "y")
    with pytest.raises(errors.FileError, match=r"Did you mean 't\.xlsx'|Did you mean 't\.parquet'|no file 't\.csv'"):
        data.from_table(tmp_path / "t.csv", "y")


def test_spaces_after_commas_do_not_matter(tmp_path):
    (tmp_path / "t.csv").write_text("a, y\n1, yes\n2, no\n3, yes\n")
    assert data.from_table(tmp_path / "t.csv", "y").about.classes == ("no", "yes")
