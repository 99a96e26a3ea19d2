"""How many models are trained as one: as the settings say, or measured once on this machine and then remembered."""

import hashlib
import json
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from mgaudit.settings.choices import Choice, own_code
from mgaudit.settings.study_settings import DPAuditSettings, StudySettings
from mgaudit.storage.atomic import write_atomically
from mgaudit.study.design import Design
from mgaudit.targets.cache import cache_folder
from mgaudit.targets.contract import check_stack, check_target
from mgaudit.targets.device import device_name
from mgaudit.targets.fitting.recipe import Recipe
from mgaudit.targets.fitting.stack_size import candidates, fastest_stack
from mgaudit.targets.schemes import Scheme
from mgaudit.targets.training import Training

Settings = TypeVar("Settings", StudySettings, DPAuditSettings)


def with_stack(settings: Settings, design: Design) -> Settings:
    """Returns the settings with a stack size in them, for "auto" the fastest one.

    What is measured is kept: the size decides how weights round, and the same settings shall give the same result.
    """
    if settings.stack != "auto":
        return settings
    if settings.training.clients > 1:  # they are a stack already
        return settings.model_copy(update={"stack": 1})
    return settings.model_copy(update={"stack": _fastest(settings.target, settings.training, design)})


def _fastest(target: Choice, training: Training, design: Design) -> int:
    sizes = candidates(len(design.membership), design.device)
    build, classes = target.built, len(design.dataset.classes)
    check_target(target.name, build, design.dataset.input_shape, classes)
    try:
        check_stack(target.name, build, design.dataset.input_shape, classes)
    except ValueError:
        return 1
    path = _kept_in(target, training, design, sizes)
    if path.exists():
        return int(json.loads(path.read_text(encoding="utf-8"))["stack"])
    timed = Recipe(build, Scheme(), replace(training, augment="none"), None, 0, design.expected_members)
    size = fastest_stack(timed, design.dataset, design.membership, design.device, sizes)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps({"stack": size, "tried": sizes}).encode())
    return size


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
    return cache_folder() / "stacks" / f"{hashlib.sha256(repr(decides).encode()).hexdigest()[:32]}.json"
