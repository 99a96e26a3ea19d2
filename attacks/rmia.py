"""The robust membership inference attack."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.attack import Attack
from mgaudit.attacks.observations import AdversaryView, Floats
from mgaudit.attacks.signals import LogProbability

LOWEST_LOG_PROBABILITY = -700.0  # exp of less is 0 in float64


@dataclass(frozen=True)
class RMIA(Attack):
    """Compares p_y under the target with its average over a world with and a world without the example.

    r(x) = p_y(x) / pbar(x) (Zarifzadeh et al. 2024), p_y being a softmax at `temperature`. Online pbar = mean_in / 2 +
    mean_out / 2; offline, from the shadows without the example alone, pbar = ((1 + a) mean_out + (1 - a)) / 2, which
    takes mean_in to be a mean_out + (1 - a).

    The paper scores x by the share of population points z with r(x) / r(z) >= gamma. With one set of z for all x that
    share only grows with r(x), so it ranks as r does but for ties, and log r is the score here; `population_share`
    gives the share. Over several queries the median of log r is taken, of x as of z: where their number is odd, a
    majority of the queries passes a threshold just when the median does.

    Online, an example that no shadow trained on gets the offline mean_in, and one that all trained on mean_out =
    mean_in. Offline the latter gets mean_out = mean_in too.
    """

    online: bool = True
    temperature: float = 2.0
    a: float = 0.3

    needs: ClassVar[frozenset[str]] = frozenset({"shadows"})
    cost: ClassVar[str] = "shadow models"
    source: ClassVar[str] = "Zarifzadeh et al. 2024, arXiv 2312.03262"

    @classmethod
    def examples(cls) -> tuple[Attack, ...]:
        """Returns it online and offline."""
        return cls(), cls(online=False)

    @property
    def planted_auc(self) -> float:
        """Online it is nearly all that there is; offline the mean of members is a guess."""
        return 0.9032 if self.online else 0.73

    def __post_init__(self) -> None:
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"temperature must be a finite number > 0, got {self.temperature}")
        if not 0 <= self.a <= 1:
            raise ValueError(f"a must lie between 0 and 1, got {self.a}")

    def score(self, view: AdversaryView) -> NDArray[np.float64]:
        """Returns log r (examples,) in nats."""
        signal = LogProbability(self.temperature)
        p = _probability(view.shadow_signal(signal))
        members = view.shadow_membership
        mean_out = _mean_where(p, ~members)
        mean_in = _mean_where(p, members)
        mean_out = np.where(np.isnan(mean_out), mean_in, mean_out)
        offline_in = self._offline_in(mean_out)
        mean_in = np.where(np.isnan(mean_in), offline_in, mean_in) if self.online else offline_in
        return _log_ratio(view.target_signal(signal), (mean_in + mean_out) / 2)

    def population_share(self, view: AdversaryView, gamma: float = 1.0) -> NDArray[np.float64]:
        """Returns the share of population points z with r(x) / r(z) >= gamma (examples,), in 0..1: the paper's score.

        No shadow trained on a point of the population, so online pbar(z) is the mean over all shadows, and offline it
        is made of that mean as pbar(x) is of mean_out. 1 - share at gamma = 1, the share of points that look more like
        a member than x does, is a p-value: uniform where nothing is memorised, but for ties. Where something is, the
        shadows with x raise pbar(x) online, and a non-member's p-value with it. Raises ValueError where there is no
        population, and for a gamma that is not a finite number > 0.
        """
        if not 0 < gamma < math.inf:
            raise ValueError(f"gamma must be a finite number > 0, got {gamma}")
        signal = LogProbability(self.temperature)
        population = view.population_signal(signal)
        mean_out = _probability(view.shadow_population_signal(signal)).mean(axis=0)
        pbar = mean_out if self.online else (self._offline_in(mean_out) + mean_out) / 2
        ratios = np.sort(_log_ratio(population, pbar))
        passed = np.searchsorted(ratios, self.score(view) - math.log(gamma), side="right")
        return np.asarray(passed / len(ratios), dtype=np.float64)

    def _offline_in(self, mean_out: Floats) -> Floats:
        return self.a * mean_out + (1 - self.a)


def _probability(log_p: Floats) -> Floats:
    return np.asarray(np.exp(np.maximum(log_p, LOWEST_LOG_PROBABILITY)), dtype=np.float64)


def _log_ratio(log_p: Floats, pbar: Floats) -> Floats:
    """Returns the median over queries of log p / pbar, both (points, queries)."""
    ratio = np.maximum(log_p, LOWEST_LOG_PROBABILITY) - np.log(pbar)
    return np.asarray(np.median(ratio, axis=-1), dtype=np.float64)


def _mean_where(values: Floats, chosen: NDArray[np.bool_]) -> Floats:
    """Returns the mean over the shadows chosen for each example (examples, queries), NaN where there is none."""
    count = chosen.sum(axis=0)[:, np.newaxis]
    total = np.einsum("seq,se->eq", values, chosen)
    mean: Floats = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    return mean
