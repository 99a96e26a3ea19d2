"""Removes files from the cache folder, and none that mgaudit did not write or that is in use."""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mgaudit.storage.atomic import ABANDONED_SECONDS
from mgaudit.storage.cache_content import (
    GROUPS,
    KINDS_OF_ONE_GROUP,
    LOCK_FILE,
    LOCKED_KINDS,
    SETTINGS_FILE,
    CacheContent,
    CachedFile,
    Kind,
    last_used,
    total_bytes,
)
from mgaudit.storage.listing import paths_in

LONGEST_HEADER = 100_000_000

# The kinds of which each group is used as a whole, so that its time says when it was last used.
AGED_KINDS = ("datasets", "ensembles", "predictions")
MEASURED_KINDS = ("attacks", "accountants", "figures")


@dataclass(frozen=True)
class Removal:
    """Files of one group that are removed for the same reason; `is_whole` if they are all of it."""

    group: Path
    kind: Kind
    files: tuple[CachedFile, ...]
    reason: str
    is_whole: bool = False

    @property
    def bytes(self) -> int:
        """The size of the files together."""
        return total_bytes(self.files)


def all_removals(content: CacheContent) -> list[Removal]:
    """Returns the removal of every group, that is, of all files of mgaudit."""
    return [
        Removal(group, files[0].kind, tuple(files), "all files", is_whole=True)
        for group, files in content.groups.items()
    ]


def useless_removals(
    content: CacheContent,
    damaged: Mapping[Path, str],
    code_sha256: Mapping[str, str],
    oldest: float | None = None,
) -> list[Removal]:
    """Returns the removal of the files that no run of this version will use.

    Args:
        content: What the cache folder contains.
        damaged: What is wrong with each damaged file.
        code_sha256: The SHA-256 of the code of this version: "ensembles" and "predictions" for the
            code that trains models, "outputs" for the code that queries them, "attacks" for
            the code that attacks them, and "accountants" and "figures" for the code that computes
            epsilon and trains the models of figures.
        oldest: Groups and measurements that were last used before this time (seconds since 1970)
            are removed.
    """
    removals = []
    for group, files in content.groups.items():
        reason = _reason_for_whole(group, files, code_sha256, oldest)
        if reason is not None:
            removals.append(Removal(group, files[0].kind, tuple(files), reason, is_whole=True))
            continue
        for file in files:
            reason = damaged.get(file.path) or _reason(file, code_sha256, oldest)
            if reason is not None:
                removals.append(Removal(group, file.kind, (file,), reason))
    return removals


def remove(removal: Removal) -> bool:
    """Deletes the files, and folders that are empty then. Returns False if they are in use.

    Raises:
        OSError: A file cannot be deleted.
    """
    with _unused(removal) as is_unused:
        if not is_unused:
            return False
        last = [file for file in removal.files if file.role == "lock"]
        for file in (*(file for file in removal.files if file not in last), *last):
            file.path.unlink(missing_ok=True)
    if removal.is_whole:
        folders = {file.path.parent for file in removal.files} | {removal.group}
        if removal.group.name != removal.kind:
            folders.add(removal.group.parent)
        for folder in sorted(folders, key=lambda path: -len(path.parts)):
            with suppress(OSError):  # other files are in it, or another process uses it again
                folder.rmdir()
    return True


def remove_empty_folders(cache: Path) -> None:
    """Removes the empty folders of measurements and searches in the cache folder.

    A process that writes into one of them creates it again.
    """
    for kind in KINDS_OF_ONE_GROUP:
        folder = cache / kind
        if folder.is_symlink():
            continue
        for group in paths_in(folder, "*"):
            if GROUPS[kind].fullmatch(group.name):
                with suppress(OSError):  # it has files, or is none, or another process was first
                    group.rmdir()
        with suppress(OSError):
            folder.rmdir()


@contextmanager
def _unused(removal: Removal) -> Iterator[bool]:
    """Yields whether no other process has the lock of the group, and holds it meanwhile."""
    if removal.kind not in LOCKED_KINDS or removal.group.name == removal.kind:
        yield True
        return
    lock = FileLock(removal.group / LOCK_FILE, timeout=0)
    try:
        lock.acquire()
    except (Timeout, FileNotFoundError) as error:
        yield not isinstance(error, Timeout)
        return
    try:
        yield True
        if removal.is_whole:
            Path(lock.lock_file).unlink(missing_ok=True)
    finally:
        lock.release()


def _reason_for_whole(
    group: Path,
    files: Sequence[CachedFile],
    code_sha256: Mapping[str, str],
    oldest: float | None,
) -> str | None:
    """Returns why a group as a whole is removed, or None."""
    kind = files[0].kind
    if kind in LOCKED_KINDS and group.name != kind:
        code = _settings(group).get("code")
        if isinstance(code, str) and code != code_sha256[kind]:
            return "trained by the code of another version"
        if not any(file.role in ("model", "value") for file in files):
            return "without a model"
    if oldest is not None and kind in AGED_KINDS and last_used(files) < oldest:
        return f"last used on {date.fromtimestamp(last_used(files))}"
    return None


def _reason(file: CachedFile, code_sha256: Mapping[str, str], oldest: float | None) -> str | None:
    """Returns why an undamaged file is removed, or None."""
    if file.role == "set aside":
        return "set aside, because it was damaged"
    if file.role == "partial":
        is_old = time.time() - file.written > ABANDONED_SECONDS
        # Under the lock of its group, no other process writes it.
        has_lock = file.kind in LOCKED_KINDS and file.group.name != file.kind
        return "left by an interrupted write" if is_old or has_lock else None
    if file.path.name.startswith("outputs-"):
        code = _stored_key(file.path).get("querying code")
        if isinstance(code, str) and code != code_sha256["outputs"]:
            return "queried by the code of another version"
    if file.kind in MEASURED_KINDS and file.role == "value":
        code = _stored_key(file.path).get("code")
        if isinstance(code, str) and code != code_sha256[file.kind]:
            return "measured by the code of another version"
        if oldest is not None and file.written < oldest:
            return f"last used on {date.fromtimestamp(file.written)}"
    return None


def _stored_key(path: Path) -> dict[str, Any]:
    """Returns what identifies stored arrays, from the header of their file; {} if unreadable."""
    with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(length, LONGEST_HEADER)))
        key = json.loads(json.loads(header["__metadata__"]["mgaudit"])["text"])
        return key if isinstance(key, dict) else {}
    return {}


def _settings(group: Path) -> dict[str, Any]:
    """Returns the settings of a group, whose name is their SHA-256; {} for damaged ones."""
    with suppress(OSError, ValueError, RecursionError):
        text = (group / SETTINGS_FILE).read_bytes()
        if hashlib.sha256(text).hexdigest() == group.name:
            return dict(json.loads(text))
    return {}
