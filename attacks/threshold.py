"""Attacks that threshold one signal of the target."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.attack import Attack
from mgaudit.attacks.observations import AdversaryView
from mgaudit.attacks.signals import entropy, logit_confidence, loss, modified_entropy


@dataclass(frozen=True)
class LossThreshold(Attack):
    """A member has the lower loss: score = -loss, averaged over queries (Yeom et al. 2018)."""

    cost: ClassVar[str] = "one query of the target"
    source: ClassVar[str] = "Yeom et al. 2018, arXiv 1709.01604"

    @property
    def planted_auc(self) -> float:
        """It does not know the difficulty, and loses nothing else."""
        return 0.625

    def score(self, view: AdversaryView) -> NDArray[np.float64]:
        """Returns -loss (examples,) in nats."""
        scores: NDArray[np.float64] = -view.target_signal(loss).mean(axis=-1)
        return scores


@dataclass(frozen=True)
class ConfidenceThreshold(Attack):
    """A member's label has the higher probability: score = its logit, averaged over queries (Yeom et al. 2018).

    With one query it ranks as the loss does.
    """

    cost: ClassVar[str] = "one query of the target"
    source: ClassVar[str] = "Yeom et al. 2018, arXiv 1709.01604"

    @property
    def planted_auc(self) -> float:
        """It does not know the difficulty, and loses nothing else."""
        return 0.625

    def score(self, view: AdversaryView) -> NDArray[np.float64]:
        """Returns the logit confidence (examples,) in nats."""
        scores: NDArray[np.float64] = view.target_signal(logit_confidence).mean(axis=-1)
        return scores


@dataclass(frozen=True)
class EntropyThreshold(Attack):
    """A member's prediction is the more certain: score = -entropy, averaged over queries (Salem et al. 2019)."""

    cost: ClassVar[str] = "one query of the target"
    source: ClassVar[str] = "Salem et al. 2019, arXiv 1806.01246"

    def score(self, view: AdversaryView) -> NDArray[np.float64]:
        """Returns -entropy (examples,) in nats."""
        scores: NDArray[np.float64] = -view.target_signal(entropy).mean(axis=-1)
        return scores


@dataclass(frozen=True)
class ModifiedEntropyThreshold(Attack):
    """A member is certain and right: score = -modified entropy, averaged over queries (Song and Mittal 2021)."""

    cost: ClassVar[str] = "one query of the target"
    source: ClassVar[str] = "Song and Mittal 2021, arXiv 2003.10595"

    def score(self, view: AdversaryView) -> NDArray[np.float64]:
        """Returns -modified entropy (examples,) in nats."""
        scores: NDArray[np.float64] = -view.target_signal(modified_entropy).mean(axis=-1)
        return scores
