"""Options of commands: those of settings are made from `mgaudit.settings.arguments`."""

import functools
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from mgaudit.cli.names import of_argument, of_runs
from mgaudit.settings.arguments import JOBS, OUTPUT, RUNS, Argument

NewFolderOption = Annotated[
    Path,
    typer.Option(
        "--out",
        help=f"Parent of the run directory (default: {RUNS}).",
        show_default=False,
        rich_help_panel=OUTPUT,
    ),
]
RunArgument = Annotated[
    str,
    typer.Argument(
        help="A run: its path, name, beginning of its hash, or latest.",
        metavar="RUN",
        autocompletion=of_runs,
    ),
]
RunsArgument = Annotated[
    list[str],
    typer.Argument(
        help="Runs, each by its path, name, beginning of its hash, or latest.",
        metavar="RUN…",
        autocompletion=of_runs,
    ),
]
RunsOption = Annotated[Path, typer.Option("--runs", help="Directory with run directories.")]
JobsOption = Annotated[int | None, typer.Option(help=JOBS.help, rich_help_panel=JOBS.group)]
ShardOption = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="<str>",
        help="Only train share I of N, as in 1/3.",
        rich_help_panel=JOBS.group,
    ),
]
DryRunOption = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Print plan and time, and train nothing.",
        rich_help_panel=OUTPUT,
    ),
]
QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print nothing but errors.", rich_help_panel=OUTPUT)
]
JsonOption = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print only the result, as JSON, on stdout.",
        rich_help_panel=OUTPUT,
    ),
]


def option(argument: Argument) -> inspect.Parameter:
    """Returns a command's parameter for the argument, with the default None."""
    switch = [f"--{argument.name.replace('_', '-')}"] if argument.only_on else []
    info = typer.Option(
        None,
        *switch,
        help=argument.help,
        rich_help_panel=argument.group,
        autocompletion=of_argument(argument),
        metavar="[N]" if argument.bare else None,
    )
    kind: Any = list[argument.kind] if argument.several else argument.kind  # type: ignore[name-defined]
    return inspect.Parameter(
        argument.name, inspect.Parameter.KEYWORD_ONLY, default=info, annotation=kind | None
    )


def with_options(
    arguments: Sequence[Argument],
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Returns a decorator that replaces a command's parameter `options` by one for each argument.

    The command gets a dict with the values that the user gave, by name.
    """
    parameters = [option(argument) for argument in arguments]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def with_collected(**values: Any) -> None:
            options = {parameter.name: values.pop(parameter.name) for parameter in parameters}
            command(**values, options=not_none(options))

        signature = inspect.signature(command)
        own = [value for name, value in signature.parameters.items() if name != "options"]
        all_parameters = _arguments_first([*parameters, *own])
        vars(with_collected)["__signature__"] = signature.replace(parameters=all_parameters)
        with_collected.__annotations__ = {
            parameter.name: parameter.annotation for parameter in all_parameters
        }
        return with_collected

    return decorate


def _arguments_first(parameters: list[inspect.Parameter]) -> list[inspect.Parameter]:
    return sorted(parameters, key=lambda parameter: parameter.kind)


def not_none(options: dict[str, Any]) -> dict[str, Any]:
    """Returns the options that the user gave."""
    return {name: value for name, value in options.items() if value is not None}
