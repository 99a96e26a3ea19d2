"""Predictive distributions of a new shadow model's signal, by empirical Bayes across examples.

On each side, of shadow models with the example (in) or without it (out), the signal of an example
is N(mu, sigma^2), with a conjugate normal-inverse-gamma prior (arXiv 2603.11799). Several signals,
the *columns*, are treated at once; each has a prior of its own.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, gammaln, zeta

from mgaudit.attacks.shadow_moments import ShadowMoments

MOST_FREEDOM = 1e4  # of the prior on variances: practically the same variance for all examples
NEWTON_STEPS = 50  # at most; about 5 are enough

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Posterior:
    """The predictive distributions of a new phi: a scaled and shifted Student's t for each example.

    The degrees of freedom are `prior_freedom` (columns, 1) + `count` (examples,). `location` (the
    posterior mean of mu) and `scale` are (columns, examples), in nats.
    """

    prior_freedom: Floats
    count: NDArray[np.int64]
    location: Floats
    scale: Floats

    @cached_property
    def log_scale(self) -> Floats:
        """The logarithm of the scale (columns, examples)."""
        return np.asarray(np.log(self.scale), dtype=np.float64)

    def log_density(self, phi: Floats, predictive: str) -> Floats:
        """Returns the log density (columns, examples) at `phi` (columns, examples), in nats."""
        z = (phi - self.location) / self.scale
        if predictive == "gaussian":
            log_density = -0.5 * (z**2 + np.log(2 * np.pi))
        else:
            # Counts repeat: the slow functions are computed once for each count.
            freedom = self.prior_freedom + np.arange(self.count.max() + 1)
            half = freedom / 2
            constant = gammaln(half + 0.5) - gammaln(half) - 0.5 * np.log(freedom * np.pi)
            log_density = constant[:, self.count]
            log_kernel = np.log1p(z * z / freedom[:, self.count])
            log_density -= (half + 0.5)[:, self.count] * log_kernel
        return np.asarray(log_density - self.log_scale, dtype=np.float64)


@dataclass(frozen=True)
class Side:
    """Summary of the shadows' phi on one side: of the shadows with each example, or without it.

    `count` (examples,) is the number of these shadows. `mean` is the mean of their phi in nats (NaN
    if the count is 0), and `squares` the sum of squared deviations from it; both are (columns,
    examples). `min_std` is the least value of every sd.
    """

    count: NDArray[np.int64]
    mean: Floats
    squares: Floats
    min_std: float

    @cached_property
    def average(self) -> Floats:
        """The average of this side's means over examples (columns, 1); 0 if it has no shadow."""
        has_shadow = self.count > 0
        if not has_shadow.any():
            return np.zeros((len(self.mean), 1))
        return np.asarray(_selected(self.mean, has_shadow).mean(axis=1, keepdims=True))

    def predicted_from(self, other: "Side") -> Floats:
        """Returns the mean of phi predicted from the other side's shadows (columns, examples).

        The prediction is this side's average for an example without a shadow on the other side. It
        is the other side's posterior mean if this side has no shadow for any example.
        """
        has_this = self.count > 0
        has_other = other.count > 0
        average = np.broadcast_to(self.average, self.mean.shape)
        if not has_other.any():
            return average
        other_mean = other.location(other.average)
        if not has_this.any():
            return other_mean
        both = has_this & has_other
        if not both.any():
            return average
        x, y = _selected(other_mean, both), _selected(self.mean, both)
        weight = self.count[both] / self.count[both].sum()
        x_mean, y_mean = (x @ weight)[:, np.newaxis], (y @ weight)[:, np.newaxis]
        x_deviation = x - x_mean
        variance = (x_deviation**2) @ weight
        covariance = (x_deviation * (y - y_mean)) @ weight
        is_spread = variance > self.min_std**2
        slope = np.divide(covariance, variance, out=np.zeros_like(variance), where=is_spread)
        predicted = y_mean + slope[:, np.newaxis] * (other_mean - x_mean)
        return np.where(has_other, predicted, average)

    def posterior(self, centre: Floats) -> Posterior:
        """Returns the distributions of a new phi.

        `centre` is the prior mean of mu, (columns, examples) or (columns, 1).
        """
        freedom, variance = self._variance_prior
        deviation = self._deviation(centre)
        k = self._prior_count(deviation)
        shrinkage = self.count / (k + self.count)
        location = centre + deviation * shrinkage
        between = k * shrinkage * deviation**2
        squares = freedom * variance + self.squares + between
        sigma2 = np.maximum(squares / (freedom + self.count), self.min_std**2)
        scale = np.sqrt(sigma2 * (1 + 1 / (k + self.count)))
        return Posterior(freedom, self.count, location, scale)

    def location(self, centre: Floats) -> Floats:
        """Returns the posterior mean of mu (columns, examples); see `posterior`."""
        deviation = self._deviation(centre)
        shrinkage = self.count / (self._prior_count(deviation) + self.count)
        return np.asarray(centre + deviation * shrinkage, dtype=np.float64)

    def _deviation(self, centre: Floats) -> Floats:
        """Returns mean - centre (columns, examples); 0 where the count is 0."""
        return np.where(self.count > 0, self.mean - centre, 0.0)

    @cached_property
    def _variance_prior(self) -> tuple[Floats, Floats]:
        """The degrees of freedom d and the scale s^2 of the prior on sigma^2, (columns, 1) each.

        If no example has two shadows on this side, no spread can be estimated: s is `min_std`.
        """
        columns = len(self.mean)
        several = self.count > 1
        least = self.min_std**2
        if not several.any():
            return np.full((columns, 1), MOST_FREEDOM), np.full((columns, 1), least)
        free = (self.count[several] - 1).astype(np.float64)
        squares = _selected(self.squares, several)
        pooled = np.maximum(squares.sum(axis=1, keepdims=True) / free.sum(), least)
        log_sample = np.log(np.maximum(squares / free, 1e-6 * pooled))
        # Counts repeat: the slow functions are computed once for each value.
        values, index = np.unique(free / 2, return_inverse=True)
        logs = log_sample + (np.log(values) - digamma(values))[index]
        mean_log = logs.mean(axis=1, keepdims=True)
        excess = np.zeros(columns)
        if len(free) > 1:
            by_chance = _trigamma(values)[index].mean()
            excess = logs.var(axis=1, ddof=1) - by_chance
        freedom = 2 * _trigamma_inverse(excess)[:, np.newaxis]
        variance = np.exp(mean_log + digamma(freedom / 2) - np.log(freedom / 2))
        return freedom, np.maximum(variance, least)

    def _prior_count(self, deviation: Floats) -> Floats:
        """Returns k (columns, 1), the number of shadows that the prior of mu is worth.

        `deviation` (columns, examples) is the mean minus the prior mean of mu. 1 / k is the
        variance of mu about the prior mean in units of the prior variance. It is estimated by
        moments, is at least 0.001, and is 1 if this side has no shadow. Where the prior mean is
        itself an estimate, its error is part of this variance.
        """
        some = self.count > 0
        if not some.any():
            return np.ones((len(self.mean), 1))
        _, variance = self._variance_prior
        spread = (deviation**2).sum(axis=1, keepdims=True) / some.sum()
        sampling_error = variance * (1 / self.count[some]).mean()
        relative_variance = np.maximum((spread - sampling_error) / variance, 1e-3)
        return np.asarray(1 / relative_variance, dtype=np.float64)


def sides(moments: ShadowMoments, min_std: float) -> tuple[Side, Side]:
    """Returns the IN and the OUT references; the columns are the queries."""
    inside = Side(moments.count_in[:, 0], moments.mean_in.T, moments.squares_in.T, min_std)
    outside = Side(moments.count_out[:, 0], moments.mean_out.T, moments.squares_out.T, min_std)
    return inside, outside


def _selected(values: Floats, chosen: NDArray[np.bool_]) -> Floats:
    """Returns the chosen examples of `values` (columns, examples); `chosen` is (examples,)."""
    return values if chosen.all() else values[:, chosen]


def _trigamma(x: Floats) -> Floats:
    return np.asarray(zeta(2, x), dtype=np.float64)


def _trigamma_inverse(values: Floats) -> Floats:
    """Returns x with trigamma(x) = value for each of `values`, clipped to [1e-3, MOST_FREEDOM / 2].

    Newton's method on 1 / trigamma, which is nearly linear and convex (Smyth 2004, appendix).
    """
    low, high = 1e-3, MOST_FREEDOM / 2
    least, most = _trigamma(np.array([high, low]))
    inside = np.clip(values, least, most)
    x = 0.5 + 1 / inside
    for _ in range(NEWTON_STEPS):
        trigamma = _trigamma(x)
        step = trigamma * (1 - trigamma / inside) / (-2 * zeta(3, x))
        x = x + step
        if (np.abs(step) <= 1e-10 * x).all():
            break
    return np.clip(x, low, high)
