import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock, Timeout
from safetensors.numpy import save

from mgaudit import targets
from mgaudit.storage.atomic import PARTIAL_SUFFIX, write_atomically
from mgaudit.storage.checked_files import DamagedFileError, lock_holder, locked_folder
from mgaudit.storage.checksums import arrays_sha256
from mgaudit.storage.ensembles import (
    DATA_FOLDER,
    QUERYING_FOLDER,
    EnsembleFolder,
    Layout,
    Outputs,
    OutputsKey,
    cache_folder,
    check_cache_folder,
    querying_code_sha256,
    training_code_sha256,
)

WEIGHTS: dict[str, np.ndarray] = {
    "layer.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "bias.a": np.zeros(2, np.float32),
    "bias.b": np.ones(2, np.float32),
    "steps": np.array(3, np.int64),
}
LAYOUT: Layout = {name: (str(values.dtype), values.shape) for name, values in WEIGHTS.items()}
FACTS = {"steps": 7, "seconds": 0.5, "diverged": False}
KEY = OutputsKey("logits", ("a", "b"), ("pool", "test"))
LOGITS = {"pool": np.ones((2, 3, 1, 2), np.float32)}


def loaded(folder: EnsembleFolder, key: OutputsKey) -> Outputs | None:
    return folder.load_outputs(key, pytest.fail)


def made(determined_by: dict[str, object]) -> EnsembleFolder:
    folder = EnsembleFolder.at(determined_by)
    with folder.locked():
        return folder


def test_models_and_outputs_come_back_as_they_went() -> None:
    folder = made({"seed": 0})
    folder.save_model(2, WEIGHTS, FACTS)
    assert list(folder.checked_models(4, LAYOUT)) == [2]
    model = folder.load_model(2, LAYOUT)
    assert np.array_equal(model.weights["layer.weight"], WEIGHTS["layer.weight"])
    assert model.weights["steps"].shape == ()
    assert model.facts == FACTS
    assert loaded(folder, KEY) is None
    folder.save_outputs(KEY, LOGITS)
    assert np.array_equal(loaded(folder, KEY)["pool"], LOGITS["pool"])  # type: ignore[index]
    for change in (
        {"what": "other logits"},
        {"models": ("a", "x")},
        {"models": ("a",)},
        {"inputs": ("x",)},
    ):
        assert loaded(folder, replace(KEY, **change)) is None, change


def test_outputs_of_other_querying_code_are_other_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = made({"seed": 0})
    folder.save_outputs(KEY, LOGITS)
    monkeypatch.setattr("mgaudit.storage.ensembles.querying_code_sha256", lambda: "other")
    assert loaded(folder, KEY) is None


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


def test_the_checksum_covers_names_dtypes_shapes_and_bytes() -> None:
    first = {
        "a": np.zeros((2, 3), np.float32),
        "b": np.zeros(0, np.float32),
        "c": np.zeros((), np.int64),
    }
    checksum = arrays_sha256(first)
    assert checksum == arrays_sha256(dict(reversed(first.items())))
    assert checksum == arrays_sha256({**first, "a": np.zeros((2, 3), np.float32, order="F")})
    others: list[dict[str, np.ndarray]] = [
        {**first, "a": first["a"].T},
        {**first, "a": first["a"].view(np.int32)},
        {**first, "a": first["a"] - 0.0 * -1},
        {**first, "d": np.zeros(0, np.float32)},
        {"a": first["a"], "d": first["b"], "c": first["c"]},
    ]
    others[2]["a"][1, 2] = -0.0  # another bit
    assert len({checksum, *map(arrays_sha256, others)}) == 6


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "a bit of the header's length": lambda content: bytes([content[0] ^ 1]) + content[1:],
    "a bit of a tensor": lambda content: content[:-3] + bytes([content[-3] ^ 64]) + content[-2:],
    "a bit of the checksum": lambda content: content.replace(
        b'sha256\\": \\"', b'sha256\\": \\"0', 1
    ),
    "a renamed tensor": lambda content: content.replace(b"layer.weight", b"layer.height"),
    "two tensors exchanged": lambda content: (
        content.replace(b'"bias.a"', b'"bias.x"')
        .replace(b'"bias.b"', b'"bias.a"')
        .replace(b'"bias.x"', b'"bias.b"')
    ),
    "another number of steps": lambda content: content.replace(b": 7}", b": 6}"),
    "other facts": lambda content: content.replace(b"diverged", b"Diverged"),
    "a cut": lambda content: content[:-1],
    "a longer file": lambda content: content + b"0",
    "an empty file": lambda _: b"",
    "nonsense": lambda _: b"nonsense" * 100,
    "deeply nested JSON": lambda _: (20_000).to_bytes(8, "little") + b"[" * 20_000,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_named_set_aside_and_never_read_again(damage: str) -> None:
    folder = made({"seed": 0})
    for index in range(2):
        folder.save_model(index, WEIGHTS, FACTS)
    folder.save_outputs(KEY, WEIGHTS)
    heard: list[str] = []
    for path in (folder.model_path(0), folder.outputs_path(KEY)):
        content = path.read_bytes()
        path.write_bytes(DAMAGES[damage](content))
        assert (
            path.read_bytes() != content or "facts" in damage or "steps" in damage
        )  # outputs have no facts
    with pytest.raises(DamagedFileError, match=r"model-00000\.safetensors is damaged \("):
        folder.load_model(0, LAYOUT)
    assert list(folder.checked_models(2, LAYOUT)) == [1]
    assert list(folder.repaired_models(range(2), LAYOUT, heard.append)) == [1]
    assert not folder.model_path(0).exists()
    assert "set aside as model-00000.safetensors.damaged" in heard[0]
    if "facts" not in damage and "steps" not in damage:
        assert folder.load_outputs(KEY, heard.append) is None
        assert "outputs-00002" in heard[1]
    folder.save_model(0, WEIGHTS, FACTS)
    assert list(folder.checked_models(2, LAYOUT)) == [0, 1]


def test_a_folder_or_another_models_file_in_place_of_a_file_is_set_aside_too() -> None:
    folder = made({"seed": 0})
    for index in range(3):
        folder.save_model(index, WEIGHTS, FACTS)
    folder.model_path(0).unlink()
    folder.model_path(0).mkdir()
    folder.model_path(1).write_bytes(folder.model_path(2).read_bytes())
    folder.outputs_path(KEY).mkdir()
    (folder.path / "notes.txt").write_text("not ours")
    (folder.path / ".kept.partial").mkdir()
    heard: list[str] = []
    with folder.locked():
        assert list(folder.repaired_models(range(3), LAYOUT, heard.append)) == [2]
        assert folder.load_outputs(KEY, heard.append) is None
    assert len(heard) == 3
    assert len(list(folder.path.glob("*.damaged"))) == 3


@pytest.mark.parametrize(
    ("weights", "facts", "reason"),
    [
        ({}, FACTS, "the tensor 'bias.a' is missing"),
        ({**WEIGHTS, "more": WEIGHTS["bias.a"]}, FACTS, "the network has no tensor 'more'"),
        (
            {**WEIGHTS, "bias.a": np.zeros(3, np.float32)},
            FACTS,
            r"'bias.a' must be float32 \(2,\), got float32 \(3,\)",
        ),
        ({**WEIGHTS, "bias.a": np.zeros(2)}, FACTS, "'bias.a' must be float32"),
        (WEIGHTS, {**FACTS, "diverged": True}, "the network has no tensor 'bias.a'"),
        (WEIGHTS, {}, "its facts must be steps, seconds, diverged"),
        (WEIGHTS, {**FACTS, "more": 1}, "its facts must be"),
        (WEIGHTS, {**FACTS, "diverged": "no"}, "diverged must be bool, got 'no'"),
        (WEIGHTS, {**FACTS, "steps": True}, "steps must be int"),
        (WEIGHTS, {**FACTS, "steps": -1}, "must be finite and >= 0"),
        (WEIGHTS, {**FACTS, "seconds": float("nan")}, "must be finite and >= 0"),
    ],
)
def test_what_does_not_fit_the_network_is_damaged_whatever_its_checksum(
    weights: dict[str, np.ndarray], facts: dict[str, object], reason: str
) -> None:
    folder = made({"seed": 0})
    folder.save_model(0, weights, facts)
    with pytest.raises(DamagedFileError, match=reason):
        folder.load_model(0, LAYOUT)


def test_a_model_kept_without_a_checksum_is_damaged() -> None:
    folder = made({"seed": 0})
    folder.model_path(0).write_bytes(save(WEIGHTS, metadata={"facts": json.dumps(FACTS)}))
    with pytest.raises(DamagedFileError, match="KeyError"):
        folder.load_model(0)


def test_what_a_killed_writer_left_is_cleared_and_never_taken_for_a_model() -> None:
    folder = made({"seed": 0})
    left = folder.path / f".model-00000.safetensors.abc{PARTIAL_SUFFIX}"
    left.write_bytes(b"half")
    assert folder.checked_models(1, LAYOUT) == {}
    with folder.locked():
        assert not left.exists()


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    path = folder / "a.txt"
    write_atomically(path, b"old")
    before = os.umask(0o027)
    write_atomically(path, b"old")
    os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640

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


def test_waiting_for_another_process_is_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mgaudit.storage.checked_files.PATIENCE_SECONDS", 0.05)
    folder = made({"seed": 0})
    heard: list[str] = []
    taken, done = threading.Event(), threading.Event()

    def hold() -> None:
        with folder.locked():
            taken.set()
            done.wait(0.3)

    other = threading.Thread(target=hold)
    other.start()
    taken.wait()
    started = time.monotonic()
    with folder.locked(lambda: heard.append("waiting")):
        assert heard == ["waiting"]
        assert time.monotonic() - started > 0.2
    other.join()
    with folder.locked(lambda: heard.append("waiting")):
        assert heard == ["waiting"]


def test_a_cache_folder_that_cannot_be_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MGAUDIT_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(ValueError, match=r"the cache folder must be writable, .* MGAUDIT_CACHE"):
        check_cache_folder()


def test_the_holder_of_a_lock_is_named(tmp_path: Path) -> None:
    assert lock_holder(tmp_path / "none") == "another process"
    with locked_folder(tmp_path / "folder", "{}"):
        named = lock_holder(tmp_path / "folder")
    assert named.startswith(f"process {os.getpid()} on ")
