"""A few cases of `benchmarks/fuzz.py`, which has thousands."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FUZZ = (sys.executable, "benchmarks/fuzz.py", "--jobs", "1", "--no-runs")


def fuzz(*options: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [*FUZZ, *options], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def test_no_case_ends_in_a_traceback_a_hang_or_with_too_much_memory() -> None:
    done = fuzz("--commands", "12", "--data", "6", "--studies", "4", "--seed", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "command" in done.stdout
    assert "study" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["traceback", "hang", "signal"])
def test_a_fault_is_found(fault: str) -> None:
    done = fuzz("--only", "command:0", "--fault", fault, "--seconds", "1")
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{fault} command:0" in done.stdout


@pytest.mark.slow
def test_too_much_memory_is_found() -> None:
    done = fuzz("--only", "command:0", "--mebibytes", "50")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "memory command:0" in done.stdout
