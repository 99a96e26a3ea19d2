"""The benchmarks run, at a size at which their numbers say nothing."""

import importlib.util
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


def benchmark(name: str) -> Any:
    """Returns the module of a benchmark, which may import its neighbours."""
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(BENCHMARKS))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(BENCHMARKS))
    return module


record_tables = benchmark("record_tables")


def test_attack_scoring_prints_its_table(capsys: pytest.CaptureFixture[str]) -> None:
    tiny = {
        "models": 4,
        "examples": 60,
        "classes": 3,
        "population": 20,
        "resamples": 70,
        "repeats": 1,
    }
    benchmark("attack_scoring").main([f"--{name}={value}" for name, value in tiny.items()])
    printed = capsys.readouterr().out
    assert record_tables.tables(printed, record_tables.RECORDINGS["attack-scoring"].files)
    assert printed.startswith("models=4  examples=60  classes=3")
    for line in (
        "| φ, then LiRA online and offline",
        "| shadow-classifier |",
        "| peak memory",
    ):
        assert line in printed


def test_every_mutant_is_one_change_of_code_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    mutants = benchmark("mutants")
    assert len(mutants.MUTANTS) >= 40
    assert mutants.problems(mutants.MUTANTS) == []


def test_a_mutant_that_does_not_fit_the_code_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    mutants = benchmark("mutants")
    good = mutants.MUTANTS[0]
    for change, message in (
        ({"path": "attacks/gone.py"}, "attacks/gone.py does not exist"),
        ({"snippet": "no such code"}, "occurs 0 times"),
        ({"snippet": "def "}, "must occur once"),
        ({"replacement": good.snippet}, "does not change the code"),
        ({"replacement": "("}, "the replacement is no Python"),
        ({"tests": ()}, "names no tests"),
        ({"tests": ("tests/test_gone.py",)}, "tests/test_gone.py does not exist"),
        ({"tests": (f"{good.tests[0]}::test_gone",)}, "has no test test_gone"),
    ):
        (problem,) = mutants.problems([replace(good, **change)])
        assert problem.startswith(good.name)
        assert message in problem


def test_attack_power_prints_its_tables(capsys: pytest.CaptureFixture[str]) -> None:
    options = "digits --models 4 --examples 150 --epochs 1 --targets 2 --shadows 2 3 --resamples 20"
    benchmark("attack_power").main(options.split())
    printed = capsys.readouterr().out
    files = record_tables.RECORDINGS["attack-power"].files
    with_two = {name: files[name] for name in files if name.endswith("differences")}
    assert record_tables.tables(printed, with_two)
    assert [line for line in printed.splitlines() if line.startswith("###")] == [
        "### no noise",
        "### gaussian-mask (kappa=0.3)",
    ]
    assert printed.count("| BaVarIA, Student's t |") == 2 * 3
    assert printed.count("| BaVarIA, Student's t − RMIA, online |") == 2 * 2


def test_damage_is_noticed_and_repaired(capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark("damage").main(["--trials=2", "--seed=1"]) == 0
    rows = capsys.readouterr().out.splitlines()[1:]
    repaired, reported = ["2", "0", "0", "0", "0", "0"], ["0", "2", "0", "0", "0", "0"]
    assert [row.split()[-6:] for row in rows] == [repaired] * 4 + [reported] * 6


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_a_killed_run_continues_and_leaves_nothing(tmp_path: Path) -> None:
    # A process of its own: the benchmark forks, which a process with threads must not do.
    command = [sys.executable, str(BENCHMARKS / "faults.py"), "kill", "--moments=2", "--only=run"]
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(BENCHMARKS.parent)}
    done = subprocess.run(
        [*command, "--jobs=1"], capture_output=True, text=True, env=environment, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[2].startswith("| `run` | 2 | 2 | 0 | ")
    assert list(tmp_path.glob("mgaudit-*")) == []
