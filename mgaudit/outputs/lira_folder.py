"""Outputs in the directories that LiRA code writes (Carlini et al. 2022, arXiv 2112.03570).

Each experiment is a directory with `keep.npy`, the membership (examples,), and the outputs of one
model in `logits/` or `scores/`, a file for each epoch. Reimplementations write `logits.npy` and
`scores.npy` instead. The labels are in `y_train.npy` beside the experiments.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mgaudit.errors import UsageError
from mgaudit.outputs.labels import as_labels
from mgaudit.outputs.membership import as_membership
from mgaudit.outputs.outputs_file import OutputsFile, counted, natural_order, shown
from mgaudit.targets.arrays.array_like import Array
from mgaudit.targets.arrays.finite import real_numbers, refuse_not_finite
from mgaudit.targets.arrays.npy_array import load_npy
from mgaudit.targets.free_memory import check_memory

LOGITS, SCORES, KEEP = "logits", "scores", "keep.npy"
LABELS, INPUTS = "y_train.npy", "x_train.npy"
LAYOUT = (
    "an experiment is a directory with keep.npy, and with logits/ or scores/ that has npy files"
)
MOVE = "move the experiment elsewhere"
SHAPES = {
    LOGITS: "(examples, 1, augmentations, classes), (examples, augmentations, classes) or "
    "(examples, classes)",
    SCORES: "(examples,) or (examples, augmentations)",
}
MEMORY_OF_A_BYTE = 3  # the outputs, and what attacks make of them
AXES = {LOGITS: ("example", "augmentation", "class"), SCORES: ("example", "augmentation")}


@dataclass(frozen=True)
class Model:
    """The outputs of an experiment, mapped into memory.

    Args:
        file: The file of the outputs.
        files: Number of files, one for each epoch, of which `file` is the last.
        outputs: Logits (examples, augmentations, classes), or scores (examples, augmentations).
    """

    file: Path
    files: int
    outputs: Array


def read_lira_folder(folder: Path) -> OutputsFile:
    """Returns the logits or scores of all experiments in a directory, in natural order.

    Logits (models, examples, augmentations, classes) are preferred. Scores, which are phi = log(p_y
    / (1 - p_y)), become `confidences` (models, examples, augmentations). Of several epochs, the
    last one is read. As in the original code, labels, inputs and keep.npy may be of a longer
    dataset; only their first rows are then used.

    Raises:
        UsageError: For missing files, for files that do not fit to the others, and for logits
            without labels; the message names the file.
    """
    experiments = _experiments(folder)
    labels_file, inputs_file = _beside(folder, LABELS), _beside(folder, INPUTS)
    kind = _kind_of_outputs(folder, experiments, labels_file is not None)
    models = [_model(experiment, kind) for experiment in experiments]
    _check_shapes(models)
    size = sum(model.outputs.nbytes for model in models)
    what = f"{kind} of {size:,} bytes"
    check_memory(shown(folder), MEMORY_OF_A_BYTE * size, what, "score fewer experiments")
    outputs = np.stack([model.outputs for model in models])
    _, examples, augmentations = outputs.shape[:3]
    keeps = [_first_rows(experiment / KEEP, examples) for experiment in experiments]
    membership = [
        as_membership(shown(experiment / KEEP), keep.array, 1, examples)
        for experiment, keep in zip(experiments, keeps, strict=True)
    ]
    arguments: dict[str, Any] = {
        LOGITS if kind == LOGITS else "confidences": outputs,
        "membership": np.concatenate(membership),
    }
    notes = [*_epochs(models), keeps[0].note]
    if labels_file is None:
        notes.append(f"no {LABELS}")
    else:
        labels = _first_rows(labels_file, examples)
        classes = outputs.shape[-1] if kind == LOGITS else None
        arguments["labels"] = as_labels(shown(labels_file), labels.array, classes)
        notes.append(labels.note)
    if inputs_file is not None:
        inputs = _first_rows(inputs_file, examples)
        arguments["inputs"] = inputs.array
        notes.append(inputs.note)
    sizes = [counted(examples, "example"), counted(augmentations, "augmentation")]
    sizes += [counted(outputs.shape[-1], "class")] if kind == LOGITS else []
    what = f"{kind} of {counted(len(models), 'experiment')}, {', '.join(sizes)}"
    description = f"LiRA directory {shown(folder)}: {what}; {', '.join(notes)}"
    names = tuple(shown(Path(experiment.name)) for experiment in experiments)
    return OutputsFile("lira", description, arguments, models=names)


def _experiments(folder: Path) -> list[Path]:
    """Returns the directories of the experiments in natural order, each with keep.npy.

    Raises:
        UsageError: Where there are none, and for an experiment without keep.npy.
    """
    if (folder / KEEP).is_file():
        return [folder]
    experiments = _experiments_in(folder)
    if not experiments:
        rule = "must have experiments of LiRA code"
        raise UsageError(shown(folder), rule, "none", _way_out_of_none(folder))
    for experiment in experiments:
        if not (experiment / KEEP).is_file():
            key = shown(experiment)
            raise UsageError(key, f"must have the file {KEEP}", "none", f"add it, or {MOVE}")
    return experiments


def _experiments_in(folder: Path) -> list[Path]:
    """Returns the subdirectories that have files of an experiment or its name."""
    experiments = []
    for path in folder.iterdir():
        if not path.is_dir() or path.name.startswith("."):
            continue
        has_files = (path / KEEP).is_file() or _files(path, LOGITS) or _files(path, SCORES)
        if has_files or path.name.startswith("experiment-"):
            experiments.append(path)
    return sorted(experiments, key=lambda path: natural_order(path.name))


def _way_out_of_none(folder: Path) -> str:
    if (folder / "result.json").is_file():
        return "this is a run directory of mgaudit; use mgaudit report"
    for path in sorted(folder.iterdir()):
        if path.is_dir() and _experiments_in(path):
            return f"give the directory {shown(path)}"
        if path.suffix in (".npz", ".csv", ".parquet"):
            return f"give a file, such as {shown(path)}"
    return LAYOUT


def _beside(folder: Path, name: str) -> Path | None:
    """Returns the file of this name in the directory or its parent, or None."""
    for directory in (folder, folder.resolve().parent):
        if (directory / name).is_file():
            return directory / name
    return None


def _files(experiment: Path, kind: str) -> list[Path]:
    """Returns the files of logits or scores by epoch; hidden files are left out."""
    single = experiment / f"{kind}.npy"
    files = [path for path in (experiment / kind).glob("*.npy") if not path.name.startswith(".")]
    if not files and single.is_file():
        return [single]
    return sorted(files, key=lambda path: natural_order(path.stem))


def _kind_of_outputs(folder: Path, experiments: list[Path], has_labels: bool) -> str:
    """Returns whether to read logits or scores.

    Raises:
        UsageError: Where an experiment has neither, and for logits without labels.
    """
    without = {
        kind: [path for path in experiments if not _files(path, kind)] for kind in (LOGITS, SCORES)
    }
    if has_labels and not without[LOGITS]:
        return LOGITS
    if not without[SCORES]:
        return SCORES
    if without[LOGITS]:
        kind = LOGITS if len(without[LOGITS]) <= len(without[SCORES]) else SCORES
        rule = "must have npy files in logits/ or scores/, in the same one as other experiments"
        way_out = f"compute its {kind}, or {MOVE}"
        raise UsageError(shown(without[kind][0]), rule, "none", way_out)
    rule = f"must have the labels in {LABELS}, because logits need them"
    way_out = f"save the class numbers of the examples as {LABELS} in this directory"
    raise UsageError(shown(folder), rule, "none", way_out)


def _model(experiment: Path, kind: str) -> Model:
    files = _files(experiment, kind)
    for file in files:
        if len(files) > 1 and not any(letter.isdecimal() for letter in file.stem):
            rule = "must have a number, the epoch, in its name, beside other files"
            raise UsageError(shown(file), rule, None, "move the file elsewhere")
    file = files[-1]
    key = shown(file)
    array = load_npy(key, file)
    shape = array.shape
    if array.ndim == len(AXES[kind]) + 1 and shape[1] == 1:
        shape = (shape[0], *shape[2:])
    elif array.ndim == len(AXES[kind]) - 1:
        shape = (shape[0], 1, *shape[1:])
    if len(shape) != len(AXES[kind]) or 0 in shape:
        raise UsageError(key, f"must have the shape {SHAPES[kind]}", f"shape {array.shape}")
    real_numbers(key, array[:1])  # refuses other types
    outputs = array.reshape(shape)
    refuse_not_finite(key, outputs, AXES[kind], f"compute its {kind} again, or {MOVE}")
    return Model(file, len(files), outputs)


def _check_shapes(models: list[Model]) -> None:
    first = models[0]
    for model in models:
        if model.outputs.shape != first.outputs.shape:
            rule = f"must have the shape {first.outputs.shape} of {shown(first.file)}"
            value = f"shape {model.outputs.shape}"
            raise UsageError(shown(model.file), rule, value, f"compute it again, or {MOVE}")


def _epochs(models: list[Model]) -> list[str]:
    """Returns a note on the epochs that were read, if there are several."""
    names = sorted({model.file.name for model in models}, key=natural_order)
    if len(names) > 1:
        return [f"the last epoch of each, {names[0]} to {names[-1]}"]
    epochs = max(model.files for model in models)
    return [f"the last of {epochs} epochs, {names[0]}"] if epochs > 1 else []


@dataclass(frozen=True)
class _Rows:
    """The rows of the audited examples in a file, and a note that names the file."""

    array: Array
    note: str


def _first_rows(file: Path, examples: int) -> _Rows:
    array = load_npy(shown(file), file)
    rows = len(array) if array.ndim else 0
    if rows < examples:
        rule = f"must have a row for each of {counted(examples, 'example')} of the outputs"
        way_out = "save the rows of all examples, in the order of the outputs"
        raise UsageError(shown(file), rule, f"shape {array.shape}", way_out)
    note = file.name if rows == examples else f"the first {examples} of {rows} in {file.name}"
    return _Rows(array[:examples], note)
