"""`mgaudit compare`: many arms on several targets, datasets and seeds."""

from pathlib import Path
from typing import Annotated, Any

import typer

import mgaudit
from mgaudit.cli.ending import reported
from mgaudit.cli.fail_if import (
    FailIfOption,
    FailUnlessOption,
    conditions_on,
    fail_if_met,
    refuse_with_shard,
)
from mgaudit.cli.names import of_studies
from mgaudit.cli.options import (
    DryRunOption,
    JsonOption,
    NewFolderOption,
    QuietOption,
    ShardOption,
    with_options,
)
from mgaudit.cli.own_output import own_output
from mgaudit.cli.shards import print_shard
from mgaudit.settings.arguments import COMPARE, RUNS

StudyArgument = Annotated[
    Path | None,
    typer.Argument(
        help="A study file, the name of a study, or the settings.toml of an earlier run.",
        metavar="STUDY",
        autocompletion=of_studies,
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
        with reported(), own_output(quiet), conditions_on(fail_if, fail_unless):
            estimate = mgaudit.estimate(study, **options, quiet=quiet)
        from mgaudit.cli.estimate import print_estimate

        print_estimate(estimate, as_json, quiet)
        return
    if shard is not None:
        with reported("the training"), own_output(quiet):
            from mgaudit.shards import compare_shard

            trained = compare_shard(shard, study, **options, quiet=quiet)
        print_shard(trained, as_json, quiet)
        return
    both = fail_if, fail_unless
    with reported(), own_output(quiet) as own, conditions_on(*both) as conditions:
        result = mgaudit.compare(study, **options, out=out_folder, quiet=quiet)
        own.folder = result.path
    from mgaudit.cli.printing import print_run

    print_run(result, as_json, quiet)
    fail_if_met(result, conditions, quiet)
