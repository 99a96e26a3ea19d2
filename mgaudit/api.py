"""The functions of `import mgaudit`: each is a command of the command line, with the same names.

Options that are None keep the value of the settings file, or else the default. Schemes, attacks,
networks, queries and datasets are texts as on the command line, or objects. A mistake in an
argument raises `mgaudit.UsageError`, with the argument's name, before anything is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from numbers import Integral, Real
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeAlias, TypeVar

from mgaudit.dp_result import DPResult
from mgaudit.errors import UsageError, did_you_mean
from mgaudit.function_runs import compare_fits, run_fit
from mgaudit.progress_bars import ProgressBars, on_stderr
from mgaudit.result import Result
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
    AUDIT_CHECKPOINT,
    AUDIT_DP,
    COMPARE,
    EPSILON,
    KAPPA,
    RUN,
    RUNS,
    TRIALS,
    TUNE_DP,
)
from mgaudit.settings.number_check import checked_argument
from mgaudit.storage.run_list import find_run
from mgaudit.tuning_result import TuningResult

if TYPE_CHECKING:
    from mgaudit.attacks import Attack
    from mgaudit.settings.grid import GridSettings
    from mgaudit.settings.study_object import Study
    from mgaudit.settings.study_settings import StudySettings
    from mgaudit.settings.tuning import Tuning
    from mgaudit.study.estimate import PlanTime
    from mgaudit.targets.datasets import Dataset
    from mgaudit.targets.querying.queries import Queries
    from mgaudit.targets.schemes import Scheme

SchemeArgument: TypeAlias = "str | Scheme"
AttackArgument: TypeAlias = "str | Attack"
NetworkArgument: TypeAlias = "str | type | Callable[..., Any]"
DatasetArgument: TypeAlias = "str | Dataset | tuple[Any, Any, Any, Any]"
QueriesArgument: TypeAlias = "str | Queries"
SettingsArgument: TypeAlias = "str | Path | Mapping[str, Any]"
FitArgument: TypeAlias = "str | Callable[..., Any]"
StudyArgument: TypeAlias = "str | Path | dict[str, Any] | Study"
RunArgument: TypeAlias = "str | Path"

ALL_ARGUMENTS = (*RUN, *COMPARE, *AUDIT_DP, *AUDIT_CHECKPOINT)
P = ParamSpec("P")
R = TypeVar("R")

# The arguments of `compare`: their names in a study file, and a sequence type that is one value.
PLURALS: dict[str, tuple[str, type]] = {
    "scheme": ("schemes", str),
    "target": ("targets", str),
    "dataset": ("datasets", tuple),
    "seed": ("seeds", str),
    "attack": ("attacks", str),
    "queries": ("queries", str),
    "canaries": ("canaries", str),
    "models": ("models", str),
    "examples": ("examples", str),
    "duplicates": ("duplicates", str),
    "stack": ("stack", str),
    "device": ("device", str),
}


def _with_python_numbers(function: Callable[P, R]) -> Callable[P, R]:
    """Returns the function with its numbers, such as those of numpy, as int and float."""

    @wraps(function)
    def call(*arguments: P.args, **options: P.kwargs) -> R:
        positional: Any = [_python_numbers(value) for value in arguments]
        named: Any = _python_numbers(options)
        return function(*positional, **named)

    return call


def _python_numbers(value: Any) -> Any:
    """Returns numbers, also those in lists and dicts, as int or float; other values stay."""
    if isinstance(value, dict):
        return {key: _python_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_python_numbers(item) for item in value]
    if isinstance(value, bool):  # an Integral, but refused where a number is expected
        return value
    if isinstance(value, Integral):
        return index(value)
    return float(value) if isinstance(value, Real) else value


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
    fit: FitArgument | None = None,
    jobs: int | None = None,
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
        fit: Training function or "module:function" in place of network and noise; see `audit`.
        device, jobs: Device, processes (defaults: auto; one per core, 1 on a GPU).
        out, quiet, progress: Directory of run directories; whether to show no progress; a display.
        **training: Settings of `mgaudit.targets.training.Training`, such as epochs.

    Raises:
        UsageError: An argument is wrong, or data cannot be read.
        RunFailedError: The audit failed while it ran.
    """
    changes: dict[str, Any] = {"dataset": dataset, "target": target, "attacks": as_list(attack)}
    changes |= {"queries": queries, "models": models, "examples": examples, "stack": stack}
    changes |= {"seed": seed, "device": device, "duplicates": duplicates, "canaries": canaries}
    arms = {"plain": plain, "dp": dp, "epsilon": epsilon, "delta": delta}
    display = progress or on_stderr(quiet)
    if fit is not None:
        own = {"kappa": kappa, "scheme": scheme, "tune_dp": tune_dp, "tune": tune}
        options = changes | arms | own | {"settings": settings} | training
        return run_fit(fit, options, jobs, Path(out), display)
    audited, tuning = _audited(kappa, scheme), _tuning(tune_dp, tune)
    return _run(settings, changes, training, audited, arms, tuning, jobs, Path(out), display)


def _run(
    settings: SettingsArgument | None,
    changes: dict[str, Any],
    training: dict[str, Any],
    audited: SchemeArgument | None,
    arms: dict[str, Any],
    tuning: Tuning | None,
    jobs: int | None,
    out: Path,
    progress: ProgressBars,
) -> Result:
    from mgaudit.storage.ensembles import check_cache_folder
    from mgaudit.study.plan import plan_study

    workers = checked_jobs(jobs)
    progress.stage("loading data and settings")
    changed = _run_settings(settings, changes, training, audited, arms, tuning is not None)
    check_cache_folder()
    if tuning is not None:
        changed = _searched(changed, tuning, workers, progress)
    plan = plan_study(changed, progress)
    return _result(run_study_plan(plan, workers, out, progress))


def _tuning(tune_dp: int | bool | None, tune: str | None) -> Tuning | None:
    """Returns what to search settings for, None for no search."""
    if tune_dp is None and tune is None:
        return None  # without the import of all settings, which takes a second
    from mgaudit.settings.tuning import checked_tuning

    return checked_tuning(tune_dp, tune)


def _searched(
    settings: StudySettings, tuning: Tuning, jobs: int | None, progress: ProgressBars
) -> StudySettings:
    """Returns the settings with the searches that `tuning` asks for."""
    from mgaudit.compute.parallel import default_jobs
    from mgaudit.targets.device import choose_device
    from mgaudit.tuning.tune import with_searches

    workers = jobs or default_jobs(choose_device(settings.device))
    return with_searches(settings, tuning.arms, tuning.trials, workers, progress)


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
    values = _run_settings({"schemes": ["dp-sgd:epsilon=8"]}, changes, training, None, arms, True)
    check_cache_folder()
    plan = plan_study(_searched(values, tuning, workers, display), display)
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
    jobs: int | None = None,
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
        jobs, out, quiet, progress, **training: As those of `run`.

    Returns:
        The result, with one study for each network, dataset and seed.

    Raises:
        UsageError: An argument is wrong, or data cannot be read.
        RunFailedError: The audit failed while it ran.
    """
    several = {"scheme": scheme, "target": target, "dataset": dataset, "seed": seed}
    arguments = several | {"attack": attack, "queries": queries, "models": models}
    arguments |= {"canaries": canaries}
    arguments |= {"examples": examples, "duplicates": duplicates, "stack": stack, "device": device}
    arguments |= {"tune_dp": tune_dp, "tune": tune, **training}
    display = progress or on_stderr(quiet)
    if x is not None or y is not None:
        own = arguments | {"jobs": checked_jobs(jobs)}
        return compare_fits(study, x, y, own, out, display)
    return _compare(study, arguments, jobs, Path(out), display)


def _compare(
    study: StudyArgument | None,
    arguments: dict[str, Any],
    jobs: int | None,
    out: Path,
    progress: ProgressBars,
) -> Result:
    from mgaudit.study.comparison import plan_comparison

    workers = checked_jobs(jobs)
    progress.stage("loading data and settings")
    tuning = _tuning(arguments.pop("tune_dp"), arguments.pop("tune"))
    grid = _grid(study, arguments, tuning is not None)
    if tuning is not None:
        grid = _searched_grid(grid, tuning, workers, progress)
    plan = plan_comparison(grid, progress)
    return _result(run_comparison_plan(plan, workers, out, progress))


@_with_python_numbers
def estimate(
    study: StudyArgument | None = None,
    *,
    jobs: int | None = None,
    quiet: bool = False,
    progress: ProgressBars | None = None,
    **arguments: Any,
) -> PlanTime:
    """Estimates how long `compare` would take with these arguments; nothing is kept."""
    from mgaudit.compute.parallel import default_jobs
    from mgaudit.study.comparison import plan_comparison
    from mgaudit.study.estimate import estimated
    from mgaudit.study.needs import check_needs, needs_of

    workers, progress = checked_jobs(jobs), progress or on_stderr(quiet)
    progress.stage("loading data and settings")
    tuning = _tuning(arguments.pop("tune_dp", None), arguments.pop("tune", None))
    grid = _grid(study, arguments, tuning is not None)
    if tuning is not None and grid.examples is None:
        grid = grid.model_copy(update={"held_out": True})
    plan = plan_comparison(grid, progress)
    jobs = workers or default_jobs(plan.device)
    studies = [(cell.design, cell.arms) for cell in plan.cells]
    check_needs(studies, jobs, None)
    time = estimated(plan.cells, jobs, progress)
    needs = needs_of(studies, jobs)
    time = replace(time, memory=needs.memory, disk=needs.cache + needs.results)
    if tuning is None:
        return time
    from mgaudit.tuning.tune import search_trainings

    return replace(time, search_models=search_trainings(plan.cells, tuning))


def _grid(
    study: StudyArgument | None, arguments: Mapping[str, Any], searched: bool
) -> GridSettings:
    """Returns the settings of a study, with the arguments of `compare` that are not None put in.

    `searched` states whether searches will replace those in the settings.
    """
    from mgaudit.settings.grid import edited_grid
    from mgaudit.settings.study_object import values_of_study
    from mgaudit.storage.ensembles import check_cache_folder

    values = {} if study is None else _python_numbers(values_of_study(study))
    training = {name: value for name, value in arguments.items() if name not in PLURALS}
    changes = {
        plural: as_list(arguments.get(name), whole=whole) if plural != name else arguments.get(name)
        for name, (plural, whole) in PLURALS.items()
    }
    grid = edited_grid(values, changes, _checked_training(training), searched)
    check_cache_folder()
    return grid


def _searched_grid(
    grid: GridSettings, tuning: Tuning, jobs: int | None, progress: ProgressBars
) -> GridSettings:
    """Returns the grid with the searches that `tuning` asks for."""
    from mgaudit.compute.parallel import default_jobs
    from mgaudit.targets.device import choose_device
    from mgaudit.tuning.tune import with_grid_searches

    workers = jobs or default_jobs(choose_device(grid.device))
    return with_grid_searches(grid, tuning, workers, progress)


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
    return _audit_dp(settings, changes, training, scheme, privacy, jobs, Path(out), display)


def _audit_dp(
    settings: SettingsArgument | None,
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
    base = {} if settings is None else dp_audit_settings(_settings_values(settings)).values()
    values = _edited(base, changes, training)
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
        "scheme": _audited(kappa, scheme),
        "attacks": as_list(attack),
        "queries": queries,
        "models": models,
        "duplicates": duplicates,
        "stack": stack,
        "seed": seed,
        "device": device,
    }
    given = (checkpoint, members, non_members)
    display = progress or on_stderr(quiet)
    return _audit_checkpoint(given, settings, changes, training, jobs, Path(out), display)


def _audit_checkpoint(
    given: tuple[Any, Any, Any],
    settings: SettingsArgument | None,
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
    base = {} if settings is None else checkpoint_settings(_settings_values(settings)).values()
    values = _edited(base, changes, training)
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
    runs: str | Path = RUNS,
    jobs: int | None = None,
    quiet: bool = False,
    progress: ProgressBars | None = None,
) -> Result:
    """Attacks the models of a finished run with other attacks, without training.

    The new result has a run directory of its own beside that of the run. Raises UsageError where
    the cache no longer holds the models of the run.
    """
    attacks = as_list(attack) or []
    progress = progress or on_stderr(quiet)
    progress.stage("loading data and settings")
    finished = run if isinstance(run, Result) else load(run, runs)
    out = finished.path.parent
    again = attack_again(finished.record, out, attacks, queries, jobs, progress)
    return _result(again)


def _result(finished: Finished) -> Result:
    return Result(finished.record, finished.arrays, finished.folder.path)


def _audited(kappa: float | None, scheme: SchemeArgument | None) -> SchemeArgument | None:
    """Returns the scheme to audit, None where the settings say it."""
    if kappa is not None and scheme is not None:
        raise UsageError(
            "kappa and scheme", "both name the noise to audit", None, "give one of them"
        )
    if kappa is None:
        return scheme
    return f"gaussian-mask:kappa={checked_argument(KAPPA, kappa):.15g}"


def _run_settings(
    settings: SettingsArgument | None,
    changes: dict[str, Any],
    training: dict[str, Any],
    audited: SchemeArgument | None,
    schemes: dict[str, Any],
    searched: bool,
) -> StudySettings:
    """Returns the settings of the file with the arguments put in.

    `searched` states whether searches will replace those in the file.
    """
    from mgaudit.settings.schemes import edited_schemes
    from mgaudit.settings.study_settings import DEFAULT_SCHEMES, study_settings
    from mgaudit.settings.tuning import with_kept_searches

    before: StudySettings | None = None
    base: dict[str, Any] = {}
    if settings is not None:
        before = study_settings(_settings_values(settings))
        base = before.values()
    values = _edited(base, changes, training)
    arms = values.get("schemes", DEFAULT_SCHEMES)
    values["schemes"] = edited_schemes(arms, audited, **schemes)
    if searched:
        values |= {"held_out": False, "searches": {}}
    checked = study_settings(values)
    if searched or before is None:
        return checked
    return with_kept_searches(checked, before)


def _settings_values(settings: SettingsArgument) -> dict[str, Any]:
    from mgaudit.settings.toml_file import read_settings

    if isinstance(settings, Mapping):
        return dict(settings)
    values = read_settings(Path(settings))
    if not values:
        way_out = "give the settings.toml of a run"
        raise UsageError(f"the settings file {settings}", "must have settings", "none", way_out)
    return values


def _edited(
    settings: dict[str, Any], changes: dict[str, Any], training: dict[str, Any]
) -> dict[str, Any]:
    """Returns the settings with the given arguments put in; other settings stay as they are."""
    new_training = _checked_training(training)
    changed_training = settings.get("training", {}) | new_training
    return settings | _not_none(changes) | {"training": changed_training}


def _checked_training(training: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the training settings that are given. Raises UsageError for other names."""
    from mgaudit.settings.setting_errors import TRAINED

    for name in training:
        if name not in TRAINED:
            known = [argument.name for argument in ALL_ARGUMENTS]
            rule = "is not an argument, and not a setting of training"
            raise UsageError(name, rule, None, did_you_mean(name, [*known, *TRAINED]))
    return _not_none(training)


def _not_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
