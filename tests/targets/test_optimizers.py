"""The optimizers are torch's, without the import of its compiler."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import Parameter

from mgaudit.targets import optimizers

ROOT = Path(__file__).parents[2]


def weights_after_steps(kind: Any, **settings: float) -> torch.Tensor:
    weights = [Parameter(torch.linspace(-1, 1, 7)), Parameter(torch.ones(3, 2))]
    optimizer = kind(weights, lr=0.1, weight_decay=0.01, fused=True, **settings)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=5)
    for _ in range(5):
        optimizer.zero_grad()
        torch.stack([(weight**3).sum() for weight in weights]).sum().backward()
        optimizer.step()
        schedule.step()
    return torch.cat([weight.detach().flatten() for weight in weights])


@pytest.mark.parametrize(("name", "settings"), [("SGD", {"momentum": 0.9}), ("Adam", {})])
def test_the_steps_are_those_of_torch_bit_for_bit(name: str, settings: dict[str, float]) -> None:
    ours = weights_after_steps(getattr(optimizers, name), **settings)
    theirs = weights_after_steps(getattr(torch.optim, name), **settings)
    assert torch.equal(ours, theirs)


def test_a_training_does_not_import_the_compiler_of_torch() -> None:
    code = """
import sys
import torch
from mgaudit.targets.optimizers import SGD, Adam
for kind in (SGD, Adam):
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = kind([weight], lr=0.1, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)
    optimizer.zero_grad()
    weight.sum().backward()
    optimizer.step()
    schedule.step()
    assert weight[0] < 1
assert "torch._dynamo" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
