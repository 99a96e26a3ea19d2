"""`mgaudit audit-checkpoint`: an audit of a model that was trained before."""

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
from mgaudit.errors import UsageError
from mgaudit.settings.arguments import AUDIT_CHECKPOINT, RUNS


@with_options(AUDIT_CHECKPOINT)
def audit_checkpoint(
    checkpoint: Annotated[
        Path, typer.Argument(help="Weights: safetensors, or a state dict of torch.", metavar="FILE")
    ],
    *,
    options: dict[str, Any],
    out_folder: NewFolderOption = RUNS,
    fail_if: FailIfOption = None,
    fail_unless: FailUnlessOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Audit a model that was trained before, with shadow models trained for it.

    - `mgaudit audit-checkpoint model.safetensors --members 0:600 --target cnn`
    """
    both = fail_if, fail_unless
    with reported(), own_output(quiet) as own, conditions_on(*both) as conditions:
        if "members" not in options:
            raise UsageError("members", "must be given", None, "such as --members members.npy")
        result = mgaudit.audit_checkpoint(checkpoint, **options, out=out_folder, quiet=quiet)
        own.folder = result.path
    from mgaudit.cli.printing import print_run

    print_run(result, as_json, quiet)
    fail_if_met(result, conditions, quiet)
