"""The option --fail-if: exit code 3 where the numbers of a result meet a condition."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from mgaudit.cli.ending import CONDITION_MET, print_error
from mgaudit.errors import UsageError
from mgaudit.settings.arguments import OUTPUT

if TYPE_CHECKING:
    from mgaudit.conditions import Condition
    from mgaudit.result import Result

NAME = "--fail-if"
FailIfOption = Annotated[
    list[str] | None,
    typer.Option(
        NAME,
        metavar="<str>",
        help="Exit code 3 if true, as in auc>0.55; repeatable.",
        rich_help_panel=OUTPUT,
    ),
]


def checked_conditions(texts: Sequence[str] | None) -> "list[Condition]":
    """Returns the conditions of the option. Raises UsageError for a text that is no condition."""
    if not texts:
        return []
    from mgaudit.conditions import parse_condition

    try:
        return [parse_condition(text) for text in texts]
    except UsageError as error:
        raise UsageError(NAME, error.rule, error.value, error.way_out) from error


def fail_if_met(result: "Result", conditions: "Sequence[Condition]") -> None:
    """Prints a line on stderr for each failure, and ends the command with exit code 3 if any."""
    if not conditions:
        return
    from mgaudit.conditions import failures

    failed = failures(result.record, conditions)
    for failure in failed:
        print_error(f"{NAME} {failure}")
    if failed:
        raise typer.Exit(CONDITION_MET)
