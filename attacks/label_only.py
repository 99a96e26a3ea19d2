"""The label-only attack."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.attack import Attack
from mgaudit.attacks.observations import AdversaryView


@dataclass(frozen=True)
class LabelOnly(Attack):
    """Predicts membership from the share of queries that are classified correctly.

    A member's predicted label is more robust to perturbations. The attack uses only the predicted
    class, no confidence (Choquette-Choo et al. 2021). Where t classes have the same largest logit,
    each counts as 1/t.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"queries"})
    cost: ClassVar[str] = "several queries of the target, labels only"
    source: ClassVar[str] = "Choquette-Choo et al. 2021, arXiv 2007.14321"

    def score(self, view: AdversaryView) -> NDArray[np.float64]:
        """Returns the share of correct labels (examples,), in 0..1."""
        logits = view.target_logits
        first = logits == logits.max(axis=-1, keepdims=True)
        right = first[np.arange(len(logits)), :, view.labels]
        shares = (right / first.sum(axis=-1)).mean(axis=-1)
        return np.asarray(shares, dtype=np.float64)
