"""Storage of what attacks, accountants and figures measured, by the hash of what determines it."""

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

from mgaudit import attacks
from mgaudit.storage.atomic import write_with_folder
from mgaudit.storage.checked_files import (
    DamagedFileError,
    content_of,
    load_arrays,
    set_damaged_aside,
    write_content,
)
from mgaudit.targets.cache import cache_folder

# What is stored, which is the folder in the cache, and what is done where a file is damaged.
MeasuredBy = Literal["attacks", "accountants", "figures"]
AGAIN: dict[MeasuredBy, str] = {
    "attacks": "attacking the models again",
    "accountants": "computing epsilon again",
    "figures": "training the models again",
}
# What decides about measurements beside the attacks: who calls them, the random streams, the names
# of the metrics, and the form in which measurements are stored.
CALLERS = (
    "study/mounting.py",
    "study/risk.py",
    "study/kept_measurements.py",
    "targets/seeds.py",
    "reports/findings.py",
)

StoredArrays = dict[str, NDArray[Any]]


@cache
def attack_code_sha256() -> str:
    """Returns the SHA-256 of the code that measures: `mgaudit.attacks`, and the `CALLERS`."""
    sha = hashlib.sha256()
    root = Path(attacks.__file__).parent
    package = Path(__file__).parents[1]
    for path in (*sorted(root.rglob("*.py")), *(package / caller for caller in CALLERS)):
        sha.update(path.name.encode() + b"\0" + path.read_bytes())
    return sha.hexdigest()


def measurements_path(key: str, kind: MeasuredBy = "attacks") -> Path:
    """Returns the path of the file of what a key determines. The key is JSON."""
    sha = hashlib.sha256(key.encode()).hexdigest()
    return cache_folder() / kind / sha[:2] / f"{sha}.safetensors"


def save_measurements(key: str, arrays: StoredArrays, kind: MeasuredBy = "attacks") -> None:
    """Stores arrays under the key, in a file that is complete or not there."""
    path = measurements_path(key, kind)
    write_with_folder(path, content_of(path, arrays, key), write_content)


def load_measurements(
    key: str, on_damage: Callable[[str], None], kind: MeasuredBy = "attacks"
) -> StoredArrays | None:
    """Returns the arrays that are stored under the key, or None where there are none.

    The time of the file is set, so that it says when the file was last used. A damaged file is set
    aside, and `on_damage` is called with a message.
    """
    path = measurements_path(key, kind)
    try:
        arrays, text = load_arrays(path)
        if text != key:
            raise DamagedFileError(path, "it contains other measurements")
    except DamagedFileError as error:
        with suppress(OSError):  # another process was first, or the cache cannot be written
            set_damaged_aside(error, on_damage, AGAIN[kind])
        return None
    except OSError:  # it is not stored, or it cannot be read
        return None
    with suppress(OSError):
        os.utime(path)
    return arrays
