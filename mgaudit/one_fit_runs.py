"""`mgaudit.audit` with models=1: an audit of one training by the user's function."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from mgaudit.dp_result import DPResult
from mgaudit.errors import UsageError
from mgaudit.progress_bars import ProgressBars
from mgaudit.reports.formats.render import DEFAULT_FORMATS
from mgaudit.running import WRITING, announce, recorded
from mgaudit.storage.run_folder import RunFolder, path_word

if TYPE_CHECKING:
    from mgaudit.functions.api import FunctionArguments
    from mgaudit.functions.one_run import OneRunPlan

# Settings that the command of an audit shows only if they differ from these.
DEFAULTS: dict[str, Any] = {"seed": 0, "outputs": "auto", "duplicates": "together", "clip": 1e-6}
EXAMPLE = "canaries=500"
CHECKING = "checking data and training function"


class OneRunOptions(TypedDict, total=False):
    """Further arguments of `mgaudit.audit` with models=1 and canaries.

    Args:
        kind: Canaries, "natural" (as they are) or "mislabelled" (default: mislabelled).
        guesses: Fraction of the canaries guessed in, and fraction guessed out (default: 0.1).
        significance: Probability that a bound is wrong (default: 0.05).
        epsilon: Claimed ε (nats); a bound above it is an alarm (default: no claim).
        delta: δ of the claim and of the bounds (default: 1/n^1.1 for n expected members).
    """

    kind: str | None
    guesses: float | None
    significance: float | None
    epsilon: float | None
    delta: float | None


def is_one_run(models: Any, values: Mapping[str, Any], attacks: Any) -> bool:
    """Returns whether an audit of one training is meant: one model, and canaries.

    `values` are the arguments of `audit` that belong to such an audit, by name; None is one that
    was not given. Raises UsageError where arguments do not fit one another.
    """
    of_one_run = [name for name, value in values.items() if value is not None]
    is_one = models == 1 and not isinstance(models, bool)
    if is_one and values["canaries"] is None:
        rule = "must be given with models=1"
        raise UsageError("canaries", rule, None, f"give {EXAMPLE}, or more models")
    if not is_one and of_one_run:
        rule = "must be given only with models=1 and canaries"
        value = "the default number of models" if models is None else f"models={models}"
        raise UsageError(of_one_run[0], rule, value, f"give models=1, {EXAMPLE}")
    if is_one and attacks is not None:
        rule = "must not be given with models=1, which guesses by the confidence of the label"
        raise UsageError("attacks", rule, None, "leave it out, or give more models")
    return is_one


def audit_one_fit(
    fit: Any,
    given: "FunctionArguments",
    values: Mapping[str, Any],
    name: str | None,
    out: Path,
    progress: ProgressBars,
) -> DPResult:
    """Trains a function once, with canaries, in a new run directory inside `out`.

    `values` are the arguments of `audit` that belong to such an audit, as for `is_one_run`.

    Raises:
        UsageError: An argument is wrong, or the function breaks its contract in a trial.
        RunFailedError: The audit failed while it ran.
    """
    from mgaudit.functions.one_run import one_run_settings, plan_one_fit, run_one_fit

    progress.stage(CHECKING)
    plan = plan_one_fit(fit, given, one_run_settings(values), name)
    settings = _settings(plan, given)
    command = _command(settings, given)
    slug = path_word("audit", plan.functions.names[0], "one-run")
    folder = RunFolder.create(out, slug, _sha256(plan, settings))
    with recorded(folder, progress, plan.functions.kept):
        announce(plan.functions.data.notes, progress)
        progress.models_planned(1)
        record, arrays = run_one_fit(plan, settings, command, progress)
        progress.stage(WRITING)
        folder.write_result(record, [arrays])
        folder.write_reports(DEFAULT_FORMATS)
    return DPResult(record, arrays, folder.path)


def _settings(plan: "OneRunPlan", given: "FunctionArguments") -> dict[str, Any]:
    """Returns the settings of the result."""
    functions, one_run = plan.functions, plan.settings
    settings: dict[str, Any] = {
        "fits": functions.names,
        "models": 1,
        "canaries": one_run.canaries,
        "kind": one_run.kind,
        "guesses": one_run.guesses,
        "significance": one_run.significance,
        "epsilon": one_run.epsilon,
        "delta": plan.delta,
        "seed": functions.settings.seed,
        "outputs": functions.settings.outputs,
        "clip": functions.settings.clip,
        "duplicates": functions.settings.duplicates,
    }
    if given.x_test is None:
        settings["test_fraction"] = functions.settings.test_fraction
    return settings


def _sha256(plan: "OneRunPlan", settings: Mapping[str, Any]) -> str:
    """Returns the SHA-256 of everything that determines the result."""
    from mgaudit.study.provenance import outputs_provenance

    provenance, functions = outputs_provenance(), plan.functions
    code = [functions.fits_sha256, provenance.code_sha256, provenance.versions]
    parts = [settings, functions.data.sha256, code]
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()


def _command(settings: Mapping[str, Any], given: "FunctionArguments") -> str:
    """Returns the call that repeats the audit, with data and function as variables."""
    words = ["fit", "x", "y"]
    if given.x_test is not None:
        words += ["x_test=x_test", "y_test=y_test"]
    for name, value in settings.items():
        if name != "fits" and value is not None and DEFAULTS.get(name) != value:
            words.append(f"{name}={value!r}")
    call = f"mgaudit.audit({', '.join(words)})"
    return f"# in Python, with the same data and function:\n{call}"
