"""Comparison of the contents of examples."""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray


def contents(inputs: NDArray[Any], dtype: np.dtype[Any] | None = None) -> list[bytes]:
    """Returns a hash of the values of each example (examples, ...); equal values have equal hashes.

    0.0 and -0.0 are equal. `dtype` is the type in which arrays of several types are compared, by
    default that of `inputs`.

    >>> first, second = contents(np.array([[0.0, 1.0], [-0.0, 1.0]]))
    >>> first == second
    True
    """
    dtype = inputs.dtype if dtype is None else dtype
    hashes = []
    for values in inputs:
        numbers = np.asarray(values, dtype)
        if dtype.kind == "f":
            numbers = numbers + dtype.type(0)  # -0.0 + 0.0 is 0.0
        hashes.append(hashlib.blake2b(numbers.tobytes(), digest_size=16).digest())
    return hashes
