"""`mgaudit audit-dp`: DP-SGD audited in one run."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from mgaudit.cli.bars import Shown
from mgaudit.cli.console import err, out, print_table
from mgaudit.cli.ending import logged_in, user_errors
from mgaudit.cli.options import (
    DatasetOption,
    DeltaOption,
    DeviceOption,
    EpsilonOption,
    JobsOption,
    JsonOption,
    NewFolderOption,
    QuietOption,
    SeedOption,
    SettingsOption,
    StackOption,
    TargetOption,
    edited,
    with_training_options,
)
from mgaudit.reports.dp_audit import DP_AUDIT_FILE, DPAuditResult, bounds_table, finding
from mgaudit.storage.run_folder import RunFolder

SchemeOption = Annotated[str | None, typer.Option(help="What to audit: NAME:key=value,… (default: dp-sgd:epsilon=2).")]
CanariesOption = Annotated[int | None, typer.Option(help="Examples that go in by a coin (default: 500).")]
KindOption = Annotated[str | None, typer.Option(help="natural or mislabelled canaries (default: mislabelled).")]
GuessesOption = Annotated[
    float | None, typer.Option(help="Share of the canaries guessed in, and share guessed out (default: 0.1).")
]
SignificanceOption = Annotated[float | None, typer.Option(help="Chance that a bound is wrong (default: 0.05).")]
ModelsOption = Annotated[int | None, typer.Option(help="Training runs (default: 1).")]
ExamplesOption = Annotated[int | None, typer.Option(help="Examples, canaries among them (default: all).")]


@with_training_options("clients", "local_steps")
def audit_dp(
    *,
    dataset: DatasetOption = None,
    target: TargetOption = None,
    scheme: SchemeOption = None,
    epsilon: EpsilonOption = None,
    delta: DeltaOption = None,
    canaries: CanariesOption = None,
    kind: KindOption = None,
    guesses: GuessesOption = None,
    significance: SignificanceOption = None,
    models: ModelsOption = None,
    examples: ExamplesOption = None,
    training: dict[str, Any],
    stack: StackOption = None,
    seed: SeedOption = None,
    device: DeviceOption = None,
    settings: SettingsOption = None,
    jobs: JobsOption = None,
    out_folder: NewFolderOption = Path("runs"),
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Audit DP-SGD in one run: bound its ε from below with canaries, beside what the accountant claims.

    Canaries are examples that a model trains on by the toss of a coin; all others are always in. Right guesses about
    the coins, made from the trained model's answers, prove that ε is not small. A bound above the claim is an alarm.
    """
    changes = {
        "dataset": dataset,
        "target": target,
        "canaries": canaries,
        "kind": kind,
        "guesses": guesses,
        "significance": significance,
        "models": models,
        "examples": examples,
        "stack": stack,
        "seed": seed,
        "device": device,
    }
    progress = Shown(err, silent=quiet)
    with user_errors():
        progress.stage("loading data and settings")
        values = _settings(settings, changes, training, scheme, epsilon, delta)
    folder, result = _run(values, jobs, out_folder, progress)
    if as_json:
        print(json.dumps({"run": str(folder.path), "alarm": result.alarm, "result": result.model_dump(mode="json")}))
    elif not quiet:
        _print_audit(folder, result)


def _settings(
    path: Path | None,
    changes: dict[str, Any],
    training: dict[str, Any],
    scheme: str | None,
    epsilon: float | None,
    delta: float | None,
) -> dict[str, Any]:
    """Returns the settings of the file with the options put in."""
    from mgaudit.settings.schemes import audited_scheme
    from mgaudit.settings.study_settings import DEFAULT_AUDITED, dp_audit_settings, read_settings

    values = edited(dp_audit_settings(read_settings(path)).values() if path else {}, changes, training)
    return values | {"scheme": audited_scheme(scheme or values.get("scheme", DEFAULT_AUDITED), epsilon, delta)}


def _run(
    values: dict[str, Any], jobs: int | None, out_folder: Path, progress: Shown
) -> tuple[RunFolder, DPAuditResult]:
    """Checks the settings, runs the audit and writes its run folder."""
    from mgaudit.compute.parallel import default_jobs
    from mgaudit.settings.study_settings import dp_audit_settings
    from mgaudit.storage.ensembles import check_cache_folder
    from mgaudit.study.dp_audit import plan_dp_audit, run_dp_audit

    with user_errors():
        check_cache_folder()
        plan = plan_dp_audit(dp_audit_settings(values))
        folder = RunFolder.create(out_folder, plan.slug, plan.sha256)
    with logged_in(folder, progress):
        result, arrays = run_dp_audit(plan, jobs or default_jobs(plan.design.device), progress)
        folder.write_result(result, [arrays])
    return folder, result


def _print_audit(folder: RunFolder, result: DPAuditResult) -> None:
    print_table(bounds_table(result))
    out.print(Text(finding(result), style="bold red" if result.alarm else ""))
    out.print(Text(str(folder.path / DP_AUDIT_FILE)), soft_wrap=True)
