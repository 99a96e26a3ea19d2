import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mgaudit.attacks.roc import roc
from mgaudit.attacks.single_target import (
    delong,
    delong_interval,
    population_tpr_interval,
    tpr_interval,
)
from tests import oracles


def normal(examples: int, shift: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    members = generator.random(examples) < 0.5
    return generator.standard_normal(examples) + shift * members, members


def test_a_variance_with_ties_done_by_hand() -> None:
    # Members 3, 2 beat 1 and 3/4 of the others; the others 2, 1 beat 1/4 and 0 of the members:
    # Var = 2 * (1/32) / 2.
    assert delong(np.array([3.0, 2.0, 2.0, 1.0]), np.array([True, True, False, False])) == (
        0.875,
        1 / 32,
    )


@given(
    st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=4, max_size=40).filter(
        lambda pairs: 2 <= sum(member for _, member in pairs) <= len(pairs) - 2
    )
)
def test_delong_equals_the_slow_oracle_whatever_the_ties(pairs: list[tuple[int, bool]]) -> None:
    scores, members = (np.array(column) for column in zip(*pairs, strict=True))
    auc, variance = delong(scores.astype(float), members)
    assert auc == pytest.approx(oracles.auc(scores, members), abs=1e-9)
    assert variance == pytest.approx(oracles.delong_variance(scores, members), abs=1e-9)


@pytest.mark.parametrize("digits", [0, 9])
def test_delong_does_not_care_for_scale_and_mirrors_with_the_sign(digits: int) -> None:
    scores, members = normal(300, 1.0)
    scores = scores.round(digits)
    interval, negated = delong_interval(scores, members), delong_interval(-scores, members)
    assert delong_interval(np.exp(scores), members) == interval
    assert (negated.value, negated.low, negated.high) == pytest.approx(
        (1 - interval.value, 1 - interval.high, 1 - interval.low)
    )
    swapped = delong_interval(-scores, ~members)
    assert (swapped.value, swapped.low, swapped.high) == pytest.approx(
        (interval.value, interval.low, interval.high)
    )


def test_delong_is_nearly_the_normal_interval_for_many_examples() -> None:
    auc, variance = delong(*normal(20_000, 1.0))
    interval = delong_interval(*normal(20_000, 1.0))
    assert (interval.low, interval.high) == pytest.approx(
        stats.norm.interval(0.95, auc, variance**0.5), abs=2e-4
    )


def test_a_perfect_attack_is_as_certain_as_its_independent_pairs() -> None:
    scores, members = np.arange(30.0), np.arange(30) >= 20
    bound = stats.binomtest(10, 10).proportion_ci(0.95, method="exact").low
    perfect, worst = delong_interval(scores, members), delong_interval(-scores, members)
    assert (perfect.value, perfect.low, perfect.high) == pytest.approx((1, bound, 1))
    assert (worst.value, worst.low, worst.high) == pytest.approx((0, 0, 1 - bound))


def test_scores_that_are_all_equal_leave_the_auc_open() -> None:
    interval = delong_interval(np.zeros(40), np.arange(40) % 2 == 0)
    expected = stats.binomtest(10, 20).proportion_ci(0.95, method="exact")
    assert (interval.value, interval.low, interval.high) == pytest.approx(
        (0.5, expected.low, expected.high)
    )


@pytest.mark.parametrize("fpr", [0.0, 0.01, 0.1, 1.0])
def test_the_tpr_of_a_threshold_has_the_binomial_interval(fpr: float) -> None:
    scores, members = normal(500, 1.0)
    accepted = round(oracles.tpr_at(scores, members, fpr) * members.sum())
    expected = stats.binomtest(accepted, int(members.sum())).proportion_ci(0.95, method="exact")
    interval = tpr_interval(scores, members, fpr)
    assert interval.value == roc(scores, members).tpr_at(fpr)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_the_populations_tpr_by_hand() -> None:
    # Of the 4 non-members 3, 2, 1, 0 an FPR of 2/5 is the second highest's; 3 of 5 members lie
    # above it.
    scores = np.array([5.0, 4.0, 2.5, 0.5, -1.0, 3.0, 2.0, 1.0, 0.0])
    members = np.array([True] * 5 + [False] * 4)
    assert population_tpr_interval(scores, members, 0.4).value == pytest.approx(3 / 5)
    # At an FPR of 3/10 half-way between the first two, with 2 and 3 members above; at 1/10 half-way
    # to nobody.
    assert population_tpr_interval(scores, members, 0.3).value == pytest.approx(2.5 / 5)
    assert population_tpr_interval(scores, members, 0.1).value == pytest.approx(1 / 5)


@pytest.mark.parametrize("fpr", [0.01, 0.3, 0.9])
def test_the_populations_tpr_has_the_delta_methods_error(fpr: float) -> None:
    interval = population_tpr_interval(*normal(400_000, 1.0), fpr)
    truth = stats.norm.sf(stats.norm.isf(fpr) - 1)
    slope = math.exp(stats.norm.isf(fpr) - 0.5)  # the density of members over that of non-members
    sd = math.sqrt(truth * (1 - truth) / 200_000 + slope**2 * fpr * (1 - fpr) / 200_000)
    assert abs(interval.value - truth) < 3 * sd
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * sd, rel=0.1)
    assert interval.low < interval.value < interval.high


def test_a_threshold_beyond_all_non_members_bounds_nothing_from_below() -> None:
    interval = population_tpr_interval(*normal(200, 3.0), fpr=0.001)
    assert interval.low == 0
    assert interval.high > tpr_interval(*normal(200, 3.0), fpr=0.0).value


def test_scores_that_are_all_equal_get_the_tpr_of_guessing() -> None:
    interval = population_tpr_interval(np.zeros(2000), np.arange(2000) % 2 == 0, fpr=0.1)
    assert interval.low < 0.1 < interval.high < 0.15
    assert interval.value == pytest.approx(0.1, abs=0.002)


@pytest.mark.parametrize(
    ("scores", "members", "message"),
    [
        ([0.0, math.nan, 1.0, 2.0], [True, True, False, False], "NaN or infinity for example 1"),
        ([0.0, 1.0, 2.0], [True, False, False], "2 or more members and non-members, got 1 and 2"),
        ([0.0, 1.0], [False, False], "must hold members and non-members, got 0 of 2"),
    ],
)
def test_delong_refuses_what_has_no_variance(
    scores: list[float], members: list[bool], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        delong_interval(np.array(scores), np.array(members))


@pytest.mark.parametrize("fpr", [-0.1, 1.1, math.nan])
def test_an_fpr_is_a_rate(fpr: float) -> None:
    with pytest.raises(ValueError, match=r"fpr must be in \[0, 1\], got"):
        tpr_interval(*normal(20, 1.0), fpr)


@pytest.mark.parametrize("fpr", [0.0, 1.0, math.nan])
def test_the_populations_fpr_is_neither_none_nor_all(fpr: float) -> None:
    with pytest.raises(ValueError, match=r"fpr must be in \(0, 1\), got"):
        population_tpr_interval(*normal(20, 1.0), fpr)
