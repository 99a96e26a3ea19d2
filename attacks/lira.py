"""The likelihood ratio attack."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.attack import Attack
from mgaudit.attacks.observations import AdversaryView, Floats
from mgaudit.attacks.signals import logit_confidence

ENOUGH_FOR_OWN_VARIANCE = 32


@dataclass(frozen=True)
class LiRA(Attack):
    """Compares the target's phi with the shadows' phi for the same example (Carlini et al. 2022).

    Online: log N(phi; mean_in, sd_in) - log N(phi; mean_out, sd_out). Offline, from the shadows without the example
    alone: (phi - mean_out) / sd_out, one-sided, since a member's phi is only ever raised. Both are averaged over the
    queries.

    `variance` says whose spread the two sds are:
    - "pooled": within-example, one for all examples. The best with few shadows.
    - "shrunk": s_i^2 = (w s^2 + SS_i) / (w + n_i - 1), an example's own drawn towards the pooled s^2 with the
      weight of w = `prior_shadows` further shadows.
    - "per-example": an example's own where at least 32 in and 32 out shadows hold it, shrunk elsewhere.

    An example that no shadow trained on (or that all did) gets the missing mean from the average gap mean_in -
    mean_out of the other examples. `min_std` is the floor of every sd, for models that answer all alike.
    """

    online: bool = True
    variance: Literal["pooled", "shrunk", "per-example"] = "pooled"
    prior_shadows: float = 16.0
    min_std: float = 1e-6

    needs: ClassVar[frozenset[str]] = frozenset({"shadows"})
    fewest_shadows: ClassVar[int] = 2  # the spread within an example takes two
    cost: ClassVar[str] = "shadow models"
    source: ClassVar[str] = "Carlini et al. 2022, arXiv 2112.03570"

    @classmethod
    def examples(cls) -> tuple[Attack, ...]:
        """Returns it online and offline, with each variance."""
        return cls(), cls(online=False), cls(variance="shrunk"), cls(variance="per-example")

    @property
    def planted_auc(self) -> float:
        """Nearly all that there is."""
        return 0.9032

    def __post_init__(self) -> None:
        if self.variance not in ("pooled", "shrunk", "per-example"):
            raise ValueError(f"variance must be pooled, shrunk or per-example, got {self.variance!r}")
        for name in ("prior_shadows", "min_std"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be a finite number > 0, got {value}")

    def score(self, view: AdversaryView) -> NDArray[np.float64]:
        """Returns the log likelihood ratio, or offline the z-score, (examples,)."""
        phi = view.target_signal(logit_confidence)
        shadows = view.shadow_moments(logit_confidence)
        mean_in, mean_out = shadows.filled_means()
        own = (shadows.count_in >= ENOUGH_FOR_OWN_VARIANCE) & (shadows.count_out >= ENOUGH_FOR_OWN_VARIANCE)
        sd_out = self._sd(shadows.count_out, shadows.squares_out, own)
        if not self.online:
            evidence = (phi - mean_out) / sd_out
        else:
            sd_in = self._sd(shadows.count_in, shadows.squares_in, own)
            evidence = _log_density(phi, mean_in, sd_in) - _log_density(phi, mean_out, sd_out)
        scores: NDArray[np.float64] = evidence.mean(axis=-1)
        return scores

    def _sd(self, count: NDArray[np.int64], squares: Floats, own: NDArray[np.bool_]) -> Floats:
        """Returns the sd (examples, queries) or, pooled, (1, queries)."""
        freedom = np.maximum(count - 1, 0)
        pooled = squares.sum(axis=0, keepdims=True) / max(int(freedom.sum()), 1)
        if self.variance == "pooled":
            variance = pooled
        else:
            weight = np.where(own & (self.variance == "per-example"), 0.0, self.prior_shadows)
            variance = (weight * pooled + squares) / (weight + freedom)
        sd: Floats = np.maximum(np.sqrt(variance), self.min_std)
        return sd


def _log_density(x: Floats, mean: Floats, sd: Floats) -> Floats:
    """Returns log N(x; mean, sd^2) without the constant."""
    return -0.5 * ((x - mean) / sd) ** 2 - np.log(sd)
