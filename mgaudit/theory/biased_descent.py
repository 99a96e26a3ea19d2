"""Gradient descent with a biased and noisy gradient: a bound on the loss, and an exact solution.

A step is w' = w - eta (grad L(w) + b + xi): the estimate of the gradient has the bias b and the
noise xi, with E xi = 0 and E ‖xi‖² = s². The loss L >= 0 is M-smooth, attains 0, and satisfies the
inequality of Polyak and Lojasiewicz (PL), ‖grad L‖² >= 2 mu L. For eta <= 1 / M the smoothness,
-<u, v> = (‖u - v‖² - ‖u‖² - ‖v‖²) / 2 with u = grad L and v = u + b, and the PL inequality give

    E L(w') <= L - eta <grad L, grad L + b> + eta² M (‖grad L + b‖² + s²) / 2
            <= L - eta ‖grad L‖² / 2 + eta ‖b‖² / 2 + eta² M s² / 2
            <= (1 - eta mu) L + eta (‖b‖² + eta M s²) / 2.

Applied again and again, this is a linear rate down to a radius (Ajalloeian and Stich 2020), the
form of Theorem 5.1 of arXiv 2602.17423:

    E L_k <= (1 - eta mu)^k L_0 + radius,    radius = (‖b‖² + eta M s²) / (2 mu).

Names: `learning_rate` is eta, `smoothness` M, `pl` mu, `squared_bias` ‖b‖² and `squared_noise` s².
Functions raise ValueError for values outside these ranges, and for eta > 1 / M.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mgaudit.theory.arguments import Floats, at_least, positive, require, vector, whole


def rate(learning_rate: float, pl: float) -> float:
    """Returns the factor 1 - eta mu by which the bound on the loss falls in a step.

    >>> rate(0.1, 2.0)
    0.8
    """
    eta = float(positive("learning_rate", learning_rate))
    mu = at_least("pl", pl, 0)
    require("pl", "be <= 1 / learning_rate", mu, eta * mu <= 1)
    return float(1 - eta * mu)


def radius(
    learning_rate: float,
    smoothness: ArrayLike,
    pl: ArrayLike,
    squared_bias: ArrayLike,
    squared_noise: ArrayLike,
) -> Floats:
    """Returns the radius (‖b‖² + eta M s²) / (2 mu), the bound on the loss after many steps.

    All arguments except `learning_rate` may be arrays of shapes that broadcast.

    >>> float(radius(0.5, smoothness=1.0, pl=0.5, squared_bias=2.0, squared_noise=4.0))
    4.0
    """
    mu = positive("pl", pl)
    return _push(learning_rate, smoothness, squared_bias, squared_noise) / mu


def loss_bounds(
    initial_loss: float,
    learning_rate: float,
    steps: ArrayLike,
    smoothness: ArrayLike,
    pl: ArrayLike,
    squared_bias: ArrayLike,
    squared_noise: ArrayLike,
) -> Floats:
    """Returns bounds on the expected loss before and after each of several spans of training.

    In a span, the constants of the bound do not change, so that k steps with the rate q = 1 - eta
    mu turn the bound B into q^k B + (1 - q^k) radius. If mu = 0, the loss may grow by eta (‖b‖² +
    eta M s²) / 2 in each step.

    Args:
        initial_loss: Loss at the start, >= 0.
        learning_rate: Learning rate eta > 0.
        steps: Numbers of steps k >= 0 of the spans (spans,).
        smoothness: Smoothness M <= 1 / eta in each span (spans,).
        pl: PL constant mu >= 0 in each span (spans,).
        squared_bias: ‖b‖² in each span (spans,).
        squared_noise: s² in each span (spans,).

    Returns:
        The bounds (spans + 1,), of which the first is `initial_loss`.

    >>> loss_bounds(8.0, 0.5, [1, 1], [1.0] * 2, [1.0] * 2, [0.0, 4.0], [0.0, 4.0]).tolist()
    [8.0, 4.0, 3.5]
    """
    bound = float(at_least("initial_loss", initial_loss, 0))
    pushes = _push(learning_rate, smoothness, squared_bias, squared_noise)
    rates = [rate(learning_rate, mu) for mu in vector("pl", pl)]
    counts = at_least("steps", steps, 0)
    bounds = [bound]
    for count, factor, push in zip(counts, rates, pushes, strict=True):
        left = factor**count
        sum_of_powers = count if factor == 1 else (1 - left) / (1 - factor)
        bound = left * bound + sum_of_powers * learning_rate * float(push)
        bounds.append(float(bound))
    return np.array(bounds)


def _push(
    learning_rate: float, smoothness: ArrayLike, squared_bias: ArrayLike, squared_noise: ArrayLike
) -> Floats:
    """Returns (‖b‖² + eta M s²) / 2, which a step adds to the bound, divided by eta."""
    eta = float(positive("learning_rate", learning_rate))
    m = at_least("smoothness", smoothness, 0)
    require("smoothness", "be <= 1 / learning_rate", m, eta * m <= 1)
    bias = at_least("squared_bias", squared_bias, 0)
    noise = at_least("squared_noise", squared_noise, 0)
    return np.asarray((bias + eta * m * noise) / 2)


@dataclass(frozen=True)
class QuadraticDescent:
    """Descent on L(w) = ½ sum_j h_j w_j², where bias and noise are known and all is exact.

    `curvatures` are the h_j > 0, `biases` the entries of b, and `noise_sds` the standard deviations
    of the independent entries of xi; each is (d,). So M is the largest curvature, mu the smallest,
    and s² the sum of the squares of `noise_sds`.
    """

    curvatures: Floats
    biases: Floats
    noise_sds: Floats

    def __post_init__(self) -> None:
        curvatures = positive("curvatures", vector("curvatures", self.curvatures))
        biases = vector("biases", self.biases, len(curvatures))
        noise_sds = at_least("noise_sds", vector("noise_sds", self.noise_sds, len(curvatures)), 0)
        object.__setattr__(self, "curvatures", curvatures)
        object.__setattr__(self, "biases", biases)
        object.__setattr__(self, "noise_sds", noise_sds)

    def expected_loss(self, start: ArrayLike, learning_rate: float, steps: int) -> float:
        """Returns E L after `steps` >= 0 steps from the weights `start` (d,).

        With q = 1 - eta h, each entry has the mean -b/h + q^k (w + b/h) and the variance
        eta² s² (1 - q^{2k}) / (1 - q²) after k steps.

        Raises:
            ValueError: Unless 0 < eta < 2 / h for all curvatures h, and for shapes that do not fit.
        """
        w = vector("start", start, len(self.curvatures))
        eta = float(positive("learning_rate", learning_rate))
        h = self.curvatures
        require("curvatures", "be < 2 / learning_rate", h, eta * h < 2)
        left = (1 - eta * h) ** whole("steps", steps, 0)
        rest = self.biases / h
        mean = left * (w + rest) - rest
        variance = self._noise_at_rest(eta) * (1 - left * left)
        return float(0.5 * np.sum(h * (mean * mean + variance)))

    def floor(self, learning_rate: float) -> float:
        """Returns the limit of E L after many steps.

        It is ½ sum_j [b_j² / h_j + eta s_j² / (2 - eta h_j)].

        Raises:
            ValueError: As `expected_loss`.
        """
        eta = float(positive("learning_rate", learning_rate))
        h = self.curvatures
        require("curvatures", "be < 2 / learning_rate", h, eta * h < 2)
        return float(0.5 * np.sum(self.biases**2 / h + h * self._noise_at_rest(eta)))

    def _noise_at_rest(self, learning_rate: float) -> Floats:
        """Returns the variance (d,) of the weights after many steps, eta s² / (h (2 - eta h))."""
        h = self.curvatures
        variance: Floats = learning_rate * self.noise_sds**2 / (h * (2 - learning_rate * h))
        return variance
