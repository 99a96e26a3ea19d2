"""Exact copies among examples, and the coins that they share."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgaudit.targets.datasets import Dataset
from mgaudit.targets.datasets.duplicates import copy_groups, groups_of
from mgaudit.targets.membership import fair_coins, shared_coins


def dataset(inputs: np.ndarray, labels: np.ndarray) -> Dataset:
    tests = np.zeros((2, *inputs.shape[1:]), inputs.dtype)
    return Dataset("made up", inputs, labels, tests, np.array([0, 1]), ("a", "b"))


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 1)), min_size=1))
@settings(max_examples=60, deadline=None)
def test_groups_are_those_of_pandas(rows: list[tuple[int, int, int]]) -> None:
    table = np.array(rows)
    groups = copy_groups(dataset(table[:, :2].astype(np.float32), table[:, 2].astype(np.int64)))
    frame = pd.DataFrame(table)
    assert np.array_equal(groups.has_copies, frame.duplicated(keep=False))
    first_of = {tuple(row): index for index, row in reversed(list(enumerate(rows)))}
    assert groups.first.tolist() == [first_of[row] for row in rows]
    assert groups.representatives.tolist() == np.flatnonzero(~frame.duplicated()).tolist()
    assert np.array_equal(np.flatnonzero(~frame.duplicated(keep=False)), groups.alone)
    assert len(np.unique(groups.numbers)) == groups.numbers.max() + 1 == len(first_of)


def test_equal_inputs_with_other_labels_are_no_copies() -> None:
    inputs = np.ones((3, 2), np.float32)
    assert copy_groups(dataset(inputs, np.array([0, 1, 0]))).first.tolist() == [0, 1, 0]


def test_minus_zero_equals_zero_and_near_values_differ() -> None:
    near = np.nextafter(np.float32(1), np.float32(2))
    inputs = np.array([[0.0, 1], [-0.0, 1], [0.0, near]], np.float32)
    assert copy_groups(dataset(inputs, np.zeros(3, np.int64))).first.tolist() == [0, 0, 2]


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_images_are_compared_as_a_whole(dtype: type) -> None:
    images = np.random.default_rng(0).integers(0, 255, (4, 3, 5, 6)).astype(dtype)
    images[3] = images[1]
    mirrored = images[:, :, :, ::-1]  # a view that is not contiguous
    for inputs in (images, mirrored):
        assert copy_groups(dataset(inputs, np.zeros(4, np.int64))).first.tolist() == [0, 1, 2, 1]
    images[3, 2, 4, 5] += 1
    assert not copy_groups(dataset(images, np.zeros(4, np.int64))).has_copies.any()


def test_the_coin_of_a_group_is_that_of_its_first_example() -> None:
    coins = fair_coins(models=50, examples=6, seed=3)
    shared = shared_coins(coins, groups_of("abcbab").first)
    assert np.array_equal(shared, coins[:, [0, 1, 2, 1, 0, 1]])
    assert np.array_equal(shared_coins(coins, groups_of("abcdef").first), coins)


def test_the_summary_counts_examples_groups_and_the_largest() -> None:
    assert groups_of("abcd").summary() == ""
    assert groups_of("abcd").notes("together") == ()
    assert "5 of 6 examples" in groups_of("abbaba"[:5] + "c").summary()
    groups = groups_of("aabbbcd")
    assert "5 of 7 examples have exact copies (2 groups, the largest of 3)" in groups.summary()
    assert "share one coin" in groups.notes("together")[0]
    assert "coin of its own" in groups.notes("apart")[0]
