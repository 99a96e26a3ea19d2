"""The content of the cache folder: what is counted, found damaged, and removed."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from mgaudit.functions.predictions import ModelFacts, PredictionFolder
from mgaudit.storage.atomic import write_atomically, write_with_folder
from mgaudit.storage.cache_check import damaged_files
from mgaudit.storage.cache_content import CacheContent, CachedFile, Kind, cache_content
from mgaudit.storage.cache_removal import (
    all_removals,
    remove,
    remove_empty_folders,
    useless_removals,
)
from mgaudit.storage.checked_files import locked_folder
from mgaudit.storage.ensembles import EnsembleFolder, OutputsKey
from mgaudit.storage.measurements import (
    MeasuredBy,
    load_measurements,
    measurements_path,
    save_measurements,
)
from mgaudit.targets.datasets import published_datasets

CODE = dict.fromkeys(
    ("ensembles", "predictions", "outputs", "attacks", "accountants", "figures"), "this"
)
MEASURED = json.dumps({"code": "this"})
FACTS = {"steps": 3, "seconds": 1.0, "diverged": False}
DAY = 86400.0


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with one entry of each kind, all of them whole."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("MGAUDIT_CACHE", str(folder))
    monkeypatch.setattr("mgaudit.storage.ensembles.querying_code_sha256", lambda: "this")
    ensemble = EnsembleFolder.at({"code": "this"})
    with ensemble.locked():
        for index in range(2):
            ensemble.save_model(index, {"weight": np.arange(8.0)}, FACTS)
        outputs = np.zeros((2, 3), dtype=np.float32)
        ensemble.save_outputs(OutputsKey("logits", ("a", "b"), ("c",)), {"pool": outputs})
    predictions = PredictionFolder.at({"code": "this"})
    with predictions.locked(lambda: None):
        predictions.save_model("0" * 32, {"examples": np.ones((2, 2))}, ModelFacts(1.0, "", ""))
        predictions.save_trial(["a note"])
    search = folder / "searches" / "ab" / f"{32 * 'ab'}.json"
    save_measurements(MEASURED, {"scores": np.arange(3.0)})
    save_measurements(MEASURED, {"plan": np.arange(3.0)}, "accountants")
    save_measurements(MEASURED, {"rows": np.arange(3.0)}, "figures")
    search.parent.mkdir(parents=True)
    search.write_text(json.dumps({"key": search.stem, "accuracy": 0.5, "seconds": 1.0}))
    return folder


def values(content: CacheContent) -> list[CachedFile]:
    return [file for file in content.files if file.role not in ("lock",)]


def reasons(cache: Path, oldest: float | None = None) -> dict[str, str]:
    """Returns why each file or folder is useless, by its path in the cache."""
    content = cache_content(cache)
    damaged = {file.path: reason for file, reason in damaged_files(content)}
    paths = {}
    for removal in useless_removals(content, damaged, CODE, oldest):
        path = removal.group if removal.is_whole else removal.files[0].path
        paths[str(path.relative_to(cache))] = removal.reason
    return paths


def put_dataset(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Writes MNIST's files into the cache, with the checksums of their content as published."""
    dataset = published_datasets()["mnist"]
    for file in dataset.files:
        path = cache / "datasets" / "mnist" / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.name.encode())
        monkeypatch.setitem(vars(file), "md5", hashlib.md5(file.name.encode()).hexdigest())
    return cache / "datasets" / "mnist" / dataset.files[0].name


def test_files_are_counted_by_kind_and_none_is_damaged_or_useless(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_dataset(cache, monkeypatch)
    content = cache_content(cache)
    kinds: tuple[Kind, ...] = ("datasets", "attacks", "accountants", "searches")
    counts = {kind: len(content.of_kind(kind)) for kind in kinds}
    assert counts == {"datasets": 4, "attacks": 1, "accountants": 1, "searches": 1}
    models = [file.kind for file in content.files if file.role == "model"]
    assert models == ["ensembles", "ensembles", "predictions"]
    assert sum(file.bytes for file in content.files) == sum(
        path.stat().st_size for path in cache.rglob("*") if path.is_file()
    )
    assert content.others == ()
    assert list(damaged_files(content)) == []
    assert reasons(cache) == {}
    assert cache_content(cache / "gone").files == ()


def test_damage_to_any_file_is_found_and_named(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_dataset(cache, monkeypatch)
    generator = np.random.default_rng(0)
    for file in values(cache_content(cache)):
        whole = file.path.read_bytes()
        bit = int(generator.integers(8 * len(whole)))
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        damages = [b"", whole[:-1], whole[: len(whole) // 2]]
        if file.kind != "searches":  # whose files have no checksum
            damages.append(bytes(flipped))
        for content in damages:
            file.path.write_bytes(content)
            found = [damaged.path for damaged, _ in damaged_files(cache_content(cache))]
            assert found == [file.path]
            assert list(reasons(cache)) == [str(file.path.relative_to(cache))]
        file.path.write_bytes(whole)
    assert list(damaged_files(cache_content(cache))) == []


def test_what_no_run_will_use_is_removed_and_all_else_is_kept(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = {file.path for file in cache_content(cache).files}
    other = EnsembleFolder.at({"code": "other"})
    empty = EnsembleFolder.at({"code": "this", "seed": 1})
    with other.locked(), empty.locked():
        other.save_model(0, {"weight": np.zeros(2)}, FACTS)
    ensemble = EnsembleFolder.at({"code": "this"})
    monkeypatch.setattr("mgaudit.storage.ensembles.querying_code_sha256", lambda: "other")
    key = OutputsKey("logits", ("a",), ("c",))
    ensemble.save_outputs(key, {"pool": np.zeros((1, 3), dtype=np.float32)})
    aside = ensemble.path / "model-00000.safetensors.damaged-2"
    partial = ensemble.path / ".model-00001.safetensors.ab12.partial"
    new, old = (cache / "attacks" / f".{name}.json.ab12.partial" for name in ("new", "old"))
    for path in (aside, partial, new, old):
        path.write_bytes(b"x")
    os.utime(old, (0, 0))
    expected = {
        other.path: "trained by the code of another version",
        empty.path: "without a model",
        ensemble.outputs_path(key): "queried by the code of another version",
        aside: "set aside, because it was damaged",
        partial: "left by an interrupted write",
        old: "left by an interrupted write",
    }
    assert reasons(cache) == {str(path.relative_to(cache)): why for path, why in expected.items()}
    for removal in useless_removals(cache_content(cache), {}, CODE):
        assert remove(removal)
    assert {file.path for file in cache_content(cache).files} == kept | {new}
    assert not other.path.exists()


def test_damaged_settings_do_not_make_an_ensemble_one_of_another_version(cache: Path) -> None:
    ensemble = EnsembleFolder.at({"code": "this"})
    settings = ensemble.path / "settings.json"
    settings.write_text(settings.read_text().replace("this", "thiz"))
    assert list(reasons(cache)) == [str(settings.relative_to(cache))]


def test_only_groups_that_were_not_used_are_too_old(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = put_dataset(cache, monkeypatch)
    before = time.time() - 40 * DAY
    for path in cache.rglob("*"):
        os.utime(path, (before, before))
    published_datasets()["mnist"].state()  # listing a dataset is not its use
    names = [f"datasets/{file.parent.name}"]
    names += [
        f"{kind}/{path.name}"
        for kind in ("ensembles", "predictions")
        for path in (cache / kind).iterdir()
    ]
    for kind in get_args(MeasuredBy):
        names.append(str(measurements_path(MEASURED, kind).relative_to(cache)))
    assert reasons(cache, time.time() - 30 * DAY) == dict.fromkeys(
        names, f"last used on {date.fromtimestamp(before)}"
    )
    assert reasons(cache, time.time() - 50 * DAY) == {}
    published_datasets()["mnist"].verified()
    with EnsembleFolder.at({"code": "this"}).locked():
        pass
    for kind in get_args(MeasuredBy):
        assert load_measurements(MEASURED, pytest.fail, kind) is not None
    (name,) = reasons(cache, time.time() - 30 * DAY)
    assert name.startswith("predictions/")


@pytest.mark.parametrize("kind", get_args(MeasuredBy))
def test_measurements_of_other_code_are_useless(cache: Path, kind: MeasuredBy) -> None:
    other = json.dumps({"code": "other"})
    save_measurements(other, {"scores": np.arange(3.0)}, kind)
    path = str(measurements_path(other, kind).relative_to(cache))
    assert reasons(cache) == {path: "measured by the code of another version"}


def test_foreign_files_and_links_are_neither_followed_nor_removed(
    cache: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    shutil.copytree(cache / "ensembles", outside / "ensembles")
    (group,) = (cache / "ensembles").iterdir()
    foreign = [
        cache / "thesis.tex",
        group / "thesis.tex",
        group / "model-00009.safetensors",  # a folder
        cache / "ensembles" / "notes" / "model-00000.safetensors",
        cache / "attacks" / "model-00000.safetensors",
        cache / "searches" / f"{32 * 'cd'}.json.bak",
        cache / "datasets" / "mnist" / "own.gz",
        cache / "datasets" / "mine" / "train-images-idx3-ubyte.gz",
    ]
    for path in foreign:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir() if path.name == "model-00009.safetensors" else path.write_text("mine")
    links = {
        cache / "ensembles" / (64 * "e"): next((outside / "ensembles").iterdir()),
        group / "model-00007.safetensors": outside / "ensembles",
        cache / "predictions" / (64 * "f"): outside,
    }
    for link, aim in links.items():
        link.symlink_to(aim)
    everything_outside = sorted(outside.rglob("*"))
    assert reasons(cache) == {}
    removals = all_removals(cache_content(cache))
    assert all(remove(removal) for removal in removals)
    assert cache_content(cache).files == ()
    assert all(os.path.lexists(path) for path in (*foreign, *links))
    assert sorted(outside.rglob("*")) == everything_outside
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "ensembles").symlink_to(outside / "ensembles")
    assert cache_content(linked).files == ()
    assert cache_content(linked).others == (linked / "ensembles",)


def test_a_whole_cache_is_removed_with_its_folders(cache: Path) -> None:
    assert all(remove(removal) for removal in all_removals(cache_content(cache)))
    assert list(cache.rglob("*")) == []


# Holds the lock of a folder until it is told to end, then uses the folder.
HOLDER = """
import sys
from pathlib import Path
from mgaudit.storage.checked_files import locked_folder

with locked_folder(Path(sys.argv[1]), sys.argv[2]):
    print("locked", flush=True)
    sys.stdin.readline()
"""


def test_an_ensemble_that_another_process_has_locked_is_kept(cache: Path) -> None:
    ensemble = EnsembleFolder.at({"code": "this"})
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(ensemble.path), ensemble.determined_by],
        cwd=Path(__file__).resolve().parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "locked\n"
    before = sorted(ensemble.path.iterdir())
    outcomes = {removal.group: remove(removal) for removal in all_removals(cache_content(cache))}
    assert [group for group, is_removed in outcomes.items() if not is_removed] == [ensemble.path]
    assert sorted(ensemble.path.iterdir()) == before
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    (removal,) = all_removals(cache_content(cache))
    assert remove(removal)
    assert not ensemble.path.exists()


def test_a_process_that_waits_for_a_folder_survives_its_removal(cache: Path) -> None:
    ensemble = EnsembleFolder.at({"code": "this"})
    waiters = []
    with locked_folder(ensemble.path, ensemble.determined_by):
        for _ in range(2):
            command = [sys.executable, "-c", HOLDER, str(ensemble.path), ensemble.determined_by]
            root = Path(__file__).resolve().parents[2]
            waiters.append(subprocess.Popen(command, cwd=root, stdin=subprocess.DEVNULL))
        time.sleep(3)  # so that they wait for the lock
        for _ in range(100):  # a waiter may make its lock file anew between two deletions
            shutil.rmtree(ensemble.path, ignore_errors=True)
            if not ensemble.path.exists():
                break
    assert [waiter.wait(60) for waiter in waiters] == [0, 0]
    assert (ensemble.path / "settings.json").read_text() == ensemble.determined_by


def test_only_empty_folders_of_measurements_and_searches_are_removed(
    cache: Path, tmp_path: Path
) -> None:
    before = sorted(cache.rglob("*"))
    ensemble = cache / "ensembles" / (64 * "0")
    foreign, link = cache / "attacks" / "mine", cache / "attacks" / "ef"
    empty = [cache / "attacks" / "cd", cache / "searches" / "cd"]
    for folder in (ensemble, foreign, tmp_path / "outside", *empty):
        folder.mkdir()
    link.symlink_to(tmp_path / "outside")
    remove_empty_folders(cache)
    assert sorted(cache.rglob("*")) == sorted([*before, ensemble, foreign, link])
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "attacks").symlink_to(cache / "attacks")
    empty[0].mkdir()
    remove_empty_folders(linked)
    assert empty[0].exists()


# Removes empty folders again and again, as many commands `mgaudit cache prune` would.
PRUNER = """
import sys
from pathlib import Path
from mgaudit.storage.cache_removal import remove_empty_folders

cache = Path(sys.argv[1])
print("begun", flush=True)
while not (cache / "end").exists():
    remove_empty_folders(cache)
"""


def test_a_writer_survives_the_removal_of_its_folder(cache: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", PRUNER, str(cache)]
    pruner = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True)
    assert pruner.stdout is not None
    assert pruner.stdout.readline() == "begun\n"
    try:
        for number in range(200):
            key = json.dumps({"number": number})
            save_measurements(key, {"scores": np.full(3, float(number))})
            stored = load_measurements(key, pytest.fail)
            assert stored is not None
            assert stored["scores"].tolist() == 3 * [number]
            measurements_path(key).unlink()
    finally:
        (cache / "end").touch()
        pruner.communicate(timeout=60)
    assert pruner.returncode == 0


@pytest.mark.parametrize("removals", [1, 50])
def test_a_folder_that_is_removed_before_the_file_is_there_is_created_again(
    tmp_path: Path, removals: int
) -> None:
    path, left = tmp_path / "ab" / "file", [removals]

    def write_after_removal(path: Path, content: bytes) -> None:
        if left[0]:
            left[0] -= 1
            path.parent.rmdir()
        write_atomically(path, content)

    write_with_folder(path, b"content", write_after_removal)
    assert path.read_bytes() == b"content"


def test_a_file_in_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "ab").touch()
    with pytest.raises(FileExistsError):
        write_with_folder(tmp_path / "ab" / "file", b"")


WRITER = """
import os, sys
from pathlib import Path
from mgaudit.storage.atomic import write_with_folder

def wait(descriptor):
    print("written", flush=True)
    sys.stdin.read()

os.fsync = wait
write_with_folder(Path(sys.argv[1]), b"content")
"""


def test_what_a_killed_writer_left_is_deleted_at_once_and_not_what_is_being_written(
    tmp_path: Path,
) -> None:
    path = tmp_path / "ab" / "file"
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", WRITER, str(path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=root, text=True, stdin=pipe, stdout=pipe) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "written\n"
        write_with_folder(path.with_name("other"), b"content")
        (partial,) = path.parent.glob(".file.*.partial")
        writer.kill()
        writer.wait()
        assert partial.exists()
    write_with_folder(path.with_name("third"), b"content")
    assert sorted(file.name for file in path.parent.iterdir()) == ["other", "third"]
