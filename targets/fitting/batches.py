"""Which examples a step sees."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Generator, Tensor

FAR = 4  # standard deviations


def shuffled_batches(examples: int, steps: int, generator: Generator) -> tuple[Tensor, ...]:
    """Returns the index batches of one epoch: a fresh permutation, cut into `steps` whose sizes differ by 1 at most."""
    return torch.tensor_split(torch.randperm(examples, generator=generator), steps)


def stacked_batches(
    sizes: Sequence[int], members: float, steps: int, generators: Sequence[Generator]
) -> tuple[Tensor, Tensor]:
    """Returns one epoch of each of a stack's models: indices, int64, and weights, both (steps, models, batch).

    `sizes` says how many examples each model has, and `members` how many it has on average. What fills up a batch that
    is shorter than the others has index 0 and weight 0. The common length follows from `members`, so that it does not
    depend on which models stand together, unless one has far more examples than the average.
    """
    orders = [shuffled_batches(size, steps, generator) for size, generator in zip(sizes, generators, strict=True)]
    length = max(len(order[0]) for order in orders)
    if len(sizes) > 1:
        length = max(length, math.ceil((members + FAR * math.sqrt(members / 2)) / steps))
    indices = torch.zeros(steps, len(sizes), length, dtype=torch.int64)
    weights = torch.zeros(steps, len(sizes), length)
    for model, order in enumerate(orders):
        for step, batch in enumerate(order):
            indices[step, model, : len(batch)] = batch
            weights[step, model, : len(batch)] = 1.0
    return indices, weights


def poisson_batches(examples: int, sample_rate: float, steps: int, generator: Generator) -> Iterator[Tensor]:
    """Yields index batches that hold each example independently with probability `sample_rate`."""
    for _ in range(steps):
        yield torch.nonzero(torch.rand(examples, generator=generator) < sample_rate).flatten()
