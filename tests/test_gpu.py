"""On a GPU: the same study, end to end."""

from typing import Any

import numpy as np
import pytest
import torch

from mgaudit.progress import Progress
from mgaudit.settings import study_settings
from mgaudit.study import plan_study, run_study
from targets.schemes import GaussianMask
from targets.seeds import torch_generator

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU")]


def test_masks_are_drawn_on_the_gpu_by_their_own_law() -> None:
    ones = torch.ones(1000, 50, device="cuda")
    drawn = GaussianMask(0.3).inputs(ones, torch_generator(0, "noise", device="cuda"))
    assert drawn.device.type == "cuda"
    assert float(drawn.mean()) == pytest.approx(1, abs=0.01)
    assert float(drawn.std()) == pytest.approx(0.3, abs=0.01)
    assert torch.equal(GaussianMask(0.0).inputs(drawn, torch_generator(0, "noise", device="cuda")), drawn)


@pytest.mark.parametrize("target", ["mlp:hidden=16", "cnn:channels=8x8,hidden=16"])
def test_a_study_runs_on_the_gpu_and_agrees_with_the_cpu_on_who_is_a_member(small: dict[str, Any], target: str) -> None:
    studies = {}
    for device in ("cuda", "cpu"):
        settings = study_settings({**small, "target": target, "device": device})
        studies[device] = run_study(plan_study(settings), 1, Progress())
    (gpu, gpu_arrays), (cpu, cpu_arrays) = studies["cuda"], studies["cpu"]
    assert gpu.provenance.device == torch.cuda.get_device_name()
    assert np.array_equal(gpu_arrays["membership"], cpu_arrays["membership"])
    # Without noise the two differ by rounding alone.
    assert gpu.arms[0].test_accuracy.value == pytest.approx(cpu.arms[0].test_accuracy.value, abs=0.05)
    assert gpu.arms[2].claim == cpu.arms[2].claim
