"""Attacks whose score is a single signal of the target, such as its loss, without shadow models."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.adversary_view import AdversaryView
from mgaudit.attacks.attack import Attack
from mgaudit.attacks.ensemble import Floats
from mgaudit.attacks.signals import entropy, logit_confidence, loss, modified_entropy


@dataclass(frozen=True)
class LossThreshold(Attack):
    """Predicts membership from a low loss (Yeom et al. 2018).

    The score is -loss, averaged over queries.
    """

    cost: ClassVar[str] = "one query of the target"
    source: ClassVar[str] = "Yeom et al. 2018, arXiv 1709.01604"

    @property
    def planted_auc(self) -> float:
        """The AUC of the loss, because the attack does not know an example's difficulty."""
        return 0.625

    def score(self, view: AdversaryView) -> NDArray[np.float64]:
        """Returns -loss (examples,) in nats."""
        scores: Floats = -view.target_signal(loss).mean(axis=-1)
        return scores


@dataclass(frozen=True)
class ConfidenceThreshold(Attack):
    """Predicts membership from a high probability of the label (Yeom et al. 2018).

    The score is the logit of that probability, averaged over queries. With one query, it ranks
    examples as the loss does.
    """

    cost: ClassVar[str] = "one query of the target"
    source: ClassVar[str] = "Yeom et al. 2018, arXiv 1709.01604"

    @property
    def planted_auc(self) -> float:
        """The AUC of the loss, because the attack does not know an example's difficulty."""
        return 0.625

    def score(self, view: AdversaryView) -> NDArray[np.float64]:
        """Returns the logit confidence (examples,) in nats."""
        scores: Floats = view.target_signal(logit_confidence).mean(axis=-1)
        return scores


@dataclass(frozen=True)
class EntropyThreshold(Attack):
    """Predicts membership from a low entropy of the prediction (Salem et al. 2019).

    The score is -entropy, averaged over queries.
    """

    cost: ClassVar[str] = "one query of the target"
    source: ClassVar[str] = "Salem et al. 2019, arXiv 1806.01246"

    @property
    def uses_all_classes(self) -> bool:
        """Yes: the entropy is that of all probabilities."""
        return True

    def score(self, view: AdversaryView) -> NDArray[np.float64]:
        """Returns -entropy (examples,) in nats."""
        scores: Floats = -view.target_signal(entropy).mean(axis=-1)
        return scores


@dataclass(frozen=True)
class ModifiedEntropyThreshold(Attack):
    """Predicts membership from a confident and correct prediction (Song and Mittal 2021).

    The score is -modified entropy, averaged over queries.
    """

    cost: ClassVar[str] = "one query of the target"
    source: ClassVar[str] = "Song and Mittal 2021, arXiv 2003.10595"

    @property
    def uses_all_classes(self) -> bool:
        """Yes: the modified entropy is that of all probabilities."""
        return True

    def score(self, view: AdversaryView) -> NDArray[np.float64]:
        """Returns -modified entropy (examples,) in nats."""
        scores: Floats = -view.target_signal(modified_entropy).mean(axis=-1)
        return scores
