"""Reads every file in the cache folder and finds the damaged ones."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from mgaudit.storage.cache_content import CacheContent, CachedFile
from mgaudit.storage.checked_files import DamagedFileError, load_arrays
from mgaudit.targets.datasets import published_datasets

READ = ("model", "value", "settings")  # the roles of files that are read by runs

WRONG_CHECKSUM = "its content does not have the stored SHA-256"


def damaged_files(
    content: CacheContent, on_read: Callable[[CachedFile], None] = lambda _: None
) -> Iterator[tuple[CachedFile, str]]:
    """Yields each damaged file and what is wrong with it. `on_read` is called for every file.

    A file that is removed in the meantime is left out.
    """
    for file in content.files:
        if file.role not in READ:
            continue
        reason = _damage(file)
        on_read(file)
        if reason is not None:
            yield file, reason


def files_to_read(content: CacheContent) -> list[CachedFile]:
    """Returns the files that `damaged_files` reads."""
    return [file for file in content.files if file.role in READ]


def _damage(file: CachedFile) -> str | None:
    """Returns what is wrong with a file, or None."""
    checks = {
        "datasets": _dataset_damage,
        "ensembles": _arrays_damage,
        "predictions": _arrays_damage,
        "attacks": _arrays_damage,
        "accountants": _arrays_damage,
        "figures": _arrays_damage,
        "searches": _search_damage,
    }
    try:
        check = _settings_damage if file.role == "settings" else checks[file.kind]
        return check(file.path)
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"it cannot be read: {error.strerror}"


def _arrays_damage(path: Path) -> str | None:
    try:
        load_arrays(path)
    except DamagedFileError as error:
        return error.reason
    return None


def _settings_damage(path: Path) -> str | None:
    """Returns what is wrong with the settings of a folder, whose name is their SHA-256."""
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return None if sha256 == path.parent.name else WRONG_CHECKSUM


def _dataset_damage(path: Path) -> str | None:
    dataset = published_datasets()[path.parent.name]
    expected = next(file.md5 for file in dataset.files if file.name == path.name)
    with path.open("rb") as content:
        md5 = hashlib.file_digest(content, "md5").hexdigest()
    return None if md5 == expected else f"it must have the published md5 {expected}, and has {md5}"


def _search_damage(path: Path) -> str | None:
    """Returns what is wrong with an evaluation of a search, which has no checksum."""
    try:
        values = json.loads(path.read_bytes())
        is_right = values["key"] == path.stem and 0 <= float(values["accuracy"]) <= 1
    except (ValueError, KeyError, TypeError, RecursionError):
        is_right = False
    return None if is_right else "it is not an evaluation of a search"
