"""Exact copies among examples of any type that training functions take."""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgaudit.functions.rows import as_array, is_frame, is_sparse
from mgaudit.targets.datasets.contents import contents
from mgaudit.targets.datasets.duplicates import CopyGroups, groups_of


def copies_in(x: Any, labels: NDArray[np.int64]) -> CopyGroups | None:
    """Returns the groups of examples with equal values and equal labels.

    Returns None for examples that cannot be compared, such as objects without a hash.

    Args:
        x: Examples: an array, DataFrame, list, sparse matrix or tensor with a row for each.
        labels: Class numbers (examples,), int64.
    """
    try:
        return groups_of(_contents(x, labels))
    except (TypeError, ValueError):
        return None


def _contents(x: Any, labels: NDArray[np.int64]) -> Sequence[Hashable]:
    """Returns for each example a value that is equal for equal examples.

    Raises TypeError or ValueError for examples that cannot be compared.
    """
    if is_sparse(x):
        return _of_sparse(x, labels)
    if is_frame(x):
        from pandas.util import hash_pandas_object  # a DataFrame has imported pandas

        return list(zip(hash_pandas_object(x, index=False).tolist(), labels.tolist(), strict=True))
    array = as_array(x)
    if array.dtype.kind == "O":
        rows = (tuple(row) if isinstance(row, list | np.ndarray) else row for row in x)
        return list(zip(rows, labels.tolist(), strict=True))
    return list(zip(contents(array), labels.tolist(), strict=True))


def _of_sparse(x: Any, labels: NDArray[np.int64]) -> Sequence[Hashable]:
    """Returns the contents of the rows of a sparse matrix."""
    rows = x.tocsr(copy=True)
    rows.sum_duplicates()
    rows.eliminate_zeros()
    contents = []
    for number, label in enumerate(labels.tolist()):
        columns = slice(rows.indptr[number], rows.indptr[number + 1])
        contents.append((rows.indices[columns].tobytes(), rows.data[columns].tobytes(), label))
    return contents
