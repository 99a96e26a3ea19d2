"""What an attack is."""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from attacks.observations import AdversaryView, Observations


class Attack(ABC):
    """A membership inference attack: a frozen dataclass whose fields are its public settings.

    `needs` names what it reads beside the target's logits ("shadows", "population"); `source` is the paper behind it.
    """

    needs: ClassVar[frozenset[str]] = frozenset()
    source: ClassVar[str]

    @abstractmethod
    def score(self, view: AdversaryView) -> NDArray[np.float64]:
        """Returns a finite score for every example (examples,); higher always means member."""


def score_every_target(attack: Attack, observations: Observations) -> NDArray[np.float64]:
    """Returns scores (models, examples): every model is the target in turn, the others are its shadows.

    Raises ValueError, naming what to add, where the observations lack what the attack needs.
    """
    if "population" in attack.needs and observations.population_logits is None:
        raise ValueError(f"{type(attack).__name__} needs a population: give population_logits and population_labels")
    return np.stack([attack.score(observations.view(target)) for target in range(observations.models)])
