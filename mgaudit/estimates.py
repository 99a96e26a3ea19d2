"""The plan of `run`, `compare` and audits of training functions, and the time that it takes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mgaudit.api import compare, run, with_python_numbers
from mgaudit.argument_names import TRAINED, names_of, refuse_unknown, values_of
from mgaudit.argument_types import FitArgument, StudyArgument
from mgaudit.errors import UsageError
from mgaudit.function_runs import estimate_fit, estimate_functions
from mgaudit.progress_bars import ProgressBars, on_stderr
from mgaudit.run_plans import grid_of, options_of_fit, settings_of_run, tuning_of
from mgaudit.running import checked_jobs

if TYPE_CHECKING:
    from mgaudit.settings.tuning import Tuning
    from mgaudit.study.plan import Plan
    from mgaudit.study.plan_time import PlanTime

MEASURING = "mgaudit.study.timing"  # the module with the tasks of workers


@with_python_numbers
def estimate(
    study: StudyArgument | FitArgument | Mapping[str, Any] | None = None,
    x: Any = None,
    y: Any = None,
    *,
    allow_code: bool = False,
    jobs: int | None = None,
    quiet: bool = False,
    progress: ProgressBars | None = None,
    **arguments: Any,
) -> PlanTime:
    """Estimates how long `compare` would take with these arguments; no model is kept.

    With examples and labels `x` and `y`, `study` is a training function, an estimator or several by
    name, and the arguments are those of `audit`. With `fit`, they are those of `run`. Training
    functions are not called: their time is known only as far as models of them are kept, and is
    None otherwise.

    Raises:
        UsageError: An argument is wrong, or data cannot be read.
    """
    workers, display = checked_jobs(jobs), progress or on_stderr(quiet)
    if x is not None or y is not None:
        return estimate_functions(study, x, y, arguments, workers, display)
    if arguments.get("fit") is not None and study is None:
        own = {"allow_code": allow_code, "jobs": jobs, "progress": display}
        return estimate_run(**arguments, **own)
    refuse_unknown(arguments, [*names_of(compare), *TRAINED], "estimate")
    _refuse_cluster(arguments.pop("cluster", None))
    return _estimate_comparison(study, arguments, allow_code, workers, display)


def estimate_run(**arguments: Any) -> PlanTime:
    """Estimates how long `run` would take with these arguments; no model is kept.

    Raises UsageError as `run`.
    """
    refuse_unknown(arguments, [*names_of(run), *TRAINED], "run")
    values = values_of(run, arguments)
    progress = values["progress"] or on_stderr(values["quiet"])
    _refuse_cluster(values["cluster"])
    if values["fit"] is not None:
        options, jobs, _ = options_of_fit(values)
        return estimate_fit(values["fit"], options, jobs, progress)
    clock = time.perf_counter()  # before the imports, which a run needs too
    with _early_workers(checked_jobs(values["jobs"])):
        from mgaudit.study.kept_privacy_plans import plan_without_accountants
        from mgaudit.study.plan import plan_study

        settings, tuning, workers = settings_of_run(values, progress)
        if tuning is not None and settings.examples is None:
            settings = settings.model_copy(update={"held_out": True})
        plan = plan_study(settings, progress, plans_privacy=plan_without_accountants)
    return _time([plan], workers, tuning, progress, clock)


def _estimate_comparison(
    study: Any,
    arguments: dict[str, Any],
    allow_code: bool,
    jobs: int | None,
    progress: ProgressBars,
) -> PlanTime:
    clock = time.perf_counter()
    with _early_workers(jobs):
        from mgaudit.study.comparison import plan_comparison
        from mgaudit.study.kept_privacy_plans import plan_without_accountants

        progress.stage("loading data and settings")
        tuning = tuning_of(arguments.pop("tune_dp", None), arguments.pop("tune", None))
        grid = grid_of(study, arguments, tuning is not None, allow_code)
        if tuning is not None and grid.examples is None:
            grid = grid.model_copy(update={"held_out": True})
        plan = plan_comparison(grid, progress, plans_privacy=plan_without_accountants)
    return _time(plan.cells, jobs, tuning, progress, clock)


@contextmanager
def _early_workers(jobs: int | None) -> Iterator[None]:
    """Starts the workers that measure, which takes them seconds, while this process imports.

    They are ended if the context is left with an error.
    """
    from mgaudit.compute.parallel import default_jobs, end_prepared, prepare

    if jobs is None:
        from mgaudit.targets.device import choose_device  # imports torch

        jobs = default_jobs(choose_device("auto"))
    prepare(jobs, MEASURING)
    try:
        yield
    except BaseException:
        end_prepared()
        raise


def _time(
    plans: Sequence[Plan],
    jobs: int | None,
    tuning: Tuning | None,
    progress: ProgressBars,
    clock: float,
) -> PlanTime:
    """Returns the time of studies, which is measured on this machine, and what they need.

    `clock` is the time of `time.perf_counter` before they were planned.
    """
    from mgaudit.compute.parallel import default_jobs
    from mgaudit.study.estimate import estimated
    from mgaudit.study.needs import check_needs, needs_of

    workers = jobs or default_jobs(plans[0].design.device)
    studies = [(plan.design, plan.arms) for plan in plans]
    check_needs(studies, workers, None)
    whole = estimated(plans, workers, progress, time.perf_counter() - clock)
    needs = needs_of(studies, workers)
    whole = replace(whole, memory=needs.memory, disk=needs.cache + needs.results)
    if tuning is None:
        return whole
    from mgaudit.tuning.tune import search_trainings

    return replace(whole, search_models=search_trainings(plans, tuning))


def _refuse_cluster(cluster: object) -> None:
    """Raises UsageError for a cluster, on which nothing is measured."""
    if cluster is not None:
        rule = "must not be given to an estimate, which measures on this machine"
        raise UsageError("cluster", rule, None, "leave it out")
