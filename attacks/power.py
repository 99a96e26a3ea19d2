"""Scores of an attack with fewer shadow models, which show whether more shadows would help."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.attack import Attack, score_view
from mgaudit.attacks.observations import Observations


def numbers_of_shadows(attack: Attack, models: int) -> list[int]:
    """Returns the numbers of shadows to try: powers of two below models - 1, which is all shadows.

    The powers begin at `fewest_shadows`, but not below 2. For an attack that uses no shadows, the
    list is empty.
    """
    if "shadows" not in attack.needs:
        return []
    powers = (2**power for power in range(1, models.bit_length()))
    return [shadows for shadows in powers if attack.fewest_shadows <= shadows < models - 1]


def score_with_fewer(
    attack: Attack,
    observations: Observations,
    shadows: int,
    orders: Mapping[int, NDArray[np.int64]],
) -> NDArray[np.float64]:
    """Returns the scores (targets, examples) of an attack with only some of the shadows.

    Args:
        attack: The attack.
        observations: The outputs of all models.
        shadows: The number of shadows, at least 1.
        orders: By target, the indices of the other models (models - 1,) in some order. The first
            `shadows` of them are used, so that a smaller set of shadows is part of a larger.
    """
    scores = []
    for target, order in orders.items():
        models = [target, *order[:shadows].tolist()]
        view = observations.of_models(models).view(0)
        scores.append(score_view(attack, view, len(observations.labels)))
    return np.stack(scores)
