"""Run folders: the result of a run and its reports. Needs no torch."""

import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from mgaudit.reports.document import Document, document
from mgaudit.reports.dp_audit import DP_AUDIT_FILE, DPAuditResult
from mgaudit.reports.formats.render import FORMATS, PAPER_FORMATS
from mgaudit.reports.reproduction import REPRODUCTION_FILE, PaperResult
from mgaudit.reports.results import (
    ARRAYS_FILE,
    RESULT_FILE,
    Arrays,
    Result,
    arrays_to_bytes,
    read_result,
    settings_toml,
)
from mgaudit.storage.atomic import write_atomically, write_folder_atomically

LOG_FILE = "log.txt"
SETTINGS_FILE = "settings.toml"


@dataclass(frozen=True)
class RunFolder:
    """`<date>-<slug>-<hash>/` with settings.toml, arrays.npz, log.txt, and a result.

    The result of a study is result.json, with its reports beside it; that of an audit of DP-SGD is dp-audit.json, and
    that of a paper made again reproduction.json.
    """

    path: Path

    @classmethod
    def create(cls, out: Path, slug: str, sha256: str) -> "RunFolder":
        """Returns the folder of a run, made before any training so that a bad `out` is known by then.

        `sha256` is over all that determines the result: the same run of the same day gets the same folder. Raises
        ValueError where it cannot be made or written.
        """
        path = out / f"{date.today().isoformat()}-{slug}-{sha256[:8]}"
        try:
            path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=path):
                pass
        except OSError as error:
            raise ValueError(_not_writable(out, error)) from error
        return cls(path)

    @classmethod
    def find(cls, text: str, out: Path) -> "RunFolder":
        """Returns the run folder that `text` names: a path, or the name of a folder in `out`."""
        path = Path(text)
        return cls(path if path.exists() or not (out / text).exists() else out / text)

    def discard_if_unfinished(self) -> None:
        """Takes the folder away again unless a result is in it."""
        if not any((self.path / name).exists() for name in (RESULT_FILE, DP_AUDIT_FILE, REPRODUCTION_FILE)):
            shutil.rmtree(self.path, ignore_errors=True)

    def write_log(self, lines: Sequence[str]) -> None:
        """Writes what happened."""
        write_atomically(self.path / LOG_FILE, "".join(f"{line}\n" for line in lines).encode())

    def write_result(self, result: Result | DPAuditResult, arrays: Sequence[Arrays]) -> None:
        """Writes settings, arrays and, last, the result, whose presence says that the run is whole."""
        name = RESULT_FILE if isinstance(result, Result) else DP_AUDIT_FILE
        write_atomically(self.path / SETTINGS_FILE, settings_toml(result.settings).encode())
        write_atomically(self.path / ARRAYS_FILE, arrays_to_bytes(arrays))
        write_atomically(self.path / name, (result.model_dump_json(indent=2) + "\n").encode())

    def write_reports(self, formats: Sequence[str], destination: Path | None = None) -> list[Path]:
        """Renders the reports from the result and returns their paths, in the run folder or in `destination`.

        All are rendered before any is written.
        """
        content = document(*read_result(self.path))
        return self._write({FORMATS[name].name: FORMATS[name].render(content) for name in formats}, destination)

    def write_paper(self, result: PaperResult, content: Document, formats: Sequence[str]) -> list[Path]:
        """Writes the reports on a paper and, last, its result. Returns the reports' paths."""
        paths = self._write({PAPER_FORMATS[name].name: PAPER_FORMATS[name].render(content) for name in formats})
        write_atomically(self.path / REPRODUCTION_FILE, (result.model_dump_json(indent=2) + "\n").encode())
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
            raise ValueError(_not_writable(folder, error)) from error
        return [folder / name for name in rendered]


def path_word(*words: str) -> str:
    """Returns the words as one that may stand in a path.

    >>> path_word("digits", "cnn", "gaussian-mask:kappa=0.3")
    'digits-cnn-gaussian-mask-kappa-0.3'
    """
    return re.sub(r"[^a-z0-9.]+", "-", "-".join(words).lower()).strip("-")[:60]


def _not_writable(folder: Path, error: OSError) -> str:
    return f"--out must be a folder that can be written, got {str(folder)!r} ({error.strerror}); choose another --out"
