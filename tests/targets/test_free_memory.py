"""The memory that is still free, from files of the kernel as they are on other machines."""

import io
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from numpy.lib.format import write_array_header_1_0

from mgaudit.errors import UsageError
from mgaudit.targets import free_memory as module
from mgaudit.targets.free_memory import KEPT_BYTES, check_memory, free_memory, size_text

MEMINFO = "MemTotal:       8000000 kB\nMemFree:         100000 kB\nMemAvailable:    4000000 kB\n"
LIMITED = """
import resource, sys
from pathlib import Path
from mgaudit.cli.app import app
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 2**31, size + 2**31))
app(sys.argv[1:])
"""


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with 4.096 GB of available memory, whose process is in no control group."""
    (tmp_path / "meminfo").write_text(MEMINFO)
    (tmp_path / "cgroup").write_text("")
    monkeypatch.setattr(module, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(module, "OWN_CGROUP", tmp_path / "cgroup")
    monkeypatch.setattr(module, "CGROUP", tmp_path / "groups")
    monkeypatch.setattr(module, "_of_address_space", lambda: float("inf"))
    return tmp_path


def group(folder: Path, limit: str, usage: int, names: tuple[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{usage}\n")


V2, V1 = ("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")


def test_it_is_what_the_system_can_give(kernel: Path) -> None:
    assert free_memory() == 4_096_000_000 - KEPT_BYTES


def test_it_is_the_least_of_the_control_groups_above_the_process(kernel: Path) -> None:
    (kernel / "cgroup").write_text("0::/slurm/job/step\n")
    group(kernel / "groups" / "slurm" / "job", "3000000000", 1_000_000_000, V2)
    group(kernel / "groups" / "slurm" / "job" / "step", "max", 1_000_000_000, V2)
    assert free_memory() == 2_000_000_000 - KEPT_BYTES
    (kernel / "groups" / "slurm" / "job" / "memory.stat").write_text("inactive_file 500000000\n")
    assert free_memory() == 2_500_000_000 - KEPT_BYTES


def test_it_is_that_of_a_container_with_control_groups_of_version_1(kernel: Path) -> None:
    (kernel / "cgroup").write_text("4:memory:/docker/abc\n1:cpu:/docker/abc\n")
    group(kernel / "groups" / "memory", "1000000000", 400_000_000, V1)
    assert free_memory() == 600_000_000 - KEPT_BYTES


def test_damaged_files_of_the_kernel_are_passed_over(kernel: Path) -> None:
    (kernel / "meminfo").write_text("MemAvailable:\n")
    (kernel / "cgroup").write_text("nonsense\n")
    assert free_memory() > 0


def test_the_line_states_what_is_needed_and_what_is_free(kernel: Path) -> None:
    check_memory("dataset x", 3e9, "10 values", "use fewer")
    with pytest.raises(UsageError, match=r"free memory of 3\.8 GB, got 10 values, which needs 5"):
        check_memory("dataset x", 5e9, "10 values", "use fewer")


def test_sizes_are_in_units_of_which_there_are_few() -> None:
    assert [size_text(size) for size in (0, 999, 1e3, 2.5e6, 7e13)] == [
        *("0 bytes", "999 bytes", "1.0 kB", "2.5 MB", "70.0 TB")
    ]


def test_a_process_with_a_limit_refuses_arrays_by_their_headers(tmp_path: Path) -> None:
    header, shape = io.BytesIO(), (10**8, 20)
    facts = {"descr": "<f4", "fortran_order": False, "shape": shape}
    write_array_header_1_0(header, facts)
    labels = io.BytesIO()
    np.save(labels, np.arange(10))
    with ZipFile(tmp_path / "large.npz", "w") as archive:
        archive.writestr("x.npy", header.getvalue())
        archive.writestr("y.npy", labels.getvalue())
    command = [sys.executable, "-c", LIMITED, "run", "--dataset", "npz:large.npz"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert "must fit into the free memory of" in done.stderr
    assert "2,000,000,010 values, which needs 20.0 GB" in done.stderr
