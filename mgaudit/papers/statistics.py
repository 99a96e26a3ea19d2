"""Intervals for what few repetitions show."""

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from mgaudit.attacks.intervals import LEVEL, Interval, mean_interval


def chosen_mean_interval(values: Sequence[float], chosen_from: int) -> Interval:
    """Returns the mean of values and its interval by Student's t, at the level 1 - 0.05 / `chosen_from`.

    So wide (Bonferroni), all of several intervals hold their truths 95 times in 100, the one that is chosen after a
    look at them included. Raises ValueError for fewer than two values.
    """
    return mean_interval(values, 1 - (1 - LEVEL) / chosen_from)


def geometric_mean_interval(values: Sequence[float], chosen_from: int = 1) -> Interval:
    """Returns the geometric mean of positive values and its interval, that of the mean of the logarithms.

    >>> round(geometric_mean_interval([0.5, 2.0, 0.5, 2.0]).value, 6)
    1.0
    """
    logarithms = [math.log(value) for value in values]
    return Interval(*(math.exp(number) for number in chosen_mean_interval(logarithms, chosen_from)))


def root_mean_square_interval(values: Sequence[float]) -> Interval:
    """Returns the root mean square of normal values of mean 0 and its 95 % interval, from the law of chi squared."""
    count, square = len(values), float(np.mean(np.square(values)))
    tail = (1 - LEVEL) / 2
    low, high = (count * square / float(quantile(tail, count)) for quantile in (stats.chi2.isf, stats.chi2.ppf))
    return Interval(math.sqrt(square), math.sqrt(low), math.sqrt(high))


def slope_interval(x: Sequence[float], y: Sequence[float]) -> Interval:
    """Returns the slope of y on x by least squares and its 95 % interval."""
    fit = stats.linregress(x, y)
    half = float(stats.t.isf((1 - LEVEL) / 2, len(x) - 2)) * float(fit.stderr)
    return Interval(float(fit.slope), float(fit.slope) - half, float(fit.slope) + half)


def log_log_slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Returns the least-squares slope of ln y against ln x. Raises ValueError unless all are > 0 and two x differ.

    >>> log_log_slope([1.0, 2.0, 4.0], [3.0, 12.0, 48.0])
    2.0
    """
    if min(*x, *y) <= 0 or len(set(x)) < 2:
        raise ValueError(f"x and y must be > 0, and two of x differ, got x = {list(x)} and y = {list(y)}")
    return round(float(np.polyfit(np.log(x), np.log(y), 1)[0]), 12)
