"""The gradient norm attack."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.attack import Attack
from mgaudit.attacks.observations import AdversaryView


@dataclass(frozen=True)
class GradientNorm(Attack):
    """Training has brought a member's gradient down: score = -||d loss / d weights|| (Nasr et al. 2019).

    White box: the norms are those of the target itself, `extras["gradient_norm"]` (models, examples).
    """

    needs: ClassVar[frozenset[str]] = frozenset({"gradient_norm"})
    cost: ClassVar[str] = "one backward pass of the target for each example"
    source: ClassVar[str] = "Nasr et al. 2019, arXiv 1812.00910"

    @property
    def planted_auc(self) -> float:
        """It does not know the difficulty, and loses nothing else."""
        return 0.625

    def score(self, view: AdversaryView) -> NDArray[np.float64]:
        """Returns minus the norm (examples,)."""
        return -view.target_extra("gradient_norm").astype(np.float64)
