"""The standard normal beyond a point: its density, and the moments of what exceeds the point.

phi and Phi are the density and the distribution function of the standard normal, g is a standard
normal variable, and x⁺ = max(x, 0). All arguments are float64 arrays of any shape, and the results
have the same shape. Arguments are not checked.
"""

import math

import numpy as np
from scipy.special import ndtr

from mgaudit.theory.arguments import Floats

BEYOND = 40.0  # standard deviations; from 39 on, density and tail are exactly 0 in float64
FROM = 3.0  # beyond it the closed forms cancel, and TERMS of the continued fraction are enough
TERMS = 40
ROOT_TWO_PI = math.sqrt(2 * math.pi)


def density(t: Floats) -> Floats:
    """Returns the density of the standard normal, phi(t) = exp(-t²/2) / sqrt(2 pi)."""
    phi: Floats = np.exp(-0.5 * t * t) / ROOT_TWO_PI
    return phi


def ratio(z: Floats, s: Floats) -> Floats:
    """Returns z / s, the mean in standard deviations, clipped to ±BEYOND.

    `z` is a mean and `s` >= 0 a standard deviation. Beyond ±BEYOND, phi and Phi no longer change.
    For s = 0 the result is ±BEYOND with the sign of z, and 0 for z = 0.
    """
    quotient = np.array(np.sign(z) * BEYOND)
    with np.errstate(over="ignore"):
        np.divide(z, s, out=quotient, where=s > 0)
    return np.asarray(np.clip(quotient, -BEYOND, BEYOND))


def mean_excess(p: Floats) -> Floats:
    """Returns E(g - p)⁺ = phi(p) - p Phi(-p) of a standard normal g, to full relative precision.

    `p` is in [0, BEYOND]. The formula cancels for large p. There the result is Phi(-p) R_1 / R_0,
    where R_n is the integral over u from 0 to infinity

        R_n = ∫ uⁿ exp(-u²/2 - pu) du / n!,    E((g - p)⁺)ⁿ = n! phi(p) R_n.

    Integration by parts gives p R_n = R_{n-1} - (n+1) R_{n+1}, so that R_n / R_{n-1} is the
    continued fraction 1 / (p + (n+1) / (p + (n+2) / ...)).
    """
    closed_form = density(p) - p * ndtr(-p)
    excess = np.array(closed_form)
    far = np.asarray(p > FROM)
    first, _ = _fractions(p[far])
    excess[far] = ndtr(-p[far]) * first
    return excess


def square_excess(p: Floats) -> Floats:
    """Returns E((g - p)⁺)² = (1 + p²) Phi(-p) - p phi(p), to full relative precision.

    `p` is in [0, BEYOND]. For large p the result is 2 Phi(-p) R_2 / R_0, with the R_n of
    `mean_excess`.
    """
    square = (1 + p * p) * ndtr(-p)
    excess = np.array(square - p * density(p))
    far = np.asarray(p > FROM)
    first, second = _fractions(p[far])
    excess[far] = 2 * ndtr(-p[far]) * first * second
    return excess


def _fractions(p: Floats) -> tuple[Floats, Floats]:
    """Returns R_1 / R_0 and R_2 / R_1, each of the shape of `p`, with the R_n of `mean_excess`.

    `p` must be > FROM, so that TERMS terms of the continued fraction are enough.
    """
    first = second = 2 / (p + np.sqrt(p * p + 4 * TERMS))  # the limit where terms change slowly
    for n in range(TERMS - 1, 0, -1):
        second = first
        first = 1 / (p + (n + 1) * first)
    return first, second
