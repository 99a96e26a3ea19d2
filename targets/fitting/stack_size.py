"""The fastest stack size: how many models to train together by vectorised operations.

It is measured, because it depends on the network, the batch and the machine.
"""

import statistics
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from mgaudit.targets.datasets import Dataset
from mgaudit.targets.fitting.recipe import Recipe, train

STEPS, ROUNDS = 6, 3  # steps of a measurement, and measurements of each size
LEAST_SPEEDUP = 1.2  # a stack rounds differently, so it must be clearly faster
# Seconds; a longer step of one model has little overhead that a stack could share.
LONG_STEP = 0.0015
MEMORY_SHARE = 0.7  # of the free memory of a GPU that a stack may use


def candidates(models: int, device: str) -> list[int]:
    """Returns the stack sizes to try for an ensemble of `models` models on "cpu" or "cuda".

    The first size is always 1. On a CPU, a size is at most half of the models, so that at least two
    workers have a stack each.
    """
    sizes = (1, 8, 32, 128) if device == "cuda" else (1, 4, 8)
    most = models if device == "cuda" else models // 2
    return [size for size in sizes if size == 1 or size <= most]


def fastest_stack(
    recipe: Recipe,
    dataset: Dataset,
    membership: NDArray[np.bool_],
    device: str,
    sizes: Sequence[int],
) -> int:
    """Returns the stack size among `sizes` with the least time per step of one model.

    A few steps of the first models are timed in several rounds over all sizes, and the medians are
    compared. The result is 1 unless another size is clearly faster, or if a step of one model takes
    so long on a CPU that a stack cannot help. On a GPU only sizes that fit into its free memory are
    tried. `dataset` is standardised, `membership` is (models, examples), and `sizes` must contain
    1.
    """
    # The first measurement includes the cost of starting libraries, so the faster of two is used.
    alone = min(_seconds_per_step(recipe, dataset, membership, device, 1) for _ in range(2))
    if device == "cuda":
        free_memory, _ = torch.cuda.mem_get_info()
        memory_of_model = _memory_of_model(recipe, dataset, membership, device)
        most = MEMORY_SHARE * free_memory / memory_of_model
        sizes = [size for size in sizes if size == 1 or size <= most]
    elif alone > LONG_STEP:
        return 1
    times: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(ROUNDS):
        for size in sizes:
            seconds = _seconds_per_step(recipe, dataset, membership, device, size)
            times[size].append(seconds)
    medians = {size: statistics.median(measured) for size, measured in times.items()}
    fastest = min(medians, key=medians.__getitem__)
    worthwhile = medians[1] > LEAST_SPEEDUP * medians[fastest]
    return fastest if worthwhile else 1


def _seconds_per_step(
    recipe: Recipe, dataset: Dataset, membership: NDArray[np.bool_], device: str, size: int
) -> float:
    """Returns the seconds per step of one model in a stack of `size` models.

    Each model is trained for one epoch on its first examples, as many as STEPS batches need.
    """
    most_members = STEPS * recipe.training.batch_size
    few = np.stack([row & (np.cumsum(row) <= most_members) for row in membership[:size]])
    short = replace(
        recipe,
        training=replace(recipe.training, epochs=1, stop_epoch=None),
        members=float(few.sum(axis=1).mean()),
        stack=size,
    )
    started = time.perf_counter()
    train(short, dataset, few, range(size), device)
    seconds = time.perf_counter() - started
    return seconds / size / short.training.steps_per_epoch(short.members)


def _memory_of_model(
    recipe: Recipe, dataset: Dataset, membership: NDArray[np.bool_], device: str
) -> int:
    """Returns the peak GPU memory of training one model, in bytes, at least 1."""
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    _seconds_per_step(recipe, dataset, membership, device, 1)
    used = torch.cuda.max_memory_allocated() - before
    return max(used, 1)
