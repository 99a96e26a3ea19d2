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


def read_csv(path: str, examples: int | None, generator: np.random.Generator) -> Dataset:
    """A CSV file of numbers with a header; the column `label`, or the COLUMN of csv:PATH#COLUMN, names the classes.

    Where there is a column `split`, it says train or test in every row; elsewhere every third row of each class is test
    data. All other columns are features. Rows are counted from 1, the header not among them.
    """
    file, column = _file_and_column(path)
    place = f"dataset csv:{path}"
    if not file.is_file():
        raise UsageError(
            place,
            "must be a file",
            f"no file at {str(file)!r}",
            "use --dataset csv:PATH or csv:PATH#COLUMN",
        )
    table = _table(place, file, column)
    names, labels = _classes(place, table[column])
    test = _test_rows(place, table, column)
    inputs = _features(place, table.drop(columns=[column, SPLIT], errors="ignore"))
    origins = tuple(f"row {row + 1}" for row in np.flatnonzero(~test))
    whole = Dataset(
        f"csv:{path}", inputs[~test], labels[~test], inputs[test], labels[test], names, origins
    )
    return whole.drawn(examples, generator)


def _file_and_column(path: str) -> tuple[Path, str]:
    """Returns the file and the label column; a `#` may be part of the name of a file that is there."""
    file, mark, column = path.rpartition("#")
    return (Path(file), column) if mark and not Path(path).is_file() else (Path(path), LABEL)


def _table(place: str, file: Path, column: str) -> "DataFrame":
    import pandas as pd  # takes half a second, and no other dataset needs it

    try:
        table = pd.read_csv(file, dtype={column: str, SPLIT: str}, low_memory=False)
    except Exception as error:  # pandas raises a dozen kinds, those of compressed files among them
        raise UsageError(
            place, "must be a table of comma-separated values in UTF-8", str(error), REPAIR
        ) from error
    if not isinstance(
        table.index, pd.RangeIndex
    ):  # pandas takes what the header does not name for row names
        raise UsageError(
            place,
            "must have a header that names every column",
            "rows that are longer than it",
            REPAIR,
        )
    if column not in table:
        known = ", ".join(map(str, table.columns[:10])) + (", …" if len(table.columns) > 10 else "")
        rule = f"must have the label column {column!r}"
        raise UsageError(
            place, rule, f"the columns {known}", "name the label column in csv:PATH#COLUMN"
        )
    for name, values in table.items():
        if values.isna().any():
            row = int(np.flatnonzero(values.isna())[0])
            value = f"none in row {row + 1}, column {str(name)!r}"
            raise UsageError(
                place, "must hold a value in every cell", value, "fill it in or leave the row out"
            )
    return table


def _classes(place: str, column: "Series[str]") -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Returns the names of the classes, whole numbers in their order and others in the alphabet's, and the labels."""
    found = column.unique().tolist()
    try:
        names = sorted(found, key=int)
    except ValueError:
        names = sorted(found)
    if len(names) < 2:
        rule = f"must have at least 2 classes in the label column {column.name!r}"
        raise UsageError(place, rule, str(names))
    return tuple(names), column.map({name: label for label, name in enumerate(names)}).to_numpy(
        np.int64
    )


def _test_rows(place: str, table: "DataFrame", column: str) -> NDArray[np.bool_]:
    """Returns for each row whether it is test data; each class has rows on both sides."""
    labels = table[column]
    if SPLIT not in table:
        counts = labels.value_counts()
        if counts.min() < 3:
            rarest = counts.idxmin()
            raise UsageError(
                place,
                f"must have at least 3 rows of each class in column {column!r}, one of them for testing",
                f"{counts.min()} of {rarest!r}, in row {_first_row(labels == rarest)}",
                "add rows, or leave the class out",
            )
        return (labels.groupby(labels).cumcount() % 3 == 2).to_numpy()
    wrong = ~table[SPLIT].isin(["train", "test"])
    if wrong.any():
        value = f"{table[SPLIT][wrong].iloc[0]!r} in row {_first_row(wrong)}"
        raise UsageError(place, f"must say train or test in column {SPLIT!r}", value)
    for side in ("train", "test"):
        missing = set(labels) - set(labels[table[SPLIT] == side])
        if missing:
            name = min(missing)
            value = f"no {side} row of {name!r}, which is in row {_first_row(labels == name)}"
            raise UsageError(
                place, f"must have rows of both splits of each class in column {column!r}", value
            )
    return (table[SPLIT] == "test").to_numpy()


def _features(place: str, table: "DataFrame") -> NDArray[np.float32]:
    import pandas as pd

    if table.shape[1] == 0:
        raise UsageError(
            place, "must have at least one column of features beside the labels", "none"
        )
    for name, values in table.items():
        try:
            numbers = pd.to_numeric(values, errors="coerce").to_numpy(np.float64)
        except OverflowError as error:
            value = f"one that is too large in column {str(name)!r}"
            raise UsageError(
                place, "must hold a finite number in every feature", value, REPAIR
            ) from error
        bad = ~(
            np.abs(numbers) <= np.finfo(np.float32).max
        )  # NaN, infinity and what float32 cannot hold
        if bad.any():
            _refuse_cell(place, str(name), int(np.flatnonzero(bad)[0]), values)
    return table.to_numpy(np.float32)


def _refuse_cell(place: str, column: str, row: int, values: "Series[str]") -> NoReturn:
    raise UsageError(
        place,
        "must hold a finite number in every feature",
        f"{str(values.iloc[row])!r} in row {row + 1}, column {column!r}",
        "turn categories into numbers, or leave the column out",
    )


def _first_row(chosen: "Series[bool]") -> int:
    return int(np.flatnonzero(chosen)[0]) + 1
