"""Attacks that threshold one signal of the target."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from attacks.attack import Attack
from attacks.observations import AdversaryView
from attacks.signals import loss


@dataclass(frozen=True)
class LossThreshold(Attack):
    """A member has the lower loss: score = -loss, averaged over queries (Yeom et al. 2018)."""

    source: ClassVar[str] = "Yeom et al. 2018, arXiv 1709.01604"

    def score(self, view: AdversaryView) -> NDArray[np.float64]:
        """Returns -loss (examples,) in nats."""
        scores: NDArray[np.float64] = -view.target_signal(loss).mean(axis=-1)
        return scores
