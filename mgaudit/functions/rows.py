"""Rows of the data that users give: counted, selected and read in the type that they have."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError
from mgaudit.targets.arrays.array_like import library_array

TYPES = "a NumPy array, DataFrame, list, sparse matrix or torch tensor"

# Formats of scipy that select rows; others are converted to rows first.
INDEXED_FORMATS = ("csr", "csc", "lil")


def is_tensor(values: object) -> bool:
    """Returns whether the values are a tensor of torch, which is not imported for the question."""
    return any(
        base.__module__.partition(".")[0] == "torch" and base.__name__ == "Tensor"
        for base in type(values).__mro__
    )


def is_sparse(values: object) -> bool:
    """Returns whether the values are a sparse matrix or array of scipy."""
    return hasattr(values, "tocsr") and hasattr(values, "nnz")


def is_frame(values: object) -> bool:
    """Returns whether the values are a DataFrame or a Series of pandas."""
    return hasattr(values, "iloc")


def count_rows(key: str, values: Any) -> int:
    """Returns the number of rows. Raises UsageError, with this key, for what has no rows."""
    if isinstance(values, np.ma.MaskedArray):
        raise UsageError(key, "must have no masked values", "a masked array", "fill or drop them")
    if is_tensor(values) and str(values.layout) != "torch.strided":
        raise UsageError(key, "must be a dense tensor", f"{values.layout}", "use x.to_dense()")
    if isinstance(values, np.ndarray) or is_tensor(values) or is_sparse(values):
        if not values.shape:
            raise UsageError(key, "must have one row for each example", "a single number")
        return int(values.shape[0])
    if isinstance(values, list | tuple) or is_frame(values):
        return len(values)
    raise UsageError(key, f"must be {TYPES}", type(values).__name__)


def take(values: Any, indices: NDArray[np.int64]) -> Any:
    """Returns copies of some rows in the type of `values`.

    Items of a list or tuple are not copied.
    """
    if is_frame(values):
        return values.iloc[indices].copy()
    if is_sparse(values):
        rows = values if values.format in INDEXED_FORMATS else values.tocsr()
        return rows[indices]
    if isinstance(values, list | tuple):
        return type(values)([values[index] for index in indices.tolist()])
    if is_tensor(values):
        return values.detach()[indices.tolist()]
    return np.asarray(values)[indices]


def as_array(values: Any) -> NDArray[Any]:
    """Returns values as a NumPy array, whose dtype may be object.

    Tensors may be on any device and require gradients; bfloat16 becomes float32. Raises ValueError
    for lists whose rows differ in length.
    """
    if is_tensor(values) or is_sparse(values):
        return library_array("values", values)
    if isinstance(values, list | tuple) and any(is_tensor(row) for row in values):
        return np.stack([as_array(row) for row in values])
    if is_frame(values):
        return np.asarray(values.to_numpy())
    return np.asarray(values)


def as_inputs(values: Any) -> NDArray[np.floating] | None:
    """Returns the examples as finite numbers (examples, ...), floating.

    Returns None for examples that are sparse, not numbers, or not finite.
    """
    if is_sparse(values):
        return None
    try:
        array = as_array(values)
    except (TypeError, ValueError):
        return None
    if array.dtype.kind in "bui":
        return array.astype(np.float32 if array.dtype.itemsize <= 2 else np.float64)
    if array.dtype.kind != "f" or not np.isfinite(array).all():
        return None
    return array.astype(np.float32) if array.dtype.itemsize < 4 else array
