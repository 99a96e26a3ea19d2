"""The SHA-256 of arrays: of data, of kept models and of what they answered."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def arrays_sha256(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Returns the SHA-256 over names, dtypes, shapes and bytes of the arrays, in the order of their names.

    >>> zeros, ones = np.zeros(2), np.ones(2)
    >>> arrays_sha256({"a": zeros, "b": ones}) == arrays_sha256({"b": ones, "a": zeros})
    True
    >>> arrays_sha256({"a": zeros, "b": ones}) == arrays_sha256({"a": ones, "b": zeros})
    False
    """
    sha = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        # The line says how many bytes follow, so that no two sets of arrays give the same input.
        sha.update(json.dumps([name, array.dtype.str, array.shape]).encode() + b"\n")
        sha.update(np.ascontiguousarray(array).data)
    return sha.hexdigest()
