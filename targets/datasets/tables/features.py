"""The features of the columns of a table: numbers as they are, and categories as zeros and ones."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError
from mgaudit.targets.arrays.array_like import LARGEST_WHOLE
from mgaudit.targets.arrays.float32 import as_float32, is_damaged
from mgaudit.targets.datasets.tables.columns import Column
from mgaudit.targets.datasets.tables.notes import columns as columns_text
from mgaudit.targets.datasets.tables.notes import listed
from mgaudit.targets.datasets.tables.table import Cells
from mgaudit.targets.free_memory import check_memory
from mgaudit.targets.limits import FEATURES_OF_TABLE

MEMORY_OF_A_FEATURE = 16  # bytes of float32: the columns, all rows, both splits, standardised
MOST_CATEGORIES = 100
Float32 = NDArray[np.float32]


def features(columns: Sequence[Column], train: NDArray[np.bool_]) -> tuple[Float32, Float32]:
    """Returns the features of the training rows and of the other rows, each (rows, features).

    Numbers are one feature, as `as_float32` converts those of all rows, so that rows that are equal
    in float32 do not depend on the split. A missing number is the median of the
    training rows, and a further feature is 1 where the number is missing. Categories are one
    feature each, in sorted order, which is 1 in the rows of the category. A missing category is a
    category of its own, the last one.

    Args:
        columns: The columns; those of numbers must have a value in a training row.
        train: Which rows are training rows (rows,), bool.
    """
    converted: list[Float32] = []
    for column in columns:
        for values in _values_of(column, train):
            of_all_rows, _ = as_float32(values[:, np.newaxis], values[:0, np.newaxis])
            converted.append(of_all_rows)
    rows = np.concatenate(converted, axis=1)
    return rows[train], rows[~train]


def _values_of(column: Column, train: NDArray[np.bool_]) -> list[NDArray[Any]]:
    """Returns the values of each feature of a column, (rows,) each."""
    has_gaps = bool(column.missing.any())
    marks = [column.missing.astype(np.float32)] if has_gaps else []
    if column.is_category:
        names = sorted(set(column.present.tolist()))
        return [(column.values == name).astype(np.float32) for name in names] + marks
    return [_filled_or_all(column, train), *marks]


def _filled_or_all(column: Column, train: NDArray[np.bool_]) -> Cells:
    return _filled(column, train) if column.missing.any() else column.values


def _filled(column: Column, train: NDArray[np.bool_]) -> Cells:
    """Returns the numbers with the median of the training rows for each missing one."""
    known = column.values[train & ~column.missing]
    values = column.values
    if values.dtype.kind == "f" or np.abs(values.astype(np.float64)).max() < LARGEST_WHOLE:
        values = values.astype(np.float64)
        median = np.median(known.astype(np.float64))
    else:  # the upper median, because the mean of two large whole numbers may not be exact
        median = np.partition(known, known.size // 2)[known.size // 2]
    return np.where(column.missing, median, values)


def refuse_many_categories(key: str, columns: Sequence[Column], most: int | None) -> None:
    """Raises UsageError for a column with too many categories.

    `most` is the largest number of categories; None means `MOST_CATEGORIES` and half of the rows.
    """
    for column in columns:
        if not column.is_category:
            continue
        count = len(set(column.present.tolist()))
        rows = len(column.values)
        limit = max(2, min(MOST_CATEGORIES, rows // 2)) if most is None else most
        if count > limit:
            rule = f"must have at most {limit} categories in a column of {rows} rows"
            value = f"{count} in column {column.name!r}"
            name = column.name
            way_out = f"leave it out with drop={name}, or allow them with most_categories={count}"
            raise UsageError(key, rule, value, way_out)


def refuse_many_features(key: str, columns: Sequence[Column]) -> None:
    """Raises UsageError for columns that become too many features, or do not fit into memory."""
    count = 0
    for column in columns:
        count += _count(column) if column.is_category else 1 + bool(column.missing.any())
    FEATURES_OF_TABLE.check(key, count)
    rows = len(columns[0].values)
    what = f"{rows:,} rows of {count:,} features"
    check_memory(key, MEMORY_OF_A_FEATURE * rows * count, what, FEATURES_OF_TABLE.way_out)


def feature_notes(columns: Sequence[Column], train: NDArray[np.bool_]) -> list[str]:
    """Returns notes about categories, missing values and constant columns."""
    notes = []
    categories = [column for column in columns if column.is_category]
    if categories:
        counts = [f"{column.name} ({_count(column)})" for column in categories]
        notes.append(f"Categories become features of zeros and ones: {', '.join(counts)}.")
    scaled = [
        column.name
        for column in columns
        if not column.is_category and is_damaged(_filled_or_all(column, train), column.values[:0])
    ]
    if scaled:
        verb = "was" if len(scaled) == 1 else "were"
        names = columns_text(scaled)
        notes.append(f"{names} {verb} centred and scaled, because float32 would round the values.")
    filled = [column for column in columns if column.missing.any()]
    numbers = [f"{c.name} ({c.missing.sum()})" for c in filled if not c.is_category]
    if numbers:
        notes.append(
            "Missing numbers become the median of the training rows, and a further feature of "
            f"zeros and ones marks them: {', '.join(numbers)}."
        )
    words = [f"{c.name} ({c.missing.sum()})" for c in filled if c.is_category]
    if words:
        notes.append(f"Missing values become a category of their own: {', '.join(words)}.")
    constant = [column.name for column in columns if _is_constant(column, train)]
    if constant:
        verb = "is" if len(constant) == 1 else "are"
        notes.append(f"{columns_text(constant)} {verb} constant in the training rows.")
    for column in categories:
        notes += _similar_categories(column)
    return notes


def _count(column: Column) -> int:
    return len(set(column.present.tolist())) + bool(column.missing.any())


def _is_constant(column: Column, train: NDArray[np.bool_]) -> bool:
    missing = column.missing[train]
    values = column.values[train]
    return bool((missing == missing[0]).all() and (values == values[0]).all())


def _similar_categories(column: Column) -> list[str]:
    """Returns a note if categories of a column differ only in upper and lower case."""
    names: dict[str, list[str]] = {}
    for name in sorted(set(column.present.tolist())):
        names.setdefault(name.casefold(), []).append(name)
    similar = [group for group in names.values() if len(group) > 1]
    if not similar:
        return []
    return [f"Categories of column {column.name!r} differ only in case: {listed(similar[0])}."]
