"""Select rows of a figure's data, and read columns of them as numbers.

A row maps the names of columns to cells. Functions raise KeyError for a column that a row lacks.
"""

from collections.abc import Iterable

from mgaudit.attacks.intervals import Interval
from mgaudit.papers.claim import Row


def matching(rows: Iterable[Row], **values: str | float) -> list[Row]:
    """Returns the rows whose cells equal all of `values`, in their order.

    Each keyword is the name of a column. The result is empty if no row matches, and a row without
    one of the columns does not match.

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
    """Returns the cell in the column `numerator` divided by that in `denominator`, for each row.

    >>> ratios([{"measured": 3.0, "predicted": 2.0}], "measured", "predicted")
    [1.5]
    """
    return [float(row[numerator]) / float(row[denominator]) for row in rows]


def interval_of(row: Row, name: str) -> Interval:
    """Returns the number in the column `name` with its 95 % interval.

    The ends of the interval are in the columns `name` + "_low" and `name` + "_high".

    >>> interval_of({"auc": 0.6, "auc_low": 0.5, "auc_high": 0.7}, "auc")
    Interval(value=0.6, low=0.5, high=0.7)
    """
    columns = (name, f"{name}_low", f"{name}_high")
    return Interval(*(float(row[column_name]) for column_name in columns))
