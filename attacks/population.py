"""The population attack."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.attack import Attack
from mgaudit.attacks.observations import AdversaryView
from mgaudit.attacks.ranks import share_below
from mgaudit.attacks.signals import loss


@dataclass(frozen=True)
class Population(Attack):
    """Ranks the loss among the target's losses on data it never trained on: -F(loss) (Attack-P, Ye et al. 2022).

    F is the distribution of the loss on the population, ties counted half; losses are averaged over queries first. It
    orders examples as the loss does, but for ties, and -score is the false positive rate at which the example would be
    called a member: that is what it is for.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"population"})
    cost: ClassVar[str] = "one query of the target on the population"
    source: ClassVar[str] = "Ye et al. 2022, arXiv 2111.09679"

    @property
    def planted_auc(self) -> float:
        """It does not know the difficulty, and loses nothing else."""
        return 0.625

    def score(self, view: AdversaryView) -> NDArray[np.float64]:
        """Returns minus the share of the population with a lower loss (examples,), in -1..0."""
        losses = view.target_signal(loss).mean(axis=-1)
        return -share_below(losses, view.population_signal(loss).mean(axis=-1))
