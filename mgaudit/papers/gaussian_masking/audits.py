"""The audits behind figures 4 and 5 and the open questions: the same as those of `mgaudit run`."""

from collections.abc import Sequence

from mgaudit.papers.claim import Row
from mgaudit.papers.paper import Workshop
from mgaudit.reports.figures.drawing import estimate_cells
from mgaudit.reports.results import AuditResult, StudyResult
from mgaudit.settings.study_settings import StudySettings
from mgaudit.study.estimate import estimated
from mgaudit.study.plan import plan_study
from mgaudit.study.study import run_study

LONG = 5 * 10**6  # passes of an example through a network in training; what takes more says for how long


def mask(kappa: float, fixed: bool = False) -> str:
    """Returns the scheme of a Gaussian mask as settings spell it.

    >>> mask(0.3), mask(0.0), mask(1.0, fixed=True)
    ('gaussian-mask:kappa=0.3', 'none', 'gaussian-mask:kappa=1,fixed=true')
    """
    return f"gaussian-mask:kappa={kappa:.15g}{',fixed=true' if fixed else ''}" if kappa else "none"


def run_audit(settings: StudySettings, workshop: Workshop) -> StudyResult:
    """Returns the study of these settings; figures of one paper that ask for the same share it.

    Before what takes minutes, real steps and attacks are timed, and the estimate is shown.
    """
    settings = settings.model_copy(update={"device": workshop.device})
    key = settings.model_dump_json()
    if key not in workshop.shared:
        plan = plan_study(settings)
        passes = sum(arm.settings.models for arm in plan.arms) * len(plan.design.dataset.labels)
        if passes * settings.training.epochs > LONG:
            seconds = estimated([plan], workshop.jobs, workshop.progress).seconds
            workshop.progress.stage(f"audits of {settings.target}: about {seconds / 60:.0f} min")
        workshop.shared[key], _ = run_study(plan, workshop.jobs, workshop.progress)
    found: StudyResult = workshop.shared[key]
    return found


def arm_of(study: StudyResult, scheme: str) -> AuditResult:
    """Returns the arm of that scheme. Raises ValueError where its models diverged, so that there is none."""
    arm = next((one for one in study.arms if one.key == scheme), None)
    if arm is None:
        raise ValueError(f"the models of {scheme} diverged, so it was not audited")
    return arm


def accuracy_row(arm: AuditResult, **named: str | float) -> Row:
    """Returns the arm's test accuracy, and its paired difference to training without noise, with intervals."""
    return {
        **named,
        **estimate_cells("accuracy", arm.test_accuracy),
        **estimate_cells("change", arm.test_accuracy_difference),
    }


def attack_rows(arm: AuditResult, **named: str | float) -> Sequence[Row]:
    """Returns, for each attack and adversary, AUC and its paired difference to training without noise."""
    return [
        {
            **named,
            "attack": one.attack,
            "adversary": one.knowledge,
            **estimate_cells("auc", one.metrics["auc"]),
            **estimate_cells("change", one.differences.get("auc")),
        }
        for one in arm.attacks
    ]
