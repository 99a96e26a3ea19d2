"""The commands whose results are kept, and how the values are read out of a result file.

    python -m tests.goldens.commands

records all of them again. Do that only where a number was wrong, in a commit of its own that gives
the reason.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent.parent
RESULT_FILES = ("result.json", "dp-audit.json", "reproduction.json")

# What a result says about the machine, the day or the names of what was chosen, and not about
# privacy.
LEFT_OUT = frozenset(
    {
        "schema_version",
        "settings",
        "provenance",
        "versions",
        "processor",
        "times",
        "started",
        "seconds",
        "command",
        "adversary",
        "options",
        "metric_facts",
        "coverage",
        "after_looking",
    }
)

# Kernels are chosen by the processor and the number of threads, and each sums in another order. All
# x86 have these.
SAME_KERNELS = {
    "ATEN_CPU_CAPABILITY": "default",
    "DNNL_MAX_CPU_ISA": "SSE41",
    "MKL_CBWR": "COMPATIBLE",
    "OPENBLAS_CORETYPE": "Nehalem",
    "OMP_NUM_THREADS": "1",
}

SMALL = ("--models", "3", "--examples", "120", "--epochs", "2", "--batch-size", "32")
MACHINE = ("--stack", "1", "--jobs", "1", "--out", "runs", "--quiet")
ATTACKS = (
    "lira",
    "lira:online=false,variance=shrunk",
    "rmia",
    "bavaria",
    "reference",
    "calibration",
    "shadow-classifier",
    "population",
    "quantile",
    "loss",
    "confidence",
    "entropy",
    "modified-entropy",
    "label-only",
    "gradient-norm",
)


@dataclass(frozen=True)
class GoldenCommand:
    """A command line of mgaudit and the name of the file that keeps its values."""

    name: str
    arguments: tuple[str, ...]

    @property
    def path(self) -> Path:
        """The file that keeps the values."""
        return FOLDER / f"{self.name}.json"


COMMANDS = (
    GoldenCommand(
        "run",
        (
            *(
                "run",
                "--target",
                "mlp:hidden=16",
                "--kappa",
                "0.5",
                *SMALL,
                "--queries",
                "mask:3,kappa=0.3",
            ),
            *(word for attack in ATTACKS for word in ("--attack", attack)),
            *MACHINE,
        ),
    ),
    GoldenCommand(
        "compare",
        (
            *("compare", "--scheme", "none", "--scheme", "weight-noise:sigma=0.05"),
            *(
                "--scheme",
                "gaussian-mask:kappa=1+label-noise:rate=0.1",
                "--target",
                "mlp:hidden=16",
            ),
            *("--seed", "0", "--seed", "3", *SMALL, *MACHINE),
        ),
    ),
    GoldenCommand(
        "audit-dp",
        (
            *(
                "audit-dp",
                "--epsilon",
                "2",
                "--target",
                "mlp:hidden=16",
                "--canaries",
                "100",
                "--examples",
                "300",
            ),
            *("--models", "2", "--epochs", "2", "--batch-size", "32", *MACHINE),
        ),
    ),
    GoldenCommand(
        "reproduce",
        (
            "reproduce",
            "gaussian-masking/fig1a",
            "--jobs",
            "1",
            "--out",
            "runs",
            "--quiet",
            "--format",
            "markdown",
        ),
    ),
    GoldenCommand(
        "folder",
        (
            *(
                "run",
                "--dataset",
                "folder:images",
                "--target",
                "cnn",
                "--kappa",
                "0.3",
                "--models",
                "3",
            ),
            *("--epochs", "2", "--batch-size", "32", "--augment", "flips", "--no-dp", *MACHINE),
        ),
    ),
)


def make_images(folder: Path) -> None:
    """Writes 2 × 60 training and 2 × 10 test images of 8 × 8 pixels, noise of two brightnesses."""
    generator = np.random.default_rng(20)
    for split, number in (("train", 60), ("test", 10)):
        for brightness, name in ((90, "dark"), (130, "light")):
            class_folder = folder / split / name
            class_folder.mkdir(parents=True)
            for index in range(number):
                pixels = generator.normal(brightness, 60, (8, 8, 3)).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(class_folder / f"{index:02d}.png")


def run_all(folder: Path) -> dict[str, Any]:
    """Runs every command in a subfolder of `folder`. Returns the values of each result by name.

    One process runs all of them, so that torch and the others are imported once.
    """
    environment = {**os.environ, **SAME_KERNELS, "PYTHONPATH": str(ROOT)}
    code = "import sys; from tests.goldens.commands import run_here; run_here(sys.argv[1])"
    subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        cwd=ROOT,
        env=environment,
        check=True,
        capture_output=True,
    )
    return {command.name: _values(folder / command.name / "runs") for command in COMMANDS}


def run_here(folder: str) -> None:
    """Runs every command, without reports, in this process, started with SAME_KERNELS."""
    from mgaudit.cli.app import app
    from mgaudit.storage.run_folder import RunFolder

    RunFolder.write_reports = lambda *_: []  # type: ignore[method-assign]
    for command in COMMANDS:
        own = Path(folder) / command.name
        make_images(own / "images")
        os.chdir(own)
        os.environ["MGAUDIT_CACHE"] = str(own / "cache")
        app(command.arguments, standalone_mode=False)


def _values(runs: Path) -> Any:
    (run_folder,) = runs.iterdir()
    (result_path,) = (path for path in run_folder.iterdir() if path.name in RESULT_FILES)
    return without_names(json.loads(result_path.read_text(encoding="utf-8")))


def without_names(result: Any) -> Any:
    """Returns a result without its text: numbers, truth values and nulls.

    >>> without_names({"arms": [{"label": "no noise", "auc": 0.5}], "seconds": 3.0})
    {'arms': [{'auc': 0.5}]}
    """
    if isinstance(result, list):
        return [without_names(item) for item in result if not isinstance(item, str)]
    if isinstance(result, dict):
        kept_keys = [
            key
            for key, value in result.items()
            if key not in LEFT_OUT and not isinstance(value, str)
        ]
        return {key: without_names(result[key]) for key in kept_keys}
    return result


def by_place(values: Any, path: str = "") -> dict[str, float | bool | None]:
    """Returns each value by the place where it stands, and the length of each list.

    >>> by_place({"arms": [{"auc": 0.5}]})
    {'/arms/length': 1, '/arms/0/auc': 0.5}
    """
    if not isinstance(values, dict | list):
        return {path: values}
    entries = enumerate(values) if isinstance(values, list) else values.items()
    leaves: dict[str, float | bool | None] = (
        {f"{path}/length": len(values)} if isinstance(values, list) else {}
    )
    for key, value in entries:
        leaves |= by_place(value, f"{path}/{key}")
    return leaves


def processor() -> str:
    """Returns the kind of processor, as precisely as the system names it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = (
        cpuinfo.read_text(encoding="utf-8").splitlines()
        if cpuinfo.exists()
        else [platform.processor()]
    )
    keys = ("vendor_id", "cpu family", "model", "model name")
    facts = [
        line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() in keys
    ]
    return " ".join([platform.system(), platform.machine(), *dict.fromkeys(facts)])


def record() -> None:
    """Runs every command and keeps its values."""
    with tempfile.TemporaryDirectory() as folder:
        values = run_all(Path(folder))
    for command in COMMANDS:
        golden = {"processor": processor(), "values": values[command.name]}
        command.path.write_text(json.dumps(golden, separators=(",", ":")) + "\n", encoding="utf-8")
        print(f"{command.name}: {len(by_place(golden['values']))} values")


if __name__ == "__main__":
    record()
