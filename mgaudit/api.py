"""The functions of `import mgaudit`: each is a command of the command line, with the same names.

Options that are None keep the value of the settings file, or else the default. Schemes, attacks,
networks, queries and datasets are texts as on the command line, or objects. A mistake in an
argument raises `mgaudit.UsageError`, with the argument's name, before anything is trained.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from mgaudit.argument_types import (
    AttackArgument,
    ClusterArgument,
    DatasetArgument,
    FitArgument,
    NetworkArgument,
    QueriesArgument,
    RunArgument,
    SchemeArgument,
    SettingsArgument,
    StudyArgument,
)
from mgaudit.dp_result import DPResult
from mgaudit.errors import UsageError
from mgaudit.function_runs import compare_fits, run_fit
from mgaudit.progress_bars import ProgressBars, on_stderr
from mgaudit.result import Result
from mgaudit.run_plans import (
    StartingSettings,
    arguments_of_compare,
    audited_scheme,
    edited,
    grid_of,
    options_of_fit,
    plan_of_compare,
    plan_of_run,
    python_numbers,
    run_settings,
    searched,
    tuning_of,
)
from mgaudit.running import (
    Finished,
    as_list,
    attack_again,
    checked_jobs,
    run_checkpoint_plan,
    run_comparison_plan,
    run_dp_audit_plan,
    run_study_plan,
)
from mgaudit.settings.arguments import (
    EPSILON,
    RUNS,
    TRIALS,
    TUNE_DP,
)
from mgaudit.settings.named_code import code_of_file, name_code
from mgaudit.storage.run_list import find_run
from mgaudit.tuning_result import TuningResult

if TYPE_CHECKING:
    from mgaudit.settings.tuning import Tuning
    from mgaudit.study.estimate import PlanTime

P = ParamSpec("P")
R = TypeVar("R")


def _with_python_numbers(function: Callable[P, R]) -> Callable[P, R]:
    """Returns the function with its numbers, such as those of numpy, as int and float."""

    @wraps(function)
    def call(*arguments: P.args, **options: P.kwargs) -> R:
        positional: Any = [python_numbers(value) for value in arguments]
        named: Any = python_numbers(options)
        return function(*positional, **named)

    return call


@_with_python_numbers
def run(
    *,
    dataset: DatasetArgument | None = None,
    target: NetworkArgument | None = None,
    kappa: float | None = None,
    scheme: SchemeArgument | None = None,
    plain: bool | None = None,
    dp: bool | None = None,
    epsilon: float | None = None,
    delta: float | None = None,
    tune_dp: int | bool | None = None,
    tune: str | None = None,
    attack: AttackArgument | Sequence[AttackArgument] | None = None,
    queries: QueriesArgument | None = None,
    canaries: str | None = None,
    models: int | None = None,
    examples: int | None = None,
    duplicates: str | None = None,
    stack: int | str | None = None,
    seed: int | None = None,
    device: str | None = None,
    settings: SettingsArgument | None = None,
    allow_code: bool = False,
    fit: FitArgument | None = None,
    jobs: int | None = None,
    cluster: ClusterArgument | None = None,
    out: str | Path = RUNS,
    quiet: bool = False,
    progress: ProgressBars | None = None,
    **training: Any,
) -> Result:
    """Trains models with and without noise, attacks them and writes a run directory.

    Args:
        dataset, target: Data and network (defaults: digits; cnn).
        kappa, scheme: Strength of the Gaussian mask N(1, κ²), 0.3 if neither is given; other noise.
        plain, dp, epsilon, delta: No noise; DP-SGD, ε, δ (defaults: yes; yes; 8; 1/members^1.1).
        tune_dp, tune: Trials (True: 16) of a search on held-out data; "dp" or "all" arms.
        attack, queries: Attacks, queries (defaults: stacked, rmia, lira, loss; plain).
        models, examples, seed: Models per arm, examples, random seed (defaults: 16; all; 0).
        duplicates, stack: Coins of copies, models trained as one (defaults: together; auto).
        canaries, settings: As in "mislabelled:100"; a file or mapping, which others override.
        allow_code: Whether own code may run that only the settings file names (default: no).
        fit: Training function or "module:function" in place of network and noise; see `audit`.
        device, jobs: Device, processes (defaults: auto; one per core, 1 on a GPU).
        cluster: Dask scheduler, as in "tcp://host:8786"; "local:4"; or a `distributed.Client`.
        out, quiet, progress: Directory of run directories; whether to show no progress; a display.
        **training: Settings of `mgaudit.targets.training.Training`, such as epochs.

    Raises:
        UsageError: An argument is wrong, or data cannot be read.
        RunFailedError: The audit failed while it ran.
    """
    return _run(locals())


def _run(values: dict[str, Any]) -> Result:
    """Returns the result of `run` with these arguments, by name."""
    progress = values["progress"] or on_stderr(values["quiet"])
    with _on_cluster(values["cluster"], progress):
        if values["fit"] is not None:
            return run_fit(values["fit"], *options_of_fit(values), progress)
        plan, workers = plan_of_run(values, progress)
        return _result(run_study_plan(plan, workers, Path(values["out"]), progress))


@contextmanager
def _on_cluster(cluster: ClusterArgument | None, progress: ProgressBars) -> Iterator[None]:
    """Makes tasks run on the cluster, if there is one, and says what a reader must know of it."""
    if cluster is None:
        yield
        return
    from mgaudit.compute.cluster import on_cluster

    with on_cluster(cluster) as notes:
        for note in notes:
            progress.stage(note)
        yield


@_with_python_numbers
def tune_dp(
    *,
    dataset: DatasetArgument | None = None,
    target: NetworkArgument | None = None,
    epsilon: float = EPSILON.default,
    delta: float | None = None,
    trials: int = TRIALS,
    examples: int | None = None,
    seed: int = 0,
    device: str = "auto",
    jobs: int | None = None,
    quiet: bool = False,
    progress: ProgressBars | None = None,
    **training: Any,
) -> TuningResult:
    """Searches for the settings of DP-SGD on examples that `run` with `tune_dp` does not audit.

    The search trains models on a part of the held-out examples, and compares their accuracy on the
    rest. The choice depends on these data, and ε does not account for it.

    Args:
        dataset, target: Data and network (defaults: digits; cnn).
        epsilon, delta: ε and δ of DP-SGD (defaults: 8; 1/members^1.1).
        trials: Number of settings to try, first those without a search (default: 16).
        examples: Examples to audit, which the search leaves out (default: two thirds). An audit
            with the `scheme` of the result leaves out those of the search if both state the number.
        seed, device, jobs, quiet, progress, **training: As those of `run`.

    Returns:
        The result; its `scheme` is a text for `run` and `compare`.

    Raises:
        UsageError: An argument is wrong, data cannot be read, or too few examples are left.
    """
    from mgaudit.storage.ensembles import check_cache_folder
    from mgaudit.study.plan import plan_study

    display = progress or on_stderr(quiet)
    workers, tuning = checked_jobs(jobs), _trials(trials)
    display.stage("loading data and settings")
    changes = {"dataset": dataset, "target": target, "examples": examples}
    changes |= {"seed": seed, "device": device, "stack": 1}
    arms = {"plain": False, "dp": True, "epsilon": epsilon, "delta": delta}
    before = StartingSettings({"schemes": ["dp-sgd:epsilon=8"]}, False)
    values = run_settings(before, changes, training, None, arms, True)
    check_cache_folder()
    plan = plan_study(searched(values, tuning, workers, display), display)
    return TuningResult.of(plan)


def _trials(trials: int) -> Tuning:
    """Returns a search of so many trials for the settings of DP-SGD."""
    from mgaudit.settings.number_check import checked_number
    from mgaudit.settings.tuning import Tuning

    try:
        return Tuning("dp", int(checked_number(trials, True, TUNE_DP.limits)))
    except UsageError as error:
        raise error.inside("trials") from error


@_with_python_numbers
def compare(
    study: StudyArgument | None = None,
    x: Any = None,
    y: Any = None,
    *,
    scheme: SchemeArgument | Sequence[SchemeArgument] | None = None,
    tune_dp: int | bool | None = None,
    tune: str | None = None,
    target: NetworkArgument | Sequence[NetworkArgument] | None = None,
    dataset: DatasetArgument | Sequence[DatasetArgument] | None = None,
    seed: int | Sequence[int] | None = None,
    attack: AttackArgument | Sequence[AttackArgument] | None = None,
    queries: QueriesArgument | None = None,
    canaries: str | None = None,
    models: int | None = None,
    examples: int | None = None,
    duplicates: str | None = None,
    stack: int | str | None = None,
    device: str | None = None,
    allow_code: bool = False,
    jobs: int | None = None,
    cluster: ClusterArgument | None = None,
    out: str | Path = RUNS,
    quiet: bool = False,
    progress: ProgressBars | None = None,
    **training: Any,
) -> Result:
    """Compares schemes, each trained on every network, dataset and seed of a study.

    Args:
        study: Name of a shipped study, path of a study file, a `Study` or a dict with its contents.
            Other arguments replace what it says.
        x, y: With examples and labels, `study` holds training functions by name, which are the
            arms; other arguments are then those of `audit`.
        scheme, target, dataset, seed, attack: One or several of each.
        tune_dp, tune: As those of `run`; each study has searches of its own.
        queries, canaries, models, examples, duplicates, stack, device: As those of `run`.
        allow_code: Whether own code may run that only the study file names (default: no).
        jobs, cluster, out, quiet, progress, **training: As those of `run`.

    Returns:
        The result, with one study for each network, dataset and seed.

    Raises:
        UsageError: An argument is wrong, or data cannot be read.
        RunFailedError: The audit failed while it ran.
    """
    return _compare(locals())


def _compare(values: dict[str, Any]) -> Result:
    """Returns the result of `compare` with these arguments, by name."""
    arguments, workers = arguments_of_compare(values), checked_jobs(values["jobs"])
    progress = values["progress"] or on_stderr(values["quiet"])
    out = Path(values["out"])
    with _on_cluster(values["cluster"], progress):
        if values["x"] is not None or values["y"] is not None:
            own = arguments | {"jobs": workers}
            return compare_fits(values["study"], values["x"], values["y"], own, out, progress)
        plan = plan_of_compare(values["study"], arguments, workers, progress)
        return _result(run_comparison_plan(plan, workers, out, progress))


@_with_python_numbers
def estimate(
    study: StudyArgument | None = None,
    *,
    allow_code: bool = False,
    jobs: int | None = None,
    quiet: bool = False,
    progress: ProgressBars | None = None,
    **arguments: Any,
) -> PlanTime:
    """Estimates how long `compare` would take with these arguments; nothing is kept."""
    clock = time.perf_counter()  # before the imports, which a run needs too
    from mgaudit.compute.parallel import default_jobs
    from mgaudit.study.comparison import plan_comparison
    from mgaudit.study.estimate import estimated
    from mgaudit.study.needs import check_needs, needs_of

    workers, progress = checked_jobs(jobs), progress or on_stderr(quiet)
    progress.stage("loading data and settings")
    tuning = tuning_of(arguments.pop("tune_dp", None), arguments.pop("tune", None))
    grid = grid_of(study, arguments, tuning is not None, allow_code)
    if tuning is not None and grid.examples is None:
        grid = grid.model_copy(update={"held_out": True})
    plan = plan_comparison(grid, progress)
    jobs = workers or default_jobs(plan.device)
    studies = [(cell.design, cell.arms) for cell in plan.cells]
    check_needs(studies, jobs, None)
    planning = time.perf_counter() - clock
    whole = estimated(plan.cells, jobs, progress, planning)
    needs = needs_of(studies, jobs)
    whole = replace(whole, memory=needs.memory, disk=needs.cache + needs.results)
    if tuning is None:
        return whole
    from mgaudit.tuning.tune import search_trainings

    return replace(whole, search_models=search_trainings(plan.cells, tuning))


@_with_python_numbers
def audit_dp(
    *,
    dataset: DatasetArgument | None = None,
    target: NetworkArgument | None = None,
    scheme: SchemeArgument | None = None,
    epsilon: float | None = None,
    delta: float | None = None,
    adversary: str | None = None,
    directions: int | None = None,
    runs: int | None = None,
    canaries: int | None = None,
    kind: str | None = None,
    guesses: float | None = None,
    significance: float | None = None,
    last_iterate: bool | None = None,
    models: int | None = None,
    examples: int | None = None,
    stack: int | str | None = None,
    seed: int | None = None,
    device: str | None = None,
    settings: SettingsArgument | None = None,
    allow_code: bool = False,
    jobs: int | None = None,
    out: str | Path = RUNS,
    quiet: bool = False,
    progress: ProgressBars | None = None,
    **training: Any,
) -> DPResult:
    """Audits DP-SGD in one training run: lower bounds on ε from canaries, beside the claimed ε.

    Args:
        scheme: What to audit (default: dp-sgd:epsilon=2).
        adversary: "one-run" sees the trained models, "white-box" every step of one model, and
            "repeated" the models of many short trainings (default: one-run). The white-box
            adversary proves most, and checks noise, clipping and sampling.
        directions: Canaries in each step, for the white-box adversary (default: 64).
        runs: Trainings with the canary, and as many without, for "repeated" (default: 200).
        canaries, kind: Number of examples included by a fair coin, and "natural" or "mislabelled"
            (defaults: 500; mislabelled).
        guesses: Fraction of the canaries guessed in, and fraction guessed out (default: 0.1).
        significance: Probability that a bound is wrong (default: 0.05).
        last_iterate: Whether to add the last-iterate heuristic for ε, no bound (default: no).
        models: Number of training runs (default: 1). All others are as those of `run`.

    Raises:
        UsageError: An argument is wrong, or data cannot be read.
        RunFailedError: The audit failed while it ran.
    """
    changes: dict[str, Any] = {"dataset": dataset, "target": target, "models": models}
    changes |= {"examples": examples}
    changes |= {"adversary": adversary, "directions": directions, "runs": runs}
    changes |= {"canaries": canaries, "kind": kind, "guesses": guesses}
    changes |= {"significance": significance, "last_iterate": last_iterate}
    changes |= {"stack": stack, "seed": seed, "device": device}
    privacy = {"epsilon": epsilon, "delta": delta}
    display = progress or on_stderr(quiet)
    before = StartingSettings(settings, allow_code)
    return _audit_dp(before, changes, training, scheme, privacy, jobs, Path(out), display)


def _audit_dp(
    settings: StartingSettings,
    changes: dict[str, Any],
    training: dict[str, Any],
    scheme: SchemeArgument | None,
    privacy: dict[str, float | None],
    jobs: int | None,
    out: Path,
    progress: ProgressBars,
) -> DPResult:
    from mgaudit.settings.arguments import ADVERSARY, AUDITED
    from mgaudit.settings.schemes import audited_scheme
    from mgaudit.settings.study_settings import dp_audit_settings
    from mgaudit.storage.ensembles import check_cache_folder
    from mgaudit.study.dp_audit import plan_dp_audit

    workers = checked_jobs(jobs)
    progress.stage("loading data and settings")
    name_code(changes | {"scheme": scheme})
    before = settings.checked(dp_audit_settings)
    values = edited({} if before is None else before.values(), changes, training)
    _check_adversary(values.get("adversary", ADVERSARY.default), changes)
    audited = values.get("scheme", AUDITED.default) if scheme is None else scheme
    values["scheme"] = audited_scheme(audited, **privacy)
    check_cache_folder()
    plan = plan_dp_audit(dp_audit_settings(values), progress)
    record, arrays, folder = run_dp_audit_plan(plan, workers, out, progress)
    return DPResult(record, arrays, folder.path)


# The arguments of `audit_dp` that belong to one adversary.
OF_ADVERSARY = {
    "one-run": ("canaries", "kind", "guesses"),
    "white-box": ("directions",),
    "repeated": ("runs",),
}


def _check_adversary(adversary: object, changes: dict[str, Any]) -> None:
    """Raises UsageError for an argument that belongs to another adversary."""
    for owner, names in OF_ADVERSARY.items():
        for name in names:
            if owner != adversary and adversary in OF_ADVERSARY and changes[name] is not None:
                rule = f"belongs to the adversary {owner}, and this one is {adversary}"
                raise UsageError(name, rule, str(changes[name]), "leave it out")


@_with_python_numbers
def audit_checkpoint(
    checkpoint: Any,
    *,
    members: Any,
    non_members: Any = None,
    dataset: DatasetArgument | None = None,
    target: NetworkArgument | None = None,
    inputs: str | None = None,
    kappa: float | None = None,
    scheme: SchemeArgument | None = None,
    attack: AttackArgument | Sequence[AttackArgument] | None = None,
    queries: QueriesArgument | None = None,
    models: int | None = None,
    duplicates: str | None = None,
    stack: int | str | None = None,
    seed: int | None = None,
    device: str | None = None,
    settings: SettingsArgument | None = None,
    allow_code: bool = False,
    jobs: int | None = None,
    out: str | Path = RUNS,
    quiet: bool = False,
    progress: ProgressBars | None = None,
    **training: Any,
) -> Result:
    """Audits a model that was trained before, with shadow models that are trained for it.

    Args:
        checkpoint: A file with weights (safetensors, or torch's), a state dict, or a model.
        members: The training examples that it was trained on: indices, a mask (examples,), a range
            such as "0:600", or a .npy, .txt or .csv file with indices or a mask.
        non_members: Training examples that it was not trained on (default: all others).
        inputs: "standardised", or "raw" if it takes the inputs as stored (default: standardised).
        scheme: Noise that the checkpoint was trained with, for the shadow models (default: none).
        kappa: Strength of the Gaussian mask N(1, κ²) as the scheme.
        models: Number of shadow models (default: 16). All others are as those of `run`.

    Returns:
        The result. `result.record.studies[0].checks.match` compares target and shadow models.

    Raises:
        UsageError: An argument is wrong, or a file or data cannot be read.
        RunFailedError: The audit failed while it ran.
    """
    changes = {
        "dataset": dataset,
        "target": target,
        "inputs": inputs,
        "scheme": audited_scheme(kappa, scheme),
        "attacks": as_list(attack),
        "queries": queries,
        "models": models,
        "duplicates": duplicates,
        "stack": stack,
        "seed": seed,
        "device": device,
    }
    given, display = (checkpoint, members, non_members), progress or on_stderr(quiet)
    before = StartingSettings(settings, allow_code)
    return _audit_checkpoint(given, before, changes, training, jobs, Path(out), display)


def _audit_checkpoint(
    given: tuple[Any, Any, Any],
    settings: StartingSettings,
    changes: dict[str, Any],
    training: dict[str, Any],
    jobs: int | None,
    out: Path,
    progress: ProgressBars,
) -> Result:
    """Runs the audit; `given` are the checkpoint, its members and its non-members."""
    from mgaudit.checkpoint.plan import plan_checkpoint
    from mgaudit.settings.study_settings import checkpoint_settings
    from mgaudit.storage.ensembles import check_cache_folder

    workers = checked_jobs(jobs)
    progress.stage("loading data and settings")
    name_code(changes)
    before = settings.checked(checkpoint_settings)
    values = edited({} if before is None else before.values(), changes, training)
    checked = checkpoint_settings(values)
    check_cache_folder()
    plan = plan_checkpoint(*given, checked, checked.attacks if "attacks" in values else None)
    return _result(run_checkpoint_plan(plan, workers, out, progress))


def load(run: RunArgument = "latest", runs: str | Path = RUNS) -> Result:
    """Returns the result of an earlier run.

    `run` is the path of a run directory, or within `runs` its name, the beginning of its hash, or
    "latest". Raises UsageError where there is no such run.
    """
    return Result.read(find_run(str(run), Path(runs)))


@_with_python_numbers
def attack(
    run: RunArgument | Result,
    *,
    attack: AttackArgument | Sequence[AttackArgument],
    queries: QueriesArgument | None = None,
    allow_code: bool = False,
    runs: str | Path = RUNS,
    jobs: int | None = None,
    quiet: bool = False,
    progress: ProgressBars | None = None,
) -> Result:
    """Attacks the models of a finished run with other attacks, without training.

    The new result has a run directory of its own beside that of the run. `allow_code` allows own
    code that only the run names, such as a network. Raises UsageError where the cache no longer
    holds the models of the run.
    """
    attacks = as_list(attack) or []
    name_code({"attack": attacks})
    progress = progress or on_stderr(quiet)
    progress.stage("loading data and settings")
    finished = run if isinstance(run, Result) else load(run, runs)
    path = finished.path
    with code_of_file(f"the run {path}", allow_code):
        again = attack_again(finished.record, path.parent, attacks, queries, jobs, progress)
    return _result(again)


def _result(finished: Finished) -> Result:
    return Result(finished.record, finished.arrays, finished.folder.path)
