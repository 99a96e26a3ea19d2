"""Batches: the examples of each training step."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Generator, Tensor

FAR = 4  # standard deviations of a model's number of examples


def shuffled_batches(examples: int, steps: int, generator: Generator) -> tuple[Tensor, ...]:
    """Returns the batches of an epoch, `steps` tensors of indices in 0..examples - 1.

    Together the batches are a random permutation, so each example occurs once. The sizes of the
    batches differ by at most 1, and are 0 for some if there are fewer examples than steps.
    """
    order = torch.randperm(examples, generator=generator)
    return torch.tensor_split(order, steps)


def stacked_batches(
    sizes: Sequence[int], members: float, steps: int, generators: Sequence[Generator]
) -> tuple[Tensor, Tensor]:
    """Returns the batches of an epoch for a stack, that is, for models trained together.

    `sizes` are the numbers of examples of the models, and `members` is their average over the
    ensemble. The common length of the batches is computed from `members`, so that it does not
    depend on the other models of the stack, unless one has far more examples than the average.

    Returns:
        Indices into each model's own examples, int64, and weights, both (steps, models, batch). The
        weight is 1 for an example. Shorter batches are padded with index 0 and weight 0.
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
    """Yields `steps` batches of indices that contain each example with probability `sample_rate`.

    A batch (batch,) may be empty. Its indices are int64 in 0..examples - 1, in ascending order.
    """
    for _ in range(steps):
        sampled = torch.rand(examples, generator=generator) < sample_rate
        yield torch.nonzero(sampled).flatten()


def parts_of_rows(rows: int, at_once: int, views: int) -> Iterator[slice]:
    """Yields slices of `rows` rows, of at most `at_once` rows but at least the views of one."""
    length = max(at_once // views, 1) * views
    for start in range(0, rows, length):
        yield slice(start, start + length)
