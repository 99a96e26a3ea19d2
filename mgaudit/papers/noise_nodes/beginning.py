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
    """Returns weights w1, w_ni and w2 (runs, width) of random directions and set lengths.

    w1 has length 1 and is orthogonal to w_ni and w2. The node's weights w_ni have the length
    `node`, and w2 has the length `second`. `cosine`, in [-1, 1], is the cosine of the angle between
    w_ni and w2. For independent directions its size would be about 1 / sqrt(width); here it is the
    same in all runs, which puts all of them in the same phase of training.

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
