"""Weights that training of the linear network begins with: their lengths and angles are all that matters to it."""

import numpy as np

from mgaudit.theory.noise_nodes import LinearNet


def beginning(
    runs: int, width: int, cosine: float, generator: np.random.Generator, node: float = 1.0, second: float = 1.0
) -> LinearNet:
    """Returns weights (runs, width) in random directions, w1 at a right angle to the others and of length 1.

    `cosine` is that of w_ni to w2, which have the lengths `node` and `second`. In random directions it would be about
    1 / sqrt(width); set, all runs are in the same phase. Raises ValueError for a width below 3.
    """
    if width < 3:
        raise ValueError(f"width must be >= 3, got {width}")
    axes = np.linalg.qr(generator.standard_normal((runs, width, 3)))[0]
    along, across = axes[..., 1], axes[..., 2]
    tilted = cosine * along + np.sqrt(1 - cosine**2) * across
    return LinearNet(axes[..., 0].copy(), node * tilted, second * along)
