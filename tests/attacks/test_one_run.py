import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from scipy import stats
from scipy.special import ndtr, ndtri

from mgaudit.attacks.epsilon import gdp_epsilon
from mgaudit.attacks.one_run import (
    Guesses,
    guess,
    one_run_epsilon,
    one_run_fdp_epsilon,
    one_run_fdp_mu,
    rejects,
)
from tests import oracles

EPSILON_BOUNDS = pytest.mark.parametrize("bound", [one_run_epsilon, one_run_fdp_epsilon])
COUNTS = [(1, 1, 1), (9, 10, 10), (10, 10, 40), (17, 20, 60), (20, 30, 30), (90, 100, 1000)]


def gaussian_level(power: float, mu: float) -> float:
    return float(ndtr(ndtri(power) - mu))


def p_value_of_steinke(guesses: Guesses, epsilon: float, delta: float) -> float:
    q = 1 / (1 + math.exp(-epsilon))
    below = np.arange(guesses.correct - 1, -1, -1)
    mass = np.cumsum(stats.binom.pmf(below, guesses.made, q)) / (guesses.correct - below)
    tail = float(stats.binom.sf(guesses.correct - 1, guesses.made, q))
    return tail + 2 * guesses.canaries * delta * float(mass.max(initial=0.0))


def dp_level(power: float, epsilon: float, delta: float) -> float:
    """The level at which (epsilon, delta)-DP first allows the power, by search."""
    growth, shrinkage = math.exp(epsilon), math.exp(-epsilon)

    def missed(level: float) -> float:
        return power - min(1.0, delta + growth * level, 1 - shrinkage * (1 - delta - level))

    return oracles.falls_to(missed, 0.0) if missed(0.0) > 0 else 0.0


def guesses_at_corners(shift: float, examples: int) -> list[Guesses]:
    """Guesses that scores above a threshold are members, at the corners of the ROC's hull.

    Non-members are evenly spaced quantiles of the standard normal law, and members the same plus
    the shift.
    """
    others = stats.norm.ppf((np.arange(examples) + 0.5) / examples)
    thresholds = np.concatenate([np.union1d(others, others + shift), [np.inf]])
    counts = [np.searchsorted(scores, thresholds) for scores in (others + shift, others)]
    points = np.stack(counts, axis=1)
    dominated = np.array([True])
    while dominated.any():
        steps = np.diff(points, axis=0)
        dominated = steps[:-1, 1] * steps[1:, 0] <= steps[1:, 1] * steps[:-1, 0]
        points = points[np.r_[True, ~dominated, True]]
    above = examples - points
    return [Guesses(int(right), int(right + wrong), 2 * examples) for right, wrong in above]


@pytest.mark.parametrize(
    ("shift", "steinke", "gaussian"),
    [
        pytest.param(1, 1.1334596, 2.1647492, marks=pytest.mark.slow),
        pytest.param(2, 2.3119453, 4.7218066, marks=pytest.mark.slow),
        (4, 4.3955677, 9.1337517),
    ],
)
def test_the_bounds_of_jax_privacy(shift: float, steinke: float, gaussian: float) -> None:
    # Vectors of google-deepmind/jax_privacy, auditing_test.py (test_epsilon_one_run_close). Its
    # bound is the largest over all corners, with the significance divided by their number.
    guesses = guesses_at_corners(shift, 10_000)
    significance, delta = 0.05 / len(guesses), 1e-6
    largest_mu = 0.0
    for of in guesses:
        if rejects(of, partial(gaussian_level, mu=largest_mu + 1e-9), significance):
            largest_mu = one_run_fdp_mu(of, significance)
    assert gdp_epsilon(largest_mu, delta) == pytest.approx(gaussian, abs=1e-6)
    # Corners with a bound below the expected one are not searched, because that takes a minute.
    counts = [of for of in guesses if p_value_of_steinke(of, steinke - 1e-3, delta) < significance]
    bounds = [one_run_epsilon(of, delta, significance) for of in counts]
    assert max(bounds) == pytest.approx(steinke, abs=1e-7)


@EPSILON_BOUNDS
def test_a_thousand_correct_guesses_of_a_thousand(bound: Callable[..., float]) -> None:
    # q^1000 = 0.05, and epsilon is the log odds of q.
    q = 0.05 ** (1 / 1000)
    expected = math.log(q / (1 - q))
    assert expected == pytest.approx(5.809, abs=5e-4)
    assert bound(Guesses(1000, 1000, 1000), 0.0, 0.05) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("counts", COUNTS, ids=str)
def test_without_delta_steinke_is_clopper_pearson(counts: tuple[int, int, int]) -> None:
    correct, made, _ = counts
    q = stats.beta.ppf(0.05, correct, made - correct + 1)
    expected = max(0.0, math.log(q / (1 - q)))
    assert one_run_epsilon(Guesses(*counts), 0.0, 0.05) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("delta", [0.0, 1e-5, 1e-3, 1e-2])
@pytest.mark.parametrize("counts", COUNTS, ids=str)
def test_steinke_equals_the_slow_version(counts: tuple[int, int, int], delta: float) -> None:
    slow = oracles.falls_to(
        lambda e: 0.05 - oracles.one_run_chance(*counts, e, delta), 0.0, high=20.0
    )
    assert one_run_epsilon(Guesses(*counts), delta, 0.05) == pytest.approx(slow, abs=2e-9)


@pytest.mark.parametrize("counts", COUNTS, ids=str)
def test_the_f_dp_bounds_equal_the_slow_recursion(counts: tuple[int, int, int]) -> None:
    def slow(level_of: Callable[..., float]) -> float:
        return oracles.falls_to(
            lambda value: oracles.f_dp_total(*counts, partial(level_of, value), 0.05),
            1.0,
            high=20.0,
        )

    guesses = Guesses(*counts)
    assert one_run_fdp_mu(guesses, 0.05) == pytest.approx(
        slow(lambda mu, power: gaussian_level(power, mu)), abs=2e-9
    )
    for delta in (0.0, 1e-3, 1e-2):
        assert one_run_fdp_epsilon(guesses, delta, 0.05) == pytest.approx(
            slow(lambda epsilon, power, delta=delta: dp_level(power, epsilon, delta)), abs=2e-9
        )


@pytest.mark.parametrize("delta", [0.0, 1e-3, 1e-2])
@pytest.mark.parametrize("counts", [(9, 10, 10), (10, 10, 40), (17, 20, 60), (20, 30, 30)], ids=str)
def test_at_the_f_dp_bound_the_best_chance_is_the_significance(
    counts: tuple[int, int, int], delta: float
) -> None:
    bound = one_run_fdp_epsilon(Guesses(*counts), delta, 0.05)
    chance = oracles.f_dp_chance(*counts, bound, delta)
    assert chance == pytest.approx(0.05, abs=1e-7) if bound else chance >= 0.05


def test_randomized_response_is_judged_by_its_binomial() -> None:
    # Correct guesses are binomial: epsilon is rejected where so many have a chance clearly below
    # the significance.
    guesses, epsilon = Guesses(610, 1000, 1000), math.log(0.57 / 0.43)
    assert stats.binom.sf(609, 1000, 0.57) < 0.01
    for rejected in (one_run_epsilon(guesses, 0.0, 0.05), one_run_fdp_epsilon(guesses, 0.0, 0.05)):
        assert epsilon < rejected < math.log(0.61 / 0.39)
    assert one_run_fdp_mu(guesses, 0.05) > 0


@pytest.mark.parametrize(("right", "wrong"), [(0.3, 0.2), (0.45, 0.05), (0.05, 0.001)])
def test_the_limits_of_many_canaries(right: float, wrong: float) -> None:
    # What happens with a chance of 0.05 only is a tradeoff of 0.05 times the shares guessed right
    # and wrong.
    m, chance = 10**7, 0.05
    guesses = Guesses(round(right * m), round((right + wrong) * m), m)
    mu = stats.norm.ppf(chance * right) - stats.norm.ppf(chance * wrong)
    assert one_run_fdp_mu(guesses, chance) == pytest.approx(mu, rel=0.01)
    for delta in (0.0, 1e-3):
        epsilon = math.log((right - delta / chance) / wrong)
        assert one_run_fdp_epsilon(guesses, delta, chance) == pytest.approx(epsilon, rel=0.01)


@EPSILON_BOUNDS
def test_bounds_grow_with_correct_guesses_and_fall_with_delta(bound: Callable[..., float]) -> None:
    by_correct = [bound(Guesses(correct, 200, 400), 1e-3, 0.05) for correct in range(0, 201, 10)]
    assert by_correct == sorted(by_correct)
    assert by_correct[:11] == [0.0] * 11
    assert by_correct[-1] > 2
    by_delta = [
        bound(Guesses(190, 200, 400), delta, 0.05) for delta in (0.0, 1e-5, 1e-3, 1e-2, 0.1, 0.999)
    ]
    assert by_delta == sorted(by_delta, reverse=True)
    assert by_delta[-1] == 0.0
    by_significance = [bound(Guesses(190, 200, 400), 1e-5, a) for a in (1e-6, 1e-3, 0.05, 0.49)]
    assert by_significance == sorted(by_significance)


def test_mu_grows_with_correct_guesses_and_significance() -> None:
    by_correct = [one_run_fdp_mu(Guesses(correct, 200, 400), 0.05) for correct in range(0, 201, 10)]
    assert by_correct == sorted(by_correct)
    assert by_correct[:11] == [0.0] * 11
    assert by_correct[-1] > 1
    by_significance = [one_run_fdp_mu(Guesses(190, 200, 400), a) for a in (1e-6, 1e-3, 0.05, 0.49)]
    assert by_significance == sorted(by_significance)


def test_f_dp_is_the_tighter_where_delta_counts() -> None:
    guesses = Guesses(950, 1000, 10_000)
    assert one_run_fdp_epsilon(guesses, 1e-3, 0.05) > one_run_epsilon(guesses, 1e-3, 0.05) + 0.5


def test_no_guess_rejects_nothing() -> None:
    for guesses in (Guesses(0, 0, 10), Guesses(0, 10, 10)):
        assert one_run_epsilon(guesses, 0.0, 0.05) == 0.0
        assert one_run_fdp_epsilon(guesses, 0.0, 0.05) == 0.0
        assert one_run_fdp_mu(guesses, 0.05) == 0.0


def test_rejection_is_below_the_significance_and_not_at_it() -> None:
    # One canary, one guess, correct with chance p at most if f(1 - p) = 1 - p.
    def level_of(power: float) -> float:
        return power / 3

    assert not rejects(Guesses(1, 1, 1), level_of, 0.75)
    assert rejects(Guesses(1, 1, 1), level_of, 0.7501)


def test_the_highest_are_guessed_in_and_the_lowest_out() -> None:
    scores = np.array([5.0, 1.0, 4.0, 2.0, 3.0])
    membership = np.array([True, False, False, True, True])
    generator = np.random.default_rng(0)
    guesses = {
        (k_in, k_out): guess(scores, membership, k_in, k_out, generator)
        for k_in, k_out in ((1, 0), (2, 0), (0, 1), (0, 2), (2, 3), (0, 0))
    }
    assert guesses == {
        (1, 0): Guesses(1, 1, 5),
        (2, 0): Guesses(1, 2, 5),
        (0, 1): Guesses(1, 1, 5),
        (0, 2): Guesses(1, 2, 5),
        (2, 3): Guesses(2, 5, 5),
        (0, 0): Guesses(0, 0, 5),
    }


def test_scores_of_the_wrong_sign_show_nothing() -> None:
    generator = np.random.default_rng(0)
    membership = generator.random(1000) < 0.5
    scores = generator.standard_normal(1000) + 2 * membership
    for sign, floor, ceiling in ((1, 1.0, 3.0), (-1, 0.0, 0.0)):
        guesses = guess(sign * scores, membership, 250, 250, generator)
        assert floor <= one_run_epsilon(guesses, 0.0, 0.05) <= ceiling
        assert floor <= one_run_fdp_epsilon(guesses, 0.0, 0.05) <= ceiling
        assert floor / 2 <= one_run_fdp_mu(guesses, 0.05) <= ceiling


def test_ties_do_not_tell_the_order_of_the_canaries() -> None:
    # Members first, all scores equal: taken in this order every guess would be correct.
    membership = np.arange(1000) < 500
    for order in (membership, ~membership):
        guesses = guess(np.zeros(1000), order, 250, 250, np.random.default_rng(0))
        assert 200 < guesses.correct < 300
        assert one_run_epsilon(guesses, 0.0, 0.05) == 0.0
        assert one_run_fdp_epsilon(guesses, 0.0, 0.05) == 0.0
        assert one_run_fdp_mu(guesses, 0.05) == 0.0


def test_arguments_that_make_no_sense_are_named() -> None:
    guesses = Guesses(9, 10, 10)
    for bound in (one_run_epsilon, one_run_fdp_epsilon):
        for delta in (-0.1, 1.0, math.nan):
            with pytest.raises(ValueError, match=f"delta must be >= 0 and < 1, got {delta}"):
                bound(guesses, delta, 0.05)
        for significance in (0.0, 0.5, math.nan):
            with pytest.raises(
                ValueError, match=f"significance must be > 0 and < 0.5, got {significance}"
            ):
                bound(guesses, 0.0, significance)
    with pytest.raises(ValueError, match=r"significance must be > 0 and < 0\.5, got 0\.5"):
        one_run_fdp_mu(guesses, 0.5)
    for counts in ((-1, 5, 5), (6, 5, 10), (5, 11, 10)):
        with pytest.raises(ValueError, match=f"got {counts[0]}, {counts[1]} and {counts[2]}"):
            Guesses(*counts)


def test_scores_that_make_no_sense_are_named() -> None:
    scores, membership = np.array([1.0, 2.0, 3.0]), np.array([False, True, True])
    take = partial(guess, generator=np.random.default_rng(0))
    with pytest.raises(
        ValueError, match="scores must be finite, got NaN or infinity for example 1"
    ):
        take(np.array([1.0, math.nan, 3.0]), membership, 1, 1)
    with pytest.raises(ValueError, match=r"two vectors of one length, got \(3,\) and \(2,\)"):
        take(scores, membership[:2], 1, 1)
    for same in (np.zeros(3, bool), np.ones(3, bool)):
        with pytest.raises(ValueError, match="membership must hold members and non-members"):
            take(scores, same, 1, 1)
    with pytest.raises(ValueError, match="guesses_in must be >= 0, got -1"):
        take(scores, membership, -1, 1)
    with pytest.raises(ValueError, match="guesses_out must be >= 0, got -2"):
        take(scores, membership, 1, -2)
    with pytest.raises(
        ValueError, match=r"guesses_in \+ guesses_out must be <= 3 canaries, got 2 \+ 2"
    ):
        take(scores, membership, 2, 2)
