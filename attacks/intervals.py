"""Intervals over targets and examples."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]

LEVEL = 0.95
RESAMPLES = 500


@dataclass(frozen=True)
class Interval:
    """A number with its two-sided 95 % confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Resampled:
    """One number for each target (targets,) and the same number in each resample of the examples (targets, resamples).

    All targets share the resamples, and so do all arms of a study: what is paired stays paired.
    """

    per_target: Floats
    in_resamples: Floats

    def __sub__(self, other: "Resampled") -> "Resampled":
        return Resampled(self.per_target - other.per_target, self.in_resamples - other.in_resamples)


def resample_counts(examples: int, generator: np.random.Generator, resamples: int = RESAMPLES) -> NDArray[np.uint16]:
    """Returns how often each example is drawn in each bootstrap resample (resamples, examples)."""
    return np.stack(
        [
            np.bincount(generator.integers(0, examples, examples), minlength=examples).astype(np.uint16)
            for _ in range(resamples)
        ]
    )


def two_way_interval(numbers: Resampled, trials: int, bounds: tuple[float, float] = (0.0, 1.0)) -> Interval:
    """Returns the mean over targets with its interval for new targets and new examples together.

    The targets share their examples and their shadows, so they are not independent, and an interval from their
    spread alone is too narrow where some examples are easier to attack than others. With the two-way analysis of
    variance (Owen 2007; Cameron, Gelbach and Miller 2011)

        Var(mean) = V_targets + V_examples - V_both,

    V_targets the variance of the mean over targets, V_examples that over examples resampled for all targets alike,
    V_both that over examples resampled for each target apart (the noise that both of the others count). The interval
    is Student's with Satterthwaite's degrees of freedom, cut at `bounds`. Where nothing varies at a bound it is
    Clopper and Pearson's for `trials` trials, the members of one target.
    """
    targets = len(numbers.per_target)
    value = float(numbers.per_target.mean())
    over_targets = float(numbers.per_target.var(ddof=1)) / targets
    over_examples = float(numbers.in_resamples.mean(axis=0).var(ddof=1))
    over_both = float(numbers.in_resamples.var(axis=1, ddof=1).mean()) / targets
    variance = max(over_targets + over_examples - over_both, over_examples)
    if variance == 0:
        exact = 1 - ((1 - LEVEL) / 2) ** (1 / trials)
        low = value - exact if value == bounds[1] else value
        high = value + exact if value == bounds[0] else value
        return Interval(value, low, high)
    freedom = (targets - 1) * (variance / over_targets) ** 2 if over_targets > 0 else np.inf
    half = float(stats.t.ppf((1 + LEVEL) / 2, freedom)) * variance**0.5
    return Interval(value, max(value - half, bounds[0]), min(value + half, bounds[1]))
