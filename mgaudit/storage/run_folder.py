"""Run folders: the result of a run and its reports. Needs no torch."""

import json
import os
import re
import secrets
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from mgaudit.errors import UsageError
from mgaudit.reports.arrays import ARRAYS_FILE, Arrays, arrays_to_bytes
from mgaudit.reports.dp_audit import DP_AUDIT_FILE, DPAuditResult
from mgaudit.reports.formats.render import FORMATS, PAPER_FORMATS
from mgaudit.reports.reproduction import REPRODUCTION_FILE, PaperResult
from mgaudit.reports.results import RESULT_FILE, Result, read_result, settings_toml
from mgaudit.storage.atomic import sweep_partial, write_atomically, write_folder_atomically

if TYPE_CHECKING:
    from mgaudit.reports.document import Document

LOG_FILE = "log.txt"
SETTINGS_FILE = "settings.toml"
RESULT_FILES = (RESULT_FILE, DP_AUDIT_FILE, REPRODUCTION_FILE)

# The marker says that a run made the folder, so that it may be removed again.
MARKER_FILE = ".mgaudit-run"
MARKER = {"made by": "mgaudit", "format": 1}

# Each process that works in the folder holds the lock of a file of its own. Where no such lock is held, no process is.
IN_USE = ".in-use-*.lock"


@dataclass(frozen=True)
class RunFolder:
    """`<date>-<slug>-<hash>/` with a marker, settings.toml, arrays.npz, log.txt, and a result.

    The result of a study is result.json, with its reports beside it; that of an audit of DP-SGD is dp-audit.json, and
    that of a paper made again reproduction.json.
    """

    path: Path

    @classmethod
    def create(cls, out: Path, slug: str, sha256: str) -> "RunFolder":
        """Returns the folder of a run, made before any training so that a bad `out` is known by then.

        `sha256` is over all that determines the result: the same run of the same day gets the same folder. Raises
        UsageError where it cannot be made or written.
        """
        path = out / f"{date.today().isoformat()}-{slug}-{sha256[:8]}"
        try:
            path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=path):
                pass
            folder = cls(path)
            folder.mark()
        except OSError as error:
            raise _not_writable(out, error) from error
        return folder

    def mark(self) -> None:
        """Makes the folder, where another process has taken it away, and puts the marker into it."""
        self.path.mkdir(parents=True, exist_ok=True)
        if not (self.path / MARKER_FILE).exists():
            write_atomically(self.path / MARKER_FILE, json.dumps(MARKER).encode())

    def is_marked(self) -> bool:
        """Returns whether the marker of a run is in the folder."""
        try:
            return bool(json.loads((self.path / MARKER_FILE).read_bytes()) == MARKER)
        except (OSError, ValueError, RecursionError):
            return False

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keeps other processes from removing the folder, and sweeps it where no other process works in it.

        Several processes may use the folder at once: the same run of the same day, started twice.
        """
        lock = FileLock(self.path / IN_USE.replace("*", f"{os.getpid()}-{secrets.token_hex(4)}"))
        while True:
            self.mark()
            try:
                lock.acquire()
                break
            except FileNotFoundError:  # another process took the folder away in between
                continue
        try:
            if not self.is_in_use(except_by=Path(lock.lock_file)):
                sweep_partial(self.path)
            yield
        finally:
            Path(lock.lock_file).unlink(missing_ok=True)
            lock.release()

    def is_in_use(self, except_by: Path | None = None) -> bool:
        """Returns whether a living process works in the folder; files of dead ones are deleted."""
        for path in self.path.glob(IN_USE):
            if path == except_by:
                continue
            lock = FileLock(path, timeout=0)
            try:
                lock.acquire()
            except Timeout:
                return True
            path.unlink(missing_ok=True)
            lock.release()
        return False

    def discard_if_unfinished(self) -> None:
        """Takes the folder away again unless there is a result or a log in it, or another process works in it."""
        if (
            any((self.path / name).exists() for name in (*RESULT_FILES, LOG_FILE))
            or self.is_in_use()
        ):
            return
        sweep_partial(self.path)
        for name in (SETTINGS_FILE, ARRAYS_FILE, MARKER_FILE):
            (self.path / name).unlink(missing_ok=True)
        with suppress(
            OSError
        ):  # other files are in it, or another process has just begun to use it
            self.path.rmdir()

    def write_log(self, lines: Sequence[str]) -> None:
        """Writes what happened."""
        self.mark()
        write_atomically(self.path / LOG_FILE, "".join(f"{line}\n" for line in lines).encode())

    def write_result(self, result: Result | DPAuditResult, arrays: Sequence[Arrays]) -> None:
        """Writes settings, arrays and, last, the result, whose presence says that the run is whole."""
        name = RESULT_FILE if isinstance(result, Result) else DP_AUDIT_FILE
        self.mark()
        write_atomically(self.path / SETTINGS_FILE, settings_toml(result.settings).encode())
        write_atomically(self.path / ARRAYS_FILE, arrays_to_bytes(arrays))
        write_atomically(self.path / name, (result.model_dump_json(indent=2) + "\n").encode())

    def write_reports(self, formats: Sequence[str], destination: Path | None = None) -> list[Path]:
        """Renders the reports from the result and returns their paths, in the run folder or in `destination`.

        All are rendered before any is written.
        """
        from mgaudit.reports.document import document  # with matplotlib, which takes a second

        content = document(*read_result(self.path))
        return self._write(
            {FORMATS[name].name: FORMATS[name].render(content) for name in formats}, destination
        )

    def write_paper(
        self, result: PaperResult, content: "Document", formats: Sequence[str]
    ) -> list[Path]:
        """Writes the reports on a paper and, last, its result. Returns the reports' paths."""
        self.mark()
        paths = self._write(
            {PAPER_FORMATS[name].name: PAPER_FORMATS[name].render(content) for name in formats}
        )
        write_atomically(
            self.path / REPRODUCTION_FILE, (result.model_dump_json(indent=2) + "\n").encode()
        )
        return paths

    def _write(
        self, rendered: Mapping[str, bytes | Mapping[str, bytes]], destination: Path | None = None
    ) -> list[Path]:
        folder = destination or self.path
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, report in rendered.items():
                if isinstance(report, bytes):
                    write_atomically(folder / name, report)
                else:
                    write_folder_atomically(folder / name, report)
        except OSError as error:
            raise _not_writable(folder, error) from error
        return [folder / name for name in rendered]


def path_word(*words: str) -> str:
    """Returns the words as one that may stand in a path.

    >>> path_word("digits", "cnn", "gaussian-mask:kappa=0.3")
    'digits-cnn-gaussian-mask-kappa-0.3'
    """
    return re.sub(r"[^a-z0-9.]+", "-", "-".join(words).lower()).strip("-")[:60]


def _not_writable(folder: Path, error: OSError) -> UsageError:
    value = f"{str(folder)!r} ({error.strerror})"
    return UsageError(
        "--out", "must be a folder that can be written", value, "choose another --out"
    )
