"""The arrays of a study: their names, and how they are written and read."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError
from mgaudit.reports.checksums import open_checked
from mgaudit.reports.files import ARRAYS_FILE
from mgaudit.reports.limits import ARRAYS_BYTES, ARRAYS_RATIO

RUN_AGAIN = "run it again"
FREE_BYTES = 2**28  # unpacked, for which any ratio is accepted

# By name: `membership`, `labels` and `roc_fpr` of the study, and the arms' (see `array_name`).
Arrays = dict[str, NDArray[Any]]


def array_name(arm: int, *parts: str) -> str:
    """Returns the name of an array of the arm with this index, such as `arm0/lira/scores`."""
    return "/".join((f"arm{arm}", *parts))


def attack_scores(arrays: Arrays, arm: int, attack: str) -> NDArray[np.float64]:
    """Returns the scores of an attack, (targets, examples); higher means member."""
    return arrays[array_name(arm, attack, "scores")]


def attack_tpr(arrays: Arrays, arm: int, attack: str) -> NDArray[np.float64]:
    """Returns the true positive rates of an attack, the mean over targets.

    The array has the shape of `roc_fpr`, the false positive rates, and holds fractions.
    """
    return arrays[array_name(arm, attack, "roc_tpr")]


def example_ranks(arrays: Arrays, arm: int) -> NDArray[np.float32]:
    """Returns the rank of each example under the first attack, (targets, examples).

    The rank is the share of the target's non-members with a lower score, in 0..1.
    """
    return arrays[array_name(arm, "ranks")]


def exposed_pictures(arrays: Arrays, arm: int) -> NDArray[np.uint8] | None:
    """Returns the images of the arm's most exposed examples; None if the examples are no images."""
    return arrays.get(array_name(arm, "most_exposed_pictures"))


def moved_arm(arrays: Arrays, arm: int, to: int) -> Arrays:
    """Returns the arrays of one arm, renamed as those of the arm with the index `to`."""
    prefix = array_name(arm, "")
    moved = {}
    for name, values in arrays.items():
        if name.startswith(prefix):
            moved[array_name(to, name.removeprefix(prefix))] = values
    return moved


def arrays_to_bytes(studies: Sequence[Arrays]) -> bytes:
    """Returns the arrays of each study as a compressed npz archive."""
    named: dict[str, NDArray[Any]] = {}
    for index, arrays in enumerate(studies):
        named |= {f"study{index}/{name}": values for name, values in arrays.items()}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **named)  # type: ignore[arg-type]
    return buffer.getvalue()


def read_arrays(folder: Path, studies: int) -> list[Arrays]:
    """Returns the arrays of each of the studies in a run folder.

    Raises:
        UsageError: The file is missing, unreadable, or was changed after the run.
    """
    path = folder / ARRAYS_FILE
    if not path.is_file():
        raise UsageError(str(folder), f"is not complete: {ARRAYS_FILE} is missing", None, RUN_AGAIN)
    arrays: list[Arrays] = [{} for _ in range(studies)]
    try:
        with open_checked(path) as file:
            _check_size(path, file)
            archive = np.load(file, allow_pickle=False)
            for name in archive.files:
                study, _, rest = name.partition("/")
                index = int(study.removeprefix("study"))
                arrays[index][rest] = archive[name]
    except UsageError:
        raise
    except Exception as error:  # numpy and zipfile raise many kinds for a damaged file
        # The messages of numpy are not shown: one of them recommends to load a pickle.
        kind = type(error).__name__
        rule = f"cannot be read: it is not an archive of numerical arrays ({kind})"
        raise UsageError(str(path), rule, None, RUN_AGAIN) from error
    return arrays


def _check_size(path: Path, file: IO[bytes]) -> None:
    """Raises UsageError for an archive that unpacks to more than scores can. Rewinds the file."""
    with ZipFile(file) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    ARRAYS_BYTES.check(str(path), unpacked)
    if unpacked > FREE_BYTES:
        ARRAYS_RATIO.check(str(path), unpacked // max(path.stat().st_size, 1))
    file.seek(0)
