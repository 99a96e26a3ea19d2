"""The commands."""

import json
import logging
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table as RichTable
from rich.text import Text

from mgaudit import __version__
from mgaudit.cli.bars import Downloaded, Shown
from mgaudit.cli.compare import compare
from mgaudit.cli.console import (
    WIDE,
    WRONG_USAGE,
    err,
    narrow,
    out,
    print_paper,
    print_result,
    told_in,
    user_errors,
    wide,
)
from mgaudit.cli.options import (
    AugmentOption,
    BatchSizeOption,
    ClientsOption,
    DatasetOption,
    DeltaOption,
    DeviceOption,
    EpochsOption,
    EpsilonOption,
    JobsOption,
    JsonOption,
    LearningRateOption,
    LocalStepsOption,
    NewFolderOption,
    OptimizerOption,
    OutOption,
    PrecisionOption,
    QuietOption,
    RunsOption,
    SeedOption,
    SettingsOption,
    StackOption,
    TargetOption,
)
from mgaudit.cli.reproduce import reproduce
from mgaudit.reports.dp_audit import DP_AUDIT_FILE, bounds_table, told
from mgaudit.reports.formats.render import DEFAULT_FORMATS, FORMATS
from mgaudit.reports.reproduction import read_paper
from mgaudit.reports.results import Result, read_result
from mgaudit.settings.study_files import STUDIES_FOLDER, ready_studies
from mgaudit.storage.join import joined, joined_sha256, read_runs
from mgaudit.storage.run_folder import RunFolder
from mgaudit.storage.run_list import listed_runs, removable, remove
from mgaudit.storage.side_by_side import numbers_apart, settings_apart

SHOWN_ARMS = 3
SHOWN_FACTS = ("needs", "cost", "law", "source", "asks", "path")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="Privacy audits of training noise: how much privacy does it buy, and at what accuracy?",
)
data = typer.Typer(no_args_is_help=True, help="Fetch published datasets, and list what is here.")
app.add_typer(data, name="data")
runs = typer.Typer(help="List, show, compare and remove run folders.")
app.add_typer(runs, name="runs")


class Kind(StrEnum):
    """What `mgaudit list` lists."""

    targets = "targets"
    schemes = "schemes"
    attacks = "attacks"
    queries = "queries"
    datasets = "datasets"
    studies = "studies"
    papers = "papers"


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    """Answers `mgaudit --version`."""
    if show:
        out.print(f"mgaudit {__version__}", highlight=False)
        raise typer.Exit


@app.command()
def run(
    dataset: DatasetOption = None,
    target: TargetOption = None,
    kappa: Annotated[float | None, typer.Option(help="Strength of the Gaussian mask N(1, κ²) (default: 0.3).")] = None,
    scheme: Annotated[
        str | None, typer.Option(help="The noise to audit in place of the mask: NAME:key=value,…")
    ] = None,
    plain: Annotated[
        bool | None, typer.Option("--plain/--no-plain", help="The arm without noise (default: yes).")
    ] = None,
    dp: Annotated[bool | None, typer.Option("--dp/--no-dp", help="The arm trained with DP-SGD (default: yes).")] = None,
    epsilon: EpsilonOption = None,
    delta: DeltaOption = None,
    attack: Annotated[
        list[str] | None,
        typer.Option(
            help="See `mgaudit list attacks`; options as in lira:online=false; repeatable (default: lira, loss)."
        ),
    ] = None,
    queries: Annotated[
        str | None,
        typer.Option(
            help="What each model is asked: plain, flips, crops:8, mask:8 (default: plain); see `mgaudit list`."
        ),
    ] = None,
    models: Annotated[int | None, typer.Option(help="Models per arm, each the target in turn (default: 16).")] = None,
    examples: Annotated[int | None, typer.Option(help="Examples to audit (default: all).")] = None,
    epochs: EpochsOption = None,
    batch_size: BatchSizeOption = None,
    optimizer: OptimizerOption = None,
    learning_rate: LearningRateOption = None,
    augment: AugmentOption = None,
    clients: ClientsOption = None,
    local_steps: LocalStepsOption = None,
    precision: PrecisionOption = None,
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
    given = {
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
    training = {
        "epochs": epochs,
        "batch_size": batch_size,
        "optimizer": optimizer,
        "learning_rate": learning_rate,
        "augment": augment,
        "clients": clients,
        "local_steps": local_steps,
        "precision": precision,
    }
    progress = Shown(err, silent=quiet)
    with user_errors():
        progress.stage("loading data and settings")
        from mgaudit.compute.parallel import default_jobs
        from mgaudit.settings.schemes import edited_schemes
        from mgaudit.settings.study_settings import DEFAULT_SCHEMES, read_settings, study_settings
        from mgaudit.storage.ensembles import check_cache_folder
        from mgaudit.study.study import plan_study, run_study

        if kappa is not None and scheme is not None:
            raise ValueError("--kappa and --scheme both name the noise to audit; give one of them")
        audited = scheme if kappa is None else f"gaussian-mask:kappa={kappa:.15g}"
        values = _with_given(study_settings(read_settings(settings)).values() if settings else {}, given, training)
        values["schemes"] = edited_schemes(values.get("schemes", DEFAULT_SCHEMES), audited, plain, dp, epsilon, delta)
        check_cache_folder()
        plan = plan_study(study_settings(values))
        folder = RunFolder.create(out_folder, plan.slug, plan.sha256)
    with told_in(folder, progress):
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
    if as_json:
        print(json.dumps({"run": str(folder.path), "result": result.model_dump(mode="json")}))
    elif not quiet:
        print_result(result)
        for path in paths:
            out.print(Text(str(path)), soft_wrap=True)


app.command()(compare)
app.command()(reproduce)


@app.command(name="audit-dp")
def audit_dp(
    dataset: DatasetOption = None,
    target: TargetOption = None,
    scheme: Annotated[
        str | None, typer.Option(help="What to audit: NAME:key=value,… (default: dp-sgd:epsilon=2).")
    ] = None,
    epsilon: EpsilonOption = None,
    delta: DeltaOption = None,
    canaries: Annotated[int | None, typer.Option(help="Examples that go in by a coin (default: 500).")] = None,
    kind: Annotated[str | None, typer.Option(help="natural or mislabelled canaries (default: mislabelled).")] = None,
    guesses: Annotated[
        float | None, typer.Option(help="Share of the canaries guessed in, and share guessed out (default: 0.1).")
    ] = None,
    significance: Annotated[float | None, typer.Option(help="Chance that a bound is wrong (default: 0.05).")] = None,
    models: Annotated[int | None, typer.Option(help="Training runs (default: 1).")] = None,
    examples: Annotated[int | None, typer.Option(help="Examples, canaries among them (default: all).")] = None,
    epochs: EpochsOption = None,
    batch_size: BatchSizeOption = None,
    optimizer: OptimizerOption = None,
    learning_rate: LearningRateOption = None,
    augment: AugmentOption = None,
    precision: PrecisionOption = None,
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
    given = {
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
    training = {
        "epochs": epochs,
        "batch_size": batch_size,
        "optimizer": optimizer,
        "learning_rate": learning_rate,
        "augment": augment,
        "precision": precision,
    }
    progress = Shown(err, silent=quiet)
    with user_errors():
        progress.stage("loading data and settings")
        from mgaudit.compute.parallel import default_jobs
        from mgaudit.settings.schemes import audited_scheme
        from mgaudit.settings.study_settings import DEFAULT_AUDITED, dp_audit_settings, read_settings
        from mgaudit.storage.ensembles import check_cache_folder
        from mgaudit.study.dp_audit import plan_dp_audit, run_dp_audit

        values = _with_given(dp_audit_settings(read_settings(settings)).values() if settings else {}, given, training)
        values["scheme"] = audited_scheme(scheme or values.get("scheme", DEFAULT_AUDITED), epsilon, delta)
        check_cache_folder()
        plan = plan_dp_audit(dp_audit_settings(values))
        folder = RunFolder.create(out_folder, plan.slug, plan.sha256)
    with told_in(folder, progress):
        result, arrays = run_dp_audit(plan, jobs or default_jobs(plan.design.device), progress)
        folder.write_result(result, [arrays])
    if as_json:
        print(json.dumps({"run": str(folder.path), "alarm": result.alarm, "result": result.model_dump(mode="json")}))
    elif not quiet:
        table = bounds_table(result)
        out.print(wide(table) if out.width >= WIDE else narrow(table))
        for note in table.notes:
            out.print(Text(note, style="dim"))
        out.print()
        out.print(Text(told(result), style="bold red" if result.alarm else ""))
        out.print(Text(str(folder.path / DP_AUDIT_FILE)), soft_wrap=True)


@app.command()
def report(
    run_folders: Annotated[
        list[str], typer.Argument(help="Run folders, or their names in --runs; several are joined.", metavar="RUN…")
    ],
    format_: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            help=f"{', '.join(FORMATS)}; repeat for several (default: {', '.join(DEFAULT_FORMATS)}).",
        ),
    ] = None,
    chapters: Annotated[
        bool, typer.Option("--chapters", help="Show runs that cannot be compared one after the other.")
    ] = False,
    out_folder: Annotated[
        Path | None, typer.Option("--out", help="Folder to write to (default: the run folder; joined: a new one).")
    ] = None,
    runs: OutOption = Path("runs"),
    quiet: QuietOption = False,
) -> None:
    """Render the reports of a run again, or join several runs into one. Needs no torch.

    Arms of several runs are compared as if they were of one study, which takes the same data, members and settings. The
    joined result gets a run folder of its own.
    """
    with user_errors():
        formats = format_ or list(DEFAULT_FORMATS)
        for name in formats:
            if name not in FORMATS:
                raise ValueError(f"--format must be one of {', '.join(FORMATS)}, got {name!r}")
        if len(run_folders) == 1:
            folder = RunFolder.find(run_folders[0], runs)
            paper = read_paper(folder.path)
            if paper is not None:
                raise ValueError(f"{folder.path} holds a paper made again, whose reports come from: {paper.command}")
            result, _ = read_result(folder.path)
            paths = folder.write_reports(formats, out_folder)
        else:
            named = read_runs(run_folders, runs)
            result, arrays = joined(named, chapters)
            folder = RunFolder.create(out_folder or runs, f"joined-{len(named)}-runs", joined_sha256(named))
            folder.write_result(result, arrays)
            paths = folder.write_reports(formats)
    if not quiet:
        print_result(result)
        for path in paths:
            out.print(Text(str(path)), soft_wrap=True)


@app.command(name="list")
def list_(
    kind: Annotated[Kind | None, typer.Argument(help="What to list (default: all).")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the known targets, schemes, attacks, queries and datasets, with their options; studies here; papers."""
    from mgaudit.cli.catalogue import catalogue, papers

    known = catalogue() | {Kind.studies.value: ready_studies(), Kind.papers.value: papers()}
    listed = {name: entries for name, entries in known.items() if kind is None or name == kind.value}
    if as_json:
        print(json.dumps(listed))
        return
    for name, entries in listed.items():
        if name == Kind.studies.value and not entries:
            if kind is not None:
                out.print(f"There is no folder {STUDIES_FOLDER} with studies here.")
            continue
        table = RichTable(title=name, title_justify="left", box=None, pad_edge=False, header_style="bold")
        options = {Kind.studies.value: "arms", Kind.papers.value: "claims"}.get(name, "options")
        for column in ("name", options, "what it is"):
            table.add_column(column, overflow="fold")
        for entry in entries:
            facts = "".join(
                f"\n{fact}: {entry[fact]}"
                for fact in ("needs", "cost", "law", "source", "asks", "path")
                if fact in entry
            )
            table.add_row(*(escape(text) for text in (entry["name"], entry["options"], entry["summary"] + facts)))
        out.print(table)
        out.print()


@data.command(name="list")
def data_list(as_json: JsonOption = False) -> None:
    """List the published datasets: whether they are here, their size and their source."""
    from mgaudit.targets.datasets import published_datasets

    with user_errors():
        listed = [(one.name, one.state(), one.size, one.source) for one in published_datasets().values()]
    if as_json:
        print(json.dumps([dict(zip(("name", "state", "bytes", "source"), one, strict=True)) for one in listed]))
        return
    table = RichTable("name", "state", "size", "source", box=None, pad_edge=False, header_style="bold")
    for name, state, size, source in listed:
        table.add_row(name, state, f"{size / 1e6:.0f} MB", source)
    out.print(table)


@data.command()
def fetch(
    name: Annotated[str, typer.Argument(help="See `mgaudit data list`.", metavar="NAME")],
    quiet: QuietOption = False,
) -> None:
    """Download a published dataset into the cache folder, or check the files that are there."""
    with user_errors():
        from mgaudit.storage.ensembles import check_cache_folder
        from mgaudit.targets.datasets import published

        check_cache_folder()
        dataset = published(name)
        expected = sum(file.size for file in dataset.missing)
        with Downloaded(err, name, expected, silent=quiet) as progress:
            paths = dataset.fetch(progress)
    if not quiet:
        for path in paths:
            out.print(Text(str(path)), soft_wrap=True)


@runs.callback(invoke_without_command=True)
def runs_list(context: typer.Context, folder: RunsOption = Path("runs"), as_json: JsonOption = False) -> None:
    """List the run folders, the latest first; or show, compare or remove some."""
    if context.invoked_subcommand is not None:
        return
    with user_errors():
        listed = listed_runs(folder)
    if as_json:
        print(json.dumps([asdict(run) for run in listed]))
        return
    table = RichTable(box=None, pad_edge=False, header_style="bold")
    for column in ("run", "started", "what", "arms", "size"):
        table.add_column(column, overflow="fold")
    for run in listed:
        more = f" and {len(run.arms) - SHOWN_ARMS} more" if len(run.arms) > SHOWN_ARMS else ""
        arms = run.trouble or ", ".join(run.arms[:SHOWN_ARMS]) + more
        words = (run.name, run.started.replace("T", " ")[:16], run.what, arms, f"{run.bytes / 1e6:.1f} MB")
        table.add_row(*map(escape, words))
    out.print(table)


@runs.command()
def show(
    run_folder: Annotated[str, typer.Argument(help="A run folder, or its name in --runs.", metavar="RUN")],
    folder: RunsOption = Path("runs"),
) -> None:
    """Print a run's table and verdict, or a paper's claims."""
    with user_errors():
        path = RunFolder.find(run_folder, folder).path
        paper = read_paper(path)
        if paper is None:
            result, _ = read_result(path)
    if paper is None:
        print_result(result)
    else:
        print_paper(paper)


@runs.command(name="compare")
def runs_compare(
    first: Annotated[str, typer.Argument(help="A run folder, or its name in --runs.", metavar="RUN")],
    second: Annotated[str, typer.Argument(help="Another one.", metavar="RUN")],
    folder: RunsOption = Path("runs"),
) -> None:
    """Print which settings differ between two runs, and the numbers of the arms that both have."""
    with user_errors():
        one, other = read_runs([first, second], folder)
        tables = [settings_apart(one, other), numbers_apart(one, other)]
    for table in tables:
        if table.rows:
            out.print(wide(table) if out.width >= WIDE else narrow(table))
        for note in table.notes:
            out.print(Text(note, style="dim"))
        out.print()


@runs.command(name="remove")
def runs_remove(
    run_folders: Annotated[list[str], typer.Argument(help="Run folders, or their names in --runs.", metavar="RUN…")],
    folder: RunsOption = Path("runs"),
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete run folders with all that is in them; trained models stay in the cache."""
    with user_errors():
        paths = removable(run_folders, folder)
    if not yes and not typer.confirm(f"Delete {', '.join(path.name for path in paths)}?", err=True):
        raise typer.Exit(WRONG_USAGE)
    for path in paths:
        remove(path)


def _with_given(values: dict[str, Any], given: dict[str, Any], training: dict[str, Any]) -> dict[str, Any]:
    """Returns the settings with the options put in; an option that was not given (None) leaves them as they are."""
    changes, trained = ({key: value for key, value in one.items() if value is not None} for one in (given, training))
    return values | changes | {"training": values.get("training", {}) | trained}


def main() -> None:
    """Runs the command line."""
    # joblib and matplotlib log to the console what is of no use to who runs an audit.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    app()
