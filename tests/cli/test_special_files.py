"""A pipe, a device or a directory in place of a file is refused, and never waited for."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mgaudit.cli.app import app
from mgaudit.settings.study_files import ready_studies
from tests.fake_study import arrays, study, write
from tests.fake_study import result as fake_result

PATIENCE_SECONDS = 60  # a test that waits for a pipe would wait for ever
SMALL = ("--target", "mlp:hidden=4", "--stack", "1")
# Commands with the place of a file, {}.
COMMANDS = (
    ("run", "--dataset", "npz:{}.npz", *SMALL),
    ("run", "--dataset", "csv:{}.csv", *SMALL),
    ("run", "--dataset", "parquet:{}.parquet", *SMALL),
    ("run", "--dataset", "folder:{}", *SMALL),
    ("run", "--settings", "{}.toml"),
    ("compare", "{}.toml", "--dry-run"),
    ("compare", "./{}", "--dry-run"),
    ("score", "{}"),
    ("score", "{}.npz"),
    ("score", "{}.csv"),
    ("score", "{}.csv.gz"),
    ("score", "{}.parquet"),
    ("audit-checkpoint", "{}", "--members", "0:30", *SMALL),
    ("audit-checkpoint", "{}.safetensors", "--members", "0:30", *SMALL),
    ("report", "{}"),
    ("runs", "show", "{}"),
    ("attack", "{}", "--attack", "loss"),
)
KINDS = {
    "pipe": os.mkfifo,
    "device": lambda path: os.symlink("/dev/zero", path),
    "directory": os.mkdir,
    "loop": lambda path: os.symlink(path, path),
}


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)

    def give_up(*_: object) -> None:
        raise TimeoutError("the command waits")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(PATIENCE_SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("kind", KINDS)
def test_every_argument_that_is_a_file_refuses_what_is_none(kind: str) -> None:
    for command in COMMANDS:
        (form,) = (word for word in command if "{}" in word)
        path = Path(form.rpartition(":")[2].format("x"))
        if not os.path.lexists(path):
            KINDS[kind](path)
        done = CliRunner().invoke(app, [word.format("x") for word in command])
        assert done.exit_code == 2, (kind, command, done.output)


@pytest.mark.parametrize("name", ["result.json", "arrays.npz"])
def test_a_pipe_in_a_run_directory_is_refused(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    write(folder, fake_result(study()), [arrays()])
    (folder / name).unlink()
    os.mkfifo(folder / name)
    for command in (["report", str(folder), "--format", "csv"], ["runs", "show", str(folder)]):
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 2, done.output


def test_a_pipe_among_the_studies_is_listed_as_unreadable(tmp_path: Path) -> None:
    (tmp_path / "studies").mkdir()
    os.mkfifo(tmp_path / "studies" / "pipe.toml")
    (tmp_path / "studies" / "deep.toml").write_text("a" + ".b" * 20_000 + " = 1")
    (tmp_path / "studies" / "own.toml").write_text('# Does it help?\nschemes = ["none"]\n')
    listed = {row["name"]: row for row in ready_studies()}
    assert listed["pipe"]["summary"].startswith("cannot be read: ")
    assert "at most 50 deep" in listed["deep"]["summary"]
    assert listed["own"]["asks"] == "Does it help?"
    assert {"quick", "kappa-sweep"} <= listed.keys()


def test_members_from_a_pipe_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "weights.npz", x=np.zeros(3))
    for suffix in (".npy", ".txt", ".csv"):
        os.mkfifo(tmp_path / f"members{suffix}")
        words = ["audit-checkpoint", "weights.npz", "--members", f"members{suffix}", *SMALL]
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 2, done.output
