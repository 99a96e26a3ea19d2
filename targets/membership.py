"""Who trained on what: the design that every audit rests on."""

import numpy as np
from numpy.typing import NDArray

from mgaudit.targets.seeds import numpy_generator


def fair_coins(models: int, examples: int, seed: int) -> NDArray[np.bool_]:
    """Returns `membership` (models, examples): True where that model trains on that example.

    Every entry is an independent fair coin. Never "exactly half of the models" or "exactly half of the
    examples": with such a design the shadows' membership of an example gives the target's own away, and an
    attack that has learnt nothing scores above one half.

    Row m depends on `seed` and m only, so a larger ensemble extends a smaller one.
    """
    rows = [numpy_generator(seed, "membership", m).random(examples) < 0.5 for m in range(models)]
    return np.stack(rows)


def canary_coins(models: int, examples: int, canaries: NDArray[np.int64], seed: int) -> NDArray[np.bool_]:
    """Returns `membership` (models, examples): a fair coin for each of the `canaries`, True for all others."""
    membership = np.ones((models, examples), dtype=np.bool_)
    membership[:, canaries] = fair_coins(models, examples, seed)[:, canaries]
    return membership
