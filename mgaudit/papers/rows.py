"""Select rows of a figure's data, and read columns of them as numbers."""

from collections.abc import Iterable

from mgaudit.papers.claim import Row


def matching(rows: Iterable[Row], **values: str | float) -> list[Row]:
    """Returns the rows that have all of `values`, which are given by column name, in order.

    >>> matching([{"loss": "squared", "step": 0.0}, {"loss": "squared", "step": 1.0}], step=1.0)
    [{'loss': 'squared', 'step': 1.0}]
    """
    return [row for row in rows if values.items() <= row.items()]


def column(rows: Iterable[Row], name: str) -> list[float]:
    """Returns the numbers in the column `name`, one for each row.

    >>> column([{"step": 2.0}, {"step": 1.0}], "step")
    [2.0, 1.0]
    """
    return [float(row[name]) for row in rows]


def distinct(rows: Iterable[Row], name: str) -> list[float]:
    """Returns the distinct numbers of a column in ascending order.

    >>> distinct([{"step": 2.0}, {"step": 1.0}, {"step": 2.0}], "step")
    [1.0, 2.0]
    """
    return sorted(set(column(rows, name)))


def ratios(rows: Iterable[Row], numerator: str, denominator: str) -> list[float]:
    """Returns the column `numerator` divided by the column `denominator`, for each row.

    >>> ratios([{"measured": 3.0, "predicted": 2.0}], "measured", "predicted")
    [1.5]
    """
    return [float(row[numerator]) / float(row[denominator]) for row in rows]
