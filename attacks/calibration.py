"""The attack by difficulty calibration: the target's loss relative to that of shadow models."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.adversary_view import AdversaryView
from mgaudit.attacks.attack import Attack
from mgaudit.attacks.ensemble import Floats
from mgaudit.attacks.signals import loss


@dataclass(frozen=True)
class Calibration(Attack):
    """Compares the target's loss with the mean loss of shadows that did not train on the example.

    The score is the mean loss of these shadows minus the target's loss, averaged over queries
    (Watson et al. 2022). For an example on which all shadows trained, the missing mean is estimated
    (`ShadowMoments.filled_means`).
    """

    needs: ClassVar[frozenset[str]] = frozenset({"shadows"})
    cost: ClassVar[str] = "shadow models"
    source: ClassVar[str] = "Watson et al. 2022, arXiv 2111.08440"

    @property
    def planted_auc(self) -> float:
        """A high AUC, because the shadows' mean loss estimates an example's difficulty."""
        return 0.8

    @property
    def uses_references_in(self) -> bool:
        """No: an example is compared with the shadows without it."""
        return False

    def score(self, view: AdversaryView) -> NDArray[np.float64]:
        """Returns the shadows' mean loss minus the target's loss (examples,) in nats."""
        _, mean_out = view.shadow_moments(loss).filled_means()
        differences = mean_out - view.target_signal(loss)
        scores: Floats = differences.mean(axis=-1)
        return scores
