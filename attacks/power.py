"""Scores of an attack with fewer shadow models, which show whether more shadows would help."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.attack import Attack, score_view
from mgaudit.attacks.observations import Observations


def numbers_of_shadows(attack: Attack, models: int) -> list[int]:
    """Returns the numbers of shadows to try: powers of two below models - 1, which is all shadows.

    The powers begin at `fewest_shadows`, but not below 2. Numbers with which the attack would be
    another attack are left out (`Attack.resolved`). Of a slow attack, only the largest is
    tried. For an attack that uses no shadows, the list is empty.
    """
    if "shadows" not in attack.needs:
        return []
    attack = attack.resolved(models - 1)
    powers = (2**power for power in range(1, models.bit_length()))
    numbers = [
        shadows
        for shadows in powers
        if attack.fewest_shadows <= shadows < models - 1 and attack.resolved(shadows) == attack
    ]
    return numbers[-1:] if attack.is_slow else numbers


def scores_by_number(
    attack: Attack,
    observations: Observations,
    numbers: Sequence[int],
    orders: Mapping[int, NDArray[np.int64]],
) -> dict[int, NDArray[np.float64]]:
    """Returns the scores (targets, examples) of an attack for each number of shadows.

    Signals are computed once for all numbers, and moments are updated from one number to the next.
    So the drift of classes, where an attack subtracts it, is estimated from all models also with
    fewer shadows.

    Args:
        attack: The attack, with settings that are resolved for all shadows.
        observations: The outputs of all models.
        numbers: The numbers of shadows, at least 1 each, increasing.
        orders: By target, the indices of the other models (models - 1,) in some order. The first of
            them are used, so that a smaller set of shadows is part of a larger.
    """
    scores: dict[int, list[NDArray[np.float64]]] = {number: [] for number in numbers}
    for target, order in orders.items():
        view = observations.view(target, numbers=order[:0])
        for number in numbers:
            view = view.with_more_shadows(order[view.shadows : number])
            scores[number].append(score_view(attack, view, len(observations.labels)))
    return {number: np.stack(rows) for number, rows in scores.items()}
