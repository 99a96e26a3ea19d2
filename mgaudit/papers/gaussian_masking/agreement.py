"""Whether closed forms agree with means over draws, in many comparisons at once."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from mgaudit.papers.claim import Measured, Row

FALSE_ALARMS = 0.001  # the chance that true closed forms are refused


def mean_of(draws: NDArray[np.float64]) -> tuple[float, float]:
    """Returns the mean of `draws` and its standard error."""
    return float(draws.mean()), float(draws.std(ddof=1)) / math.sqrt(len(draws))


def agreement(rows: Sequence[Row]) -> Measured:
    """Judges rows of `expected`, and `mean` and `error` of draws, by the largest deviation in standard errors.

    The bound is Bonferroni's: whatever depends on what, the largest of true ones exceeds it with a chance of 0.1 %.
    """
    scores = [abs(float(row["mean"]) - float(row["expected"])) / float(row["error"]) for row in rows]
    return Measured(
        f"largest deviation of {len(scores)} means over draws from the closed form, in standard errors",
        max(scores),
        at_most=float(norm.isf(FALSE_ALARMS / 2 / len(scores))),
    )


def rises(rows: Sequence[Row]) -> Measured:
    """Judges rows of `rise` and its `error` by the smallest rise in standard errors.

    With a chance of 0.1 % at most, one of those that are no rises exceeds the bound.
    """
    scores = [float(row["rise"]) / float(row["error"]) for row in rows]
    return Measured(
        f"smallest of {len(scores)} rises of means over draws, in standard errors",
        min(scores),
        at_least=float(norm.isf(FALSE_ALARMS / len(scores))),
    )
