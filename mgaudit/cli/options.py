"""The options that several commands share. Those of training are made from the fields of its settings."""

import functools
import inspect
from collections.abc import Callable, Collection
from dataclasses import Field, fields
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from mgaudit.errors import UsageError, did_you_mean
from mgaudit.reports.formats.render import DEFAULT_FORMATS
from mgaudit.targets.ranges import range_in
from mgaudit.targets.training import Help, Training, choices

# The groups of options in a command's help.
NOISE, DATA, NETWORK, ATTACKS, TRAINING, MACHINE, OUTPUT = (
    "Noise",
    "Data",
    "Network",
    "Attacks",
    "Training",
    "Machine",
    "Output",
)

DatasetOption = Annotated[
    str | None,
    typer.Option(
        help="A dataset of `mgaudit list datasets`, as in folder:PATH (default: digits).",
        rich_help_panel=DATA,
    ),
]
TargetOption = Annotated[
    str | None,
    typer.Option(
        help="See `mgaudit list targets`, as in mlp:hidden=512x256 (default: cnn).",
        rich_help_panel=NETWORK,
    ),
]
EpsilonOption = Annotated[
    float | None, typer.Option(help="ε of DP-SGD (default: 8; audit-dp: 2).", rich_help_panel=NOISE)
]
DeltaOption = Annotated[
    float | None, typer.Option(help="δ of DP-SGD (default: 1/n^1.1).", rich_help_panel=NOISE)
]
ModelsOption = Annotated[
    int | None,
    typer.Option(
        help="Models per arm; each is the target in turn (default: 16).", rich_help_panel=DATA
    ),
]
ExamplesOption = Annotated[
    int | None, typer.Option(help="Examples to audit (default: all).", rich_help_panel=DATA)
]
StackOption = Annotated[
    str | None,
    typer.Option(
        help="Models trained as one: a number, or auto (default: auto).", rich_help_panel=MACHINE
    ),
]
SeedOption = Annotated[
    int | None, typer.Option(help="Random seed (default: 0).", rich_help_panel=DATA)
]
DeviceOption = Annotated[
    str | None, typer.Option(help="auto, cpu or cuda (default: auto).", rich_help_panel=MACHINE)
]
SettingsOption = Annotated[
    Path | None,
    typer.Option(
        help="settings.toml of an earlier run; other options override it.", rich_help_panel=OUTPUT
    ),
]
JobsOption = Annotated[
    int | None,
    typer.Option(
        help="Worker processes (default: one per core; 1 on a GPU).", rich_help_panel=MACHINE
    ),
]
NewFolderOption = Annotated[
    Path,
    typer.Option(
        "--out", help="Directory in which to create the run directory.", rich_help_panel=OUTPUT
    ),
]
OutOption = Annotated[Path, typer.Option(help="Directory with run directories.")]
RunsOption = Annotated[Path, typer.Option("--runs", help="Directory with run directories.")]
QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print nothing but errors.", rich_help_panel=OUTPUT)
]
JsonOption = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print the result as JSON, and nothing else, on stdout.",
        rich_help_panel=OUTPUT,
    ),
]


def training_option(field: "Field[Any]") -> inspect.Parameter | None:
    """Returns the option of a training setting; None for a setting without Help, which only a file can change."""
    help_ = next((part for part in get_args(field.type) if isinstance(part, Help)), None)
    if help_ is None:
        return None
    values, limits = choices(field.type), range_in(field.type)
    text = f"{help_.text}: {', '.join(values)}" if values else help_.text
    facts = [f"default: {help_.default or field.default}"]
    if limits is not None:
        facts.insert(0, str(limits))
    option = typer.Option(None, help=f"{text} ({'; '.join(facts)}).", rich_help_panel=TRAINING)
    kind = _plain_type(field.type) | None
    return inspect.Parameter(
        field.name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=kind
    )


def with_training_options(*left_out: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Returns a decorator that replaces a command's parameter `training` by one option for each training setting.

    The command gets the values that the user gave, by name. The settings in `left_out` get no option.
    """
    generated = (training_option(field) for field in fields(Training) if field.name not in left_out)
    options = [option for option in generated if option is not None]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def with_collected(**values: Any) -> None:
            training = given({option.name: values.pop(option.name) for option in options})
            command(**values, training=training)

        signature = inspect.signature(command)
        parameters: list[inspect.Parameter] = []
        for parameter in signature.parameters.values():
            parameters += options if parameter.name == "training" else [parameter]
        vars(with_collected)["__signature__"] = signature.replace(parameters=parameters)
        with_collected.__annotations__ = {
            parameter.name: parameter.annotation for parameter in parameters
        }
        return with_collected

    return decorate


def given(options: dict[str, Any]) -> dict[str, Any]:
    """Returns the options that the user gave: those with a value other than None."""
    return {name: value for name, value in options.items() if value is not None}


def chosen_formats(names: list[str] | None, known: Collection[str]) -> list[str]:
    """Returns the formats of the reports, those by default for None.

    Each text is one name, or several joined by commas. Raises UsageError for a name that is not known.
    """
    formats = [name.strip() for text in names or DEFAULT_FORMATS for name in text.split(",")]
    for name in formats:
        if name not in known:
            raise UsageError(
                "--format",
                f"must be one of {', '.join(known)}",
                repr(name),
                did_you_mean(name, known),
            )
    return formats


def _plain_type(hint: Any) -> Any:
    """Returns bool, int, float or str: what the command line reads for a setting of that type."""
    parts = [hint, *(inner for part in get_args(hint) for inner in (part, *get_args(part)))]
    return next((kind for kind in (bool, int, float) if kind in parts), str)
