import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats
from scipy.special import ndtr

from mgaudit.theory.rectified_pair import (
    PairGradient,
    both_positive,
    rectified_covariance,
    rectified_covariance_gradient,
    rectified_product,
    rectified_product_gradient,
)
from mgaudit.theory.smoothed_relu import rectified_variance, second_moment, smoothed_relu

Function = Callable[..., np.ndarray]
FUNCTIONS: list[Callable[..., object]] = [
    rectified_product,
    rectified_covariance,
    both_positive,
    rectified_product_gradient,
    rectified_covariance_gradient,
]
MEANS = (-1e6, -45.0, -3.0, -1e-9, 0.0, 0.5, 2.0, 60.0, 1e6)


def z_score(draws: np.ndarray, expected: float) -> float:
    return float((draws.mean() - expected) / (draws.std(ddof=1) / math.sqrt(len(draws))))


@pytest.mark.parametrize(
    ("mean_u", "mean_v", "sd_u", "sd_v", "rho"),
    [
        (0.4, -0.3, 1.3, 0.7, 0.6),
        (-1.0, -0.5, 1.0, 2.0, -0.4),
        (2.0, 1.0, 0.8, 1.1, -0.9),
        (0.0, 0.0, 1.0, 1.0, 0.0),
        (0.6, 0.5, 1.0, 0.9, 0.9999),
        (5.0, -0.2, 0.01, 1.0, 0.5),
        (100.0, 40.0, 1.0, 3.0, 0.3),
    ],
)
def test_moments_are_those_of_a_million_draws(
    mean_u: float, mean_v: float, sd_u: float, sd_v: float, rho: float
) -> None:
    g, other = np.random.default_rng(1).standard_normal((2, 10**6))
    u, v = mean_u + sd_u * g, mean_v + sd_v * (rho * g + math.sqrt(1 - rho**2) * other)
    a, b = np.maximum(u, 0.0), np.maximum(v, 0.0)
    pair = (mean_u, mean_v, sd_u, sd_v, rho)
    assert abs(z_score(a * b, float(rectified_product(*pair)))) < 4
    centred = (a - smoothed_relu(mean_u, sd_u)) * (b - smoothed_relu(mean_v, sd_v))
    assert abs(z_score(centred, float(rectified_covariance(*pair)))) < 4
    gradient = rectified_product_gradient(*pair)
    for indicator, expected in (
        ((u > 0) * b, gradient.mean_u),
        ((v > 0) * a, gradient.mean_v),
        ((u > 0) & (v > 0), gradient.covariance),
    ):
        draws = indicator.astype(float)
        assert (draws.std() == 0 and draws[0] == float(expected)) or abs(
            z_score(draws, float(expected))
        ) < 4


def test_formula_as_it_is_written() -> None:
    generator = np.random.default_rng(2)
    for _ in range(20):
        h, k = generator.standard_normal(2) * 1.5
        rho = generator.uniform(-0.99, 0.99)
        q = math.sqrt(1 - rho**2)
        phi, orthant = (
            stats.norm.pdf,
            stats.multivariate_normal.cdf([h, k], cov=[[1, rho], [rho, 1]]),
        )
        expected = (
            (h * k + rho) * orthant
            + k * phi(h) * ndtr((k - rho * h) / q)
            + h * phi(k) * ndtr((h - rho * k) / q)
        )
        expected += q / (2 * math.pi) * math.exp(-(h * h - 2 * rho * h * k + k * k) / (2 * q * q))
        assert float(rectified_product(2 * h, 3 * k, 2.0, 3.0, rho)) == pytest.approx(
            6 * expected, abs=1e-12
        )
        assert float(both_positive(h, k, 1.0, 1.0, rho)) == pytest.approx(float(orthant), abs=1e-12)


def test_product_is_the_integral_in_the_tails() -> None:
    for mean_u, mean_v, rho in (
        (-4.0, -5.0, 0.3),
        (-6.0, 2.0, -0.7),
        (-3.0, -3.0, 0.999),
        (8.0, -5.0, 0.2),
    ):
        q = math.sqrt(1 - rho**2)

        def density(
            g: float, mean_u: float = mean_u, mean_v: float = mean_v, rho: float = rho, q: float = q
        ) -> float:
            inner = float(smoothed_relu(mean_v + rho * g, q))
            return max(mean_u + g, 0.0) * inner * math.exp(-g * g / 2) / math.sqrt(2 * math.pi)

        low = max(-mean_u, -12.0)
        expected = sum(
            integrate.quad(density, low + a, low + b, epsabs=0, epsrel=1e-11)[0]
            for a, b in ((0, 2), (2, 5), (5, 9), (9, 14), (14, 24))
        )
        assert float(rectified_product(mean_u, mean_v, 1.0, 1.0, rho)) == pytest.approx(
            expected, abs=3e-16, rel=1e-10
        )


@pytest.mark.parametrize(
    ("function", "gradient"),
    [
        (rectified_product, rectified_product_gradient),
        (rectified_covariance, rectified_covariance_gradient),
    ],
)
def test_gradients_are_those_of_finite_differences(
    function: Function, gradient: Callable[..., PairGradient]
) -> None:
    generator = np.random.default_rng(3)
    for _ in range(60):
        sds, rho = 0.3 + generator.exponential(size=2), generator.uniform(-0.97, 0.97)
        point = np.array([*generator.standard_normal(2) * 2, *sds, rho * sds[0] * sds[1]])

        def value(at: np.ndarray) -> float:
            return float(function(*at[:4], at[4] / (at[2] * at[3])))

        derivatives = gradient(*point[:4], rho)
        exact = (
            derivatives.mean_u,
            derivatives.mean_v,
            derivatives.sd_u,
            derivatives.sd_v,
            derivatives.covariance,
        )
        for index, expected in enumerate(exact):
            step = 1e-5 * np.eye(5)[index]
            assert (value(point + step) - value(point - step)) / 2e-5 == pytest.approx(
                float(expected), abs=1e-8
            )


@pytest.mark.parametrize("z", MEANS)
def test_the_same_variable_twice_is_the_square(z: float) -> None:
    for scale in (1e-200, 1.0, 50.0):
        twice = (z * scale, 3 * z * scale, scale, 3 * scale)
        square, variance = (
            3 * second_moment(z * scale, scale),
            3 * rectified_variance(z * scale, scale),
        )
        assert float(rectified_product(*twice, 1.0)) == pytest.approx(
            float(square), rel=1e-14, abs=1e-15 * scale**2
        )
        assert float(rectified_covariance(*twice, 1.0)) == pytest.approx(
            float(variance), abs=1e-15 * scale**2
        )
        # and a variable beside its mirror image: one of both is 0
        mirrored = (z * scale, -3 * z * scale, scale, 3 * scale, -1.0)
        assert float(rectified_product(*mirrored)) == pytest.approx(0.0, abs=1e-15 * scale**2)


def test_correlations_near_one_tend_to_it() -> None:
    for mean_u, mean_v in ((0.3, 0.3), (-2.0, -2.0), (1.0, 1.0 + 1e-8), (1.0, -0.5), (4.0, 4.1)):
        for rho in (1.0, -1.0):
            limit = float(rectified_product(mean_u, mean_v, 1.0, 1.0, rho))
            for distance in (1e-16, 1e-14, 1e-11, 1e-8):
                near = float(
                    rectified_product(mean_u, mean_v, 1.0, 1.0, math.copysign(1 - distance, rho))
                )
                assert near == pytest.approx(
                    limit, abs=2 * distance + 1e-14
                )  # dE / d rho is a probability


def test_a_variable_without_spread_is_a_factor() -> None:
    for rho in (-1.0, -0.3, 0.0, 1.0):
        for mean_u in MEANS:
            factor = max(mean_u, 0.0)
            assert float(rectified_product(mean_u, 0.7, 0.0, 1.5, rho)) == factor * float(
                smoothed_relu(0.7, 1.5)
            )
            assert float(rectified_product(0.7, mean_u, 1.5, 0.0, rho)) == factor * float(
                smoothed_relu(0.7, 1.5)
            )
            assert float(rectified_product(mean_u, 3.0, 0.0, 0.0, rho)) == factor * 3.0
            assert float(rectified_covariance(mean_u, 3.0, 0.0, 2.0, rho)) == 0.0
            expected = float(ndtr(0.7 / 1.5)) * (mean_u > 0)
            assert float(both_positive(mean_u, 0.7, 0.0, 1.5, rho)) == pytest.approx(
                expected, abs=1e-16
            )


@pytest.mark.parametrize("function", FUNCTIONS)
def test_there_is_no_edge_in_float64(function: Callable[..., object]) -> None:
    edges = np.meshgrid(
        MEANS,
        MEANS,
        [0.0, 5e-324, 1e-3, 1.0],
        [0.0, 1e-300, 1.0],
        [-1.0, -1 + 1e-16, 0.0, 0.5, 1.0],
    )
    result = function(*edges)
    parts = vars(result).values() if isinstance(result, PairGradient) else [result]
    for part in parts:
        assert np.isfinite(part).all()


NEAR = st.floats(-40, 40)
RHO = st.floats(-1, 1)


@given(NEAR, NEAR, st.floats(0, 100), st.floats(0, 100), RHO)
def test_ranges_and_symmetry(
    mean_u: float, mean_v: float, sd_u: float, sd_v: float, rho: float
) -> None:
    pair, swapped = (mean_u, mean_v, sd_u, sd_v, rho), (mean_v, mean_u, sd_v, sd_u, rho)
    product, covariance = float(rectified_product(*pair)), float(rectified_covariance(*pair))
    scale = 1e-12 * (1 + sd_u * sd_v)
    assert product >= 0
    assert (
        product**2
        <= float(second_moment(mean_u, sd_u) * second_moment(mean_v, sd_v)) * (1 + 1e-9) + scale
    )
    assert (
        covariance**2
        <= float(rectified_variance(mean_u, sd_u) * rectified_variance(mean_v, sd_v)) + scale
    )
    assert covariance * rho >= -scale  # both are increasing in what they share
    assert covariance == pytest.approx(float(rectified_covariance(*swapped)), abs=scale)
    assert 0 <= float(both_positive(*pair)) <= 1
    first, second = rectified_product_gradient(*pair), rectified_product_gradient(*swapped)
    assert float(first.mean_u) == pytest.approx(float(second.mean_v), abs=scale)
    assert float(first.sd_u) == pytest.approx(float(second.sd_v), abs=scale)


@given(NEAR, NEAR, RHO, RHO)
def test_the_product_rises_with_the_correlation(
    h: float, k: float, rho: float, other: float
) -> None:
    low, high = min(rho, other), max(rho, other)
    below, above = (float(rectified_covariance(h, k, 1.0, 1.0, rho)) for rho in (low, high))
    assert -1e-13 <= above - below <= high - low + 1e-13


def test_without_correlation_there_is_no_covariance() -> None:
    h, k = np.meshgrid(MEANS, MEANS)
    assert np.abs(rectified_covariance(h, k, 1.0, 1.0, 0.0)).max() < 1e-15
    expected = smoothed_relu(h, 1.0) * smoothed_relu(k, 1.0)
    assert np.allclose(rectified_product(h, k, 1.0, 1.0, 0.0), expected, rtol=1e-14, atol=1e-15)


def test_a_product_that_is_nothing_is_not_rounded_below_it() -> None:
    assert 0 <= float(rectified_product(1.5, -1.5, 1.0, 1.0, -1.0)) < 1e-15


def test_shapes_broadcast() -> None:
    covariances = rectified_covariance(
        np.zeros((4, 1)), np.zeros(3), 1.0, 1.0, np.array([0.1, 0.2, 0.3])
    )
    assert covariances.shape == (4, 3)
    assert np.array_equal(covariances[0], covariances[3])


@pytest.mark.parametrize("function", FUNCTIONS)
def test_what_makes_no_sense_is_named(function: Callable[..., object]) -> None:
    with pytest.raises(ValueError, match=r"^rho must be in \[-1, 1\], got 1\.1$"):
        function(0.0, 0.0, 1.0, 1.0, 1.1)
    with pytest.raises(ValueError, match=r"^sd_v must be >= 0 and finite, got -1\.0$"):
        function(0.0, 0.0, 1.0, [-1.0, -2.0], 0.0)
    with pytest.raises(ValueError, match=r"^mean_u must be finite, got nan$"):
        function(math.nan, 0.0, 1.0, 1.0, 0.0)
    with pytest.raises(ValueError, match=r"must broadcast to one shape, got \(2,\) and \(3,\) and"):
        function(np.zeros(2), np.zeros(3), 1.0, 1.0, 0.0)
