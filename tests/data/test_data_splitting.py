"""Splitting is a partition, true to the classes, and decided by the key alone."""

import dataclasses

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from fnnet import data, errors
from fnnet.data import Dataset

KEY = jax.random.key(0)
quick = hypothesis.settings(max_examples=40, deadline=None, database=None)


def numbered(count, targets=None):
    """A dataset whose inputs are the row numbers."""
    targets = np.zeros((count, 1), np.float32) if targets is None else np.asarray(targets, np.int32)
    return Dataset(np.arange(count, dtype=np.int32)[:, None], targets)


@quick
@hypothesis.given(count=st.integers(2, 200), fraction=st.floats(0.01, 0.99), seed=st.integers(0, 2**32 - 1))
def test_the_parts_are_a_partition_of_the_right_sizes(count, fraction, seed):
    second = int(np.floor(fraction * count + 0.5))
    hypothesis.assume(0 < second < count)
    parts = data.split(numbered(count), fraction=fraction, key=jax.random.key(seed))
    assert [len(part) for part in parts] == [count - second, second]
    rows = np.concatenate([part.inputs[:, 0] for part in parts])
    np.testing.assert_array_equal(np.sort(rows), np.arange(count))


@quick
@hypothesis.given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=8),
    fraction=st.floats(0.02, 0.6),
    seed=st.integers(0, 2**32 - 1),
)
def test_stratified_parts_keep_every_class_to_one_row(sizes, fraction, seed):
    targets = np.repeat(np.arange(len(sizes)) * 3, sizes)
    second = int(np.floor(fraction * len(targets) + 0.5))
    hypothesis.assume(0 < second < len(targets))
    whole = numbered(len(targets), targets)
    # Refused only where whole shares and a row of each class in training exclude each other.
    least = [int(np.floor(fraction * n + 1e-9)) for n in sizes]
    room = sum(low < n - 1 or n == 1 for low, n in zip(least, sizes, strict=True))
    if second - sum(least) > room:
        with pytest.raises(errors.DataError, match="too few rows"):
            data.split(whole, fraction=fraction, key=jax.random.key(seed), stratify=True)
        return
    train, test = data.split(whole, fraction=fraction, key=jax.random.key(seed), stratify=True)
    assert len(test) == second
    rows = np.concatenate([train.inputs[:, 0], test.inputs[:, 0]])
    np.testing.assert_array_equal(np.sort(rows), np.arange(len(targets)))
    np.testing.assert_array_equal(targets[test.inputs[:, 0]], test.targets)
    for label, size in enumerate(sizes):
        assert abs(np.sum(test.targets == 3 * label) - fraction * size) <= 1
        assert size < 2 or np.sum(train.targets == 3 * label) >= 1


def test_the_classes_have_the_shares_that_scikit_learn_gives():
    whole = data.load("wine")
    _, test = data.split(whole, fraction=0.25, key=KEY)
    _, reference = train_test_split(whole.targets, test_size=len(test), stratify=whole.targets, random_state=0)
    assert np.max(np.abs(np.bincount(test.targets) - np.bincount(reference))) <= 1


def test_the_same_key_gives_the_same_parts_and_another_key_others():
    whole = data.load("iris")
    first, again, other = (data.split(whole, key=jax.random.key(s))[1].inputs for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_both_parts_are_shuffled():
    train, test = data.split(data.load("iris"), key=KEY)
    assert len(set(train.targets[:20].tolist())) == 3
    assert len(set(test.targets[:20].tolist())) == 3


def test_every_row_is_equally_likely_in_the_second_part():
    whole = numbered(10, [0] * 5 + [1] * 5)
    counts = np.zeros(10)
    for seed in range(150):
        counts[data.split(whole, fraction=0.3, key=jax.random.key(seed))[1].inputs[:, 0]] += 1
    # 45 of 150 expected with standard deviation 5.6.
    assert np.all(np.abs(counts - 45) < 28)


def test_jax_arrays_and_weights_are_split_alike():
    whole = dataclasses.replace(data.load("iris"), weights=np.arange(150, dtype=np.float32))
    on_device = jax.tree.map(jnp.asarray, whole)
    for ours, theirs in zip(data.split(whole, key=KEY), data.split(on_device, key=KEY), strict=True):
        assert isinstance(theirs.inputs, jax.Array)
        np.testing.assert_array_equal(ours.weights, theirs.weights)
        np.testing.assert_array_equal(ours.inputs, theirs.inputs)
        np.testing.assert_array_equal(whole.inputs[ours.weights.astype(int)], ours.inputs)


def test_stratifying_can_be_turned_off():
    whole = numbered(6, [0, 1, 2, 3, 4, 5])
    with pytest.raises(errors.DataError, match="stratify=False"):
        data.split(numbered(6, [0, 0, 1, 1, 2, 2]), fraction=0.67, key=KEY)
    assert len(data.split(whole, fraction=0.5, key=KEY, stratify=False)[1]) == 3


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 20, float("nan")])
def test_the_fraction_lies_between_0_and_1(fraction):
    with pytest.raises(errors.HyperparameterError, match=r"data\.split: fraction is .*1"):
        data.split(numbered(10), fraction=fraction, key=KEY)


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"fraction": 0.01}, errors.DataError, "would leave 0 for the second part"),
        ({"fraction": 0.99}, errors.DataError, "0 for training"),
        ({"fraction": "half"}, errors.StructureError, "not a number"),
        ({"key": 0}, errors.StructureError, r"jax\.random\.key\(0\)"),
        ({"key": jax.random.split(KEY)}, errors.ShapeError, "one key"),
        ({"stratify": True}, errors.DataError, "needs class ids"),
        ({"stratify": "classes"}, errors.HyperparameterError, "True or False"),
    ],
)
def test_other_arguments_are_looked_at(change, error, sentence):
    with pytest.raises(error, match=sentence):
        data.split(numbered(10), **{"key": KEY, **change})


def test_what_is_no_dataset_is_refused():
    with pytest.raises(errors.StructureError, match=r"data\.from_arrays"):
        data.split((np.eye(2), np.eye(2)), key=KEY)
    with pytest.raises(errors.DataError, match="no rows"):
        data.split(numbered(10)[:0], key=KEY)
    with pytest.raises(errors.StructureError, match="inside jit"):
        jax.jit(lambda key: data.split(numbered(10), key=key)[1].inputs)(KEY)
