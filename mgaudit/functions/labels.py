"""Labels and groups of any type as numbers."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError
from mgaudit.functions.rows import as_array

FEWEST_CLASSES = 2
ONE_VALUE = "must have one value for each example"
ONE_HOT = "use argmax(axis=1) of one-hot labels, and ravel() of a column"
REGRESSION = 0.5  # share of distinct values from which fractional numbers are not labels


@dataclass(frozen=True)
class Classes:
    """The distinct labels of the data, sorted; the number of a class is its position."""

    values: tuple[Any, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The labels as text."""
        return tuple(str(value) for value in self.values)

    def numbers(self, key: str, labels: Any) -> NDArray[np.int64]:
        """Returns the class number of each label (examples,).

        Raises UsageError, with this key, for a label that is no class.
        """
        numbers = {value: number for number, value in enumerate(self.values)}
        codes = []
        for row, label in enumerate(_flat(key, labels)):
            if label not in numbers:
                rule = f"must have only the {len(self.values)} labels of y"
                raise UsageError(key, rule, f"{label!r} in row {row}")
            codes.append(numbers[label])
        return np.array(codes, np.int64)


def classes_of(key: str, labels: Any) -> Classes:
    """Returns the classes of labels: integers, texts or other values that can be sorted.

    Raises UsageError, with this key, for missing labels, for one class, and for numbers that are
    the target of a regression.
    """
    values = _flat(key, labels)
    _refuse_missing(key, values)
    try:
        distinct = sorted(set(values))
    except TypeError as error:
        kinds = sorted({type(label).__name__ for label in values})
        rule = "must have labels of one type that can be sorted"
        raise UsageError(key, rule, " and ".join(kinds), "turn them into texts") from error
    if len(distinct) < FEWEST_CLASSES:
        raise UsageError(key, "must have at least two classes", f"only {distinct[0]!r}")
    fractional = any(isinstance(label, float) and not label.is_integer() for label in distinct)
    if fractional and len(distinct) > REGRESSION * len(values):
        rule = "must be labels of classes"
        raise UsageError(key, rule, f"{len(distinct)} distinct numbers", "cut them into classes")
    return Classes(tuple(distinct))


def group_numbers(key: str, groups: Any) -> NDArray[np.int64]:
    """Returns the number of each example's group (examples,), in order of first appearance."""
    numbers: dict[Any, int] = {}
    values = _flat(key, groups)
    _refuse_missing(key, values)
    try:
        codes = [numbers.setdefault(group, len(numbers)) for group in values]
    except TypeError as error:
        raise UsageError(key, "must be hashable, such as numbers or texts", str(error)) from error
    return np.array(codes, np.int64)


def _flat(key: str, values: Any) -> list[Any]:
    """Returns one value for each example as a value of Python."""
    if isinstance(values, list | tuple):
        return [_scalar(key, row, value) for row, value in enumerate(values)]
    array = as_array(values)
    if array.ndim != 1:
        raise UsageError(key, ONE_VALUE, f"the shape {array.shape}", ONE_HOT)
    flat: list[Any] = array.tolist()
    return flat


def _scalar(key: str, row: int, value: Any) -> Any:
    """Returns an item of a list as a value of Python. Raises UsageError for a list or an array."""
    if isinstance(value, list | tuple) or np.ndim(value):
        raise UsageError(key, ONE_VALUE, f"{len(value)} values in row {row}", ONE_HOT)
    return value.item() if hasattr(value, "item") else value


def _refuse_missing(key: str, values: list[Any]) -> None:
    for row, value in enumerate(values):
        if _is_missing(value):
            raise UsageError(key, "must have a value for each example", f"{value} in row {row}")


def _is_missing(value: Any) -> bool:
    """Returns whether a value is None, NaN, NaT or NA, which do not equal themselves."""
    try:
        return value is None or bool(value != value)
    except TypeError:  # NA of pandas is neither true nor false
        return True
