"""A result on its way to disk and back."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mgaudit.errors import UsageError
from mgaudit.reports.files import ARRAYS_FILE, RESULT_FILE
from mgaudit.reports.record import Estimate
from mgaudit.reports.results import PrivacyClaim, read_result
from tests.fake_study import CLAIM, arrays, result, study, write

NAMED = '{"name":"cnn","options":{},"label":"CNN"}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(
        tmp_path / "run",
        result(study(), study("other")),
        [arrays(), {**arrays(), "more": np.arange(3)}],
    )
    return tmp_path / "run"


def test_a_result_survives_the_way_to_disk_and_back(folder: Path) -> None:
    record, study_arrays = read_result(folder)
    assert record == result(study(), study("other"))
    assert set(study_arrays[0]) == set(arrays())
    assert all(np.array_equal(study_arrays[0][name], values) for name, values in arrays().items())
    assert list(study_arrays[1]) == [*arrays(), "more"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: "{", "cannot be read"),
        (lambda text: "[1]", "cannot be read"),
        (
            lambda text: text.replace('"schema_version":8', '"schema_version":99'),
            "schema version 99, .*; update mgaudit",
        ),
        (
            lambda text: text.replace('"schema_version":8', '"schema_version":4'),
            "schema version 4 .* run it again",
        ),
        (
            lambda text: text.replace('"seconds":61.5', '"seconds":"long"'),
            r"studies.0.times.seconds",
        ),
        (
            lambda text: text.replace('"target":{"name":"cnn","options":{},"label":"CNN"},', "", 1),
            "target: Field required",
        ),
    ],
)
def test_a_result_that_cannot_be_read_is_refused(folder: Path, change: Any, message: str) -> None:
    path = folder / RESULT_FILE
    path.write_text(change(path.read_text()))
    with pytest.raises(ValueError, match=message):
        read_result(folder)


def test_a_folder_that_is_no_run_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="must be the folder of a study"):
        read_result(folder.parent)
    (folder / ARRAYS_FILE).unlink()
    with pytest.raises(UsageError, match=r"arrays\.npz is missing"):
        read_result(folder)


def test_arrays_that_cannot_be_read_are_refused(folder: Path) -> None:
    path = folder / ARRAYS_FILE
    for content in (path.read_bytes()[:500], b"", b"nonsense"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"arrays\.npz cannot be read"):
            read_result(folder)


def test_arrays_of_more_studies_than_there_are_are_refused(folder: Path) -> None:
    (folder / RESULT_FILE).write_text(result(study()).model_dump_json())
    with pytest.raises(ValueError, match=r"arrays\.npz cannot be read"):
        read_result(folder)


def test_an_estimate_without_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        Estimate(value=float("nan"), low=0.0, high=1.0)


def test_json_holds_numbers_and_not_nan() -> None:
    text = result(study()).model_dump_json()
    assert json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))


def test_a_claim_of_an_earlier_version_has_no_second_bound() -> None:
    content = json.loads(CLAIM.model_dump_json())
    for name in ("epsilon_prv", "epsilon_pld"):
        del content[name]
    earlier = PrivacyClaim.model_validate(content)
    assert earlier == CLAIM
    assert earlier.epsilon_prv is earlier.epsilon_pld is None
