"""The robust membership inference attack."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from attacks.attack import Attack
from attacks.observations import AdversaryView, Floats
from attacks.signals import LogProbability

LOWEST_LOG_PROBABILITY = -700.0  # exp of less is 0 in float64


@dataclass(frozen=True)
class RMIA(Attack):
    """Compares p_y under the target with its average over a world with and a world without the example.

    r(x) = p_y(x) / pbar(x) (Zarifzadeh et al. 2024), p_y being a softmax at `temperature`. Online pbar = mean_in / 2 +
    mean_out / 2; offline, from the shadows without the example alone, pbar = ((1 + a) mean_out + (1 - a)) / 2, which
    takes mean_in to be a mean_out + (1 - a).

    The paper scores x by the share of population points z with r(x) / r(z) >= gamma. With one set of z for all x that
    share only grows with r(x), so it ranks as r does but for ties, and log r is the score here. Over several queries
    the median is taken: a majority of the queries passes a threshold just when the median does.

    Online, an example that no shadow trained on gets the offline mean_in, and one that all trained on mean_out =
    mean_in. Offline the latter gets mean_out = mean_in too.
    """

    online: bool = True
    temperature: float = 2.0
    a: float = 0.3

    needs: ClassVar[frozenset[str]] = frozenset({"shadows"})
    cost: ClassVar[str] = "shadow models"
    source: ClassVar[str] = "Zarifzadeh et al. 2024, arXiv 2312.03262"

    def __post_init__(self) -> None:
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"temperature must be a finite number > 0, got {self.temperature}")
        if not 0 <= self.a <= 1:
            raise ValueError(f"a must lie between 0 and 1, got {self.a}")

    def score(self, view: AdversaryView) -> NDArray[np.float64]:
        """Returns log r (examples,) in nats."""
        signal = LogProbability(self.temperature)
        log_p = np.maximum(view.target_signal(signal), LOWEST_LOG_PROBABILITY)
        p = np.exp(np.maximum(view.shadow_signal(signal), LOWEST_LOG_PROBABILITY))
        members = view.shadow_membership
        mean_out = _mean_where(p, ~members)
        mean_in = _mean_where(p, members)
        mean_out = np.where(np.isnan(mean_out), mean_in, mean_out)
        offline_in = self.a * mean_out + (1 - self.a)
        mean_in = np.where(np.isnan(mean_in), offline_in, mean_in) if self.online else offline_in
        return np.asarray(np.median(log_p - np.log((mean_in + mean_out) / 2), axis=-1), dtype=np.float64)


def _mean_where(values: Floats, chosen: NDArray[np.bool_]) -> Floats:
    """Returns the mean over the shadows chosen for each example (examples, queries), NaN where there is none."""
    count = chosen.sum(axis=0)[:, np.newaxis]
    total = np.einsum("seq,se->eq", values, chosen)
    mean: Floats = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    return mean
