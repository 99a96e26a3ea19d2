"""Several runs as one, and two runs side by side."""

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from mgaudit.cli.app import app
from mgaudit.reports.document import document
from mgaudit.reports.formats.html import render_html
from mgaudit.reports.results import AuditResult, read_result
from mgaudit.storage.join import NamedRun, joined
from mgaudit.storage.side_by_side import _flat, numbers_apart, settings_apart
from tests.fake_study import arm, arrays, result, study, three_arms, write

MASK = arm("gaussian-mask:kappa=1", "gaussian-mask (kappa=1)", 0.65, -0.1, accuracy=0.9)


def run(name: str, *arms: AuditResult, **settings: Any) -> NamedRun:
    schemes = [arm_result.key for arm_result in arms]
    record = study(
        arms=list(arms), settings={**study().settings, "schemes": schemes, "notes": {}, **settings}
    )
    return NamedRun(name, result(record), [arrays(arms)])


@pytest.mark.usefixtures("blank_figures")
def test_the_arms_of_runs_that_can_be_compared_become_one_study() -> None:
    plain, mask, private = three_arms()
    whole, joined_arrays = joined([run("A", plain, mask), run("B", plain, private)])
    (study_result,) = whole.studies
    assert [arm_result.key for arm_result in study_result.arms] == [
        "none",
        "gaussian-mask:kappa=0.3",
        "dp-sgd:epsilon=8",
    ]
    assert study_result.settings["schemes"] == [arm_result.key for arm_result in study_result.arms]
    theirs = arrays([plain, private])
    assert np.array_equal(joined_arrays[0]["arm2/lira/scores"], theirs["arm1/lira/scores"])
    assert {change.arm for change in study_result.analysis.changes} == {
        "gaussian-mask:kappa=0.3",
        "dp-sgd:epsilon=8",
    }
    assert study_result.analysis.front
    assert "Joined from A, B." in render_html(document(whole, joined_arrays))
    assert whole.command == "mgaudit report A B"


def test_an_arm_of_a_run_without_a_plain_arm_is_compared_with_the_others_plain_arm() -> None:
    plain, mask, private = three_arms()
    alone = private.model_copy(
        update={
            "accuracy_difference": None,
            "attacks": [
                mounted.model_copy(update={"differences": {}}) for mounted in private.attacks[:2]
            ],
        }
    )
    (study_result,) = joined([run("A", plain, mask), run("B", alone)])[0].studies
    change = study_result.arms[2].attacks[0].differences["auc"]
    assert change.value == pytest.approx(0.501 - 0.75)
    assert change.sign == -1
    assert study_result.arms[2].accuracy_difference is not None
    assert study_result.arms[2].accuracy_difference.value == pytest.approx(0.9 - 0.985)
    assert study_result.plain is not None


def test_three_runs_become_one() -> None:
    plain, mask, private = three_arms()
    (study_result,) = joined(
        [run("A", plain, mask), run("B", plain, private), run("C", plain, MASK)]
    )[0].studies
    assert len(study_result.arms) == 4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seed": 6}, "A and B cannot be compared: seed is 5 in A and 6 in B; give --chapters"),
        ({"models": 8}, "models is 6 in A and 8 in B"),
        ({"examples": 500}, "examples is not given in A and 500 in B"),
        ({"queries": "flips"}, "queries is plain in A and flips in B"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused_by_what_keeps_them_apart(
    settings: dict[str, Any], message: str
) -> None:
    plain, mask, private = three_arms()
    runs = [run("A", plain, mask), run("B", plain, private, **settings)]
    with pytest.raises(ValueError, match=message):
        joined(runs)
    whole, joined_arrays = joined(runs, chapters=True)
    assert [len(study_result.arms) for study_result in whole.studies] == [2, 2]
    assert len(document(whole, joined_arrays).chapters) == 2


def test_other_data_of_the_same_name_are_not_compared() -> None:
    plain, mask, private = three_arms()
    first, second = run("A", plain, mask), run("B", plain, private)
    (record,) = second.result.studies
    other = record.model_copy(
        update={"dataset": record.dataset.model_copy(update={"sha256": "00" * 32})}
    )
    with pytest.raises(ValueError, match=r"the content of folder:.* differs between the runs"):
        joined([first, NamedRun("B", result(other), second.arrays)])
    flipped = {**second.arrays[0], "membership": ~second.arrays[0]["membership"]}
    with pytest.raises(ValueError, match="their models trained on different examples"):
        joined([first, NamedRun("B", second.result, [flipped])])


def test_the_same_arm_with_other_numbers_is_refused() -> None:
    plain, mask, _ = three_arms()
    other = arm("none", "no noise", 0.76, None)
    with pytest.raises(
        ValueError,
        match=r"'no noise' has different numbers in A and in B \(AUC 0.750000 and 0.760000\)",
    ):
        joined([run("A", plain, mask), run("B", other, MASK)])


def test_a_note_does_not_make_an_arm_another() -> None:
    plain, mask, _ = three_arms()
    noted = plain.model_copy(update={"note": "as in the paper"})
    assert len(joined([run("A", plain, mask), run("B", noted, MASK)])[0].studies[0].arms) == 3


def test_two_runs_side_by_side_differ_by_their_settings_and_paired_numbers() -> None:
    plain, mask, _ = three_arms()
    longer = study().settings["training"] | {"epochs": 9}
    better = arm("gaussian-mask:kappa=0.3", "gaussian-mask (kappa=0.3)", 0.6, -0.15, accuracy=0.97)
    first, second = run("A", plain, mask), run("B", plain, better, training=longer)
    assert [[str(cell) for cell in row] for row in settings_apart(first, second).rows] == [
        ["training.epochs", "3", "9"]
    ]
    rows = {(str(row[0]), str(row[1])): row[2:] for row in numbers_apart(first, second).rows}
    ours, theirs, change = rows["gaussian-mask (kappa=0.3)", "AUC, lira"]
    assert (ours.text, theirs.text, change.text) == ("0.700", "0.600", "−0.100")
    assert change.interval
    assert rows["no noise", "AUC, lira"][2].text == "0.000"
    assert rows["gaussian-mask (kappa=0.3)", "test accuracy, %"][2].text == "+2.0"
    assert settings_apart(first, first).notes == ["All settings are the same."]


def test_numbers_of_other_members_have_no_paired_interval() -> None:
    plain, mask, _ = three_arms()
    first, second = run("A", plain, mask), run("B", plain, mask, seed=6)
    flipped = {**second.arrays[0], "membership": ~second.arrays[0]["membership"]}
    table = numbers_apart(first, NamedRun("B", second.result, [flipped]))
    assert all(row[4].interval == "" for row in table.rows)
    assert "not paired" in table.notes[0]


def test_runs_without_a_common_arm_are_refused() -> None:
    plain, mask, private = three_arms()
    with pytest.raises(ValueError, match="A and B have no arm in common"):
        numbers_apart(run("A", plain, mask), run("B", private))


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    plain, mask, private = three_arms()
    for named_run in (
        run("A", plain, mask),
        run("B", plain, private),
        run("C", plain, MASK, seed=6),
    ):
        write(tmp_path / named_run.name, named_run.result, list(named_run.arrays))
    return tmp_path


def mgaudit(*arguments: str) -> Any:
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "120"})


def test_several_runs_get_a_report_in_a_folder_of_their_own(runs: Path) -> None:
    outcome = mgaudit("report", "A", "B", "--runs", str(runs), "--format", "csv")
    assert outcome.exit_code == 0, outcome.output
    (folder,) = runs.glob("*-joined-2-runs-*")
    whole, _ = read_result(folder)
    assert [arm_result.label for arm_result in whole.studies[0].arms] == [
        arm_result.label for arm_result in three_arms()
    ]
    assert {path.name for path in folder.iterdir()} >= {"report.csv", "settings.toml", "arrays.npz"}
    again = mgaudit("report", folder.name, "--runs", str(runs), "--format", "csv")
    assert again.exit_code == 0, again.output
    assert mgaudit("runs", "show", folder.name, "--runs", str(runs)).exit_code == 0


def test_runs_that_cannot_be_compared_are_chapters_only_when_that_is_asked_for(runs: Path) -> None:
    outcome = mgaudit("report", "A", "C", "--runs", str(runs), "--format", "csv")
    assert outcome.exit_code == 2
    assert outcome.stderr.startswith(
        "error: A and C cannot be compared: seed is 5 in A and 6 in C; give --chapters"
    )
    assert outcome.stderr.count("\n") == 1
    assert not list(runs.glob("*joined*"))
    assert (
        mgaudit("report", "A", "C", "--chapters", "--runs", str(runs), "--format", "csv").exit_code
        == 0
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("report", "A", "./A"), "RUN may be given once"),
        (
            ("report", "A", "nowhere"),
            "its name, the beginning of its hash, or latest, got 'nowhere'",
        ),
        (
            ("runs", "compare", "A", "nowhere"),
            "its name, the beginning of its hash, or latest, got 'nowhere'",
        ),
        (
            ("report", "A", "new"),
            "schema version 99, and this mgaudit reads up to 8; update mgaudit",
        ),
    ],
)
def test_what_is_no_run_to_join_is_one_clear_line(
    runs: Path, arguments: tuple[str, ...], message: str
) -> None:
    (runs / "new").mkdir()
    (runs / "new" / "result.json").write_text('{"schema_version": 99}')
    with contextlib.chdir(runs):
        outcome = mgaudit(*arguments, "--runs", str(runs))
    assert outcome.exit_code == 2
    assert message in outcome.stderr
    assert outcome.stderr.count("\n") == 1


@pytest.mark.parametrize("columns", ["60", "120"])
def test_two_runs_are_compared_in_a_narrow_and_a_wide_terminal(runs: Path, columns: str) -> None:
    outcome = CliRunner().invoke(
        app, ["runs", "compare", "A", "B", "--runs", str(runs)], env={"COLUMNS": columns}
    )
    assert outcome.exit_code == 0, outcome.output
    assert "schemes" in outcome.stdout
    assert "no noise" in outcome.stdout
    assert "0.000" in outcome.stdout


def test_trials_of_searches_are_compared_one_by_one() -> None:
    searches = {"dp-sgd": {"chosen": 1, "trials": [{"epochs": 2, "accuracies": [0.5, 0.25]}]}}
    assert dict(_flat({"searches": searches})) == {
        "searches.dp-sgd.chosen": "1",
        "searches.dp-sgd.trials[0]": "epochs=2, accuracies=0.5, 0.25",
    }
