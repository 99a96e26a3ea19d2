"""Tables in Parquet files."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mgaudit.errors import UsageError
from mgaudit.targets.arrays.parquet_file import read_parquet_frame
from mgaudit.targets.datasets.dataset import Dataset
from mgaudit.targets.datasets.regular_file import check_regular_file
from mgaudit.targets.datasets.split import TEST_FRACTION
from mgaudit.targets.datasets.tables.dataset_of_table import (
    IndexRule,
    MissingRule,
    MostCategories,
    TableOptions,
    TestFraction,
    dataset_of_table,
)
from mgaudit.targets.datasets.tables.labels import SpellingRule, refuse_missing_label
from mgaudit.targets.datasets.tables.number_text import Marks
from mgaudit.targets.datasets.tables.table import Cells, Table, as_texts
from mgaudit.targets.limits import COLUMNS

if TYPE_CHECKING:
    from pandas import DataFrame, Series

SINGLE_VALUES = (str, Real, np.bool_, Decimal, date, datetime, time)


def read_parquet(
    path: str,
    examples: int | None,
    generator: np.random.Generator,
    *,
    label: str = "label",
    drop: str = "",
    categorical: str = "",
    missing: MissingRule = "fill",
    index: IndexRule = "drop",
    labels: SpellingRule = "refuse",
    test_fraction: TestFraction = TEST_FRACTION,
    most_categories: MostCategories = None,
) -> Dataset:
    """A table in a Parquet file; its classes are in `label` or COLUMN of parquet:PATH#COLUMN.

    Columns, options and the split are as in csv:PATH. An index with names is read as columns. This
    needs pyarrow or fastparquet: pip install 'mgaudit[parquet]'.
    """
    file = Path(path)
    name = f"parquet:{path}"
    key = f"dataset {name}"
    check_regular_file(key, file, "use --dataset parquet:PATH or parquet:PATH#COLUMN")
    table = _table(key, read_parquet_frame(key, file))
    refuse_missing_label(key, label, table.columns)
    options = TableOptions(
        label=label,
        drop=drop,
        categorical=categorical,
        index=index,
        missing=missing,
        most_categories=most_categories,
        labels=labels,
        test_fraction=test_fraction,
    )
    whole = dataset_of_table(name, table, options, Marks(), [], settable_marks=False)
    return whole.drawn(examples, generator)


def _table(key: str, frame: "DataFrame") -> Table:
    """Returns the cells of a table.

    Raises:
        UsageError: For two columns with one name, and for cells that hold several values.
    """
    COLUMNS.check(key, len(frame.columns))
    columns: dict[str, Cells] = {}
    categorical = []
    for position, label in enumerate(frame.columns):
        name = str(label).strip()
        if name in columns:
            rule = "must have columns with different names"
            raise UsageError(key, rule, f"two columns {name!r}", "rename one of the two")
        values = frame.iloc[:, position]
        columns[name] = _cells(key, name, values)
        if values.dtype == "category":
            categorical.append(name)
    rows = np.arange(1, len(frame) + 1)
    return Table(columns, rows, frozenset(categorical))


def _cells(key: str, name: str, values: "Series[Any]") -> Cells:
    """Returns the cells of a column: numbers, or texts for everything else."""
    dtype = values.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "iuf":
        return values.to_numpy()
    missing = values.isna().to_numpy()
    cells = values.astype(object).to_numpy().copy()
    cells[missing] = None
    for row, cell in enumerate(cells, start=1):
        is_single = cell is None or isinstance(cell, SINGLE_VALUES)
        if not is_single or isinstance(cell, timedelta):
            rule = "must have one number or one text in each cell"
            value = f"{type(cell).__name__} in row {row}, column {name!r}"
            raise UsageError(key, rule, value, "leave the column out of the file")
    return as_texts(cells)
