"""Help, names of runs, and what commands print at their end."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mgaudit.cli import console
from mgaudit.cli.app import app
from mgaudit.reports.results import read_result
from mgaudit.storage.run_folder import RunFolder

OPTIONS = (
    "--target mlp:hidden=16 --examples 200 --models 4 --epochs 2 --jobs 1 --no-dp --attack loss"
)
FAST = OPTIONS.split()
COMMANDS = (
    "run",
    "compare",
    "attack",
    "audit-checkpoint",
    "audit-dp",
    "reproduce",
    "report",
    "list",
    "data",
    "runs",
)


def mgaudit(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a cache and one run."""
    folder = tmp_path_factory.mktemp("workplace")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MGAUDIT_CACHE", str(folder / "cache"))
        patch.setattr(RunFolder, "write_reports", lambda *_: [])
        ran = mgaudit("run", *FAST, "--quiet")
    assert ran.exit_code == 0, ran.output
    return folder


@pytest.fixture
def run_name(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(workplace)
    monkeypatch.setenv("MGAUDIT_CACHE", str(workplace / "cache"))
    (run,) = (path for path in (workplace / "runs").iterdir() if "lira" not in path.name)
    return run.name


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_a_terminal(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    short, long = mgaudit(command, "-h"), mgaudit(command, "--help")
    assert short.exit_code == 0
    assert short.output == long.output
    lines = long.output.splitlines()
    assert len(lines) <= 80
    assert all(len(line) <= 80 for line in lines)
    assert "…" not in long.output.replace(",…", "").replace("]…", "").replace("RUN…", "")


def test_the_help_of_run_begins_with_examples_and_groups_its_options(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = mgaudit("run", "--help").output
    assert text.index("mgaudit run --target cnn --kappa 0.3") < text.index("--dataset")
    for group in ("Noise", "Data", "Network", "Attacks", "Training", "Machine", "Output"):
        assert f"─ {group} ─" in text


def test_names_of_runs_are_never_wrapped(run_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console.out, "width", 40)
    for command in (("runs",), ("runs", "list")):
        assert run_name in mgaudit(*command).output.splitlines()


@pytest.mark.parametrize("part", ["name", "hash", "prefix", "path", "latest"])
def test_every_command_takes_a_run_by_name_hash_path_or_latest(run_name: str, part: str) -> None:
    texts = {
        "name": run_name,
        "hash": run_name[-8:],
        "prefix": run_name[-8:-3],
        "path": f"runs/{run_name}",
        "latest": "latest",
    }
    printed = mgaudit("runs", "show", texts[part])
    assert printed.exit_code == 0, printed.output
    assert "Test acc., %" in printed.output


@pytest.mark.parametrize(
    "command",
    [("runs", "show"), ("runs", "remove", "--yes"), ("runs", "compare", "latest"), ("report",)],
)
def test_a_run_that_is_not_there_is_refused_in_one_sentence(
    run_name: str, command: tuple[str, ...]
) -> None:
    refused = mgaudit(*command, "nosuch")
    assert refused.exit_code == 2
    assert "its name, the beginning of its hash, or latest, got 'nosuch'" in refused.stderr


def test_the_latest_of_no_runs_is_refused(tmp_path: Path) -> None:
    refused = mgaudit("report", "latest", "--runs", str(tmp_path))
    assert refused.exit_code == 2
    assert "RUN must name a run, and there is none in" in refused.stderr
    assert "did you mean" not in refused.stderr


def test_the_beginning_of_two_hashes_names_neither(tmp_path: Path, run_name: str) -> None:
    for name in ("2026-01-01-a-abc12345", "2026-01-02-b-abc99999"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "log.txt").touch()
    refused = mgaudit("runs", "show", "abc", "--runs", str(tmp_path))
    assert refused.exit_code == 2
    assert "must be the beginning of one hash" in refused.stderr
    assert "2026-01-01-a-abc12345" in refused.stderr


def test_a_report_prints_its_paths_and_takes_formats_joined_by_commas(
    run_name: str, tmp_path: Path
) -> None:
    rendered = mgaudit("report", "latest", "--format", "csv, html", "--out", str(tmp_path / "new"))
    assert rendered.exit_code == 0, rendered.output
    assert (
        rendered.stdout.replace("\n", "") == f"{tmp_path}/new/report.csv{tmp_path}/new/report.html"
    )
    refused = mgaudit("report", "latest", "--format", "html,docx")
    assert refused.exit_code == 2
    assert "format must be one of html" in refused.stderr


def test_a_report_adds_the_ppv_at_a_prior(run_name: str, tmp_path: Path) -> None:
    out = ("--format", "csv", "--out", str(tmp_path))
    rendered = mgaudit("report", run_name, "--prior", "0.03", *out)
    assert rendered.exit_code == 0, rendered.output
    text = (tmp_path / "report.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    (arms,) = read_result(Path("runs") / run_name)[0].studies
    for arm in arms.arms:
        assert arm.risk is not None
        own = [row for row in rows if row["arm"] == arm.key and row["what"] == "PPV at prior 0.03"]
        assert len(own) == len(arm.risk.predictive_values) == 3
        for row, values in zip(own, arm.risk.predictive_values, strict=True):
            members, others = 0.03 * values.tpr.value, 0.97 * values.fpr
            assert float(row["value"]) == pytest.approx(members / (members + others))
            assert float(row["low"]) <= float(row["value"]) <= float(row["high"])


@pytest.mark.parametrize("prior", ["0", "1", "3", "-0.1", "nan"])
def test_a_prior_that_is_no_fraction_is_refused(run_name: str, prior: str) -> None:
    refused = mgaudit("report", run_name, "--prior", prior)
    assert refused.exit_code == 2
    assert "--prior must be a fraction between 0 and 1" in refused.stderr


def test_a_run_ends_with_a_verdict_and_one_line_for_each_arm(
    run_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console.out, "width", 80)
    monkeypatch.setattr(RunFolder, "write_reports", lambda *_: [])
    lines = mgaudit("run", *FAST).stdout.splitlines()
    starts = [
        index
        for index, line in enumerate(lines)
        if line.startswith(("no noise  ", "gaussian-mask (kappa=0.3)  "))
    ]
    assert len(starts) == 2
    assert "with gaussian-mask" in lines[0]
    assert lines[-1].endswith("report.pdf")
    assert starts[1] == starts[0] + 1


def test_a_finished_run_is_attacked_again(run_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RunFolder, "write_reports", lambda *_: [])
    monkeypatch.setattr("mgaudit.study.train.train_stack", lambda *_: pytest.fail("trained"))
    ran = mgaudit(
        "attack", run_name, "--attack", "entropy", "--runs", "runs", "--jobs", "1", "--json"
    )
    assert ran.exit_code == 0, ran.output
    latest = mgaudit("attack", "latest", "--attack", "confidence", "--jobs", "1", "--quiet")
    assert (latest.exit_code, latest.output) == (0, "")
    runs = [read_result(path)[0] for path in Path("runs").iterdir()]
    attacks = {attack.attack for run in runs for attack in run.studies[0].arms[0].attacks}
    assert attacks == {"loss", "entropy", "confidence"}
    refused = mgaudit("attack", "latest", "--attack", "nosuch")
    assert refused.exit_code == 2


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_shown_without_an_error(shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shellingham.detect_shell", lambda *_: (shell, f"/bin/{shell}"))
    script = mgaudit("--show-completion")
    assert (script.exit_code, script.stderr) == (0, "")
    assert "complete" in script.stdout


def test_removing_without_a_terminal_needs_yes(tmp_path: Path) -> None:
    run = tmp_path / "2026-01-01-a-abc12345"
    run.mkdir()
    (run / ".mgaudit-run").write_text('{"made by": "mgaudit", "format": 1}')
    (run / "log.txt").touch()
    refused = mgaudit("runs", "remove", run.name, "--runs", str(tmp_path))
    assert refused.exit_code == 2
    assert "--yes must be given where no answer can be typed" in refused.stderr
    assert run.is_dir()
