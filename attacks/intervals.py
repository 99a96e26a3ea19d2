"""Confidence intervals of means over targets (attacked models), for new targets and new examples.

The level is 95 % (`LEVEL`) unless a function has an argument for it.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

from mgaudit.attacks.jackknife import Jackknife, sum_of_jackknives
from mgaudit.attacks.metrics import CACHED_COUNTS, metrics

Floats = NDArray[np.float64]

LEVEL = 0.95
RESAMPLES = 500
SMALLEST_P = 1e-100


class Interval(NamedTuple):
    """A number with its two-sided confidence interval, of level 95 % by default."""

    value: float
    low: float
    high: float


def clopper_pearson(successes: float, trials: float, level: float = LEVEL) -> Interval:
    """Returns the share of successes with its exact binomial interval (Clopper and Pearson 1934).

    `successes` and `trials` need not be whole numbers: `trials` may be an effective number of
    trials (Korn and Graubard 1998). `level` is the two-sided confidence level.

    Raises:
        ValueError: Unless 0 <= successes <= trials, 0 < trials and 0 < level < 1.

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
    low = float(lower_limit(successes, trials, tail))
    high = float(upper_limit(successes, trials, tail))
    return Interval(successes / trials, low, high)


def lower_limit(successes: ArrayLike, trials: ArrayLike, tail: float) -> Floats:
    """Returns Clopper and Pearson's lower limit of the probability of success; 0 for no success.

    At this probability, P(this many successes or more) = tail. So `tail` is 0.025 for a two-sided
    interval of 95 %. `successes` and `trials` are >= 0, need not be whole, and broadcast.
    """
    successes, failures = _counts(successes, trials)
    # The quantile is not defined for no success; the value 1 is replaced below.
    positive = np.where(successes > 0, successes, 1.0)
    quantile = special.betaincinv(positive, failures + 1, tail)
    return np.where(successes > 0, quantile, 0.0)


def upper_limit(successes: ArrayLike, trials: ArrayLike, tail: float) -> Floats:
    """Returns Clopper and Pearson's upper limit of the probability of success; 1 for no failure.

    At this probability, P(this many successes or fewer) = tail. The arguments are those of
    `lower_limit`.
    """
    successes, failures = _counts(successes, trials)
    # The quantile is not defined for no failure; the value 1 is replaced below.
    positive = np.where(failures > 0, failures, 1.0)
    quantile = special.betainccinv(successes + 1, positive, tail)
    return np.where(failures > 0, quantile, 1.0)


def _counts(successes: ArrayLike, trials: ArrayLike) -> tuple[Floats, Floats]:
    """Returns the numbers of successes and of failures as float64 arrays."""
    counted = np.asarray(successes, dtype=np.float64)
    return counted, np.asarray(trials, dtype=np.float64) - counted


def mean_interval(values: Sequence[float] | Floats, level: float = LEVEL) -> Interval:
    """Returns the mean of independent values with Student's two-sided t interval of this level.

    Raises:
        ValueError: For fewer than two values, which have no interval.

    >>> [round(number, 3) for number in mean_interval([1.0, 2.0, 3.0])]
    [2.0, -0.484, 4.484]
    """
    count = len(values)
    if count < 2:
        raise ValueError(f"values must be at least 2, got {count}")
    mean = float(np.mean(values))
    quantile = -special.stdtrit(count - 1, (1 - level) / 2)
    half = float(quantile * np.std(values, ddof=1)) / math.sqrt(count)
    return Interval(mean, mean - half, mean + half)


@dataclass(frozen=True)
class Resampled:
    """A metric of each target, on the examples and on bootstrap resamples of the examples.

    `per_target` is (targets,) and `in_resamples` (targets, resamples). All targets and all arms of
    a study (noise settings that are compared) share the resamples, and the groups of models of the
    `jackknife`. The differences, sums and multiples of such records are therefore those of paired
    numbers. The jackknife is None for a metric that does not depend on shadows, such as accuracy.
    """

    per_target: Floats
    in_resamples: Floats
    jackknife: Jackknife | None = None

    @classmethod
    def joined(cls, parts: "Sequence[Resampled]") -> "Resampled":
        """Returns the record of the targets of all parts, in their order."""
        jackknives = [part.jackknife for part in parts if part.jackknife is not None]
        return cls(
            np.concatenate([part.per_target for part in parts]),
            np.concatenate([part.in_resamples for part in parts]),
            Jackknife.joined(jackknives) if len(jackknives) == len(parts) else None,
        )

    def at(self, targets: list[int]) -> "Resampled":
        """Returns the record of the targets with these indices."""
        jackknife = None if self.jackknife is None else self.jackknife.at(targets)
        return Resampled(self.per_target[targets], self.in_resamples[targets], jackknife)

    def shifted(self, by: float) -> "Resampled":
        """Returns the record of the metric plus a constant."""
        jackknife = None if self.jackknife is None else self.jackknife.plus(np.array(by))
        return Resampled(self.per_target + by, self.in_resamples + by, jackknife)

    def __add__(self, other: "Resampled") -> "Resampled":
        jackknife = sum_of_jackknives(
            self.jackknife, other.jackknife, self.per_target, other.per_target
        )
        per_target = self.per_target + other.per_target
        return Resampled(per_target, self.in_resamples + other.in_resamples, jackknife)

    def __sub__(self, other: "Resampled") -> "Resampled":
        return self + -1.0 * other

    def __rmul__(self, factor: float) -> "Resampled":
        jackknife = None if self.jackknife is None else self.jackknife.times(factor)
        return Resampled(factor * self.per_target, factor * self.in_resamples, jackknife)


def resample_counts(
    examples: int, generator: np.random.Generator, resamples: int = RESAMPLES
) -> NDArray[np.uint16]:
    """Returns the multiplicity of each example in each bootstrap resample (resamples, examples)."""
    counts = np.empty((resamples, examples), dtype=np.uint16)
    at_once = max(CACHED_COUNTS // examples, 1)
    for start in range(0, resamples, at_once):
        block = counts[start : start + at_once]
        drawn = generator.integers(0, examples, block.shape)
        # Each row counts in its own range of numbers, so that one call counts all rows.
        offsets = examples * np.arange(len(block))[:, np.newaxis]
        drawn_in_rows = drawn + offsets
        counted = np.bincount(drawn_in_rows.ravel(), minlength=block.size)
        block[:] = counted.reshape(block.shape)
    return counts


def resampled_metrics(
    scores: Floats,
    membership: NDArray[np.bool_],
    counts: NDArray[np.integer],
    halves: NDArray[np.bool_] | None = None,
    jackknife: Mapping[str, Jackknife] | None = None,
    names: Collection[str] | None = None,
) -> dict[str, Resampled]:
    """Returns metrics of `metrics.METRICS` by name, for each target and each resample.

    Args:
        scores: Scores (targets, examples), finite; higher means member.
        membership: Membership (targets, examples), bool.
        counts: Multiplicity of each example in each resample (resamples, examples), as from
            `resample_counts`.
        halves: As that of `metrics`.
        jackknife: The jackknife of each metric by name; None where there are no shadows.
        names: The metrics to compute; None are all of them.

    Raises:
        ValueError: As `mgaudit.attacks.roc.roc`.
    """
    of_models = {} if jackknife is None else jackknife
    pairs = list(zip(scores, membership, strict=True))
    of_targets = [metrics(*pair, halves=halves, names=names) for pair in pairs]
    of_resamples = [metrics(*pair, counts, halves, names) for pair in pairs]
    resampled = {}
    for name in of_targets[0]:
        per_target = np.concatenate([values[name] for values in of_targets])
        in_resamples = np.stack([values[name] for values in of_resamples])
        resampled[name] = Resampled(per_target, in_resamples, of_models.get(name))
    return resampled


def two_way_interval(
    numbers: Resampled,
    trials: int,
    bounds: tuple[float, float] = (0.0, 1.0),
    level: float = LEVEL,
) -> Interval:
    """Returns the mean over targets with its interval for new targets and new examples.

    `trials` is the number of members of one target, and `bounds` are the least and the largest
    possible value of the number. With one target, the interval is for new examples only. `level` is
    the two-sided confidence level, of which the quantiles below are those for 95 %.

    The targets share their examples, and are each other's shadows. So they are not independent, and
    an interval from their spread alone is too narrow. With t and z the 97.5 % quantiles of
    Student's and of the normal distribution,

        half^2 = t^2 V_models + z^2 V_examples.

    V_examples is the variance of the mean when the examples are resampled jointly for all targets.
    It contains the noise of single models on single examples, also that of shadows. V_models is the
    rest, which is the same for all examples: the jackknife over models in which targets are scored
    again without some of the shadows (`Jackknife.variance`), if it is positive. t has its degrees
    of freedom.

    For a number without a jackknife, such as an accuracy, the analysis of variance gives (Owen
    2007; Cameron, Gelbach and Miller 2011; Howe 1974)

        half^2 = t^2 V_targets + z^2 max(V_examples - V_cells, 0), at least z^2 V_examples.

    V_targets is the variance of the mean due to the spread of the targets, with `targets` - 1
    degrees of freedom, and V_cells its variance when the examples are resampled separately for each
    target, which is noise that is part of both V_targets and V_examples.

    For `bounds` (a, b) and logit x = log((x - a) / (b - x)), the logit of the interval's ends is

        logit(mean) +- half logit'(mean),

    because near a bound, mean +- half misses mostly on one side. For a mean at a bound, the
    interval is no narrower than Clopper and Pearson's for `trials` trials.

    The interval covers the expected value of the number as computed. For a TPR at a low FPR this is
    not exactly the population's TPR: with k of N non-members allowed, (k + 1)/(N + 1) of them
    exceed the threshold on average.
    """
    value = float(numbers.per_target.mean())
    return interval_of(value, Variances.of(numbers), trials, bounds, level)


def interval_of(
    value: float,
    variances: "Variances",
    trials: int,
    bounds: tuple[float, float] = (0.0, 1.0),
    level: float = LEVEL,
) -> Interval:
    """Returns the interval of `two_way_interval` for a number with these parts of its variance."""
    half = variances.half((1 - level) / 2)
    least, largest = bounds
    below = value - least
    above = largest - value
    # At a bound the logit is infinite.
    if below == 0 or above == 0:
        reach = max(half, clopper_pearson(0, trials, level).high)
        return Interval(value, max(value - reach, least), min(value + reach, largest))
    shrink = math.exp(-half * (1 / below + 1 / above))
    low = value - below * above * (1 - shrink) / (below * shrink + above)
    high = value + below * above * (1 - shrink) / (below + above * shrink)
    return Interval(value, max(low, least), min(high, largest))


def two_way_p_value(difference: Resampled) -> float:
    """Returns the two-sided p-value of the hypothesis that the expected difference is 0.

    The differences are in [-1, 1]. The p-value is 1 minus the smallest level at which
    `two_way_interval` with bounds (-1, 1) contains 0. So an interval of 95 % excludes 0 exactly
    where the p-value is below 0.05. The p-value is 1 for a mean difference of 0, and at least
    SMALLEST_P.
    """
    value = float(difference.per_target.mean())
    if value == 0:
        return 1.0
    variances = Variances.of(difference)
    # The interval contains 0 where |logit(value) - logit(0)| <= half logit'(value), and logit' = 2
    # / (1 - value^2).
    reach = math.inf if abs(value) == 1 else abs(math.atanh(value)) * (1 - value**2)

    def excess(log_p: float) -> float:
        """Returns by how much half the interval's width exceeds `reach`, at level 1 - p."""
        return variances.half(math.exp(log_p) / 2) - reach

    if excess(math.log(SMALLEST_P)) <= 0:
        return SMALLEST_P
    log_p = optimize.brentq(excess, math.log(SMALLEST_P), 0.0, xtol=1e-12)
    return float(math.exp(log_p))


@dataclass(frozen=True)
class Variances:
    """The parts of the variance of a mean over `targets` targets; see `two_way_interval`.

    `over_models` has `degrees_of_freedom` and is 0 for one target. It is V_models if there is a
    jackknife (`is_jackknife`), and else V_targets.
    """

    targets: int
    degrees_of_freedom: int
    over_models: float
    over_examples: float
    over_cells: float
    is_jackknife: bool

    @classmethod
    def of(cls, numbers: Resampled) -> "Variances":
        """Returns the parts for the mean of `numbers.per_target`."""
        targets, jackknife = len(numbers.per_target), numbers.jackknife
        is_jackknife = jackknife is not None and jackknife.degrees_of_freedom > 0
        over_models, freedom = 0.0, targets - 1
        if jackknife is not None and is_jackknife:
            over_models = max(jackknife.variance(), 0.0)
            freedom = jackknife.degrees_of_freedom
        elif targets > 1:
            over_models = float(numbers.per_target.var(ddof=1)) / targets
        over_examples = float(numbers.in_resamples.mean(axis=0).var(ddof=1))
        over_cells = float(numbers.in_resamples.var(axis=1, ddof=1).mean()) / targets
        return cls(targets, freedom, over_models, over_examples, over_cells, is_jackknife)

    def half(self, tail: float) -> float:
        """Returns half the width of the interval without the logit transformation.

        `tail` is the probability outside the interval on each side, 0.025 for a level of 95 %.
        """
        normal = -float(special.ndtri(tail))
        of_examples = normal * math.sqrt(self.over_examples)
        if self.targets == 1:  # one target says nothing about other targets
            return of_examples
        student = -float(special.stdtrit(self.degrees_of_freedom, tail))
        of_models = student * math.sqrt(self.over_models)
        if self.is_jackknife:
            return math.hypot(of_models, of_examples)
        shared = normal * math.sqrt(max(self.over_examples - self.over_cells, 0.0))
        return max(math.hypot(of_models, shared), of_examples)
