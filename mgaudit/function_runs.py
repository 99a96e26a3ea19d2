"""`mgaudit.audit`: an audit of training functions and estimators of the user."""

import hashlib
import json
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack, overload

from mgaudit.argument_names import checked_names
from mgaudit.dp_result import DPResult
from mgaudit.errors import UsageError, did_you_mean
from mgaudit.one_fit_runs import CHECKING, OneRunOptions, audit_one_fit, is_one_run
from mgaudit.planned_conditions import check_arms
from mgaudit.progress_bars import ProgressBars, on_stderr
from mgaudit.result import Result
from mgaudit.running import Finished, announce, as_list, recorded, written
from mgaudit.settings.arguments import CLIP, DUPLICATES, MODELS, RUN, RUNS
from mgaudit.settings.number_check import checked_argument
from mgaudit.storage.run_folder import RunFolder, path_word

if TYPE_CHECKING:
    from mgaudit.attacks import Attack
    from mgaudit.functions.api import FunctionArguments, FunctionPlan
    from mgaudit.functions.audit import AuditedFunctions
    from mgaudit.outputs.study import OutputsPlan
    from mgaudit.settings.choices import Choice
    from mgaudit.study.plan_time import PlanTime

# The options of `mgaudit run` that an audit of a training function takes.
OF_FUNCTIONS = ("dataset", "examples", "duplicates", "models", "seed", "attacks")
# Arguments that the command of a run shows only if they differ from these defaults.
DEFAULTS = {
    "outputs": "auto",
    "clip": CLIP.default,
    "test_fraction": 0.2,
    "duplicates": DUPLICATES.default,
}
# The arguments of `mgaudit.audit` that `compare` passes on.
COMPARED = (
    "x_test",
    "y_test",
    "groups",
    "duplicates",
    "test_fraction",
    "outputs",
    "clip",
    "attacks",
)


@overload
def audit(
    fit: Any,
    x: Any,
    y: Any,
    *,
    x_test: Any = None,
    y_test: Any = None,
    groups: Any = None,
    duplicates: str = "together",
    models: int | None = None,
    canaries: None = None,
    attacks: "str | Attack | Sequence[str | Attack] | None" = None,
    seed: int | None = None,
    test_fraction: float = 0.2,
    outputs: str = "auto",
    clip: float | None = None,
    name: str | None = None,
    jobs: int | None = None,
    out: str | Path = RUNS,
    quiet: bool = False,
    progress: ProgressBars | None = None,
) -> Result: ...


@overload
def audit(
    fit: Any,
    x: Any,
    y: Any,
    *,
    x_test: Any = None,
    y_test: Any = None,
    groups: Any = None,
    duplicates: str = "together",
    models: int | None = None,
    canaries: int,
    attacks: "str | Attack | Sequence[str | Attack] | None" = None,
    seed: int | None = None,
    test_fraction: float = 0.2,
    outputs: str = "auto",
    clip: float | None = None,
    name: str | None = None,
    jobs: int | None = None,
    out: str | Path = RUNS,
    quiet: bool = False,
    progress: ProgressBars | None = None,
    **one_run: Unpack[OneRunOptions],
) -> DPResult: ...


@checked_names(*OneRunOptions.__annotations__)
def audit(
    fit: Any,
    x: Any,
    y: Any,
    *,
    x_test: Any = None,
    y_test: Any = None,
    groups: Any = None,
    duplicates: str = "together",
    models: int | None = None,
    canaries: int | None = None,
    attacks: "str | Attack | Sequence[str | Attack] | None" = None,
    seed: int | None = None,
    test_fraction: float = 0.2,
    outputs: str = "auto",
    clip: float | None = None,
    name: str | None = None,
    jobs: int | None = None,
    out: str | Path = RUNS,
    quiet: bool = False,
    progress: ProgressBars | None = None,
    **one_run: Unpack[OneRunOptions],
) -> Result | DPResult:
    """Audits a training function or a scikit-learn estimator: trains it many times and attacks it.

    Each model trains on the examples that fair coins give it, and is attacked in turn with the
    others as shadow models. With models=1, the function trains once, on all examples but those of
    the `canaries` that coins leave out, and guesses about the coins prove lower bounds on ε.

    Args:
        fit: A function `fit(x, y, *, seed) -> predict`, where `predict(x)` returns logits or
            probabilities; an estimator; "module:function"; or several by name, which become arms.
        x, y: Examples with a row for each (array, DataFrame, list, sparse matrix, tensor), labels.
        x_test, y_test: Test data (default: a part of x and y that no model trains on).
        groups: The group of each example, whose rows all go into a model or stay out of it
            (default: each example with its exact copies; without if duplicates="apart").
        models, seed: Models of each function, random seed (defaults: 16; 0).
        canaries, one_run: With models=1, number of canaries and the other `OneRunOptions`.
        attacks: One attack or several (default: stacked, rmia, lira, loss).
        test_fraction: Fraction of the examples or groups that is held out (default: 0.2).
        outputs: What predict returns, "logits", "probabilities" or "auto" (default: auto).
        clip, name: Least probability (default: 1e-6), name for reports (default: the function's).
        jobs, out, quiet, progress: As those of `run`.

    Raises:
        UsageError: An argument is wrong, or the function breaks its contract in a trial.
        RunFailedError: The audit failed while it ran.
    """
    from mgaudit.functions.api import FunctionArguments

    display = progress or on_stderr(quiet)
    given = FunctionArguments(
        x, y, x_test, y_test, groups, models, seed, test_fraction, outputs, clip, jobs, duplicates
    )
    values = {"canaries": canaries, **one_run}
    if is_one_run(models, values, attacks):
        return audit_one_fit(fit, given, values, name, Path(out), display)
    return _audit_many(fit, given, as_list(attacks), name, Path(out), display)


def _audit_many(
    fit: Any,
    given: "FunctionArguments",
    attacks: list[Any] | None,
    name: str | None,
    out: Path,
    progress: ProgressBars,
) -> Result:
    """Trains many models of a function, or of several by name, and attacks each in turn."""
    from mgaudit.functions.api import plan_functions

    progress.stage(CHECKING)
    plan = plan_functions(fit, given, name)
    values: dict[str, Any] = {}
    if given.x_test is None:
        values["test_fraction"] = given.test_fraction
    if given.groups is not None:
        values["groups"] = len(set(plan.data.groups.tolist()))
    return _result(run_functions(plan, attacks, out, progress, values=values))


def run_fit(
    fit: Any, options: Mapping[str, Any], jobs: int | None, out: Path, progress: ProgressBars
) -> Result:
    """Runs `mgaudit run --fit`: the training function on a dataset of mgaudit.

    `options` are those of `run`, by name; None is one that was not given. Raises UsageError for
    options that need a network of mgaudit.
    """
    planned = _plan_of_fit(fit, options, jobs, progress)
    finished = run_functions(
        planned.plan, planned.attacks, out, progress, planned.data_name, planned.values
    )
    return _result(finished)


def estimate_fit(
    fit: Any, options: Mapping[str, Any], jobs: int | None, progress: ProgressBars
) -> "PlanTime":
    """Returns the plan of `run_fit` with its time as far as it is known; nothing is trained."""
    planned = _plan_of_fit(fit, options, jobs, progress)
    return _time(planned.plan, planned.attacks, planned.data_name, progress)


@dataclass(frozen=True)
class _PlannedFit:
    """A training function on a dataset of mgaudit; `values` are further settings for a result."""

    plan: "FunctionPlan"
    attacks: list[Any] | None
    data_name: str
    values: dict[str, Any]


def _plan_of_fit(
    fit: Any, options: Mapping[str, Any], jobs: int | None, progress: ProgressBars
) -> _PlannedFit:
    """Returns the plan of a training function with the options of `run`.

    Inputs are as the reader of the dataset returns them, without standardisation.
    """
    from mgaudit.functions.api import FunctionArguments, plan_functions
    from mgaudit.settings.arguments import DATASET, SEED
    from mgaudit.settings.datasets import dataset_choice
    from mgaudit.targets.seeds import numpy_generator

    options = _options_of_run(options)
    progress.stage("loading data and training function")
    try:
        choice = dataset_choice(options.get("dataset", DATASET.default))
    except UsageError as error:
        raise error.inside("dataset") from error
    seed = options.get("seed", SEED.default)
    data = choice.load(options.get("examples"), numpy_generator(seed, "examples"))
    arguments = FunctionArguments(
        data.inputs,
        data.labels,
        data.test_inputs,
        data.test_labels,
        models=options.get("models"),
        seed=seed,
        jobs=jobs,
        duplicates=options.get("duplicates", DUPLICATES.default),
    )
    plan = plan_functions(fit, arguments)
    plan = replace(plan, data=replace(plan.data, notes=(*data.notes, *plan.data.notes)))
    values = {"dataset": choice.text, "examples": options.get("examples")}
    if isinstance(fit, str):
        values["fit"] = fit
    return _PlannedFit(plan, options.get("attacks"), choice.text, values)


def _time(
    plan: "FunctionPlan", attacks: list[Any] | None, data_name: str, progress: ProgressBars
) -> "PlanTime":
    from mgaudit.functions.estimate import functions_time

    choices = _checked_attacks(plan, attacks)
    name = f"{_model_name(plan)} on {data_name or _size_text(plan)}, seed {plan.settings.seed}"
    return functions_time(plan, name, [choice.text for choice in choices], progress)


def compare_fits(
    fits: Any,
    x: Any,
    y: Any,
    arguments: Mapping[str, Any],
    out: str | Path,
    progress: ProgressBars,
) -> Result:
    """Runs `mgaudit.compare` of training functions, each of which is an arm.

    The arm named "plain" or "none" is the one that others are compared with. `arguments` are the
    given arguments of `compare`, by name.
    """
    if not isinstance(fits, Mapping):
        rule = "must be a dict of training functions by name where x and y are given"
        raise UsageError("study", rule, type(fits).__name__)
    values = _known_arguments(arguments, "a comparison", ("models", "seed", "jobs", *COMPARED))
    if "models" in values:
        checked_argument(MODELS, values["models"])  # a comparison is not an audit of one training
    result: Result = audit(fits, x, y, out=out, progress=progress, **values)
    return result


def estimate_functions(
    fits: Any,
    x: Any,
    y: Any,
    arguments: Mapping[str, Any],
    jobs: int | None,
    progress: ProgressBars,
) -> "PlanTime":
    """Returns the plan of an audit of training functions, with its time as far as it is known.

    `fits` is what `audit` or `compare` takes, and `arguments` are theirs, by name. Nothing is
    trained.
    """
    from mgaudit.functions.api import FunctionArguments, plan_functions

    values = _known_arguments(arguments, "an estimate", ("models", "seed", "name", *COMPARED))
    attacks, name = as_list(values.pop("attacks", None)), values.pop("name", None)
    progress.stage(CHECKING)
    plan = plan_functions(fits, FunctionArguments(x, y, jobs=jobs, **values), name)
    return _time(plan, attacks, "", progress)


def _known_arguments(
    arguments: Mapping[str, Any], what: str, known: Sequence[str]
) -> dict[str, Any]:
    """Returns the given arguments, with `attack` under the name `attacks`.

    Raises UsageError for one that is not `known`; `what` takes the arguments, in words.
    """
    values = {name: value for name, value in arguments.items() if value is not None}
    if "attack" in values:
        values["attacks"] = values.pop("attack")
    for name in values:
        if name not in known:
            rule = f"is not an argument of {what} of training functions"
            raise UsageError(name, rule, None, did_you_mean(name, known))
    return values


def run_functions(
    plan: "FunctionPlan",
    attacks: list[Any] | None,
    out: Path,
    progress: ProgressBars,
    data_name: str = "",
    values: Mapping[str, Any] | None = None,
) -> Finished:
    """Trains and audits training functions in a new run directory inside `out`.

    `data_name` is the text of the dataset, or "" for data of the caller, and `values` are further
    settings for the result.
    """
    from mgaudit.outputs.study import run_outputs, with_seconds_before
    from mgaudit.reports.results import Result as ResultRecord

    started = time.perf_counter()
    choices = _checked_attacks(plan, attacks)
    settings: dict[str, Any] = {
        "fits": plan.names,
        "attacks": [choice.text for choice in choices],
        "models": plan.settings.models,
        "seed": plan.settings.seed,
        "outputs": plan.settings.outputs,
        "clip": plan.settings.clip,
        "duplicates": plan.settings.duplicates,
        **(values or {}),
    }
    slug = path_word("audit", *plan.names[:2])
    folder = RunFolder.create(out, slug, _sha256(plan, settings, choices))
    with recorded(folder, progress, plan.kept):
        announce(plan.data.notes, progress)
        progress.models_planned(len(plan.fits) * plan.settings.models)
        audited = plan.train(progress)
        outputs_plan = _outputs_plan(plan, audited, settings, choices, data_name)
        seconds = time.perf_counter() - started
        study, arrays = run_outputs(with_seconds_before(outputs_plan, seconds), progress, plan.jobs)
        record = ResultRecord(
            title="",
            note="",
            command=_command(settings),
            settings=study.settings,
            studies=[study],
        )
        return written(record, [arrays], folder, progress)


def _checked_attacks(plan: "FunctionPlan", attacks: list[Any] | None) -> "tuple[Choice, ...]":
    """Returns the attacks. Raises UsageError for what does not fit, before anything is trained."""
    from mgaudit.functions.audit import PLAIN_NAMES
    from mgaudit.outputs.possible_attacks import checked_attacks
    from mgaudit.study.attack_trial import check_attacks

    choices = checked_attacks(attacks, plan.settings.models)
    check_arms([(name, name in PLAIN_NAMES) for name in plan.names], choices)
    check_attacks(choices, plan.output_shapes)
    return choices


def _outputs_plan(
    plan: "FunctionPlan",
    audited: "AuditedFunctions",
    settings: dict[str, Any],
    attacks: Sequence[Any],
    data_name: str,
) -> "OutputsPlan":
    """Returns the plan of the attacks on the outputs of the trained models."""
    from mgaudit.outputs.study import OutputsSettings, plan_outputs

    outputs_settings = OutputsSettings(
        attacks=attacks,
        targets=None,
        seed=plan.settings.seed,
        models_from="function",
        model_name=_model_name(plan),
        data_name=data_name or _size_text(plan),
        data_sha256=plan.data.sha256,
        own_coins=True,
        values=settings,
        notes=tuple(audited.notes),
        training_seconds=audited.training_seconds,
        models_reused=audited.models_reused,
    )
    return plan_outputs(audited.arms, audited.membership, outputs_settings)


def _model_name(plan: "FunctionPlan") -> str:
    names = plan.names
    return names[0] if len(names) == 1 else f"{len(names)} training functions"


def _size_text(plan: "FunctionPlan") -> str:
    return f"{len(plan.data.labels)} examples"


def _sha256(plan: "FunctionPlan", settings: Mapping[str, Any], choices: Sequence[Any]) -> str:
    """Returns the SHA-256 of everything that determines the result."""
    from mgaudit.study.provenance import outputs_provenance

    provenance = outputs_provenance()
    parts = [
        settings,
        plan.fits_sha256,
        plan.data.sha256,
        provenance.code_sha256,
        provenance.versions,
        [choice.own_sha256 for choice in choices],
    ]
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()


def _command(settings: Mapping[str, Any]) -> str:
    """Returns how the audit is repeated: a command, or else a call in Python."""
    if "fit" not in settings:
        return _python_command(settings)
    words = ["mgaudit run --fit", shlex.quote(settings["fit"])]
    words += ["--dataset", shlex.quote(settings["dataset"])]
    if settings["examples"] is not None:
        words.append(f"--examples {settings['examples']}")
    words += [f"--attack {shlex.quote(attack)}" for attack in settings["attacks"]]
    if settings["duplicates"] != DUPLICATES.default:
        words.append(f"--duplicates {settings['duplicates']}")
    words += [f"--models {settings['models']}", f"--seed {settings['seed']}"]
    return " ".join(words)


def _python_command(settings: Mapping[str, Any]) -> str:
    """Returns the call that repeats the audit, with the data and functions as variables."""
    names = settings["fits"]
    named = {name: settings[name] for name in ("models", "seed")}
    for name, default in DEFAULTS.items():
        if settings.get(name, default) != default:
            named[name] = settings[name]
    if "dataset" in settings:
        in_memory = settings["dataset"].startswith("arrays:")
        dataset = "(x, y, x_test, y_test)" if in_memory else repr(settings["dataset"])
        call, words = "run", ["fit=fit", f"dataset={dataset}"]
        if settings["examples"] is not None:
            named["examples"] = settings["examples"]
        named["attack"] = settings["attacks"]
    else:
        arms = ", ".join(f"{name!r}: ..." for name in names)
        call, words = ("audit", ["fit"]) if len(names) == 1 else ("compare", [f"{{{arms}}}"])
        words += ["x", "y"]
        if "test_fraction" not in settings:
            words += ["x_test=x_test", "y_test=y_test"]
        if "groups" in settings:
            words.append("groups=groups")
        named["attacks"] = settings["attacks"]
    words += [f"{name}={value!r}" for name, value in named.items()]
    functions = "function" if len(names) == 1 else "functions"
    return f"# in Python, with the same data and {functions}:\nmgaudit.{call}({', '.join(words)})"


def _options_of_run(options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options of `run` that were given. Raises UsageError for those that do not fit."""
    known = {argument.name for argument in RUN}
    chosen = {name: value for name, value in options.items() if value is not None}
    for name in chosen:
        if name in OF_FUNCTIONS:
            continue
        if name in known:
            rule = "must not be given with fit, which trains in its own way"
            raise UsageError(name, rule, None, "leave one of the two out")
        rule = "is not an argument, and not a setting of training"
        raise UsageError(name, rule, None, did_you_mean(name, known))
    return chosen


def _result(finished: Finished) -> Result:
    return Result(finished.record, finished.arrays, finished.folder.path)
