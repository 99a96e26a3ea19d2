"""The number of models in a stack: set by the user, or measured once on this machine and kept.

A stack is a group of models that are trained as one, because this is faster than one by one.
"""

import hashlib
import json
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from mgaudit.settings.choices import Choice, own_code
from mgaudit.settings.study_settings import DPAuditSettings, StudySettings
from mgaudit.storage.atomic import set_aside, sweep_partial, write_atomically
from mgaudit.storage.checksums import stack_size_sha256
from mgaudit.study.design import Design
from mgaudit.study.network_check import check_batches, checked_network
from mgaudit.targets.cache import cache_folder
from mgaudit.targets.device import device_name
from mgaudit.targets.fitting.recipe import Recipe
from mgaudit.targets.fitting.stack_size import candidates, fastest_stack
from mgaudit.targets.schemes import Scheme
from mgaudit.targets.training import Training

# Two processes may measure at once, and neither takes that long to write its file.
ABANDONED_SECONDS = 3600.0

Settings = TypeVar("Settings", StudySettings, DPAuditSettings)


def with_stack(settings: Settings, design: Design) -> Settings:
    """Returns the settings with a number as the stack size; for "auto", it is the fastest size.

    The measured size is kept, because it affects how weights are rounded, and the same settings
    must reproduce the same result.
    """
    if settings.stack != "auto":
        return settings
    if settings.training.clients > 1:  # the clients are trained as one stack already
        return settings.model_copy(update={"stack": 1})
    size = _fastest(settings.target, settings.training, design)
    return settings.model_copy(update={"stack": size})


def _fastest(target: Choice, training: Training, design: Design) -> int:
    """Returns the fastest stack size, measured now or before; 1 for a network without stacks."""
    sizes = candidates(len(design.membership), design.device)
    traits, reason_for_one = checked_network(target, design)
    if reason_for_one:
        return 1
    check_batches(target, training, design)
    path = _path(target, training, design, sizes)
    kept = _kept_size(path)
    if kept is not None:
        return kept
    timed_training = replace(training, augment="none")
    members = design.expected_members
    timed = Recipe(target.built, Scheme(), timed_training, None, 0, members, traits=traits)
    size = fastest_stack(timed, design.dataset, design.membership, design.device, sizes)
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep_partial(path.parent, older_than_seconds=ABANDONED_SECONDS)
    content = {"stack": size, "tried": sizes, "sha256": stack_size_sha256(path.name, size)}
    write_atomically(path, json.dumps(content).encode())
    return size


def _kept_size(path: Path) -> int | None:
    """Returns the size that was measured before, or None. A damaged file is renamed."""
    if not path.exists():
        return None
    try:
        if not path.is_file():  # a pipe would wait for a writer
            raise ValueError("it is not a file")
        content = json.loads(path.read_bytes())
        size = content["stack"]
        sha256 = stack_size_sha256(path.name, size)
        if type(size) is int and size >= 1 and content["sha256"] == sha256:
            return size
    except (ValueError, KeyError, TypeError, RecursionError, IsADirectoryError):
        pass
    set_aside(path)
    return None


def _path(target: Choice, training: Training, design: Design, sizes: list[int]) -> Path:
    """Returns the file of the measured size; its name is the SHA-256 of what affects the size."""
    causes = (
        target.text,
        own_code([target]),
        design.dataset.input_shape,
        len(design.dataset.classes),
        training.batch_size,
        training.optimizer,
        training.precision,
        device_name(design.device),
        version("torch"),
        sizes,
    )
    digest = hashlib.sha256(repr(causes).encode()).hexdigest()
    return cache_folder() / "stacks" / f"{digest[:32]}.json"
