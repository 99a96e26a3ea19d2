"""The mean of the normal scores of several attacks."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from mgaudit.attacks.adversary_view import AdversaryView
from mgaudit.attacks.attack import Attack
from mgaudit.attacks.ranks import share_below


@dataclass(frozen=True)
class NormalScores(Attack):
    """Mean over several attacks of the normal scores of their scores.

    The normal score of an example is the standard normal quantile of (rank - 1/2) / examples (Blom
    1958), with ties at their mean rank. So all attacks have the same weight, whatever the units of
    their scores.
    """

    attacks: tuple[Attack, ...]

    needs: ClassVar[frozenset[str]] = frozenset({"shadows"})
    fewest_shadows: ClassVar[int] = 2

    def resolved(self, shadows: int) -> "NormalScores":
        """Returns the attack with each attack as it is resolved for this number of shadows."""
        return NormalScores(tuple(attack.resolved(shadows) for attack in self.attacks))

    def score(self, view: AdversaryView) -> NDArray[np.float64]:
        """Returns the mean normal score (examples,)."""
        normal_scores = []
        for attack in self.attacks:
            scores = attack.score(view)
            normal_scores.append(ndtri(share_below(scores, scores)))
        return np.asarray(np.mean(normal_scores, axis=0), dtype=np.float64)
