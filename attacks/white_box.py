"""What an adversary who sees every step of DP-SGD can prove about its noise and its sampling.

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
from scipy import optimize, special, stats

from mgaudit.attacks.epsilon import check_significance
from mgaudit.attacks.intervals import lower_limit

Floats = NDArray[np.float64]

FEWEST_SCORES = 20  # scores with a canary, and as many without, for any statement
FEWEST_STEPS_OF_SIZES = 5  # for a statement about the sizes of batches
MOST_STEPS_COMPARED = 2000  # whose noise is compared with that of every other step
SHARES = {"sample-rate": 0.25}  # of the significance; the other checks share the rest equally
# By how much a contribution may exceed the clip norm. In float32, the sum of 64 gradients of that
# norm is rounded by about 64 * 2**-24 = 4e-6 of it, and the largest excess measured was 3e-7.
ROUNDING = 1e-4
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
    t, degrees, scale = _two_samples(with_canary, without)
    difference = float(with_canary.mean() - without.mean())
    error = difference / t if t else 0.0
    half = float(stats.t.ppf(1 - significance, degrees)) * abs(error)
    squares = float((records.residuals**2).sum())
    quantile = float(stats.chi2.ppf(significance, len(coins)))
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


def _two_samples(first: Floats, second: Floats) -> tuple[float, int, float]:
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

    def excess(noncentrality: float) -> float:
        return float(stats.nct.sf(t, degrees, noncentrality)) - significance

    spread = 10 * math.sqrt(1 + t**2 / (2 * degrees))
    return float(optimize.brentq(excess, t - spread, t + spread))


def _noise_of_effect(effect: float) -> float | None:
    """Returns the noise multiplier whose effect, 1 / multiplier, this is; None if not positive."""
    if effect <= 0:
        return None
    return 1 / effect if math.isfinite(effect) else 0.0


@dataclass(frozen=True)
class Check:
    """One test of a property that the claim assumes.

    `p_value` is the probability of results at least as far from the property if it holds. `applies`
    is False where there are too few data, and then the p-value is 1. A `deterministic` check has no
    chance in it: its p-value is 0 if the property is broken, else 1.
    """

    name: str
    p_value: float
    value: float
    expected: float
    applies: bool = True
    deterministic: bool = False


def mechanism_checks(records: StepRecords, noise_multiplier: float) -> list[Check]:
    """Returns the tests of the noise, of the clipped contributions, and of their independence.

    The noise of a correct mechanism is independent over weights and steps, normal, with the
    standard deviation `noise_multiplier` (> 0), whatever the batch. A larger contribution or a
    smaller noise speaks against the claim, and less of a contribution or more noise does not. The
    contribution of an example in a batch is only checked where `records` can have it.

    Raises:
        ValueError: For fewer than 20 scores with or without a canary.
    """
    check_scores_suffice(records)
    checks = [
        _canaries_noise(records, noise_multiplier),
        _noise_of_tensors(records, noise_multiplier),
        _noise_of_steps(records, noise_multiplier),
        _contribution(records),
        _along_sum(records, noise_multiplier),
        _successive(records),
        _any_two_steps(records),
        _kurtosis(records),
        _noise_against_batch_size(records),
    ]
    if records.largest_contribution is not None:
        checks.append(_contribution_in_batch(records.largest_contribution))
    return checks


def _canaries_noise(records: StepRecords, noise_multiplier: float) -> Check:
    """Tests whether the noise in the canaries' directions is smaller than claimed."""
    squares, count = float((records.residuals**2).sum()), records.coins.size
    p_value = float(special.chdtr(count, squares / noise_multiplier**2))
    return Check("canary-noise", p_value, math.sqrt(squares / count), noise_multiplier)


def _noise_of_tensors(records: StepRecords, noise_multiplier: float) -> Check:
    """Tests whether the noise of any weight tensor, or of all together, is smaller than claimed."""
    totals = records.squares.sum(axis=0)
    squares = np.append(totals, totals.sum())
    counts = np.append(records.sizes, records.sizes.sum()).astype(float) * records.steps
    p_values = special.chdtr(counts, squares / noise_multiplier**2)
    least = int(p_values.argmin())
    p_value = min(1.0, float(p_values[least]) * len(p_values))
    deviation = math.sqrt(float(squares[least] / counts[least]))
    return Check("noise", p_value, deviation, noise_multiplier)


def _noise_of_steps(records: StepRecords, noise_multiplier: float) -> Check:
    """Tests whether the noise of any single step is smaller than claimed."""
    squares, numbers = records.squares.sum(axis=1), float(records.sizes.sum())
    p_values = special.chdtr(numbers, squares / noise_multiplier**2)
    least = int(p_values.argmin())
    p_value = min(1.0, float(p_values[least]) * records.steps)
    deviation = math.sqrt(float(squares[least]) / numbers)
    return Check("noise-of-a-step", p_value, deviation, noise_multiplier)


def _contribution(records: StepRecords) -> Check:
    """Tests whether a canary contributes more than the clip norm."""
    coins, scores = records.coins.ravel(), records.scores.ravel()
    with_canary, without = scores[coins], scores[~coins]
    difference = float(with_canary.mean() - without.mean())
    t, degrees, _ = _two_samples(with_canary - 1, without)
    return Check("contribution", float(stats.t.sf(t, degrees)), difference, 1.0)


def _along_sum(records: StepRecords, noise_multiplier: float) -> Check:
    """Tests whether the noisy sum has more than S in the direction of S, as by a larger norm."""
    along = records.along_sum[np.isfinite(records.along_sum)]
    if len(along) == 0:
        return Check("clipped-sum", 1.0, math.nan, 0.0, applies=False)
    z = float(along.sum() / (noise_multiplier * math.sqrt(len(along))))
    return Check("clipped-sum", float(special.ndtr(-z)), z, 0.0)


def _successive(records: StepRecords) -> Check:
    """Tests whether the noise of successive steps is correlated."""
    lengths = np.sqrt(records.squares.sum(axis=1))
    products = lengths[1:] * lengths[:-1]
    usable = products > 0
    if not usable.any():
        return Check("successive-steps", 1.0, math.nan, 0.0, applies=False)
    cosines = records.successive[1:][usable] / products[usable]
    z = float(cosines.sum() * math.sqrt(records.sizes.sum() / len(cosines)))
    p_value = 2 * float(special.ndtr(-abs(z)))
    return Check("successive-steps", p_value, float(cosines.mean()), 0.0)


def _any_two_steps(records: StepRecords) -> Check:
    """Tests whether the noise of any two steps is correlated, as where noise is used again.

    The cosine x of two independent normal vectors of n numbers has (x + 1) / 2 ~ Beta((n - 1) / 2,
    (n - 1) / 2). The largest is tested with Bonferroni's correction for all pairs.
    """
    vectors = records.sketch[:MOST_STEPS_COMPARED]
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = (vectors / np.where(lengths > 0, lengths, 1.0))[lengths[:, 0] > 0]
    steps, numbers = vectors.shape
    if steps < 2 or numbers < 2:
        return Check("any-two-steps", 1.0, math.nan, 0.0, applies=False)
    cosines = np.abs(vectors @ vectors.T)
    np.fill_diagonal(cosines, 0.0)
    largest = min(float(cosines.max()), 1.0)
    shape = (numbers - 1) / 2
    of_a_pair = 2 * float(special.betainc(shape, shape, (1 - largest) / 2))
    pairs = steps * (steps - 1) / 2
    return Check("any-two-steps", min(1.0, pairs * of_a_pair), largest, 0.0)


def _kurtosis(records: StepRecords) -> Check:
    """Tests whether the fourth moment of the noise is that of a normal distribution.

    The variance of the kurtosis of n normal numbers is about 24 / n.
    """
    numbers = float(records.sizes.sum()) * records.steps
    variance = float(records.squares.sum()) / numbers
    if variance == 0:
        return Check("kurtosis", 1.0, math.nan, 3.0, applies=False)
    kurtosis = float(records.fourth.sum()) / numbers / variance**2
    z = (kurtosis - 3) / math.sqrt(24 / numbers)
    return Check("kurtosis", 2 * float(special.ndtr(-abs(z))), kurtosis, 3.0)


def _noise_against_batch_size(records: StepRecords) -> Check:
    """Tests whether the noise depends on the number of examples in the batch."""
    energies = records.squares.sum(axis=1)
    sizes = records.batch_sizes.astype(float)
    usable = energies > 0
    energies, sizes = energies[usable], sizes[usable]
    if len(sizes) < FEWEST_STEPS_OF_SIZES or np.ptp(sizes) == 0 or np.ptp(energies) == 0:
        return Check("noise-against-batch-size", 1.0, math.nan, 0.0, applies=False)
    outcome = stats.pearsonr(np.log(energies), np.log1p(sizes))
    return Check("noise-against-batch-size", float(outcome.pvalue), float(outcome.statistic), 0.0)


def _contribution_in_batch(largest: float) -> Check:
    """Checks whether an example of a batch contributes more than the clip norm to its sum."""
    p_value = 0.0 if largest > 1 + ROUNDING else 1.0
    applies = not math.isnan(largest)
    return Check("contribution-in-batch", p_value, largest, 1.0, applies, deterministic=True)


def sampler_checks(records: StepRecords, examples: int, sample_rate: float) -> list[Check]:
    """Returns the tests of the batches against Poisson sampling at a rate in (0, 1].

    `examples` is the number of examples that are sampled from. Each example must be in a batch with
    the probability `sample_rate`, independently of the others and of other steps. A lower rate does
    not speak against the claim.

    Raises:
        ValueError: For fewer than 1 example, and for a rate outside (0, 1].
    """
    if examples < 1:
        raise ValueError(f"examples must be >= 1, got {examples}")
    if not 0 < sample_rate <= 1:
        raise ValueError(f"sample_rate must be in (0, 1], got {sample_rate}")
    total, draws = int(records.batch_sizes.sum()), examples * records.steps
    p_value = float(special.bdtrc(total - 1, draws, sample_rate)) if total > 0 else 1.0
    checks = [Check("sample-rate", p_value, total / draws, sample_rate)]
    sizes, counts = records.batch_sizes.astype(float), records.inclusions
    checks.append(_dispersion("batch-sizes", sizes, examples, sample_rate, FEWEST_STEPS_OF_SIZES))
    if counts is None:
        checks.append(Check("inclusions", 1.0, math.nan, 1.0, applies=False))
    else:
        own = counts.astype(float)
        checks.append(_dispersion("inclusions", own, records.steps, sample_rate, 1))
    return checks


def _dispersion(name: str, counts: Floats, trials: int, rate: float, fewest: int) -> Check:
    """Tests whether counts vary as binomial ones do, each with `trials` trials at `rate`.

    The sum of squared distances to the mean, in units of the variance, has the mean n and the
    variance n (2 + k) for n counts of excess kurtosis k. It is compared with the chi-squared
    distribution that is scaled to these two. A distance is half a count smaller, or larger, where
    it is tested for being large, or small.
    """
    variance = trials * rate * (1 - rate)
    if variance == 0 or len(counts) < fewest:
        return Check(name, 1.0, math.nan, 1.0, applies=False)
    distances = np.abs(counts - trials * rate)
    excess_kurtosis = (1 - 6 * rate * (1 - rate)) / variance
    degrees = 2 * len(counts) / (2 + excess_kurtosis)
    scale = degrees / len(counts) / variance
    large = float((np.maximum(distances - 0.5, 0) ** 2).sum()) * scale
    small = float(((distances + 0.5) ** 2).sum()) * scale
    p_value = 2 * min(float(special.chdtrc(degrees, large)), float(special.chdtr(degrees, small)))
    ratio = float((distances**2).mean()) / variance
    return Check(name, min(1.0, p_value), ratio, 1.0)


def alarms(checks: list[Check], significance: float) -> list[Check]:
    """Returns the checks that fail at a level that holds for all together (weighted Bonferroni).

    The sampling rate has a quarter of the significance, because a fault of it needs the most steps,
    and the others have equal shares of the rest. All of them count, also those that do not apply,
    so that the levels are fixed before the data. Deterministic checks, which never fail for a
    correct mechanism, have no share.

    Raises:
        ValueError: For a significance outside (0, 0.5).
    """
    check_significance(significance)
    rest = sum(check.name not in SHARES and not check.deterministic for check in checks)
    equal = (1 - sum(SHARES.values())) / max(rest, 1)
    levels = {check.name: significance * SHARES.get(check.name, equal) for check in checks}
    return [check for check in checks if check.p_value < levels[check.name]]
