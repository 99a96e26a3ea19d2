"""`mgaudit run`: an audit of a noise scheme, beside no noise and DP-SGD."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mgaudit.cli.bars import Shown
from mgaudit.cli.console import err, print_run
from mgaudit.cli.ending import logged_in, user_errors
from mgaudit.cli.options import (
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
    edited,
    with_training_options,
)
from mgaudit.errors import UsageError
from mgaudit.reports.formats.render import DEFAULT_FORMATS
from mgaudit.reports.results import Result
from mgaudit.storage.run_folder import RunFolder

KappaOption = Annotated[float | None, typer.Option(help="Strength of the Gaussian mask N(1, κ²) (default: 0.3).")]
SchemeOption = Annotated[str | None, typer.Option(help="The noise to audit in place of the mask: NAME:key=value,…")]
PlainOption = Annotated[bool | None, typer.Option("--plain/--no-plain", help="The arm without noise (default: yes).")]
DPOption = Annotated[bool | None, typer.Option("--dp/--no-dp", help="The arm trained with DP-SGD (default: yes).")]
AttackOption = Annotated[
    list[str] | None,
    typer.Option(help="See `mgaudit list attacks`; options as in lira:online=false; repeatable (default: lira, loss)."),
]
QueriesOption = Annotated[
    str | None,
    typer.Option(help="What each model is asked: plain, flips, crops:8, mask:8 (default: plain); see `mgaudit list`."),
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

    Without options: the Gaussian mask (κ = 0.3) on a small CNN and the digits that ship with scikit-learn, beside no
    noise and DP-SGD at ε = 8; about a minute on two cores.
    """
    changes = {
        "dataset": dataset,
        "target": target,
        "attacks": attack,
        "queries": queries,
        "models": models,
        "examples": examples,
        "stack": stack,
        "seed": seed,
        "device": device,
    }
    schemes = {"plain": plain, "dp": dp, "epsilon": epsilon, "delta": delta}
    progress = Shown(err, silent=quiet)
    with user_errors():
        progress.stage("loading data and settings")
        values = _settings(settings, changes, training, _audited(kappa, scheme), schemes)
    _run(values, jobs, out_folder, progress, as_json, quiet)


def _audited(kappa: float | None, scheme: str | None) -> str | None:
    """Returns the scheme to audit, None where the settings say it."""
    if kappa is not None and scheme is not None:
        raise UsageError("--kappa and --scheme", "both name the noise to audit", None, "give one of them")
    return scheme if kappa is None else f"gaussian-mask:kappa={kappa:.15g}"


def _settings(
    path: Path | None,
    changes: dict[str, Any],
    training: dict[str, Any],
    audited: str | None,
    schemes: dict[str, Any],
) -> dict[str, Any]:
    """Returns the settings of the file with the options put in."""
    from mgaudit.settings.schemes import edited_schemes
    from mgaudit.settings.study_settings import DEFAULT_SCHEMES, read_settings, study_settings

    values = edited(study_settings(read_settings(path)).values() if path else {}, changes, training)
    arms = values.get("schemes", DEFAULT_SCHEMES)
    return values | {"schemes": edited_schemes(arms, audited, **schemes)}


def _run(
    values: dict[str, Any], jobs: int | None, out_folder: Path, progress: Shown, as_json: bool, quiet: bool
) -> None:
    """Checks the settings, runs the study, writes its run folder and prints it."""
    from mgaudit.compute.parallel import default_jobs
    from mgaudit.settings.study_settings import study_settings
    from mgaudit.storage.ensembles import check_cache_folder
    from mgaudit.study.plan import plan_study
    from mgaudit.study.study import run_study

    with user_errors():
        check_cache_folder()
        plan = plan_study(study_settings(values))
        folder = RunFolder.create(out_folder, plan.slug, plan.sha256)
    with logged_in(folder, progress):
        study, arrays = run_study(plan, jobs or default_jobs(plan.design.device), progress)
        progress.stage("writing the result and the reports")
        result = Result(
            title="",
            note="",
            command="mgaudit run --settings RUN/settings.toml",
            settings=study.settings,
            studies=[study],
        )
        folder.write_result(result, [arrays])
        paths = folder.write_reports(DEFAULT_FORMATS)
    print_run(folder, result, paths, as_json, quiet)
