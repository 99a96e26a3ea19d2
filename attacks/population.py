"""The population attack: the target's loss relative to its losses on data of no model."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.adversary_view import AdversaryView
from mgaudit.attacks.attack import Attack
from mgaudit.attacks.ranks import share_below
from mgaudit.attacks.signals import loss


@dataclass(frozen=True)
class Population(Attack):
    """Ranks the target's loss among its losses on data that it never trained on (Attack-P).

    The score is -F(loss), where F is the distribution function of the target's loss on the
    population, with ties counted half; losses are averaged over queries first (Ye et al. 2022).
    Except for ties, the attack orders examples as the loss does. The advantage over the loss is
    that -score is the false positive rate at which the example would be classified as a member.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"population"})
    cost: ClassVar[str] = "one query of the target on the population"
    source: ClassVar[str] = "Ye et al. 2022, arXiv 2111.09679"

    @property
    def planted_auc(self) -> float:
        """The AUC of the loss, because the attack does not know an example's difficulty."""
        return 0.625

    def score(self, view: AdversaryView) -> NDArray[np.float64]:
        """Returns minus the share of the population with a lower loss (examples,), in -1..0."""
        losses = view.target_signal(loss).mean(axis=-1)
        population_losses = view.population_signal(loss).mean(axis=-1)
        return -share_below(losses, population_losses)
