"""Estimate the memory and the disk space of a run, and compare them with what is free.

The estimates count arrays whose sizes are known before training, and are lower bounds: a run that
is refused would certainly have failed. All sizes are in bytes. An arm is one noise scheme of a
study, and a stack is a group of models that are trained as one.
"""

import math
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mgaudit.errors import UsageError
from mgaudit.study.design import Design
from mgaudit.study.plan import Arm
from mgaudit.study.train import ensemble_folder, model_layout
from mgaudit.targets.cache import cache_folder
from mgaudit.targets.free_memory import free_memory, size_text

PROCESS_BYTES = 2e8  # of a worker with its libraries
WEIGHT_COPIES = 3  # while a model is trained: its weights, their gradients, and the optimizer's
OUTPUT_COPIES = 3  # while an arm is attacked: its logits, those of the plain arm, and a copy
SCORE_BYTES = 28  # of a model and example in arrays.npz: three scores and a rank

# What a study trains and attacks: its data, and its arms.
Study = tuple[Design, Sequence[Arm]]


@dataclass(frozen=True)
class Needs:
    """The bytes that a run needs: of memory by what needs them, in the cache, and in the results.

    Data and either training or attacking are in memory at once.
    """

    data: float
    training: float
    outputs: float
    cache: float
    results: float

    @property
    def memory(self) -> float:
        """The bytes of memory that are needed at once."""
        return self.data + max(self.training, self.outputs)


def needs_of(studies: Sequence[Study], jobs: int) -> Needs:
    """Returns what studies need that are run one after the other with `jobs` processes."""
    designs = {id(design): design for design, _ in studies}.values()
    data = sum(_size_of_data(design) for design in designs)
    training = outputs = cache = results = 0.0
    for design, arms in studies:
        size = _size_of_model(arms[0], design)
        for arm in arms:
            logits = _size_of_logits(arm, design)
            missing = _missing_models(arm, design)
            training = max(training, _training(arm, design, size, missing, jobs))
            outputs = max(outputs, OUTPUT_COPIES * logits)
            cache += missing * size + (logits if missing else 0.0)
            results += SCORE_BYTES * arm.settings.models * len(design.dataset.labels)
    return Needs(data, training, outputs, cache, results)


def check_needs(studies: Sequence[Study], jobs: int, out: Path | None) -> None:
    """Raises UsageError where a run would exceed the free memory or the space on a disk.

    The message names the setting to reduce.

    Args:
        studies: The data and the arms of each study.
        jobs: The number of processes.
        out: The directory of run directories; None for a run that writes no results.
    """
    needs = needs_of(studies, jobs)
    _check_memory(needs)
    _check_disks(needs, out)


def _check_memory(needs: Needs) -> None:
    free = free_memory()
    if needs.memory <= free:
        return
    parts = {"data": needs.data, "training": needs.training, "outputs of models": needs.outputs}
    largest = max(parts, key=parts.__getitem__)
    key, way_out = {
        "data": ("examples", "audit fewer --examples, or smaller ones"),
        "training": ("jobs", "use fewer --jobs, --stack 1, or a smaller --target"),
        "outputs of models": ("models", "use fewer --models, --examples or --queries"),
    }[largest]
    rule = f"must be so few that the run fits into the free memory of {size_text(free)}"
    value = f"a need of at least {size_text(needs.memory)}, of which {largest} need "
    raise UsageError(key, rule, value + size_text(parts[largest]), way_out)


def _check_disks(needs: Needs, out: Path | None) -> None:
    """Raises UsageError where the disk of the cache or of the results has too little space."""
    cache = _existing(cache_folder())
    of_results = None if out is None else _existing(out)
    same = of_results is not None and os.stat(cache).st_dev == os.stat(of_results).st_dev
    needed = needs.cache + (needs.results if same else 0.0)
    way_out = "use fewer --models, or a smaller --target, or set MGAUDIT_CACHE to another disk"
    _check_disk("the cache", cache, needed, way_out)
    if of_results is not None:
        _check_disk("--out", of_results, needs.results, "use another --out, or fewer --models")


def _check_disk(key: str, folder: Path, needed: float, way_out: str) -> None:
    try:
        free = shutil.disk_usage(folder).free
    except OSError:  # a file system that does not say it
        return
    if needed > free:
        rule = f"must have {size_text(needed)} of free disk space or more"
        raise UsageError(f"{key} in {folder}", rule, size_text(free), way_out)


def _existing(folder: Path) -> Path:
    """Returns the folder, or the nearest of its parents that exists."""
    folders: Iterable[Path] = (folder.absolute(), *folder.absolute().parents)
    return next((path for path in folders if path.exists()), Path("/"))


def _size_of_data(design: Design) -> float:
    data = design.dataset
    arrays = [data.inputs, data.test_inputs, design.membership, design.example_resamples]
    arrays += [design.test_resamples]
    pictures = 0 if design.pictures is None else design.pictures.nbytes
    return float(sum(array.nbytes for array in arrays) + pictures)


def _size_of_model(arm: Arm, design: Design) -> float:
    """Returns the size of the weights and buffers of a model."""
    layout = model_layout(arm, design).values()
    return float(sum(np.dtype(dtype).itemsize * math.prod(shape) for dtype, shape in layout))


def _size_of_logits(arm: Arm, design: Design) -> float:
    """Returns the size of the logits of all models of an arm, for plain and for other queries."""
    data = design.dataset
    queries = arm.queries.number + (2 if arm.through is not None else 0)
    answers = arm.settings.models * (len(data.labels) + len(data.test_labels)) * queries
    return 4.0 * answers * len(data.classes)


def _missing_models(arm: Arm, design: Design) -> int:
    """Returns how many models of an arm have no file in the cache."""
    folder = ensemble_folder(arm, design)
    try:
        names = set(os.listdir(folder.path))
    except OSError:  # there is no such folder yet
        return arm.settings.models
    return sum(folder.model_path(index).name not in names for index in range(arm.settings.models))


def _training(arm: Arm, design: Design, size: float, missing: int, jobs: int) -> float:
    """Returns the memory of all processes that train the missing models at once."""
    workers = min(jobs, math.ceil(missing / arm.recipe.stack))
    if workers == 0 or design.device != "cpu":
        return 0.0
    processes = PROCESS_BYTES * workers if workers > 1 else 0.0
    copies = design.dataset.inputs.nbytes if workers > 1 else 0.0  # one in shared memory
    return WEIGHT_COPIES * size * arm.recipe.stack * workers + processes + copies
