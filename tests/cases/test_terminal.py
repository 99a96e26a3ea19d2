"""Terminals, streams and paths that people have: encodings, closed pipes, full disks, `~`."""

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

import mgaudit
from mgaudit.cli.app import app
from mgaudit.cli.encoding import READABLE
from mgaudit.errors import UsageError
from mgaudit.progress_bars import ProgressBars
from mgaudit.targets.cache import cache_folder
from mgaudit.targets.home import with_home
from tests.fake_study import arrays, result, study, write

ROOT = Path(__file__).resolve().parents[2]
ENCODINGS = ("cp1252", "ascii", "latin-1", "cp437", "koi8-r", "utf-16", "utf-8")
NAME = "2026-01-01-made-up-abcdef12"
SMALL = ["--target", "mlp:hidden=4", "--examples", "60", "--models", "3", "--epochs", "1"]
SMALL += ["--stack", "1", "--jobs", "1"]


def command(*arguments: str, **kwargs: Any) -> Any:
    return CliRunner(**kwargs).invoke(app, list(arguments))


def process(*arguments: str, **options: Any) -> "subprocess.CompletedProcess[bytes]":
    """Runs mgaudit in a process of its own, with the environment `env` added."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.run(
        [sys.executable, "-m", "mgaudit", *arguments], env=env, check=False, **streams
    )


def write_run(runs: Path) -> None:
    """Writes a run into the directory."""
    runs.mkdir(parents=True)
    write(runs / NAME, result(study()), [arrays()])


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blank_figures: None) -> Path:
    """A directory with one run in `runs`, as the current directory."""
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "runs")
    return tmp_path


# A7: encodings


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a07_output_that_the_encoding_lacks(encoding: str, runs: Path) -> None:
    commands = {
        ("run", "--help"): 0,
        ("list", "schemes"): 0,
        ("runs",): 0,
        ("runs", "show", "latest"): 0,
        ("report", "latest", "--format", "csv"): 0,
        ("list", "☃"): 2,
        ("run", "--dataset", "☃", "--quiet"): 2,
        ("score", "ε.npz", "--quiet"): 2,
    }
    for arguments, code in commands.items():
        done = command(*arguments, charset=encoding)
        assert done.exit_code == code, (arguments, done.output)
        assert "Traceback" not in done.output
        errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert len(errors) == (code != 0), (arguments, done.stderr)


def test_a07_missing_characters_are_spelled_out() -> None:
    listing = command("list", "schemes", charset="ascii").stdout
    assert "kappa" in listing
    assert listing.isascii()
    assert "κ" in command("run", "--help", charset="utf-8").stdout
    for character, text in READABLE.items():
        assert len(character) == 1
        assert not character.isascii()
        assert text.isascii()
    assert "'?'" in command("list", "☃", charset="ascii").stderr
    assert "☃" in command("list", "☃", charset="utf-8").stderr


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a07_json_stays_valid(encoding: str, runs: Path) -> None:
    for arguments in (["list", "--json"], ["runs", "--json"], ["data", "list", "--json"]):
        done = command(*arguments, charset=encoding)
        assert done.exit_code == 0
        assert json.loads(done.stdout_bytes)


@pytest.mark.slow
def test_a07_a_run_on_such_a_terminal(tmp_path: Path) -> None:
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}
    done = process("run", *SMALL, "--no-dp", "--no-plain", cwd=tmp_path, env=plain)
    assert done.returncode == 0, done.stderr
    assert b"epsilon >=" in done.stdout
    assert list(tmp_path.glob("runs/*/report.html"))


# B31: streams that cannot be written or read


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_b31_a_full_disk_behind_stdout_keeps_the_result(tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = process("run", *SMALL, "--no-dp", "--quiet", "--json", cwd=tmp_path, stdout=full)
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    assert done.stderr.startswith(b"error: the output cannot be written to stdout")
    assert list(tmp_path.glob("runs/*/result.json"))


@pytest.mark.parametrize(
    ("redirection", "code", "lines"),
    [
        ("list targets >&-", 1, 1),
        ("list targets 2>&-", 0, 0),
        ("list targets --json >&-", 1, 1),
        ("list planets 2>&-", 2, 0),
        ("list planets >&- 2>&- <&-", 2, 0),
        ("list targets | true", 1, 0),
        ("list planets 2>&1 >/dev/null | true", 2, 0),
        ("runs remove latest <&-", 2, 1),
        ("runs remove latest </dev/null", 2, 2),
    ],
)
def test_b31_closed_streams(redirection: str, code: int, lines: int, runs: Path) -> None:
    script = f"set -o pipefail; {sys.executable} -m mgaudit {redirection}"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", script], env=env, capture_output=True, check=False)
    assert done.returncode == code, done.stderr
    assert done.stderr.count(b"\n") == lines, done.stderr
    assert b"Traceback" not in done.stderr
    assert (runs / "runs" / NAME / "result.json").is_file()


def test_b31_a_reader_of_progress_that_ends_leaves_no_run_directory(tmp_path: Path) -> None:
    script = f"set -o pipefail; {sys.executable} -m mgaudit run {' '.join(SMALL)} --no-dp 2>&1"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-c", f"{script} >/dev/null | true"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 130
    assert done.stderr == b""
    assert not list(tmp_path.glob("runs/*"))


@pytest.mark.parametrize("broken", ["closed", "ascii"])
def test_b31_progress_on_a_broken_stream_ends_no_run(broken: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
    if broken == "closed":
        stream.close()
    progress = ProgressBars(Console(file=stream), silent=False)
    progress.stage("computing ε")
    assert "computing ε" in progress.lines[0]


def test_b31_a_narrow_terminal_without_colour(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    for arguments in (["list", "attacks"], ["runs"], ["runs", "show", "latest"], ["run", "--help"]):
        done = command(*arguments)
        assert done.exit_code == 0, done.output
        assert "\x1b[3" not in done.stdout


# B26: `~` in paths


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory that is not the current directory."""
    folder = tmp_path / "home of a user"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


def test_b26_a_path_begins_with_the_home_directory(home: Path) -> None:
    assert with_home("~/a b", "--out") == home / "a b"
    assert with_home(Path("~"), "--out") == home
    assert with_home("a/~", "--out") == Path("a/~")
    assert with_home("", "--out") == Path()
    with pytest.raises(UsageError, match="'~no-such-user'") as error:
        with_home("~no-such-user/x", "--out")
    assert error.value.key == "--out"
    Path("~backup.npz").touch()
    assert with_home("~backup.npz", "source") == Path("~backup.npz")


def test_b26_the_cache_is_in_the_home_directory(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MGAUDIT_CACHE", "~/cache")
    assert cache_folder() == home / "cache"
    monkeypatch.setenv("MGAUDIT_CACHE", "~no-such-user/cache")
    done = command("run", *SMALL, "--no-dp", "--quiet")
    assert done.exit_code == 2
    assert "MGAUDIT_CACHE" in done.stderr
    assert not list(Path().glob("~*"))


def test_b26_commands_take_paths_in_the_home_directory(home: Path, blank_figures: None) -> None:
    write_run(home / "runs")
    run = f"~/runs/{NAME}"
    for arguments in (
        ["runs", "--runs", "~/runs"],
        ["runs", "show", "latest", "--runs", "~/runs"],
        ["runs", "show", run],
        ["report", run, "--format", "csv", "--out", "~/reports"],
        ["runs", "remove", run, "--runs", "~/runs", "--yes"],
    ):
        done = command(*arguments)
        assert done.exit_code == 0, (arguments, done.output)
    assert list((home / "reports").glob("*.csv"))
    assert not list((home / "runs").iterdir())
    assert not list(Path().glob("~*"))


@pytest.mark.parametrize("kind", [str, Path])
def test_b26_python_takes_paths_in_the_home_directory(
    kind: type, home: Path, blank_figures: None
) -> None:
    generator = np.random.default_rng(0)
    rows = pd.DataFrame(generator.normal(size=(90, 3)), columns=list("abc"))
    rows["label"] = np.arange(90) % 2
    rows["split"] = ["train"] * 60 + ["test"] * 30
    rows.to_csv(home / "d.csv", index=False)
    text = 'schemes = ["none"]\ndatasets = ["csv:~/d.csv"]\ntargets = ["mlp:hidden=4"]\n'
    (home / "s.toml").write_text(f"{text}models = 3\nstack = 1\ntraining.epochs = 1\n")
    audited = mgaudit.compare(kind("~/s.toml"), out=kind("~/outs"), jobs=1, quiet=True)
    assert audited.path.parent == home / "outs"
    assert mgaudit.load(kind(f"~/outs/{audited.path.name}")).path == audited.path
    assert mgaudit.load("latest", runs=kind("~/outs")).path == audited.path
    assert audited.save(kind("~/r.json")) == home / "r.json"
    logits, labels = generator.normal(size=(3, 60, 2)), np.arange(60) % 2
    membership = generator.random((3, 60)) < 0.5
    np.savez(home / "o.npz", logits=logits, labels=labels, membership=membership)
    scored = mgaudit.score(kind("~/o.npz"), out=kind("~/outs"), quiet=True)
    assert scored.path.parent == home / "outs"
    with pytest.raises(UsageError, match="nothing") as error:
        mgaudit.run(settings=kind("~/nothing"), quiet=True)
    assert str(home) in str(error.value)
    with pytest.raises(UsageError, match="nothing") as error:
        mgaudit.audit_checkpoint(kind("~/nothing"), members="0:3", quiet=True)
    assert str(home) in str(error.value)
    assert not list(Path().glob("~*"))


@pytest.mark.parametrize("name", ["a b", "a'b\"c", "a\nb", "-x", "ε", "a[b]"])
def test_b26_paths_with_any_characters(name: str, home: Path, blank_figures: None) -> None:
    write_run(Path(name))
    for arguments in (
        ["runs", f"--runs={name}"],
        ["runs", "show", "latest", f"--runs={name}"],
        ["report", "latest", f"--runs={name}", "--format", "csv"],
    ):
        done = command(*arguments)
        assert done.exit_code == 0, (arguments, done.output)
    shutil.rmtree(name)


# B27, B29: what a user types


def test_b27_short_help_and_completion() -> None:
    for arguments in (["-h"], ["run", "-h"], ["runs", "show", "-h"]):
        assert command(*arguments).exit_code == 0
    assert "--install-completion" in command("--help").stdout


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["run", "--target", "CNN"], "cnn"),
        (["run", "--dataset", "Digits"], "digits"),
        (["run", "--dataset", "CSV:x.csv"], "csv"),
        (["run", "--scheme", "Gaussian-Mask:kappa=1"], "gaussian-mask"),
        (["run", "--attack", "LiRA"], "lira"),
        (["run", "--queries", "Crops:8"], "crops"),
        (["run", "--optimizer", "Adam"], "adam"),
        (["run", "--device", "CPU"], "cpu"),
        (["run", "--stack", "AUTO"], "auto"),
        (["compare", "Quick"], "quick"),
        (["compare", "--scheme", "None"], "none"),
        (["report", "latest", "--format", "HTML"], "html"),
        (["data", "fetch", "CIFAR10"], "cifar10"),
        (["reproduce", "Noise-Nodes"], "noise-nodes"),
        (["list", "Attack"], "attacks"),
        (["runs", "show", "Latest"], "latest"),
        (["Run"], "run"),
        (["run", "--Kappa", "1"], "--kappa"),
    ],
    ids=lambda part: "_".join(part) if isinstance(part, list) else "",
)
def test_b29_did_you_mean_ignores_case(arguments: list[str], meant: str, runs: Path) -> None:
    done = command(*arguments)
    assert done.exit_code == 2
    assert f"did you mean {meant!r}?" in done.stderr
