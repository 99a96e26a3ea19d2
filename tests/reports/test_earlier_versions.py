"""Results of the schema version before are read with the same numbers under the new names."""

import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import mgaudit
from mgaudit.cli.app import app
from mgaudit.reports.arrays import ARRAYS_FILE, arrays_to_bytes
from mgaudit.reports.results import RESULT_FILE, SCHEMA_VERSION, read_result
from tests.fake_study import arrays, result, study, write

# Only the fields of arms and attacks, of changes and of arrays had other names.
OLD_NAMES = [
    (r"tpr@([0-9.]+)", r"tpr_at_\1_fpr"),
    (r'"adversary":', '"knowledge":'),
    (r'("train_accuracy":\{[^}]*\},)"accuracy":', r'\1"test_accuracy":'),
    (
        r'"accuracy_difference":(?=[^{]*\{[^}]*\},"claim"|null,"claim")',
        '"test_accuracy_difference":',
    ),
    (r'"metric":"accuracy"', '"metric":"test_accuracy"'),
    (r"^(arm\d+)/accuracy/", r"\1/test_accuracy/"),
]


def old_name(text: str) -> str:
    for new, old in OLD_NAMES:
        text = re.sub(new, old, text)
    return text


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two runs with the same content: `new`, and `old` in the form of schema version 5."""
    content, values = result(study()), arrays()
    for name in ("new", "old"):
        write(tmp_path / name, content, [values])
    path = tmp_path / "old" / RESULT_FILE
    text = old_name(path.read_text())
    path.write_text(text.replace(f'"schema_version":{SCHEMA_VERSION}', '"schema_version":5'))
    old_arrays = {old_name(name): array for name, array in values.items()}
    (tmp_path / "old" / ARRAYS_FILE).write_bytes(arrays_to_bytes([old_arrays]))
    return tmp_path


def test_the_old_form_is_another_one(runs: Path) -> None:
    texts = [(runs / name / RESULT_FILE).read_text() for name in ("new", "old")]
    assert '"tpr@0.01"' in texts[0]
    assert '"tpr_at_0.01_fpr"' not in texts[0]
    for name in ('"tpr@', '"adversary"', '"metric":"accuracy"'):
        assert name in texts[0]
        assert name not in texts[1]
    arms = 3
    assert (
        texts[1].count('"test_accuracy":') == texts[1].count('"test_accuracy_difference":') == arms
    )
    assert texts[1].count('"knowledge":') == texts[0].count('"adversary":')
    assert "arm0/lira/tpr_at_0.01_fpr/per_target" in {
        name.removeprefix("study0/") for name in np.load(runs / "old" / ARRAYS_FILE).files
    }


def test_a_result_of_the_version_before_is_read_with_the_same_numbers(runs: Path) -> None:
    new, new_arrays = read_result(runs / "new")
    old, old_arrays = read_result(runs / "old")
    assert old == new
    assert old_arrays[0].keys() == new_arrays[0].keys()
    for name, values in new_arrays[0].items():
        assert np.array_equal(old_arrays[0][name], values), name
    frames = [mgaudit.load(name, runs).to_frame() for name in ("new", "old")]
    assert frames[0].equals(frames[1])
    assert "tpr@0.01" in set(frames[1]["metric"])


def test_the_settings_keep_their_names(tmp_path: Path) -> None:
    settings = {**study().settings, "tpr_at_0.1_fpr": {"name": "tpr_at_0.1_fpr"}}
    write(tmp_path / "old", result(study(settings=settings), settings=settings), [arrays()])
    path = tmp_path / "old" / RESULT_FILE
    path.write_text(path.read_text().replace('"schema_version":8', '"schema_version":5'))
    assert read_result(tmp_path / "old")[0].settings == settings


@pytest.mark.parametrize(
    "arguments",
    [
        ("report", "old", "--format", "csv"),
        ("runs", "show", "old"),
        ("runs", "compare", "old", "new"),
    ],
)
def test_commands_read_a_result_of_the_version_before(
    runs: Path, arguments: tuple[str, ...]
) -> None:
    done = CliRunner().invoke(app, [*arguments, "--runs", str(runs)])
    assert done.exit_code == 0, done.output
    for table in runs.glob("*/report.csv"):
        assert ",tpr@0.01," in table.read_text()
        assert "tpr_at" not in table.read_text()
