"""Audits behind figures, the same as those of `mgaudit run`.

A study trains models with several schemes (such as a Gaussian mask) and attacks them. An arm is the
part of a study with one scheme.
"""

from collections.abc import Sequence

from mgaudit.papers.claim import Row
from mgaudit.papers.paper import Resources
from mgaudit.reports.figures.drawing import estimate_cells
from mgaudit.reports.results import AuditResult, StudyResult
from mgaudit.settings.study_settings import StudySettings
from mgaudit.study.estimate import estimated
from mgaudit.study.plan import Plan, plan_study
from mgaudit.study.study import run_study

LONG = 5 * 10**6  # passes of an example through a network in training that take minutes


def run_audit(settings: StudySettings, resources: Resources) -> StudyResult:
    """Returns the result of the study with these settings.

    The result is kept in `resources.shared`, so that figures of one paper run a study only once.
    Before a long study, steps and attacks are timed and the estimated duration is reported.
    """
    settings = settings.model_copy(update={"device": resources.device})
    key = settings.model_dump_json()
    if key not in resources.shared:
        plan = plan_study(settings)
        if _passes(plan) * settings.training.epochs > LONG:
            estimate = estimated([plan], resources.jobs, resources.progress)
            assert estimate.seconds is not None  # only training functions have no known time
            minutes = estimate.seconds / 60
            resources.progress.stage(f"audits of {settings.target}: about {minutes:.0f} min")
        resources.shared[key], _ = run_study(plan, resources.jobs, resources.progress)
    study: StudyResult = resources.shared[key]
    return study


def _passes(plan: Plan) -> int:
    """Returns the number of examples times the number of models, in all arms of the plan."""
    models = sum(arm.settings.models for arm in plan.arms)
    return models * len(plan.design.dataset.labels)


def arm_of(study: StudyResult, scheme: str) -> AuditResult:
    """Returns the arm with this scheme.

    Raises:
        ValueError: If the models of the scheme diverged, so that there is no such arm.
    """
    for arm in study.arms:
        if arm.key == scheme:
            return arm
    raise ValueError(f"the models of {scheme} diverged, so it was not audited")


def accuracy_row(arm: AuditResult, **labels: str | float) -> Row:
    """Returns test accuracy and its paired difference to training without noise.

    Both have intervals; `labels` are further columns.
    """
    accuracy = estimate_cells("accuracy", arm.accuracy)
    change = estimate_cells("change", arm.accuracy_difference)
    return {**labels, **accuracy, **change}


def attack_rows(arm: AuditResult, **labels: str | float) -> Sequence[Row]:
    """Returns a row for each attack and adversary: AUC and its paired difference to no noise.

    Both have intervals; `labels` are further columns.
    """
    rows = []
    for attack in arm.attacks:
        names = {"attack": attack.attack, "adversary": attack.adversary}
        auc = estimate_cells("auc", attack.metrics["auc"])
        change = estimate_cells("change", attack.differences.get("auc"))
        rows.append({**labels, **names, **auc, **change})
    return rows
