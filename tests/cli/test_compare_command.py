"""`mgaudit compare` and `mgaudit list studies` as a user meets them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mgaudit.cli.app import app
from mgaudit.reports.results import read_result
from mgaudit.settings.toml_file import read_settings
from mgaudit.storage.run_folder import RunFolder

ROOT = Path(__file__).resolve().parents[2]
SMALL = [
    "--target",
    "mlp:hidden=8",
    "--examples",
    "120",
    "--models",
    "4",
    "--epochs",
    "3",
    "--batch-size",
    "16",
]
FAST = [*SMALL, "--stack", "1", "--jobs", "1"]
ARMS = ["--scheme", "none", "--scheme", "gaussian-mask:kappa=0.5"]


def mgaudit(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


def run_folder(out: Path) -> Path:
    (found,) = out.iterdir()
    return found


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "study.toml"
    path.write_text(
        'title = "Two seeds"\nnote = "said below"\ntarget = "mlp:hidden=8"\nseeds = [0, 1]\n'
        "examples = 120\n"
        'models = 4\nstack = 1\nattacks = ["loss"]\n[[arms]]\nscheme = "none"\n'
        '[[arms]]\nscheme = "gaussian-mask"\nkappa = [0.5]\nnote = "a mask"\n'
        "[training]\nepochs = 2\nbatch_size = 16\n",
        encoding="utf-8",
    )
    return path


def test_a_study_file_becomes_a_run_folder_that_runs_again(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = mgaudit("compare", str(study), "--jobs", "1", "--out", str(tmp_path / "a"))
    assert result.exit_code == 0, result.output
    folder = run_folder(tmp_path / "a")
    assert "compare-digits" in folder.name
    assert {path.name for path in folder.iterdir()} >= {
        "settings.toml",
        "result.json",
        "arrays.npz",
        "report.html",
    }
    assert "study 2 of 2: mlp:hidden=8 on digits, seed 1" in result.stderr
    assert str(folder / "report.html") in result.stdout.replace("\n", "")
    found, arrays = read_result(folder)
    assert (found.title, found.note, len(found.studies), len(arrays)) == (
        "Two seeds",
        "said below",
        2,
        2,
    )
    assert [arm.note for arm in found.studies[1].arms] == ["", "a mask"]

    monkeypatch.setattr(RunFolder, "write_reports", lambda *_: [])  # they take longer than all else
    again = mgaudit(
        "compare", str(folder / "settings.toml"), "--quiet", "--out", str(tmp_path / "b")
    )
    assert (again.exit_code, again.output) == (0, "")
    repeated, _ = read_result(run_folder(tmp_path / "b"))
    assert run_folder(tmp_path / "b").name == folder.name
    for ours, theirs in zip(found.studies, repeated.studies, strict=True):
        assert sum(theirs.times.models_reused.values()) == 8
        assert ours.model_copy(update={"times": theirs.times}) == theirs
    fewer = mgaudit(
        "compare",
        str(folder / "settings.toml"),
        "--seed",
        "1",
        "--json",
        "--out",
        str(tmp_path / "c"),
    )
    printed = json.loads(fewer.stdout)
    assert printed["run"] == str(run_folder(tmp_path / "c"))
    assert [one["settings"]["seed"] for one in printed["result"]["studies"]] == [1]
    assert sum(printed["result"]["studies"][0]["times"]["models_reused"].values()) == 8


def test_without_a_file_the_options_are_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RunFolder, "write_reports", lambda *_: [])
    result = mgaudit(
        "compare",
        *ARMS,
        *FAST,
        "--seed",
        "3",
        "--attack",
        "loss",
        "--quiet",
        "--out",
        str(tmp_path / "o"),
    )
    assert (result.exit_code, result.output) == (0, "")
    values = read_settings(run_folder(tmp_path / "o") / "settings.toml")
    assert values["schemes"] == ["none", "gaussian-mask:kappa=0.5"]
    assert (values["seeds"], values["attacks"], values["training"]["epochs"]) == ([3], ["loss"], 3)


@pytest.mark.parametrize("options", [[], ["--quiet"], ["--json"]])
def test_a_dry_run_tells_the_plan_and_writes_nothing(
    study: Path,
    tmp_path: Path,
    own_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    result = mgaudit("compare", str(study), "--jobs", "1", "--dry-run", *options)
    assert result.exit_code == 0, result.output
    assert list((tmp_path / "here").iterdir()) == []
    assert [path for path in own_cache.rglob("*") if path.is_file()] == []
    if options == ["--quiet"]:
        assert result.output == ""
    elif options == ["--json"]:
        printed = json.loads(result.stdout)
        assert [cell["name"][-6:] for cell in printed["cells"]] == ["seed 0", "seed 1"]
        assert printed["seconds"] > 0
        (auc,) = printed["cells"][0]["detectable"]  # too few non-members for a TPR
        assert (auc["metric"], auc["power"]) == ("auc", 0.8)
        assert 0.1 < auc["difference"] < auc["independent_difference"] < 0.5
    else:
        assert "gaussian-mask (kappa=0.5)" in result.stdout
        assert "with 1 worker, reports not counted" in result.stdout
        (row,) = [line for line in result.stdout.splitlines() if line.startswith("AUC")][:1]
        assert all(0.1 < float(number) < 0.5 for number in row.split()[1:])
        assert all(len(line) <= 80 for line in result.stdout.splitlines())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            [],
            "arms must be given: there are none to compare; give a study file, as in "
            "mgaudit compare "
            "studies/quick.toml, "
            "or --scheme",
        ),
        (["--target", "mlp"], "arms must be given: there are none to compare"),
        (
            ["quik"],
            "STUDY must be a study file, or one of adaptive, dp-frontier, kappa-sweep",
        ),
        (["nowhere.toml"], "the settings file nowhere.toml cannot be read: No such file"),
        (["bad.toml"], "arms[0].kappa must be a finite number >= 0, got -1"),
        (["broken.toml"], "the settings file broken.toml is not TOML"),
        (
            [*ARMS, "--scheme", "none"],
            "schemes[0] and schemes[2] must be different arms, got none twice",
        ),
        ([*ARMS, "--target", "vit"], "targets[0] must be one of mlp, cnn"),
        ([*ARMS, "--seed", "-1"], "must be a whole number >= 0, got -1"),
        ([*ARMS, "--models", "2"], "models must be a whole number >= 3 and <= 100000, got 2"),
        ([*ARMS, "--dataset", "cifar"], "datasets[0] must be one of"),
        (
            [*ARMS, "--target", "cnn", "--target", "mlp", "--dataset", "synthetic"],
            "use --target mlp",
        ),
        (
            [*ARMS, "--stack", "17"],
            "stack must be <= 16, the models of an arm, got 17; use --stack auto",
        ),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.toml").write_text('[[arms]]\nscheme = "gaussian-mask"\nkappa = -1\n')
    Path("broken.toml").write_text("arms = \n")
    result = mgaudit("compare", *arguments, "--quiet")
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not list(tmp_path.glob("runs/*"))


def test_a_comparison_that_fails_says_so_and_leaves_its_story(tmp_path: Path) -> None:
    result = mgaudit(
        "compare",
        *ARMS,
        *FAST,
        "--quiet",
        "--learning-rate",
        "1e30",
        "--out",
        str(tmp_path / "runs"),
    )
    assert result.exit_code == 1
    assert "the audit failed: mlp:hidden=8 on digits, seed 0: in every arm" in " ".join(
        result.stderr.split()
    )
    assert {path.name for path in run_folder(tmp_path / "runs").iterdir()} == {
        ".mgaudit-run",
        "log.txt",
        "settings.toml",
    }


@pytest.mark.slow  # the same code ends `mgaudit run`, whose test is not slow
def test_ctrl_c_ends_with_130_and_keeps_what_is_trained(tmp_path: Path, own_cache: Path) -> None:
    arguments = [
        *ARMS,
        "--target",
        "cnn",
        "--models",
        "6",
        "--epochs",
        "30",
        "--stack",
        "1",
        "--jobs",
        "1",
        "--quiet",
    ]
    running = subprocess.Popen(
        [sys.executable, "-m", "mgaudit", "compare", *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 120
    while not list(own_cache.glob("ensembles/*/model-*.safetensors")):
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGINT)
    printed, errors = running.communicate(timeout=60)
    assert (running.returncode, printed) == (130, ""), errors
    assert "interrupted; the models trained so far are kept" in " ".join(errors.split())
    (folder,) = tmp_path.glob("runs/*")
    assert (folder / "log.txt").read_text().splitlines()[-1] == "interrupted"
    assert not list(folder.glob("result.json"))


def test_the_studies_here_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    listed = json.loads(mgaudit("list", "studies", "--json").stdout)["studies"]
    assert {"name", "options", "summary", "asks", "path"} == set(listed[0])
    shown = " ".join(mgaudit("list", "studies").stdout.split())
    assert all(entry["name"] in shown for entry in listed)
    assert "studies/quick.toml" in shown
    assert "Every scheme at five strengths" in shown
    assert "asks: From which strength does a mask protect" in shown
    monkeypatch.chdir(tmp_path)
    assert "Every scheme at five strengths" in " ".join(mgaudit("list", "studies").stdout.split())
