"""How many models are trained as one, and that it changes nothing but rounding."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mgaudit.reports.results import StudyResult
from mgaudit.settings.study_settings import study_settings
from mgaudit.study.plan import plan_study
from mgaudit.study.progress import Progress
from mgaudit.study.study import run_study
from mgaudit.targets.cache import cache_folder
from mgaudit.targets.fitting import stack_size
from mgaudit.targets.fitting.stack_size import candidates, fastest_stack

ARMS = ["none", "gaussian-mask:kappa=0.3,fixed=true", "weight-noise:sigma=0.01+noise-nodes:sigma=1"]


def run(values: dict[str, Any]) -> StudyResult:
    return run_study(plan_study(study_settings(values)), 1, Progress())[0]


def test_a_stack_changes_rounding_and_nothing_else(small: dict[str, Any]) -> None:
    alone, together = (run({**small, "stack": stack, "schemes": ARMS}) for stack in (1, 3))
    for single, stacked in zip(alone.arms, together.arms, strict=True):
        assert single.train_accuracy.value == pytest.approx(stacked.train_accuracy.value, abs=0.01)
        for mine, theirs in zip(single.attacks, stacked.attacks, strict=True):
            assert mine.per_target["auc"] == pytest.approx(theirs.per_target["auc"], abs=0.01)


def test_the_size_is_measured_once_and_stands_in_the_result(
    small: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = []

    def twos(*_: Any) -> int:
        measured.append(2)
        return 2

    monkeypatch.setattr("mgaudit.study.stacking.fastest_stack", twos)
    settings = study_settings({**small, "models": 8, "stack": "auto"})
    plans = [plan_study(settings) for _ in range(2)]
    assert measured == [2]
    (kept,) = (cache_folder() / "stacks").glob("*.json")
    for damaged in (
        b"",
        b"{}",
        b"[1]",
        b'{"stack": 1e400}',
        kept.read_bytes().replace(b": 2", b": 3", 1),
    ):
        kept.write_bytes(damaged)
        measured.clear()
        plan_study(settings)
        assert measured == [2]
    assert [plan.settings.stack for plan in plans] == [2, 2]
    plain, _, private = plans[0].arms
    assert plain.recipe.stack == 2
    assert private.recipe.stack == 1  # Opacus trains one model at a time


def test_a_size_of_ones_own_is_not_measured(
    small: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "mgaudit.study.stacking.fastest_stack", lambda *_: pytest.fail("it was measured")
    )
    assert plan_study(study_settings({**small, "models": 8, "stack": "3"})).settings.stack == 3


def test_a_network_that_cannot_be_stacked_is_trained_one_by_one(
    small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "branching.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self, input_shape, classes):\n"
        "        super().__init__()\n"
        "        self.layer = nn.Linear(64, classes)\n"
        "    def forward(self, x):\n"
        "        x = x.flatten(1)\n"
        "        return self.layer(x) if float(x.sum()) < 1e9 else self.layer(-x)\n"
    )
    monkeypatch.chdir(tmp_path)
    own = {**small, "target": "branching:Net", "models": 8, "schemes": ["none"]}
    assert plan_study(study_settings({**own, "stack": "auto"})).settings.stack == 1
    with pytest.raises(
        ValueError, match=r"target branching:Net cannot be trained in a stack: .*; use --stack 1"
    ):
        plan_study(study_settings({**own, "stack": 2}))


@pytest.mark.parametrize(
    ("per_step", "expected"),
    [
        ({1: 1e-3, 4: 5e-4, 8: 3e-4}, 8),
        ({1: 1e-3, 4: 4e-4, 8: 6e-4}, 4),
        ({1: 1e-3, 4: 9e-4, 8: 1.1e-3}, 1),  # not worth other rounding
        ({1: 1e-2, 4: 1e-3, 8: 1e-3}, 1),  # so long a step leaves nothing to share
    ],
)
def test_the_fastest_size_wins_where_it_is_clearly_faster(
    per_step: dict[int, float], expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack_size, "_seconds_per_step", lambda *arguments: per_step[arguments[-1]])
    members = np.ones((8, 4), dtype=bool)
    assert fastest_stack(None, None, members, "cpu", list(per_step)) == expected  # type: ignore[arg-type]


def test_two_workers_get_a_stack_each() -> None:
    assert candidates(3, "cpu") == [1]
    assert candidates(8, "cpu") == [1, 4]
    assert candidates(16, "cpu") == candidates(64, "cpu") == [1, 4, 8]
    assert candidates(32, "cuda") == [1, 8, 32]
