"""Arrays of finite numbers."""

from collections.abc import Iterator, Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError
from mgaudit.targets.arrays.array_like import Array, describe_index, first_index, to_array

NOT_FINITE = "leave out that model or example, or correct the value"
BLOCK = 4_000_000  # values that are checked at once


def as_numbers(key: str, values: object, axes: Sequence[str] = ()) -> NDArray[np.floating]:
    """Returns finite numbers as float32 or float64, in the shape of `values`.

    float16 and bfloat16 become float32. Integers and bool become float64.

    Args:
        key: Name of the argument, for errors.
        values: Numbers, in one of the forms of `to_array`.
        axes: Names of the axes in the singular, such as ("model", "example"), for errors.

    Raises:
        UsageError: For text, complex numbers, masked values and empty arrays, for lists of
            different lengths, and for NaN and infinity.

    >>> as_numbers("scores", [[1, 2], [3, 4]])
    array([[1., 2.],
           [3., 4.]])
    """
    array = real_numbers(key, to_array(key, values, axes), axes)
    refuse_not_finite(key, array, axes)
    return array


def real_numbers(key: str, array: Array, axes: Sequence[str] = ()) -> NDArray[np.floating]:
    """Returns an array of `to_array` as float32 or float64, which may contain NaN or infinity."""
    kind = array.dtype.kind
    if kind in "US":
        first = str(array.ravel()[0])
        where = describe_index((0,) * array.ndim, axes)
        way_out = "turn texts into numbers, for example with numpy.asarray(values, dtype=float)"
        raise UsageError(key, "must be numbers", f"the text {first!r} for {where}", way_out)
    if kind == "c":
        raise UsageError(key, "must be real numbers", f"dtype {array.dtype}", "take the real part")
    is_single = kind == "f" and array.dtype.itemsize <= 4
    return np.asarray(array, dtype=np.float32 if is_single else np.float64)


def refuse_not_finite(
    key: str, array: NDArray[np.floating], axes: Sequence[str] = (), way_out: str = NOT_FINITE
) -> None:
    """Raises UsageError for NaN and infinity, with the index of the first one in words."""
    for start, block in blocks(np.atleast_1d(array)):
        is_wrong = ~np.isfinite(block)
        if is_wrong.any():
            first, *others = first_index(is_wrong)
            index = (start + first, *others)[: array.ndim]
            raise UsageError(
                key, "must be finite", f"{array[index]} for {describe_index(index, axes)}", way_out
            )


def blocks(array: Array) -> Iterator[tuple[int, Array]]:
    """Yields the array in parts along its first axis, each with its start.

    Checks of one part at a time need little memory, also for a file that is larger than it.
    """
    values_of_row = prod(array.shape[1:])
    rows = max(1, BLOCK // max(1, values_of_row))
    for start in range(0, len(array), rows):
        yield start, array[start : start + rows]
