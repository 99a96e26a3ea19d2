"""The rule that divides data without a test split."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgaudit.errors import UsageError
from mgaudit.targets.datasets.contents import contents
from mgaudit.targets.datasets.duplicates import groups_of
from mgaudit.targets.datasets.split import split_by_fraction


def split(labels: list[int], groups: list[int], fraction: float = 1 / 3) -> list[bool]:
    is_test = split_by_fraction("data", np.array(labels), np.array(groups), fraction)
    return [bool(value) for value in is_test]


def test_every_third_example_of_each_class_is_test_data_if_all_differ() -> None:
    labels = np.random.default_rng(0).integers(0, 4, 1000)
    is_test = split_by_fraction("data", labels, np.arange(1000))
    for label in range(4):
        number_in_class = np.arange(np.count_nonzero(labels == label))
        np.testing.assert_array_equal(is_test[labels == label], number_in_class % 3 == 2)


@pytest.mark.parametrize(("fraction", "count"), [(0.2, 20), (0.25, 25), (0.5, 50), (0.1, 10)])
def test_the_share_of_each_class_is_the_fraction(fraction: float, count: int) -> None:
    is_test = split_by_fraction("data", np.repeat([0, 1], 100), np.arange(200), fraction)
    assert is_test[:100].sum() == is_test[100:].sum() == count


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30)), min_size=1, max_size=60),
    st.floats(0.05, 0.95),
)
def test_equal_examples_are_on_one_side(rows: list[tuple[int, int]], fraction: float) -> None:
    labels = np.array([label for label, _ in rows])
    groups = groups_of(contents(np.array([[content] for _, content in rows]))).numbers
    try:
        is_test = split_by_fraction("data", labels, groups, fraction)
    except UsageError:
        _, first_rows = np.unique(groups, return_index=True)
        groups_of_class = np.bincount(labels[first_rows], minlength=labels.max() + 1)
        assert groups_of_class[np.unique(labels)].min() < 2
        return
    assert not set(groups[is_test]) & set(groups[~is_test])
    assert set(labels[is_test]) == set(labels[~is_test]) == set(labels)


def test_groups_larger_than_the_share_are_divided_too() -> None:
    assert split([0] * 3, [0, 1, 1]) == [True, False, False]
    assert split([0] * 9, [0, 0, 0, 1, 1, 1, 2, 2, 2]) == [False] * 6 + [True] * 3
    assert split([0] * 4, [0, 1, 0, 1]) == [False, True, False, True]


def test_a_class_on_one_side_is_refused() -> None:
    with pytest.raises(UsageError, match="got 2 of class '1', the first at 3"):
        split([0, 0, 0, 1, 1], [0, 1, 2, 3, 3])
    with pytest.raises(UsageError, match="got 1 of class '1'"):
        split([0, 0, 0, 1], [0, 1, 2, 3])


@pytest.mark.parametrize("fraction", [0, 1, -0.5, 1.5, float("nan")])
def test_a_fraction_outside_0_and_1_is_refused(fraction: float) -> None:
    with pytest.raises(UsageError, match="test_fraction must be above 0 and below 1"):
        split([0, 0, 1, 1], [0, 1, 2, 3], fraction)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_b38_zeros_of_both_signs_are_equal(dtype: type) -> None:
    values = np.array([[0, 1], [-0.0, 1], [0, -1]], dtype=dtype)
    first, second, third = contents(values)
    assert first == second != third


def test_contents_compare_in_the_type_that_is_asked_for() -> None:
    whole = contents(np.array([[1, 2]], np.uint8), np.dtype(np.float32))
    assert whole == contents(np.array([[1, 2]], np.float32))
