"""Whatever goes wrong is one line and an exit code: 2 for a mistake of the user, 1 for anything else."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, get_args

import pytest
from typer.testing import CliRunner

from mgaudit.cli.app import app
from mgaudit.cli.options import training_option
from mgaudit.settings.study_settings import DPAuditSettings, StudySettings
from mgaudit.targets.training import Help, Training

SMALL = ["--target", "mlp:hidden=16", "--examples", "200", "--models", "4", "--epochs", "1", "--jobs", "1", "--no-dp"]

# Arguments, then the key that the line must name and the value that it must state.
WRONG = [
    (["nope"], "nope", "nope"),
    (["run", "--epoch", "3"], "--epochs", "--epoch"),
    (["run", "--epochs", "many"], "--epochs", "many"),
    (["run", "--epochs", "0"], "epochs", "0"),
    (["run", "--batch-size", "-1"], "batch_size", "-1"),
    (["run", "--optimizer", "lion"], "optimizer", "lion"),
    (["run", "--learning-rate", "nan"], "learning_rate", "nan"),
    (["run", "--augment", "cutout"], "augment", "cutout"),
    (["run", "--precision", "fp8"], "precision", "fp8"),
    (["run", "--local-steps", "2"], "local_steps", "2"),
    (["run", "--clients", "65"], "clients", "65"),
    (["run", "--jobs", "0"], "--jobs", "0"),
    (["run", "--kappa", "-1"], "kappa", "-1"),
    (["run", "--scheme", "dp-sgd:noise_multiplier=1e300"], "noise_multiplier", "1e+300"),
    (["run", "--scheme", "dp-sgd:noise_multiplier=1,delta=1e-300"], "delta", "1e-300"),
    (["run", "--delta", "5e-324"], "delta", "5e-324"),
    (["run", "--target", "vit"], "target", "vit"),
    (["run", "--seed", "-1"], "seed", "-1"),
    (["run", "--models", "2"], "models", "2"),
    (["run", "--dataset", "nothing"], "dataset", "nothing"),
    (["run", "--settings", "/nowhere.toml"], "settings", "/nowhere.toml"),
    (["run", "--out", "/proc/nowhere"], "--out", "/proc/nowhere"),
    (["compare", "nowhere"], "study", "nowhere"),
    (["compare", "--scheme", "mask"], "scheme", "mask"),
    (["audit-dp", "--clients", "3"], "--clients", "--clients"),
    (["audit-dp", "--epochs", "0"], "epochs", "0"),
    (["audit-dp", "--canaries", "3"], "canaries", "3"),
    (["audit-dp", "--guesses", "2"], "guesses", "2"),
    (["reproduce", "no-paper"], "paper", "no-paper"),
    (["reproduce", "--format", "docx"], "--format", "docx"),
    (["report", "nowhere"], "nowhere", "nowhere"),
    (["report", "nowhere", "--format", "docx"], "--format", "docx"),
    (["report"], "RUN", "RUN"),
    (["runs", "--runs", "/nowhere"], "--runs", "/nowhere"),
    (["runs", "show", "nowhere"], "nowhere", "nowhere"),
    (["runs", "compare", "nowhere", "neither"], "nowhere", "nowhere"),
    (["runs", "remove", "nowhere", "--yes"], "RUN", "nowhere"),
    (["data", "fetch", "imagenet"], "data", "imagenet"),
    (["list", "planets"], "kind", "planets"),
]

UNEXPECTED = [KeyError("logits"), MemoryError(), RecursionError("too deep"), TypeError("no"), AssertionError()]


def mgaudit(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize(
    ("arguments", "key", "value"), WRONG, ids=lambda part: "_".join(part) if isinstance(part, list) else ""
)
def test_a_mistake_of_the_user_is_one_line_and_exit_code_2(
    arguments: list[str], key: str, value: str, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    quiet = ["--quiet"] if arguments[0] in ("run", "compare", "audit-dp", "reproduce") else []
    result = mgaudit(*arguments, *quiet)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1, result.stderr
    assert key in result.stderr
    assert value in result.stderr
    assert not list(tmp_path.glob("runs/*"))
    assert not (own_cache / "ensembles").exists()


@pytest.mark.parametrize(
    "error",
    [KeyError("logits"), MemoryError(), RecursionError("too deep"), TypeError("no"), AssertionError()],
    ids=repr,
)
@pytest.mark.parametrize(
    ("arguments", "broken"),
    [
        (["run", *SMALL, "--quiet"], "mgaudit.study.plan.plan_study"),
        (["run", *SMALL, "--quiet"], "mgaudit.study.study.run_study"),
        (["runs"], "mgaudit.cli.runs.listed_runs"),
        (["list", "studies"], "mgaudit.cli.list.ready_studies"),
    ],
    ids=["planning", "running", "runs", "list"],
)
def test_an_unexpected_error_is_one_line_and_a_log_with_the_traceback(
    arguments: list[str], broken: str, error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(broken, fail)
    result = mgaudit(*arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1, result.stderr
    assert type(error).__name__ in result.stderr
    log = re.search(r"see (\S+) for details", result.stderr)
    assert log is not None
    lines = Path(log[1]).read_text().splitlines()
    assert any(line.startswith("Traceback") for line in lines)
    assert any(line.startswith(type(error).__name__) for line in lines)


def test_an_error_whose_log_cannot_be_written_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mgaudit.study.study.run_study", full)
    monkeypatch.setattr("mgaudit.storage.run_folder.RunFolder.write_log", full)
    monkeypatch.setattr("tempfile.NamedTemporaryFile", full)
    result = mgaudit("run", *SMALL, "--quiet")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "No space left on device, in the run folder runs/" in result.stderr
    assert "the log with the details cannot be written (No space left on device)" in result.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_output_that_cannot_be_written_is_one_line() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "mgaudit", "list", "studies"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert "stdout" in done.stderr


def test_listing_studies_runs_no_code_of_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("evil.py").write_text("from pathlib import Path\nPath('ran').touch()\nclass Thing: ...\n")
    Path("studies").mkdir()
    Path("studies/x.toml").write_text('title = "Mine"\nschemes = ["none", "evil:Thing"]\n')
    listed = {entry["name"]: entry for entry in json.loads(mgaudit("list", "studies", "--json").stdout)["studies"]}
    assert listed["x"]["options"] == "2"
    assert listed["x"]["summary"] == "Mine"
    assert {"quick", "kappa-sweep"} <= listed.keys()
    assert mgaudit("list").exit_code == 0
    assert not Path("ran").exists()


def defaults_in_help(command: str) -> dict[str, str]:
    """Returns the default that the help text of each option states."""
    options = app_commands()[command].params
    stated = {option.name: re.search(r"default: ([^);]*)\)", option.help or "") for option in options}
    return {name: match[1] for name, match in stated.items() if match}


def app_commands() -> Any:
    from typer.main import get_command

    return get_command(app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize(("command", "settings"), [("run", StudySettings), ("audit-dp", DPAuditSettings)])
def test_help_states_the_defaults_of_the_settings(command: str, settings: Any) -> None:
    stated = defaults_in_help(command)
    for name, field in settings.model_fields.items():
        if name in stated and field.default is not None:
            assert stated[name] == str(field.default), name


def test_every_training_setting_with_help_is_an_option_with_its_range_and_default() -> None:
    for command, left_out in (("run", set()), ("compare", set()), ("audit-dp", {"clients", "local_steps"})):
        options = {option.name: option for option in app_commands()[command].params}
        for field in fields(Training):
            described = any(isinstance(part, Help) for part in get_args(field.type))
            assert (field.name in options) == (described and field.name not in left_out), field.name
            if field.name in options and field.default is not None:
                assert f"default: {field.default})" in options[field.name].help


@dataclass(frozen=True)
class Switched:
    """A training setting that is on or off."""

    nesterov: Annotated[bool, Help("Look ahead along the momentum")] = False


def test_a_training_setting_that_is_on_or_off_is_a_switch() -> None:
    option = training_option(fields(Switched)[0])
    assert option is not None
    assert option.annotation == bool | None
    assert option.default.help == "Look ahead along the momentum (default: False)."
