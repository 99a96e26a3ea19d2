import numpy as np
import pandas as pd
import pytest
import torch

from mgaudit.errors import UsageError
from mgaudit.functions.groups import group_numbers
from mgaudit.targets.arrays.class_labels import classes_of
from mgaudit.targets.arrays.label_spelling import refuse_spellings


@pytest.mark.parametrize(
    ("labels", "classes", "numbers"),
    [
        (np.array([3, 1, 3]), (1, 3), [1, 0, 1]),
        (["yes", "no", "yes"], ("no", "yes"), [1, 0, 1]),
        (pd.Series(["b", "a", "b"], dtype="category"), ("a", "b"), [1, 0, 1]),
        (np.array([True, False, True]), (False, True), [1, 0, 1]),
        (torch.tensor([2, 0, 2]), (0, 2), [1, 0, 1]),
        ([np.int64(5), 4, torch.tensor(5)], (4, 5), [1, 0, 1]),
        (np.eye(3)[[2, 0, 1]], (0, 1, 2), [2, 0, 1]),
        (np.eye(3)[[2, 0, 1]].tolist(), (0, 1, 2), [2, 0, 1]),
        (np.array([[3], [1], [3]]), (1, 3), [1, 0, 1]),
        ([["yes"], ["no"], ["yes"]], ("no", "yes"), [1, 0, 1]),
        (pd.DataFrame({"y": ["yes", "no", "yes"]}), ("no", "yes"), [1, 0, 1]),
        ([b"yes", b"no", b"yes"], (b"no", b"yes"), [1, 0, 1]),
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
        (np.zeros((3, 2, 2)), "the shape (3, 2, 2)"),
        ([[1, 2], [3, 1], [0, 0]], "the shape (3, 2) with (1, 2) in row 0"),
        (np.tri(3), "2 classes in row 1"),
        (np.full((3, 2), 0.5), "the soft label (0.5, 0.5) in row 0"),
        ([["a", "b"], ["b", "a"]], "the shape (2, 2)"),
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


def test_names_are_the_labels_as_text() -> None:
    assert classes_of("y", [1.0, -1.0, 1.0]).names == ("-1", "1")
    assert classes_of("y", [b"b", b"a", b"a"]).names == ("a", "b")
    assert classes_of("y", [True, False]).names == ("False", "True")


@pytest.mark.parametrize("dtype", [int, float])
def test_class_numbers_with_gaps_are_no_regression(dtype: type) -> None:
    numbers = np.repeat(np.delete(np.arange(60), [7, 30]), 2).astype(dtype)
    assert len(classes_of("y", numbers).values) == 58
    with pytest.raises(UsageError, match="58 distinct numbers; cut the target of a regression"):
        classes_of("y", numbers * 1000)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("yes", "Yes"),
        ("no", " no"),
        ("a b", "a  b"),
        ("<=50K", "<=50K."),
        ("1", "1.0"),
        ("1", "01"),
        ("ﬁn", "fin"),
        ("no", "no\u200b"),
        ("straße", "STRASSE"),
    ],
)
def test_two_spellings_of_a_class_are_refused(first: str, second: str) -> None:
    for names in ([first, "other", second], [second, first]):
        with pytest.raises(UsageError) as error:
            refuse_spellings("y", names)
        assert error.value.key == "y"


@pytest.mark.parametrize(
    "names",
    [
        ["<=50K", ">50K"],
        ["a", "b"],
        ["1", "10", "-1"],
        ["1.5", "1.50001"],
        ["x-y", "xy"],
        ["9007199254740993", "9007199254740992"],
        ["nan", "inf"],
    ],
)
def test_other_names_are_different_classes(names: list[str]) -> None:
    refuse_spellings("y", names)


def test_groups_are_numbered_in_their_order() -> None:
    assert group_numbers("groups", ["p9", "p1", "p9"]).tolist() == [0, 1, 0]
    with pytest.raises(UsageError, match="groups must have a value for each example"):
        group_numbers("groups", [1.0, float("nan")])
