"""The arrays of a study: how each is named, and how they are written and read."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError

ARRAYS_FILE = "arrays.npz"
RUN_AGAIN = "run it again"

# By name: `membership`, `labels` and `roc_fpr` of the study, and those of its arms, which `array_name` names.
Arrays = dict[str, NDArray[Any]]


def array_name(arm: int, *parts: str) -> str:
    """Returns the name of an array of the arm with this index, such as `arm0/lira/scores`."""
    return "/".join((f"arm{arm}", *parts))


def attack_scores(arrays: Arrays, arm: int, attack: str) -> NDArray[np.float64]:
    """Returns the scores (targets, examples) of an attack."""
    return arrays[array_name(arm, attack, "scores")]


def attack_tpr(arrays: Arrays, arm: int, attack: str) -> NDArray[np.float64]:
    """Returns the true positive rates of an attack at the false positive rates `roc_fpr`, the mean over targets."""
    return arrays[array_name(arm, attack, "roc_tpr")]


def example_ranks(arrays: Arrays, arm: int) -> NDArray[np.float32]:
    """Returns the share of non-members (targets, examples) that each example outranks under the first attack."""
    return arrays[array_name(arm, "ranks")]


def exposed_pictures(arrays: Arrays, arm: int) -> NDArray[np.uint8] | None:
    """Returns the pictures of the arm's most exposed examples, or None where the data are no pictures."""
    return arrays.get(array_name(arm, "most_exposed_pictures"))


def moved_arm(arrays: Arrays, arm: int, to: int) -> Arrays:
    """Returns the arrays of one arm alone, under the names of the arm with the index `to`."""
    prefix = array_name(arm, "")
    return {
        array_name(to, name.removeprefix(prefix)): values
        for name, values in arrays.items()
        if name.startswith(prefix)
    }


def arrays_to_bytes(studies: Sequence[Arrays]) -> bytes:
    """Returns the arrays of each study as a compressed npz archive."""
    buffer = io.BytesIO()
    named = {
        f"study{index}/{name}": values
        for index, arrays in enumerate(studies)
        for name, values in arrays.items()
    }
    np.savez_compressed(buffer, **named)  # type: ignore[arg-type]
    return buffer.getvalue()


def read_arrays(folder: Path, studies: int) -> list[Arrays]:
    """Returns the arrays of each of the studies in a run folder.

    Raises UsageError where the file is missing or cannot be read.
    """
    path = folder / ARRAYS_FILE
    if not path.is_file():
        raise UsageError(str(folder), f"is not complete: {ARRAYS_FILE} is missing", None, RUN_AGAIN)
    arrays: list[Arrays] = [{} for _ in range(studies)]
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            for name in archive.files:
                study, _, rest = name.partition("/")
                arrays[int(study.removeprefix("study"))][rest] = archive[name]
    except Exception as error:  # numpy and zipfile raise a dozen kinds for damaged files
        raise UsageError(
            str(path), f"cannot be read: {type(error).__name__}: {error}", None, RUN_AGAIN
        ) from error
    return arrays
