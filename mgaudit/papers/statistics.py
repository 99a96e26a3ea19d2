"""Intervals and slopes from few repetitions."""

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from mgaudit.attacks.intervals import LEVEL, Interval, mean_interval


def chosen_mean_interval(values: Sequence[float], chosen_from: int) -> Interval:
    """Returns the mean of values and Student's interval at level 1 - 0.05 / `chosen_from`.

    With this correction (Bonferroni), all of `chosen_from` intervals contain their true values with
    probability 95 %, including the interval that is chosen after a look at them.

    Raises:
        ValueError: For fewer than two values.
    """
    return mean_interval(values, 1 - (1 - LEVEL) / chosen_from)


def geometric_mean_interval(values: Sequence[float], chosen_from: int = 1) -> Interval:
    """Returns the geometric mean of positive values and its interval, from the mean logarithm.

    >>> round(geometric_mean_interval([0.5, 2.0, 0.5, 2.0]).value, 6)
    1.0
    """
    logarithms = [math.log(value) for value in values]
    interval = chosen_mean_interval(logarithms, chosen_from)
    return Interval(*(math.exp(logarithm) for logarithm in interval))


def root_mean_square_interval(values: Sequence[float]) -> Interval:
    """Returns the root mean square of normal values of mean 0 and its 95 % interval.

    The mean square follows a scaled chi-squared distribution.
    """
    count = len(values)
    square = float(np.mean(np.square(values)))
    tail = (1 - LEVEL) / 2
    upper_quantile = float(stats.chi2.isf(tail, count))
    lower_quantile = float(stats.chi2.ppf(tail, count))
    low = count * square / upper_quantile
    high = count * square / lower_quantile
    return Interval(math.sqrt(square), math.sqrt(low), math.sqrt(high))


def slope_interval(x: Sequence[float], y: Sequence[float]) -> Interval:
    """Returns the slope of y on x by least squares and its 95 % interval."""
    fit = stats.linregress(x, y)
    slope = float(fit.slope)
    quantile = float(stats.t.isf((1 - LEVEL) / 2, len(x) - 2))
    half = quantile * float(fit.stderr)
    return Interval(slope, slope - half, slope + half)


def log_log_slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Returns the least-squares slope of ln y against ln x.

    Raises:
        ValueError: Unless all values are > 0 and two x differ.

    >>> log_log_slope([1.0, 2.0, 4.0], [3.0, 12.0, 48.0])
    2.0
    """
    if min(*x, *y) <= 0 or len(set(x)) < 2:
        numbers = f"x = {list(x)} and y = {list(y)}"
        raise ValueError(f"x and y must be > 0, and two of x differ, got {numbers}")
    coefficients = np.polyfit(np.log(x), np.log(y), 1)
    return round(float(coefficients[0]), 12)
