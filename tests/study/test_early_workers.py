"""Workers that start while a study is planned."""

from pathlib import Path
from typing import Any

import pytest

from mgaudit.settings.grid import grid_settings
from mgaudit.study import early_workers
from mgaudit.study.comparison import plan_comparison
from mgaudit.study.progress import Progress
from mgaudit.study.study import run_study

SMALL: dict[str, Any] = {
    "target": "mlp:hidden=8",
    "dataset": "synthetic",
    "models": 4,
    "examples": 80,
    "training": {"epochs": 1},
    "attacks": ["loss"],
    "schemes": ["none", "gaussian-mask:kappa=0.3"],
}


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of workers that were started early."""
    numbers: list[int] = []
    monkeypatch.setattr(early_workers, "prepare", lambda jobs, module: numbers.append(jobs))
    return numbers


def test_they_start_once_for_a_study_without_models_and_not_for_one_with(
    own_cache: Path, started: list[int]
) -> None:
    grid = grid_settings(SMALL)
    plan = plan_comparison(grid, on_arm=early_workers.early_workers(3))
    assert started == [3]
    for cell in plan.cells:
        run_study(cell, 1, Progress())
    plan_comparison(grid, on_arm=early_workers.early_workers(3))
    assert started == [3]
