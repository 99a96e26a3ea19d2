"""Moments of the ReLU of a masked pre-activation, and their gradients.

A mask c ~ N(1, kappa² I) on an input x makes the pre-activation u = w · (x ⊙ c) of a neuron normal:
u ~ N(z, s²) with mean z = w · x and standard deviation s = kappa ‖w ⊙ x‖ (arXiv 2602.17423).
Throughout, t = z / s, u⁺ = max(u, 0), and phi and Phi are the density and the distribution function
of the standard normal.

The arguments z and s >= 0 are arrays of any shapes that broadcast, and the results have their
common shape. All results are computed from the tail of the normal beyond |t|, where nothing
cancels: with a standard normal g, E u⁺ = z⁺ + s E(g - |t|)⁺. For s = 0 the results are those of the
ReLU without a mask, bit for bit. If z = 0 too, the gradient with respect to z is 0, as in automatic
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
    """Derivatives with respect to the mean z and to the standard deviation s of u ~ N(z, s²).

    Each has the common shape of z and s.
    """

    z: Floats
    s: Floats


def mask_moments(weights: ArrayLike, inputs: ArrayLike, kappa: float) -> tuple[Floats, Floats]:
    """Returns the means z and standard deviations s of the masked pre-activations, each (n, m).

    z = w · x and s = kappa ‖w ⊙ x‖ (arXiv 2602.17423) for the m neurons with weights w in the rows
    of `weights` (m, d) and the n inputs x in the rows of `inputs` (n, d). Raises ValueError for
    matrices of different d, values that are not finite, and kappa < 0.

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
    """Returns E u⁺ = z Phi(t) + s phi(t) for u ~ N(z, s²), with t = z / s.

    Raises ValueError for s < 0 and for values that are not finite.

    >>> float(smoothed_relu(0.0, 1.0).round(4))  # 1 / sqrt(2 pi)
    0.3989
    """
    z, s, t = _checked(z, s)
    return _mean(z, s, t)


def smoothed_relu_gradient(z: ArrayLike, s: ArrayLike) -> Gradient:
    """Returns the gradient of `smoothed_relu`: Phi(t) in z and phi(t) in s, with t = z / s.

    Raises ValueError as `smoothed_relu` does.
    """
    z, s, t = _checked(z, s)
    return Gradient(_passes(z, s, t), density(t))


def smoothed_relu_proxy(z: ArrayLike, s: ArrayLike) -> Floats:
    """Returns z Phi(t), which replaces E u⁺ in the proofs of arXiv 2602.17423, with t = z / s.

    It is smaller than E u⁺ by s phi(t). Here u ~ N(z, s²). Raises ValueError as `smoothed_relu`
    does.

    >>> float(smoothed_relu_proxy(0.0, 1.0))
    0.0
    """
    z, s, t = _checked(z, s)
    return z * _passes(z, s, t)


def smoothed_relu_proxy_gradient(z: ArrayLike, s: ArrayLike) -> Gradient:
    """Returns the gradient of `smoothed_relu_proxy`: Phi(t) + t phi(t) in z and -t² phi(t) in s.

    Here t = z / s. Raises ValueError as `smoothed_relu` does.
    """
    z, s, t = _checked(z, s)
    phi = density(t)
    by_z = _passes(z, s, t) + t * phi
    return Gradient(by_z, -t * t * phi)


def second_moment(z: ArrayLike, s: ArrayLike) -> Floats:
    """Returns E (u⁺)² = (z² + s²) Phi(t) + z s phi(t) for u ~ N(z, s²), with t = z / s.

    Raises ValueError as `smoothed_relu` does.

    >>> float(second_moment(0.0, 2.0))
    2.0
    """
    z, s, t = _checked(z, s)
    tail = s * s * square_excess(np.abs(t))
    without_relu = z * z + s * s
    return np.where(z > 0, without_relu - tail, tail)


def second_moment_gradient(z: ArrayLike, s: ArrayLike) -> Gradient:
    """Returns the gradient of `second_moment`: 2 E u⁺ in z and 2 s Phi(t) in s, with t = z / s.

    Raises ValueError as `smoothed_relu` does.
    """
    z, s, t = _checked(z, s)
    by_z = 2 * _mean(z, s, t)
    by_s = 2 * s * _passes(z, s, t)
    return Gradient(by_z, by_s)


def rectified_variance(z: ArrayLike, s: ArrayLike) -> Floats:
    """Returns Var u⁺ = E (u⁺)² - (E u⁺)² for u ~ N(z, s²).

    Raises ValueError as `smoothed_relu` does. For z > 0 the variance is computed without
    cancellation: u = u⁺ - (-u)⁺ and Stein's identity give

        Var u⁺ = s² (Phi(t) - Phi(-t)) + Var (-u)⁺.

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
    """Returns the gradient of `rectified_variance`.

    It is 2 E u⁺ Phi(-t) in z and 2 (s Phi(t) - E u⁺ phi(t)) in s, with t = z / s. Raises ValueError
    as `smoothed_relu` does.
    """
    z, s, t = _checked(z, s)
    mean = _mean(z, s, t)
    by_z = 2 * mean * ndtr(-t)
    by_s = 2 * (s * _passes(z, s, t) - mean * density(t))
    return Gradient(by_z, by_s)


def _checked(z: ArrayLike, s: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Returns z, s and t = z / s (clipped, see `ratio`), of one shape.

    Raises ValueError for s < 0, values that are not finite and shapes that do not broadcast.
    """
    z, s = reals(z=z, s=s)
    at_least("s", s, 0)
    return z, s, ratio(z, s)


def _mean(z: Floats, s: Floats, t: Floats) -> Floats:
    """Returns E u⁺ of u ~ N(z, s²) for arguments that have been checked, with t = z / s."""
    excess = mean_excess(np.abs(t))
    mean: Floats = np.maximum(z, 0.0) + s * excess
    return mean


def _passes(z: Floats, s: Floats, t: Floats) -> Floats:
    """Returns P(u > 0) = Phi(t) of u ~ N(z, s²), with t = z / s; 0 for z = s = 0, where u is 0."""
    random_or_nonzero = (s > 0) | (z != 0)
    return np.where(random_or_nonzero, ndtr(t), 0.0)
