"""Batches: the examples of each training step."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

FAR = 4  # standard deviations of a model's number of examples
COINS_AT_ONCE = 2**18


@dataclass(frozen=True)
class Order:
    """The batches of one or more epochs for a stack, that is, for models trained together.

    `orders[m]` (seen,) are the indices of model m's own examples, int64, each once an epoch, in the
    order in which the model sees them: the first `sizes[0][m]` of them at step 0, the next
    `sizes[1][m]` at step 1, and so on. `length` is the common length to which the batches of
    several models are padded.
    """

    orders: tuple[Tensor, ...]
    sizes: list[list[int]]
    length: int

    def of_model(self, model: int) -> tuple[Tensor, ...]:
        """Returns the batches of model number `model`, one tensor of indices for each step."""
        return torch.split(self.orders[model], [sizes[model] for sizes in self.sizes])


def shuffled_order(
    examples: Sequence[int],
    members: float,
    steps: int,
    generators: Sequence[Generator],
    epochs: int = 1,
) -> Order:
    """Returns the batches of epochs of `steps` steps, in each of which an example occurs once.

    The sizes of a model's batches differ by at most 1, and are 0 for some if there are fewer
    examples than steps. The common length is computed from `members`, so that it does not depend on
    the other models of the stack, unless one has far more examples than the average.

    Args:
        examples: The number of examples of each model.
        members: The average of these numbers over the ensemble.
        steps: The number of steps of an epoch.
        generators: The generator of each model, which draws its order.
        epochs: The number of epochs.
    """
    orders = []
    for count, generator in zip(examples, generators, strict=True):
        drawn = [torch.randperm(count, generator=generator) for _ in range(epochs)]
        orders.append(drawn[0] if epochs == 1 else torch.cat(drawn))
    sizes = [
        [count // steps + (step < count % steps) for count in examples] for step in range(steps)
    ]
    length = max(sizes[0])
    if len(examples) > 1:
        most_members = members + FAR * math.sqrt(members / 2)
        length = max(length, math.ceil(most_members / steps))
    return Order(tuple(orders), sizes * epochs, length)


def poisson_batches(
    examples: int, sample_rate: float, steps: int, generator: Generator
) -> Iterator[Tensor]:
    """Yields `steps` batches of indices that contain each example with probability `sample_rate`.

    A batch (batch,) may be empty. Its indices are int64 in 0..examples - 1, in ascending order. The
    coins of several steps are drawn at once, in the order of the steps.
    """
    at_once = min(max(COINS_AT_ONCE // max(examples, 1), 1), steps)
    for first in range(0, steps, at_once):
        drawn = min(at_once, steps - first)
        sampled = torch.rand(drawn, examples, generator=generator) < sample_rate
        indices = sampled.nonzero()[:, 1]
        yield from torch.split(indices, sampled.sum(dim=1).tolist())


def parts_of_rows(rows: int, at_once: int, views: int) -> Iterator[slice]:
    """Yields slices of `rows` rows, of at most `at_once` rows but at least the views of one."""
    length = max(at_once // views, 1) * views
    for start in range(0, rows, length):
        yield slice(start, start + length)
