"""Tests of closed forms against means over draws, in many comparisons at once."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from mgaudit.papers.claim import Measured, Row
from mgaudit.papers.gaussian_masking.rows import column

FALSE_ALARMS = 0.001  # the probability that correct closed forms are rejected


def mean_of(draws: NDArray[np.float64]) -> tuple[float, float]:
    """Returns the mean of independent `draws` and its standard error.

    `draws` is (n,) with n >= 2.
    """
    deviation = float(draws.std(ddof=1))
    return float(draws.mean()), deviation / math.sqrt(len(draws))


def agreement(rows: Sequence[Row]) -> Measured:
    """Tests closed forms against means over draws, by the largest deviation of any row.

    There must be at least one row. A row has the closed form `expected`, and the `mean` over draws
    with its standard `error`. Deviations are in standard errors. The bound is Bonferroni's:
    whatever the dependence between rows, the largest deviation of correct closed forms exceeds it
    with a probability of at most 0.1 %.
    """
    columns = [column(rows, name) for name in ("mean", "expected", "error")]
    deviations = [
        abs(mean - expected) / error for mean, expected, error in zip(*columns, strict=True)
    ]
    count = len(deviations)
    bound = float(norm.isf(FALSE_ALARMS / 2 / count))
    quantity = (
        f"largest deviation of {count} means over draws from the closed form, in standard errors"
    )
    return Measured(quantity, max(deviations), at_most=bound)


def rises(rows: Sequence[Row]) -> Measured:
    """Tests whether all numbers rise, by the smallest rise of any row, in standard errors.

    There must be at least one row. A row has the `rise` and its standard `error`. If nothing rises,
    the probability that one or more rows exceed the bound is at most 0.1 %.
    """
    columns = [column(rows, name) for name in ("rise", "error")]
    scores = [rise / error for rise, error in zip(*columns, strict=True)]
    count = len(scores)
    bound = float(norm.isf(FALSE_ALARMS / count))
    quantity = f"smallest of {count} rises of means over draws, in standard errors"
    return Measured(quantity, min(scores), at_least=bound)
