"""Intervals for what few repetitions show."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import t

LEVEL = 0.95


def mean_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Returns the mean of independent `values` with its 95 % interval by Student's t: (mean, low, high).

    Raises ValueError for fewer than two, which have no interval.

    >>> [round(one, 3) for one in mean_interval([1.0, 2.0, 3.0])]
    [2.0, -0.484, 4.484]
    """
    if len(values) < 2:
        raise ValueError(f"values must be at least 2, got {len(values)}")
    mean = float(np.mean(values))
    half = float(t.ppf((1 + LEVEL) / 2, len(values) - 1) * np.std(values, ddof=1)) / math.sqrt(len(values))
    return mean, mean - half, mean + half


def log_log_slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Returns the least-squares slope of ln y against ln x. Raises ValueError unless all are > 0 and two x differ.

    >>> log_log_slope([1.0, 2.0, 4.0], [3.0, 12.0, 48.0])
    2.0
    """
    if min(*x, *y) <= 0 or len(set(x)) < 2:
        raise ValueError(f"x and y must be > 0, and two of x differ, got x = {list(x)} and y = {list(y)}")
    return round(float(np.polyfit(np.log(x), np.log(y), 1)[0]), 12)
