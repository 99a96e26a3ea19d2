"""Upper bounds on the epsilon of DP-SGD: published values, an integral, and the edges."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from mgaudit.errors import UsageError
from mgaudit.targets.fitting import accountants
from mgaudit.targets.fitting.accountants import (
    EPSILON_TOLERANCE,
    LEAST_NOISE,
    Mechanism,
    delta_without_rounding,
    gdp_epsilon,
    noise_for_epsilon,
    pld_epsilon,
    privacy_bounds,
    prv_epsilon,
    rdp_epsilon,
)
from mgaudit.targets.fitting.privacy_plan import epsilon_spent, plan_privacy
from mgaudit.targets.schemes import DPSGD
from mgaudit.targets.schemes.dpsgd import LARGEST_NOISE
from mgaudit.targets.training import Training

DIGITS = Mechanism(1.099, 64 / 600, 281)
DEFAULT_DELTA = 600**-1.1


def pld(mechanism: Mechanism, delta: float) -> float:
    epsilon = pld_epsilon(mechanism, delta)
    assert epsilon is not None
    return epsilon


def prv(mechanism: Mechanism, delta: float) -> float:
    epsilon = prv_epsilon(mechanism, delta)
    assert epsilon is not None
    return epsilon


def hockey_stick(mechanism: Mechanism, epsilon: float, added: bool) -> float:
    """Returns the integral of max(0, p - e^epsilon q) for one step, by the trapezoidal rule.

    p is the density of the noisy sum with the example, q the one without it; `added` swaps them.
    """
    noise, rate = mechanism.noise_multiplier, mechanism.sample_rate
    x = np.linspace(-12 * noise, 1 + 12 * noise, 200_001)
    without = norm.pdf(x, 0, noise)
    with_example = (1 - rate) * without + rate * norm.pdf(x, 1, noise)
    upper, lower = (without, with_example) if added else (with_example, without)
    return float(np.trapezoid(np.maximum(0, upper - math.exp(epsilon) * lower), x))


def integrated_epsilon(mechanism: Mechanism, delta: float, added: bool) -> float:
    def difference(epsilon: float) -> float:
        return hockey_stick(mechanism, epsilon, added) - delta

    return 0.0 if difference(0.0) <= 0 else float(brentq(difference, 0.0, 20.0, xtol=1e-9))


# Published values: Gaussian mechanism (test suite of jax_privacy), Opacus' accountants


@pytest.mark.parametrize(
    ("mu", "delta", "epsilon"),
    [(1, 1e-2, 2.31778904), (1, 1e-5, 4.37717810), (4, 1e-5, 24.38161088)],
)
@pytest.mark.parametrize("steps", [1, 16])
def test_the_gaussian_mechanism_has_its_published_epsilon(
    mu: float, delta: float, epsilon: float, steps: int
) -> None:
    mechanism = Mechanism(math.sqrt(steps) / mu, 1, steps)
    assert gdp_epsilon(mechanism, delta) == pytest.approx(epsilon, abs=1e-7)
    assert 0 <= pld(mechanism, delta) - epsilon < 1e-4
    assert 0 <= prv(mechanism, delta) - epsilon < 0.02


@pytest.mark.parametrize(
    ("noise", "epochs", "rdp", "by_prv"),
    [
        (1.3, 15, 0.954, 0.874),
        (1.1, 60, 2.597, 2.392),
        (0.7, 45, 6.318, 5.650),
        (0.6, 30, 8.769, 7.701),
    ],
)
def test_opacus_values(noise: float, epochs: int, rdp: float, by_prv: float) -> None:
    mechanism = Mechanism(noise, 256 / 60000, epochs * 60000 // 256)
    assert rdp_epsilon(mechanism, 1e-5) == pytest.approx(rdp, abs=2e-3)
    assert prv(mechanism, 1e-5) == pytest.approx(by_prv, abs=2e-3)
    assert by_prv - 0.02 < pld(mechanism, 1e-5) < by_prv


def test_the_defaults_of_digits() -> None:
    assert pld(DIGITS, DEFAULT_DELTA) == pytest.approx(7.98, abs=0.01)
    assert prv(DIGITS, DEFAULT_DELTA) == pytest.approx(7.98, abs=0.01)
    assert pld(DIGITS, 1e-5) == pytest.approx(10.85, abs=0.02)


@pytest.mark.parametrize(
    ("noise", "by_pld", "by_prv"), [(1.2566, 8.000, 8.010), (3.4942, 2.0, 2.01)]
)
def test_the_white_box_setting(noise: float, by_pld: float, by_prv: float) -> None:
    mechanism = Mechanism(noise, 0.1, 280)
    assert pld(mechanism, 1e-5) == pytest.approx(by_pld, abs=1e-3)
    assert prv(mechanism, 1e-5) == pytest.approx(by_prv, abs=2e-3)


# Oracles


@pytest.mark.parametrize("mechanism", [Mechanism(0.8, 0.2, 1), Mechanism(1.5, 0.6, 1)])
@pytest.mark.parametrize("delta", [1e-2, 1e-4])
def test_one_step_has_the_epsilon_of_the_worse_direction(
    mechanism: Mechanism, delta: float
) -> None:
    removed = integrated_epsilon(mechanism, delta, added=False)
    added = integrated_epsilon(mechanism, delta, added=True)
    assert removed > added + 0.05  # or a wrong direction would pass
    assert -1e-6 < pld(mechanism, delta) - removed < 1e-3
    assert 0 <= prv(mechanism, delta) - removed < 0.02


def test_two_steps_have_the_epsilon_of_the_integral_over_both() -> None:
    noise, rate, epsilon = 1.0, 0.3, 1.0
    x = np.linspace(-9, 10, 2001)
    without = norm.pdf(x, 0, noise)
    with_example = (1 - rate) * without + rate * norm.pdf(x, 1, noise)
    excess = np.outer(with_example, with_example) - math.exp(epsilon) * np.outer(without, without)
    delta = float(np.maximum(0, excess).sum() * (x[1] - x[0]) ** 2)
    assert pld(Mechanism(noise, rate, 2), delta) == pytest.approx(epsilon, abs=1e-3)
    assert pld(Mechanism(noise, rate, 2), delta) > epsilon - 1e-5


def test_two_stages_of_composition_equal_one(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = pld(DIGITS, DEFAULT_DELTA)
    monkeypatch.setattr(accountants, "MOST_STEPS_AT_ONCE", 10)
    assert accountants._stages(281) == (16, 17, 9)
    assert pld(DIGITS, DEFAULT_DELTA) == pytest.approx(at_once, abs=1e-6)


@pytest.mark.parametrize("steps", [10**4, 10**6])
def test_many_steps_follow_the_central_limit_theorem(steps: int) -> None:
    rate, mu = 0.01, 1.0  # with so much noise, the losses are nearly normal
    noise = 1 / math.sqrt(math.log1p((mu / rate) ** 2 / steps))
    limit = gdp_epsilon(Mechanism(1 / mu, 1, 1), 1e-5)
    assert pld(Mechanism(noise, rate, steps), 1e-5) == pytest.approx(limit, rel=0.05)


# Laws


@pytest.mark.parametrize("noise", [0.6, 1.0, 3.0])
@pytest.mark.parametrize("steps", [1, 50, 1000])
@pytest.mark.parametrize("delta", [1e-3, 1e-6])
def test_pld_is_below_prv_and_both_below_rdp_and_gdp(
    noise: float, steps: int, delta: float
) -> None:
    mechanism = Mechanism(noise, 0.05, steps)
    bound = pld(mechanism, delta)
    assert bound <= prv(mechanism, delta) <= bound + 0.03
    assert bound < rdp_epsilon(mechanism, delta)
    assert bound < gdp_epsilon(mechanism, delta)


def test_the_claim_is_the_least_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    bounds = privacy_bounds(1.099, DIGITS.sample_rate, 281, DEFAULT_DELTA)
    assert set(bounds.by_accountant) == {"PLD", "PRV"}
    assert bounds.accountant == "PLD"
    assert bounds.epsilon == bounds.by_accountant["PLD"] < bounds.by_accountant["PRV"]
    monkeypatch.setattr(accountants, "prv_epsilon", lambda *_: 7.0)
    bounds = privacy_bounds(1.099, DIGITS.sample_rate, 281, DEFAULT_DELTA)
    assert (bounds.accountant, bounds.epsilon) == ("PRV", 7.0)


def test_less_noise_more_steps_a_higher_rate_and_a_smaller_delta_spend_more() -> None:
    base = epsilon_spent(1.0, 0.05, 40, 1e-4)
    assert epsilon_spent(0.9, 0.05, 40, 1e-4) > base + 0.1
    assert epsilon_spent(1.0, 0.06, 40, 1e-4) > base + 0.1
    assert epsilon_spent(1.0, 0.05, 60, 1e-4) > base + 0.1
    assert epsilon_spent(1.0, 0.05, 40, 1e-5) > base + 0.1


@pytest.mark.parametrize(
    "epsilon",
    [pytest.param(0.05, marks=pytest.mark.slow), 1, 8, pytest.param(50, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize(
    ("rate", "steps", "delta"),
    [(0.1, 300, 1e-4), (1, 1, 1e-5), (1e-3, 3000, 1e-5), (0.1, 300, 1e-30)],
)
def test_the_noise_for_an_epsilon_spends_it(
    epsilon: float, rate: float, steps: int, delta: float
) -> None:
    noise = noise_for_epsilon(epsilon, rate, steps, delta)
    assert noise is not None
    spent = epsilon_spent(noise, rate, steps, delta)
    assert epsilon - EPSILON_TOLERANCE <= spent <= epsilon
    assert spent > 0.9 * epsilon


# Edges


def test_no_noise_has_no_bound() -> None:
    bounds = privacy_bounds(0.0, 0.1, 10, 1e-5)
    assert bounds.epsilon == math.inf
    assert all(math.isinf(epsilon) for epsilon in bounds.by_accountant.values())


@pytest.mark.parametrize(
    ("noise", "rate", "steps", "delta"),
    [
        (1.0, 0.1, 100, 1e-30),
        (1.0, 0.1, 100, 1e-300),
        (1e6, 0.1, 100, 1e-5),
        (1e12, 0.1, 100, 1e-5),
        (100.0, 0.1, 9_375_000, 1e-3),  # digits, 10⁶ epochs
        (5.0, 1e-3, 10**9, 1e-6),  # 10⁶ epochs of 1,000 steps
        (1.0, 1.0, 1, 1e-5),
        (0.3, 1.0, 10**6, 1e-5),
        (1.0, 1e-7, 1, 1e-5),
        (1.0, 1e-7, 10**6, 1e-9),
        (0.3, 0.1, 1, 1e-5),
        (0.3, 0.5, 10**5, 1e-9),
    ],
)
def test_an_edge_has_a_finite_bound_of_small_grids(
    noise: float, rate: float, steps: int, delta: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = sizes_of_grids(monkeypatch)
    bounds = privacy_bounds(noise, rate, steps, delta)
    assert math.isfinite(bounds.epsilon)
    assert all(epsilon >= 0 for epsilon in bounds.by_accountant.values())
    mechanism = Mechanism(noise, rate, steps)
    assert bounds.epsilon <= 1.01 * gdp_epsilon(mechanism, delta) + 1e-3
    if "PLD" not in bounds.by_accountant:
        assert {"RDP", "GDP"} <= set(bounds.by_accountant)
    assert max(sizes, default=0) <= 2 * accountants.MOST_POINTS_PLD


def sizes_of_grids(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Returns a list to which the lengths of all of PLD's compositions are appended."""
    from dp_accounting.pld import common

    sizes: list[int] = []
    compose = common.self_convolve

    def recorded(*args: object, **options: object) -> tuple[int, list[float]]:
        lowest, probabilities = compose(*args, **options)
        sizes.append(len(probabilities))
        return lowest, probabilities

    monkeypatch.setattr(common, "self_convolve", recorded)
    return sizes


def test_one_step_at_a_tiny_rate_spends_nothing() -> None:
    # The total variation of a step is below its sampling rate, here below delta.
    assert epsilon_spent(1.0, 1e-7, 1, 1e-5) == 0


@pytest.mark.parametrize("noise", [1e3, 1e4, 1e5])
def test_bounds_with_much_noise_are_not_too_small(noise: float) -> None:
    # Rate 1 has a closed form, and the limit of many small losses is a Gaussian mechanism.
    exact = gdp_epsilon(Mechanism(noise, 1, 10**4), 1e-6)
    assert exact <= pld(Mechanism(noise, 1, 10**4), 1e-6) <= 1.02 * exact + 1e-9
    limit = gdp_epsilon(Mechanism(noise / 0.1, 1, 10**4), 1e-6)
    assert limit * 0.999 <= pld(Mechanism(noise, 0.1, 10**4), 1e-6) <= 1.02 * limit + 1e-9


def test_a_delta_within_rounding_errors_has_neither_pld_nor_prv() -> None:
    assert pld_epsilon(DIGITS, 1e-12) is None
    assert prv_epsilon(DIGITS, 1e-12) is None
    bounds = privacy_bounds(1.099, DIGITS.sample_rate, 281, 1e-12)
    assert bounds.accountant == "RDP"
    assert bounds.epsilon > pld(DIGITS, 1e-10)


def test_rounding_errors_are_taken_off_delta() -> None:
    assert delta_without_rounding(1000, 1e-9) == pytest.approx(1e-9 - 1e-11, rel=1e-9)
    assert delta_without_rounding(1, 1e-5) < 1e-5  # type: ignore[operator]
    assert delta_without_rounding(1000, 2e-11) is None


def test_prv_is_left_out_where_its_grid_would_be_large() -> None:
    assert prv_epsilon(Mechanism(20.0, 0.1, 10**5), 1e-5) is None
    assert privacy_bounds(20.0, 0.1, 10**5, 1e-5).accountant == "PLD"


def test_an_epsilon_that_no_noise_reaches_is_named() -> None:
    assert noise_for_epsilon(1e-9, 0.1, 300, 1e-30) is None
    with pytest.raises(UsageError) as error:
        plan_privacy(DPSGD(epsilon=1e-9, delta=1e-30), Training(epochs=20, batch_size=32), n=600)
    assert error.value.key == "epsilon"
    assert error.value.value == "1e-09"
    assert "--delta" in error.value.way_out
    reached = epsilon_spent(LARGEST_NOISE, 32 / 600, 375, 1e-30)
    assert f"must be > {reached:.2g}" in error.value.rule


def test_little_noise_suffices_for_one_rare_step() -> None:
    assert noise_for_epsilon(50, 1e-7, 1, 1e-5) == LEAST_NOISE


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs the memory of Linux")
def test_the_largest_plan_takes_less_than_a_gibibyte() -> None:
    # VmHWM is of this program alone; getrusage would include the process that started it.
    code = """
from pathlib import Path
from mgaudit.targets.fitting.privacy_plan import plan_privacy
from mgaudit.targets.schemes import DPSGD
from mgaudit.targets.training import Training
training = Training(epochs=10**6, batch_size=64)
plan = plan_privacy(DPSGD(epsilon=8), training, n=600)
assert 7.99 <= plan.epsilon <= 8, plan
assert plan.accountant == "PLD"
(peak,) = [line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line]
print(peak.split()[1])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) * 1024 < 2**30


def test_importing_mgaudit_leaves_the_accountants_out() -> None:
    code = (
        "import sys, mgaudit, mgaudit.targets.fitting.privacy_plan; "
        "assert not {'dp_accounting', 'opacus'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("epsilon", [0.5, 2, 8])
def test_the_noise_of_an_epsilon_has_few_digits_and_still_reaches_it(epsilon: float) -> None:
    # A model's key in the cache has this number, which must not depend on the number of cores.
    noise = noise_for_epsilon(epsilon, 0.1, 280, 1e-4)
    assert noise is not None
    assert noise == float(f"{noise:.8g}")
    reached = epsilon_spent(noise, 0.1, 280, 1e-4)
    assert epsilon - 0.01 < reached <= epsilon
