"""Membership: which model trains on which example, drawn at random."""

import numpy as np
from numpy.typing import NDArray

from mgaudit.targets.seeds import numpy_generator


def fair_coins(models: int, examples: int, seed: int) -> NDArray[np.bool_]:
    """Returns membership (models, examples), bool: True where the model trains on the example.

    Every entry is an independent fair coin. If exactly half of the models trained on each example,
    the membership of the other models (the shadows) would reveal the membership of the attacked
    model, and an attack could exceed an AUC of one half without any leakage.

    Row m depends only on `seed`, m and the number of examples. So the rows of a larger ensemble
    begin with those of a smaller one.
    """
    rows = []
    for m in range(models):
        generator = numpy_generator(seed, "membership", m)
        rows.append(generator.random(examples) < 0.5)
    return np.stack(rows)


def shared_coins(membership: NDArray[np.bool_], first: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Returns membership (models, examples) in which all examples of a group share one coin.

    `first` (examples,) is the index of the first example of each example's group, whose coin is
    that of the group.

    >>> shared_coins(np.array([[True, False, False]]), np.array([0, 1, 0])).tolist()
    [[True, False, True]]
    """
    return membership[:, first]


def canary_coins(
    models: int, examples: int, canaries: NDArray[np.int64], seed: int
) -> NDArray[np.bool_]:
    """Returns membership (models, examples), bool: random only for canaries.

    `canaries` (canaries,) are the indices of examples whose entries are those of `fair_coins`.
    Every model trains on all other examples, so their entries are True.
    """
    membership = np.ones((models, examples), dtype=np.bool_)
    coins = fair_coins(models, examples, seed)
    membership[:, canaries] = coins[:, canaries]
    return membership
