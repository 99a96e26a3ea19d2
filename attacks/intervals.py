"""Intervals over targets and examples."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

from mgaudit.attacks.metrics import CACHED_COUNTS, metrics

Floats = NDArray[np.float64]

LEVEL = 0.95
RESAMPLES = 500
SMALLEST_P = 1e-100


class Interval(NamedTuple):
    """A number with its two-sided confidence interval, of 95 % unless another level is asked for."""

    value: float
    low: float
    high: float


def clopper_pearson(successes: float, trials: float, level: float = LEVEL) -> Interval:
    """Returns the share of successes with its exact binomial interval (Clopper and Pearson 1934).

    Both may be fractions: successes in an effective number of trials (Korn and Graubard 1998). Raises ValueError
    unless 0 <= successes <= trials, 0 < trials and 0 < level < 1.

    >>> interval = clopper_pearson(0, 10)
    >>> interval.low, round(interval.high, 4)
    (0.0, 0.3085)
    """
    if not 0 < trials < np.inf:
        raise ValueError(f"trials must be > 0 and finite, got {trials}")
    if not 0 <= successes <= trials:
        raise ValueError(f"successes must be in [0, trials = {trials}], got {successes}")
    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), got {level}")
    tail = (1 - level) / 2
    low, high = (float(limit(successes, trials, tail)) for limit in (lower_limit, upper_limit))
    return Interval(successes / trials, low, high)


def lower_limit(successes: ArrayLike, trials: ArrayLike, tail: float) -> Floats:
    """Returns the probability of success at which P(this many successes or more) = tail; 0 for no success.

    It is Clopper and Pearson's lower limit, a quantile of a beta distribution. The arrays broadcast.
    """
    successes, failures = _counts(successes, trials)
    quantile = special.betaincinv(np.where(successes > 0, successes, 1.0), failures + 1, tail)
    return np.where(successes > 0, quantile, 0.0)


def upper_limit(successes: ArrayLike, trials: ArrayLike, tail: float) -> Floats:
    """Returns the probability of success at which P(this many successes or fewer) = tail; 1 for no failure.

    It is Clopper and Pearson's upper limit, a quantile of a beta distribution. The arrays broadcast.
    """
    successes, failures = _counts(successes, trials)
    quantile = special.betainccinv(successes + 1, np.where(failures > 0, failures, 1.0), tail)
    return np.where(failures > 0, quantile, 1.0)


def _counts(successes: ArrayLike, trials: ArrayLike) -> tuple[Floats, Floats]:
    """Returns the numbers of successes and of failures."""
    counted = np.asarray(successes, dtype=np.float64)
    return counted, np.asarray(trials, dtype=np.float64) - counted


def mean_interval(values: Sequence[float] | Floats, level: float = LEVEL) -> Interval:
    """Returns the mean of independent values with its interval by Student's t.

    Raises ValueError for fewer than two values, which have no interval.

    >>> [round(number, 3) for number in mean_interval([1.0, 2.0, 3.0])]
    [2.0, -0.484, 4.484]
    """
    count = len(values)
    if count < 2:
        raise ValueError(f"values must be at least 2, got {count}")
    mean = float(np.mean(values))
    half = float(-special.stdtrit(count - 1, (1 - level) / 2) * np.std(values, ddof=1)) / math.sqrt(count)
    return Interval(mean, mean - half, mean + half)


@dataclass(frozen=True)
class Resampled:
    """One number for each target (targets,) and the same number in each resample of the examples (targets, resamples).

    All targets share the resamples, and so do all arms of a study: what is paired stays paired.
    """

    per_target: Floats
    in_resamples: Floats

    def at(self, places: list[int]) -> "Resampled":
        """Returns the numbers of some of the targets."""
        return Resampled(self.per_target[places], self.in_resamples[places])

    def __sub__(self, other: "Resampled") -> "Resampled":
        return Resampled(self.per_target - other.per_target, self.in_resamples - other.in_resamples)

    def __add__(self, other: "Resampled") -> "Resampled":
        return Resampled(self.per_target + other.per_target, self.in_resamples + other.in_resamples)

    def __rmul__(self, factor: float) -> "Resampled":
        return Resampled(factor * self.per_target, factor * self.in_resamples)


def resample_counts(examples: int, generator: np.random.Generator, resamples: int = RESAMPLES) -> NDArray[np.uint16]:
    """Returns how often each example is drawn in each bootstrap resample (resamples, examples)."""
    counts = np.empty((resamples, examples), dtype=np.uint16)
    at_once = max(CACHED_COUNTS // examples, 1)
    for start in range(0, resamples, at_once):
        block = counts[start : start + at_once]
        drawn = generator.integers(0, examples, block.shape) + examples * np.arange(len(block))[:, np.newaxis]
        block[:] = np.bincount(drawn.ravel(), minlength=block.size).reshape(block.shape)
    return counts


def resampled_metrics(
    scores: Floats, membership: NDArray[np.bool_], counts: NDArray[np.integer]
) -> dict[str, Resampled]:
    """Returns every metric by name, from scores and membership (targets, examples).

    `counts` (resamples, examples) says how often each example counts in each resample.
    """
    pairs = list(zip(scores, membership, strict=True))
    exact, drawn = [metrics(*pair) for pair in pairs], [metrics(*pair, counts) for pair in pairs]
    return {
        name: Resampled(np.concatenate([one[name] for one in exact]), np.stack([one[name] for one in drawn]))
        for name in exact[0]
    }


def two_way_interval(numbers: Resampled, trials: int, bounds: tuple[float, float] = (0.0, 1.0)) -> Interval:
    """Returns the mean over targets with its interval for new targets and new examples together.

    The targets share their examples and their shadows, so they are not independent, and an interval from their
    spread alone is too narrow where some examples are easier to attack than others. With the two-way analysis of
    variance (Owen 2007; Cameron, Gelbach and Miller 2011)

        Var(mean) = V_targets + V_examples - V_both,

    V_targets the variance of the mean over targets, V_examples that over examples resampled for all targets alike,
    V_both that over examples resampled for each target apart (the noise that both of the others count). V_targets
    has `targets` - 1 degrees of freedom and the difference of the others practically infinitely many: with t and z
    the quantiles of Student and of the normal law (Howe 1974)

        half = sqrt(t^2 V_targets + z^2 max(V_examples - V_both, 0)),    at least z sqrt(V_examples) / 2,

    which is exact where either part is all there is and not too narrow in between, as Satterthwaite's degrees of
    freedom are for few targets. The minimum is there lest targets that agree by chance pass for certainty. For finite
    `bounds` (a, b) and logit x = log((x - a) / (b - x)) the interval ends where the logit is

        logit(mean) +- half logit'(mean),

    because near a bound mean +- half misses mostly on one side. For a mean at a bound it is no narrower than Clopper
    and Pearson's for `trials` trials, the members of one target.

    What is covered is the expected value of the number as computed. For a TPR at a low FPR that is not quite the
    population's TPR: with k of N non-members allowed, the threshold passes (k + 1)/(N + 1) of them on average.
    """
    value = float(numbers.per_target.mean())
    half = _Variances.of(numbers).half((1 - LEVEL) / 2)
    below, above = value - bounds[0], bounds[1] - value
    if below == 0 or above == 0:
        reach = max(half, clopper_pearson(0, trials).high)
        return Interval(value, max(value - reach, bounds[0]), min(value + reach, bounds[1]))
    shrink = math.exp(-half * (1 / below + 1 / above))
    low = value - below * above * (1 - shrink) / (below * shrink + above)
    high = value + below * above * (1 - shrink) / (below + above * shrink)
    return Interval(value, max(low, bounds[0]), min(high, bounds[1]))


def two_way_p_value(difference: Resampled) -> float:
    """Returns the two-sided p-value of a mean difference of 0, for differences in [-1, 1].

    It is 1 less the level at which `two_way_interval` with bounds (-1, 1) begins to hold 0: an interval of 95 % leaves
    0 out exactly where the p-value is below 0.05.
    """
    value = float(difference.per_target.mean())
    if value == 0:
        return 1.0
    variances = _Variances.of(difference)
    # The interval holds 0 where |logit(value) - logit(0)| <= half logit'(value), and logit' = 2 / (1 - value^2).
    reach = math.inf if abs(value) == 1 else abs(math.atanh(value)) * (1 - value**2)

    def excess(log_p: float) -> float:
        return variances.half(math.exp(log_p) / 2) - reach

    if excess(math.log(SMALLEST_P)) <= 0:
        return SMALLEST_P
    return float(math.exp(optimize.brentq(excess, math.log(SMALLEST_P), 0.0, xtol=1e-12)))


@dataclass(frozen=True)
class _Variances:
    """The parts of the variance of a mean over targets, as `two_way_interval` takes them."""

    targets: int
    over_targets: float
    over_examples: float
    over_both: float

    @classmethod
    def of(cls, numbers: Resampled) -> "_Variances":
        targets = len(numbers.per_target)
        return cls(
            targets,
            float(numbers.per_target.var(ddof=1)) / targets,
            float(numbers.in_resamples.mean(axis=0).var(ddof=1)),
            float(numbers.in_resamples.var(axis=1, ddof=1).mean()) / targets,
        )

    def half(self, tail: float) -> float:
        """Returns half the interval's width, before the logit, with the probability `tail` on either side of it."""
        student, normal = -float(special.stdtrit(self.targets - 1, tail)), -float(special.ndtri(tail))
        shared = max(self.over_examples - self.over_both, 0.0)
        both = math.hypot(student * math.sqrt(self.over_targets), normal * math.sqrt(shared))
        return max(both, normal * math.sqrt(self.over_examples) / 2)
