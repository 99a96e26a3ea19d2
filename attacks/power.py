"""How strong an attack is with fewer shadows."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.attack import Attack
from mgaudit.attacks.observations import Observations


def numbers_of_shadows(attack: Attack, models: int) -> list[int]:
    """Returns the numbers of shadows to try, powers of two, below the models - 1 that there are; none for an attack
    that uses no shadows.
    """
    if "shadows" not in attack.needs:
        return []
    powers = (2**power for power in range(1, models.bit_length()))
    return [shadows for shadows in powers if attack.fewest_shadows <= shadows < models - 1]


def score_with_fewer(
    attack: Attack, observations: Observations, shadows: int, orders: Sequence[NDArray[np.int64]]
) -> NDArray[np.float64]:
    """Returns scores (models, examples) with the first `shadows` of each target's other models for shadows.

    `orders` holds for each target an order of its other models, so fewer shadows are part of more.
    """
    return np.stack(
        [
            attack.score(observations.of_models([target, *order[:shadows].tolist()]).view(0))
            for target, order in enumerate(orders)
        ]
    )
