import math

import numpy as np
import pytest

from mgaudit.theory.noise_products import NOISES, Noise, batch_average, noise_moment

SIGMA = 0.7
MEAN, STD = 0.8, 1.1


def unit_noise(noise: Noise, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    if noise == "normal":
        return generator.standard_normal(shape)
    if noise == "uniform":
        return generator.uniform(-math.sqrt(3), math.sqrt(3), shape)
    return generator.choice([-1.0, 1.0], shape)


def check_batches(noise: Noise, order: int, batch: int, batches: int) -> None:
    """Mean and variance of simulated averages are the formula's, and not those of wrong ones."""
    generator = np.random.default_rng(order + 10 * batch)
    q = MEAN + STD * (generator.standard_exponential((batches, batch)) - 1)
    e = SIGMA * unit_noise(noise, (batches, batch), generator)
    averages = (q * e**order).mean(axis=1)
    law = batch_average(MEAN, STD, noise, SIGMA, order, batch)
    assert abs(averages.mean() - law.mean) < 4 * averages.std() / math.sqrt(batches)
    squares = (averages - law.mean) ** 2
    assert abs(squares.mean() - law.std**2) < 4 * squares.std() / math.sqrt(batches)
    # Power: the variance without that of q would be rejected.
    without = batch_average(MEAN, 0.0, noise, SIGMA, order, batch)
    assert abs(squares.mean() - without.std**2) > 4 * squares.std() / math.sqrt(batches)


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("order", [1, 2, 3])
def test_averages_over_batches_have_mean_and_variance_of_the_theorem(
    noise: Noise, order: int
) -> None:
    check_batches(noise, order, batch=16, batches=20_000)


@pytest.mark.slow
@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_a_million_averages_have_mean_and_variance_of_the_theorem(noise: Noise, order: int) -> None:
    check_batches(noise, order, batch=16, batches=1_000_000)


@pytest.mark.parametrize(("order", "batch"), [(2, 30), (1, 30), (2, 60)])
def test_batches_without_replacement_have_the_variance_of_the_population(
    order: int, batch: int
) -> None:
    generator = np.random.default_rng(0)
    values = generator.standard_exponential(60)
    mean, std = float(values.mean()), float(values.std())
    repeats = 30_000
    orders = np.argsort(generator.random((repeats, 60)), axis=1)[:, :batch]
    e = SIGMA * generator.standard_normal((repeats, batch))
    averages = (values[orders] * e**order).mean(axis=1)
    law = batch_average(mean, std, "normal", SIGMA, order, batch, population=60)
    squares = (averages - law.mean) ** 2
    error = squares.std() / math.sqrt(repeats)
    assert abs(squares.mean() - law.std**2) < 4 * error
    independent = batch_average(mean, std, "normal", SIGMA, order, batch)
    if order == 2:
        assert abs(squares.mean() - independent.std**2) > 4 * error
    else:
        assert law == independent


@pytest.mark.parametrize("noise", NOISES)
def test_moments_are_those_of_draws(noise: Noise) -> None:
    draws = SIGMA * unit_noise(noise, (200_000,), np.random.default_rng(1))
    for order in range(7):
        powers = draws**order
        error = float(powers.std()) / math.sqrt(len(draws))
        assert abs(powers.mean() - noise_moment(noise, SIGMA, order)) <= 4 * error + 1e-12


@pytest.mark.parametrize("noise", NOISES)
def test_limits_of_the_theorem(noise: Noise) -> None:
    assert noise_moment(noise, 2.0, 2) == pytest.approx(4.0)
    assert batch_average(3.0, 0.0, noise, 0.0, 2, 5).std == 0.0
    for order in (1, 3):
        one, many = (batch_average(MEAN, STD, noise, SIGMA, order, size) for size in (1, 100))
        assert one.mean == many.mean == 0.0
        assert one.std == pytest.approx(10 * many.std)
    whole_population = batch_average(MEAN, STD, "sign", SIGMA, 2, 50, population=50)
    assert whole_population.std == pytest.approx(0.0, abs=1e-8)  # all examples, and e² constant
    large = batch_average(MEAN, STD, noise, SIGMA, 2, 50, population=10**9)
    assert large.std == pytest.approx(batch_average(MEAN, STD, noise, SIGMA, 2, 50).std, rel=1e-6)


def test_what_is_out_of_range_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="noise must be one of normal, uniform, sign, got 'x'"):
        noise_moment("x", 1.0, 2)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="order must be a whole number >= 1, got 0"):
        batch_average(1.0, 1.0, "normal", 1.0, 0, 5)
    with pytest.raises(ValueError, match="population must be a whole number >= 5, got 4"):
        batch_average(1.0, 1.0, "normal", 1.0, 2, 5, population=4)
    with pytest.raises(ValueError, match="sigma must be >= 0 and finite, got -1"):
        batch_average(1.0, 1.0, "normal", -1.0, 2, 5)
