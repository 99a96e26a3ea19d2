import os
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock, Timeout

from mgaudit import targets
from mgaudit.storage.atomic import PARTIAL_SUFFIX, write_atomically
from mgaudit.storage.ensembles import (
    DATA_FOLDER,
    QUERYING_FOLDER,
    EnsembleFolder,
    cache_folder,
    check_cache_folder,
    querying_code_sha256,
    training_code_sha256,
)

WEIGHTS = {"layer.weight": np.arange(6, dtype=np.float32).reshape(2, 3)}


def made(determined_by: dict[str, object]) -> EnsembleFolder:
    folder = EnsembleFolder.at(determined_by)
    with folder.locked():
        return folder


def test_models_and_outputs_come_back_as_they_went() -> None:
    folder = made({"seed": 0})
    folder.save_model(2, WEIGHTS, {"steps": 7})
    assert folder.missing(4) == [0, 1, 3]
    assert np.array_equal(folder.load_weights(2)["layer.weight"], WEIGHTS["layer.weight"])
    assert folder.load_facts(2) == {"steps": 7}
    assert folder.load_outputs("logits", 4) is None
    logits = {"pool": np.ones((4, 3, 1, 2), np.float32)}
    folder.save_outputs("logits", 4, logits)
    assert np.array_equal(folder.load_outputs("logits", 4)["pool"], logits["pool"])  # type: ignore[index]
    assert folder.load_outputs("logits", 5) is None
    assert folder.load_outputs("other logits", 4) is None


def test_outputs_of_other_querying_code_are_other_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = made({"seed": 0})
    folder.save_outputs("logits", 4, {"pool": np.ones((4, 3, 1, 2), np.float32)})
    monkeypatch.setattr("mgaudit.storage.ensembles.querying_code_sha256", lambda: "other")
    assert folder.load_outputs("logits", 4) is None


def test_code_that_only_queries_models_is_no_training_code() -> None:
    assert training_code_sha256() != querying_code_sha256()
    root = Path(targets.__file__).parent
    assert (root / QUERYING_FOLDER).is_dir()
    assert (root / DATA_FOLDER).is_dir()


def test_the_key_is_all_that_determines_the_ensemble(own_cache: Path) -> None:
    first = EnsembleFolder.at({"seed": 0, "epochs": 3})
    assert first.path == EnsembleFolder.at({"epochs": 3, "seed": 0}).path
    assert first.path != EnsembleFolder.at({"seed": 1, "epochs": 3}).path
    assert first.path.is_relative_to(own_cache)
    assert cache_folder() == own_cache
    assert len(training_code_sha256()) == 64


def test_a_damaged_model_is_an_error_that_names_the_file() -> None:
    folder = made({"seed": 0})
    folder.save_model(0, WEIGHTS, {})
    path = folder.model_path(0)
    path.write_bytes(path.read_bytes()[:40])
    for load in (folder.load_weights, folder.load_facts):
        with pytest.raises(ValueError, match=r"model-00000\.safetensors is damaged .*delete it"):
            load(0)
    folder.outputs_path("logits", 3).write_bytes(b"nonsense")
    with pytest.raises(ValueError, match=r"outputs-00003-\w+\.safetensors is damaged"):
        folder.load_outputs("logits", 3)


def test_what_a_killed_writer_left_is_cleared_and_never_taken_for_a_model() -> None:
    folder = made({"seed": 0})
    left = folder.path / f".model-00000.safetensors.abc{PARTIAL_SUFFIX}"
    left.write_bytes(b"half")
    assert folder.missing(1) == [0]
    with folder.locked():
        assert not left.exists()


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    path = folder / "a.txt"
    write_atomically(path, b"old")
    assert path.stat().st_mode & 0o777 == 0o644

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(folder.iterdir()) == [path]


def test_a_second_writer_waits_for_the_first(tmp_path: Path) -> None:
    folder = made({"seed": 0})
    lock = FileLock(folder.path / ".lock", timeout=0)
    with folder.locked(), pytest.raises(Timeout):
        lock.acquire()
    lock.acquire()
    lock.release()


def test_a_cache_folder_that_cannot_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MGAUDIT_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(ValueError, match=r"the cache folder must be one that can be written, .* MGAUDIT_CACHE"):
        check_cache_folder()
