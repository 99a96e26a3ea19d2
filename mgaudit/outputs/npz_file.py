"""Outputs in a npz file."""

from pathlib import Path
from typing import Any
from zipfile import ZipFile

from mgaudit.errors import UsageError, did_you_mean
from mgaudit.outputs.outputs_file import OutputsFile, shown
from mgaudit.targets.arrays.npy_array import SAVED_NPZ, load_member
from mgaudit.targets.own_module import one_line

KINDS = ("logits", "probabilities", "confidences", "scores")
POPULATIONS = ("population_logits", "population_probabilities", "population_confidences")
NAMES = (
    *KINDS,
    "labels",
    "membership",
    *POPULATIONS,
    "population_labels",
    "inputs",
    "groups",
)
# Names that others use, which are too different to be found by their letters.
OTHER_NAMES = {
    "keep": "membership",
    "mask": "membership",
    "in_out": "membership",
    "y": "labels",
    "y_train": "labels",
    "targets": "labels",
    "probs": "probabilities",
    "predictions": "probabilities",
    "phi": "confidences",
    "x": "inputs",
    "x_train": "inputs",
}
EXAMPLE = "numpy.savez(path, logits=..., labels=..., membership=...)"


def read_npz(path: Path) -> OutputsFile:
    """Returns the outputs in a npz file with arrays of the documented names.

    One of `logits`, `probabilities`, `confidences` and `scores` is required, and `membership`.
    `labels` are required for logits and probabilities. Optional arrays are `inputs`, `groups`, and
    the population's `population_labels` and `population_` with the name of the outputs.

    Raises:
        UsageError: For a file that cannot be read, and for missing and unknown names.
    """
    key = shown(path)
    try:
        with ZipFile(path) as archive:
            names = _names(key, archive)
            arrays = {name: load_member(f"{key}: {name}", archive, name) for name in names}
    except UsageError:
        raise
    except Exception as error:  # zipfile raises many kinds of errors for damaged files
        raise UsageError(key, "must be an npz archive", one_line(error), SAVED_NPZ) from error
    shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
    return OutputsFile("npz", f"npz file {key}: {shapes}", _arguments(arrays))


def _names(key: str, archive: ZipFile) -> list[str]:
    """Returns the names of the arrays in the order of NAMES.

    Raises:
        UsageError: For other names, and where names are missing or exclude each other.
    """
    files = archive.namelist()
    for file in files:
        if not file.endswith(".npy"):
            rule = "must have only arrays"
            raise UsageError(key, rule, f"the file {file!r}", f"write it with {EXAMPLE}")
    names = [file.removesuffix(".npy") for file in files]
    for name in names:
        if name not in NAMES:
            _refuse_name(key, name)
        if names.count(name) > 1:
            raise UsageError(key, "must have each array once", f"{name!r} twice", SAVED_NPZ)
    _check_required(key, names)
    return [name for name in NAMES if name in names]


def _refuse_name(key: str, name: str) -> None:
    way_out = did_you_mean(name, NAMES)
    if name.lower() in OTHER_NAMES:
        way_out = f"rename it to {OTHER_NAMES[name.lower()]!r}"
    elif name.startswith("arr_"):
        way_out = f"name the arrays, as in {EXAMPLE}"
    rule = f"must have only the arrays {', '.join(NAMES)}"
    raise UsageError(key, rule, repr(name), way_out or f"write it with {EXAMPLE}")


def _check_required(key: str, names: list[str]) -> None:
    kinds = [kind for kind in KINDS if kind in names]
    if len(kinds) != 1:
        rule = f"must have one of the arrays {', '.join(KINDS)}"
        value = ", ".join(kinds or names) or "no arrays"
        raise UsageError(key, rule, value, f"write it with {EXAMPLE}")
    (kind,) = kinds
    has_classes = kind in ("logits", "probabilities")
    required = ["membership", *(["labels"] if has_classes else [])]
    populations = [name for name in POPULATIONS if name in names]
    if populations:
        expected = f"population_{kind}"
        if populations != [expected]:
            rule = f"must have the outputs of the population in the form of its {kind}"
            way_out = "leave the population out"
            if kind != "scores":
                way_out = f"give {expected}, or {way_out}"
            raise UsageError(key, rule, ", ".join(populations), way_out)
        required += ["population_labels"] if has_classes else []
    elif "population_labels" in names:
        required += [f"population_{kind}"]
    for name in required:
        if name not in names:
            value = f"only {', '.join(names)}"
            raise UsageError(
                key, f"must have the array {name!r}", value, f"write it with {EXAMPLE}"
            )


def _arguments(arrays: dict[str, Any]) -> dict[str, Any]:
    """Returns the arguments of `mgaudit.score`, where probabilities are a kind of logits."""
    if "probabilities" not in arrays:
        return arrays
    renamed = {name.replace("probabilities", "logits"): array for name, array in arrays.items()}
    return {**renamed, "outputs": "probabilities"}
