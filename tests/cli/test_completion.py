"""Shell completion and `mgaudit list`: names come from a file that equals the registries."""

import json
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mgaudit.cli import build_catalogue
from mgaudit.cli.app import app
from mgaudit.cli.catalogue import CATALOGUE_FILE

HEAVY = (
    "torch",
    "numpy",
    "scipy",
    "sklearn",
    "matplotlib",
    "pandas",
    "opacus",
    "dp_accounting",
    "PIL",
)


def completed(words: str) -> list[str]:
    """Returns what bash would offer for the last of the words."""
    arguments = words.split(" ")
    environment = {
        "_MGAUDIT_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(arguments) - 1),
    }
    result = CliRunner().invoke(app, [], env=environment, prog_name="mgaudit")
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout.split()


def test_the_catalogue_file_equals_the_registries() -> None:
    file = resources.files("mgaudit.cli") / CATALOGUE_FILE
    assert file.read_text(encoding="utf-8") == build_catalogue.catalogue_text(), (
        "run python -m mgaudit.cli.build_catalogue"
    )


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("mgaudit run --scheme gauss", ["gaussian-mask", "gaussian-noise"]),
        ("mgaudit run --attack shadow", ["shadow-classifier"]),
        ("mgaudit attack latest --attack rm", ["rmia"]),
        ("mgaudit compare --dataset cifar", ["cifar10", "cifar100"]),
        ("mgaudit run --dataset fol", ["folder:"]),
        ("mgaudit run --target wi", ["wide-cnn"]),
        ("mgaudit run --device cu", ["cuda"]),
        ("mgaudit run --optimizer a", ["adam"]),
        ("mgaudit run --queries cr", ["crops"]),
        ("mgaudit list att", ["attacks"]),
        ("mgaudit reproduce noise-nodes/relu-p", ["noise-nodes/relu-phases"]),
        ("mgaudit data fetch fash", ["fashion-mnist"]),
        ("mgaudit compare qui", ["quick"]),
    ],
)
def test_names_are_completed(words: str, names: list[str]) -> None:
    assert completed(words) == names


def test_names_of_runs_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("2026-01-01-a-abc12345", "2026-01-02-b-def12345"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    runs = ["latest", "2026-01-02-b-def12345", "2026-01-01-a-abc12345"]
    assert completed("mgaudit runs show ") == runs
    assert completed("mgaudit report 2026-01-01") == runs[2:]


@pytest.mark.parametrize(
    "command", [["--help"], ["--version"], ["list", "--json"], ["run", "--help"], ["runs", "list"]]
)
def test_commands_that_only_read_import_no_numerical_library(
    command: list[str], tmp_path: Path
) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "random_module.py").write_text("raise SystemExit('imported')")
    code = (
        "import sys\n"
        "from mgaudit.cli.app import app\n"
        f"try:\n    app({command!r})\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert ran.stderr.strip() == "[]"
    if "--json" in command:
        assert set(json.loads(ran.stdout)["attacks"][0]) >= {"name", "summary", "options", "needs"}
