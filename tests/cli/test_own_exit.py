"""Own code that ends the process does not end a command with exit code 0 and no result."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mgaudit.targets.own_module import refused_os_exit

ROOT = Path(__file__).parents[2]
# A function and a network that end the process in training, and not when they are tried before.
OWN = """
import os
from pathlib import Path

import numpy as np
import torch


def fit(x, y, *, seed):
    Path("calls").open("a").write("x")
    if Path("calls").stat().st_size > 2:  # the trial fits
        os._exit(0)
    return lambda rows: np.tile(np.arange(10.0), (len(rows), 1))


class Net(torch.nn.Module):
    def __init__(self, shape, classes):
        super().__init__()
        self.layer = torch.nn.Linear(64, classes)

    def forward(self, x):
        if list(Path("runs").glob("*/settings.toml")):  # which are written before the training
            os._exit(0)
        return self.layer(x.flatten(1))
"""
FEW = ["--models", "4", "--examples", "200", "--attack", "loss", "--jobs", "1"]


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["--fit", "own:fit"], id="function"),
        pytest.param(
            ["--target", "own:Net", "--no-dp", "--epochs", "1"],
            id="network",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_own_code_that_ends_the_process_gives_an_error_line(
    tmp_path: Path, own_cache: Path, words: list[str]
) -> None:
    (tmp_path / "own.py").write_text(OWN)
    done = subprocess.run(
        [sys.executable, "-m", "mgaudit", "run", *words, *FEW],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "os._exit(0) was called, which would end mgaudit without result" in line
    assert not list(tmp_path.glob("runs/*/result.json"))


FORKING = """
import os
from mgaudit.targets.own_module import refused_os_exit

with refused_os_exit():
    child = os.fork()
    if not child:
        os._exit(7)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_may_end_as_it_likes() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKING],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "7\n"


def test_os_exit_is_as_before_after_a_command() -> None:
    before = os._exit
    with pytest.raises(RuntimeError, match=r"os\._exit\(3\) was called"), refused_os_exit():
        os._exit(3)
    assert os._exit is before
