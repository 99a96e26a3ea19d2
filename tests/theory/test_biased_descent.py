"""Biased descent: the bound against the exact solution, and the exact solution against draws."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgaudit.theory.biased_descent import QuadraticDescent, loss_bounds, radius, rate

CURVATURES = (0.2, 0.7, 2.0)
START = (1.0, -2.0, 0.5)
ETA = 0.3


def descent(seed: int = 0, dimensions: int = 3) -> QuadraticDescent:
    generator = np.random.default_rng(seed)
    return QuadraticDescent(
        generator.uniform(0.1, 2.0, dimensions),
        generator.normal(size=dimensions),
        generator.exponential(size=dimensions),
    )


def z_score_of_draws(steps: int, draws: int, seed: int) -> float:
    problem = QuadraticDescent(np.array(CURVATURES), np.array([0.5, -0.1, 0.4]), np.ones(3) * 0.6)
    generator = np.random.default_rng(seed)
    weights = np.tile(START, (draws, 1))
    for _ in range(steps):
        noise = problem.noise_sds * generator.standard_normal(weights.shape)
        weights = weights - ETA * (problem.curvatures * weights + problem.biases + noise)
    losses = 0.5 * (weights**2) @ problem.curvatures
    error = losses.std(ddof=1) / math.sqrt(draws)
    return float((losses.mean() - problem.expected_loss(START, ETA, steps)) / error)


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_the_exact_loss_is_that_of_twenty_thousand_runs(steps: int) -> None:
    assert abs(z_score_of_draws(steps, 20_000, seed=steps)) < 4


@pytest.mark.slow
@pytest.mark.parametrize("steps", [1, 3, 20])
def test_the_exact_loss_is_that_of_a_million_runs(steps: int) -> None:
    assert abs(z_score_of_draws(steps, 1_000_000, seed=steps)) < 4


@given(st.integers(0, 10**6), st.integers(0, 60), st.floats(0.01, 1.0))
def test_the_bound_is_never_below_the_exact_loss(seed: int, steps: int, share: float) -> None:
    problem = descent(seed, dimensions=1 + seed % 4)
    start = np.random.default_rng(seed + 1).normal(size=len(problem.curvatures))
    smoothness, pl = problem.curvatures.max(), problem.curvatures.min()
    eta = share / smoothness
    bias, noise = np.sum(problem.biases**2), np.sum(problem.noise_sds**2)
    initial = problem.expected_loss(start, eta, 0)
    (_, bound) = loss_bounds(initial, eta, [steps], [smoothness], [pl], [bias], [noise])
    assert problem.expected_loss(start, eta, steps) <= bound * (1 + 1e-12)
    assert problem.floor(eta) <= radius(eta, smoothness, pl, bias, noise) * (1 + 1e-12)


def test_the_bound_is_exact_for_one_curvature_and_the_largest_learning_rate() -> None:
    h = 0.8
    problem = QuadraticDescent(np.full(2, h), np.array([0.3, -0.6]), np.array([0.5, 0.2]))
    bias, noise = 0.3**2 + 0.6**2, 0.5**2 + 0.2**2
    bounds = loss_bounds(1.0, 1 / h, [1, 4], [h] * 2, [h] * 2, [bias] * 2, [noise] * 2)
    start = np.array([math.sqrt(2 / h), 0.0])
    assert problem.expected_loss(start, 1 / h, 0) == pytest.approx(1.0)
    assert bounds[1] == pytest.approx(problem.expected_loss(start, 1 / h, 1))
    assert bounds[2] == pytest.approx(problem.floor(1 / h))
    assert float(radius(1 / h, h, h, bias, noise)) == pytest.approx(bounds[2])


def test_spans_are_single_steps_one_after_the_other() -> None:
    constants = (np.array([1.5, 1.0]), np.array([0.5, 0.1]), np.array([0.3, 2.0]), np.array([1, 4]))
    in_spans = loss_bounds(3.0, ETA, [4, 3], *constants)
    single = loss_bounds(3.0, ETA, [1] * 7, *(np.repeat(one, [4, 3]) for one in constants))
    np.testing.assert_allclose(in_spans, single[[0, 4, 7]])
    by_hand = (1 - ETA * 0.5) * 3.0 + ETA / 2 * (0.3 + ETA * 1.5 * 1)
    assert single[1] == pytest.approx(by_hand)


def test_without_a_pl_constant_the_bound_grows_in_each_step() -> None:
    bounds = loss_bounds(1.0, 0.5, [3, 0], [1.0] * 2, [0.0] * 2, [2.0] * 2, [4.0] * 2)
    assert bounds.tolist() == [1.0, 1.0 + 3 * 0.5 * (2.0 + 0.5 * 4.0) / 2, 4.0]
    nearly = loss_bounds(1.0, 0.5, [3], [1.0], [1e-9], [2.0], [4.0])
    assert nearly[1] == pytest.approx(bounds[1], rel=1e-6)


def test_without_bias_and_noise_the_loss_falls_to_zero() -> None:
    problem = QuadraticDescent(np.array(CURVATURES), np.zeros(3), np.zeros(3))
    assert problem.floor(ETA) == 0
    assert problem.expected_loss(START, ETA, 2000) < 1e-20
    assert float(radius(ETA, 2.0, 0.2, 0.0, 0.0)) == 0


def test_the_exact_loss_tends_to_its_floor() -> None:
    problem = descent(5)
    assert problem.expected_loss(START, ETA, 10_000) == pytest.approx(problem.floor(ETA))


def test_arguments_outside_their_ranges_are_refused() -> None:
    with pytest.raises(ValueError, match="smoothness must be <= 1 / learning_rate"):
        radius(0.6, 2.0, 1.0, 0.0, 0.0)
    with pytest.raises(ValueError, match="pl must be > 0"):
        radius(0.5, 2.0, 0.0, 0.0, 0.0)
    with pytest.raises(ValueError, match="squared_bias must be >= 0"):
        radius(0.5, 2.0, 1.0, -1.0, 0.0)
    with pytest.raises(ValueError, match="pl must be <= 1 / learning_rate"):
        rate(0.5, 3.0)
    with pytest.raises(ValueError, match="curvatures must be < 2 / learning_rate"):
        descent().floor(1000.0)
    with pytest.raises(ValueError, match="biases must be a vector of shape"):
        QuadraticDescent(np.ones(2), np.ones(3), np.ones(2))
