"""The likelihood ratio attack (LiRA), on phi, the logit of the label's probability."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.adversary_view import AdversaryView
from mgaudit.attacks.attack import Attack
from mgaudit.attacks.drift_corrected import DriftCorrected
from mgaudit.attacks.ensemble import Floats
from mgaudit.attacks.signals import logit_confidence

ENOUGH_FOR_OWN_VARIANCE = 32  # shadows with the example, and as many without it


@dataclass(frozen=True)
class LiRA(DriftCorrected):
    """Likelihood ratio of the target's phi under shadows with and without the example.

    Online, the score is log N(phi; mean_in, sd_in) - log N(phi; mean_out, sd_out), where "in" are
    the shadows that trained on the example and "out" the others. Offline, from the shadows without
    the example only, the score is (phi - mean_out) / sd_out, which is one-sided because training on
    an example raises its phi. Both are averaged over queries (Carlini et al. 2022).

    `variance` selects how the two sds are estimated:
    - "pooled": within examples, one sd for all examples. Best with few shadows.
    - "shrunk": s_i^2 = (w s^2 + SS_i) / (w + n_i - 1), an example's own variance shrunk towards the
      pooled s^2 with the weight of w = `prior_shadows` further shadows.
    - "per-example": an example's own variance if at least 32 shadows trained on it and 32 did not,
      shrunk otherwise.

    For an example on which no shadow trained (or on which all did), the missing mean is estimated
    from the average gap mean_in - mean_out of the other examples. `min_std` is the least value of
    every sd, for models with constant outputs.
    """

    online: bool = True
    variance: Literal["pooled", "shrunk", "per-example"] = "pooled"
    prior_shadows: float = 16.0
    min_std: float = 1e-6

    needs: ClassVar[frozenset[str]] = frozenset({"shadows"})
    fewest_shadows: ClassVar[int] = 2  # to estimate the spread within an example
    cost: ClassVar[str] = "shadow models"
    source: ClassVar[str] = "Carlini et al. 2022, arXiv 2112.03570"

    @classmethod
    def examples(cls) -> tuple[Attack, ...]:
        """Returns the attack online and offline, with each variance."""
        return cls(), cls(online=False), cls(variance="shrunk"), cls(variance="per-example")

    @property
    def planted_auc(self) -> float:
        """Nearly the largest possible AUC on the planted data."""
        return 0.9032

    @property
    def uses_references_in(self) -> bool:
        """Only online; offline, an example is compared with the shadows without it."""
        return self.online

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.variance not in ("pooled", "shrunk", "per-example"):
            raise ValueError(
                f"variance must be 'pooled', 'shrunk' or 'per-example', got {self.variance!r}"
            )
        for name in ("prior_shadows", "min_std"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be a finite number > 0, got {value}")

    def score(self, view: AdversaryView) -> NDArray[np.float64]:
        """Returns the log likelihood ratio (examples,) in nats, or offline the z-score."""
        phi = view.target_signal(logit_confidence, self.drift)
        shadows = view.shadow_moments(logit_confidence, self.drift)
        mean_in, mean_out = shadows.filled_means()
        enough_in = shadows.count_in >= ENOUGH_FOR_OWN_VARIANCE
        enough_out = shadows.count_out >= ENOUGH_FOR_OWN_VARIANCE
        own = enough_in & enough_out
        sd_out = self._sd(shadows.count_out, shadows.squares_out, own)
        if not self.online:
            evidence = (phi - mean_out) / sd_out
        else:
            sd_in = self._sd(shadows.count_in, shadows.squares_in, own)
            evidence = log_normal(phi, mean_in, sd_in) - log_normal(phi, mean_out, sd_out)
        scores: Floats = evidence.mean(axis=-1)
        return scores

    def _sd(self, count: NDArray[np.int64], squares: Floats, own: NDArray[np.bool_]) -> Floats:
        """Returns the sd of phi within examples, (examples, queries) or, pooled, (1, queries).

        `count` (examples, 1) is the number of shadows on one side (in or out), and `squares`
        (examples, queries) the sum of squared deviations of their phi from its mean. `own`
        (examples, 1) marks examples with enough shadows for a variance of their own.
        """
        freedom = np.maximum(count - 1, 0)
        total_freedom = max(int(freedom.sum()), 1)
        pooled = squares.sum(axis=0, keepdims=True) / total_freedom
        if self.variance == "pooled":
            variance = pooled
        else:
            unshrunk = own & (self.variance == "per-example")
            weight = np.where(unshrunk, 0.0, self.prior_shadows)
            variance = (weight * pooled + squares) / (weight + freedom)
        sd: Floats = np.maximum(np.sqrt(variance), self.min_std)
        return sd


def log_normal(phi: Floats, mean: Floats, sd: Floats) -> Floats:
    """Returns log N(phi; mean, sd^2) in nats without the constant, (examples, queries)."""
    return -0.5 * ((phi - mean) / sd) ** 2 - np.log(sd)
