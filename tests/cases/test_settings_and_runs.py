"""Settings files and run directories that people have, and settings at their limits."""

import json
import os
import signal
import subprocess
import sys
import time
from codecs import BOM_UTF8
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import mgaudit
from mgaudit.cli.app import app
from mgaudit.settings.toml_file import read_settings
from tests.fake_study import NASTY, arrays, result, study, write

ROOT = Path(__file__).resolve().parents[2]
FAST = ["--target", "mlp:hidden=4", "--models", "3", "--epochs", "1", "--stack", "1"]
TOML = '# é\nschemes = ["none"]\nmodels = 3\nstack = 1\n'
SECONDS = 60  # after which a started process is taken for hung


def command(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


def refusal(*arguments: str) -> str:
    """Returns the one line of a mistake of the user."""
    done = command(*arguments)
    assert done.exit_code == 2, done.output
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("error: ")
    return str(done.stderr)


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


# B28: TOML files as editors write them


@pytest.mark.parametrize("start", [b"", BOM_UTF8])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_b28_toml_with_a_bom_and_other_ends_of_lines(start: bytes, end: str) -> None:
    file = Path("s.toml")
    file.write_bytes(start + TOML.replace("\n", end).encode())
    assert read_settings(file) == {"schemes": ["none"], "models": 3, "stack": 1}
    Path("studies").mkdir()
    file.rename("studies/s.toml")
    listed = command("list", "studies", "--json")
    assert "'utf-8'" not in listed.stdout


@pytest.mark.parametrize(
    ("encoding", "what"),
    [("utf-16", "UTF-16"), ("utf-16-be", "UTF-8"), ("latin-1", "0xe9 in line 1")],
)
def test_b28_toml_in_another_encoding_is_named(encoding: str, what: str) -> None:
    Path("s.toml").write_bytes(TOML.encode(encoding))
    for arguments in (["compare", "s.toml"], ["run", "--settings", "s.toml"]):
        line = refusal(*arguments, "--quiet")
        assert "s.toml" in line
        assert what in line


# B30, B33: environments


@pytest.mark.parametrize("missing", ["HOME", "TMPDIR"])
def test_b30_environments_without_a_home_or_a_temporary_directory(missing: str) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": "/nowhere"}
    if missing == "HOME":
        env.pop("HOME", None)
        env.pop("TMPDIR")
    done = subprocess.run(
        [sys.executable, "-m", "mgaudit", "list", "targets", "--json"],
        env=env,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)


@pytest.mark.parametrize("cache", ["a-file", "/proc/nowhere"])
def test_b30_a_cache_that_cannot_be_used_is_named(
    cache: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("a-file").touch()
    monkeypatch.setenv("MGAUDIT_CACHE", cache)
    assert "MGAUDIT_CACHE" in refusal("run", *FAST, "--no-dp", "--quiet")


def test_b33_folders_with_the_names_of_mgaudits_packages_do_not_interfere() -> None:
    for name in ("attacks", "targets", "reports", "mgaudit"):
        Path(name).mkdir()
        Path(name, "__init__.py").write_text("raise SystemExit('imported')\n")
    code = "from mgaudit.cli.app import main; main()"
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, "list", "attacks", "--json"],
        env=env,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)


# B32: an interruption


def test_b32_an_interruption_is_one_line_and_keeps_the_log(tmp_path: Path) -> None:
    settings = [*FAST[:2], "--models", "500", "--epochs", "50", "--stack", "1", "--jobs", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "mgaudit", "run", *settings, "--no-dp"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
        # A shell ignores SIGINT for jobs in the background, and so would the process.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if "training 500 models" in line:
            break
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=SECONDS)
    # Where the signal comes during an `exec`, as when a dataclass is made, Python ends itself by
    # the signal in spite of the exit code. A shell shows 130 for both.
    assert process.returncode in (130, -signal.SIGINT), (lines, rest)
    assert rest.splitlines()[-1].startswith("interrupted")
    (folder,) = tmp_path.glob("runs/*")
    assert (folder / "log.txt").read_text().splitlines()[-1] == "interrupted"
    assert not (folder / "result.json").exists()


# B35: hostile names in data


def test_b35_hostile_names_reach_every_report(tmp_path: Path) -> None:
    write(tmp_path / "runs", result(study()), [arrays()])
    done = command("report", "runs", "--format", "html,latex,csv,pdf")
    assert done.exit_code == 0, done.output
    html = Path("runs/report.html").read_text(encoding="utf-8")
    assert NASTY not in html
    assert "&lt;script&gt;" in html


def test_b28_an_empty_settings_file_is_refused(tmp_path: Path) -> None:
    for content in ("", "# only a comment\n"):
        (tmp_path / "empty.toml").write_text(content)
        with pytest.raises(mgaudit.UsageError, match="must have settings, got none"):
            mgaudit.run(settings=tmp_path / "empty.toml", quiet=True)


def test_b35_a_class_with_a_hostile_name_is_audited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mgaudit.storage.run_folder.RunFolder.write_reports", lambda *_: [])
    names = ["<b>\n\\input{x} & % $", "😀 ' \" ,"]
    draw = np.random.default_rng(0)
    for split, count in (("train", 12), ("test", 2)):
        for name in names:
            folder = Path("images", split, name)
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = draw.integers(0, 256, (4, 4), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number} {name[:3]}.png".replace("/", ""))
    ran = mgaudit.run(
        dataset="folder:images",
        target="mlp:hidden=4",
        models=3,
        epochs=1,
        stack=1,
        dp=False,
        plain=False,
        jobs=1,
        quiet=True,
    )
    escaped = [name.replace("\n", "\\n") for name in names]
    assert set(ran.record.studies[0].dataset.classes) == set(escaped)
    assert command("runs", "show", str(ran.path)).exit_code == 0


# B36: settings at their limits


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--learning-rate", "nan"),
        ("--learning-rate", "inf"),
        ("--learning-rate", "0"),
        ("--delta", "0"),
        ("--delta", "0.5"),
        ("--delta", "nan"),
        ("--epsilon", "nan"),
        ("--epsilon", "0"),
        ("--models", "1"),
        ("--models", "2"),
        ("--batch-size", "0"),
        ("--seed", "-1"),
        ("--seed", "100000000000000000000000"),
        ("--examples", "49"),
    ],
)
def test_b36_settings_out_of_range_are_named(option: str, value: str) -> None:
    line = refusal("run", option, value, "--stack", "1", "--quiet")
    assert option.strip("-").replace("-", "_") in line.replace("-", "_")
    assert not Path("runs").exists()


# B37: damaged run directories


@pytest.mark.parametrize("damage", ["truncated", "no arrays", "empty", "list", "older"])
def test_b37_damaged_runs_are_one_line(damage: str, tmp_path: Path) -> None:
    name = "2026-01-01-made-up-abcdef12"
    Path("runs").mkdir()
    write(tmp_path / "runs" / name, result(study()), [arrays()])
    record = Path("runs", name, "result.json")
    content = record.read_text()
    if damage == "no arrays":
        Path("runs", name, "arrays.npz").unlink()
    older = content.replace('"schema_version":', '"schema_version_":')
    texts = {"truncated": content[:500], "empty": "", "list": "[]", "older": older}
    record.write_text(texts.get(damage, content))
    assert command("runs").exit_code == 0
    for arguments in (["runs", "show", name], ["report", name]):
        assert name in refusal(*arguments)
