"""Confidence intervals in the form in which matplotlib draws them."""

from collections.abc import Iterable

from mgaudit.attacks.intervals import Interval


def error_bars(intervals: Iterable[Interval]) -> tuple[list[float], list[list[float]]]:
    """Returns the values of intervals, and the lengths of the bars below and above the values.

    The results are the `y` and `yerr` of `Axes.errorbar`. Without intervals all lists are empty.

    >>> error_bars([Interval(2.0, 1.5, 3.0)])
    ([2.0], [[0.5], [1.0]])
    """
    values, below, above = [], [], []
    for value, low, high in intervals:
        values.append(value)
        below.append(value - low)
        above.append(high - value)
    return values, [below, above]
