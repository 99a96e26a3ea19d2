"""The rule by which data without a test split are divided into training and test data."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError

TEST_FRACTION = 1 / 3
ROUNDING = 1e-9  # examples by which a product of a count and a fraction may be too small


def split_by_fraction(
    key: str,
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    test_fraction: float = TEST_FRACTION,
    names: Sequence[str] = (),
) -> NDArray[np.bool_]:
    """Returns which examples are test data (examples,), bool.

    The rule has no randomness. Groups of equal examples are visited in the order of their first
    examples. A group becomes test data if the share of test data among the visited examples of its
    class remains at most `test_fraction`; at least one group of each class is test data. If all
    examples differ, and the fraction is 1/3, every third example of each class is test data.

    Args:
        key: Name of the data, for errors.
        labels: Class number of each example (examples,), int64.
        groups: Number of the group of each example (examples,), int64, in 0..groups - 1. All
            examples of a group are on the same side. `duplicates.groups_of` returns groups of
            equal examples. A group belongs to the class of its first example.
        test_fraction: Share of test data, above 0 and below 1.
        names: Names of the classes, for errors; by default their numbers.

    Raises:
        UsageError: For a fraction outside (0, 1), and for a class that has no examples in one of
            the two splits.

    >>> split_by_fraction("data", np.array([0, 1, 0, 1, 0, 1]), np.arange(6))
    array([False, False, False, False,  True,  True])
    >>> split_by_fraction("data", np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 1, 2, 3, 4]), 0.5)
    array([False, False,  True,  True, False,  True])
    """
    if not 0 < test_fraction < 1:
        rule = "must be above 0 and below 1"
        raise UsageError(f"{key}: test_fraction", rule, f"{test_fraction:g}")
    is_test_group = _test_groups(labels, groups, test_fraction)
    is_test = is_test_group[groups]
    _refuse_one_sided_class(key, labels, is_test, names)
    return is_test


def _test_groups(
    labels: NDArray[np.int64], groups: NDArray[np.int64], test_fraction: float
) -> NDArray[np.bool_]:
    """Returns which groups are test data (groups,), bool."""
    numbers, first_examples = np.unique(groups, return_index=True)
    sizes = np.bincount(groups).tolist()
    is_test = np.zeros(len(sizes), dtype=bool)
    order = np.argsort(first_examples)
    classes: dict[int, list[int]] = {}
    for group, example in zip(numbers[order], first_examples[order], strict=True):
        classes.setdefault(int(labels[example]), []).append(int(group))
    for class_groups in classes.values():
        visited = tested = 0
        for group in class_groups:
            visited += sizes[group]
            if tested + sizes[group] <= math.floor(visited * test_fraction + ROUNDING):
                tested += sizes[group]
                is_test[group] = True
        if tested == 0 and len(class_groups) > 1:  # each group is larger than the test share
            smallest = min(reversed(class_groups), key=sizes.__getitem__)
            is_test[smallest] = True
    return is_test


def _refuse_one_sided_class(
    key: str, labels: NDArray[np.int64], is_test: NDArray[np.bool_], names: Sequence[str]
) -> None:
    """Raises UsageError for a class of which one of the two splits has no example."""
    for label in np.unique(labels):
        of_class = labels == label
        tests = np.count_nonzero(is_test & of_class)
        if 0 < tests < np.count_nonzero(of_class):
            continue
        name = names[label] if len(names) else str(label)
        rule = "must have at least two different examples of each class, one of them for testing"
        value = f"{np.count_nonzero(of_class)} of class {name!r}, the first at {of_class.argmax()}"
        way_out = "add examples, or leave the class out"
        raise UsageError(key, rule, value, way_out)
