"""Run a planned study: train each arm, query and attack its models, summarise the audits.

An arm is one noise scheme of the study, with its models. The plain arm is the arm without noise.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from mgaudit.analysis.limits import FEWEST_MODELS
from mgaudit.analysis.margins import Margins
from mgaudit.analysis.samples import analyse_study
from mgaudit.reports.arrays import Arrays
from mgaudit.reports.results import StudyResult, Times
from mgaudit.study.audit_arms import audit_arms, can_be_audited
from mgaudit.study.plan import Plan
from mgaudit.study.progress import Progress
from mgaudit.study.study_record import study_result
from mgaudit.study.summarise import audit_results, study_arrays
from mgaudit.study.train import TrainedArm
from mgaudit.study.trained_arm import audited_data


def run_study(
    plan: Plan, jobs: int, progress: Progress, claims: int | None = None
) -> tuple[StudyResult, Arrays]:
    """Returns the result of the study, and the arrays that it was computed from, by name.

    Models are trained and attacked in `jobs` processes. `claims` is the number of finite claims of
    epsilon in the whole result, for which alarms are corrected; None if it has no other study. An
    arm with fewer than FEWEST_MODELS converged models cannot be audited; the result lists it among
    the lost arms.

    Raises:
        RuntimeError: If no arm can be audited.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    claims = plan.claims if claims is None else claims
    data = replace(audited_data(plan.design), claims=max(claims, 1))
    trained_arms, audits = audit_arms(plan, data, jobs, progress)
    if not audits:
        raise RuntimeError(
            f"in every arm fewer than {FEWEST_MODELS} of {plan.settings.models} models converged; "
            "try a lower --learning-rate or less noise"
        )
    progress.stage("comparing the arms")
    arms = audit_results(audits, data)
    arrays = study_arrays(arms, audits, data)
    analysis = analyse_study(arms, arrays, Margins.of(plan.settings.as_dict()))
    seconds = time.perf_counter() - clock
    times = _times(started, seconds, trained_arms)
    lost = [trained for trained in trained_arms if not can_be_audited(trained)]
    return study_result(plan, arms, lost, analysis, times), arrays


def _times(started: datetime, seconds: float, trained_arms: Sequence[TrainedArm]) -> Times:
    """Returns the start and the `seconds` of the study, and the seconds of training by arm."""
    training_seconds: dict[str, float] = {}
    models_reused: dict[str, int] = {}
    for trained in trained_arms:
        key = trained.arm.settings.scheme.text
        training_seconds[key] = sum(fact["seconds"] for fact in trained.facts)
        models_reused[key] = trained.models_reused
    return Times(
        started=started.isoformat(timespec="seconds"),
        seconds=seconds,
        training_seconds=training_seconds,
        models_reused=models_reused,
    )
