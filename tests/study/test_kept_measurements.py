"""What attacks measured is kept, found again for the same content, and for no other."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mgaudit
from mgaudit.attacks import Observations
from mgaudit.attacks.jackknife import random_halves
from mgaudit.settings.study_settings import attack_choice
from mgaudit.storage import measurements
from mgaudit.storage.measurements import load_measurements, measurements_path
from mgaudit.study import kept_measurements, mounting
from mgaudit.study.audited import AuditedData
from mgaudit.study.kept_measurements import KeptMountings, key_of
from mgaudit.study.mounting import Mounted, Mounting, mount
from mgaudit.targets.cache import cache_folder

MODELS, EXAMPLES = 8, 60
RUN: dict[str, Any] = {
    "target": "mlp:hidden=8",
    "models": 6,
    "examples": 120,
    "epochs": 2,
    "attack": ["stacked", "rmia", "loss"],
    "batch_size": 32,
    "dp": False,
    "jobs": 1,
    "quiet": True,
}


def mounted_on(**changes: Any) -> Mounting:
    """Returns attacks on outputs that are drawn at random; `changes` replace parts of them."""
    draw = np.random.default_rng(0)
    membership = draw.random((MODELS, EXAMPLES)) < 0.5
    logits = draw.standard_normal((MODELS, EXAMPLES, 1, 3)).astype(np.float32)
    labels = draw.integers(3, size=EXAMPLES)
    observations = Observations(logits + membership[..., None, None], labels, membership)
    data = AuditedData(
        labels=labels,
        classes=("a", "b", "c"),
        origins=[str(number) for number in range(EXAMPLES)],
        membership=membership,
        expected_members=EXAMPLES / 2,
        example_resamples=draw.multinomial(EXAMPLES, [1 / EXAMPLES] * EXAMPLES, size=20).astype(
            np.uint16
        ),
        test_resamples=None,
        splits=random_halves(np.arange(EXAMPLES), draw),
        pictures=None,
        seed=0,
    )
    made = Mounting.of(
        [attack_choice("lira"), attack_choice("loss")],
        observations,
        list(range(MODELS)),
        list(range(MODELS)),
        data,
        in_detail=True,
        has_bounds=True,
    )
    return replace(made, **changes)


def no_damage(message: str) -> None:
    pytest.fail(message)


def kept_now(made: Mounting) -> list[Mounted]:
    """Returns what was measured, after it was kept and found again."""
    first = KeptMountings([made], no_damage)
    assert first.missing == [made]
    first.with_measured(mount([made], 1))
    second = KeptMountings([made], no_damage)
    assert second.missing == []
    return second.with_measured([])


def assert_same(first: Any, second: Any) -> None:
    """Asserts that two values are the same, with the same arrays bit for bit, in the same order."""
    if isinstance(first, np.ndarray):
        assert (first.dtype, first.shape) == (second.dtype, second.shape)
        np.testing.assert_array_equal(first, second)
    elif isinstance(first, dict):
        assert list(first) == list(second)
        for name in first:
            assert_same(first[name], second[name])
    elif isinstance(first, list | tuple):
        assert len(first) == len(second)
        for one, other in zip(first, second, strict=True):
            assert_same(one, other)
    elif hasattr(first, "__dataclass_fields__"):
        for name in first.__dataclass_fields__:
            assert_same(getattr(first, name), getattr(second, name))
    else:
        assert first == second


def test_what_is_found_is_what_was_measured() -> None:
    made = mounted_on()
    (measured,) = mount([made], 1)
    (found,) = kept_now(made)
    assert measured.power
    assert measured.auc_by_class
    assert measured.halves is not None
    assert any(attack.independent is not None for attack in measured.attacks)
    assert_same(found, measured)


def flipped(array: Any) -> Any:
    """Returns a copy in which the last value is another one."""
    changed = np.array(array)
    changed.flat[-1] = ~changed.flat[-1] if changed.dtype == bool else changed.flat[-1] + 1
    return changed


CHANGES: dict[str, Callable[[Mounting], dict[str, Any]]] = {
    "an output": lambda made: {
        "observations": Observations(
            flipped(made.observations.logits),
            made.observations.labels,
            made.observations.membership,
        )
    },
    "a label": lambda made: {"data": replace(made.data, labels=flipped(made.data.labels) % 3)},
    "a coin": lambda made: {"data": replace(made.data, membership=flipped(made.data.membership))},
    "a resample": lambda made: {
        "data": replace(made.data, example_resamples=flipped(made.data.example_resamples))
    },
    "a split": lambda made: {"data": replace(made.data, splits=flipped(made.data.splits))},
    "the seed": lambda made: {"data": replace(made.data, seed=1)},
    "an option": lambda made: {"attacks": (attack_choice("lira:online=false"), made.attacks[1])},
    "the order": lambda made: {"attacks": made.attacks[::-1]},
    "the shadows": lambda made: {"shadows": made.observations},
    "the targets": lambda made: {"rows": made.rows[1:]},
    "the models": lambda made: {"models": [*made.models[:-1], 9]},
    "the groups": lambda made: {"groups": (None, None)},
    "the sides": lambda made: {"sides": ((), ())},
    "the detail": lambda made: {"in_detail": False},
    "the classes": lambda made: {"classes": {}},
}


@pytest.mark.parametrize("change", CHANGES)
def test_everything_that_attacks_use_is_part_of_the_key(change: str) -> None:
    made = mounted_on()
    assert key_of(made) == key_of(mounted_on())
    assert key_of(replace(made, **CHANGES[change](made))) != key_of(made)


def test_the_keys_of_all_changes_differ() -> None:
    made = mounted_on()
    keys = {key_of(replace(made, **change(made))) for change in CHANGES.values()}
    assert len(keys) == len(CHANGES)


def test_every_field_of_a_mounting_is_part_of_the_key_or_of_no_use() -> None:
    described = json.loads(key_of(mounted_on()) or "")
    names = {field.replace("_", " ") for field in Mounting.__dataclass_fields__}
    assert names <= described.keys()
    unused = {"classes", "origins", "expected_members", "test_resamples", "pictures", "is_grouped"}
    unused |= {"units", "canaries", "planted", "claims"}
    assert set(AuditedData.__dataclass_fields__) - unused == set(kept_measurements.USED_DATA)
    source = Path(mounting.__file__).read_text(encoding="utf-8")
    assert not [name for name in unused - {"classes", "pictures"} if f"data.{name}" in source]


def test_versions_code_and_processor_are_part_of_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {key_of(mounted_on())}
    monkeypatch.setattr(kept_measurements, "processors", lambda _: "another")
    keys.add(key_of(mounted_on()))
    monkeypatch.setattr(kept_measurements, "version", lambda _: "another")
    keys.add(key_of(mounted_on()))
    monkeypatch.setattr(kept_measurements, "attack_code_sha256", lambda: "another")
    keys.add(key_of(mounted_on()))
    assert len(keys) == 4


def test_a_damaged_file_is_set_aside_and_measured_again() -> None:
    made = mounted_on()
    kept_now(made)
    (path,) = (cache_folder() / "attacks").rglob("*.safetensors")
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)
    said: list[str] = []
    assert KeptMountings([made], said.append).missing == [made]
    assert "is damaged" in said[0]
    assert "attacking the models again" in said[0]
    assert not path.exists()


def test_a_file_with_other_arrays_is_not_used() -> None:
    made = mounted_on()
    kept_measurements.save_measurements(key_of(made) or "", {"scores": np.zeros(3)})
    assert KeptMountings([made], no_damage).missing == [made]


def test_a_file_of_another_key_is_not_used() -> None:
    kept_now(mounted_on())
    (path,) = (cache_folder() / "attacks").rglob("*.safetensors")
    other = measurements_path("other")
    other.parent.mkdir(parents=True, exist_ok=True)
    path.rename(other)
    said: list[str] = []
    assert load_measurements("other", said.append) is None
    assert len(said) == 1


def test_a_repeated_run_attacks_nothing_and_gives_the_same_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blank_figures: None
) -> None:
    first = mgaudit.run(**RUN, out=tmp_path / "first")
    monkeypatch.setattr(mounting, "rescored", lambda *_: pytest.fail("attacked"))
    second = mgaudit.run(**RUN, out=tmp_path / "second")
    with np.load(first.path / "arrays.npz") as one, np.load(second.path / "arrays.npz") as other:
        assert one.files == other.files
        for name in one.files:
            np.testing.assert_array_equal(one[name], other[name])
    records = []
    for result in (first, second):
        record = result.record.model_dump()
        record["studies"][0].pop("times")
        records.append(record)
    assert records[0] == records[1]
    with pytest.raises(BaseException, match="attacked"):
        mgaudit.run(**{**RUN, "attack": "loss"}, out=tmp_path / "third")


def test_a_cache_that_cannot_be_written_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept_measurements, "save_measurements", full)
    made = mounted_on()
    KeptMountings([made], no_damage).with_measured(mount([made], 1))
    assert KeptMountings([made], no_damage).missing == [made]


def test_the_code_of_all_that_measures_is_part_of_the_key() -> None:
    """Modules of the study that mounting.py imports are hashed, or only described in the key."""
    package = Path(mounting.__file__).parents[1]
    described = {"study/audited.py", "settings/choices.py", "targets/own_module.py"}
    imported = set()
    for line in (package / "study" / "mounting.py").read_text(encoding="utf-8").splitlines():
        words = line.split()
        if words[:1] == ["from"] and words[1].startswith("mgaudit."):
            path = words[1].removeprefix("mgaudit.").replace(".", "/") + ".py"
            if not path.startswith(("attacks", "compute", "errors")):
                imported.add(path)
    assert "study/risk.py" in imported
    assert imported - described <= set(measurements.CALLERS)
    assert all((package / caller).is_file() for caller in measurements.CALLERS)


def test_measurements_are_read_where_the_time_of_a_file_cannot_be_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = mounted_on()
    kept_now(made)

    def refused(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(measurements.os, "utime", refused)
    assert KeptMountings([made], no_damage).missing == []


def test_a_damaged_file_that_cannot_be_set_aside_is_measured_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = mounted_on()
    kept_now(made)
    (path,) = (cache_folder() / "attacks").rglob("*.safetensors")
    path.write_bytes(b"")

    def refused(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(measurements, "set_damaged_aside", refused)
    assert KeptMountings([made], no_damage).missing == [made]
