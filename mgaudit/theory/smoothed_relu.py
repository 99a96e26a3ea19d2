"""Moments of the ReLU of a masked pre-activation, and their gradients.

A mask c ~ N(1, kappa² I) on an input makes a neuron's pre-activation w · (x ⊙ c) normal with mean z
= w · x and standard deviation s = kappa ‖w ⊙ x‖ (arXiv 2602.17423). Throughout, u ~ N(z, s²), t = z
/ s, and z and s are arrays of any shapes that broadcast. All of it is computed from the tail at
-|t|, where nothing cancels: u⁺ = z⁺ + s (g - |t|)⁺ in the mean.

s = 0 is the plain ReLU, bit for bit. If also z = 0, the gradient in z is 0, as in automatic
differentiation.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import erf, ndtr

from mgaudit.theory.arguments import Floats, at_least, matrix, reals, std_of
from mgaudit.theory.rectified_normal import density, mean_excess, ratio, square_excess


@dataclass(frozen=True)
class Gradient:
    """Derivatives with respect to z and to s, each of their common shape."""

    z: Floats
    s: Floats


def mask_moments(weights: ArrayLike, inputs: ArrayLike, kappa: float) -> tuple[Floats, Floats]:
    """Returns mean z = w · x and standard deviation s = kappa ‖w ⊙ x‖ of the masked
    pre-activations, (n, m) each.

    `weights` (m, d) has a neuron's weights in each row, `inputs` (n, d) an input. Raises ValueError
    for matrices of different d, values that are not finite, and kappa < 0 (arXiv 2602.17423).

    >>> z, s = mask_moments([[3.0, 4.0]], [[1.0, 1.0]], kappa=0.1)
    >>> float(z[0, 0]), float(s[0, 0])
    (7.0, 0.5)
    """
    w = matrix("weights", weights)
    x = matrix("inputs", inputs)
    kappa = std_of("kappa", kappa)
    if w.shape[1] != x.shape[1]:
        raise ValueError(
            f"weights (m, d) and inputs (n, d) must share d, got shapes {w.shape} and {x.shape}"
        )
    squared_norms = (x * x) @ (w * w).T
    return x @ w.T, kappa * np.sqrt(squared_norms)


def smoothed_relu(z: ArrayLike, s: ArrayLike) -> Floats:
    """Returns E u⁺ = z Phi(z/s) + s phi(z/s). Raises ValueError for s < 0 or what is not finite.

    >>> float(smoothed_relu(0.0, 1.0).round(4))  # 1 / sqrt(2 pi)
    0.3989
    """
    z, s, t = _checked(z, s)
    return _mean(z, s, t)


def smoothed_relu_gradient(z: ArrayLike, s: ArrayLike) -> Gradient:
    """Returns the gradient of `smoothed_relu`: Phi(z/s) in z and phi(z/s) in s.

    Raises as `smoothed_relu`.
    """
    z, s, t = _checked(z, s)
    return Gradient(_passes(z, s, t), density(t))


def smoothed_relu_proxy(z: ArrayLike, s: ArrayLike) -> Floats:
    """Returns z Phi(z/s), which replaces E u⁺ in the proofs of arXiv 2602.17423.

    It lies below by s phi(z/s).

    >>> float(smoothed_relu_proxy(0.0, 1.0))
    0.0
    """
    z, s, t = _checked(z, s)
    return z * _passes(z, s, t)


def smoothed_relu_proxy_gradient(z: ArrayLike, s: ArrayLike) -> Gradient:
    """Returns the gradient of `smoothed_relu_proxy`: Phi(t) + t phi(t) in z and -t² phi(t) in s.
    Raises as `smoothed_relu`."""
    z, s, t = _checked(z, s)
    phi = density(t)
    by_z = _passes(z, s, t) + t * phi
    return Gradient(by_z, -t * t * phi)


def second_moment(z: ArrayLike, s: ArrayLike) -> Floats:
    """Returns E (u⁺)² = (z² + s²) Phi(z/s) + z s phi(z/s). Raises as `smoothed_relu`.

    >>> float(second_moment(0.0, 2.0))
    2.0
    """
    z, s, t = _checked(z, s)
    tail = s * s * square_excess(np.abs(t))
    without_relu = z * z + s * s
    return np.where(z > 0, without_relu - tail, tail)


def second_moment_gradient(z: ArrayLike, s: ArrayLike) -> Gradient:
    """Returns the gradient of `second_moment`: 2 E u⁺ in z and 2 s Phi(z/s) in s.

    Raises as `smoothed_relu`.
    """
    z, s, t = _checked(z, s)
    by_z = 2 * _mean(z, s, t)
    by_s = 2 * s * _passes(z, s, t)
    return Gradient(by_z, by_s)


def rectified_variance(z: ArrayLike, s: ArrayLike) -> Floats:
    """Returns Var u⁺ = E (u⁺)² - (E u⁺)². Raises as `smoothed_relu`.

    u = u⁺ - (-u)⁺ and Stein's identity give Var u⁺ = s² (Phi(t) - Phi(-t)) + Var (-u)⁺, which is a
    sum of positive terms for z > 0 however large z / s is.

    >>> float(rectified_variance(1e9, 1.0))
    1.0
    """
    z, s, t = _checked(z, s)
    p = np.abs(t)
    tail = square_excess(p) - mean_excess(p) ** 2
    between = erf(p / np.sqrt(2))  # Phi(p) - Phi(-p)
    central = np.where(z > 0, between, 0.0)
    return s * s * (tail + central)


def rectified_variance_gradient(z: ArrayLike, s: ArrayLike) -> Gradient:
    """Returns the gradient of `rectified_variance`: 2 E u⁺ Phi(-t) in z, 2 (s Phi(t) - E u⁺ phi(t))
    in s.

    Raises as `rectified_variance`.
    """
    z, s, t = _checked(z, s)
    mean = _mean(z, s, t)
    by_z = 2 * mean * ndtr(-t)
    by_s = 2 * (s * _passes(z, s, t) - mean * density(t))
    return Gradient(by_z, by_s)


def _checked(z: ArrayLike, s: ArrayLike) -> tuple[Floats, Floats, Floats]:
    z, s = reals(z=z, s=s)
    at_least("s", s, 0)
    return z, s, ratio(z, s)


def _mean(z: Floats, s: Floats, t: Floats) -> Floats:
    excess = mean_excess(np.abs(t))
    mean: Floats = np.maximum(z, 0.0) + s * excess
    return mean


def _passes(z: Floats, s: Floats, t: Floats) -> Floats:
    """Returns P(u > 0)."""
    random_or_nonzero = (s > 0) | (z != 0)
    return np.where(random_or_nonzero, ndtr(t), 0.0)
