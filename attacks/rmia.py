"""The robust membership inference attack (RMIA)."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.adversary_view import AdversaryView
from mgaudit.attacks.attack import Attack
from mgaudit.attacks.drift_corrected import DriftCorrected
from mgaudit.attacks.ensemble import Floats
from mgaudit.attacks.signals import LOWEST_LOG_PROBABILITY, LogProbability, Probability


@dataclass(frozen=True)
class RMIA(DriftCorrected):
    """Compares the label's probability under the target with its average over shadow models.

    The ratio of example x (Zarifzadeh et al. 2024) is

        r(x) = p_y(x) / pbar(x),

    where p_y is the softmax probability of the label at `temperature`. mean_in and mean_out are the
    means of p_y over the shadows that trained on x and over the other shadows. Online, pbar =
    mean_in / 2 + mean_out / 2. Offline, from the shadows without the example only, pbar = ((1 + a)
    mean_out + (1 - a)) / 2, which assumes that mean_in = a mean_out + (1 - a), with `a` in [0, 1].

    The paper scores x by the share of population points z with r(x) / r(z) >= gamma. With the same
    points z for all x, this share is a monotone function of r(x), so it ranks examples as r does
    except for ties. Here the score is log r; `population_share` returns the share. With several
    queries, the median of log r over queries is used, for x and for z: if the number of queries is
    odd, a majority of the queries exceeds a threshold exactly when the median does.

    Online, an example on which no shadow trained gets the offline mean_in. An example on which all
    shadows trained gets mean_out = mean_in, online and offline.
    """

    online: bool = True
    temperature: float = 2.0
    a: float = 0.3

    needs: ClassVar[frozenset[str]] = frozenset({"shadows"})
    cost: ClassVar[str] = "shadow models"
    source: ClassVar[str] = "Zarifzadeh et al. 2024, arXiv 2312.03262"

    @classmethod
    def examples(cls) -> tuple[Attack, ...]:
        """Returns the attack online and offline."""
        return cls(), cls(online=False)

    @property
    def planted_auc(self) -> float:
        """Online nearly the largest possible AUC; offline lower, because mean_in is assumed."""
        return 0.9032 if self.online else 0.73

    @property
    def uses_references_in(self) -> bool:
        """Only online; offline, an example is compared with the shadows without it."""
        return self.online

    @property
    def uses_all_classes(self) -> bool:
        """At a temperature other than 1, the label's probability depends on all logits."""
        return self.temperature != 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"temperature must be a finite number > 0, got {self.temperature}")
        if not 0 <= self.a <= 1:
            raise ValueError(f"a must lie between 0 and 1, got {self.a}")

    def score(self, view: AdversaryView) -> NDArray[np.float64]:
        """Returns log r (examples,) in nats."""
        p = view.shadow_signal(Probability(self.temperature), self.drift)
        mean_out = mean_where(p, view.references_out)
        mean_in = mean_where(p, view.references_in)
        mean_out = np.where(np.isnan(mean_out), mean_in, mean_out)
        offline_in = self._offline_in(mean_out)
        filled_in = np.where(np.isnan(mean_in), offline_in, mean_in)
        mean_in = filled_in if self.online else offline_in
        log_p = view.target_signal(LogProbability(self.temperature), self.drift)
        return _log_ratio(log_p, (mean_in + mean_out) / 2)

    def population_share(self, view: AdversaryView, gamma: float = 1.0) -> NDArray[np.float64]:
        """Returns the paper's score: the share of population points z with r(x) / r(z) >= gamma.

        No shadow trained on the population. So online, pbar(z) is the mean over all shadows, and
        offline it is computed from that mean as pbar(x) is computed from mean_out.

        1 - share at gamma = 1, the share of points with a larger r than x, is a p-value: it is
        uniform, except for ties, if nothing is memorised. If examples are memorised, the shadows
        that trained on x raise pbar(x) online, and therefore the p-value of a non-member.

        Args:
            view: What the adversary sees, with a population.
            gamma: Threshold of the ratio, finite and > 0.

        Returns:
            Shares (examples,) in 0..1.

        Raises:
            ValueError: Where there is no population, and for a gamma that is not a finite number >
                0.
        """
        if not 0 < gamma < math.inf:
            raise ValueError(f"gamma must be a finite number > 0, got {gamma}")
        signal = LogProbability(self.temperature)
        population = view.population_signal(signal, self.drift)
        p = view.shadow_population_signal(Probability(self.temperature), self.drift)
        mean_out = p.mean(axis=0)
        pbar = mean_out if self.online else (self._offline_in(mean_out) + mean_out) / 2
        log_ratios = np.sort(_log_ratio(population, pbar))
        thresholds = self.score(view) - math.log(gamma)
        exceeded = np.searchsorted(log_ratios, thresholds, side="right")
        return np.asarray(exceeded / len(log_ratios), dtype=np.float64)

    def _offline_in(self, mean_out: Floats) -> Floats:
        """Returns the mean_in that offline RMIA assumes, from mean_out; shapes are the same."""
        return self.a * mean_out + (1 - self.a)


def _log_ratio(log_p: Floats, pbar: Floats) -> Floats:
    """Returns the median over queries of log(p / pbar), (points,) in nats.

    `log_p` is log p in nats and `pbar` a mean probability, both (points, queries).
    """
    ratio = np.maximum(log_p, LOWEST_LOG_PROBABILITY) - np.log(pbar)
    return np.asarray(np.median(ratio, axis=-1), dtype=np.float64)


def mean_where(values: Floats, chosen: NDArray[np.bool_]) -> Floats:
    """Returns the mean (examples, queries) over the shadows chosen for each example.

    `values` are (shadows, examples, queries) and `chosen` (shadows, examples). The mean is NaN for
    an example without a chosen shadow.
    """
    count = chosen.sum(axis=0)[:, np.newaxis]
    total = np.einsum("seq,se->eq", values, chosen)
    mean: Floats = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    return mean
