"""Membership: the random design of which model trains on which example."""

import numpy as np
from numpy.typing import NDArray

from mgaudit.targets.seeds import numpy_generator


def fair_coins(models: int, examples: int, seed: int) -> NDArray[np.bool_]:
    """Returns membership (models, examples), bool: True where the model trains on the example.

    Every entry is an independent fair coin. With exactly half of the models or exactly half of the
    examples, the shadows' membership of an example would reveal the target's, and an attack could
    exceed an AUC of one half without any leakage.

    Row m depends only on `seed` and m, so a larger ensemble extends a smaller one.
    """
    rows = []
    for m in range(models):
        generator = numpy_generator(seed, "membership", m)
        rows.append(generator.random(examples) < 0.5)
    return np.stack(rows)


def canary_coins(
    models: int, examples: int, canaries: NDArray[np.int64], seed: int
) -> NDArray[np.bool_]:
    """Returns membership (models, examples): fair coins for `canaries` (canaries,), else True."""
    membership = np.ones((models, examples), dtype=np.bool_)
    coins = fair_coins(models, examples, seed)
    membership[:, canaries] = coins[:, canaries]
    return membership
