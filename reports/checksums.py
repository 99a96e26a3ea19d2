"""The checksums of a run directory, against which its results are compared when they are read.

`checksums.sha256` has a line for each result and for the arrays, in the format of `sha256sum -c`.
While a run replaces results of an earlier run, it has the lines of both, so that a run that is
killed at any time leaves files that are in the list. Run directories of earlier versions have no
such file, and are read without this check.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from mgaudit.errors import UsageError
from mgaudit.reports.files import CHECKSUMS_FILE

Checksums = dict[str, frozenset[str]]  # the valid SHA-256 of each file, by its name

LINE = re.compile(r"(?P<sha256>[0-9a-f]{64})  (?P<name>[^\s/]+)")
ATTEMPTS = 3  # of a reader, while another process replaces the result and its checksum
WAY_OUT = (
    "repeat the run, or restore the file from a copy; "
    f"without {CHECKSUMS_FILE}, it is read without this check"
)


def read_checksums(folder: Path) -> Checksums | None:
    """Returns the checksums of a run directory; None if it has no such file.

    Raises:
        UsageError: The file is damaged.
    """
    path = folder / CHECKSUMS_FILE
    try:
        text = path.read_bytes().decode("ascii", errors="replace")
    except FileNotFoundError:
        return None
    checksums: Checksums = {}
    for line in text.splitlines():
        match = LINE.fullmatch(line)
        if match is None:
            rule = "is damaged, so the results beside it cannot be checked"
            raise UsageError(str(path), rule, None, WAY_OUT)
        valid = checksums.get(match["name"], frozenset())
        checksums[match["name"]] = valid | {match["sha256"]}
    return checksums


def checksums_text(checksums: Mapping[str, frozenset[str]]) -> str:
    """Returns the content of a file of checksums.

    >>> checksums_text({"result.json": frozenset({64 * "0"})})[-16:]
    '00  result.json\\n'
    """
    lines = []
    for name in sorted(checksums):
        lines += [f"{sha256}  {name}\n" for sha256 in sorted(checksums[name])]
    return "".join(lines)


@contextmanager
def open_checked(path: Path) -> Iterator[BinaryIO]:
    """Yields a file of a run directory, open at its start, after its checksum was compared.

    Raises:
        UsageError: The file was changed, cut or exchanged after the run.
        OSError: The file cannot be read.
    """
    for attempt in range(1, ATTEMPTS + 1):
        # What is compared is what is read, also where another process replaces the file.
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            checksums = read_checksums(path.parent)
            if checksums is None or sha256 in checksums.get(path.name, ()):
                file.seek(0)
                yield file
                return
        if attempt == ATTEMPTS:
            rule = f"was changed after the run: its SHA-256 is not in {CHECKSUMS_FILE}"
            raise UsageError(str(path), rule, None, WAY_OUT)


def read_checked(path: Path) -> bytes:
    """Returns the content of a file of a run directory after its checksum was compared.

    The errors are those of `open_checked`.
    """
    with open_checked(path) as file:
        return file.read()
