"""The reference attack."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, logsumexp

from mgaudit.attacks.attack import Attack
from mgaudit.attacks.observations import AdversaryView
from mgaudit.attacks.signals import logit_confidence


@dataclass(frozen=True)
class Reference(Attack):
    """Ranks the target's loss among the losses of the shadows that lack the example (Attack-R, Ye et al. 2022).

    A share of a few shadows ties heavily, so each shadow's phi (the loss falls as phi rises) is smoothed by a normal
    kernel of sd `bandwidth` times the pooled sd of phi within examples. The score is -log of the smoothed share of
    shadows whose loss is lower still, averaged over queries: 0 where all are, and growing where none is near. An
    example that all shadows trained on is compared with the mean that the average gap of the others gives it.
    """

    bandwidth: float = 0.5
    min_std: float = 1e-6

    needs: ClassVar[frozenset[str]] = frozenset({"shadows"})
    fewest_shadows: ClassVar[int] = 2  # the spread within an example takes two
    cost: ClassVar[str] = "shadow models"
    source: ClassVar[str] = "Ye et al. 2022, arXiv 2111.09679"

    @property
    def planted_auc(self) -> float:
        """It compares with the shadows that lack the example alone."""
        return 0.8832

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
        freedom = max(int(np.maximum(moments.count_out - 1, 0).sum()), 1)
        width = self.bandwidth * np.maximum(np.sqrt(moments.squares_out.sum(axis=0) / freedom), self.min_std)
        outside = ~view.shadow_membership[:, :, np.newaxis]
        beaten = log_ndtr((view.shadow_signal(logit_confidence) - phi) / width)
        counted = np.where(moments.count_out > 0, outside, True)  # where none is, all are, and not used
        share = logsumexp(beaten, axis=0, b=counted) - np.log(np.maximum(moments.count_out, 1))
        share = np.where(moments.count_out > 0, share, log_ndtr((mean_out - phi) / width))
        return np.asarray(-share.mean(axis=-1), dtype=np.float64)
