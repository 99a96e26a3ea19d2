"""Rows of a tensor at an address that a tensor of its own would have.

Libraries choose the order of sums by the alignment of the memory, too: Intel MKL, on AMD's
processors, rounds a product otherwise if its rows begin elsewhere.
"""

from torch import Tensor

ALIGNMENT = 64  # bytes, that of the tensors that torch allocates on a CPU


def aligned(rows: Tensor) -> Tensor:
    """Returns the rows at an address that is a multiple of `ALIGNMENT`, copied if need be.

    A copy has the same order in memory.

    >>> import torch
    >>> x = torch.zeros(4, 3)
    >>> aligned(x[1:]).data_ptr() % ALIGNMENT, aligned(x).data_ptr() == x.data_ptr()
    (0, True)
    """
    return rows.clone() if rows.data_ptr() % ALIGNMENT else rows
