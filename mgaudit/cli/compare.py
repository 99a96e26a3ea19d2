"""`mgaudit compare`: many arms on several targets, datasets and seeds."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

import mgaudit
from mgaudit.cli.ending import reported
from mgaudit.cli.fail_if import (
    FailIfOption,
    FailUnlessOption,
    checked_conditions,
    fail_if_met,
    refuse_with_shard,
)
from mgaudit.cli.names import of_studies
from mgaudit.cli.options import (
    JsonOption,
    NewFolderOption,
    QuietOption,
    ShardOption,
    with_options,
)
from mgaudit.cli.own_output import own_output
from mgaudit.cli.shards import print_shard
from mgaudit.settings.arguments import COMPARE, OUTPUT, RUNS

StudyArgument = Annotated[
    Path | None,
    typer.Argument(
        help="A study file, the name of a study, or the settings.toml of an earlier run.",
        metavar="STUDY",
        autocompletion=of_studies,
    ),
]
DryRunOption = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Print what would be trained and how long it takes, and train nothing.",
        rich_help_panel=OUTPUT,
    ),
]


@with_options(COMPARE)
def compare(
    study: StudyArgument = None,
    *,
    options: dict[str, Any],
    dry_run: DryRunOption = False,
    shard: ShardOption = None,
    out_folder: NewFolderOption = RUNS,
    fail_if: FailIfOption = None,
    fail_unless: FailUnlessOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Compare many arms: train them on every target, dataset and seed, and write one report.

    - `mgaudit compare quick`
    - `mgaudit compare --scheme none --scheme dropout:rate=0.2 --seed 0 --seed 1`

    STUDY is a TOML file, as in studies/, or the name of one; options replace what it says. Without
    a study, name the arms with --scheme.
    """
    with reported():
        refuse_with_shard(shard, fail_if=fail_if, fail_unless=fail_unless, dry_run=dry_run)
    if dry_run:
        with reported():
            checked_conditions(fail_if, fail_unless)
        _print_estimate(study, options, as_json, quiet)
        return
    if shard is not None:
        with reported("the training"), own_output(quiet):
            from mgaudit.shards import compare_shard

            trained = compare_shard(shard, study, **options, quiet=quiet)
        print_shard(trained, as_json, quiet)
        return
    with reported(), own_output(quiet) as own:
        conditions = checked_conditions(fail_if, fail_unless)
        result = mgaudit.compare(study, **options, out=out_folder, quiet=quiet)
        own.folder = result.path
    from mgaudit.cli.printing import print_run

    print_run(result, as_json, quiet)
    fail_if_met(result, conditions, quiet)


def _print_estimate(
    study: Path | None, options: dict[str, Any], as_json: bool, quiet: bool
) -> None:
    with reported(), own_output(quiet):
        estimate = mgaudit.estimate(study, **options, quiet=quiet)
    if as_json:
        print(json.dumps({**asdict(estimate), "seconds": estimate.seconds}))
    elif not quiet:
        from mgaudit.cli.estimate import print_estimate

        print_estimate(estimate)
