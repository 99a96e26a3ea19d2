"""Bayesian variance inference: likelihood ratios that know how little a few shadows say."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import digamma, polygamma

from mgaudit.attacks.attack import Attack
from mgaudit.attacks.observations import AdversaryView, Floats
from mgaudit.attacks.signals import BentConfidence

MOST_FREEDOM = 1e4  # of the prior on variances: all examples have the same one, for what data can tell


@dataclass(frozen=True)
class BaVarIA(Attack):
    """Compares the target's phi with what the shadows predict for a member and for a non-member (arXiv 2603.11799).

    For each example phi is N(mu, sigma^2) for members and for non-members apart, with conjugate normal-inverse-gamma
    priors fitted by empirical Bayes across the examples:

    - sigma^2 ~ scaled inverse chi^2(d, s^2), by the moments of the log sample variances (Smyth 2004, section 6.2);
    - mu | sigma^2 ~ N(m_i, sigma^2 / k) on either side, m_i being what the shadows of the other side say: the linear
      regression, over examples, of this side's mean phi on the posterior mean of the other side's mu. With few shadows
      that counts: members' phi hardly depends on the example where models memorise, and an example that a shadow
      without it happens to get wrong is still easy if those with it are sure of it.

    phi is bent where it is positive (`BentConfidence`), since its spread grows with its mean there and the model takes
    the two for independent; `bend` inf leaves it as it is. The bend and the regression are ours, not the paper's.

    The score is the log ratio of the two posterior predictive densities, Student's t or, with `predictive="gaussian"`,
    the normal one of the same location and scale; averaged over queries.
    """

    predictive: Literal["student", "gaussian"] = "student"
    bend: float = 4.0
    min_std: float = 1e-6

    needs: ClassVar[frozenset[str]] = frozenset({"shadows"})
    fewest_shadows: ClassVar[int] = 2  # the spread within an example takes two
    cost: ClassVar[str] = "shadow models"
    source: ClassVar[str] = "BaVarIA 2026, arXiv 2603.11799"

    @classmethod
    def examples(cls) -> tuple[Attack, ...]:
        """Returns it with each predictive."""
        return cls(), cls(predictive="gaussian")

    @property
    def planted_auc(self) -> float:
        """Nearly all that there is."""
        return 0.9032

    def __post_init__(self) -> None:
        if self.predictive not in ("student", "gaussian"):
            raise ValueError(f"predictive must be student or gaussian, got {self.predictive!r}")
        if not self.bend > 0:
            raise ValueError(f"bend must be > 0, got {self.bend}")
        if not 0 < self.min_std < np.inf:
            raise ValueError(f"min_std must be a finite number > 0, got {self.min_std}")

    def score(self, view: AdversaryView) -> NDArray[np.float64]:
        """Returns the log ratio (examples,) in nats."""
        signal = BentConfidence(self.bend)
        phi = view.target_signal(signal)
        shadows = view.shadow_moments(signal)
        ratios = []
        for query in range(phi.shape[1]):
            outside = _Side(shadows.count_out[:, 0], shadows.mean_out[:, query], shadows.squares_out[:, query])
            inside = _Side(shadows.count_in[:, 0], shadows.mean_in[:, query], shadows.squares_in[:, query])
            without = outside.posterior(outside.predicted_from(inside, self.min_std), self.min_std)
            within = inside.posterior(inside.predicted_from(outside, self.min_std), self.min_std)
            ratios.append(
                within.log_density(phi[:, query], self.predictive) - without.log_density(phi[:, query], self.predictive)
            )
        return np.asarray(np.mean(ratios, axis=0), dtype=np.float64)


@dataclass(frozen=True)
class _Posterior:
    """Student's t with `freedom` degrees at `location` with `scale`, the posterior mean of mu being the location."""

    freedom: Floats
    location: Floats
    scale: Floats

    def log_density(self, x: Floats, predictive: str) -> Floats:
        from scipy import stats  # takes a second, which only its users should wait

        if predictive == "gaussian":
            return np.asarray(stats.norm.logpdf(x, self.location, self.scale), dtype=np.float64)
        return np.asarray(stats.t.logpdf(x, self.freedom, self.location, self.scale), dtype=np.float64)


@dataclass(frozen=True)
class _Side:
    """Counts, means and squared deviations of the shadows' phi on one side, (examples,) each."""

    count: NDArray[np.int64]
    mean: Floats
    squares: Floats

    def average(self) -> Floats:
        """Returns for every example the average of the means of those that have a shadow on this side."""
        return np.full(len(self.count), self.mean[self.count > 0].mean())

    def predicted_from(self, other: "_Side", min_std: float) -> Floats:
        """Returns the mean of phi that the other side's shadows lead to expect on this side (examples,).

        It is the average where the other side has no shadow; and the other side's own where this one has none at all.
        """
        if not (other.count > 0).any():
            return self.average()
        alone = other.posterior(other.average(), min_std).location
        if not (self.count > 0).any():
            return alone
        both = (self.count > 0) & (other.count > 0)
        if not both.any():
            return self.average()
        x, y, weight = alone[both], self.mean[both], self.count[both]
        x_mean, y_mean = np.average(x, weights=weight), np.average(y, weights=weight)
        spread = np.average((x - x_mean) ** 2, weights=weight)
        slope = np.average((x - x_mean) * (y - y_mean), weights=weight) / spread if spread > min_std**2 else 0.0
        return np.where(other.count > 0, y_mean + slope * (alone - x_mean), self.average())

    def posterior(self, centre: Floats, min_std: float) -> _Posterior:
        """Returns the posterior predictive of one more phi, the prior of mu being centred at `centre`."""
        freedom, variance = self._variance_prior(min_std)
        k = 1 / self._looseness(centre, variance)
        total = k + self.count
        deviation = np.where(self.count > 0, self.mean - centre, 0.0)
        location = np.asarray(centre + deviation * self.count / total, dtype=np.float64)
        squares = freedom * variance + self.squares + k * self.count / total * deviation**2
        posterior_freedom = np.asarray(freedom + self.count, dtype=np.float64)
        sigma2 = np.maximum(squares / posterior_freedom, min_std**2)
        scale = np.asarray(np.sqrt(sigma2 * (1 + 1 / total)), dtype=np.float64)
        return _Posterior(posterior_freedom, location, scale)

    def _variance_prior(self, min_std: float) -> tuple[float, float]:
        """Returns the degrees of freedom d and the scale s^2 of the prior on sigma^2."""
        several = self.count > 1
        if not several.any():
            return MOST_FREEDOM, min_std**2
        free = (self.count[several] - 1).astype(np.float64)
        sample = self.squares[several] / free
        pooled = max(float((sample * free).sum() / free.sum()), min_std**2)
        logs = np.log(np.maximum(sample, 1e-6 * pooled)) - digamma(free / 2) + np.log(free / 2)
        excess = float(logs.var(ddof=1) - polygamma(1, free / 2).mean()) if len(logs) > 1 else 0.0
        freedom = 2 * _trigamma_inverse(excess)
        variance = float(np.exp(logs.mean() + digamma(freedom / 2) - np.log(freedom / 2)))
        return freedom, max(variance, min_std**2)

    def _looseness(self, centre: Floats, variance: float) -> float:
        """Returns 1 / k: how far mu spreads about its centre, in units of sigma^2, by the method of moments.

        Where the centre is itself an estimate, its error is part of that spread.
        """
        some = self.count > 0
        if not some.any():
            return 1.0
        spread = ((self.mean[some] - centre[some]) ** 2).mean()
        known = variance * (1 / self.count[some]).mean()
        return max(float((spread - known) / variance), 1e-3)


def _trigamma_inverse(value: float) -> float:
    """Returns x with trigamma(x) = value, at most half of MOST_FREEDOM."""
    low, high = 1e-3, MOST_FREEDOM / 2
    if value <= polygamma(1, high):
        return high
    return low if value >= polygamma(1, low) else float(brentq(lambda x: polygamma(1, x) - value, low, high))
