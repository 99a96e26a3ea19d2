"""Run folders, which contain the result and the reports of a run. Needs no torch."""

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
from mgaudit.reports.files import (
    ARRAYS_FILE,
    DP_AUDIT_FILE,
    INPUT_FILES,
    REPRODUCTION_FILE,
    RESULT_FILE,
)
from mgaudit.reports.formats.render import FORMATS, PAPER_FORMATS
from mgaudit.storage.atomic import sweep_partial, write_atomically, write_folder_atomically
from mgaudit.targets.home import with_home

if TYPE_CHECKING:
    from mgaudit.reports.arrays import Arrays
    from mgaudit.reports.document import Document
    from mgaudit.reports.dp_audit import DPAuditResult
    from mgaudit.reports.reproduction import PaperResult
    from mgaudit.reports.results import Result

LOG_FILE = "log.txt"
SETTINGS_FILE = "settings.toml"
RESULT_FILES = (RESULT_FILE, DP_AUDIT_FILE, REPRODUCTION_FILE)

# The marker says that a run created the folder, so the folder may be removed.
MARKER_FILE = ".mgaudit-run"
MARKER = {"made by": "mgaudit", "format": 1}

# Each process that works in the folder has its own lock file and holds the lock. If no such lock is
# held, no process works in the folder.
IN_USE = ".in-use-*.lock"


@dataclass(frozen=True)
class RunFolder:
    """`<date>-<slug>-<hash>/` with a marker, settings.toml, arrays.npz, log.txt, and a result.

    The result of a study is result.json, with the reports beside it. The result of an audit of
    DP-SGD is dp-audit.json, and the result of a reproduction of a paper is reproduction.json.
    """

    path: Path

    @classmethod
    def create(cls, out: Path, slug: str, sha256: str) -> "RunFolder":
        """Creates the folder of a run in `out` and returns it.

        Called before any training, so that an unusable `out` is reported early. `sha256` is the
        hash of everything that determines the result: a run that is repeated on the same day gets
        the same folder.

        Raises:
            UsageError: Where the folder cannot be created or written.
        """
        name = f"{date.today().isoformat()}-{slug}-{sha256[:8]}"
        path = with_home(out, "--out") / name
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
        """Writes the marker into the folder, which is created if another process removed it."""
        self.path.mkdir(parents=True, exist_ok=True)
        marker_path = self.path / MARKER_FILE
        if not marker_path.exists():
            write_atomically(marker_path, json.dumps(MARKER).encode())

    def is_marked(self) -> bool:
        """Returns whether the folder contains the marker of a run."""
        try:
            marker = json.loads((self.path / MARKER_FILE).read_bytes())
        except (OSError, ValueError, RecursionError):
            return False
        return bool(marker == MARKER)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Prevents other processes from removing the folder.

        Partial files are deleted if no other process works in the folder. Several processes may use
        it at once, if the same run is started twice on one day.
        """
        own_name = f"{os.getpid()}-{secrets.token_hex(4)}"
        lock = FileLock(self.path / IN_USE.replace("*", own_name))
        while True:
            self.mark()
            try:
                lock.acquire()
                break
            except FileNotFoundError:  # another process removed the folder in between
                continue
        try:
            if not self.is_in_use(except_by=Path(lock.lock_file)):
                sweep_partial(self.path)
            yield
        finally:
            Path(lock.lock_file).unlink(missing_ok=True)
            lock.release()

    def is_in_use(self, except_by: Path | None = None) -> bool:
        """Returns whether a process works in the folder. Deletes lock files of ended processes."""
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
        """Removes the folder if it contains no result and no log and no process works in it."""
        outcomes = (*RESULT_FILES, LOG_FILE)
        if any((self.path / name).exists() for name in outcomes):
            return
        if self.is_in_use():
            return
        sweep_partial(self.path)
        for name in (SETTINGS_FILE, ARRAYS_FILE, *INPUT_FILES, MARKER_FILE):
            (self.path / name).unlink(missing_ok=True)
        # Removal fails if there are other files, or if another process has just begun to use the
        # folder.
        with suppress(OSError):
            self.path.rmdir()

    def write_log(self, lines: Sequence[str]) -> None:
        """Writes the lines to the log file."""
        self.mark()
        text = "".join(f"{line}\n" for line in lines)
        write_atomically(self.path / LOG_FILE, text.encode())

    def write_result(self, result: "Result | DPAuditResult", arrays: "Sequence[Arrays]") -> None:
        """Writes settings, arrays and, last, the result, whose presence marks a complete run."""
        from mgaudit.reports.arrays import arrays_to_bytes
        from mgaudit.reports.results import Result, settings_toml

        name = RESULT_FILE if isinstance(result, Result) else DP_AUDIT_FILE
        self.mark()
        write_atomically(self.path / SETTINGS_FILE, settings_toml(result.settings).encode())
        write_atomically(self.path / ARRAYS_FILE, arrays_to_bytes(arrays))
        _write_json(self.path / name, result)

    def write_reports(self, formats: Sequence[str], destination: Path | None = None) -> list[Path]:
        """Renders the reports of the result and returns their paths.

        The files are written after all reports have been rendered, to `destination` or, if that is
        None, to the run folder.
        """
        if (self.path / DP_AUDIT_FILE).exists():
            return self._write(self._dp_reports(formats), destination)
        from mgaudit.reports.document import document  # imports matplotlib, which takes a second
        from mgaudit.storage.read_run import read_run

        content = document(*read_run(self.path))
        rendered = {FORMATS[name].name: FORMATS[name].render(content) for name in formats}
        return self._write(rendered, destination)

    def _dp_reports(self, formats: Sequence[str]) -> dict[str, bytes | Mapping[str, bytes]]:
        """Returns the rendered reports on an audit of DP-SGD, by name of the file."""
        from mgaudit.reports.dp_document import dp_document
        from mgaudit.storage.read_run import read_dp_audit

        unknown = [name for name in formats if name not in PAPER_FORMATS]
        if unknown:
            rule = f"must be {', '.join(PAPER_FORMATS)} for an audit of DP-SGD"
            raise UsageError("--format", rule, unknown[0])
        content = dp_document(*read_dp_audit(self.path))
        return {PAPER_FORMATS[name].name: PAPER_FORMATS[name].render(content) for name in formats}

    def write_paper(
        self, result: "PaperResult", content: "Document", formats: Sequence[str]
    ) -> list[Path]:
        """Writes the reports on a paper and, last, its result. Returns the reports' paths."""
        self.mark()
        chosen = [PAPER_FORMATS[name] for name in formats]
        rendered = {report_format.name: report_format.render(content) for report_format in chosen}
        paths = self._write(rendered)
        _write_json(self.path / REPRODUCTION_FILE, result)
        return paths

    def _write(
        self, rendered: Mapping[str, bytes | Mapping[str, bytes]], destination: Path | None = None
    ) -> list[Path]:
        """Writes rendered reports, by name of the file or folder, and returns their paths.

        A report is the bytes of a file, or the files of a folder by their paths in it.
        """
        folder = self.path if destination is None else with_home(destination, "--out")
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
    """Returns the words joined to one word of at most 60 characters that can be part of a path.

    >>> path_word("digits", "cnn", "gaussian-mask:kappa=0.3")
    'digits-cnn-gaussian-mask-kappa-0.3'
    """
    text = "-".join(words).lower()
    word = re.sub(r"[^a-z0-9.]+", "-", text)
    return word.strip("-")[:60]


def _write_json(path: Path, result: "Result | DPAuditResult | PaperResult") -> None:
    text = result.model_dump_json(indent=2) + "\n"
    write_atomically(path, text.encode())


def _not_writable(folder: Path, error: OSError) -> UsageError:
    value = f"{str(folder)!r} ({error.strerror})"
    return UsageError("--out", "must be a writable folder", value, "choose another --out")
