"""The options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

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
EpochsOption = Annotated[int | None, typer.Option(help="Passes over the training data (default: 30).")]
BatchSizeOption = Annotated[int | None, typer.Option(help="Examples per step (default: 64).")]
OptimizerOption = Annotated[str | None, typer.Option(help="sgd (momentum, cosine) or adam (default: sgd).")]
LearningRateOption = Annotated[
    float | None, typer.Option(help="At the start of the cosine (default: sgd 0.02, adam 0.001, DP-SGD 0.05).")
]
AugmentOption = Annotated[
    str | None, typer.Option(help="none, flips or crops: of images, anew each time (default: none).")
]
ClientsOption = Annotated[
    int | None,
    typer.Option(help="Clients that train on shares of the examples, by local SGD (default: 1, no sharing)."),
]
LocalStepsOption = Annotated[
    int | None, typer.Option(help="Steps of each client between two averagings of their weights (default: 1).")
]
PrecisionOption = Annotated[str | None, typer.Option(help="float32, or on a GPU tf32 or bf16 (default: float32).")]
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
