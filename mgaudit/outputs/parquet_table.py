"""Reading of tables of scores from Parquet files."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError
from mgaudit.outputs.outputs_file import shown
from mgaudit.outputs.table import Column, Table, find_columns, refuse_cell
from mgaudit.targets.arrays.parquet_file import read_parquet_frame

if TYPE_CHECKING:
    from pandas import Series


def read_parquet_table(path: Path) -> Table:
    """Returns the table in a Parquet file; rows are counted from 1.

    Raises:
        UsageError: For a file that is no such table, for a score that is no finite number, and
            where neither pyarrow nor fastparquet is installed.
    """
    key = shown(path)
    frame = read_parquet_frame(key, path)
    positions, left_out = find_columns(key, [str(name) for name in frame.columns])
    scores = _scores(key, frame.iloc[:, positions["score"]])
    columns = {
        name: _text_column(key, name, frame.iloc[:, position])
        for name, position in positions.items()
        if name != "score"
    }
    lines = np.arange(1, len(frame) + 1)
    return Table(key, scores, columns, lines, "row", left_out)


def _scores(key: str, values: "Series[Any]") -> NDArray[np.float64]:
    import pandas as pd

    numbers = pd.to_numeric(values, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    is_wrong = ~np.isfinite(numbers)
    if is_wrong.any():
        row = int(is_wrong.argmax())
        value = "none" if values.isna().iloc[row] else repr(values.iloc[row])
        refuse_cell(key, f"row {row + 1}", "score", "must be a finite number", value)
    return np.asarray(numbers)


def _text_column(key: str, name: str, values: "Series[Any]") -> Column:
    """Returns a column of any type as texts; missing values become empty."""
    try:
        codes, distinct = values.factorize()
    except TypeError as error:
        rule = "must be a number or a text"
        way_out = "split the column, or leave it out"
        value = f"{values.iloc[0]!r} in row 1"
        raise UsageError(f"{key}: column {name!r}", rule, value, way_out) from error
    texts = [str(value) for value in distinct]
    if (codes < 0).any():
        texts.append("")  # the code -1 of a missing value is the last position
    return Column.of(np.asarray(codes, dtype=np.int64), texts)
