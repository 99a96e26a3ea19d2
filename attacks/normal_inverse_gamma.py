"""Predictive distributions of a new shadow model's signal, by empirical Bayes across examples.

On each side, of shadow models with the example (in) or without it (out), the signal of an example
is N(mu, sigma^2), with a conjugate normal-inverse-gamma prior (arXiv 2603.11799).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import digamma, gammaln, polygamma

from mgaudit.attacks.shadow_moments import ShadowMoments

MOST_FREEDOM = 1e4  # of the prior on variances: practically the same variance for all examples

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Posterior:
    """The predictive distribution of a new phi, for each example: a scaled and shifted Student's t.

    `freedom` (degrees of freedom), `location` (the posterior mean of mu) and `scale` are
    (examples,); the last two are in nats.
    """

    freedom: Floats
    location: Floats
    scale: Floats

    def log_density(self, phi: Floats, predictive: str) -> Floats:
        """Returns the log density (examples,) at `phi` (examples,), both in nats."""
        z = (phi - self.location) / self.scale
        if predictive == "gaussian":
            log_density = -0.5 * (z**2 + np.log(2 * np.pi))
        else:
            half = self.freedom / 2
            log_density = gammaln(half + 0.5) - gammaln(half) - 0.5 * np.log(self.freedom * np.pi)
            log_density -= (half + 0.5) * np.log1p(z**2 / self.freedom)
        return np.asarray(log_density - np.log(self.scale), dtype=np.float64)


@dataclass(frozen=True)
class Side:
    """Summary of the shadows' phi on one side: of the shadows with each example, or without it.

    `count` is the number of these shadows, `mean` the mean of their phi in nats (NaN if the count
    is 0), and `squares` the sum of squared deviations from it; each is (examples,).
    """

    count: NDArray[np.int64]
    mean: Floats
    squares: Floats

    def average(self) -> Floats:
        """Returns the average of this side's means over examples, repeated for each (examples,).

        It is 0 if this side has no shadow.
        """
        has_shadow = self.count > 0
        average = self.mean[has_shadow].mean() if has_shadow.any() else 0.0
        return np.full(len(self.count), average)

    def predicted_from(self, other: "Side", min_std: float) -> Floats:
        """Returns the mean of phi on this side predicted from the other side's shadows (examples,).

        The prediction is this side's average for an example without a shadow on the other side. It
        is the other side's posterior mean if this side has no shadow for any example.
        """
        has_this = self.count > 0
        has_other = other.count > 0
        if not has_other.any():
            return self.average()
        other_mean = other.posterior(other.average(), min_std).location
        if not has_this.any():
            return other_mean
        both = has_this & has_other
        if not both.any():
            return self.average()
        x, y, weight = other_mean[both], self.mean[both], self.count[both]
        x_mean = np.average(x, weights=weight)
        y_mean = np.average(y, weights=weight)
        variance = np.average((x - x_mean) ** 2, weights=weight)
        slope = 0.0
        if variance > min_std**2:
            covariance = np.average((x - x_mean) * (y - y_mean), weights=weight)
            slope = covariance / variance
        predicted = y_mean + slope * (other_mean - x_mean)
        return np.where(has_other, predicted, self.average())

    def posterior(self, centre: Floats, min_std: float) -> Posterior:
        """Returns the distribution of a new phi; `centre` (examples,) is the prior mean of mu."""
        freedom, variance = self._variance_prior(min_std)
        k = 1 / self._relative_variance_of_mu(centre, variance)
        total = k + self.count
        deviation = np.where(self.count > 0, self.mean - centre, 0.0)
        shifted = centre + deviation * self.count / total
        location = np.asarray(shifted, dtype=np.float64)
        between = k * self.count / total * deviation**2
        squares = freedom * variance + self.squares + between
        posterior_freedom = np.asarray(freedom + self.count, dtype=np.float64)
        sigma2 = np.maximum(squares / posterior_freedom, min_std**2)
        predictive_sd = np.sqrt(sigma2 * (1 + 1 / total))
        scale = np.asarray(predictive_sd, dtype=np.float64)
        return Posterior(posterior_freedom, location, scale)

    def _variance_prior(self, min_std: float) -> tuple[float, float]:
        """Returns the degrees of freedom d and the scale s^2 of the prior on sigma^2.

        If no example has two shadows on this side, no spread can be estimated: s is `min_std`.
        """
        several = self.count > 1
        if not several.any():
            return MOST_FREEDOM, min_std**2
        free = (self.count[several] - 1).astype(np.float64)
        sample = self.squares[several] / free
        weighted_mean = float((sample * free).sum() / free.sum())
        pooled = max(weighted_mean, min_std**2)
        log_sample = np.log(np.maximum(sample, 1e-6 * pooled))
        # Counts repeat: the slow functions are computed once for each value.
        values, index = np.unique(free / 2, return_inverse=True)
        logs = log_sample - digamma(values)[index] + np.log(free / 2)
        excess = 0.0
        if len(logs) > 1:
            by_chance = polygamma(1, values)[index].mean()
            excess = float(logs.var(ddof=1) - by_chance)
        freedom = 2 * _trigamma_inverse(excess)
        log_variance = logs.mean() + digamma(freedom / 2) - np.log(freedom / 2)
        variance = float(np.exp(log_variance))
        return freedom, max(variance, min_std**2)

    def _relative_variance_of_mu(self, centre: Floats, variance: float) -> float:
        """Returns 1 / k, the variance of mu about `centre` (examples,) in units of `variance`.

        It is estimated by moments, is at least 0.001, and is 1 if this side has no shadow. Where
        the centre is itself an estimate, the error of the centre is part of this variance.
        """
        some = self.count > 0
        if not some.any():
            return 1.0
        deviation = self.mean[some] - centre[some]
        spread = (deviation**2).mean()
        sampling_error = variance * (1 / self.count[some]).mean()
        relative_variance = (spread - sampling_error) / variance
        return max(float(relative_variance), 1e-3)


def sides(moments: ShadowMoments, query: int) -> tuple[Side, Side]:
    """Returns the IN and the OUT references of one query."""
    inside = Side(moments.count_in[:, 0], moments.mean_in[:, query], moments.squares_in[:, query])
    outside = Side(
        moments.count_out[:, 0], moments.mean_out[:, query], moments.squares_out[:, query]
    )
    return inside, outside


def _trigamma_inverse(value: float) -> float:
    """Returns x with trigamma(x) = value, clipped to [1e-3, MOST_FREEDOM / 2]."""
    low, high = 1e-3, MOST_FREEDOM / 2
    if value <= polygamma(1, high):
        return high
    if value >= polygamma(1, low):
        return low
    root = brentq(lambda x: polygamma(1, x) - value, low, high)
    return float(root)
