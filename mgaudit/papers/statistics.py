"""Intervals and slopes from few repetitions."""

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from mgaudit.attacks.intervals import LEVEL, Interval, mean_interval


def chosen_mean_interval(values: Sequence[float], chosen_from: int) -> Interval:
    """Returns the mean of independent `values` with an interval that allows for a choice.

    Student's t interval has the level 1 - 0.05 / `chosen_from`, where `chosen_from` >= 1 is the
    number of such means from which this one was chosen. With this correction (Bonferroni), all of
    the intervals contain their true values with a probability of at least 95 %, and so does one
    that is chosen after a look at them.

    Raises:
        ValueError: For fewer than two values.
    """
    return mean_interval(values, 1 - (1 - LEVEL) / chosen_from)


def geometric_mean_interval(values: Sequence[float], chosen_from: int = 1) -> Interval:
    """Returns the geometric mean of `values` > 0 and its interval, from the mean of the logarithms.

    `chosen_from` corrects the level as in `chosen_mean_interval`, and 1 gives an interval of 95 %.
    Raises ValueError for fewer than two values, and for a value <= 0.

    >>> round(geometric_mean_interval([0.5, 2.0, 0.5, 2.0]).value, 6)
    1.0
    """
    logarithms = [math.log(value) for value in values]
    interval = chosen_mean_interval(logarithms, chosen_from)
    return Interval(*(math.exp(logarithm) for logarithm in interval))


def root_mean_square_interval(values: Sequence[float]) -> Interval:
    """Returns the root mean square of `values` and its 95 % interval.

    The values must be independent and normal with mean 0, and there must be at least one. Their
    mean square then follows a scaled chi-squared distribution.
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
    """Returns the slope of y on x by least squares and its 95 % interval (Student's t).

    `x` and `y` have one length, at least 3, and at least two values of `x` must differ. Points are
    independent, with errors in y of equal variance.
    """
    fit = stats.linregress(x, y)
    slope = float(fit.slope)
    quantile = float(stats.t.isf((1 - LEVEL) / 2, len(x) - 2))
    half = quantile * float(fit.stderr)
    return Interval(slope, slope - half, slope + half)


def log_log_slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Returns the least-squares slope of ln y against ln x, rounded to 12 decimals.

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
