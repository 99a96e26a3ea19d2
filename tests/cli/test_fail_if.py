"""`--fail-if`: exit code 3 after the report where the numbers of a result meet a condition."""

import errno
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
from typer.testing import CliRunner

import mgaudit
from mgaudit.cli.app import app
from mgaudit.storage.run_folder import RunFolder
from mgaudit.targets import MLP

OPTIONS = "--target mlp:hidden=8 --examples 120 --models 3 --epochs 2 --stack 1 --jobs 1"
SMALL = OPTIONS.split()
THREE_ARMS = "none, gaussian-mask:kappa=0.3, dp-sgd:epsilon=8"
SHADOWS = ["--members", "0:300", "--models", "3", "--epochs", "1", "--stack", "1", "--jobs", "1"]


FIT = """
def fit(x, y, *, seed):
    raise AssertionError("nothing may be trained")
"""


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


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["run", *SMALL], f"{THREE_ARMS}, and the attacks stacked, rmia, lira, loss; did"),
        (["run", *SMALL, "--tune-dp", "2"], f"{THREE_ARMS}, and the attacks stacked, rmia, "),
        (["run", *SMALL, "--dry-run"], f"{THREE_ARMS}, and the attacks stacked, rmia, "),
        (["run", "--fit", "own:fit", "--attack", "rmia"], "own:fit, and the attacks rmia; did"),
        (["run", "--fit", "own:fit", "--dry-run"], "own:fit, and the attacks stacked, rmia, "),
        (["compare", "--scheme", "none", "--attack", "loss", *SMALL], "none, and the attacks loss"),
        (["compare", "--scheme", "none", *SMALL, "--dry-run"], "none, and the attacks stacked, "),
        (["score", "scores.csv"], "models, and the attacks scores"),
        (
            ["audit-checkpoint", "model.safetensors", "--target", "mlp:hidden=8", *SHADOWS],
            "checkpoint, and the attacks stacked, rmia, lira, loss; did",
        ),
    ],
    ids=lambda part: " ".join(part[:1] + part[-1:]) if isinstance(part, list) else "",
)
@pytest.mark.parametrize("option", ["--fail-if", "--fail-unless"])
def test_a_condition_about_what_the_audit_will_not_have_is_refused_before_training(
    scores: str,
    own_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    names: str,
    option: str,
) -> None:
    monkeypatch.setattr("mgaudit.tuning.search.evaluate", lambda _: pytest.fail("trained"))
    Path("own.py").write_text(FIT)
    model = MLP((1, 8, 8), 10, hidden=(8,)).state_dict()
    safetensors.torch.save_file(model, "model.safetensors")
    refused = command(*arguments, "--quiet", option, "auc>0.5", option, "rmai:auc>0.5")
    assert refused.exit_code == 2, refused.output
    assert refused.stdout == ""
    (line,) = refused.stderr.splitlines()
    rule = "must name an arm or an attack of this audit, got 'rmai:auc>0.5'; the arms are "
    assert line.startswith(f"error: {option} {rule}{names}")
    listed, _, question = line.partition("; the arms are ")[2].partition("; ")
    assert question == ("did you mean 'rmia'?" if "rmia" in listed else "")
    assert not Path("runs").exists()
    assert not list(own_cache.rglob("*.safetensors"))


@pytest.mark.parametrize("options", [[], ["--quiet"], ["--json"]])
def test_the_run_directory_has_the_outcome_of_each_condition(
    scores: str, options: list[str]
) -> None:
    conditions = ["--fail-if", "auc>0.6", "--fail-if", "accuracy<50%", "--fail-unless", "auc<90%"]
    ended = command("score", scores, *options, *conditions)
    assert ended.exit_code == 3, ended.output
    (path,) = Path("runs").glob("*/conditions.json")
    written = json.loads(path.read_text(encoding="utf-8"))
    assert written["passed"] is False
    met, unknown, proved = written["outcomes"]
    (arm,) = mgaudit.load(path.parent).record.studies[0].arms
    auc = arm.attacks[0].metrics["auc"]
    about = {"study": "", "arm": "models", "attack": "scores", "metric": "auc"}
    numbers = {"value": auc.value, "low": auc.low, "high": auc.high}
    text = f"auc {auc.value:.4g} [{auc.low:.4g}, {auc.high:.4g}]"
    assert met == {
        "option": "--fail-if",
        "condition": "auc>0.6",
        "failed": True,
        "met": True,
        **about,
        "limit": 0.6,
        **numbers,
        "text": f"auc>0.6 is met by models, scores: {text}",
    }
    assert (unknown["failed"], unknown["met"], unknown["value"]) == (True, None, None)
    assert "cannot be checked for models: " in unknown["text"]
    assert (proved["option"], proved["failed"], proved["met"]) == ("--fail-unless", False, True)
    assert (proved["limit"], proved["high"]) == (0.9, auc.high)

    passed = command("score", scores, "--quiet", "--fail-if", "auc>0.9")
    assert passed.exit_code == 0
    assert json.loads(path.read_text(encoding="utf-8"))["passed"] is True

    without = command("score", scores, "--quiet")
    assert without.exit_code == 0
    assert not path.exists()  # it would be the outcome of another command


def test_a_run_with_outcomes_can_be_removed(scores: str) -> None:
    assert command("score", scores, "--quiet", "--fail-if", "auc>0.9").exit_code == 0
    removed = command("runs", "remove", "latest", "--yes")
    assert removed.exit_code == 0, removed.output
    assert not list(Path("runs").iterdir())


def test_outcomes_that_cannot_be_written_are_an_error(
    scores: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.EACCES, "Permission denied", "conditions.json")

    monkeypatch.setattr("mgaudit.cli.fail_if.write_atomically", full)
    ended = command("score", scores, "--quiet", "--fail-if", "auc>0.6")
    assert ended.exit_code == 1
    met, failed = ended.stderr.splitlines()
    assert met.startswith("--fail-if auc>0.6 is met by ")
    assert failed.startswith("error: conditions.json cannot be written: ")
    assert failed.endswith("Permission denied")


def test_every_command_with_a_result_has_the_option(scores: str) -> None:
    run = ["--no-dp", "--kappa", "0.3", "--attack", "loss", *SMALL, "--quiet"]
    mask = "gaussian-mask:kappa=0.3"
    of_run = command("run", *run, "--fail-if", "accuracy>1%")
    assert of_run.exit_code == 3
    assert of_run.stderr.startswith(f"--fail-if accuracy>1% is met by {mask}: accuracy ")
    assert of_run.stderr.count("\n") == 1  # the arm without noise is not checked

    again = ["attack", "latest", "--attack", "entropy", "--jobs", "1", "--quiet"]
    refused = command(*again, "--fail-if", "loss:auc>0.5")  # an attack of the run before
    assert refused.exit_code == 2
    assert "'loss:auc>0.5'; the arms are none, gaussian-mask:kappa=0.3, and" in refused.stderr
    of_attack = command(*again, "--fail-if", "none/entropy:auc>=0%")
    assert of_attack.exit_code == 3
    (line,) = of_attack.stderr.splitlines()
    assert line.startswith("--fail-if none/entropy:auc>=0% is met by none, entropy: auc ")

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
        (("run", "--dry-run"), "--dry-run"),
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
