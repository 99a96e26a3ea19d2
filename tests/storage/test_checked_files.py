import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mgaudit.compute.mapped_copy import place_of
from mgaudit.storage.atomic import write_atomically
from mgaudit.storage.checked_files import (
    MAPPED_BYTES,
    DamagedFileError,
    content_of,
    load_arrays,
    map_arrays,
    save_arrays,
)

MATRIX = np.arange(6.0).reshape(2, 3)


@pytest.mark.parametrize(
    "values",
    [MATRIX, np.asfortranarray(MATRIX), MATRIX.T, MATRIX[:, ::2], MATRIX[0, 0] + np.array(0)],
)
def test_arrays_of_any_strides_are_read_as_they_were(tmp_path: Path, values: np.ndarray) -> None:
    save_arrays(tmp_path / "file", {"values": np.asarray(values)}, "text")
    arrays, text = load_arrays(tmp_path / "file")
    assert text == "text"
    assert np.array_equal(arrays["values"], values)
    assert arrays["values"].shape == np.shape(values)


def test_results_are_flushed_to_the_disk_and_files_with_a_checksum_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[int] = []
    monkeypatch.setattr(os, "fsync", flushed.append)
    save_arrays(tmp_path / "file", {"values": MATRIX}, "text")
    assert flushed == []
    write_atomically(tmp_path / "result.json", b"{}")
    assert len(flushed) == 1


LOGITS = {
    "test": np.linspace(0, 1, MAPPED_BYTES // 8, dtype=np.float32).reshape(2, -1, 1, 4),
    "pool": np.linspace(-1, 0, MAPPED_BYTES // 6 // 4 * 4, dtype=np.float32).reshape(2, -1, 1, 2),
}


@pytest.mark.parametrize("text", ["text", 'with κ and "quotes" \\ of any length'])
def test_arrays_are_written_part_by_part_as_safetensors_writes_them(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "file"
    save_arrays(path, LOGITS, text)
    assert path.read_bytes() == content_of(path, LOGITS, text)
    save_arrays(path, {}, text)
    assert path.read_bytes() == content_of(path, {}, text)


def test_large_files_are_mapped_and_small_ones_are_read(tmp_path: Path) -> None:
    save_arrays(tmp_path / "large", LOGITS, "text")
    arrays, text = map_arrays(tmp_path / "large")
    assert text == "text"
    assert arrays.keys() == LOGITS.keys()
    for name, values in LOGITS.items():
        assert type(arrays[name]) is np.ndarray
        assert arrays[name].dtype == values.dtype
        assert np.array_equal(arrays[name], values)
        assert place_of(arrays[name]) is not None
    save_arrays(tmp_path / "small", {"values": MATRIX}, "text")
    arrays, text = map_arrays(tmp_path / "small")
    assert np.array_equal(arrays["values"], MATRIX)
    assert place_of(arrays["values"]) is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: content + b"\0",
        lambda content: content[:-5] + b"x" + content[-4:],
        lambda content: b"\xff" * 8 + content[8:],
        lambda content: content[:8] + b"[" + content[9:],
        lambda content: content.replace(b'"F32"', b'"F64"'),
        lambda content: content.replace(b'"data_offsets":[0,', b'"data_offsets":[4,'),
        lambda content: content.replace(b"__metadata__", b"__netadata__"),
        lambda content: b"\0" * len(content),
    ],
)
def test_a_damaged_large_file_is_never_mapped(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "file"
    save_arrays(path, LOGITS, "text")
    content = path.read_bytes()
    path.write_bytes(damage(content))
    assert path.read_bytes() != content
    with pytest.raises(DamagedFileError, match="is damaged"):
        map_arrays(path)


def test_a_large_file_without_space_for_a_copy_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(path: Path) -> None:
        raise OSError(28, "No space left on device")

    save_arrays(tmp_path / "file", LOGITS, "text")
    monkeypatch.setattr("mgaudit.storage.checked_files.mapped_copy", no_space)
    arrays, _ = map_arrays(tmp_path / "file")
    assert np.array_equal(arrays["pool"], LOGITS["pool"])
    assert place_of(arrays["pool"]) is None
    with pytest.raises(FileNotFoundError):
        map_arrays(tmp_path / "missing")
