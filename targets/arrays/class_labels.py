"""Classes of labels in every form: numbers, texts, bool, a column, or one-hot rows."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError
from mgaudit.targets.arrays.array_like import Array, library_array, to_array
from mgaudit.targets.arrays.label_spelling import refuse_spellings
from mgaudit.targets.arrays.missing_text import MISSING
from mgaudit.targets.own_module import error_line

FEWEST_CLASSES = 2
ONE_VALUE = "must have one value for each example"
ONE_HOT = "use argmax(axis=1) of one-hot labels, and ravel() of a column"
FEW_VALUES = 10  # so many different values are classes, whatever they are
MOST_CLASSES = 0.5  # distinct labels, as a share of the examples
MOST_NUMBERS = 0.1  # the same for numbers that do not count the classes from 0 or 1
CUT = "cut the target of a regression into classes, and leave out identifiers"


@dataclass(frozen=True)
class Classes:
    """The distinct labels of the data, sorted; the number of a class is its position."""

    values: tuple[Any, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The labels as text, whole numbers without decimals."""
        return tuple(_name(value) for value in self.values)

    def numbers(self, key: str, labels: Any) -> NDArray[np.int64]:
        """Returns the class number of each label (examples,).

        Raises UsageError, with this key, for a label that is no class.
        """
        numbers = {value: number for number, value in enumerate(self.values)}
        codes = []
        for row, label in enumerate(class_values(key, labels)):
            if label not in numbers:
                rule = f"must have only the {len(self.values)} labels of the training data"
                raise UsageError(key, rule, f"{label!r} in row {row}")
            codes.append(numbers[label])
        return np.array(codes, np.int64)


def classes_of(key: str, labels: Any) -> Classes:
    """Returns the classes of labels: integers, texts or other values that can be sorted.

    Args:
        key: Name of the labels, for errors.
        labels: Labels in a form of `class_values`.

    Raises:
        UsageError: For missing labels, one class, one class in two spellings, and for numbers that
            are the target of a regression.

    >>> classes_of("y", [-1.0, 1.0, -1.0]).names
    ('-1', '1')
    """
    values = class_values(key, labels)
    if not values:
        raise UsageError(key, "must not be empty")
    refuse_missing(key, values)
    try:
        distinct = sorted(set(values))
    except TypeError as error:
        kinds = sorted({type(label).__name__ for label in values})
        rule = "must have labels of one type that can be sorted"
        raise UsageError(key, rule, " and ".join(kinds), "turn them into texts") from error
    if len(distinct) < FEWEST_CLASSES:
        raise UsageError(key, "must have at least two classes", f"only {distinct[0]!r}")
    _refuse_regression(key, distinct, len(values))
    classes = Classes(tuple(distinct))
    if isinstance(distinct[0], str | bytes):
        refuse_spellings(key, classes.names)
    return classes


def label_values(key: str, labels: Any) -> list[Any]:
    """Returns one value for each example as a value of Python.

    Args:
        key: Name of the labels, for errors.
        labels: Values (examples,) or (examples, 1) in a list, an array, a tensor, or a table or
            column of pandas or polars.

    Raises:
        UsageError: For other forms and shapes.
    """
    with _refused(key):
        return _label_values(key, labels)


def class_values(key: str, labels: Any) -> list[Any]:
    """Returns one value for each example, where one-hot rows (examples, classes) are class numbers.

    Raises:
        UsageError: As `label_values`, and for soft labels and several classes of one example.

    >>> class_values("y", [[0, 1], [1, 0], [1, 0]])
    [1, 0, 0]
    """
    with _refused(key):
        return _class_values(key, labels)


def _label_values(key: str, labels: Any) -> list[Any]:
    if isinstance(labels, list | tuple):
        return [_scalar(key, row, value) for row, value in enumerate(labels)]
    array = label_array(key, labels)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or array.dtype.kind == "V":
        value = f"the shape {array.shape}" if array.ndim != 1 else f"dtype {array.dtype}"
        raise UsageError(key, ONE_VALUE, value, ONE_HOT)
    is_wide = array.dtype.kind == "f" and array.dtype.itemsize > 8
    if array.dtype.kind in "biufUS" and not is_wide:
        values: list[Any] = array.tolist()
        return values
    return [_scalar(key, row, value) for row, value in enumerate(array)]


def _class_values(key: str, labels: Any) -> list[Any]:
    is_flat = isinstance(labels, list | tuple) and not any(np.ndim(row) for row in labels[:1])
    if is_flat:
        return _label_values(key, labels)
    array = to_array(key, labels) if isinstance(labels, list | tuple) else label_array(key, labels)
    if array.ndim != 2 or array.shape[1] < 2 or array.dtype.kind not in "biufO":
        return _label_values(key, array)
    rows = to_array(key, array, ("example", "class"))
    _refuse_not_one_hot(key, rows)
    numbers: list[Any] = rows.argmax(axis=1).tolist()
    return numbers


@contextmanager
def _refused(key: str) -> Iterator[None]:
    """Turns an error of a library about the labels into a UsageError."""
    try:
        yield
    except UsageError:
        raise
    except Exception as error:  # other libraries raise many kinds of errors
        raise UsageError(key, "must be an array of labels", error_line(error)) from error


def label_array(key: str, labels: Any) -> Array:
    """Returns labels, which are no list, as an array of any dtype and shape."""
    if hasattr(labels, "columns") and hasattr(labels, "to_numpy"):
        return np.asarray(labels.to_numpy())  # a table with a column of texts
    return library_array(key, labels)


def refuse_missing(key: str, values: Sequence[Any]) -> None:
    """Raises UsageError for a missing value, with its row."""
    for row, value in enumerate(values):
        if _is_missing(value):
            rule = "must have a value for each example"
            raise UsageError(key, rule, f"{value} in row {row}", "leave out examples without one")
        # Arrays of texts have texts for missing values, such as np.array(["a", float("nan")]).
        if isinstance(value, str | bytes) and _name(value).strip() in {"", *MISSING}:
            rule = "must have a value for each example"
            way_out = "leave out examples without one, or rename the class"
            raise UsageError(key, rule, f"{value!r} in row {row}", way_out)


def _name(value: Any) -> str:
    """Returns the name of a class."""
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    is_whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if is_whole else str(value)


def _scalar(key: str, row: int, value: Any) -> Any:
    """Returns a label as a value of Python. Raises UsageError for several values and for no label.

    A label of NumPy, a tensor, or a list or array of one label is a label.
    """
    if isinstance(value, list | tuple) or np.ndim(value):
        if len(value) != 1:
            raise UsageError(key, ONE_VALUE, f"{len(value)} values in row {row}", ONE_HOT)
        return _scalar(key, row, value[0])
    # Dates in nanoseconds would become integers.
    if hasattr(value, "item") and not isinstance(value, np.datetime64 | np.timedelta64):
        value = value.item()
    if isinstance(value, np.floating):  # wider than float64
        value = float(value)
    if type(value).__hash__ is None:
        rule = "must have numbers or texts as labels"
        raise UsageError(key, rule, f"{type(value).__name__} in row {row}")
    return value


def _is_missing(value: Any) -> bool:
    """Returns whether a value is None, infinity, or NaN, NaT or NA, which are not themselves."""
    if isinstance(value, float) and math.isinf(value):
        return True
    try:
        return value is None or bool(value != value)
    except TypeError:  # NA of pandas is neither true nor false
        return True


def _refuse_regression(key: str, distinct: Sequence[Any], examples: int) -> None:
    """Raises UsageError for so many sorted `distinct` labels that they are no classes."""
    are_numbers = isinstance(distinct[0], int | float)
    most = max(FEW_VALUES, MOST_CLASSES * examples)
    if are_numbers and not _are_class_numbers(distinct):
        most = max(FEW_VALUES, MOST_NUMBERS * examples)
    is_fractional = any(isinstance(label, float) and not label.is_integer() for label in distinct)
    if is_fractional:
        most = min(most, MOST_CLASSES * examples)
    if len(distinct) > most:
        kind = "numbers" if are_numbers else "values"
        value = f"{len(distinct)} distinct {kind}"
        raise UsageError(key, "must be labels of classes", value, CUT)


def _are_class_numbers(distinct: Sequence[Any]) -> bool:
    """Returns whether sorted numbers count classes from 0 or 1, of which some may be missing."""
    return distinct[0] in (0, 1) and distinct[-1] <= 2 * len(distinct)


def _refuse_not_one_hot(key: str, rows: Array) -> None:
    """Raises UsageError unless each row (examples, classes) has one 1, and 0 for other classes."""
    is_binary = ((rows == 0) | (rows == 1)).all(axis=1)
    totals = rows.sum(axis=1, dtype=np.float64)
    is_wrong = ~is_binary | (totals != 1)
    if not is_wrong.any():
        return
    row = int(is_wrong.argmax())
    values = ", ".join(f"{value:.3g}" for value in rows[row, :10])
    if is_binary.all():
        rule = "must have one class for each example"
        value = f"{totals[row]:g} classes in row {row}"
        raise UsageError(key, rule, value, "give the labels of one question at a time")
    are_probabilities = bool(((rows >= 0) & (rows <= 1)).all() and np.abs(totals - 1).max() < 0.01)
    if are_probabilities:
        rule = "must be classes or one-hot rows"
        way_out = "use argmax(axis=1) of soft labels"
        raise UsageError(key, rule, f"the soft label ({values}) in row {row}", way_out)
    value = f"the shape {rows.shape} with ({values}) in row {row}"
    raise UsageError(key, ONE_VALUE, value, ONE_HOT)
