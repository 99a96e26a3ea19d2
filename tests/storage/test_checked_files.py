from pathlib import Path

import numpy as np
import pytest

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
