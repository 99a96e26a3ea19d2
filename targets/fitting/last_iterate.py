"""A heuristic for the epsilon of DP-SGD where only the last weights are released.

Accountants bound what an adversary learns who sees the noisy sums of all steps. The heuristic of
Steinke et al. (2024, arXiv 2410.06186) is the exact epsilon of the last weights where the loss is
linear. Non-linear losses can leak more, so it is not a bound.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import log_ndtr, logsumexp
from scipy.stats import binom

from mgaudit.targets.fitting.accountants import Mechanism

NEGLIGIBLE = 1e-18  # probability of a number of inclusions, below which it is left out
TAIL = 30.0  # standard deviations, beyond which no threshold is sought
TOLERANCE = 1e-10  # of a threshold, in units of the contribution of a step


def last_iterate_epsilon(mechanism: Mechanism, delta: float) -> float:
    """Returns the epsilon at `delta` of the last weights, if the loss were linear.

    The weights with the example are the sum of k ~ Binomial(steps, rate) contributions of norm 1
    and of noise N(0, steps noise²), and those without it are the noise alone. The likelihood ratio
    rises with the weights, so that the sets that tell the two apart are half-lines. The larger
    epsilon of the two directions, addition and removal, is returned.

    Args:
        mechanism: The steps.
        delta: In (0, 1).

    Returns:
        The epsilon (nats, >= 0); infinite without noise.
    """
    if mechanism.noise_multiplier == 0:
        return math.inf
    inclusions = _Inclusions(mechanism)
    return max(inclusions.epsilon_removed(delta), inclusions.epsilon_added(delta))


class _Inclusions:
    """The distribution of the number of steps that include the example, and of the weights."""

    def __init__(self, mechanism: Mechanism) -> None:
        steps, rate = mechanism.steps, mechanism.sample_rate
        first = int(binom.ppf(NEGLIGIBLE, steps, rate))
        last = steps - int(binom.ppf(NEGLIGIBLE, steps, 1 - rate))  # isf would be inexact
        self.counts: NDArray[np.float64] = np.arange(first, last + 1, dtype=np.float64)
        self.log_weights = binom.logpmf(self.counts, steps, rate)
        self.deviation = mechanism.noise_multiplier * math.sqrt(steps)
        # The threshold at which both densities are equal.
        self.even = brentq(self.log_ratio, 0.0, last + TAIL * self.deviation, xtol=TOLERANCE)

    def log_ratio(self, threshold: float) -> float:
        """Returns the logarithm of the density with the example over that without it."""
        exponents = (self.counts * threshold - self.counts**2 / 2) / self.deviation**2
        return float(logsumexp(self.log_weights + exponents))

    def epsilon_removed(self, delta: float) -> float:
        """Returns the epsilon for weights above a threshold, where the example is likely."""

        def excess(threshold: float) -> float:
            log_tails = log_ndtr((self.counts - threshold) / self.deviation)
            with_example = math.exp(logsumexp(self.log_weights + log_tails))
            log_without = float(log_ndtr(-threshold / self.deviation))
            return with_example - math.exp(self.log_ratio(threshold) + log_without) - delta

        farthest = self.counts[-1] + TAIL * self.deviation
        if excess(self.even) <= 0:
            return 0.0
        return self.log_ratio(brentq(excess, self.even, farthest, xtol=TOLERANCE))

    def epsilon_added(self, delta: float) -> float:
        """Returns the epsilon for weights below a threshold, where the example is unlikely."""

        def excess(threshold: float) -> float:
            log_tails = log_ndtr((threshold - self.counts) / self.deviation)
            log_with_example = float(logsumexp(self.log_weights + log_tails))
            without = math.exp(log_ndtr(threshold / self.deviation))
            return without - math.exp(log_with_example - self.log_ratio(threshold)) - delta

        farthest = -TAIL * self.deviation
        if excess(self.even) <= 0:
            return 0.0
        return -self.log_ratio(brentq(excess, farthest, self.even, xtol=TOLERANCE))
