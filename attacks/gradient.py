"""The gradient norm attack."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.adversary_view import AdversaryView
from mgaudit.attacks.attack import Attack


@dataclass(frozen=True)
class GradientNorm(Attack):
    """Predicts membership from a small norm of the loss gradient (Nasr et al. 2019).

    The score is -||d loss / d weights||. This attack is white-box: the norms are those of the
    target itself, `extras["gradient_norm"]` (models, examples).
    """

    needs: ClassVar[frozenset[str]] = frozenset({"gradient_norm"})
    cost: ClassVar[str] = "one backward pass of the target for each example"
    source: ClassVar[str] = "Nasr et al. 2019, arXiv 1812.00910"

    @property
    def planted_auc(self) -> float:
        """The AUC of the loss, because the attack does not know an example's difficulty."""
        return 0.625

    def score(self, view: AdversaryView) -> NDArray[np.float64]:
        """Returns the negative norm of the loss gradient (examples,), at most 0."""
        return -view.target_extra("gradient_norm").astype(np.float64)
