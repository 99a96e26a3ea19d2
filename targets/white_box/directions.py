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

    Number i of `values` (numbers,) belongs to vector `rows[i]` of `count`, at place `places[i]` of
    the weight tensor of `shape`, which is counted in the order of contiguous memory.
    """

    count: int
    rows: Tensor
    places: Tensor
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
        total.view(-1).index_add_(0, self.places, factors[self.rows] * self.values)
        return (total.permute(0, 2, 3, 1) if total.ndim == 4 else total).flatten()

    def add_to(self, vector: Tensor, factor: float) -> None:
        """Adds `factor` times the vectors' sum to `vector`, of the weight's shape, in place."""
        values = self.values.to(vector.dtype)
        if vector.is_contiguous():
            vector.view(-1).index_add_(0, self.places, values, alpha=factor)
        else:
            total = vector.new_zeros(vector.numel())
            vector += total.index_add_(0, self.places, values, alpha=factor).view(vector.shape)


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
        device, dtype = weights[0].device, weights[0].dtype
        sizes = [weight.numel() for weight in weights]
        drawn = [_support(size, number, generator) for size in sizes]
        signs = [generator.choice([-1.0, 1.0], len(own)) for _, own in drawn]
        self._shapes = [weight.shape for weight in weights]
        self._lengths = [len(own) for _, own in drawn]
        owners = np.concatenate([owner for owner, _ in drawn])
        values = np.concatenate(signs) / np.sqrt(np.bincount(owners, minlength=number)[owners])
        self._owners = torch.from_numpy(owners).to(device)
        self._values = torch.from_numpy(values).to(device, dtype)
        # The place of each number within its tensor, that tensor's size, and the place in all.
        self._within = torch.from_numpy(np.concatenate([own for _, own in drawn])).to(device)
        self._sizes = torch.from_numpy(np.repeat(sizes, self._lengths)).to(device)
        starts = np.repeat(np.cumsum([0, *sizes[:-1]]), self._lengths)
        self._places = self._within + torch.from_numpy(starts).to(device)

    def rows(self, amounts: Tensor) -> list[SparseRows]:
        """Returns the directions times `amounts` (number,), for each weight tensor."""
        values = amounts.to(self._values.dtype)[self._owners] * self._values
        split = (
            torch.split(numbers, self._lengths) for numbers in (self._owners, self._within, values)
        )
        return [
            SparseRows(self.number, rows, places, own, shape)
            for rows, places, own, shape in zip(*split, self._shapes, strict=True)
        ]

    def write(self, chosen: Tensor, length: float, rows: Sequence[Tensor]) -> None:
        """Writes the directions that are `chosen` (number,), bool, as vectors of this length.

        `rows` are (chosen, *weight.shape) for each weight tensor, contiguous, and are overwritten.
        """
        if len(rows[0]) == 0:
            return
        row_of = (torch.cumsum(chosen, dim=0) - 1).clamp(min=0)  # of any other direction: adds 0
        places = row_of[self._owners] * self._sizes + self._within
        values = (chosen * length).to(self._values.dtype)[self._owners] * self._values
        split = (torch.split(numbers, self._lengths) for numbers in (places, values))
        for vectors, places_of_part, values_of_part in zip(rows, *split, strict=True):
            vectors.zero_()
            vectors.view(-1).index_add_(0, places_of_part, values_of_part.to(vectors.dtype))

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
