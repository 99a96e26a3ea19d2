"""Columns that identify the rows of a table, which must not become features.

In a sorted file, the position of a row reveals its class.
"""

import re
from collections.abc import Sequence

import numpy as np

from mgaudit.targets.datasets.tables.columns import Column
from mgaudit.targets.datasets.tables.notes import columns as columns_text

UNNAMED = re.compile(r"Unnamed: 0(\.\d+)*|level_0|__index_level_\d+__")
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
# The last word of the name of a column that identifies rows.
IDENTIFIERS = frozenset(
    {
        *("id", "ids", "index", "idx", "uid", "uuid", "guid", "row", "rowid", "rownum", "rowname"),
        *("rownames", "rownumber", "rowindex"),
    }
)
# The last word of the name of a column that may count rows.
COUNTERS = frozenset(
    {
        *("no", "nr", "num", "number", "count", "counter", "sample", "case", "record", "obs"),
        *("observation", "line", "serial", "sno", "order", "seq", "sequence", "key", "instance"),
        *("example", "item", "entry"),
    }
)


def index_columns(columns: Sequence[Column]) -> list[str]:
    """Returns the names of the columns that identify rows.

    These are an index that pandas wrote; columns of different whole numbers that are named as
    identifiers; columns that count the rows of the file from 0 or 1 and are named as counters; and
    texts that differ in every row.
    """
    return [column.name for column in columns if _is_index(column, column is columns[0])]


def index_notes(columns: Sequence[Column]) -> list[str]:
    """Returns a note about the columns that are features and may identify rows."""
    names = [
        column.name
        for column in columns
        if _counts_rows(column) or _last_word(column.name) in IDENTIFIERS
    ]
    if not names:
        return []
    option = f"drop={'|'.join(names)}"
    return [f"{columns_text(names)} may identify the rows (leave out with {option})."]


def _is_index(column: Column, is_first: bool) -> bool:
    if UNNAMED.fullmatch(column.name):
        return True
    if column.is_category:
        return _differs_in_all_rows(column)
    if column.name == "X":  # how R names the first column of a file that has no name for it
        return is_first and _counts_rows(column)
    last_word = _last_word(column.name)
    if last_word in IDENTIFIERS:
        return _differs_in_all_rows(column) and _is_whole(column)
    return last_word in COUNTERS and _counts_rows(column)


def _last_word(name: str) -> str:
    """Returns the last word of a name in lower case.

    >>> _last_word("PassengerId"), _last_word("row_index"), _last_word("3")
    ('id', 'index', '')
    """
    words = WORD.findall(name)
    return words[-1].lower() if words else ""


def _differs_in_all_rows(column: Column) -> bool:
    """Returns whether all rows have different values, and there are at least three."""
    values = column.values.tolist()
    return len(values) > 2 and not column.missing.any() and len(set(values)) == len(values)


def _is_whole(column: Column) -> bool:
    return bool((column.values == np.floor(column.values)).all())


def _counts_rows(column: Column) -> bool:
    """Returns whether the values are 0, 1, 2, … or 1, 2, 3, … in the order of the file."""
    if column.is_category or column.missing.any() or len(column.values) < 3:
        return False
    start = column.values[0]
    return start in (0, 1) and bool((column.values == start + np.arange(len(column.values))).all())
