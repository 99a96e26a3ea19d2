"""Bayesian variance inference: likelihood ratios that account for the number of shadow models."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import digamma, polygamma

from mgaudit.attacks.attack import Attack
from mgaudit.attacks.observations import AdversaryView, Floats
from mgaudit.attacks.signals import BentConfidence

MOST_FREEDOM = 1e4  # of the prior on variances: practically the same variance for all examples


@dataclass(frozen=True)
class BaVarIA(Attack):
    """Likelihood ratio of the target's phi under Bayesian predictive distributions.

    For each example, phi is N(mu, sigma^2), separately for members and for non-members, with
    conjugate normal-inverse-gamma priors fitted by empirical Bayes across the examples (arXiv
    2603.11799):

    - sigma^2 ~ scaled inverse chi^2(d, s^2), by the moments of the log sample variances (Smyth
      2004, section 6.2);
    - mu | sigma^2 ~ N(m_i, sigma^2 / k) on either side (member shadows, non-member shadows), where
      m_i is predicted from the shadows of the other side: the linear regression, over examples, of
      this side's mean phi on the posterior mean of the other side's mu. With few shadows this
      matters: where models memorise, members' phi hardly depends on the example, and an example
      that one non-member shadow misclassifies by chance is still easy if the member shadows
      classify it with confidence.

    phi is transformed where it is positive (`BentConfidence`), because its spread grows with its
    mean there and the model assumes that the two are independent; `bend` inf leaves phi unchanged.
    The transformation and the regression are ours, not the paper's. `min_std` is the least value of
    every sd.

    The score is the log ratio of the two posterior predictive densities, averaged over queries.
    The densities are Student's t or, with `predictive="gaussian"`, normal with the same location
    and scale.
    """

    predictive: Literal["student", "gaussian"] = "student"
    bend: float = 4.0
    min_std: float = 1e-6

    needs: ClassVar[frozenset[str]] = frozenset({"shadows"})
    fewest_shadows: ClassVar[int] = 2  # to estimate the spread within an example
    cost: ClassVar[str] = "shadow models"
    source: ClassVar[str] = "BaVarIA 2026, arXiv 2603.11799"

    @classmethod
    def examples(cls) -> tuple[Attack, ...]:
        """Returns the attack with each predictive distribution."""
        return cls(), cls(predictive="gaussian")

    @property
    def planted_auc(self) -> float:
        """Nearly the largest possible AUC on the planted data."""
        return 0.9032

    def __post_init__(self) -> None:
        if self.predictive not in ("student", "gaussian"):
            raise ValueError(f"predictive must be 'student' or 'gaussian', got {self.predictive!r}")
        if not self.bend > 0:
            raise ValueError(f"bend must be > 0, got {self.bend}")
        if not 0 < self.min_std < np.inf:
            raise ValueError(f"min_std must be a finite number > 0, got {self.min_std}")

    def score(self, view: AdversaryView) -> NDArray[np.float64]:
        """Returns log p(phi | member) - log p(phi | non-member) (examples,) in nats."""
        signal = BentConfidence(self.bend)
        phi = view.target_signal(signal)
        shadows = view.shadow_moments(signal)
        ratios = []
        count_in = shadows.count_in[:, 0]
        count_out = shadows.count_out[:, 0]
        for query in range(phi.shape[1]):
            inside = _Side(count_in, shadows.mean_in[:, query], shadows.squares_in[:, query])
            outside = _Side(count_out, shadows.mean_out[:, query], shadows.squares_out[:, query])
            ratios.append(self._log_ratio(phi[:, query], inside, outside))
        return np.asarray(np.mean(ratios, axis=0), dtype=np.float64)

    def _log_ratio(self, phi: Floats, inside: "_Side", outside: "_Side") -> Floats:
        """Returns log p(phi | member) - log p(phi | non-member) (examples,) for one query, in nats.

        `phi` (examples,) is the target's bent phi in nats. `inside` and `outside` describe phi of
        the shadows that trained on each example, and of the other shadows.
        """
        predicted_out = outside.predicted_from(inside, self.min_std)
        posterior_out = outside.posterior(predicted_out, self.min_std)
        predicted_in = inside.predicted_from(outside, self.min_std)
        posterior_in = inside.posterior(predicted_in, self.min_std)
        log_density_in = posterior_in.log_density(phi, self.predictive)
        log_density_out = posterior_out.log_density(phi, self.predictive)
        return log_density_in - log_density_out


@dataclass(frozen=True)
class _Posterior:
    """The predictive distribution of a new phi, for each example: a scaled and shifted Student's t.

    `freedom` (degrees of freedom), `location` (the posterior mean of mu) and `scale` are
    (examples,); the last two are in nats.
    """

    freedom: Floats
    location: Floats
    scale: Floats

    def log_density(self, phi: Floats, predictive: str) -> Floats:
        """Returns the log density (examples,) at `phi` (examples,), both in nats."""
        from scipy import stats  # imported here because it takes a second

        if predictive == "gaussian":
            log_density = stats.norm.logpdf(phi, self.location, self.scale)
        else:
            log_density = stats.t.logpdf(phi, self.freedom, self.location, self.scale)
        return np.asarray(log_density, dtype=np.float64)


@dataclass(frozen=True)
class _Side:
    """Summary of the shadows' phi on one side: of the shadows with each example, or without it.

    `count` is the number of these shadows, `mean` the mean of their phi in nats (NaN if the count
    is 0), and `squares` the sum of squared deviations from it; each is (examples,).
    """

    count: NDArray[np.int64]
    mean: Floats
    squares: Floats

    def average(self) -> Floats:
        """Returns the average of this side's means over examples, repeated for each (examples,)."""
        average = self.mean[self.count > 0].mean()
        return np.full(len(self.count), average)

    def predicted_from(self, other: "_Side", min_std: float) -> Floats:
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

    def posterior(self, centre: Floats, min_std: float) -> _Posterior:
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
        return _Posterior(posterior_freedom, location, scale)

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
        logs = log_sample - digamma(free / 2) + np.log(free / 2)
        excess = 0.0
        if len(logs) > 1:
            by_chance = polygamma(1, free / 2).mean()
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


def _trigamma_inverse(value: float) -> float:
    """Returns x with trigamma(x) = value, clipped to [1e-3, MOST_FREEDOM / 2]."""
    low, high = 1e-3, MOST_FREEDOM / 2
    if value <= polygamma(1, high):
        return high
    if value >= polygamma(1, low):
        return low
    root = brentq(lambda x: polygamma(1, x) - value, low, high)
    return float(root)
