"""Run folders, which contain the result and the reports of a run. Needs no torch."""

import glob
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
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from mgaudit.errors import UsageError
from mgaudit.exhausted import is_disk_full
from mgaudit.reports.files import (
    ARRAYS_FILE,
    CHECKSUMS_FILE,
    CONDITIONS_FILE,
    DP_AUDIT_FILE,
    INPUT_FILES,
    REPRODUCTION_FILE,
    RESULT_FILE,
)
from mgaudit.reports.formats.render import FORMATS, PAPER_FORMATS
from mgaudit.settings.named_code import permission
from mgaudit.storage.atomic import (
    ABANDONED_SECONDS,
    ATTEMPTS,
    sweep_abandoned,
    sweep_partial,
    write_atomically,
    write_folder_atomically,
)
from mgaudit.storage.checked_results import CHECKSUMS_LOCK, write_results
from mgaudit.storage.listing import paths_in
from mgaudit.storage.settings_text import with_checksum
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

DATE = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"


@dataclass(frozen=True)
class RunFolder:
    """`<date>-<slug>-<hash>/` with a marker, settings.toml, arrays.npz, log.txt, and a result.

    The result of a study is result.json, with the reports beside it. The result of an audit of
    DP-SGD is dp-audit.json, and the result of a reproduction of a paper is reproduction.json. The
    SHA-256 of the result and of the arrays is in checksums.sha256.
    """

    path: Path

    @classmethod
    def create(cls, out: Path, slug: str, sha256: str) -> "RunFolder":
        """Creates the folder of a run in `out` and returns it.

        Called before any training, so that an unusable `out` is reported early. `sha256` is the
        hash of everything that determines the result: a run that is repeated on the same day gets
        the same folder, and a run that was killed is continued in its folder on any later day.

        Raises:
            UsageError: Where the folder cannot be created or written.
        """
        name = f"{date.today().isoformat()}-{slug}-{sha256[:8]}"
        parent = with_home(out, "--out")
        path = parent / name
        if not path.exists():
            path = _unfinished_before(parent, slug, sha256) or path
        folder = cls(path)
        try:
            folder._make()
        except OSError as error:
            raise _not_writable(out, error) from error
        return folder

    def _make(self) -> None:
        """Makes the folder with its marker, again if another process removes it meanwhile.

        A process whose run ends without a result removes the folder if no other uses it.
        """
        for attempt in range(ATTEMPTS):
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryFile(dir=self.path):
                    pass
                self.mark()
            except (FileNotFoundError, FileExistsError):  # either, by the moment of the removal
                if attempt == ATTEMPTS - 1:
                    raise
            else:
                return

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

    def has_result(self) -> bool:
        """Returns whether the folder contains a result, so that its run is complete."""
        return any((self.path / name).is_file() for name in RESULT_FILES)

    def begin(self, settings: Mapping[str, Any]) -> None:
        """Writes the settings before the training, so that a killed run can be continued."""
        self.mark()
        self._write_settings(settings)

    @contextmanager
    def in_use(self, marked: bool = True) -> Iterator[None]:
        """Prevents other processes from removing the folder.

        Partial files are deleted if no other process works in the folder. Several processes may use
        it at once, if the same run is started twice on one day. The folder gets a marker, unless
        `marked` is False, for a folder that may have been made by other means than a run.
        """
        own_name = f"{os.getpid()}-{secrets.token_hex(4)}"
        lock = FileLock(self.path / IN_USE.replace("*", own_name))
        self._acquire(lock, marked)
        try:
            if not self.is_in_use(except_by=Path(lock.lock_file)):
                sweep_abandoned(self.path)
            yield
        finally:
            Path(lock.lock_file).unlink(missing_ok=True)
            lock.release()

    def _acquire(self, lock: FileLock, marked: bool) -> None:
        """Acquires a lock in the folder; with `marked`, again if another process removes both."""
        for _ in range(ATTEMPTS - 1):
            try:
                if marked:
                    self.mark()
                lock.acquire()
            except (FileNotFoundError, FileExistsError):  # either, by the moment of the removal
                if not marked:
                    raise
                continue
            if Path(lock.lock_file).exists():
                return
            lock.release()  # another process took the new file for one of an ended process
        if marked:
            self.mark()
        lock.acquire()

    def is_in_use(self, except_by: Path | None = None) -> bool:
        """Returns whether a process works in the folder. Deletes lock files of ended processes."""
        for path in paths_in(self.path, IN_USE):
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
        if self.has_result() or (self.path / LOG_FILE).exists():
            return
        if self.is_in_use():
            return
        sweep_abandoned(self.path)
        own = (SETTINGS_FILE, ARRAYS_FILE, CHECKSUMS_FILE, CHECKSUMS_LOCK, MARKER_FILE)
        for name in (*INPUT_FILES, *own):
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
        """Writes settings, arrays and, last, the result, whose presence marks a complete run.

        Outcomes of the conditions of an earlier command are removed.
        """
        from mgaudit.reports.arrays import arrays_to_bytes
        from mgaudit.reports.results import Result

        name = RESULT_FILE if isinstance(result, Result) else DP_AUDIT_FILE
        self.mark()
        (self.path / CONDITIONS_FILE).unlink(missing_ok=True)
        self._write_settings(result.settings)
        contents = {ARRAYS_FILE: arrays_to_bytes(arrays), name: _json(result)}
        write_results(self.path, contents)

    def write_reports(
        self,
        formats: Sequence[str],
        destination: Path | None = None,
        full_paths: bool = False,
        prior: float | None = None,
    ) -> list[Path]:
        """Renders the reports of the result and returns their paths.

        The files are written after all reports have been rendered, to `destination` or, if that is
        None, to the run folder. `full_paths` states whether to show the directories of the data,
        and `prior` is one in (0, 1) at which to add the PPV.
        """
        if (self.path / DP_AUDIT_FILE).exists():
            if prior is not None:
                rule = "is for audits that report a PPV, and an audit of DP-SGD has none"
                raise UsageError("--prior", rule)
            return self._write(self._dp_reports(formats, full_paths), destination)
        # Both import scipy or matplotlib, which takes a second.
        from mgaudit.analysis.smallest_leaks import with_smallest_leaks
        from mgaudit.reports.document import document
        from mgaudit.storage.read_run import read_run

        result, arrays = read_run(self.path)
        content = document(with_smallest_leaks(result, arrays), arrays, full_paths, prior)
        rendered = {FORMATS[name].name: FORMATS[name].render(content) for name in formats}
        return self._write(rendered, destination)

    def _dp_reports(
        self, formats: Sequence[str], full_paths: bool
    ) -> dict[str, bytes | Mapping[str, bytes]]:
        """Returns the rendered reports on an audit of DP-SGD, by name of the file."""
        from mgaudit.reports.dp_document import dp_document
        from mgaudit.storage.read_run import read_dp_audit

        unknown = [name for name in formats if name not in PAPER_FORMATS]
        if unknown:
            rule = f"must be {', '.join(PAPER_FORMATS)} for an audit of DP-SGD"
            raise UsageError("--format", rule, unknown[0])
        result, arrays = read_dp_audit(self.path)
        content = dp_document(result, arrays, permission(result.settings), full_paths)
        return {PAPER_FORMATS[name].name: PAPER_FORMATS[name].render(content) for name in formats}

    def write_paper(
        self, result: "PaperResult", content: "Document", formats: Sequence[str]
    ) -> list[Path]:
        """Writes the reports on a paper and, last, its result. Returns the reports' paths."""
        self.mark()
        chosen = [PAPER_FORMATS[name] for name in formats]
        rendered = {report_format.name: report_format.render(content) for report_format in chosen}
        paths = self._write(rendered)
        write_results(self.path, {REPRODUCTION_FILE: _json(result)})
        return paths

    def _write_settings(self, settings: Mapping[str, Any]) -> None:
        from mgaudit.reports.results import settings_toml

        text = with_checksum(settings_toml(dict(settings)))
        write_atomically(self.path / SETTINGS_FILE, text.encode())

    def _write(
        self, rendered: Mapping[str, bytes | Mapping[str, bytes]], destination: Path | None = None
    ) -> list[Path]:
        """Writes rendered reports, by name of the file or folder, and returns their paths.

        A report is the bytes of a file, or the files of a folder by their paths in it.
        """
        folder = self.path if destination is None else with_home(destination, "--out")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with _swept(folder, self):
                for name, report in rendered.items():
                    if isinstance(report, bytes):
                        write_atomically(folder / name, report)
                    else:
                        write_folder_atomically(folder / name, report)
        except OSError as error:
            if is_disk_full(error):
                raise OSError(error.errno, error.strerror, str(folder)) from error
            raise _not_writable(folder, error) from error
        return [folder / name for name in rendered]


@contextmanager
def _swept(folder: Path, run_folder: RunFolder) -> Iterator[None]:
    """Deletes what a killed process left of reports in `folder`, before others are written."""
    if folder == run_folder.path:
        with run_folder.in_use(marked=False):
            yield
        return
    # No lock says who writes into a folder of the user.
    names = {report_format.name for report_format in FORMATS.values()}
    names |= {report_format.name for report_format in PAPER_FORMATS.values()}
    for name in names:
        sweep_partial(folder, ABANDONED_SECONDS, name)
    yield


def path_word(*words: str) -> str:
    """Returns the words joined to one word of at most 60 characters that can be part of a path.

    >>> path_word("digits", "cnn", "gaussian-mask:kappa=0.3")
    'digits-cnn-gaussian-mask-kappa-0.3'
    """
    text = "-".join(words).lower()
    word = re.sub(r"[^a-z0-9.]+", "-", text)
    return word.strip("-")[:60]


def _unfinished_before(out: Path, slug: str, sha256: str) -> Path | None:
    """Returns the latest folder of a killed or failed run with this name, whatever its date.

    The name has the local date, so a run that is continued after midnight, or in another time zone,
    would get another folder.
    """
    with suppress(OSError):
        for path in sorted(out.glob(f"{DATE}-{glob.escape(slug)}-{sha256[:8]}"), reverse=True):
            folder = RunFolder(path)
            if not path.is_symlink() and folder.is_marked() and not folder.has_result():
                return path
    return None


def _json(result: "Result | DPAuditResult | PaperResult") -> bytes:
    return (result.model_dump_json(indent=2) + "\n").encode()


def _not_writable(folder: Path, error: OSError) -> UsageError:
    value = f"{str(folder)!r} ({error.strerror})"
    return UsageError("--out", "must be a writable folder", value, "choose another --out")
