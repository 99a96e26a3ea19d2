"""The trade-off curve of DP-SGD: published values, closed forms, and the safe side."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from mgaudit.targets.fitting import trade_off as module
from mgaudit.targets.fitting.accountants import Mechanism, gdp_epsilon, pld_epsilon
from mgaudit.targets.fitting.trade_off import TradeOff, trade_off

FPR = np.concatenate([[0.0], np.logspace(-4, 0, 161)])
# Noise for ε = 8 by PRV, which Opacus' search finds with a tolerance of 0.01.
DIGITS = Mechanism(1.0992431640625, 64 / 599, 281)
SAFE = 1e-3  # by which a ceiling may be above the exact value


def curve_of(mechanism: Mechanism) -> TradeOff:
    curve = trade_off(mechanism)
    assert curve is not None
    return curve


def test_the_ceilings_of_digits() -> None:
    curve = curve_of(DIGITS)
    rates = curve.tpr(np.array([0.001, 0.01, 0.1]))
    assert rates == pytest.approx([0.130, 0.342, 0.720], abs=5e-4)
    assert curve.advantage == pytest.approx(0.644, abs=5e-4)
    assert curve.auc == pytest.approx(0.908, abs=5e-4)
    assert curve.accountant == "PLD"


@pytest.mark.parametrize("mu", [0.01, 0.3, 1.0, 3.0, 10.0, 30.0])
@pytest.mark.parametrize("steps", [1, 16])
def test_without_sampling_the_curve_is_that_of_the_gaussian_mechanism(
    mu: float, steps: int
) -> None:
    curve = curve_of(Mechanism(math.sqrt(steps) / mu, 1, steps))
    excess = curve.tpr(FPR) - norm.cdf(norm.ppf(FPR) + mu)
    assert excess.min() >= -1e-12
    assert excess.max() < SAFE
    assert 0 <= curve.advantage - (2 * norm.cdf(mu / 2) - 1) + 1e-12 < SAFE
    assert 0 <= curve.auc - norm.cdf(mu / math.sqrt(2)) + 1e-12 < SAFE


def exact_rates(mechanism: Mechanism, thresholds: NDArray[np.float64]) -> tuple[NDArray, NDArray]:
    """Returns FPR and TPR of the likelihood ratio test of one step, in the direction of removal."""
    noise, rate = mechanism.noise_multiplier, mechanism.sample_rate
    without = norm.sf(thresholds / noise)
    return without, (1 - rate) * without + rate * norm.sf((thresholds - 1) / noise)


@pytest.mark.parametrize("mechanism", [Mechanism(0.5, 0.2, 1), Mechanism(1.5, 0.6, 1)])
def test_no_test_of_one_sampled_step_is_better_and_the_best_is_close(mechanism: Mechanism) -> None:
    thresholds = np.linspace(-6, 8, 600)
    fpr, tpr = exact_rates(mechanism, thresholds)
    curve = curve_of(mechanism)
    # The test for removal, and the same with the roles of both datasets exchanged.
    best = np.maximum(tpr, np.interp(fpr, 1 - tpr, 1 - fpr))
    excess = curve.tpr(fpr) - best
    assert excess.min() > -1e-4  # interpolation of the second one
    # Where the two tests cross, the symmetric curve is their convex hull.
    outside = (fpr < 0.02) | (fpr > 0.98)
    assert np.abs(excess[outside]).max() < SAFE


def test_the_curve_is_convex_symmetric_and_between_guessing_and_perfection() -> None:
    curve = curve_of(DIGITS)
    alpha = np.linspace(0, 1, 501)
    f = curve.false_negatives(alpha)
    assert np.all(np.diff(f) <= 0)
    assert np.diff(f, 2).min() > -1e-12
    assert np.all((f >= 0) & (f <= 1 - alpha))
    # f is its own inverse, because datasets are adjacent in both directions.
    inside = f > 1e-6
    assert curve.false_negatives(f[inside]) == pytest.approx(alpha[inside], abs=1e-9)


def test_advantage_and_auc_are_those_of_the_curve() -> None:
    curve = curve_of(DIGITS)
    alpha = np.linspace(0, 1, 20_001)
    assert curve.advantage == pytest.approx((curve.tpr(alpha) - alpha).max(), abs=1e-6)
    # The trapezoidal rule is not above the integral of a concave function.
    fine = np.concatenate([[0.0], np.logspace(-9, 0, 4001)])
    area = float(np.trapezoid(curve.tpr(fine), fine))
    assert 0 <= curve.auc - area < 1e-4


def test_a_guarantee_lowers_the_ceiling_to_its_lines() -> None:
    pure = TradeOff(np.array([0.0, 1.0]), np.array([1.0, 0.0]), "PLD")
    rates = np.array([0.0, 0.1, 0.5, 1.0])
    expected = [0.0, 0.1 * math.e, 1 - 0.5 / math.e, 1.0]  # randomised response
    assert pure.tpr(rates) == pytest.approx(expected, abs=1e-12)
    weak = curve_of(DIGITS)
    proved = trade_off(DIGITS, (1.0, 1e-3))
    assert proved is not None
    assert proved.tpr(np.array([0.1]))[0] == pytest.approx(0.1 * math.e + 1e-3, abs=1e-12)
    assert np.all(proved.tpr(FPR) <= weak.tpr(FPR))
    unproved = trade_off(DIGITS, (math.inf, 1e-3))
    assert unproved is not None
    assert np.array_equal(unproved.tpr(FPR), weak.tpr(FPR))


def test_more_noise_fewer_steps_and_a_lower_rate_lower_the_ceiling() -> None:
    reference = curve_of(DIGITS).tpr(FPR)[1:-1]
    for stronger in (
        Mechanism(1.3, DIGITS.sample_rate, DIGITS.steps),
        Mechanism(DIGITS.noise_multiplier, 0.08, DIGITS.steps),
        Mechanism(DIGITS.noise_multiplier, DIGITS.sample_rate, 200),
    ):
        assert np.all(curve_of(stronger).tpr(FPR)[1:-1] < reference)


def test_where_pld_has_no_bound_the_gaussian_mechanism_takes_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    by_losses = curve_of(DIGITS)
    monkeypatch.setattr(module, "composed_losses", lambda mechanism: None)
    fallback = curve_of(DIGITS)
    assert fallback.accountant == "GDP"
    mu = math.sqrt(DIGITS.steps) / DIGITS.noise_multiplier
    assert fallback.tpr(FPR) == pytest.approx(norm.cdf(norm.ppf(FPR) + mu), abs=SAFE)
    assert np.all(fallback.tpr(FPR)[1:] >= by_losses.tpr(FPR)[1:])
    deltas = np.interp([1.0, 5.0], fallback.epsilons, fallback.deltas)
    for epsilon, delta in zip([1.0, 5.0], deltas, strict=True):
        assert gdp_epsilon(DIGITS, float(delta)) == pytest.approx(epsilon, abs=0.05)


def test_the_guarantees_are_those_of_the_accountant() -> None:
    curve = curve_of(DIGITS)
    for delta in (1e-2, 1e-4):
        epsilon = pld_epsilon(DIGITS, delta)
        assert epsilon is not None
        between = np.interp(epsilon, curve.epsilons, np.log(curve.deltas))
        assert between == pytest.approx(math.log(delta), abs=1e-3)


@pytest.mark.parametrize("noise", [0.05, 1e6])
def test_the_ceiling_exists_for_the_weakest_and_the_strongest_noise(noise: float) -> None:
    curve = curve_of(Mechanism(noise, 0.1, 300))
    rates = curve.tpr(FPR)
    assert np.all((rates >= FPR) & (rates <= 1))
    if noise > 1:
        assert rates == pytest.approx(FPR, abs=SAFE)
    else:
        assert rates[FPR >= 1e-3].min() > 1 - SAFE


def test_without_noise_nothing_limits_an_attack() -> None:
    assert trade_off(Mechanism(0.0, 0.1, 10)) is None
