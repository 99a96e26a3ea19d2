"""The reference attack: the target's loss among the losses of shadow models as references."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, logsumexp

from mgaudit.attacks.adversary_view import AdversaryView
from mgaudit.attacks.attack import Attack
from mgaudit.attacks.signals import logit_confidence


@dataclass(frozen=True)
class Reference(Attack):
    """Ranks the target's loss among the losses of shadows without the example (Attack-R).

    The score is -log of the share of these shadows whose loss is lower than the target's, averaged
    over queries. It is 0 where all of them have a lower loss, and large where the target's loss is
    far below theirs (Ye et al. 2022).

    The share is smoothed, because the rank among few shadows has many ties. Losses are compared by
    phi (`signals.logit_confidence`), which decreases with the loss. The phi of each shadow is
    smoothed by a normal kernel whose sd is `bandwidth` times the pooled sd of phi within examples,
    and that sd is at least `min_std`. An example on which all shadows trained is compared with the
    estimated mean of `ShadowMoments.filled_means`.
    """

    bandwidth: float = 1.0
    min_std: float = 1e-6

    needs: ClassVar[frozenset[str]] = frozenset({"shadows"})
    fewest_shadows: ClassVar[int] = 2  # to estimate the spread within an example
    cost: ClassVar[str] = "shadow models"
    source: ClassVar[str] = "Ye et al. 2022, arXiv 2111.09679"

    @property
    def planted_auc(self) -> float:
        """A high AUC, but not the highest: only shadows without the example are compared."""
        return 0.8832

    @property
    def uses_references_in(self) -> bool:
        """No: an example is compared with the shadows without it."""
        return False

    def __post_init__(self) -> None:
        for name in ("bandwidth", "min_std"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be a finite number > 0, got {value}")

    def score(self, view: AdversaryView) -> NDArray[np.float64]:
        """Returns -log of the smoothed share (examples,) in nats, >= 0."""
        phi = view.target_signal(logit_confidence)
        moments = view.shadow_moments(logit_confidence)
        _, mean_out = moments.filled_means()
        has_out = moments.count_out > 0
        freedom = max(int(np.maximum(moments.count_out - 1, 0).sum()), 1)
        pooled_variance = moments.squares_out.sum(axis=0) / freedom
        pooled_sd = np.maximum(np.sqrt(pooled_variance), self.min_std)
        width = self.bandwidth * pooled_sd
        outside = view.references_out[:, :, np.newaxis]
        log_beaten = log_ndtr((view.shadow_signal(logit_confidence) - phi) / width)
        # If all shadows trained on an example, all are counted; the result is replaced below.
        counted = np.where(has_out, outside, True)
        log_total = logsumexp(log_beaten, axis=0, b=counted)
        log_share = log_total - np.log(np.maximum(moments.count_out, 1))
        log_share_by_mean = log_ndtr((mean_out - phi) / width)
        log_share = np.where(has_out, log_share, log_share_by_mean)
        return np.asarray(-log_share.mean(axis=-1), dtype=np.float64)
