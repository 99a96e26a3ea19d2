"""The options --fail-if and --fail-unless: exit code 3 by conditions on a result."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mgaudit.cli.ending import CONDITION_MET, FAILED, described, print_error
from mgaudit.errors import UsageError
from mgaudit.reports.files import CONDITIONS_FILE
from mgaudit.settings.arguments import OUTPUT
from mgaudit.storage.atomic import write_atomically

if TYPE_CHECKING:
    from mgaudit.conditions import Condition, Outcome
    from mgaudit.result import Result

FAIL_IF, FAIL_UNLESS = "--fail-if", "--fail-unless"


def _option(name: str, words: str) -> Any:
    return typer.Option(name, metavar="<str>", help=words, rich_help_panel=OUTPUT)


FailIfOption = Annotated[list[str] | None, _option(FAIL_IF, "Exit code 3 if true, as in auc>0.55.")]
FailUnlessOption = Annotated[
    list[str] | None, _option(FAIL_UNLESS, "Exit code 3 if not proved, as in auc<0.55.")
]


@contextmanager
def conditions_on(
    fail_if: Sequence[str] | None, fail_unless: Sequence[str] | None
) -> Iterator["list[Condition]"]:
    """Yields the conditions of both options. Raises UsageError for a text that is none.

    An audit within the context raises UsageError before it trains if it will not have the arm or
    attack that a condition names.
    """
    conditions = _conditions(fail_if, fail_unless)
    if not conditions:
        yield []
        return
    from mgaudit.planned_conditions import checked_before_training

    with checked_before_training(conditions):
        yield conditions


def _conditions(
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

    The lines are on stderr, and the run directory gets them in `conditions.json`. `quiet` hides
    the lines of conditions that do not fail.
    """
    if not conditions:
        return
    from mgaudit.conditions import check

    outcomes = check(result.record, conditions)
    for outcome in outcomes:
        line = f"{outcome.condition.option} {outcome}"
        if outcome.is_failure:
            print_error(line)
        elif not quiet:
            typer.echo(f"passed: {line}", err=True)
    _write(result, outcomes)
    if any(outcome.is_failure for outcome in outcomes):
        raise typer.Exit(CONDITION_MET)


def _write(result: "Result", outcomes: "Sequence[Outcome]") -> None:
    """Writes the outcomes into the run directory, or ends the command with exit code 1."""
    from mgaudit.conditions import conditions_record

    content = json.dumps(conditions_record(outcomes), indent=2, ensure_ascii=False) + "\n"
    try:
        write_atomically(result.path / CONDITIONS_FILE, content.encode())
    except OSError as error:
        print_error(f"error: {CONDITIONS_FILE} cannot be written: {described(error)}")
        raise typer.Exit(FAILED) from None
