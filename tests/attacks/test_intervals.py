from functools import cache

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, logit

from mgaudit.attacks import Attack, LiRA, LossThreshold, Observations, score_every_target
from mgaudit.attacks.intervals import (
    Interval,
    Resampled,
    clopper_pearson,
    lower_limit,
    mean_interval,
    resample_counts,
    resampled_metrics,
    two_way_interval,
    two_way_p_value,
    upper_limit,
)
from tests import oracles


def covers(truths: dict[str, float], numbers: dict[str, Resampled]) -> list[bool]:
    intervals = {
        name: two_way_interval(numbers[name], trials=50, bounds=(-1, 1)) for name in truths
    }
    return [intervals[name].low <= truth <= intervals[name].high for name, truth in truths.items()]


@pytest.mark.parametrize(
    "attack", [LiRA(), pytest.param(LossThreshold(), marks=pytest.mark.slow)], ids=repr
)
def test_the_intervals_cover_guessing_when_membership_is_permuted(attack: Attack) -> None:
    guessing = {"auc": 0.5, "balanced_accuracy": 0.5, "advantage": 0.0}
    covered = []
    for seed in range(200):
        generator = np.random.default_rng(seed)
        observations = oracles.planted(6, 150, 1.5, generator)
        membership = np.stack([generator.permutation(row) for row in observations.membership])
        scores = score_every_target(
            attack, Observations(observations.logits, observations.labels, membership)
        )
        numbers = resampled_metrics(
            scores, membership, resample_counts(150, generator, resamples=100)
        )
        covered.append(covers(guessing, numbers))
    assert (np.mean(covered, axis=0) >= 0.93).all(), np.mean(covered, axis=0)


def test_the_intervals_cover_the_truth_when_examples_differ() -> None:
    # Scores are N(0, 3^2 + 1) for non-members and higher by the shift for members.
    shift = 1.5 / np.sqrt(10)
    truths = {
        "auc": float(stats.norm.cdf(shift / np.sqrt(2))),
        "tpr@0.1": float(stats.norm.sf(stats.norm.isf(0.1) - shift)),
    }
    covered = []
    for seed in range(200):
        generator = np.random.default_rng(seed)
        membership = generator.random((6, 400)) < 0.5
        scores = (
            3 * generator.standard_normal(400)
            + generator.standard_normal((6, 400))
            + 1.5 * membership
        )
        numbers = resampled_metrics(
            scores, membership, resample_counts(400, generator, resamples=100)
        )
        covered.append(covers(truths, numbers))
    assert (np.mean(covered, axis=0) >= 0.93).all(), np.mean(covered, axis=0)


@cache
def effects_of_an_audit(seed: int) -> tuple[Resampled, Resampled, Resampled]:
    """Numbers of an audit with N(0, 1) effects of 10 targets, 300 examples and their pairs."""
    generator = np.random.default_rng(seed)
    targets, examples, both = (
        generator.standard_normal(shape) for shape in ((10, 1), (1, 300), (10, 300))
    )
    counts = resample_counts(300, generator, resamples=200)
    own = Resampled(both.mean(axis=1), both @ counts.T / 300)
    shared = Resampled(np.full(10, examples.mean()), np.tile(examples @ counts.T / 300, (10, 1)))
    return Resampled(targets[:, 0], np.tile(targets, (1, 200))), shared, own


@pytest.mark.parametrize("effects", [(0, 0, 1), (0.1, 0, 1), (0, 1, 1), (0.1, 1, 1)], ids=str)
def test_coverage_whichever_effect_dominates_and_no_needless_width(
    effects: tuple[float, float, float],
) -> None:
    intervals = []
    for seed in range(400):
        of_targets, of_examples, of_both = (
            size * numbers for size, numbers in zip(effects, effects_of_an_audit(seed), strict=True)
        )
        intervals.append(
            two_way_interval(of_targets + of_examples + of_both, trials=300, bounds=(-100, 100))
        )
    covered = np.mean([interval.low <= 0 <= interval.high for interval in intervals])
    # Where single cells dominate, the larger of two estimates is too large by chance.
    assert 0.93 <= covered <= 0.985
    truth = np.sqrt(effects[0] ** 2 / 10 + effects[1] ** 2 / 300 + effects[2] ** 2 / 3000)
    assert np.mean([interval.high - interval.low for interval in intervals]) < 2.8 * 1.96 * truth


def test_an_interval_over_targets_alone_would_be_too_narrow() -> None:
    covered = 0
    for seed in range(300):
        generator = np.random.default_rng(seed)
        means = (generator.standard_normal((1, 300)) + generator.standard_normal((10, 300))).mean(
            axis=1
        )
        low, high = stats.t.interval(0.95, 9, means.mean(), means.std(ddof=1) / np.sqrt(10))
        covered += low <= 0 <= high
    assert covered / 300 < 0.8


def test_paired_differences_cancel_what_is_shared() -> None:
    generator = np.random.default_rng(0)
    counts = resample_counts(500, generator, 200)
    shared = generator.standard_normal((8, 500))
    first, second = (
        Resampled((shared + change).mean(axis=1), (shared + change) @ counts.T / 500)
        for change in (0.1, 0.0)
    )
    interval = two_way_interval(first - second, trials=500, bounds=(-1, 1))
    assert interval.value == pytest.approx(0.1)
    assert interval.high - interval.low < 1e-6


def test_targets_alone_have_students_interval() -> None:
    per_target = np.array([0.2, 0.5, 0.3, 0.6])
    numbers = Resampled(per_target, np.repeat(per_target[:, np.newaxis], 9, axis=1))
    wide = two_way_interval(numbers, trials=10, bounds=(-1e4, 1e4))
    mean, sd = per_target.mean(), per_target.std(ddof=1) / 2
    assert (wide.low, wide.high) == pytest.approx(stats.t.interval(0.95, 3, mean, sd), abs=1e-4)
    rate = two_way_interval(numbers, trials=10)
    expected = expit(stats.t.interval(0.95, 3, logit(mean), sd / (mean * (1 - mean))))
    assert (rate.low, rate.high) == pytest.approx(tuple(expected))


def test_an_interval_far_wider_than_its_bounds_fills_them() -> None:
    interval = two_way_interval(Resampled(np.array([0.001, 0.9]), np.zeros((2, 9))), trials=10)
    assert 0 <= interval.low < 1e-3
    assert 1 - 1e-3 < interval.high <= 1
    interval = two_way_interval(
        Resampled(np.array([0.0, 1e-6]), np.tile(np.arange(9.0), (2, 1))), trials=10
    )
    assert (interval.low, interval.high) == (0, 1)


def test_examples_that_move_all_targets_alike_have_the_normal_interval() -> None:
    moves = np.random.default_rng(0).normal(0, 0.01, 400)
    interval = two_way_interval(
        Resampled(np.zeros(4), np.tile(moves, (4, 1))), trials=10, bounds=(-100, 100)
    )
    half = stats.norm.ppf(0.975) * moves.std(ddof=1)
    assert (interval.low, interval.high) == pytest.approx((-half, half))


def test_targets_that_agree_by_chance_are_not_certain() -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, (4, 4000))
    interval = two_way_interval(Resampled(np.full(4, 0.5), 0.5 + noise), trials=10)
    assert interval.high - interval.low >= stats.norm.ppf(0.975) * noise.mean(axis=0).std() * (
        1 - 1e-3
    )


def test_identical_arms_differ_by_exactly_nothing() -> None:
    numbers = Resampled(np.array([0.2, 0.4, 0.9]), np.random.default_rng(0).random((3, 50)))
    assert two_way_interval(numbers - numbers, trials=10, bounds=(-1, 1)) == Interval(0.0, 0.0, 0.0)


def test_a_rate_that_never_varies_at_a_bound_has_the_exact_binomial_interval() -> None:
    for value in (0.0, 1.0):
        interval = two_way_interval(Resampled(np.full(4, value), np.full((4, 9), value)), trials=59)
        assert interval.value == value
        clopper_pearson = stats.binomtest(int(59 * value), 59).proportion_ci(0.95)
        assert (interval.low, interval.high) == pytest.approx(
            (clopper_pearson.low, clopper_pearson.high)
        )
        assert 0 <= interval.low <= interval.high <= 1
        varied = np.random.default_rng(0).random((4, 9))
        wider = two_way_interval(Resampled(np.full(4, value), varied), trials=59)
        assert wider.high - wider.low > interval.high - interval.low


@pytest.mark.parametrize(
    ("successes", "trials", "level"), [(0, 7, 0.95), (7, 7, 0.95), (3, 50, 0.9), (199, 200, 0.99)]
)
def test_clopper_pearson_is_the_exact_binomial_interval(
    successes: int, trials: int, level: float
) -> None:
    limits = clopper_pearson(successes, trials, level)
    expected = stats.binomtest(successes, trials).proportion_ci(level, method="exact")
    assert limits.value == successes / trials
    assert (limits.low, limits.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 0), "trials must be > 0 and finite, got 0"),
        ((-1, 5), r"successes must be in \[0, trials = 5\], got -1"),
        ((6, 5), r"successes must be in \[0, trials = 5\], got 6"),
        ((float("nan"), 5), "successes must be in"),
        ((1, 5, 1.0), r"level must be in \(0, 1\), got 1.0"),
    ],
)
def test_what_is_no_share_is_refused(arguments: tuple[float, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        clopper_pearson(*arguments)


def test_resamples_draw_with_replacement_and_evenly() -> None:
    counts = resample_counts(50, np.random.default_rng(0), resamples=2000)
    assert (counts.sum(axis=1) == 50).all()
    assert counts.mean(axis=0) == pytest.approx(np.ones(50), abs=0.15)
    assert counts.var() == pytest.approx(1 - 1 / 50, abs=0.05)


@pytest.mark.parametrize("seed", range(30))
def test_the_p_value_is_below_5_percent_exactly_where_the_interval_leaves_0_out(seed: int) -> None:
    generator = np.random.default_rng(seed)
    numbers = Resampled(generator.normal(0.02, 0.02, 6), generator.normal(0.02, 0.01, (6, 200)))
    interval = two_way_interval(numbers, 100, (-1, 1))
    assert (two_way_p_value(numbers) < 0.05) is (interval.low > 0 or interval.high < 0)


def test_the_p_value_of_targets_alone_is_students() -> None:
    per_target = np.array([0.0002, 0.0005, 0.0003, -0.0001])
    numbers = Resampled(per_target, np.repeat(per_target[:, np.newaxis], 9, axis=1))
    assert two_way_p_value(numbers) == pytest.approx(
        stats.ttest_1samp(per_target, 0).pvalue, rel=1e-4
    )
    assert two_way_p_value(-1.0 * numbers) == pytest.approx(two_way_p_value(numbers))


def test_the_p_value_of_nothing_is_1_and_of_certainty_next_to_0() -> None:
    assert two_way_p_value(Resampled(np.zeros(4), np.zeros((4, 9)))) == 1.0
    assert two_way_p_value(Resampled(np.full(4, 0.3), np.full((4, 9), 0.3))) < 1e-50
    assert two_way_p_value(Resampled(np.ones(4), np.ones((4, 9)))) < 1e-50


def test_sums_of_resampled_numbers_are_taken_in_every_target_and_resample() -> None:
    generator = np.random.default_rng(0)
    first, second = (Resampled(generator.random(4), generator.random((4, 9))) for _ in range(2))
    total = 2.0 * first + -1.0 * second
    assert np.allclose(total.per_target, 2 * first.per_target - second.per_target)
    assert np.allclose(total.in_resamples, 2 * first.in_resamples - second.in_resamples)


def test_student_interval() -> None:
    value, low, high = mean_interval([1.0, 2.0, 4.0])
    assert value == pytest.approx(7 / 3)
    half = 4.302652729911275 * (7 / 3) ** 0.5 / 3**0.5  # t of 2 degrees; the sample variance is 7/3
    assert (low, high) == pytest.approx((7 / 3 - half, 7 / 3 + half))
    with pytest.raises(ValueError, match="at least 2, got 1"):
        mean_interval([1.0])


def test_the_interval_of_a_mean_is_scipys_at_each_level() -> None:
    values = np.random.default_rng(0).normal(3.0, 2.0, 7)
    for level in (0.5, 0.95, 1 - 0.05 / 6):
        interval = mean_interval(values, level)
        expected = stats.t.interval(level, 6, values.mean(), stats.sem(values))
        assert (interval.low, interval.high) == pytest.approx(expected, rel=0, abs=1e-12)


def test_limits_are_the_tails_of_the_binomial_also_of_arrays() -> None:
    successes, trials = np.array([0.0, 3.0, 2.5, 50.0]), np.array([50, 50, 7, 50])
    for tail in (0.3, 0.025, 1e-4):
        low, high = lower_limit(successes, trials, tail), upper_limit(successes, trials, tail)
        assert (low[0], high[3]) == (0.0, 1.0)
        np.testing.assert_allclose(
            stats.binom.sf(successes[[1, 3]] - 1, 50, low[[1, 3]]), tail, rtol=1e-9
        )
        np.testing.assert_allclose(stats.binom.cdf(successes[:2], 50, high[:2]), tail, rtol=1e-9)
        # Version 0.1 computed the upper limit in two other ways, for bounds on epsilon and for
        # exposures.
        np.testing.assert_allclose(
            high, 1 - lower_limit(trials - successes, trials, tail), rtol=0, atol=1e-12
        )
        failures = np.maximum(trials - successes, 1e-12)
        previous = np.where(
            trials > successes, stats.beta.ppf(1 - tail, successes + 1, failures), 1.0
        )
        np.testing.assert_allclose(high, previous, rtol=0, atol=1e-12)


def test_one_target_has_the_interval_of_its_resamples() -> None:
    generator = np.random.default_rng(0)
    resamples = 0.6 + 0.02 * generator.standard_normal((1, 4000))
    interval = two_way_interval(Resampled(np.array([0.6]), resamples), trials=50)
    half = 1.96 * resamples.std(ddof=1)
    # On the logit scale, the interval of a rate above 1/2 reaches further down.
    assert interval.value == 0.6
    assert interval.low == pytest.approx(0.6 - half, abs=0.002)
    assert interval.high == pytest.approx(0.6 + half, abs=0.002)
    assert 0.6 - interval.low > interval.high - 0.6
