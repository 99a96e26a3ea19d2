"""Storage of what attacks measured, addressed by the hash of everything that determines it."""

import hashlib
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mgaudit import attacks
from mgaudit.storage.atomic import sweep_partial
from mgaudit.storage.checked_files import (
    DamagedFileError,
    load_arrays,
    save_arrays,
    set_damaged_aside,
)
from mgaudit.targets.cache import cache_folder

KIND = "attacks"  # the folder in the cache
ABANDONED_SECONDS = 3600.0  # after which no process is writing a partial file any more

Measured = dict[str, NDArray[Any]]


@cache
def attack_code_sha256() -> str:
    """Returns the SHA-256 of the code that measures attacks: `mgaudit.attacks` and its caller."""
    sha = hashlib.sha256()
    root = Path(attacks.__file__).parent
    mounting = Path(__file__).parents[1] / "study" / "mounting.py"
    for path in (*sorted(root.rglob("*.py")), mounting):
        sha.update(path.name.encode() + b"\0" + path.read_bytes())
    return sha.hexdigest()


def measurements_path(key: str) -> Path:
    """Returns the path of the file of what a key determines. The key is JSON."""
    sha = hashlib.sha256(key.encode()).hexdigest()
    return cache_folder() / KIND / sha[:2] / f"{sha}.safetensors"


def save_measurements(key: str, arrays: Measured) -> None:
    """Stores arrays under the key, in a file that is complete or not there."""
    path = measurements_path(key)
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep_partial(path.parent, ABANDONED_SECONDS)
    save_arrays(path, arrays, key)


def load_measurements(key: str, on_damage: Callable[[str], None]) -> Measured | None:
    """Returns the arrays that are stored under the key, or None where there are none.

    The time of the file is set, so that it says when the file was last used. A damaged file is set
    aside, and `on_damage` is called with a message.
    """
    path = measurements_path(key)
    try:
        arrays, text = load_arrays(path)
        if text != key:
            raise DamagedFileError(path, "it contains other measurements")
        os.utime(path)
    except DamagedFileError as error:
        set_damaged_aside(error, on_damage, "attacking the models again")
        return None
    except OSError:  # it is not stored, or it cannot be read
        return None
    return arrays
