"""Ranks of numbers among others."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def share_below(values: Floats, others: Floats) -> Floats:
    """Returns the share of `others` (others,) below each of `values` (values,), ties counted half.

    The shares (values,) are in [0, 1]. `others` must not be empty.

    >>> share_below(np.array([1.0, 2.0, 9.0]), np.array([2.0, 3.0])).tolist()
    [0.0, 0.25, 1.0]
    """
    ordered = np.sort(others)
    below = np.searchsorted(ordered, values, side="left")
    up_to = np.searchsorted(ordered, values, side="right")
    shares = (below + up_to) / (2 * len(ordered))
    return np.asarray(shares, dtype=np.float64)
