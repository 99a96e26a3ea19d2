"""`import mgaudit` refuses to go on with another package under one of our names."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def imported_beside(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "import mgaudit"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", ["attacks", "targets", "reports"])
def test_a_package_that_shadows_ours_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("")
    done = imported_beside(tmp_path)
    assert done.returncode == 1
    assert f"mgaudit needs its own package {name!r} at {ROOT / name}" in done.stderr
    assert str(tmp_path / name) in done.stderr


def test_a_plain_folder_of_that_name_does_not_hurt(tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    done = imported_beside(tmp_path)
    assert done.returncode == 0, done.stderr
