"""What an adversary who sees every step of DP-SGD can prove about its noise.

The adversary adds examples of its own, the canaries, to a batch. The gradient of canary k points
into a fixed direction u_k; the directions are orthonormal. A fair coin b decides for each canary
and step whether the canary is added. With S the clipped sum of the batch without canaries, and C
the norm to which gradients are clipped, the score of a canary in a step is

    s = <noisy sum - S, u_k> / C,

which for a correct mechanism is b plus Gaussian noise whose standard deviation is the noise
multiplier. The residual of a step, (noisy sum - S) / C - sum over k of b_k u_k, is that noise.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from mgaudit.attacks.epsilon import check_significance
from mgaudit.attacks.intervals import lower_limit

Floats = NDArray[np.float64]

FEWEST_SCORES = 20  # scores with a canary, and as many without, for any statement
EXACT_DEGREES = 1000  # up to which the noncentral t distribution is computed exactly


@dataclass(frozen=True)
class StepRecords:
    """What the adversary saw in each step; lengths are in units of the clip norm C.

    Attributes:
        coins: Whether a canary was added (steps, directions), bool.
        scores: Scores (steps, directions), float64.
        squares: Sum of the squared residual over the numbers of each weight tensor (steps,
            tensors), float64.
        sizes: Number of weights of each tensor (tensors,), int64.
        fourth: Sum of the fourth power of the residual over all weights (steps,), float64.
        sketch: The residual at some fixed weights (steps, sketched), float64.
        successive: Inner product of the residual with that of the step before (steps,), float64;
            the first is not used.
        along_sum: Inner product of the residual with the unit vector along S (steps,), float64; NaN
            in steps for which S was not computed by other code than that under test, or is 0.
        batch_sizes: Number of sampled examples (steps,), int64.
        inclusions: How often each example was sampled (examples,), int64; None if not known.
        largest_contribution: The largest norm by which leaving out one of some examples of a batch
            changes its clipped sum; NaN if it was not computed, and None if it cannot be.
    """

    coins: NDArray[np.bool_]
    scores: Floats
    squares: Floats
    sizes: NDArray[np.int64]
    fourth: Floats
    sketch: Floats
    successive: Floats
    along_sum: Floats
    batch_sizes: NDArray[np.int64]
    inclusions: NDArray[np.int64] | None = None
    largest_contribution: float | None = None

    @property
    def steps(self) -> int:
        """The number of steps."""
        return len(self.coins)

    @property
    def residuals(self) -> Floats:
        """The residuals along the canaries' directions (steps, directions)."""
        return self.scores - self.coins


@dataclass(frozen=True)
class NoiseLimits:
    """Upper limits of the noise multiplier, each of level 1 - significance; None if there is none.

    `by_guesses` needs fair coins and independent scores: a canary is guessed to be in if its score
    is above 1/2, and the limit follows from the lower limit of the share of correct guesses, of
    which `correct` of `guesses` were (Clopper and Pearson). `by_t` also needs normal scores of
    equal variance, and uses the noncentral t distribution of the difference of their means.
    `by_residuals` needs independent normal residuals, and that a canary contributes at most C.
    `contribution` is the estimated contribution of a canary in units of C, with its two-sided
    interval of level 1 - 2 significance.
    """

    by_guesses: float | None
    by_t: float | None
    by_residuals: float
    contribution: tuple[float, float, float]
    correct: int
    guesses: int


def noise_limits(records: StepRecords, significance: float) -> NoiseLimits:
    """Returns upper limits of the noise multiplier from the canaries' scores.

    Raises:
        ValueError: For a significance outside (0, 0.5), and for fewer than 20 scores with or
            without a canary.
    """
    check_significance(significance)
    check_scores_suffice(records)
    coins, scores = records.coins.ravel(), records.scores.ravel()
    correct = int(((scores > 0.5) == coins).sum())
    least_share = float(lower_limit(correct, len(coins), significance))
    with_canary, without = scores[coins], scores[~coins]
    t, degrees, scale = two_samples(with_canary, without)
    difference = float(with_canary.mean() - without.mean())
    error = difference / t if t else 0.0
    half = float(special.stdtrit(degrees, 1 - significance)) * abs(error)
    squares = float((records.residuals**2).sum())
    quantile = 2 * float(special.gammaincinv(len(coins) / 2, significance))
    return NoiseLimits(
        by_guesses=None if least_share <= 0.5 else 1 / (2 * float(special.ndtri(least_share))),
        by_t=_noise_of_effect(_least_noncentrality(t, degrees, significance) / scale),
        by_residuals=math.sqrt(squares / quantile),
        contribution=(difference, difference - half, difference + half),
        correct=correct,
        guesses=len(coins),
    )


def check_scores_suffice(records: StepRecords) -> None:
    """Raises ValueError for fewer than 20 scores with or without a canary."""
    added = int(records.coins.sum())
    if min(added, records.coins.size - added) < FEWEST_SCORES:
        raise ValueError(
            f"steps * directions must give at least {FEWEST_SCORES} scores with a canary and "
            f"{FEWEST_SCORES} without, got {added} and {records.coins.size - added}"
        )


def two_samples(first: Floats, second: Floats) -> tuple[float, int, float]:
    """Returns the t statistic of two samples, its degrees of freedom and its scale.

    For normal samples of equal standard deviation sigma whose means differ by d, the statistic is
    noncentral t with noncentrality `scale` * d / sigma.
    """
    degrees = len(first) + len(second) - 2
    scale = 1 / math.sqrt(1 / len(first) + 1 / len(second))
    within = ((first - first.mean()) ** 2).sum() + ((second - second.mean()) ** 2).sum()
    deviation = math.sqrt(within / degrees)
    if deviation == 0:
        return math.inf, degrees, scale
    return float((first.mean() - second.mean()) / deviation * scale), degrees, scale


def _least_noncentrality(t: float, degrees: int, significance: float) -> float:
    """Returns the lower limit of the noncentrality parameter for an observed t statistic."""
    if not math.isfinite(t):
        return t
    if degrees > EXACT_DEGREES:
        quantile = float(special.ndtri(1 - significance))
        return t - quantile * math.sqrt(1 + t**2 / (2 * degrees))
    from scipy import stats  # imported here because it takes a second

    def excess(noncentrality: float) -> float:
        return float(stats.nct.sf(t, degrees, noncentrality)) - significance

    spread = 10 * math.sqrt(1 + t**2 / (2 * degrees))
    return float(optimize.brentq(excess, t - spread, t + spread))


def _noise_of_effect(effect: float) -> float | None:
    """Returns the noise multiplier whose effect, 1 / multiplier, this is; None if not positive."""
    if effect <= 0:
        return None
    return 1 / effect if math.isfinite(effect) else 0.0
