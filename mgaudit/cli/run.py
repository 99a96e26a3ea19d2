"""`mgaudit run`: an audit of a noise scheme, beside no noise and DP-SGD."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mgaudit import api
from mgaudit.cli.console import err, print_run
from mgaudit.cli.ending import reported
from mgaudit.cli.options import (
    ATTACKS,
    NOISE,
    DatasetOption,
    DeltaOption,
    DeviceOption,
    EpsilonOption,
    ExamplesOption,
    JobsOption,
    JsonOption,
    ModelsOption,
    NewFolderOption,
    QuietOption,
    SeedOption,
    SettingsOption,
    StackOption,
    TargetOption,
    with_training_options,
)
from mgaudit.progress_bars import ProgressBars

KappaOption = Annotated[
    float | None,
    typer.Option(
        help="Strength of the Gaussian mask N(1, κ²) (default: 0.3).", rich_help_panel=NOISE
    ),
]
SchemeOption = Annotated[
    str | None,
    typer.Option(
        help="The noise to audit in place of the mask: NAME:key=value,…", rich_help_panel=NOISE
    ),
]
PlainOption = Annotated[
    bool | None,
    typer.Option(
        "--plain/--no-plain", help="The arm without noise (default: yes).", rich_help_panel=NOISE
    ),
]
DPOption = Annotated[
    bool | None,
    typer.Option(
        "--dp/--no-dp", help="The arm trained with DP-SGD (default: yes).", rich_help_panel=NOISE
    ),
]
AttackOption = Annotated[
    list[str] | None,
    typer.Option(
        help="See `mgaudit list attacks`; options as in lira:online=false; repeatable (default: lira, loss).",
        rich_help_panel=ATTACKS,
    ),
]
QueriesOption = Annotated[
    str | None,
    typer.Option(
        help="How each model is queried: plain, flips, crops:8, mask:8 (default: plain); see `mgaudit list`.",
        rich_help_panel=ATTACKS,
    ),
]


@with_training_options()
def run(
    *,
    dataset: DatasetOption = None,
    target: TargetOption = None,
    kappa: KappaOption = None,
    scheme: SchemeOption = None,
    plain: PlainOption = None,
    dp: DPOption = None,
    epsilon: EpsilonOption = None,
    delta: DeltaOption = None,
    attack: AttackOption = None,
    queries: QueriesOption = None,
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
    """Train models with and without noise, attack them, and write a report.

    - `mgaudit run --target cnn --kappa 0.3`
    - `mgaudit run --scheme dropout:rate=0.2 --attack rmia --epochs 50`

    By default: the Gaussian mask (κ = 0.3), no noise and DP-SGD (ε = 8), on a small CNN and scikit-learn's digits.
    """
    progress = ProgressBars(err, silent=quiet)
    with reported():
        result = api.run(
            dataset=dataset,
            target=target,
            kappa=kappa,
            scheme=scheme,
            plain=plain,
            dp=dp,
            epsilon=epsilon,
            delta=delta,
            attack=attack,
            queries=queries,
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
    print_run(result, as_json, quiet)
