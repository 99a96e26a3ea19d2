"""Run a planned study: train each arm, query and attack its models, summarise."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime

from mgaudit.analysis.limits import FEWEST_MODELS
from mgaudit.analysis.samples import analyse_study
from mgaudit.reports.arrays import Arrays
from mgaudit.reports.results import StudyResult, Times
from mgaudit.settings.schemes import PLAIN
from mgaudit.study.attack import Audit, audit
from mgaudit.study.design import Design
from mgaudit.study.plan import Plan
from mgaudit.study.progress import Progress
from mgaudit.study.query import ArmOutputs
from mgaudit.study.summarise import audit_results, study_arrays, study_result
from mgaudit.study.train import TrainedArm, train_arm


def run_study(plan: Plan, jobs: int, progress: Progress) -> tuple[StudyResult, Arrays]:
    """Returns the result of every arm, and the arrays behind it.

    An arm of which fewer than FEWEST_MODELS models converged cannot be audited, and the result says so. Raises
    RuntimeError where that is all of them.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    design = plan.design
    trained_arms = [train_arm(arm, design, jobs, progress) for arm in plan.arms]
    audits = _audits(trained_arms, design, progress)
    if not audits:
        raise RuntimeError(
            f"in every arm fewer than {FEWEST_MODELS} of {plan.settings.models} models converged; "
            "try a lower --learning-rate or less noise"
        )
    progress.stage("comparing the arms")
    arms = audit_results(audits, plan)
    arrays = study_arrays(arms, audits, design)
    analysis = analyse_study(arms, arrays)
    times = Times(
        started=started.isoformat(timespec="seconds"),
        seconds=time.perf_counter() - clock,
        training_seconds={
            _key(trained): sum(fact["seconds"] for fact in trained.facts)
            for trained in trained_arms
        },
        models_reused={_key(trained): trained.models_reused for trained in trained_arms},
    )
    lost = [trained for trained in trained_arms if not _can_be_audited(trained)]
    return study_result(plan, audits, arms, lost, analysis, times), arrays


def _audits(trained_arms: Sequence[TrainedArm], design: Design, progress: Progress) -> list[Audit]:
    """Returns the audit of each arm of which enough models converged."""
    plain = next(
        (ArmOutputs(trained, design) for trained in trained_arms if _is_plain(trained)), None
    )
    audits = []
    for trained in filter(_can_be_audited, trained_arms):
        progress.stage(f"{trained.arm.settings.label}: querying and attacking")
        naive = (
            None
            if plain is None or _is_plain(trained) or not _can_be_audited(plain.trained)
            else plain
        )
        audits.append(audit(ArmOutputs(trained, design), naive))
    return audits


def _can_be_audited(trained: TrainedArm) -> bool:
    return len(trained.converged) >= FEWEST_MODELS


def _is_plain(trained: TrainedArm) -> bool:
    return trained.arm.settings.scheme.is_only(PLAIN)


def _key(trained: TrainedArm) -> str:
    return trained.arm.settings.scheme.text
