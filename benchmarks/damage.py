"""Damage kept models, outputs, results and settings, and count what was noticed and repaired.

    python benchmarks/damage.py [--trials 60] [--kind settings.toml]

A small study is run once. Then, for each trial, one bit of one kept file is flipped or the file is
cut, the bit and the length drawn over the whole file, and the study is run again on that cache.
Before a model is damaged, all outputs are deleted, so that the model is queried again. A repaired
run must name the file and give the same result and arrays.

The files of the run directory are damaged alike and read again. A damaged result or array file must
be refused, and damaged settings must be refused or give a warning. Exits with 1 if any number
changed silently, or if anything damaged was not noticed.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mgaudit.errors import ChangedSettingsWarning, UsageError
from mgaudit.reports.arrays import Arrays
from mgaudit.reports.files import ARRAYS_FILE, RESULT_FILE
from mgaudit.reports.results import Result, StudyResult
from mgaudit.settings.study_settings import study_settings
from mgaudit.settings.toml_file import read_settings
from mgaudit.storage.read_run import read_run
from mgaudit.storage.run_folder import SETTINGS_FILE, RunFolder
from mgaudit.study.plan import Plan, plan_study
from mgaudit.study.progress import Progress
from mgaudit.study.study import run_study

SETTINGS: dict[str, Any] = {
    "target": "mlp:hidden=8",
    "models": 4,
    "examples": 120,
    "stack": 1,
    "schemes": ["none", "gaussian-mask:kappa=0.3"],
    "training": {"epochs": 2, "batch_size": 32},
}
FLIP, CUT = "bit flips", "cuts"
MODELS, OUTPUTS = "models", "outputs"
RUN_FILES = (RESULT_FILE, ARRAYS_FILE, SETTINGS_FILE)
KINDS = (MODELS, OUTPUTS, *RUN_FILES)
REPAIRED, REPORTED = "repaired, equal", "reported"
COLUMNS = (
    REPAIRED,
    REPORTED,
    "repaired, other result",
    "silent change",
    "unnoticed, equal",
    "failed",
)


class Heard(Progress):
    """Keeps what the run says."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def stage(self, text: str) -> None:
        """Keeps the line."""
        self.lines.append(text)


def main(arguments: list[str] | None = None) -> int:
    """Prints a table of what came of the damage. Returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--trials", type=int, default=60, help="of each kind of damage to each kind of file"
    )
    parser.add_argument("--kind", choices=KINDS, action="append", help="(default: all)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    generator = np.random.default_rng(options.seed)
    before = os.environ.get("MGAUDIT_CACHE")
    with tempfile.TemporaryDirectory() as folder:
        try:
            kinds = options.kind or KINDS
            table = _experiment(Path(folder), kinds, options.trials, generator)
        finally:
            os.environ.pop("MGAUDIT_CACHE")
            if before is not None:
                os.environ["MGAUDIT_CACHE"] = before
    print(f"{'damage':26}" + "  ".join(COLUMNS))
    for name, counts in table.items():
        print(f"{name:26}" + "  ".join(f"{counts[column]:{len(column)}}" for column in COLUMNS))
    noticed = [counts[REPAIRED] + counts[REPORTED] for counts in table.values()]
    return int(any(count != options.trials for count in noticed))


def _experiment(
    folder: Path, kinds: Sequence[str], trials: int, generator: np.random.Generator
) -> dict[str, Counter[str]]:
    cache, pristine = folder / "cache", folder / "pristine"
    os.environ["MGAUDIT_CACHE"] = str(cache)
    plan = plan_study(study_settings(SETTINGS))
    study, arrays = run_study(plan, 1, Progress())
    expected = _numbers(study, arrays)
    shutil.copytree(cache, pristine)
    run = RunFolder(folder / "run")
    record = Result(title="", note="", command="", settings=study.settings, studies=[study])
    run.write_result(record, [arrays])
    table = {}
    for kind in kinds:
        for damage in (FLIP, CUT):
            counts: Counter[str] = Counter()
            for _ in range(trials):
                if kind in RUN_FILES:
                    counts[_trial_of_run(run.path, kind, damage, generator)] += 1
                    continue
                shutil.rmtree(cache)
                shutil.copytree(pristine, cache)
                counts[_trial(cache, kind, damage, plan, expected, generator)] += 1
            table[f"{damage} in {kind}"] = counts
    return table


def _trial_of_run(run: Path, name: str, damage: str, generator: np.random.Generator) -> str:
    """Damages a file of a run directory and reads it. Returns what came of it, one of COLUMNS."""
    path = run / name
    whole = path.read_bytes()
    record, settings = read_run(run)[0], study_settings(read_settings(run / SETTINGS_FILE))
    path.write_bytes(_damaged(whole, damage, generator))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ChangedSettingsWarning)
            is_equal = read_run(run)[0] == record
            values = read_settings(run / SETTINGS_FILE)
            is_equal = is_equal and study_settings(values) == settings
    except (UsageError, ChangedSettingsWarning) as error:
        return REPORTED if name in str(error) else "failed"
    finally:
        path.write_bytes(whole)
    if not values:  # `mgaudit run` refuses settings without a value
        return REPORTED
    return "unnoticed, equal" if is_equal else "silent change"


def _damaged(content: bytes, damage: str, generator: np.random.Generator) -> bytes:
    """Returns the content with one bit flipped, or cut."""
    if damage == CUT:
        return content[: int(generator.integers(len(content)))]
    changed = bytearray(content)
    bit = int(generator.integers(8 * len(content)))
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def _trial(
    cache: Path,
    kind: str,
    damage: str,
    plan: Plan,
    expected: dict[str, Any],
    generator: np.random.Generator,
) -> str:
    """Damages one file and runs again. Returns what came of it, one of COLUMNS."""
    files = sorted(
        cache.glob(f"ensembles/*/{'model' if kind == MODELS else 'outputs'}-*.safetensors")
    )
    if kind == MODELS:
        for outputs in cache.glob("ensembles/*/outputs-*"):
            outputs.unlink()
    path = files[generator.integers(len(files))]
    path.write_bytes(_damaged(path.read_bytes(), damage, generator))
    progress = Heard()
    try:
        numbers = _numbers(*run_study(plan, 1, progress))
    except Exception as error:
        print(f"{damage} in {path.name}: {type(error).__name__}: {error}", file=sys.stderr)
        return "failed"
    is_named = any(str(path) in line and "is damaged" in line for line in progress.lines)
    is_equal = _equal(numbers, expected)
    if is_named:
        return REPAIRED if is_equal else "repaired, other result"
    return "unnoticed, equal" if is_equal else "silent change"


def _numbers(study: StudyResult, arrays: Arrays) -> dict[str, Any]:
    content = json.loads(study.model_dump_json())
    del content["times"]
    return {"result": content, "arrays": arrays}


def _equal(first: dict[str, Any], second: dict[str, Any]) -> bool:
    arrays, others = first["arrays"], second["arrays"]
    return (
        first["result"] == second["result"]
        and arrays.keys() == others.keys()
        and all(
            np.array_equal(arrays[name], others[name], equal_nan=arrays[name].dtype.kind == "f")
            for name in arrays
        )
    )


if __name__ == "__main__":
    sys.exit(main())
