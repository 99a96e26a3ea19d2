"""How many models are trained as one, and that it changes nothing but rounding."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mgaudit.reports.results import StudyResult
from mgaudit.settings.study_settings import study_settings
from mgaudit.study.plan import plan_study
from mgaudit.study.progress import Progress
from mgaudit.study.study import run_study
from mgaudit.targets import CNN, MLP
from mgaudit.targets.fitting.stack_size import forward_operations, stack_size

ARMS = ["none", "gaussian-mask:kappa=0.3,fixed=true", "weight-noise:sigma=0.01+noise-nodes:sigma=1"]


def run(values: dict[str, Any]) -> StudyResult:
    return run_study(plan_study(study_settings(values)), 1, Progress())[0]


def test_a_stack_changes_rounding_and_nothing_else(small: dict[str, Any]) -> None:
    alone, together = (run({**small, "stack": stack, "schemes": ARMS}) for stack in (1, 3))
    for single, stacked in zip(alone.arms, together.arms, strict=True):
        assert single.train_accuracy.value == pytest.approx(stacked.train_accuracy.value, abs=0.01)
        for mine, theirs in zip(single.attacks, stacked.attacks, strict=True):
            assert mine.per_target["auc"] == pytest.approx(theirs.per_target["auc"], abs=0.01)


def test_the_size_of_the_rule_stands_in_the_plan_and_nothing_is_timed(
    small: dict[str, Any], own_cache: Path
) -> None:
    plan = plan_study(study_settings({**small, "models": 8, "stack": "auto"}))
    assert plan.settings.stack == 4
    plain, _, private = plan.arms
    assert plain.recipe.stack == 4
    assert private.recipe.stack == 4
    assert {path.name for path in own_cache.glob("*")} <= {"accountants"}


def test_a_size_of_ones_own_stays(small: dict[str, Any]) -> None:
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


def test_the_operations_of_a_forward_pass_are_counted() -> None:
    network = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.Flatten(), nn.Linear(3 * 16, 10))
    convolution, linear = 3 * 9 * 16, 48 * 10
    assert forward_operations(network, (1, 4, 4), 5) == 2 * 5 * (convolution + linear)


@pytest.mark.parametrize("kind", [MLP, CNN])
def test_operations_counted_by_layers_are_those_that_torch_counts(kind: Any) -> None:
    network = kind((3, 16, 16), 7)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(6, 3, 16, 16))
    assert forward_operations(network, (3, 16, 16), 6) == counter.get_total_flops()


def test_other_layers_with_weights_are_counted_by_torch() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    assert forward_operations(network, (1, 4, 4), 5) == 2 * 5 * (16 * 4 + 4 * 2)


@pytest.mark.parametrize(
    ("target", "expected"), [("mlp:hidden=256", 8), ("mlp:hidden=1024x512", 1), ("cnn", 1)]
)
def test_small_networks_are_stacked(small: dict[str, Any], target: str, expected: int) -> None:
    settings = {**small, "target": target, "models": 16, "stack": "auto", "schemes": ["none"]}
    settings["training"] = {"epochs": 3, "batch_size": 64}
    assert plan_study(study_settings(settings)).settings.stack == expected


def test_two_workers_get_a_stack_each() -> None:
    few = 10**6
    assert [stack_size(few, models, "cpu") for models in (3, 7, 8, 15, 16, 64)] == [
        1,
        1,
        4,
        4,
        8,
        8,
    ]
    assert stack_size(10**8, 64, "cpu") == 1
    assert [stack_size(few, models, "cuda") for models in (4, 8, 32, 500)] == [1, 8, 32, 128]
    assert stack_size(10**9, 500, "cuda") == 8
    assert stack_size(10**10, 500, "cuda") == 1
