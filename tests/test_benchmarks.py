"""The benchmarks run, at a size at which their numbers say nothing."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


def benchmark(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_attack_scoring_prints_its_table(capsys: pytest.CaptureFixture[str]) -> None:
    tiny = {"models": 4, "examples": 60, "classes": 3, "population": 20, "resamples": 70, "repeats": 1}
    benchmark("attack_scoring").main([f"--{name}={value}" for name, value in tiny.items()])
    printed = capsys.readouterr().out
    assert printed.startswith("models=4  examples=60  classes=3")
    for line in ("phi, LiRA online and offline", "shadow-classifier, with its signals", "peak memory"):
        assert line in printed


def test_attack_power_prints_its_tables(capsys: pytest.CaptureFixture[str]) -> None:
    options = "digits --models 4 --examples 150 --epochs 1 --targets 2 --shadows 2 3 --resamples 20"
    benchmark("attack_power").main(options.split())
    printed = capsys.readouterr().out
    assert [line for line in printed.splitlines() if line.startswith("###")] == [
        "### no noise",
        "### gaussian-mask (kappa=0.3)",
    ]
    assert printed.count("| BaVarIA, Student's t |") == 2 * 3
    assert printed.count("| BaVarIA, Student's t − RMIA, online |") == 2 * 2
