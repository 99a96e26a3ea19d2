"""The heuristic epsilon of the last weights: published values, an integral, and its limits."""

import math

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import binom, norm

from mgaudit.targets.fitting.accountants import Mechanism, gdp_epsilon, pld_epsilon
from mgaudit.targets.fitting.last_iterate import last_iterate_epsilon

# 599 expected members, 30 epochs, batches of 64.
MEMBERS, BATCH, STEPS = 599, 64, 281
DELTA = MEMBERS**-1.1


@pytest.mark.parametrize(
    ("noise", "epsilon"),
    [
        # The noise that Opacus' search finds for a claim of 1, 2, 4, 8 and 16.
        (4.84375, 0.974),
        (2.7734375, 1.923),
        (1.6796875, 3.628),
        (1.0992431640625, 6.398),
        (0.777740478515625, 10.482),
    ],
)
def test_the_values_of_digits(noise: float, epsilon: float) -> None:
    heuristic = last_iterate_epsilon(Mechanism(noise, BATCH / MEMBERS, STEPS), DELTA)
    assert heuristic == pytest.approx(epsilon, abs=6e-4)


def integrated_epsilon(mechanism: Mechanism, delta: float) -> float:
    """Returns the larger epsilon of both directions, by the trapezoidal rule over the weights."""
    rate, steps = mechanism.sample_rate, mechanism.steps
    deviation = mechanism.noise_multiplier * math.sqrt(steps)
    x = np.linspace(-12 * deviation, 12 * deviation + steps, 100_001)
    without = norm.pdf(x, 0, deviation)
    counts = range(steps + 1)
    with_example = sum(binom.pmf(k, steps, rate) * norm.pdf(x, k, deviation) for k in counts)

    def excess(epsilon: float, upper: np.ndarray, lower: np.ndarray) -> float:
        return float(np.trapezoid(np.maximum(upper - math.exp(epsilon) * lower, 0), x)) - delta

    pairs = [(with_example, without), (without, with_example)]
    return max(float(brentq(excess, 0, 30, args=pair, xtol=1e-9)) for pair in pairs)


@pytest.mark.parametrize("delta", [1e-2, 1e-5])
@pytest.mark.parametrize("mechanism", [Mechanism(0.8, 0.3, 20), Mechanism(1.5, 0.7, 3)])
def test_it_is_the_hockey_stick_divergence_of_the_sum(mechanism: Mechanism, delta: float) -> None:
    expected = integrated_epsilon(mechanism, delta)
    assert last_iterate_epsilon(mechanism, delta) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("steps", [1, 50])
def test_without_sampling_it_is_the_gaussian_mechanism(steps: int) -> None:
    mechanism = Mechanism(2.0, 1.0, steps)
    expected = gdp_epsilon(mechanism, 1e-4)
    assert last_iterate_epsilon(mechanism, 1e-4) == pytest.approx(expected, abs=1e-8)


def test_one_sampled_step_is_the_mechanism_itself_and_more_steps_leak_less() -> None:
    one = Mechanism(0.8, 0.2, 1)
    by_accountant = pld_epsilon(one, 1e-3)
    assert by_accountant is not None
    assert last_iterate_epsilon(one, 1e-3) == pytest.approx(by_accountant, abs=1e-3)
    many = Mechanism(0.8, 0.2, 100)
    all_steps = pld_epsilon(many, 1e-3)
    assert all_steps is not None
    assert last_iterate_epsilon(many, 1e-3) < all_steps - 0.1


def test_its_limits() -> None:
    assert last_iterate_epsilon(Mechanism(0.0, 0.1, 10), 1e-3) == math.inf
    assert last_iterate_epsilon(Mechanism(1e6, 0.1, 10), 1e-3) == 0.0
    long = Mechanism(10.0, 1e-3, 10**6)
    bound = pld_epsilon(long, 1e-5)
    assert bound is not None
    assert 0 < last_iterate_epsilon(long, 1e-5) < bound
