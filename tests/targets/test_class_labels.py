import numpy as np
import pandas as pd
import pytest
import torch

from mgaudit.errors import UsageError
from mgaudit.functions.groups import group_numbers
from mgaudit.targets.arrays.class_labels import classes_of


@pytest.mark.parametrize(
    ("labels", "classes", "numbers"),
    [
        (np.array([3, 1, 3]), (1, 3), [1, 0, 1]),
        (["yes", "no", "yes"], ("no", "yes"), [1, 0, 1]),
        (pd.Series(["b", "a", "b"], dtype="category"), ("a", "b"), [1, 0, 1]),
        (np.array([True, False, True]), (False, True), [1, 0, 1]),
        (torch.tensor([2, 0, 2]), (0, 2), [1, 0, 1]),
        ([np.int64(5), 4, torch.tensor(5)], (4, 5), [1, 0, 1]),
        (np.array([0.5, -1.0, 0.5, 0.5, -1.0]), (-1.0, 0.5), [1, 0, 1, 1, 0]),
    ],
)
def test_classes_are_the_sorted_labels(
    labels: object, classes: tuple[object, ...], numbers: list[int]
) -> None:
    found = classes_of("y", labels)
    assert found.values == classes
    assert found.numbers("y", labels).tolist() == numbers


@pytest.mark.parametrize(
    ("labels", "value"),
    [
        ([1, None, 2], "None in row 1"),
        (np.array([0.0, 1.0, np.nan]), "nan in row 2"),
        (pd.Series(["a", pd.NA], dtype="string"), "<NA> in row 1"),
        ([1, "a"], "int and str"),
        ([1, 1], "only 1"),
        (np.eye(3), "the shape (3, 3)"),
        (np.eye(3).tolist(), "3 values in row 0"),
        (np.linspace(0, 1, 9), "9 distinct numbers"),
    ],
)
def test_labels_that_are_no_classes_are_refused(labels: object, value: str) -> None:
    with pytest.raises(UsageError) as error:
        classes_of("y", labels)
    assert (error.value.key, error.value.value) == ("y", value)


def test_a_test_label_that_is_no_class_is_named() -> None:
    with pytest.raises(UsageError, match="only the 2 labels of the training data, got 'c' in row"):
        classes_of("y", ["a", "b"]).numbers("y_test", ["a", "c"])


def test_groups_are_numbered_in_their_order() -> None:
    assert group_numbers("groups", ["p9", "p1", "p9"]).tolist() == [0, 1, 0]
    with pytest.raises(UsageError, match="groups must have a value for each example"):
        group_numbers("groups", [1.0, float("nan")])
