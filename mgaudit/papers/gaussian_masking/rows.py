"""Columns and selections of the rows from which figures are drawn and claims are decided.

A row maps the names of columns to cells.
"""

from collections.abc import Sequence

from mgaudit.papers.claim import Row


def column(rows: Sequence[Row], name: str) -> list[float]:
    """Returns the numbers in the column `name`, one for each row.

    >>> column([{"kappa": 0.0}, {"kappa": 0.5}], "kappa")
    [0.0, 0.5]
    """
    return [float(row[name]) for row in rows]


def levels(rows: Sequence[Row], name: str) -> list[float]:
    """Returns the distinct numbers in the column `name`, in ascending order."""
    distinct = set(column(rows, name))
    return sorted(distinct)


def select(rows: Sequence[Row], **values: str | float) -> list[Row]:
    """Returns the rows whose cells equal all of `values`, given by column name; none may match.

    >>> select([{"kappa": 0.0, "loss": 1.0}, {"kappa": 0.5, "loss": 2.0}], kappa=0.5)
    [{'kappa': 0.5, 'loss': 2.0}]
    """
    cells = values.items()
    return [row for row in rows if cells <= row.items()]
