import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate
from scipy.special import ndtr

from mgaudit.theory.rectified_normal import mean_excess, square_excess
from mgaudit.theory.smoothed_relu import (
    Gradient,
    mask_moments,
    rectified_variance,
    rectified_variance_gradient,
    second_moment,
    second_moment_gradient,
    smoothed_relu,
    smoothed_relu_gradient,
    smoothed_relu_proxy,
    smoothed_relu_proxy_gradient,
)

Function = Callable[[float, float], np.ndarray]
WITH_GRADIENT = pytest.mark.parametrize(
    ("function", "gradient"),
    [
        (smoothed_relu, smoothed_relu_gradient),
        (smoothed_relu_proxy, smoothed_relu_proxy_gradient),
        (second_moment, second_moment_gradient),
        (rectified_variance, rectified_variance_gradient),
    ],
)
FUNCTIONS = [
    smoothed_relu,
    smoothed_relu_gradient,
    smoothed_relu_proxy,
    smoothed_relu_proxy_gradient,
    second_moment,
    second_moment_gradient,
    rectified_variance,
    rectified_variance_gradient,
]
Z = np.array(
    [-1e150, -3e4, -40.0, -2.5, -1e-3, -1e-320, -0.0, 0.0, 5e-324, 1e-9, 0.7, 3.1, 38.0, 1e6, 1e150]
)


def z_score(draws: np.ndarray, expected: float) -> float:
    return float((draws.mean() - expected) / (draws.std(ddof=1) / math.sqrt(len(draws))))


@pytest.mark.parametrize("case", range(6))
def test_moments_of_a_masked_neuron_are_those_of_a_million_masks(case: int) -> None:
    generator = np.random.default_rng(case)
    w, x, kappa = (
        generator.standard_normal(4),
        generator.standard_normal(4),
        (0.02, 0.3, 0.8, 1.0, 2.0, 5.0)[case],
    )
    ((z,),), ((s,),) = mask_moments([w], [x], kappa)
    masked = (1 + kappa * generator.standard_normal((10**6, 4))) @ (w * x)
    rectified = np.maximum(masked, 0.0)
    assert abs(z_score(masked, z)) < 4
    assert abs(z_score((masked - z) ** 2, s**2)) < 4
    assert abs(z_score(rectified, float(smoothed_relu(z, s)))) < 4
    assert abs(z_score(rectified**2, float(second_moment(z, s)))) < 4
    gap = s * math.exp(-((z / s) ** 2) / 2) / math.sqrt(2 * math.pi)
    assert abs(z_score(rectified - smoothed_relu_proxy(z, s), gap)) < 4
    mean = float(smoothed_relu(z, s))
    assert abs(z_score((rectified - mean) ** 2, float(rectified_variance(z, s)))) < 4


def test_moments_of_all_neurons_and_inputs_have_their_places() -> None:
    generator = np.random.default_rng(0)
    w, x = generator.standard_normal((3, 5)), generator.standard_normal((2, 5))
    z, s = mask_moments(w, x, 0.4)
    for i in range(2):
        for r in range(3):
            assert z[i, r] == pytest.approx(w[r] @ x[i])
            assert s[i, r] == pytest.approx(0.4 * np.linalg.norm(w[r] * x[i]))


@WITH_GRADIENT
def test_gradients_are_those_of_finite_differences(
    function: Function, gradient: Callable[..., Gradient]
) -> None:
    step = 1e-5
    for z in (-4.0, -1.3, -0.2, 0.0, 0.5, 2.0, 7.0):
        for s in (0.1, 0.9, 3.0):
            exact = gradient(z, s)
            by_z = float(function(z + step, s) - function(z - step, s)) / (2 * step)
            by_s = float(function(z, s + step) - function(z, s - step)) / (2 * step)
            assert float(exact.z) == pytest.approx(by_z, abs=2e-8)
            assert float(exact.s) == pytest.approx(by_s, abs=2e-8)


def test_without_a_mask_it_is_the_relu_bit_for_bit() -> None:
    assert np.array_equal(smoothed_relu(Z, 0.0), np.maximum(Z, 0))
    assert np.array_equal(smoothed_relu_proxy(Z, 0.0), np.maximum(Z, 0))
    assert np.array_equal(second_moment(Z, 0.0), np.maximum(Z, 0) ** 2)
    assert np.array_equal(rectified_variance(Z, 0.0), np.zeros(len(Z)))
    for gradient in (smoothed_relu_gradient, smoothed_relu_proxy_gradient):
        assert np.array_equal(gradient(Z, 0.0).z, (Z > 0).astype(float))
    assert np.array_equal(second_moment_gradient(Z, 0.0).z, 2 * np.maximum(Z, 0))
    assert not rectified_variance_gradient(Z, 0.0).z.any()


def test_at_zero_the_mean_is_what_half_a_normal_has() -> None:
    for s in (1e-300, 1e-9, 1.0, 1e100):
        assert float(smoothed_relu(0.0, s)) == pytest.approx(s / math.sqrt(2 * math.pi), rel=1e-15)
        assert float(smoothed_relu_proxy(0.0, s)) == 0.0
    assert float(smoothed_relu_gradient(0.0, 0.0).s) == pytest.approx(1 / math.sqrt(2 * math.pi))
    assert float(rectified_variance(0.0, 2.0)) == pytest.approx(4 * (0.5 - 0.5 / math.pi))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_there_is_no_edge_in_float64(function: Callable[..., np.ndarray | Gradient]) -> None:
    for s in (0.0, 5e-324, 1e-308, 1e-3, 1.0, 1e5, 1e150):
        result = function(Z, s)
        for array in (result.z, result.s) if isinstance(result, Gradient) else (result,):
            assert np.isfinite(array).all()


@pytest.mark.parametrize("p", [0.0, 0.3, 2.0, 2.99, 3.0, 3.01, 4.0, 8.0, 15.0, 30.0, 38.0])
def test_tails_are_exact_relative_to_themselves(p: float) -> None:
    # E((g - p)⁺)ⁿ = phi(p) ∫ uⁿ exp(-u²/2 - pu) du, which the quadrature has to 1e-13; phi(p)
    # itself loses p² eps.
    for function, power in ((mean_excess, 1), (square_excess, 2)):
        scaled, _ = integrate.quad(
            lambda u, power=power: u**power * math.exp(-u * u / 2 - p * u),
            0,
            12 / (1 + p / 6),
            epsrel=1e-13,
        )
        expected = scaled * math.exp(-p * p / 2) / math.sqrt(2 * math.pi)
        assert float(function(np.array(p))) == pytest.approx(
            expected, rel=2e-12 if p < 38 else 1e-9
        )


def test_the_variance_does_not_cancel_far_from_zero() -> None:
    assert (
        float(rectified_variance(1e8, 1e-8)) == 1e-8 * 1e-8
    )  # E (u⁺)² and (E u⁺)² agree in all their digits
    for t in (0.5, 3.0, 6.0):  # Var u⁺ - Var (-u)⁺ = s² (Phi(t) - Phi(-t))
        odd = float(rectified_variance(t, 1.0) - rectified_variance(-t, 1.0))
        assert odd == pytest.approx(float(ndtr(t) - ndtr(-t)), rel=1e-14)


REALS = st.floats(-1e6, 1e6)
SDS = st.floats(0, 1e6)


@given(REALS, SDS)
def test_ranges(z: float, s: float) -> None:
    mean, proxy, variance = (
        float(smoothed_relu(z, s)),
        float(smoothed_relu_proxy(z, s)),
        rectified_variance(z, s),
    )
    assert max(z, 0.0) <= mean <= max(z, 0.0) + s / math.sqrt(2 * math.pi) * (1 + 1e-15)
    assert proxy <= mean
    assert min(0.0, -0.18 * s) <= proxy <= max(z, 0.0)
    assert 0 <= float(variance) <= s * s
    assert float(second_moment(z, s)) == pytest.approx(float(variance) + mean**2, rel=1e-9)


@given(REALS, SDS, st.floats(0, 1e3))
def test_the_mean_rises_in_both_and_scales_with_both(z: float, s: float, more: float) -> None:
    here = float(smoothed_relu(z, s))
    slack = 1e-9 * (1 + abs(z) + s)
    assert float(smoothed_relu(z + more, s)) >= here - slack
    assert float(smoothed_relu(z, s + more)) >= here - slack
    assert float(smoothed_relu(4 * z, 4 * s)) == 4 * here
    assert float(smoothed_relu(z, s) - smoothed_relu(-z, s)) == pytest.approx(
        z, abs=slack
    )  # u⁺ - (-u)⁺ = u


def test_what_makes_no_sense_is_named() -> None:
    for function in FUNCTIONS:
        with pytest.raises(ValueError, match=r"^s must be >= 0 and finite, got -0\.1$"):
            function(1.0, [0.5, -0.1])
        with pytest.raises(ValueError, match=r"^s must be finite, got nan$"):
            function(1.0, math.nan)
        with pytest.raises(ValueError, match=r"^z must be finite, got -inf$"):
            function(-math.inf, 1.0)
        with pytest.raises(
            ValueError, match=r"^z, s must broadcast to one shape, got \(3,\) and \(2,\)$"
        ):
            function(np.zeros(3), np.zeros(2))
    for kappa in (-0.1, math.nan, math.inf):
        with pytest.raises(ValueError, match=rf"^kappa must be >= 0 and finite, got {kappa}$"):
            mask_moments(np.ones((2, 3)), np.ones((1, 3)), kappa)
    with pytest.raises(ValueError, match=r"must share d, got shapes \(2, 3\) and \(1, 4\)$"):
        mask_moments(np.ones((2, 3)), np.ones((1, 4)), 0.1)
    with pytest.raises(
        ValueError, match=r"^weights must be a matrix of shape \(any, any\) .*, got shape \(3,\)$"
    ):
        mask_moments(np.ones(3), np.ones((1, 3)), 0.1)
    with pytest.raises(ValueError, match=r"^inputs must be finite, got nan$"):
        mask_moments(np.ones((2, 1)), [[math.nan]], 0.1)
