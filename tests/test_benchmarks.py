"""The benchmarks run, at a size at which their numbers say nothing."""

import importlib.util
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


def test_attack_scoring_prints_its_table(capsys: pytest.CaptureFixture[str]) -> None:
    spec = importlib.util.spec_from_file_location("attack_scoring", BENCHMARKS / "attack_scoring.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    tiny = {"models": 4, "examples": 60, "classes": 3, "population": 20, "resamples": 70, "repeats": 1}
    module.main([f"--{name}={value}" for name, value in tiny.items()])
    printed = capsys.readouterr().out
    assert printed.startswith("models=4  examples=60  classes=3")
    for line in ("phi, LiRA online and offline", "shadow-classifier, with its signals", "peak memory"):
        assert line in printed
