"""How many models to train as one: measured, for it depends on the network, the batch and the machine."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from mgaudit.targets.datasets import Dataset
from mgaudit.targets.fitting.recipe import Recipe, train

STEPS, ROUNDS = 6, 3
WORTH_IT = 1.2  # a stack rounds differently: it must be clearly faster
LONG_STEP = 0.0015  # seconds; a step of one model that keeps a core busy for longer has little overhead to share
MEMORY_SHARE = 0.7


def candidates(models: int, device: str) -> list[int]:
    """Returns the sizes to try for an ensemble of that many models; on a CPU at least two workers want a stack each."""
    sizes = (1, 8, 32, 128) if device == "cuda" else (1, 4, 8)
    most = models if device == "cuda" else models // 2
    return [size for size in sizes if size == 1 or size <= most]


def fastest_stack(
    recipe: Recipe, dataset: Dataset, membership: NDArray[np.bool_], device: str, sizes: Sequence[int]
) -> int:
    """Returns the stack size, among `sizes`, that takes the least time for a step of one model.

    A few steps of the first models are timed, a round of all sizes after the other, and medians compared. On a GPU
    only sizes that fit into its free memory are tried.
    """
    alone = min(_seconds_per_step(recipe, dataset, membership, device, 1) for _ in range(2))  # the first warms up
    if device == "cuda":
        most = MEMORY_SHARE * torch.cuda.mem_get_info()[0] / _memory_of_one(recipe, dataset, membership, device)
        sizes = [size for size in sizes if size == 1 or size <= most]
    elif alone > LONG_STEP:
        return 1
    times: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(ROUNDS):
        for size in sizes:
            times[size].append(_seconds_per_step(recipe, dataset, membership, device, size))
    medians = {size: statistics.median(measured) for size, measured in times.items()}
    fastest = min(medians, key=medians.__getitem__)
    return fastest if medians[1] > WORTH_IT * medians[fastest] else 1


def _seconds_per_step(recipe: Recipe, dataset: Dataset, membership: NDArray[np.bool_], device: str, size: int) -> float:
    """Returns the seconds that one step of one model takes in a stack of that size."""
    wanted = STEPS * recipe.training.batch_size
    few = np.stack([row & (np.cumsum(row) <= wanted) for row in membership[:size]])
    short = replace(
        recipe,
        training=replace(recipe.training, epochs=1, stop_epoch=None),
        members=float(few.sum(axis=1).mean()),
        stack=size,
    )
    started = time.perf_counter()
    train(short, dataset, few, range(size), device)
    return (time.perf_counter() - started) / size / short.training.steps_per_epoch(short.members)


def _memory_of_one(recipe: Recipe, dataset: Dataset, membership: NDArray[np.bool_], device: str) -> int:
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    _seconds_per_step(recipe, dataset, membership, device, 1)
    return max(torch.cuda.max_memory_allocated() - before, 1)
