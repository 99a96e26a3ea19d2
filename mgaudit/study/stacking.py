"""How many models are trained as one: as the settings say, or measured once on this machine and then remembered."""

import hashlib
import json
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from mgaudit.settings.choices import Choice, own_code
from mgaudit.settings.study_settings import DPAuditSettings, StudySettings
from mgaudit.storage.atomic import set_aside, sweep_partial, write_atomically
from mgaudit.study.design import Design
from mgaudit.targets.cache import cache_folder
from mgaudit.targets.contract import check_stack, check_target
from mgaudit.targets.device import device_name
from mgaudit.targets.fitting.recipe import Recipe
from mgaudit.targets.fitting.stack_size import candidates, fastest_stack
from mgaudit.targets.schemes import Scheme
from mgaudit.targets.training import Training

# Two processes may measure at once, and none takes that long to write a line.
ABANDONED_SECONDS = 3600.0

Settings = TypeVar("Settings", StudySettings, DPAuditSettings)


def with_stack(settings: Settings, design: Design) -> Settings:
    """Returns the settings with a stack size in them, for "auto" the fastest one.

    What is measured is kept: the size decides how weights round, and the same settings shall give the same result.
    """
    if settings.stack != "auto":
        return settings
    if settings.training.clients > 1:  # they are a stack already
        return settings.model_copy(update={"stack": 1})
    return settings.model_copy(
        update={"stack": _fastest(settings.target, settings.training, design)}
    )


def _fastest(target: Choice, training: Training, design: Design) -> int:
    sizes = candidates(len(design.membership), design.device)
    build, classes = target.built, len(design.dataset.classes)
    check_target(target.name, build, design.dataset.input_shape, classes)
    try:
        check_stack(target.name, build, design.dataset.input_shape, classes)
    except ValueError:
        return 1
    path = _kept_in(target, training, design, sizes)
    kept = _kept_size(path)
    if kept is not None:
        return kept
    timed = Recipe(
        build, Scheme(), replace(training, augment="none"), None, 0, design.expected_members
    )
    size = fastest_stack(timed, design.dataset, design.membership, design.device, sizes)
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep_partial(path.parent, older_than_seconds=ABANDONED_SECONDS)
    write_atomically(
        path, json.dumps({"stack": size, "tried": sizes, "sha256": _checksum(path, size)}).encode()
    )
    return size


def _kept_size(path: Path) -> int | None:
    """Returns the size that was measured before. A file that is damaged is set aside."""
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_bytes())
        size = content["stack"]
        if type(size) is int and size >= 1 and content["sha256"] == _checksum(path, size):
            return size
    except (ValueError, KeyError, TypeError, RecursionError, IsADirectoryError):
        pass
    set_aside(path)
    return None


def _checksum(path: Path, size: int) -> str:
    return hashlib.sha256(f"{path.name} {size}".encode()).hexdigest()


def _kept_in(target: Choice, training: Training, design: Design, sizes: list[int]) -> Path:
    decides = (
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
    return (
        cache_folder()
        / "stacks"
        / f"{hashlib.sha256(repr(decides).encode()).hexdigest()[:32]}.json"
    )
