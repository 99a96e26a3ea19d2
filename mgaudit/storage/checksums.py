"""The SHA-256 of arrays, such as data, stored models and their outputs."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def arrays_sha256(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Returns the SHA-256 of the names, dtypes, shapes and bytes of arrays, sorted by name.

    >>> zeros, ones = np.zeros(2), np.ones(2)
    >>> arrays_sha256({"a": zeros, "b": ones}) == arrays_sha256({"b": ones, "a": zeros})
    True
    >>> arrays_sha256({"a": zeros, "b": ones}) == arrays_sha256({"a": ones, "b": zeros})
    False
    """
    sha = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        # The line determines the number of bytes that follow, so different arrays never give the
        # same input.
        line = json.dumps([name, array.dtype.str, array.shape])
        sha.update(line.encode() + b"\n")
        sha.update(np.ascontiguousarray(array).data)
    return sha.hexdigest()
