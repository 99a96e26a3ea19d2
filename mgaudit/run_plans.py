"""The plans of `run` and `compare`, from their arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from numbers import Integral, Real
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mgaudit.argument_types import SchemeArgument, SettingsArgument, StudyArgument
from mgaudit.errors import UsageError, did_you_mean
from mgaudit.planned_conditions import check_settings
from mgaudit.progress_bars import ProgressBars
from mgaudit.running import as_list, checked_jobs
from mgaudit.settings.arguments import AUDIT_CHECKPOINT, AUDIT_DP, COMPARE, KAPPA, RUN
from mgaudit.settings.named_code import code_of_file, name_code, names_code
from mgaudit.settings.number_check import checked_argument

if TYPE_CHECKING:
    from mgaudit.settings.grid import GridSettings
    from mgaudit.settings.study_settings import StudySettings
    from mgaudit.settings.tuning import Tuning
    from mgaudit.study.comparison import ComparisonPlan
    from mgaudit.study.plan import Plan

SETTINGS_FILE = "the settings file"
Settings = TypeVar("Settings")
ALL_ARGUMENTS = (*RUN, *COMPARE, *AUDIT_DP, *AUDIT_CHECKPOINT)

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


def options_of_fit(values: dict[str, Any]) -> tuple[dict[str, Any], int | None, Path]:
    """Returns the options of a run with a training function, its processes and its directory."""
    own = {name: values[name] for name in ("kappa", "scheme", "tune_dp", "tune", "settings")}
    options = _changes_of_run(values) | _arms_of_run(values) | own | values["training"]
    return options, values["jobs"], Path(values["out"])


def plan_of_run(values: dict[str, Any], progress: ProgressBars) -> tuple[Plan, int | None]:
    """Returns the plan of a run, after its searches, and the number of worker processes."""
    from mgaudit.study.early_workers import early_workers
    from mgaudit.study.plan import plan_study

    settings, tuning, workers = settings_of_run(values, progress)
    if tuning is not None:
        settings = searched(settings, tuning, workers, progress)
    return plan_study(settings, progress, early_workers(workers)), workers


def settings_of_run(
    values: dict[str, Any], progress: ProgressBars
) -> tuple[StudySettings, Tuning | None, int | None]:
    """Returns the settings of a run, the search before it, and the number of worker processes."""
    from mgaudit.storage.ensembles import check_cache_folder

    audited = audited_scheme(values["kappa"], values["scheme"])
    tuning = tuning_of(values["tune_dp"], values["tune"])
    workers = checked_jobs(values["jobs"])
    progress.stage("loading data and settings")
    changed = run_settings(
        StartingSettings(values["settings"], values["allow_code"]),
        _changes_of_run(values),
        values["training"],
        audited,
        _arms_of_run(values),
        tuning is not None,
    )
    check_settings(changed)
    check_cache_folder()
    return changed, tuning, workers


def _changes_of_run(values: dict[str, Any]) -> dict[str, Any]:
    names = ["dataset", "target", "queries", "models", "examples", "stack", "seed", "device"]
    changes = {name: values[name] for name in (*names, "duplicates", "canaries")}
    return changes | {"attacks": as_list(values["attack"])}


def _arms_of_run(values: dict[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in ("plain", "dp", "epsilon", "delta")}


def arguments_of_compare(values: dict[str, Any]) -> dict[str, Any]:
    """Returns those arguments of `compare` that change the study."""
    arguments = {name: values[name] for name in (*PLURALS, "tune_dp", "tune")}
    arguments["allow_code"] = values["allow_code"] or None  # training functions do not take it
    return arguments | dict(values["training"])


def plan_of_compare(
    study: StudyArgument | None,
    arguments: dict[str, Any],
    jobs: int | None,
    progress: ProgressBars,
) -> ComparisonPlan:
    """Returns the plan of `compare`, after its searches; `arguments` change the study."""
    from mgaudit.study.comparison import plan_comparison
    from mgaudit.study.early_workers import early_workers

    progress.stage("loading data and settings")
    tuning = tuning_of(arguments.pop("tune_dp"), arguments.pop("tune"))
    allow_code = bool(arguments.pop("allow_code"))
    grid = grid_of(study, arguments, tuning is not None, allow_code)
    if tuning is not None:
        grid = _searched_grid(grid, tuning, jobs, progress)
    return plan_comparison(grid, progress, early_workers(jobs))


def tuning_of(tune_dp: int | bool | None, tune: str | None) -> Tuning | None:
    """Returns what to search settings for, None for no search."""
    if tune_dp is None and tune is None:
        return None  # without the import of all settings, which takes a second
    from mgaudit.settings.tuning import checked_tuning

    return checked_tuning(tune_dp, tune)


def searched(
    settings: StudySettings, tuning: Tuning, jobs: int | None, progress: ProgressBars
) -> StudySettings:
    """Returns the settings with the searches that `tuning` asks for."""
    from mgaudit.compute.parallel import default_jobs
    from mgaudit.targets.device import choose_device
    from mgaudit.tuning.tune import with_searches

    workers = jobs or default_jobs(choose_device(settings.device))
    return with_searches(settings, tuning.arms, tuning.trials, workers, progress)


def grid_of(
    study: StudyArgument | None, arguments: Mapping[str, Any], searched: bool, allow_code: bool
) -> GridSettings:
    """Returns the settings of a study, with the arguments of `compare` that are not None put in.

    `searched` states whether searches will replace those in the settings, and `allow_code` whether
    own code may run that only a study file names.
    """
    from mgaudit.settings.grid import edited_grid
    from mgaudit.settings.study_object import values_of_study
    from mgaudit.storage.ensembles import check_cache_folder

    values = {} if study is None else python_numbers(values_of_study(study))
    training = {name: value for name, value in arguments.items() if name not in PLURALS}
    changes = {
        plural: as_list(arguments.get(name), whole=whole) if plural != name else arguments.get(name)
        for name, (plural, whole) in PLURALS.items()
    }
    new_training = _checked_training(training)
    name_code(arguments)
    with code_from("the study file", study, allow_code):
        grid = edited_grid(values, changes, new_training, searched)
    check_settings(grid)
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


def audited_scheme(kappa: float | None, scheme: SchemeArgument | None) -> SchemeArgument | None:
    """Returns the scheme to audit, None where the settings say it."""
    if kappa is not None and scheme is not None:
        raise UsageError(
            "kappa and scheme", "both name the noise to audit", None, "give one of them"
        )
    if kappa is None:
        return scheme
    return f"gaussian-mask:kappa={checked_argument(KAPPA, kappa):.15g}"


def run_settings(
    settings: StartingSettings,
    changes: dict[str, Any],
    training: dict[str, Any],
    audited: object,
    schemes: dict[str, Any],
    searched: bool,
) -> StudySettings:
    """Returns the settings of the file with the arguments put in.

    `searched` states whether searches will replace those in the file.
    """
    from mgaudit.settings.schemes import audited_scheme as checked_scheme
    from mgaudit.settings.schemes import edited_schemes
    from mgaudit.settings.study_settings import DEFAULT_SCHEMES, study_settings
    from mgaudit.settings.tuning import with_kept_searches

    name_code(changes | {"scheme": audited})
    if audited is not None:
        audited = checked_scheme(audited, None, None)
    before = settings.checked(study_settings, changes, audited)
    values = edited({} if before is None else before.values(), changes, training)
    arms = values.get("schemes", DEFAULT_SCHEMES)
    values["schemes"] = edited_schemes(arms, audited, **schemes)
    if searched:
        values |= {"held_out": False, "searches": {}}
    checked = study_settings(values)
    if searched or before is None:
        return checked
    return with_kept_searches(checked, before)


@dataclass(frozen=True)
class StartingSettings:
    """A settings file, or its contents, and whether own code may run that only the file names."""

    source: SettingsArgument | None
    allow_code: bool

    def checked(
        self,
        check: Callable[[dict[str, Any]], Settings],
        changes: Mapping[str, Any],
        audited: object = None,
    ) -> Settings | None:
        """Returns what `check` returns for the settings, or None without settings.

        Own code in settings that `changes` replace, and in schemes that `audited` replaces, is left
        out, because it will not be used.
        """
        if self.source is None:
            return None
        values = settings_values(self.source)
        if not values.get("searches"):  # which are valid for the network of the file only
            values = _without_replaced_code(values, changes, audited)
        with code_from(SETTINGS_FILE, self.source, self.allow_code):
            return check(values)


def _without_replaced_code(
    settings: Mapping[str, Any], changes: Mapping[str, Any], audited: object
) -> dict[str, Any]:
    replaced = {name for name, value in changes.items() if value is not None}
    kept = {
        name: value
        for name, value in settings.items()
        if name not in replaced or not names_code(name, value)
    }
    schemes = kept.get("schemes")
    if audited is not None and isinstance(schemes, list | tuple):
        others = [scheme for scheme in schemes if not names_code("schemes", scheme)]
        kept["schemes"] = others or [audited]
    return kept


def code_from(kind: str, source: object, allow_code: bool) -> AbstractContextManager[None]:
    """Returns the context in which settings are read, which refuses own code of a file.

    `kind` says in words what file it is. Code in settings that are an object in Python was named by
    the user, and is not refused.
    """
    if isinstance(source, str | Path):
        return code_of_file(f"{kind} {source}", allow_code)
    return nullcontext()


def settings_values(settings: SettingsArgument) -> dict[str, Any]:
    """Returns the settings of a file or a mapping."""
    from mgaudit.settings.toml_file import read_settings

    if isinstance(settings, Mapping):
        return dict(settings)
    values = read_settings(Path(settings))
    if not values:
        way_out = "give the settings.toml of a run"
        raise UsageError(f"{SETTINGS_FILE} {settings}", "must have settings", "none", way_out)
    return values


def edited(
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


def python_numbers(value: Any) -> Any:
    """Returns numbers, also those in lists and dicts, as int or float; other values stay."""
    if isinstance(value, dict):
        return {key: python_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [python_numbers(item) for item in value]
    if isinstance(value, bool):  # an Integral, but refused where a number is expected
        return value
    if isinstance(value, Integral):
        return index(value)
    return float(value) if isinstance(value, Real) else value
