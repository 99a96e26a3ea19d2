"""Tables of numbers with a label column."""

from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError
from mgaudit.targets.datasets.dataset import Dataset

if TYPE_CHECKING:
    from pandas import DataFrame, Series

LABEL, SPLIT = "label", "split"
REPAIR = "repair the file"


def read_csv(
    path: str, examples: int | None, generator: np.random.Generator, *, label: str = LABEL
) -> Dataset:
    """A CSV file of numbers with a header; classes are in `label` or COLUMN of csv:PATH#COLUMN.

    If there is a column `split`, its value in every row must be train or test; otherwise every
    third row of each class is test data. All other columns are features. In messages, rows are
    numbered from 1, without the header.
    """
    file = Path(path)
    key = f"dataset csv:{path}"
    if not file.is_file():
        way_out = "use --dataset csv:PATH or csv:PATH#COLUMN"
        raise UsageError(key, "must be a file", f"no file at {str(file)!r}", way_out)
    table = _table(key, file, label)
    names, labels = _classes(key, table[label])
    test = _test_rows(key, table, label)
    train = ~test
    feature_columns = table.drop(columns=[label, SPLIT], errors="ignore")
    inputs = _features(key, feature_columns)
    whole = Dataset(
        f"csv:{path}",
        inputs[train],
        labels[train],
        inputs[test],
        labels[test],
        names,
        origins=tuple(f"row {row + 1}" for row in np.flatnonzero(train)),
    )
    return whole.drawn(examples, generator)


def _table(key: str, file: Path, column: str) -> "DataFrame":
    """Returns the table in `file`, with the label column as text.

    Raises:
        UsageError: For a file that is no such table, and for an empty cell; `key` begins the
            message.
    """
    import pandas as pd  # takes half a second, and no other dataset needs it

    try:
        table = pd.read_csv(file, dtype={column: str, SPLIT: str}, low_memory=False)
    except Exception as error:  # pandas raises many kinds of errors, also for compressed files
        rule = "must be a table of comma-separated values in UTF-8"
        raise UsageError(key, rule, str(error), REPAIR) from error
    # pandas takes the first values of rows that are longer than the header for row names.
    if not isinstance(table.index, pd.RangeIndex):
        rule = "must have a header that names every column"
        raise UsageError(key, rule, "rows that are longer than it", REPAIR)
    if column not in table:
        known = ", ".join(map(str, table.columns[:10]))
        if len(table.columns) > 10:
            known += ", …"
        rule = f"must have the label column {column!r}"
        way_out = "name the label column in csv:PATH#COLUMN"
        raise UsageError(key, rule, f"the columns {known}", way_out)
    for name, values in table.items():
        missing = values.isna()
        if missing.any():
            value = f"none in row {_first_row(missing)}, column {str(name)!r}"
            raise UsageError(
                key, "must hold a value in every cell", value, "fill it in or leave the row out"
            )
    return table


def _classes(key: str, column: "Series[str]") -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Returns the names of the classes and the class number of each row (rows,), int64.

    The names are in numerical order if all are whole numbers, otherwise in alphabetical order.
    """
    values = column.unique().tolist()
    try:
        names = sorted(values, key=int)
    except ValueError:
        names = sorted(values)
    if len(names) < 2:
        rule = f"must have at least 2 classes in the label column {column.name!r}"
        raise UsageError(key, rule, str(names))
    label_of = {name: label for label, name in enumerate(names)}
    labels = column.map(label_of).to_numpy(np.int64)
    return tuple(names), labels


def _test_rows(key: str, table: "DataFrame", column: str) -> NDArray[np.bool_]:
    """Returns, for each row, whether it is test data (rows,), bool.

    Raises:
        UsageError: Where a class lacks rows of a split, and for other values in column `split`.
    """
    labels = table[column]
    if SPLIT not in table:
        return _every_third_row(key, labels)
    split = table[SPLIT]
    wrong = ~split.isin(["train", "test"])
    if wrong.any():
        value = f"{split[wrong].iloc[0]!r} in row {_first_row(wrong)}"
        raise UsageError(key, f"must be 'train' or 'test' in column {SPLIT!r}", value)
    for name in ("train", "test"):
        missing = set(labels) - set(labels[split == name])
        if missing:
            label = min(missing)
            rule = f"must have rows of both splits of each class in column {column!r}"
            value = f"no {name} row of {label!r}, which is in row {_first_row(labels == label)}"
            raise UsageError(key, rule, value)
    return (split == "test").to_numpy()


def _every_third_row(key: str, labels: "Series[str]") -> NDArray[np.bool_]:
    """Returns True for every third row of each class (rows,), bool, in the order of the file.

    Raises:
        UsageError: For a class with fewer than 3 rows.
    """
    counts = labels.value_counts()
    fewest = counts.min()
    if fewest < 3:
        rarest = counts.idxmin()
        raise UsageError(
            key,
            f"must have at least 3 rows of each class in column {labels.name!r}, "
            "one of them for testing",
            f"{fewest} of {rarest!r}, in row {_first_row(labels == rarest)}",
            "add rows, or leave the class out",
        )
    number_in_class = labels.groupby(labels).cumcount()
    return (number_in_class % 3 == 2).to_numpy()


def _features(key: str, table: "DataFrame") -> NDArray[np.float32]:
    """Returns the table's values (rows, features), or raises UsageError unless all are finite."""
    import pandas as pd

    if table.shape[1] == 0:
        rule = "must have at least one column of features beside the labels"
        raise UsageError(key, rule, "none")
    for name, values in table.items():
        try:
            numbers = pd.to_numeric(values, errors="coerce").to_numpy(np.float64)
        except OverflowError as error:
            rule = "must hold a finite number in every feature"
            value = f"one that is too large in column {str(name)!r}"
            raise UsageError(key, rule, value, REPAIR) from error
        # NaN, infinity and numbers beyond the range of float32
        bad = ~(np.abs(numbers) <= np.finfo(np.float32).max)
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            _refuse_cell(key, str(name), row, values)
    return table.to_numpy(np.float32)


def _refuse_cell(key: str, column: str, row: int, values: "Series[str]") -> NoReturn:
    """Raises UsageError for the value in `row` (from 0) of a column with these `values` (rows,)."""
    raise UsageError(
        key,
        "must hold a finite number in every feature",
        f"{str(values.iloc[row])!r} in row {row + 1}, column {column!r}",
        "turn categories into numbers, or leave the column out",
    )


def _first_row(chosen: "Series[bool]") -> int:
    """Returns the number, from 1, of the first row for which `chosen` (rows,) is True."""
    return int(np.flatnonzero(chosen)[0]) + 1
