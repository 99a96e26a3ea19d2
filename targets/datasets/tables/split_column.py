"""The column of a table that divides its rows into training and test data."""

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError
from mgaudit.targets.datasets.tables.labels import ClassLabels
from mgaudit.targets.datasets.tables.table import Cells, Table, as_texts

SPLIT = "split"
SIDES = {"train": "train", "training": "train", "test": "test", "testing": "test"}
# Names of columns that divide rows in other forms, such as 0 and 1, or the numbers of folds.
FLAGS = frozenset({"is_train", "is_test", "istrain", "istest", "fold", "folds", "cv_fold", "kfold"})
MOST_FOLDS = 20
VALIDATION = ("val", "valid", "validation", "dev", "eval")


def split_column(key: str, table: Table, label: str) -> str | None:
    """Returns the name of the column that says which rows are test data; None without one.

    This is the column `split`, or a column of another spelling, such as `Split`, if it has texts.

    Raises:
        UsageError: For two such columns, and for a column of another name with the words of one.
    """
    names = []
    for name, cells in table.columns.items():
        has_texts = cells.dtype.kind == "O"
        if name == label:
            continue
        if name == SPLIT or (name.casefold() == SPLIT and has_texts):
            names.append(name)
        elif has_texts and _are_sides(cells):
            rule = "must name the column that divides training and test data 'split'"
            way_out = f"rename it, or leave it out with drop={name}"
            raise UsageError(key, rule, repr(name), way_out)
        elif name.casefold() in FLAGS and _are_few(cells):
            rule = "must say which rows are test data in a column 'split', with train and test"
            way_out = f"write it in this form, or leave the column out with drop={name}"
            raise UsageError(key, rule, repr(name), way_out)
    if len(names) > 1:
        rule = "must have one column 'split'"
        raise UsageError(key, rule, f"{names[0]!r} and {names[1]!r}", f"use drop={names[1]}")
    return names[0] if names else None


def _are_few(cells: Cells) -> bool:
    """Returns whether the cells have so few different values as a division of the rows."""
    return len(set(cells.tolist())) <= MOST_FOLDS


def _are_sides(cells: Cells) -> bool:
    """Returns whether the texts are the words of a split, and both sides occur."""
    words = {_word(cell) for cell in cells.tolist()}
    sides = {SIDES[word] for word in words if word in SIDES}
    return len(sides) == 2 and words <= {*SIDES, *VALIDATION, ""}


def _word(cell: object) -> str:
    return "" if cell is None else str(cell).strip("\"'").strip().casefold()


def test_rows_of_column(
    key: str, name: str, cells: Cells, rows: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Returns which rows are test data (rows,), bool.

    Args:
        key: Name of the dataset, for errors.
        name: Name of the column.
        cells: `train` or `test` in each row (rows,), also with other case or as `training`.
        rows: The number of each row in the file (rows,), int64, for errors.

    Raises:
        UsageError: For other values.
    """
    words = [_word(cell) for cell in as_texts(cells).tolist()]
    for word, cell, row in zip(words, cells.tolist(), rows, strict=True):
        if word in SIDES:
            continue
        rule = f"must be 'train' or 'test' in column {name!r}"
        value = f"none in row {row}" if cell is None else f"{cell!r} in row {row}"
        way_out = f"leave the column out with drop={name}, or correct it"
        if word in VALIDATION:
            way_out = "leave these rows out, or call them train or test"
        raise UsageError(key, rule, value, way_out)
    return np.array([SIDES[word] == "test" for word in words], dtype=bool)


def refuse_one_sided_class(
    key: str,
    column: str,
    classes: ClassLabels,
    is_test: NDArray[np.bool_],
    rows: NDArray[np.int64],
) -> None:
    """Raises UsageError for a class of which one of the two splits has no row.

    `column` is the label column, and `rows` has the number of each row in the file.
    """
    for number, name in enumerate(classes.names):
        of_class = classes.labels == number
        for side, of_side in (("train", ~is_test), ("test", is_test)):
            if (of_class & of_side).any():
                continue
            rule = f"must have rows of both splits of each class in column {column!r}"
            row = rows[int(of_class.argmax())]
            raise UsageError(key, rule, f"no {side} row of {name!r}, which is in row {row}")
