"""Initial weights of the linear network: its training depends on their lengths and angles."""

import numpy as np

from mgaudit.theory.noise_nodes import LinearNet


def beginning(
    runs: int,
    width: int,
    cosine: float,
    generator: np.random.Generator,
    node: float = 1.0,
    second: float = 1.0,
) -> LinearNet:
    """Returns weights (runs, width) in random directions, with |w1| = 1, orthogonal to the rest.

    `cosine`, in [-1, 1], is that of the angle between w_ni and w2, which have the lengths `node`
    and `second`. For independent directions it would be about 1 / sqrt(width); setting it puts all
    runs in the same phase.

    Raises:
        ValueError: for a width below 3.
    """
    if width < 3:
        raise ValueError(f"width must be >= 3, got {width}")
    normals = generator.standard_normal((runs, width, 3))
    axes = np.linalg.qr(normals)[0]
    first, along, across = (axes[..., axis] for axis in range(3))
    sine = np.sqrt(1 - cosine**2)
    tilted = cosine * along + sine * across
    return LinearNet(first.copy(), node * tilted, second * along)
