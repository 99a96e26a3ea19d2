"""The options that several commands share."""

import functools
import inspect
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Any

import typer

from mgaudit.errors import UsageError, did_you_mean
from mgaudit.reports.formats.render import DEFAULT_FORMATS

DatasetOption = Annotated[
    str | None, typer.Option(help="A dataset of `mgaudit list datasets`, as in folder:PATH (default: digits).")
]
TargetOption = Annotated[
    str | None,
    typer.Option(
        help="See `mgaudit list targets`; options as in mlp:hidden=512x256; your own: module:Class (default: cnn)."
    ),
]
EpsilonOption = Annotated[float | None, typer.Option(help="ε of DP-SGD (default: 8; audit-dp: 2).")]
DeltaOption = Annotated[float | None, typer.Option(help="δ of DP-SGD (default: 1/n^1.1).")]
ModelsOption = Annotated[int | None, typer.Option(help="Models per arm, each the target in turn (default: 16).")]
ExamplesOption = Annotated[int | None, typer.Option(help="Examples to audit (default: all).")]
StackOption = Annotated[
    str | None, typer.Option(help="Models trained as one: a number, or auto to measure (default: auto).")
]
SeedOption = Annotated[int | None, typer.Option(help="Determines everything random (default: 0).")]
DeviceOption = Annotated[str | None, typer.Option(help="auto, cpu or cuda (default: auto).")]
SettingsOption = Annotated[
    Path | None, typer.Option(help="A settings.toml of an earlier run; other options change what it says.")
]
JobsOption = Annotated[int | None, typer.Option(min=1, help="Worker processes (default: one per core; 1 on a GPU).")]
NewFolderOption = Annotated[Path, typer.Option("--out", help="Folder that the run folder is made in.")]
OutOption = Annotated[Path, typer.Option(help="Folder that run folders are made in.")]
RunsOption = Annotated[Path, typer.Option("--runs", help="Folder that run folders are in.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else, on stdout.")]

TRAINING = {
    "epochs": Annotated[int | None, typer.Option(help="Passes over the training data (default: 30).")],
    "batch_size": Annotated[int | None, typer.Option(help="Examples per step (default: 64).")],
    "optimizer": Annotated[str | None, typer.Option(help="sgd (momentum, cosine) or adam (default: sgd).")],
    "learning_rate": Annotated[
        float | None, typer.Option(help="At the start of the cosine (default: sgd 0.02, adam 0.001, DP-SGD 0.05).")
    ],
    "augment": Annotated[
        str | None, typer.Option(help="none, flips or crops: of images, anew each time (default: none).")
    ],
    "clients": Annotated[
        int | None,
        typer.Option(help="Clients that train on shares of the examples, by local SGD (default: 1, no sharing)."),
    ],
    "local_steps": Annotated[
        int | None, typer.Option(help="Steps of each client between two averagings of their weights (default: 1).")
    ],
    "precision": Annotated[str | None, typer.Option(help="float32, or on a GPU tf32 or bf16 (default: float32).")],
}


def with_training_options(*left_out: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Returns a decorator that replaces a command's parameter `training` by one option for each training setting.

    The command gets the values that the user gave, by name. The settings in `left_out` get no option.
    """
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in TRAINING.items()
        if name not in left_out
    ]

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
        with_collected.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return with_collected

    return decorate


def given(options: dict[str, Any]) -> dict[str, Any]:
    """Returns the options that the user gave: those with a value other than None."""
    return {name: value for name, value in options.items() if value is not None}


def edited(settings: dict[str, Any], options: dict[str, Any], training: dict[str, Any]) -> dict[str, Any]:
    """Returns the settings with the given options put in; other settings stay as they are."""
    return settings | given(options) | {"training": settings.get("training", {}) | training}


def chosen_formats(names: list[str] | None, known: Collection[str]) -> list[str]:
    """Returns the formats of the reports, those by default for None. Raises UsageError for one that is not known."""
    formats = names or list(DEFAULT_FORMATS)
    for name in formats:
        if name not in known:
            raise UsageError("--format", f"must be one of {', '.join(known)}", repr(name), did_you_mean(name, known))
    return formats
