"""Intervals of what runs or seeds show, beside that of their mean."""

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from mgaudit.papers.statistics import mean_interval

Interval = tuple[float, float, float]


def mean(values: Sequence[float], chosen_from: int = 1) -> Interval:
    """Returns the mean of values and its interval by Student's t, at the level 1 - 0.05 / `chosen_from`.

    So wide (Bonferroni), all of several intervals hold their truths 95 times in 100, the one that is chosen after a
    look at them included. Raises ValueError for fewer than two values.
    """
    centre, low, high = mean_interval(values)
    plain, wide = (float(stats.t.ppf(1 - 0.025 / count, len(values) - 1)) for count in (1, chosen_from))
    return centre, centre - wide / plain * (centre - low), centre + wide / plain * (high - centre)


def geometric_mean(values: Sequence[float], chosen_from: int = 1) -> Interval:
    """Returns the geometric mean of positive values and its interval, that of the `mean` of the logarithms.

    >>> [round(number, 6) for number in geometric_mean([0.5, 2.0, 0.5, 2.0])][0]
    1.0
    """
    centre, low, high = (math.exp(number) for number in mean([math.log(value) for value in values], chosen_from))
    return centre, low, high


def root_mean_square(values: Sequence[float]) -> Interval:
    """Returns the root mean square of normal values of mean 0 and its 95 % interval, from the law of chi squared."""
    count, square = len(values), float(np.mean(np.square(values)))
    low, high = (count * square / float(stats.chi2.ppf(level, count)) for level in (0.975, 0.025))
    return math.sqrt(square), math.sqrt(low), math.sqrt(high)


def share(hits: int, count: int) -> Interval:
    """Returns the share of hits and its 95 % interval by Clopper and Pearson."""
    interval = stats.binomtest(hits, count).proportion_ci(0.95, "exact")
    return hits / count, float(interval.low), float(interval.high)


def slope(x: Sequence[float], y: Sequence[float]) -> Interval:
    """Returns the slope of y on x by least squares and its 95 % interval."""
    fit = stats.linregress(x, y)
    reach = float(stats.t.ppf(0.975, len(x) - 2)) * float(fit.stderr)
    return float(fit.slope), float(fit.slope) - reach, float(fit.slope) + reach
