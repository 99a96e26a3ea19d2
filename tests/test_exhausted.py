"""A full memory and a full disk are named, with what to do."""

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from mgaudit.cli.app import app
from mgaudit.cli.ending import described
from mgaudit.exhausted import is_out_of_memory
from mgaudit.storage.run_folder import RunFolder


def error_of(size: int, of_torch: bool) -> BaseException:
    try:
        torch.empty(size) if of_torch else np.empty(size)
    except (MemoryError, RuntimeError) as error:
        return error
    raise AssertionError


@pytest.mark.parametrize("of_torch", [True, False])
def test_no_memory_is_one_line_with_the_options_to_reduce(of_torch: bool) -> None:
    error = error_of(2**58, of_torch)
    assert is_out_of_memory(error)
    line = described(error)
    assert line.startswith("the memory is full (")
    assert "--models" in line
    assert not is_out_of_memory(RuntimeError("size mismatch"))


def test_a_full_memory_while_planning_has_no_log(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def exhausted(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("mgaudit.study.plan.plan_study", exhausted)
    done = CliRunner().invoke(app, ["run", "--quiet", "--out", str(tmp_path)])
    assert done.exit_code == 1
    assert done.stderr.startswith("error: the memory is full; use fewer --examples")
    assert len(done.stderr.splitlines()) == 1


def full(*folders: Path) -> object:
    return lambda path: SimpleNamespace(free=0 if Path(path) in folders else 10**12)


def test_the_disk_that_is_full_is_named(
    own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    run = RunFolder(tmp_path / "run")
    monkeypatch.setattr("shutil.disk_usage", full(own_cache))
    line = described(error, run)
    assert f"the cache (MGAUDIT_CACHE) {own_cache}" in line
    assert "--out" not in line
    assert "TMPDIR" not in line
    monkeypatch.setattr("shutil.disk_usage", full(run.path))
    assert f"the run directory (--out) {run.path};" in described(error, run)


def test_where_no_disk_is_full_any_more_all_are_named(
    own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", full())
    error = OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
    line = described(error, RunFolder(tmp_path))
    for name in (str(own_cache), str(tmp_path), "TMPDIR"):
        assert name in line


def test_an_error_with_a_file_names_the_file() -> None:
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/data/model.safetensors")
    assert described(error).startswith("/data/model.safetensors: No space left on device; free")
