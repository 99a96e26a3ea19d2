"""A claim about a mean over seeds, which is not evaluated if a model diverged."""

import math
from collections.abc import Sequence

from mgaudit.attacks.intervals import mean_interval
from mgaudit.papers.claim import Measured, NotRun


def mean_over_seeds(
    quantity: str, values: Sequence[float], at_least: float = -math.inf, at_most: float = math.inf
) -> Measured | NotRun:
    """Returns the mean of `values` with its 95 % interval, and the range that a claim allows.

    There is one value for each pair of models that are compared, usually one pair for each seed. A
    value that is not finite means that a model of the pair diverged; then the result is NotRun.
    Raises ValueError for fewer than two values, and for bounds that `Measured` refuses.

    >>> mean_over_seeds("loss with noise over that without", [0.5, 0.5], at_most=1.0).holds
    True
    >>> mean_over_seeds("loss with noise over that without", [0.5, math.inf], at_most=1.0)
    NotRun(why='in 1 of 2 pairs a model diverged')
    """
    diverged = sum(not math.isfinite(value) for value in values)
    if diverged:
        return NotRun(f"in {diverged} of {len(values)} pairs a model diverged")
    return Measured.with_interval(quantity, mean_interval(values), at_least, at_most)
