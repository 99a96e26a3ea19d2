"""Checks of what the claim of DP-SGD assumes, by an adversary who sees every step.

Noise, clipped contributions and their independence over steps are checked from the scores and
residuals of `white_box`, and the batches against Poisson sampling.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from mgaudit.attacks.epsilon import check_significance
from mgaudit.attacks.white_box import Floats, StepRecords, check_scores_suffice, two_samples

FEWEST_STEPS_OF_SIZES = 5  # for a statement about the sizes of batches
MOST_STEPS_COMPARED = 2000  # whose noise is compared with that of every other step
SHARES = {"sample-rate": 0.25}  # of the significance; the other checks share the rest equally
# By how much a contribution may exceed the clip norm. In float32, the sum of 64 gradients of that
# norm is rounded by about 64 * 2**-24 = 4e-6 of it, and the largest excess measured was 3e-7.
ROUNDING = 1e-4


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
    t, degrees, _ = two_samples(with_canary - 1, without)
    return Check("contribution", float(special.stdtr(degrees, -t)), difference, 1.0)


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
    from scipy import stats  # imported here because it takes a second

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
