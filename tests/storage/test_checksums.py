"""The checksums of results: damage is reported, and a kill at any time leaves valid files."""

import os
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mgaudit.errors import ChangedSettingsWarning, UsageError
from mgaudit.reports.checksums import read_checksums
from mgaudit.reports.files import ARRAYS_FILE, CHECKSUMS_FILE, REPRODUCTION_FILE, RESULT_FILE
from mgaudit.reports.reproduction import PaperResult, read_paper
from mgaudit.settings.toml_file import read_settings
from mgaudit.storage.checked_results import write_results
from mgaudit.storage.read_run import read_run
from mgaudit.storage.run_folder import MARKER_FILE, SETTINGS_FILE, RunFolder
from mgaudit.storage.run_summary import run_summary
from tests.fake_study import arrays, result, study

ROOT = Path(__file__).resolve().parents[2]
TRIALS = 60

# For each folder, a process of its own writes a run `rounds` times, and dies just before or after a
# rename: step 2k is before rename k, and step 2k + 1 after it.
WRITER = """
import os, signal, sys
from pathlib import Path
from mgaudit.storage.run_folder import RunFolder
from tests.fake_study import arrays, result, study

rename, steps = os.replace, 0
record, study_arrays = result(study()), [arrays()]

def counted(deadly, *paths):
    global steps
    for step in (lambda: None, lambda: rename(*paths)):
        step()
        if steps == deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        steps += 1

def write(folder, deadly, rounds):
    os.replace = lambda *paths: counted(deadly, *paths)
    for number in range(rounds):
        titled = record.model_copy(update={"title": f"new {number}"})
        RunFolder(folder).write_result(titled, study_arrays)

rounds, *tasks = sys.argv[1:]
children = []
for folder, deadly in zip(tasks[::2], tasks[1::2]):
    children.append(os.fork())
    if children[-1] == 0:
        write(Path(folder), int(deadly), int(rounds))
        os._exit(0)
for child in children:
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
NEVER, KILLED = -1, -9
STEPS = 10  # two for each rename: settings, checksums, arrays, result, checksums


def writers(tasks: list[tuple[Path, int]], rounds: int = 1) -> "subprocess.Popen[str]":
    arguments = [str(value) for task in tasks for value in task]
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(rounds), *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def exit_codes(process: "subprocess.Popen[str]") -> list[int]:
    return [int(line) for line in process.communicate()[0].split()]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with a result and its checksums."""
    folder = RunFolder(tmp_path_factory.mktemp("run"))
    record = result(study()).model_copy(update={"settings": {"seed": 0, "schemes": ["none"]}})
    folder.write_result(record, [arrays()])
    return folder.path


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "copy"))


def flipped(content: bytes, generator: np.random.Generator) -> bytes:
    changed = bytearray(content)
    bit = int(generator.integers(8 * len(content)))
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def cut(content: bytes, generator: np.random.Generator) -> bytes:
    return content[: int(generator.integers(len(content)))]


@pytest.mark.parametrize("damage", [flipped, cut])
@pytest.mark.parametrize("name", [RESULT_FILE, ARRAYS_FILE])
def test_every_damage_to_a_result_is_refused_and_named(
    copy: Path, name: str, damage: Callable[[bytes, np.random.Generator], bytes]
) -> None:
    generator = np.random.default_rng(0)
    path = copy / name
    content = path.read_bytes()
    for _ in range(TRIALS):
        path.write_bytes(damage(content, generator))
        with pytest.raises(UsageError) as caught:
            read_run(copy)
        assert caught.value.key == str(path)
        assert "was changed after the run" in caught.value.rule
    path.write_bytes(content)
    read_run(copy)


@pytest.mark.parametrize("damage", [flipped, cut])
def test_every_damage_to_the_settings_is_refused_or_gives_a_warning(
    copy: Path, damage: Callable[[bytes, np.random.Generator], bytes]
) -> None:
    generator = np.random.default_rng(1)
    path = copy / SETTINGS_FILE
    content = path.read_bytes()
    lines_left = [content[:end] for end in range(len(content)) if content[end - 1 : end] == b"\n"]
    for changed in [*(damage(content, generator) for _ in range(TRIALS)), *lines_left]:
        path.write_bytes(changed)
        with warnings.catch_warnings():
            warnings.simplefilter("error", ChangedSettingsWarning)
            try:
                values = read_settings(path)
            except (UsageError, ChangedSettingsWarning):
                continue
            assert values == {}, changed  # which every command refuses


def test_settings_of_the_user_and_edited_files_are_read(copy: Path) -> None:
    path = copy / SETTINGS_FILE
    expected = {"seed": 0, "schemes": ["none"]}
    assert read_settings(path) == expected
    text = path.read_text()
    path.write_bytes(text.replace("\n", "\r\n").encode())
    assert read_settings(path) == expected
    path.write_text(text.replace("seed = 0", "seed = 1"))
    with pytest.warns(ChangedSettingsWarning, match=r"settings.toml was changed after a run"):
        assert read_settings(path) == expected | {"seed": 1}
    path.write_text(path.read_text().partition("\n")[2])
    assert read_settings(path) == expected | {"seed": 1}


def test_a_result_of_another_run_is_refused_and_one_without_checksums_is_read(
    copy: Path, tmp_path: Path
) -> None:
    other = RunFolder(tmp_path / "other")
    other.write_result(result(study()), [arrays()])
    shutil.copy(other.path / RESULT_FILE, copy / RESULT_FILE)
    with pytest.raises(UsageError, match=r"result.json was changed after the run"):
        read_run(copy)
    assert run_summary(copy).state == "changed"
    (copy / CHECKSUMS_FILE).unlink()
    read_run(copy)
    assert run_summary(copy).state == "finished"


@pytest.mark.parametrize("text", ["", "0123  result.json\n", "\ud800", "a" * 64 + "  other\n"])
def test_damaged_checksums_do_not_let_a_result_pass(copy: Path, text: str) -> None:
    (copy / CHECKSUMS_FILE).write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(UsageError, match=CHECKSUMS_FILE):
        read_run(copy)


def test_a_paper_has_a_checksum(tmp_path: Path) -> None:
    facts = dict.fromkeys(("key", "title", "source", "about", "command", "processor"), "x")
    paper = PaperResult(
        **facts, scale="quick", figures=[], versions={}, started="2026-01-01", seconds=1.0
    )
    path = tmp_path / REPRODUCTION_FILE
    write_results(tmp_path, {REPRODUCTION_FILE: paper.model_dump_json().encode()})
    assert read_paper(tmp_path) == paper
    path.write_bytes(path.read_bytes().replace(b"1.0", b"1.5"))
    with pytest.raises(UsageError, match=r"reproduction.json was changed after the run"):
        read_paper(tmp_path)


def test_a_kill_before_or_after_any_rename_leaves_a_valid_run(run: Path, tmp_path: Path) -> None:
    again = [tmp_path / f"again {step}" for step in range(STEPS + 1)]
    fresh = [tmp_path / f"fresh {step}" for step in range(STEPS + 1)]
    for folder in again:
        shutil.copytree(run, folder)
    for folder in fresh:
        folder.mkdir()
        shutil.copy(run / MARKER_FILE, folder)
    tasks = [*zip(again, range(STEPS + 1), strict=True), *zip(fresh, range(STEPS + 1), strict=True)]
    codes = exit_codes(writers(tasks))
    assert codes == 2 * [*STEPS * [KILLED], 0]
    titles = [read_run(folder)[0].title for folder in again]
    assert titles == [*7 * [result(study()).title], *4 * ["new 0"]]
    states = [run_summary(folder).state for folder in fresh]
    assert states == [*7 * ["unfinished"], *4 * ["finished"]]
    for folder in fresh[7:]:
        read_run(folder)


@pytest.mark.slow
def test_two_processes_that_write_the_same_run_never_make_it_invalid(
    run: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(run, tmp_path / "shared"))
    process = writers([(folder, NEVER), (folder, NEVER)], rounds=6)
    while process.poll() is None:
        read_run(folder)
        time.sleep(0.01)
    assert exit_codes(process) == [0, 0]
    record, _ = read_run(folder)
    assert record.title == "new 5"
    checksums = read_checksums(folder)
    assert checksums is not None
    assert [len(checksums[name]) for name in (ARRAYS_FILE, RESULT_FILE)] == [1, 1]
    assert not [name for name in os.listdir(folder) if name.endswith((".lock", ".partial"))]
