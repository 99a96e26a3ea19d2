"""Validation of the closed forms' arguments, with errors that state the broken rule.

In all functions, `name` is the name of the argument in the message of the ValueError.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def reals(**arguments: ArrayLike) -> tuple[Floats, ...]:
    """Returns the arguments as float64 arrays, in their order, all broadcast to one shape.

    Broadcast arrays are read-only. Raises ValueError for an argument with an entry that is not
    finite, and for shapes that do not broadcast. The keywords are the names in the messages.
    """
    arrays = [finite(name, value) for name, value in arguments.items()]
    try:
        return tuple(np.broadcast_arrays(*arrays))
    except ValueError as error:
        shapes = " and ".join(str(array.shape) for array in arrays)
        raise ValueError(
            f"{', '.join(arguments)} must broadcast to one shape, got {shapes}"
        ) from error


def finite(name: str, value: ArrayLike) -> Floats:
    """Returns `value` as a float64 array of any shape, also an empty one.

    Raises ValueError unless all entries are finite.
    """
    array = np.asarray(value, dtype=np.float64)
    require(name, "be finite", array, np.isfinite(array))
    return array


def at_least(name: str, value: ArrayLike, low: float, is_open: bool = False) -> Floats:
    """Returns `value` as a float64 array of any shape.

    Raises ValueError unless all entries are finite and >= `low`, or > `low` if the bound `is_open`.
    The message names the argument, the rule and the first value that breaks it.

    >>> float(at_least("sigma", 2, 0))
    2.0
    """
    array = np.asarray(value, dtype=np.float64)
    if is_open:
        sign, above = ">", array > low
    else:
        sign, above = ">=", array >= low
    require(name, f"be {sign} {low:g} and finite", array, np.isfinite(array) & above)
    return array


def positive(name: str, value: ArrayLike) -> Floats:
    """Returns `value` as a float64 array of any shape.

    Raises ValueError unless all entries are finite and > 0.
    """
    return at_least(name, value, 0, is_open=True)


def std_of(name: str, value: float) -> float:
    """Returns a standard deviation `value` as a float.

    Raises ValueError unless it is finite and >= 0.
    """
    if not 0 <= value < math.inf:
        raise ValueError(f"{name} must be >= 0 and finite, got {value}")
    return float(value)


def whole(name: str, value: int, low: int) -> int:
    """Returns `value` as an int. Raises ValueError unless it is a whole number >= `low`.

    A float without a fraction, such as 2.0, is accepted; True and False are not.
    """
    is_whole = not isinstance(value, bool) and int(value) == value
    if not is_whole or value < low:
        raise ValueError(f"{name} must be a whole number >= {low}, got {value}")
    return int(value)


def matrix(
    name: str, value: ArrayLike, rows: int | None = None, columns: int | None = None
) -> Floats:
    """Returns `value` as a float64 matrix (rows, columns).

    Raises:
        ValueError: unless it is finite, not empty and of the required shape; None allows any size.
    """
    array = np.asarray(value, dtype=np.float64)
    if array.ndim != 2 or not array.size or not _fits(array.shape, rows, columns):
        rule = f"must be a matrix of shape {_shape(rows, columns)} with entries"
        raise ValueError(f"{name} {rule}, got shape {array.shape}")
    return finite(name, array)


def vector(name: str, value: ArrayLike, length: int | None = None) -> Floats:
    """Returns `value` as a float64 vector (length,).

    Raises:
        ValueError: unless it is finite, not empty and of the required length; None allows any.
    """
    array = np.asarray(value, dtype=np.float64)
    if array.ndim != 1 or not array.size or not _fits(array.shape, length):
        rule = f"must be a vector of shape {_shape(length)} with entries"
        raise ValueError(f"{name} {rule}, got shape {array.shape}")
    return finite(name, array)


def _fits(shape: tuple[int, ...], *required: int | None) -> bool:
    """Returns whether each size of the shape is the required one; None allows any size."""
    pairs = zip(shape, required, strict=True)
    return all(expected in (None, size) for size, expected in pairs)


def _shape(*required: int | None) -> str:
    """Returns a required shape as text for errors, with "any" for None."""
    sizes = ["any" if size is None else str(size) for size in required]
    return f"({', '.join(sizes)})"


def require(name: str, rule: str, array: Floats, holds: NDArray[np.bool_]) -> None:
    """Raises ValueError with the first value of `array` for which `holds` is False.

    `holds` has the shape of `array`, and `rule` continues the message "<name> must ...". Nothing is
    raised for an empty array.
    """
    if not np.all(holds):
        broken = array[~holds].flat[0]
        raise ValueError(f"{name} must {rule}, got {float(broken)}")
