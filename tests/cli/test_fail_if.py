"""`--fail-if`: exit code 3 after the report where the numbers of a result meet a condition."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import mgaudit
from mgaudit.cli.app import app
from mgaudit.storage.run_folder import RunFolder

OPTIONS = "--target mlp:hidden=8 --examples 120 --models 3 --epochs 2 --stack 1 --jobs 1"
SMALL = OPTIONS.split()


def command(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Scores of one model, with an AUC of about 0.76, in a table."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(RunFolder, "write_reports", lambda *_: [])
    draw = np.random.default_rng(0)
    member = np.arange(400) % 2 == 0
    values = draw.standard_normal(400) + member
    rows = [f"{value:.6f},{int(one)}" for value, one in zip(values, member, strict=True)]
    Path("scores.csv").write_text("\n".join(["score,member", *rows]))
    return "scores.csv"


@pytest.mark.parametrize("options", [[], ["--quiet"], ["--json"]])
def test_a_condition_that_is_met_is_one_line_and_exit_code_3_after_the_result(
    scores: str, options: list[str]
) -> None:
    ended = command("score", scores, *options, "--fail-if", "auc>0.6", "--fail-if", "tpr@0.1>99%")
    assert ended.exit_code == 3, ended.output
    lines = [line for line in ended.stderr.splitlines() if line.startswith("--fail-if")]
    assert len(lines) == 1
    assert lines[0].startswith("--fail-if auc>0.6 is met by ")
    if options == ["--quiet"]:
        assert ended.output.splitlines() == lines
    if options == ["--json"]:
        assert json.loads(ended.stdout)["result"]["studies"]
    assert list(Path("runs").glob("*/result.json"))


def test_a_condition_that_is_not_met_leaves_exit_code_0(scores: str) -> None:
    ended = command("score", scores, "--quiet", "--fail-if", "auc>0.8", "--fail-if", "auc<0.7")
    assert (ended.exit_code, ended.output) == (0, "")


def test_a_number_that_is_not_known_is_no_pass(scores: str) -> None:
    ended = command("score", scores, "--quiet", "--fail-if", "accuracy<0.5")
    assert ended.exit_code == 3
    assert "--fail-if accuracy<0.5 cannot be checked for " in ended.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", *SMALL],
        ["compare", "--scheme", "none", *SMALL],
        ["compare", "--scheme", "none", *SMALL, "--dry-run"],
        ["score", "scores.csv"],
        ["attack", "latest", "--attack", "loss"],
        ["audit-checkpoint", "scores.csv", "--members", "0:60"],
    ],
    ids=lambda arguments: f"{arguments[0]} {arguments[-1]}",
)
def test_what_is_no_condition_is_refused_before_anything_else(
    scores: str, arguments: list[str]
) -> None:
    refused = command(*arguments, "--fail-if", "acu>0.5")
    assert refused.exit_code == 2
    assert refused.stdout == ""
    assert refused.stderr.startswith("error: --fail-if must name one of auc, ")
    assert refused.stderr.endswith("got 'acu>0.5'; did you mean 'auc'?\n")
    assert refused.stderr.count("\n") == 1
    assert not Path("runs").exists()


def test_every_command_with_a_result_has_the_option(scores: str) -> None:
    run = ["--no-dp", "--kappa", "0.3", "--attack", "loss", *SMALL, "--quiet"]
    mask = "gaussian-mask:kappa=0.3"
    of_run = command("run", *run, "--fail-if", "accuracy>1%")
    assert of_run.exit_code == 3
    assert of_run.stderr.startswith(f"--fail-if accuracy>1% is met by {mask}: accuracy ")
    assert of_run.stderr.count("\n") == 1  # the arm without noise is not checked

    again = ["attack", "latest", "--attack", "entropy", "--jobs", "1", "--quiet"]
    of_attack = command(*again, "--fail-if", "none/entropy:auc>=0%", "--fail-if", "lira:auc>0.5")
    assert of_attack.exit_code == 3
    first, second = of_attack.stderr.splitlines()
    assert first.startswith("--fail-if none/entropy:auc>=0% is met by none, entropy: auc ")
    assert "'lira' is no arm and no attack of the result" in second

    arms = ["--scheme", "none", "--scheme", mask, "--attack", "loss", *SMALL, "--quiet"]
    of_compare = command("compare", *arms, "--fail-if", "none:auc>=0")
    assert of_compare.exit_code == 3
    assert of_compare.stderr.startswith("--fail-if none:auc>=0 is met by none, loss: auc ")

    failed = mgaudit.load("latest").failures("accuracy>1%", "auc>99%")
    assert [failure.arm for failure in failed] == [mask]


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("run", "--fail-if", "auc>0.6"), "--fail-if"),
        (("run", "--fail-unless", "auc<0.6"), "--fail-unless"),
        (("compare", "quick", "--fail-if", "auc>0.6"), "--fail-if"),
        (("compare", "quick", "--dry-run"), "--dry-run"),
    ],
)
def test_what_says_nothing_of_a_share_of_the_models_is_refused_with_it(
    words: tuple[str, ...], option: str
) -> None:
    ended = command(*words, "--shard", "1/2")
    assert ended.exit_code == 2
    assert ended.stderr.splitlines() == [
        f"error: {option} must not be given with --shard; "
        "give it to the command without --shard, which attacks the models"
    ]
