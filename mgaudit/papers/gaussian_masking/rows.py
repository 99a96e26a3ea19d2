"""Columns and selections of the rows from which figures are drawn and claims are decided."""

from collections.abc import Sequence

from mgaudit.attacks.intervals import Interval
from mgaudit.papers.claim import Row


def column(rows: Sequence[Row], name: str) -> list[float]:
    """Returns the numbers in a column.

    >>> column([{"kappa": 0.0}, {"kappa": 0.5}], "kappa")
    [0.0, 0.5]
    """
    return [float(row[name]) for row in rows]


def levels(rows: Sequence[Row], name: str) -> list[float]:
    """Returns the distinct numbers in a column, in ascending order."""
    distinct = set(column(rows, name))
    return sorted(distinct)


def select(rows: Sequence[Row], **values: str | float) -> list[Row]:
    """Returns the rows that have these values in the columns of these names.

    >>> select([{"kappa": 0.0, "loss": 1.0}, {"kappa": 0.5, "loss": 2.0}], kappa=0.5)
    [{'kappa': 0.5, 'loss': 2.0}]
    """
    cells = values.items()
    return [row for row in rows if cells <= row.items()]


def interval_of(row: Row, name: str) -> Interval:
    """Returns the number in a column with its interval, from the columns _low and _high."""
    columns = (name, f"{name}_low", f"{name}_high")
    return Interval(*(float(row[column_name]) for column_name in columns))
