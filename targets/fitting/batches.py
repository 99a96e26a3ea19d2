"""Batches: the examples of each training step."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Generator, Tensor

FAR = 4  # standard deviations of a model's number of examples


def shuffled_batches(examples: int, steps: int, generator: Generator) -> tuple[Tensor, ...]:
    """Returns the index batches of an epoch: a new permutation in `steps` parts.

    The sizes of the batches differ by at most 1.
    """
    order = torch.randperm(examples, generator=generator)
    return torch.tensor_split(order, steps)


def stacked_batches(
    sizes: Sequence[int], members: float, steps: int, generators: Sequence[Generator]
) -> tuple[Tensor, Tensor]:
    """Returns an epoch of a stack: indices, int64, and weights, both (steps, models, batch).

    `sizes` are the numbers of examples of the models, and `members` is their average over the
    ensemble. Shorter batches are padded with index 0 and weight 0. The common length follows from
    `members`, so that it does not depend on the other models of the stack, unless one has far more
    examples than the average.
    """
    epochs = [
        shuffled_batches(size, steps, generator)
        for size, generator in zip(sizes, generators, strict=True)
    ]
    length = max(len(batches[0]) for batches in epochs)
    if len(sizes) > 1:
        most_members = members + FAR * math.sqrt(members / 2)
        length = max(length, math.ceil(most_members / steps))
    indices = torch.zeros(steps, len(sizes), length, dtype=torch.int64)
    weights = torch.zeros(steps, len(sizes), length)
    for model, batches in enumerate(epochs):
        for step, batch in enumerate(batches):
            indices[step, model, : len(batch)] = batch
            weights[step, model, : len(batch)] = 1.0
    return indices, weights


def poisson_batches(
    examples: int, sample_rate: float, steps: int, generator: Generator
) -> Iterator[Tensor]:
    """Yields index batches that contain each example with probability `sample_rate`."""
    for _ in range(steps):
        sampled = torch.rand(examples, generator=generator) < sample_rate
        yield torch.nonzero(sampled).flatten()
