"""`mgaudit audit-dp`: DP-SGD audited in one run."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from mgaudit import api
from mgaudit.cli.console import err, out, print_table
from mgaudit.cli.ending import reported
from mgaudit.cli.options import (
    ATTACKS,
    DATA,
    NOISE,
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
    with_training_options,
)
from mgaudit.dp_result import DPResult
from mgaudit.progress_bars import ProgressBars
from mgaudit.reports.dp_audit import DP_AUDIT_FILE, bounds_table

SchemeOption = Annotated[
    str | None,
    typer.Option(
        help="What to audit: NAME:key=value,… (default: dp-sgd:epsilon=2).", rich_help_panel=NOISE
    ),
]
CanariesOption = Annotated[
    int | None,
    typer.Option(help="Examples included by a fair coin (default: 500).", rich_help_panel=ATTACKS),
]
KindOption = Annotated[
    str | None,
    typer.Option(
        help="natural or mislabelled canaries (default: mislabelled).", rich_help_panel=ATTACKS
    ),
]
GuessesOption = Annotated[
    float | None,
    typer.Option(
        help="Fraction of the canaries guessed in, and fraction guessed out (default: 0.1).",
        rich_help_panel=ATTACKS,
    ),
]
SignificanceOption = Annotated[
    float | None,
    typer.Option(
        help="Probability that a bound is wrong (default: 0.05).", rich_help_panel=ATTACKS
    ),
]
ModelsOption = Annotated[
    int | None, typer.Option(help="Training runs (default: 1).", rich_help_panel=DATA)
]
ExamplesOption = Annotated[
    int | None,
    typer.Option(help="Examples, canaries among them (default: all).", rich_help_panel=DATA),
]


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
    progress = ProgressBars(err, silent=quiet)
    with reported():
        result = api.audit_dp(
            dataset=dataset,
            target=target,
            scheme=scheme,
            epsilon=epsilon,
            delta=delta,
            canaries=canaries,
            kind=kind,
            guesses=guesses,
            significance=significance,
            models=models,
            examples=examples,
            stack=stack,
            seed=seed,
            device=device,
            settings=settings,
            jobs=jobs,
            out=out_folder,
            progress=progress,
            **training,
        )
    if as_json:
        record = result.record.model_dump(mode="json")
        print(json.dumps({"run": str(result.path), "alarm": result.alarm, "result": record}))
    elif not quiet:
        _print_audit(result)


def _print_audit(result: DPResult) -> None:
    print_table(bounds_table(result.record))
    out.print(Text(result.verdict, style="bold red" if result.alarm else ""))
    out.print(Text(str(result.path / DP_AUDIT_FILE)), soft_wrap=True)
