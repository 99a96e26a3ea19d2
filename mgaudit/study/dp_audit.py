"""An audit of DP-SGD itself, by an adversary of one run, of every step, or of many runs."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError
from mgaudit.reports.arrays import Arrays
from mgaudit.reports.dp_audit import DPAuditResult
from mgaudit.settings.study_settings import AuditSettings, DPAuditSettings
from mgaudit.storage.run_folder import path_word
from mgaudit.study.ceiling import ceiling
from mgaudit.study.design import Design
from mgaudit.study.one_run_audit import run_one_run
from mgaudit.study.plan import Arm, plan_arm
from mgaudit.study.progress import Progress
from mgaudit.study.provenance import run_sha256
from mgaudit.study.repeated import data_of_repeated, run_repeated, training_of_repeated
from mgaudit.study.stacking import with_stack
from mgaudit.study.white_box_run import check_white_box, run_white_box
from mgaudit.targets.datasets import Dataset
from mgaudit.targets.datasets.canaries import plant_canaries
from mgaudit.targets.datasets.duplicates import copy_groups
from mgaudit.targets.device import choose_device
from mgaudit.targets.fitting.accountants import Mechanism
from mgaudit.targets.fitting.last_iterate import last_iterate_epsilon
from mgaudit.targets.membership import canary_coins
from mgaudit.targets.seeds import numpy_generator


@dataclass(frozen=True)
class DPAuditPlan:
    """An audit that was checked against its data and can be run.

    `canaries` (canaries,) are indices of examples, none for other adversaries than that of one
    run. `arm` is the scheme that is audited, with its models. `outside` are the examples on which
    the start of repeated runs is trained.
    """

    settings: DPAuditSettings
    design: Design
    canaries: NDArray[np.int64]
    arm: Arm
    outside: Dataset | None = None

    @property
    def slug(self) -> str:
        """The audited dataset, network and scheme as one word for a path."""
        settings = self.settings
        return path_word("audit", settings.dataset.name, settings.target.text, settings.scheme.text)

    @property
    def sha256(self) -> str:
        """The SHA-256 of everything that determines the result."""
        return run_sha256(self.settings.as_dict(), [self.arm.settings], self.design)


def plan_dp_audit(settings: DPAuditSettings, progress: Progress | None = None) -> DPAuditPlan:
    """Returns the plan: the canaries are planted, and their membership is drawn.

    Raises:
        UsageError: For settings that do not fit the data or one another.
        OSError: For data that cannot be read.
    """
    if settings.adversary == "repeated":
        return _plan_repeated(settings, progress)
    device = choose_device(settings.device)
    raw = settings.dataset.load(settings.examples, numpy_generator(settings.seed, "examples"))
    examples = len(raw.labels)
    if settings.adversary == "white-box":
        check_white_box(settings)
        planted, canaries = raw, np.zeros(0, dtype=np.int64)
        expected, coins = float(examples), "all examples in"
    else:
        planted, canaries = plant_canaries(raw, settings.canaries, settings.kind, settings.seed)
        expected = examples - settings.canaries / 2
        coins = f"{settings.canaries} canaries, all others in"
    no_resamples = np.zeros((0, 0), dtype=np.uint16)
    design = Design(
        dataset=planted.standardised(),
        pictures=None,
        sha256=planted.digest(),
        membership=canary_coins(settings.models, examples, canaries, settings.seed),
        coins=coins,
        expected_members=expected,
        example_resamples=no_resamples,
        test_resamples=no_resamples,
        device=device,
        seed=settings.seed,
        notes=(*raw.notes, *copy_groups(raw).notes("apart")),
    )
    settings = with_stack(settings, design)
    names = ("scheme", "dataset", "target", "models", "seed", "device", "stack", "training")
    shared = {name: getattr(settings, name) for name in names}
    arm = plan_arm(AuditSettings(**shared), design, progress)
    _check_last_iterate(settings, arm)
    return DPAuditPlan(settings, design, canaries, arm)


def _plan_repeated(settings: DPAuditSettings, progress: Progress | None) -> DPAuditPlan:
    """Returns the plan of an audit by repeated runs."""
    data = data_of_repeated(settings)
    examples = len(data.audited.labels)
    no_resamples = np.zeros((0, 0), dtype=np.uint16)
    design = Design(
        dataset=data.audited,
        pictures=None,
        sha256=data.audited.digest(),
        membership=np.ones((1, examples), dtype=bool),
        coins="all examples in, the canary in each second training",
        expected_members=float(examples),
        example_resamples=no_resamples,
        test_resamples=no_resamples,
        device=choose_device(settings.device),
        seed=settings.seed,
        notes=data.audited.notes,
    )
    shared = {name: getattr(settings, name) for name in ("scheme", "dataset", "target", "device")}
    training = training_of_repeated(settings.training, examples)
    alike = AuditSettings(**shared, training=training, models=1, seed=settings.seed, stack=1)
    arm = plan_arm(alike, design, progress)
    _check_last_iterate(settings, arm)
    return DPAuditPlan(settings, design, np.zeros(0, dtype=np.int64), arm, data.outside)


def run_dp_audit(plan: DPAuditPlan, jobs: int, progress: Progress) -> tuple[DPAuditResult, Arrays]:
    """Returns the result with the bounds on epsilon, and arrays.

    Raises:
        RuntimeError: If a model diverged.
        UsageError: If a white-box audit has too few steps.
    """
    result, arrays = _run(plan, jobs, progress)
    privacy = plan.arm.recipe.plan
    changes: dict[str, Any] = {"ceiling": None if privacy is None else ceiling(privacy)}
    if plan.settings.last_iterate:
        changes["epsilon_last_iterate"] = _last_iterate(plan)
    return result.model_copy(update=changes), arrays


def _run(plan: DPAuditPlan, jobs: int, progress: Progress) -> tuple[DPAuditResult, Arrays]:
    """Returns the result and the arrays of the adversary that the settings name."""
    settings, arm, design = plan.settings, plan.arm, plan.design
    if settings.adversary == "white-box":
        return run_white_box(settings, arm, design, progress)
    if plan.outside is not None:
        return run_repeated(settings, arm, design, plan.outside, jobs, progress)
    return run_one_run(settings, arm, design, plan.canaries, jobs, progress)


def _check_last_iterate(settings: DPAuditSettings, arm: Arm) -> None:
    """Raises UsageError if the heuristic is asked for, and there is no DP-SGD."""
    if settings.last_iterate and arm.recipe.plan is None:
        rule = f"needs a scheme with dp-sgd in it, got scheme {settings.scheme.text}"
        raise UsageError("last_iterate", rule, None, "leave it out, or audit dp-sgd")


def _last_iterate(plan: DPAuditPlan) -> float | None:
    """Returns the heuristic epsilon (nats) of the last weights; None where it is infinite."""
    privacy = plan.arm.recipe.plan
    assert privacy is not None  # otherwise `plan_dp_audit` refuses the setting
    mechanism = Mechanism(privacy.noise_multiplier, privacy.sample_rate, privacy.steps)
    epsilon = last_iterate_epsilon(mechanism, privacy.delta)
    return epsilon if math.isfinite(epsilon) else None
