"""The cells of a table in text."""

import csv
import io
from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from mgaudit.errors import UsageError
from mgaudit.targets.arrays.array_like import LARGEST_WHOLE
from mgaudit.targets.datasets.tables.layout import Layout
from mgaudit.targets.datasets.tables.table import Cells, Table, as_texts, is_missing
from mgaudit.targets.own_module import one_line

if TYPE_CHECKING:
    from pandas import DataFrame

REPAIR = "repair the file"


def read_cells(
    key: str, layout: Layout, text_columns: Collection[str] = (), all_text: bool = False
) -> Table:
    """Returns the table, without rows in which every cell is empty.

    Columns in which all cells are plain numbers are int64, uint64 or float64. Others have texts.

    Args:
        key: Name of the dataset, for errors.
        layout: The layout of the table.
        text_columns: Names of the columns whose cells are texts in any case, such as labels.
        all_text: Whether the cells of every column are texts.

    Raises:
        UsageError: For rows with more or fewer cells than the header.
    """
    frame = _frame(key, layout, layout.columns if all_text else text_columns)
    columns = {name: frame[name].to_numpy() for name in layout.columns}
    large = [name for name, cells in columns.items() if _has_large_floats(cells)]
    if large:  # their digits are lost, so that it is not known whether the numbers are exact
        texts = _frame(key, layout, large)
        columns |= {name: texts[name].to_numpy() for name in large}
    columns = {
        name: cells if cells.dtype.kind in "iuf" else as_texts(cells.astype(object))
        for name, cells in columns.items()
    }
    if is_missing(columns[layout.columns[-1]]).any():  # pandas fills short rows up
        _refuse_ragged_rows(key, layout)
    table = Table(columns, np.arange(1, len(frame) + 1))
    is_empty = np.all([is_missing(cells) for cells in columns.values()], axis=0)
    return table.chosen(~is_empty)


def _frame(key: str, layout: Layout, text_columns: Collection[str]) -> "DataFrame":
    """Returns the table as pandas reads it; empty cells are NaN."""
    import pandas as pd  # takes half a second, and no other dataset needs it

    if not layout.body.strip():
        return pd.DataFrame({name: pd.Series([], dtype=str) for name in layout.columns})
    width = len(layout.columns)
    first_row = next(layout.records(), [])
    if len(first_row) > width:  # pandas would take its first cells for the name of the row
        _refuse_row(key, width, len(first_row), 1)
    try:
        return pd.read_csv(
            io.StringIO(layout.body),
            sep=layout.separator,
            header=None,
            names=list(layout.columns),
            index_col=False,
            dtype=dict.fromkeys(text_columns, str),
            keep_default_na=False,
            na_values=[""],
            skipinitialspace=True,
            low_memory=False,
        )
    except Exception as error:  # pandas raises many kinds of errors
        _refuse_ragged_rows(key, layout)
        rule = f"must be a table of cells separated by {layout.separator!r}"
        raise UsageError(key, rule, one_line(error), REPAIR) from error


def _refuse_ragged_rows(key: str, layout: Layout) -> None:
    """Raises UsageError for the first row with more or fewer cells than the header."""
    width = len(layout.columns)
    try:
        for row, cells in enumerate(layout.records(), start=1):
            if len(cells) != width:
                _refuse_row(key, width, len(cells), row)
    except csv.Error as error:
        raise UsageError(key, "must be a table in text", one_line(error), REPAIR) from error


def _refuse_row(key: str, width: int, cells: int, row: int) -> None:
    rule = f"must have a cell for each of the {width} columns of the header in every row"
    raise UsageError(key, rule, f"{cells} cells in row {row}", REPAIR)


def _has_large_floats(cells: Cells) -> bool:
    """Returns whether there are floats that may be whole numbers which float64 rounds."""
    return cells.dtype.kind == "f" and bool((np.abs(cells) >= LARGEST_WHOLE).any())
