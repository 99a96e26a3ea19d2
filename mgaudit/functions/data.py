"""The data of an audit of training functions: examples in the user's types, labels and groups."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError
from mgaudit.functions.copies import copies_in
from mgaudit.functions.design import split_test
from mgaudit.functions.digest import NotDigestibleError, digest
from mgaudit.functions.groups import group_numbers
from mgaudit.functions.rows import as_inputs, count_rows, take
from mgaudit.functions.settings import FunctionSettings
from mgaudit.functions.worker import FitData
from mgaudit.targets.arrays.class_labels import Classes, classes_of
from mgaudit.targets.datasets.contents import contents
from mgaudit.targets.datasets.duplicates import CopyGroups, groups_of, joined_groups

FEWEST_EXAMPLES = 20  # audited examples, or groups
MOST_REPEATED = 0.01  # share of test examples that may equal audited ones by chance
NOT_COMPARED = (
    "Exact copies among the examples were not looked for, because examples of this type cannot be "
    "compared."
)


@dataclass(frozen=True)
class FunctionData:
    """The data of an audit: audited and test examples in the user's types, labels and groups.

    `labels` (examples,) and `test_labels` (test examples,) are class numbers. `groups` (examples,)
    and `test_groups` (test examples,) are group numbers; the latter are None where test data were
    given. Where no groups are given, exact copies of an example form a group, or each example is
    its own group. `rows` are the rows of the audited examples in the user's data, and `notes` has
    sentences about copies.
    """

    fitted: FitData
    labels: NDArray[np.int64]
    test_labels: NDArray[np.int64]
    classes: Classes
    groups: NDArray[np.int64]
    test_groups: NDArray[np.int64] | None
    has_groups: bool
    rows: NDArray[np.int64]
    notes: tuple[str, ...] = ()

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of the data; of labels and groups alone if the examples have no digest."""
        return self._sha256_of_all or digest(self._numbers)

    @property
    def has_digest(self) -> bool:
        """Whether the examples have a digest, without which no model is kept for a later run."""
        return self._sha256_of_all is not None

    @property
    def _numbers(self) -> tuple[NDArray[np.int64] | None, ...]:
        return self.labels, self.test_labels, self.groups

    @cached_property
    def _sha256_of_all(self) -> str | None:
        try:
            return digest((self.fitted.x, self.fitted.y, self.fitted.x_test, self._numbers))
        except NotDigestibleError:
            return None


def function_data(
    x: Any, y: Any, x_test: Any, y_test: Any, groups: Any, settings: FunctionSettings
) -> FunctionData:
    """Returns the data that training functions see, with test data held out where none are given.

    Args:
        x: Examples: an array, DataFrame, list, sparse matrix or tensor with a row for each.
        y: The label of each example, of any type that can be sorted.
        x_test, y_test: Test data, or None.
        groups: The group of each example, such as a person, or None.
        settings: The settings.

    Raises:
        UsageError: For data of other types, and for lengths that do not agree.
    """
    examples = _same_length("x", x, "y", y)
    if not examples:
        raise UsageError("x", f"must have at least {FEWEST_EXAMPLES} examples to audit", "0")
    classes = classes_of("y", y)
    if (x_test is None) != (y_test is None):
        missing, present = ("x_test", "y_test") if x_test is None else ("y_test", "x_test")
        raise UsageError(missing, f"must be given with {present}", "None")
    labels = classes.numbers("y", y)
    grouping = _grouping(x, labels, groups, settings)
    numbers = grouping.numbers
    rows, test_groups = np.arange(examples), None
    if x_test is None:
        held_out_together = _equal_together(x, numbers)
        rows, test_rows = split_test(held_out_together, settings.test_fraction, settings.seed)
        x_test, y_test = take(x, test_rows), take(y, test_rows)
        x, y = take(x, rows), take(y, rows)
        test_groups = numbers[test_rows]
    else:
        _same_length("x_test", x_test, "y_test", y_test)
        _refuse_other_columns(x, x_test)
        _refuse_overlap(x, x_test)
    audited_groups = len(np.unique(numbers[rows]))
    if audited_groups < FEWEST_EXAMPLES:
        key = "x" if groups is None else "groups"
        what = "groups" if grouping.has_groups else "examples"
        if groups is None and grouping.has_groups:
            what = "distinct examples"
        rule = f"must have at least {FEWEST_EXAMPLES} {what} to audit"
        raise UsageError(key, rule, str(audited_groups))
    return FunctionData(
        fitted=FitData(x, y, x_test, len(classes.values)),
        labels=labels[rows],
        test_labels=classes.numbers("y_test", y_test),
        classes=classes,
        groups=numbers[rows],
        test_groups=test_groups,
        has_groups=grouping.has_groups,
        rows=rows,
        notes=grouping.notes,
    )


@dataclass(frozen=True)
class _Grouping:
    """The number of the group of each example (examples,), and sentences about copies.

    `has_groups` is False if each example is its own group.
    """

    numbers: NDArray[np.int64]
    has_groups: bool
    notes: tuple[str, ...]


def _grouping(
    x: Any, labels: NDArray[np.int64], groups: Any, settings: FunctionSettings
) -> _Grouping:
    """Returns the groups of the user, or else those of exact copies that share their coins."""
    each = np.arange(len(labels))
    copies = copies_in(x, labels)
    if groups is not None:
        _same_length("x", x, "groups", groups)
        numbers = group_numbers("groups", groups)
        notes = () if copies is None else _across(copies, numbers)
        return _Grouping(numbers, True, notes)
    if copies is None:
        return _Grouping(each, False, (NOT_COMPARED,))
    notes = copies.notes(settings.duplicates)
    if settings.duplicates == "apart" or not notes:
        return _Grouping(each, False, notes)
    return _Grouping(copies.numbers, True, notes)


def _equal_together(x: Any, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Returns groups (examples,) that contain those of `numbers` and all examples of equal values.

    Test data must have no example that equals an audited one, whatever its label.
    """
    copies = copies_in(x, np.zeros(len(numbers), dtype=np.int64))
    if copies is None:
        return numbers
    return joined_groups(groups_of(numbers.tolist()).numbers, copies.numbers)


def _across(copies: CopyGroups, groups: NDArray[np.int64]) -> tuple[str, ...]:
    """Returns a sentence about exact copies in different groups; empty if there are none."""
    differs = groups != groups[copies.first]
    if not differs.any():
        return ()
    return (f"{copies.summary()}, some of them in different groups, which have their own coins.",)


def _refuse_other_columns(x: Any, x_test: Any) -> None:
    """Raises UsageError for tables whose columns differ in names or order."""
    columns, test_columns = getattr(x, "columns", None), getattr(x_test, "columns", None)
    if columns is None or test_columns is None or list(columns) == list(test_columns):
        return
    rule = "must have the columns of x in the same order"
    value = ", ".join(map(str, list(test_columns)[:10]))
    raise UsageError("x_test", rule, value, "use x_test[x.columns]")


def _refuse_overlap(x: Any, x_test: Any) -> None:
    """Raises UsageError if more test examples are among the audited ones than some by chance.

    Only examples that are numbers are compared.
    """
    audited, tests = as_inputs(x), as_inputs(x_test)
    if audited is None or tests is None or audited.shape[1:] != tests.shape[1:]:
        return
    row_of = {row: index for index, row in enumerate(contents(audited, np.dtype(np.float64)))}
    repeated = [
        (index, row_of[row])
        for index, row in enumerate(contents(tests, np.dtype(np.float64)))
        if row in row_of
    ]
    by_chance = 1 - len(row_of) / len(audited)
    if len(repeated) > max(3 * by_chance, MOST_REPEATED) * len(tests):
        test, example = repeated[0]
        rule = f"must not repeat rows of x, and {len(repeated)} of its rows do"
        value = f"row {test} of x_test is row {example} of x"
        raise UsageError("x_test", rule, value, "leave them out of one of the two")


def _same_length(first_key: str, first: Any, second_key: str, second: Any) -> int:
    """Returns the number of rows of both. Raises UsageError unless they agree."""
    rows = count_rows(first_key, first)
    others = count_rows(second_key, second)
    if rows != others:
        raise UsageError(second_key, f"must have {rows} rows, as {first_key} has", str(others))
    return rows
