"""Orthonormal directions in the space of a network's weights."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

OF_A_TENSOR = 8  # weights of each tensor in the support of a direction, where there are so many


@dataclass(frozen=True)
class SparseRows:
    """The parts of some vectors for one weight tensor, most of whose numbers are 0.

    Number i of `values` (numbers,) belongs to vector `rows[i]` of `count`, at the place that the
    i-th indices give: one int64 tensor (numbers,) for each axis of the weight tensor of `shape`.
    """

    count: int
    rows: Tensor
    indices: tuple[Tensor, ...]
    values: Tensor
    shape: torch.Size

    def squared_norms(self) -> Tensor:
        """Returns the squared norm of each vector's part (count,)."""
        return self.values.new_zeros(self.count).index_add_(0, self.rows, self.values.square())

    def weighted_sum(self, factors: Tensor) -> Tensor:
        """Returns the sum of `factors` (count,) times the vectors, flat.

        A tensor of four axes, a convolution's, is in channels-last order.
        """
        total = self.values.new_zeros(self.shape)
        total.index_put_(self.indices, factors[self.rows] * self.values, accumulate=True)
        return (total.permute(0, 2, 3, 1) if total.ndim == 4 else total).flatten()


class Directions:
    """Orthonormal directions with disjoint supports that span the weight tensors.

    The support of a direction has up to eight weights of each tensor, drawn without replacement,
    with random signs. A tensor with fewer weights than there are directions belongs to the supports
    of some of them, with one weight each. As the directions are sparse, the time of a step hardly
    depends on their number.
    """

    def __init__(
        self, weights: Sequence[Tensor], number: int, generator: np.random.Generator
    ) -> None:
        """Draws the directions.

        Args:
            weights: The weight tensors.
            number: Number of directions, at least 1 and at most the size of the largest tensor.
            generator: The source of randomness.

        Raises:
            ValueError: For a number outside this range.
        """
        most = max(weight.numel() for weight in weights)
        if not 1 <= number <= most:
            raise ValueError(
                f"number must be between 1 and {most}, the size of the largest weight tensor, "
                f"got {number}"
            )
        self.number = number
        drawn = [_support(weight.numel(), number, generator) for weight in weights]
        sizes = np.bincount(np.concatenate([owner for owner, _ in drawn]), minlength=number)
        self._parts: list[SparseRows] = []
        places, start = [], 0
        for weight, (owner, own) in zip(weights, drawn, strict=True):
            device = weight.device
            values = generator.choice([-1.0, 1.0], len(own)) / np.sqrt(sizes[owner])
            indices = np.unravel_index(own, weight.shape)
            self._parts.append(
                SparseRows(
                    count=number,
                    rows=torch.from_numpy(owner).to(device),
                    indices=tuple(torch.from_numpy(index).to(device) for index in indices),
                    values=torch.from_numpy(values).to(device, weight.dtype),
                    shape=weight.shape,
                )
            )
            places.append(torch.from_numpy(start + own).to(device))
            start += weight.numel()
        self._places = torch.cat(places)
        self._owners = torch.cat([part.rows for part in self._parts])
        self._values = torch.cat([part.values for part in self._parts])

    def rows(self, amounts: Tensor) -> list[SparseRows]:
        """Returns the directions times `amounts` (number,), for each weight tensor."""
        return [
            SparseRows(
                self.number,
                part.rows,
                part.indices,
                part.values * amounts[part.rows].to(part.values.dtype),
                part.shape,
            )
            for part in self._parts
        ]

    def write(self, chosen: Tensor, length: float, rows: Sequence[Tensor]) -> None:
        """Writes the directions that are `chosen` (number,), bool, as vectors of this length.

        `rows` are (chosen, *weight.shape) for each weight tensor, and are overwritten.
        """
        place = torch.cumsum(chosen, dim=0) - 1
        for vectors, part in zip(rows, self._parts, strict=True):
            own = chosen[part.rows]
            indices = tuple(index[own] for index in part.indices)
            vectors.zero_()
            vectors[(place[part.rows[own]], *indices)] = (length * part.values[own]).to(
                vectors.dtype
            )

    def add(self, vectors: Sequence[Tensor], amounts: Tensor) -> None:
        """Adds the directions times `amounts` (number,) to `vectors`, in place."""
        for vector, part in zip(vectors, self._parts, strict=True):
            added = part.values * amounts[part.rows].to(part.values.dtype)
            vector.index_put_(part.indices, added, accumulate=True)

    def take_out(self, vectors: Tensor, amounts: Tensor) -> Tensor:
        """Subtracts the directions times `amounts` from `vectors`, in place.

        `vectors` are (vectors, weights), the weights of all tensors one after the other, and
        `amounts` (vectors, number). Returns the inner products with the directions before that,
        (vectors, number), float64.
        """
        own = vectors[:, self._places]
        products = torch.zeros(
            len(vectors), self.number, dtype=torch.float64, device=vectors.device
        )
        products.index_add_(1, self._owners, own.double() * self._values.double())
        taken = amounts[:, self._owners].to(own.dtype) * self._values
        vectors[:, self._places] = own - taken
        return products


def _support(
    size: int, number: int, generator: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns directions and flat places of the weights of a tensor that are in their supports."""
    each = min(OF_A_TENSOR, size // number)
    if each == 0:
        return generator.permutation(number)[:size], np.arange(size)
    return np.tile(np.arange(number), each), generator.permutation(size)[: each * number]
