"""`--tune-dp` and `--tune` as a user meets them."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mgaudit.cli.app import app
from mgaudit.cli.bare_options import completed
from mgaudit.storage.run_folder import RunFolder
from mgaudit.tuning.evaluate import Evaluated, Evaluation

FAST = ["--examples", "120", "--target", "mlp:hidden=4", "--models", "3", "--epochs", "2"]
FAST += ["--batch-size", "16", "--stack", "1", "--jobs", "1", "--attack", "loss"]


def mgaudit(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


def fake(task: Evaluation) -> Evaluated:
    return Evaluated(task.trial, task.fold_number, task.key, task.trial / 100, 0.0)


@pytest.fixture(autouse=True)
def without_trainings_and_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mgaudit.tuning.search.evaluate", fake)
    monkeypatch.setattr(RunFolder, "write_reports", lambda *_: [])


@pytest.mark.parametrize(
    ("words", "positional", "complete"),
    [
        ([], False, []),
        (["--tune-dp"], False, ["--tune-dp", "16"]),
        (["--tune-dp", "4"], False, ["--tune-dp", "4"]),
        (["--tune-dp", "-1"], False, ["--tune-dp", "-1"]),
        (["--tune-dp", "many"], False, ["--tune-dp", "many"]),
        (["--tune-dp", "--tune", "all"], False, ["--tune-dp", "16", "--tune", "all"]),
        (["--tune-dp=4"], False, ["--tune-dp=4"]),
        (["--tune-dp", "quick"], True, ["--tune-dp", "16", "quick"]),
        (["--tune-dp", "4", "quick"], True, ["--tune-dp", "4", "quick"]),
        (["quick", "--tune-dp"], True, ["quick", "--tune-dp", "16"]),
        (["--kappa", "--tune-dp"], False, ["--kappa", "--tune-dp", "16"]),
    ],
)
def test_the_number_of_trials_may_be_left_out(
    words: list[str], positional: bool, complete: list[str]
) -> None:
    assert completed(words, positional) == complete


def test_a_run_with_a_search_says_what_it_chose(tmp_path: Path) -> None:
    out = str(tmp_path / "runs")
    ran = mgaudit("run", *FAST, "--tune-dp", "2", "--tune", "all", "--no-dp", "--out", out)
    assert ran.exit_code == 0, ran.output
    chosen = [line for line in ran.stdout.splitlines() if "the best of 2 trials" in line]
    assert [line.partition(":")[0] for line in chosen] == [
        "no noise",
        "gaussian-mask (kappa=0.3)",
    ]
    shown = mgaudit("runs", "show", "latest", "--runs", out)
    assert [line for line in shown.stdout.splitlines() if "of 2 trials" in line] == chosen


def test_a_dry_run_counts_the_trainings_of_the_searches(tmp_path: Path) -> None:
    arms = ["--scheme", "none", "--scheme", "gaussian-mask:kappa=0.3", "--seed", "0", "--seed", "1"]
    options = ["--dry-run", "--tune-dp", "3", "--tune", "all", "--out", str(tmp_path / "runs")]
    planned = mgaudit("compare", *FAST, *arms, *options)
    assert planned.exit_code == 0, planned.output
    # 3 trials on one fold, 2 on another, and 2 on two more, for two arms in two studies.
    assert "searches for settings train up to 36 models before" in planned.stdout
    without = mgaudit("compare", *FAST, *arms, "--dry-run", "--out", str(tmp_path / "runs"))
    assert "searches" not in without.stdout
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tune-dp", "0"], "tune_dp must be a whole number >= 1"),
        (["--tune-dp", "10001"], "tune_dp must be a whole number >= 1 and <= 10000, got 10001"),
        (["--tune-dp", "many"], "--tune-dp must be a whole number, got 'many'"),
        (["--tune-dp", "2.5"], "--tune-dp must be a whole number, got '2.5'"),
        (["--tune", "plain"], "tune must be one of dp, all"),
        (["--tune-dp", "--no-dp"], "tune must have an arm to tune"),
        (["--tune-dp", "--optimizer", "adam"], "optimizer must be sgd for a search"),
        (["--tune-dp", "--examples", "1190"], "tune must leave at least 100 examples"),
    ],
)
def test_a_wrong_search_is_one_line(options: list[str], message: str) -> None:
    fast = FAST[2:] if "--examples" in options else FAST
    ran = mgaudit("run", *fast, *options)
    assert ran.exit_code == 2
    (line,) = (line for line in ran.stderr.splitlines() if line.startswith("error"))
    assert message in line
