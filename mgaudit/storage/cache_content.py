"""The files in the cache folder that mgaudit wrote, by kind. Needs no torch.

Links are never followed, and what mgaudit does not write is only counted: a user may have named any
folder in MGAUDIT_CACHE.
"""

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from mgaudit.storage.atomic import DAMAGED_SUFFIX, is_partial
from mgaudit.storage.checked_files import HOLDER_FILE
from mgaudit.targets.datasets import published_datasets

Kind = Literal[
    "datasets", "ensembles", "predictions", "attacks", "accountants", "figures", "searches"
]
Role = Literal["model", "value", "settings", "lock", "partial", "set aside"]

KINDS: tuple[Kind, ...] = get_args(Kind)
LOCKED_KINDS = ("ensembles", "predictions")  # whose groups are folders with a lock
KINDS_OF_ONE_GROUP: tuple[Kind, ...] = ("attacks", "accountants", "figures", "searches")

OF_RUNNING = "running"  # files of running processes, which mgaudit.compute deletes

LOCK_FILE, SETTINGS_FILE = ".lock", "settings.json"
MODEL = re.compile(r"model-(\d{5,}|[0-9a-f]{32})\.safetensors")
GROUPS: dict[Kind, re.Pattern[str]] = {
    "ensembles": re.compile(r"[0-9a-f]{64}"),
    "predictions": re.compile(r"[0-9a-f]{64}"),
    "attacks": re.compile(r"[0-9a-f]{2}"),
    "accountants": re.compile(r"[0-9a-f]{2}"),
    "figures": re.compile(r"[0-9a-f]{2}"),
    "searches": re.compile(r"[0-9a-f]{2}"),
}
VALUES: dict[Kind, re.Pattern[str]] = {
    "ensembles": re.compile(r"(model-\d{5,}|outputs-\d{5,}-[0-9a-f]{16})\.safetensors"),
    "predictions": re.compile(r"(model-[0-9a-f]{32}|trial)\.safetensors"),
    "attacks": re.compile(r"[0-9a-f]{64}\.safetensors"),
    "accountants": re.compile(r"[0-9a-f]{64}\.safetensors"),
    "figures": re.compile(r"[0-9a-f]{64}\.safetensors"),
    "searches": re.compile(r"[0-9a-f]{64}\.json"),
}
ASIDE = re.compile(re.escape(DAMAGED_SUFFIX) + r"(-\d+)?")
DOWNLOAD = re.compile(r"tmp[a-z0-9_]{8}")  # of pooch


@dataclass(frozen=True)
class CachedFile:
    """A file that mgaudit wrote into the cache folder, its bytes, and when it was last written.

    What attacks, accountants and figures measured counts as written when it is used. `group` is the
    folder of an ensemble, of the predictions of a function or of a dataset; files of the other
    kinds have the folder of their kind. The role "value" is that of outputs, data and measured
    numbers, "partial" that of a remnant of an interrupted write, and "set aside" that of a file
    that was damaged.
    """

    path: Path
    kind: Kind
    group: Path
    role: Role
    bytes: int
    written: float


@dataclass(frozen=True)
class CacheContent:
    """The files of mgaudit in the cache folder, and the paths of all other files and links."""

    folder: Path
    files: tuple[CachedFile, ...]
    others: tuple[Path, ...]

    def of_kind(self, kind: Kind) -> list[CachedFile]:
        """Returns the files of a kind."""
        return [file for file in self.files if file.kind == kind]

    @property
    def groups(self) -> dict[Path, list[CachedFile]]:
        """The files of each group, by its folder."""
        groups: dict[Path, list[CachedFile]] = {}
        for file in self.files:
            groups.setdefault(file.group, []).append(file)
        return groups


def cache_content(folder: Path) -> CacheContent:
    """Returns what the cache folder contains; a folder that does not exist contains nothing.

    Raises:
        OSError: The folder cannot be read.
    """
    files: list[CachedFile] = []
    others: list[Path] = []
    for entry in _entries(folder):
        if entry.name == OF_RUNNING:
            continue
        kind = next((kind for kind in KINDS if kind == entry.name), None)
        if kind is None or not entry.is_dir(follow_symlinks=False):
            others.append(Path(entry.path))
            continue
        for file, group in _files_of(kind, Path(entry.path), others):
            cached = _cached_file(file, kind, group)
            if cached is None:
                others.append(Path(file.path))
            else:
                files.append(cached)
    return CacheContent(folder, tuple(files), tuple(others))


def total_bytes(files: Sequence[CachedFile]) -> int:
    """Returns the size of the files together."""
    return sum(file.bytes for file in files)


def last_used(files: Sequence[CachedFile]) -> float:
    """Returns when one of the files was last written (seconds since 1970).

    The settings of an ensemble are written whenever it is used, and the times of a dataset are set
    whenever it is read.
    """
    return max((file.written for file in files), default=0.0)


def _files_of(
    kind: Kind, folder: Path, others: list[Path]
) -> Iterator[tuple["os.DirEntry[str]", Path]]:
    """Yields the entries that may be files of a kind, each with its group; adds to `others`."""
    for entry in _entries(folder):
        if not entry.is_dir(follow_symlinks=False):
            yield entry, folder
        elif _is_group(kind, entry.name):
            group = folder if kind in KINDS_OF_ONE_GROUP else Path(entry.path)
            for inner in _entries(Path(entry.path)):
                yield inner, group
        else:
            others.append(Path(entry.path))


def _is_group(kind: Kind, name: str) -> bool:
    if kind == "datasets":
        return name in published_datasets()
    return kind in GROUPS and GROUPS[kind].fullmatch(name) is not None


def _entries(folder: Path) -> list["os.DirEntry[str]"]:
    """Returns the entries of a folder, sorted by name; none if it was removed in the meantime."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except FileNotFoundError:
        return []


def _cached_file(entry: "os.DirEntry[str]", kind: Kind, group: Path) -> CachedFile | None:
    """Returns a file of mgaudit; None for a link, a folder, and a file by another name."""
    path = Path(entry.path)
    role = _role(kind, path)
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    if role is None or not stat.S_ISREG(status.st_mode):
        return None
    return CachedFile(path, kind, group, role, status.st_size, status.st_mtime)


def _role(kind: Kind, path: Path) -> Role | None:
    """Returns the role of a file by its name, or None if mgaudit writes no such file."""
    name = path.name
    if is_partial(name):
        return "partial"
    if kind == "datasets":
        dataset = published_datasets().get(path.parent.name)
        if dataset is None:
            return None
        if DOWNLOAD.fullmatch(name):
            return "partial"
        return "value" if name in {file.name for file in dataset.files} else None
    aside = ASIDE.search(name)
    written_as = name[: aside.start()] if aside is not None and aside.end() == len(name) else name
    if kind in LOCKED_KINDS and not GROUPS[kind].fullmatch(path.parent.name):
        return "set aside" if aside and GROUPS[kind].fullmatch(written_as) else None
    if kind in LOCKED_KINDS and written_as in (LOCK_FILE, HOLDER_FILE, SETTINGS_FILE):
        named: Role = "settings" if written_as == SETTINGS_FILE else "lock"
        return "set aside" if written_as != name else named
    if not VALUES[kind].fullmatch(written_as):
        return None
    if written_as != name:
        return "set aside"
    return "model" if kind in LOCKED_KINDS and MODEL.fullmatch(name) else "value"
