"""The positive predictive value and its intervals. `pytest -m slow -k ppv -s` prints tables."""

from collections.abc import Iterator

import numpy as np
import pytest
from scipy import stats

from mgaudit.attacks.intervals import (
    Interval,
    clopper_pearson,
    resample_counts,
    resampled_metrics,
    two_way_interval,
)
from mgaudit.attacks.metrics import tpr_name
from mgaudit.attacks.positive_predictive_value import (
    PPV_LEVELS,
    PRIORS,
    OperatingPoint,
    positive_predictive_value,
    ppv_interval,
)
from mgaudit.attacks.roc import false_positives_allowed
from mgaudit.attacks.single_target import tpr_interval
from tests.attacks.test_coverage import ALL, FEW, NOTHING, STRONG, UNEVEN, Scenario

PRIOR = 0.1  # coverage does not depend on it, because the PPV is a function of TPR / FPR


def test_the_ppv_is_the_share_of_members_among_a_million_records() -> None:
    for prior in PRIORS:
        members = prior * 1e6
        accepted_members, accepted_others = 0.3 * members, 0.02 * (1e6 - members)
        expected = accepted_members / (accepted_members + accepted_others)
        assert positive_predictive_value(0.3, 0.02, prior) == pytest.approx(expected)
    assert positive_predictive_value(0.5, 0.0, 0.01) == 1.0
    assert positive_predictive_value(0.0, 0.5, 0.01) == 0.0
    assert np.isnan(positive_predictive_value(0.0, 0.0, 0.5))


@pytest.mark.parametrize("prior", [0.0, 1.0, -0.1, float("nan")])
def test_a_prior_outside_0_and_1_is_refused(prior: float) -> None:
    with pytest.raises(ValueError, match="prior must be in"):
        positive_predictive_value(0.3, 0.1, prior)
    with pytest.raises(ValueError, match="prior must be in"):
        ppv_interval(Interval(0.3, 0.2, 0.4), Interval(0.1, 0.1, 0.1), prior)


def test_the_operating_point_is_that_of_a_plain_loop() -> None:
    generator = np.random.default_rng(0)
    for level in (0.3, 0.1, 0.01):
        membership = generator.random(60) < 0.5
        scores = np.round(generator.standard_normal(60) + membership, 1)
        best = (0, 0)
        for threshold in scores:
            accepted = scores >= threshold
            counts = int((accepted & membership).sum()), int((accepted & ~membership).sum())
            if counts[1] <= level * (~membership).sum():
                best = max(best, counts)
        point = OperatingPoint.of(scores, membership, level)
        assert (point.accepted_members, point.accepted_others) == best
        assert (point.members, point.others) == (membership.sum(), (~membership).sum())
        assert point.realised_fpr == best[1] / point.others
        assert point.fpr == (best[1] + 1) / (point.others + 1)


def test_the_fpr_is_that_of_new_non_members() -> None:
    generator = np.random.default_rng(1)
    passed, expected = [], []
    for _ in range(4000):
        scores = generator.standard_normal(31)
        membership = np.arange(31) >= 30
        scores[30] = 9.0
        point = OperatingPoint.of(scores, membership, 0.1)
        threshold = np.sort(scores[:30])[-1 - point.accepted_others]
        passed.append(stats.norm.sf(threshold))
        expected.append(point.fpr)
        assert point.realised_fpr == 0.1
    error = np.std(passed) / np.sqrt(len(passed))
    assert np.mean(passed) == pytest.approx(np.mean(expected), abs=4 * error)
    assert abs(np.mean(passed) - 0.1) > 8 * error  # the realised FPR is too low


def test_the_interval_of_the_fpr_is_that_of_an_order_statistic() -> None:
    point = OperatingPoint(5, 50, 3, 30, 3)
    low, high = stats.beta.ppf([0.025, 0.975], 4, 27)
    assert point.fpr_interval() == pytest.approx((4 / 31, low, high))
    tied = OperatingPoint(5, 50, 1, 30, 3)
    assert tied.fpr_interval().low == clopper_pearson(1, 30).low
    assert tied.fpr_interval().high == pytest.approx(high)
    in_groups = point.fpr_interval(effective=0.2)
    assert in_groups.low < low < high < in_groups.high
    assert OperatingPoint(5, 50, 30, 30, 30).fpr_interval().high == 1.0


def test_limits_of_the_interval_with_a_known_fpr_are_the_ppvs_of_the_tprs_limits() -> None:
    for prior in PRIORS:
        interval = ppv_interval(Interval(0.2, 0.1, 0.3), Interval(0.05, 0.05, 0.05), prior)
        expected = positive_predictive_value([0.2, 0.1, 0.3], 0.05, prior)
        assert interval == pytest.approx(tuple(expected))
        assert interval.low < interval.value < interval.high


def test_limits_with_an_uncertain_fpr_add_in_squares() -> None:
    low, high = np.exp([-1.0, 1.0])
    tpr = Interval(0.2, 0.2 * np.exp(-3.0), 0.2 * np.exp(0.4))
    fpr = Interval(0.05, 0.05 * np.exp(-0.3), 0.05 * np.exp(4.0))
    interval = ppv_interval(tpr, fpr, 0.5)
    odds = [share / (1 - share) for share in interval]
    assert odds == pytest.approx([4.0, 4 * np.exp(-5.0), 4 * np.exp(0.5)])
    assert low < high


def test_a_tpr_of_zero_has_a_ppv_of_zero_and_an_upper_limit() -> None:
    interval = ppv_interval(Interval(0.0, 0.0, 0.1), Interval(0.02, 0.01, 0.05), 0.5)
    assert interval == pytest.approx((0.0, 0.0, 10 / 11))
    lowest = ppv_interval(Interval(0.2, 0.0, 0.3), Interval(0.02, 0.0, 0.05), 0.5)
    assert (lowest.low, lowest.high) == (0.0, 1.0)
    with pytest.raises(ValueError, match="fpr must be > 0"):
        ppv_interval(Interval(0.2, 0.1, 0.3), Interval(0.0, 0.0, 0.1), 0.5)


def of_one_target(scenario: Scenario, examples: int, level: float, audits: int) -> float:
    """The share of audits whose interval contains the PPV of the target's threshold."""
    covered = 0
    for seed in range(audits):
        (scores,), (members,) = scenario.draw(1, examples, np.random.default_rng([seed, examples]))
        point = OperatingPoint.of(scores, members, level)
        threshold = -np.sort(-scores[~members])[point.allowed]
        fpr = float(stats.norm.sf(threshold / np.sqrt(1 + scenario.difficulty**2)))
        truth = positive_predictive_value(scenario.tpr(fpr), fpr, PRIOR)
        interval = ppv_interval(tpr_interval(scores, members, level), point.fpr_interval(), PRIOR)
        covered += bool(interval.low <= truth <= interval.high)
    return covered / audits


def expected_ppv(scenario: Scenario, others: np.ndarray, level: float) -> float:
    """The PPV at the expected rates of targets with these numbers of non-members (targets,).

    The FPR of a threshold is Beta(k + 1, N - k), with k of N non-members above it.
    """
    allowed = false_positives_allowed(level, others)
    quantiles = (np.arange(500)[:, np.newaxis] + 0.5) / 500
    tpr = scenario.tpr(stats.beta.ppf(quantiles, allowed + 1, others - allowed)).mean()
    fpr = np.mean((allowed + 1) / (others + 1))
    return float(positive_predictive_value(tpr, fpr, PRIOR))


def over_targets(
    scenario: Scenario, examples: int, targets: int, audits: int
) -> Iterator[tuple[float, float]]:
    """The FPR levels, and the share of audits whose interval contains the expected PPV."""
    covered = dict.fromkeys(PPV_LEVELS, 0)
    for seed in range(audits):
        generator = np.random.default_rng([seed, examples, targets])
        scores, membership = scenario.draw(targets, examples, generator)
        counts = resample_counts(examples, generator, resamples=200)
        resampled = resampled_metrics(scores, membership, counts)
        trials = int(membership.sum(axis=1).min())
        pairs = list(zip(scores, membership, strict=True))
        for level in PPV_LEVELS:
            tpr = two_way_interval(resampled[tpr_name(level)], trials)
            fpr = float(np.mean([OperatingPoint.of(*pair, level).fpr for pair in pairs]))
            interval = ppv_interval(tpr, Interval(fpr, fpr, fpr), PRIOR)
            truth = expected_ppv(scenario, (~membership).sum(axis=1), level)
            covered[level] += interval.low <= truth <= interval.high
    for level, number in covered.items():
        yield level, number / audits


@pytest.mark.parametrize("level", PPV_LEVELS)
def test_ppv_intervals_of_one_target_cover(level: float) -> None:
    for scenario in (ALL, FEW):
        assert of_one_target(scenario, 300, level, audits=300) >= 0.92  # 93 % less one s.e.


def test_ppv_intervals_over_targets_cover() -> None:
    for level, share in over_targets(ALL, 300, targets=4, audits=40):
        assert share >= 0.85, level  # 93 % less two standard errors


@pytest.mark.slow
def test_ppv_intervals_of_one_target_cover_in_a_thousand_audits() -> None:
    print("\n| scenario | FPR | 40 | 400 | 4,000 |\n| --- | --- | --- | --- | --- |")
    for scenario in (NOTHING, ALL, FEW, STRONG):
        for level in PPV_LEVELS:
            shares = [of_one_target(scenario, number, level, 1000) for number in (40, 400, 4000)]
            cells = " | ".join(f"{share:.1%}" for share in shares)
            print(f"| {scenario.name} | {level * 100:g} % | {cells} |")
            assert min(shares) >= 0.93, (scenario.name, level, shares)


@pytest.mark.slow
def test_ppv_intervals_over_targets_cover_in_300_audits() -> None:
    print("\n| scenario | targets | FPR 10 % | 1 % | 0.1 % |\n| --- | --- | --- | --- | --- |")
    for scenario in (NOTHING, ALL, FEW, UNEVEN, STRONG):
        for targets in (4, 8, 16):
            shares = [share for _, share in over_targets(scenario, 1000, targets, audits=300)]
            cells = " | ".join(f"{share:.1%}" for share in shares)
            print(f"| {scenario.name} | {targets} | {cells} |")
            assert min(shares) >= 0.90, (scenario.name, targets, shares)  # 93 % less two s.e.
