"""The label-only attack: it uses the predicted class of several queries, no confidence."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.adversary_view import AdversaryView
from mgaudit.attacks.attack import Attack


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

    @property
    def uses_all_classes(self) -> bool:
        """Yes: the predicted class is that of the largest logit."""
        return True

    def score(self, view: AdversaryView) -> NDArray[np.float64]:
        """Returns the share of an example's queries that are classified correctly (examples,)."""
        logits = view.target_logits
        is_largest = logits == logits.max(axis=-1, keepdims=True)
        label_is_largest = is_largest[np.arange(len(logits)), :, view.labels]
        shares = (label_is_largest / is_largest.sum(axis=-1)).mean(axis=-1)
        return np.asarray(shares, dtype=np.float64)
