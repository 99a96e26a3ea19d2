import os
from pathlib import Path

import numpy as np
import pytest

from mgaudit.storage.atomic import write_atomically
from mgaudit.storage.checked_files import load_arrays, save_arrays

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
