"""Difficulty calibration."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.attack import Attack
from mgaudit.attacks.observations import AdversaryView
from mgaudit.attacks.signals import loss


@dataclass(frozen=True)
class Calibration(Attack):
    """A member's loss is low for how hard the example is: mean loss of the shadows without it - loss of the target.

    Averaged over queries (Watson et al. 2022). An example that all shadows trained on gets its missing mean from the
    average gap of the others.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"shadows"})
    cost: ClassVar[str] = "shadow models"
    source: ClassVar[str] = "Watson et al. 2022, arXiv 2111.08440"

    @property
    def planted_auc(self) -> float:
        """It takes the difficulty from the shadows' mean loss."""
        return 0.8

    def score(self, view: AdversaryView) -> NDArray[np.float64]:
        """Returns the difference of losses (examples,) in nats."""
        _, mean_out = view.shadow_moments(loss).filled_means()
        scores: NDArray[np.float64] = (mean_out - view.target_signal(loss)).mean(axis=-1)
        return scores
