"""Run folders: the result of a run and its reports. Needs no torch."""

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from mgaudit.atomic import write_atomically
from reports.document import document
from reports.render import FORMATS
from reports.results import ARRAYS_FILE, RESULT_FILE, Arrays, StudyResult, arrays_to_bytes, read_study

LOG_FILE = "log.txt"
SETTINGS_FILE = "settings.toml"


@dataclass(frozen=True)
class RunFolder:
    """`<date>-<slug>-<hash>/` with settings.toml, result.json, arrays.npz, the reports and log.txt."""

    path: Path

    @classmethod
    def create(cls, out: Path, settings: dict[str, Any]) -> "RunFolder":
        """Returns the folder for a run with these settings, made now so that a bad `out` is known before any training.

        Raises ValueError where it cannot be made or written.
        """
        hashed = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]
        dataset = settings["dataset"].partition(":")[0]
        schemes = [name for name in settings["schemes"] if name != "none"]
        slug = re.sub(r"[^a-z0-9.]+", "-", "-".join([dataset, settings["target"], *schemes[:1]]).lower()).strip("-")
        path = out / f"{date.today().isoformat()}-{slug[:60]}-{hashed}"
        try:
            path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=path):
                pass
        except OSError as error:
            raise ValueError(
                f"--out must be a folder that can be written, got {str(out)!r} ({error.strerror}); choose another --out"
            ) from error
        return cls(path)

    @classmethod
    def find(cls, text: str, out: Path) -> "RunFolder":
        """Returns the run folder that `text` names: a path, or the name of a folder in `out`."""
        path = Path(text)
        return cls(path if path.exists() or not (out / text).exists() else out / text)

    def discard_if_unfinished(self) -> None:
        """Takes the folder away again unless a result is in it."""
        if not (self.path / RESULT_FILE).exists():
            shutil.rmtree(self.path, ignore_errors=True)

    def write_log(self, lines: Sequence[str]) -> None:
        """Writes what happened."""
        write_atomically(self.path / LOG_FILE, "".join(f"{line}\n" for line in lines).encode())

    def write_result(self, study: StudyResult, arrays: Arrays) -> None:
        """Writes settings, arrays and, last, the result, whose presence says that the run is whole."""
        write_atomically(self.path / SETTINGS_FILE, study.settings_toml.encode())
        write_atomically(self.path / ARRAYS_FILE, arrays_to_bytes(arrays))
        write_atomically(self.path / RESULT_FILE, (study.model_dump_json(indent=2) + "\n").encode())

    def write_reports(self, formats: Sequence[str], destination: Path | None = None) -> list[Path]:
        """Renders the reports from the result and returns their paths, in the run folder or in `destination`."""
        study, arrays = read_study(self.path)
        content = document(study, arrays)
        folder = destination or self.path
        try:
            folder.mkdir(parents=True, exist_ok=True)
            paths = []
            for name in formats:
                path = folder / f"report.{name}"
                write_atomically(path, FORMATS[name](content))
                paths.append(path)
        except OSError as error:
            raise ValueError(
                f"--out must be a folder that can be written, got {str(folder)!r} ({error.strerror})"
            ) from error
        return paths
