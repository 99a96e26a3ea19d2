"""`mgaudit score`: an audit of outputs or scores that were made elsewhere."""

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
)
from mgaudit.cli.options import JsonOption, NewFolderOption, QuietOption, with_options
from mgaudit.cli.own_output import own_output
from mgaudit.interrupts import NOTHING_KEPT
from mgaudit.settings.arguments import RUNS, SCORE


@with_options(SCORE)
def score(
    path: Annotated[
        Path,
        typer.Argument(
            help="npz file, CSV or Parquet file, or directory of LiRA's code.", metavar="PATH"
        ),
    ],
    *,
    options: dict[str, Any],
    out_folder: NewFolderOption = RUNS,
    fail_if: FailIfOption = None,
    fail_unless: FailUnlessOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Audit outputs or scores of models that were trained elsewhere.

    - `mgaudit score logits.npz --attack rmia --attack loss`
    - `mgaudit score scores.csv`
    - `mgaudit score experiments/`

    A npz file holds logits (models, examples, classes), labels (examples) and membership (models,
    examples); a CSV file the columns score and member, and optionally model, example, label, group.
    """
    both = fail_if, fail_unless
    with (
        reported(kept=NOTHING_KEPT),
        own_output(quiet) as own,
        conditions_on(*both) as conditions,
    ):
        attacks, targets = options.pop("attack", None), options.pop("target", None)
        result = mgaudit.score(
            path, attacks=attacks, targets=targets, **options, out=out_folder, quiet=quiet
        )
        own.folder = result.path
    from mgaudit.cli.printing import print_run

    print_run(result, as_json, quiet)
    fail_if_met(result, conditions, quiet)
