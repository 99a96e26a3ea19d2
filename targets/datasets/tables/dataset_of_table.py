"""The dataset of a table: its classes, its features, and its split."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError, did_you_mean
from mgaudit.targets.datasets.contents import contents
from mgaudit.targets.datasets.dataset import Dataset
from mgaudit.targets.datasets.duplicates import groups_of
from mgaudit.targets.datasets.split import TEST_FRACTION, split_by_fraction
from mgaudit.targets.datasets.tables.columns import Column, ColumnReader
from mgaudit.targets.datasets.tables.features import (
    feature_notes,
    features,
    refuse_many_categories,
    refuse_many_features,
)
from mgaudit.targets.datasets.tables.index_columns import index_columns, index_notes
from mgaudit.targets.datasets.tables.labels import (
    ClassLabels,
    LabelReader,
    SpellingRule,
    refuse_rare_classes,
)
from mgaudit.targets.datasets.tables.notes import columns as columns_text
from mgaudit.targets.datasets.tables.number_text import Marks
from mgaudit.targets.datasets.tables.split_column import (
    refuse_one_sided_class,
    split_column,
    test_rows_of_column,
)
from mgaudit.targets.datasets.tables.table import Table, as_texts
from mgaudit.targets.ranges import Range

MissingRule = Literal["fill", "drop", "refuse"]
IndexRule = Literal["drop", "keep"]
TestFraction = Annotated[float, Range(0, 1, low_open=True, high_open=True)]
MostCategories = Annotated[int, Range(2)] | None
NAMELESS = re.compile(r"Unnamed: \d+")


@dataclass(frozen=True)
class TableOptions:
    """How a table becomes a dataset.

    Args:
        label: Name of the label column.
        drop: Names of columns to leave out, separated by `|`.
        categorical: Names of columns whose numbers are categories, separated by `|`.
        index: Whether to leave out columns that identify rows.
        missing: Whether to fill missing values, to leave out their rows, or to refuse them.
        most_categories: Largest number of categories of a column; None means 100 and half of the
            rows.
        labels: What to do with labels that differ only in form.
        test_fraction: Fraction of each class that is test data, if no column says it.
    """

    label: str
    drop: str
    categorical: str
    index: IndexRule
    missing: MissingRule
    most_categories: MostCategories
    labels: SpellingRule
    test_fraction: float


def dataset_of_table(
    name: str,
    table: Table,
    options: TableOptions,
    marks: Marks,
    notes: Sequence[str],
    settable_marks: bool = True,
) -> Dataset:
    """Returns the dataset of a table with a label column.

    Args:
        name: Name of the dataset.
        table: The table.
        options: How it becomes a dataset.
        marks: The marks in its numbers.
        notes: How the table was read.
        settable_marks: Whether the user can choose the marks.

    Raises:
        UsageError: For a table that is no dataset; the message names the row and the column.
    """
    key = f"dataset {name}"
    if len(table.rows) == 0:
        raise UsageError(key, "must have rows of data", "none")
    table = table.without(set(chosen_columns(key, "drop", options.drop, table, options.label)))
    split = split_column(key, table, options.label)
    _refuse_fraction(key, split, options.test_fraction)
    rest = table.without({options.label} | ({split} if split else set()))
    categorical = chosen_columns(key, "categorical", options.categorical, rest, options.label)
    all_categorical = table.categorical | set(categorical)
    reader = ColumnReader(key, table.rows, marks, all_categorical, settable_marks)
    columns, column_notes = _feature_columns(key, reader.columns(rest), options)
    kept = _rows_to_keep(key, columns, table.rows, options.missing)
    left_out = int((~kept).sum())
    if left_out:
        column_notes.append(f"Rows with missing values are left out: {left_out}.")
        columns = [column.chosen(kept) for column in columns]
        table = table.chosen(kept)
    label_cells = as_texts(table.columns[options.label])
    classes = LabelReader(key, options.label, table.rows, marks, options.labels).read(label_cells)
    refuse_many_categories(key, columns, options.most_categories)
    refuse_many_features(key, columns)
    is_test, split_note = _test_rows(key, table, split, classes, columns, options)
    columns, gap_notes = _with_training_values(key, columns, ~is_test)
    inputs, test_inputs = features(columns, ~is_test)
    all_notes = [*notes, *column_notes, *gap_notes, *feature_notes(columns, ~is_test)]
    return Dataset(
        name,
        inputs,
        classes.labels[~is_test],
        test_inputs,
        classes.labels[is_test],
        classes.names,
        origins=tuple(f"row {row}" for row in table.rows[~is_test]),
        notes=(*all_notes, *classes.notes, split_note),
    )


def _refuse_fraction(key: str, split: str | None, test_fraction: float) -> None:
    """Raises UsageError for a share of test data beside a column that divides the rows."""
    if split is not None and test_fraction != TEST_FRACTION:
        rule = f"must not be given with the column {split!r}"
        way_out = f"leave the column out with drop={split}"
        raise UsageError(f"{key}: test_fraction", rule, None, way_out)


def _without_training_rows(
    columns: Sequence[Column], is_test: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Returns which rows are test data (rows,) and have the features of no training row, bool.

    Rows may become equal in the split, because columns without a training value are left out.
    """
    is_test = is_test.copy()
    while True:
        inputs, test_inputs = features(columns, ~is_test)
        training_contents = set(contents(inputs))
        equal = np.array([row in training_contents for row in contents(test_inputs)], dtype=bool)
        if not equal.any():
            return is_test
        is_test[np.flatnonzero(is_test)[equal]] = False


def chosen_columns(key: str, option: str, text: str, table: Table, label: str) -> list[str]:
    """Returns the columns that an option names, separated by `|`.

    Raises:
        UsageError: For a column that is not in the table, and for the label column.
    """
    names = list(table.columns)
    chosen = [text] if text in names else [name.strip() for name in text.split("|")]
    chosen = [name for name in chosen if name]
    for name in chosen:
        if name == label:
            rule = "must not name the label column"
            raise UsageError(f"{key}: {option}", rule, repr(name))
        if name not in names:
            rule = "must name columns of the table, separated by |"
            raise UsageError(f"{key}: {option}", rule, repr(name), did_you_mean(name, names))
    return chosen


def _feature_columns(
    key: str, columns: list[Column], options: TableOptions
) -> tuple[list[Column], list[str]]:
    """Returns the columns that are features, and notes about the others.

    Raises:
        UsageError: If there are none, and for columns without a name that are not the first.
    """
    notes = []
    empty = [column.name for column in columns if column.missing.all()]
    if empty:
        verb = "is" if len(empty) == 1 else "are"
        notes.append(f"{columns_text(empty)} {verb} left out: without a value.")
    columns = [column for column in columns if column.name not in empty]
    index = index_columns(columns) if options.index == "drop" else []
    if index:
        verb = "identifies" if len(index) == 1 else "identify"
        notes.append(f"{columns_text(index)} {verb} the rows: left out (keep with index=keep).")
    columns = [column for column in columns if column.name not in index]
    notes += index_notes(columns)
    for column in columns:
        if NAMELESS.fullmatch(column.name) and options.index == "drop":
            rule = "must have a header that names every column"
            way_out = f"name it, or leave it out with drop={column.name}"
            raise UsageError(key, rule, repr(column.name), way_out)
    if not columns:
        rule = "must have at least one column of features beside the labels"
        raise UsageError(key, rule, "none")
    return columns, notes


def _rows_to_keep(
    key: str, columns: Sequence[Column], rows: NDArray[np.int64], rule: MissingRule
) -> NDArray[np.bool_]:
    """Returns which rows remain (rows,), bool.

    `rows` has the number of each row in the file. Raises UsageError for a missing value that is
    refused.
    """
    if rule == "refuse":
        for column in columns:
            if column.missing.any():
                row = rows[int(column.missing.argmax())]
                value = f"none in row {row}, column {column.name!r}"
                way_out = "fill it in, leave the row out, or use missing=fill or missing=drop"
                raise UsageError(key, "must hold a value in every cell", value, way_out)
    if rule == "drop":
        complete = np.all([~column.missing for column in columns], axis=0)
        if not complete.any():
            way_out = "use missing=fill"
            raise UsageError(key, "must have rows without missing values", "none", way_out)
        return np.asarray(complete)
    return np.ones(len(rows), dtype=bool)


def _test_rows(
    key: str,
    table: Table,
    split: str | None,
    classes: ClassLabels,
    columns: Sequence[Column],
    options: TableOptions,
) -> tuple[NDArray[np.bool_], str]:
    """Returns which rows are test data (rows,), bool, and a note that says so.

    `split` is the column that says it; None means a fraction of each class, where rows with equal
    features are on one side.
    """
    if split is not None:
        is_test = test_rows_of_column(key, split, table.columns[split], table.rows)
        refuse_one_sided_class(key, options.label, classes, is_test, table.rows)
        return is_test, f"Column {split!r} says which rows are test data: {is_test.sum()}."
    refuse_rare_classes(key, options.label, classes, table.rows)
    all_rows = np.ones(len(table.rows), dtype=bool)
    whole, _ = features(_with_training_values(key, columns, all_rows)[0], all_rows)
    groups = groups_of(contents(whole)).numbers
    fraction = options.test_fraction
    by_fraction = split_by_fraction(key, classes.labels, groups, fraction, classes.names)
    with_values, _ = _with_training_values(key, columns, ~by_fraction)
    is_test = _without_training_rows(with_values, by_fraction)
    refuse_one_sided_class(key, options.label, classes, is_test, table.rows)
    count = f"{is_test.sum()} of {len(is_test)}"
    equal = len(groups) - len(np.unique(groups)) + int((by_fraction != is_test).sum())
    if equal:
        rule = f"about {fraction:.3g} of each class, with equal rows on one side"
    elif fraction == TEST_FRACTION:
        rule = "every third row of each class"
    else:
        rule = f"{fraction:.3g} of each class"
    return is_test, f"Test data are {rule}: {count} rows."


def _with_training_values(
    key: str, columns: Sequence[Column], train: NDArray[np.bool_]
) -> tuple[list[Column], list[str]]:
    """Returns the columns without numbers that are missing in all training rows, and notes.

    `train` says which rows are training rows (rows,). Raises UsageError if no column remains.
    """
    kept = [column for column in columns if column.is_category or not column.missing[train].all()]
    kept_names = {column.name for column in kept}
    left_out = [column.name for column in columns if column.name not in kept_names]
    if not kept:
        rule = "must have a column of features with a value in a training row"
        raise UsageError(key, rule, "none")
    if not left_out:
        return kept, []
    return kept, [f"{columns_text(left_out)} left out: without a value in the training rows."]
