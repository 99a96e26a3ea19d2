"""The options --fail-if and --fail-unless: exit code 3 by conditions on a result."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mgaudit.cli.ending import CONDITION_MET, print_error
from mgaudit.errors import UsageError
from mgaudit.settings.arguments import OUTPUT

if TYPE_CHECKING:
    from mgaudit.conditions import Condition
    from mgaudit.result import Result

FAIL_IF, FAIL_UNLESS = "--fail-if", "--fail-unless"


def _option(name: str, words: str) -> Any:
    return typer.Option(name, metavar="<str>", help=words, rich_help_panel=OUTPUT)


FailIfOption = Annotated[list[str] | None, _option(FAIL_IF, "Exit code 3 if true, as in auc>0.55.")]
FailUnlessOption = Annotated[
    list[str] | None, _option(FAIL_UNLESS, "Exit code 3 if not proved, as in auc<0.55.")
]


def checked_conditions(
    fail_if: Sequence[str] | None, fail_unless: Sequence[str] | None
) -> "list[Condition]":
    """Returns the conditions of both options. Raises UsageError for a text that is none."""
    if not fail_if and not fail_unless:
        return []
    from mgaudit.conditions import parse_condition

    conditions = []
    for name, texts in ((FAIL_IF, fail_if), (FAIL_UNLESS, fail_unless)):
        for text in texts or ():
            try:
                conditions.append(parse_condition(text, must_hold=name == FAIL_UNLESS))
            except UsageError as error:
                raise UsageError(name, error.rule, error.value, error.way_out) from error
    return conditions


def refuse_with_shard(shard: str | None, **options: object) -> None:
    """Raises UsageError for an option, by name, that says nothing of a share of the models."""
    for name, value in options.items():
        if shard is not None and value:
            option = f"--{name.replace('_', '-')}"
            way_out = "give it to the command without --shard, which attacks the models"
            raise UsageError(option, "must not be given with --shard", None, way_out)


def fail_if_met(result: "Result", conditions: "Sequence[Condition]", quiet: bool) -> None:
    """Prints what each condition says, and ends the command with exit code 3 if one fails.

    The lines are on stderr. `quiet` hides those of conditions that do not fail.
    """
    if not conditions:
        return
    from mgaudit.conditions import check

    is_failed = False
    for outcome in check(result.record, conditions):
        option = FAIL_UNLESS if outcome.condition.must_hold else FAIL_IF
        if outcome.is_failure:
            is_failed = True
            print_error(f"{option} {outcome}")
        elif not quiet:
            typer.echo(f"passed: {option} {outcome}", err=True)
    if is_failed:
        raise typer.Exit(CONDITION_MET)
