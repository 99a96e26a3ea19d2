"""The label-only attack."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.attack import Attack
from mgaudit.attacks.observations import AdversaryView


@dataclass(frozen=True)
class LabelOnly(Attack):
    """A member's predicted label holds out against noise: the share of the queries whose label is the right one.

    It reads no confidence, just which class comes first (Choquette-Choo et al. 2021). Where t classes tie for first,
    each counts as 1/t of a label.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"queries"})
    cost: ClassVar[str] = "several queries of the target, labels only"
    source: ClassVar[str] = "Choquette-Choo et al. 2021, arXiv 2007.14321"

    def score(self, view: AdversaryView) -> NDArray[np.float64]:
        """Returns the share of right labels (examples,), in 0..1."""
        logits = view.target_logits
        first = logits == logits.max(axis=-1, keepdims=True)
        right = first[np.arange(len(logits)), :, view.labels]
        return np.asarray((right / first.sum(axis=-1)).mean(axis=-1), dtype=np.float64)
