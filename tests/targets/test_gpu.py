"""On a GPU: the same study, end to end."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from mgaudit.settings.study_settings import study_settings
from mgaudit.study.plan import plan_study
from mgaudit.study.progress import Progress
from mgaudit.study.study import run_study
from mgaudit.targets import CNN, MLP
from mgaudit.targets.datasets import Dataset
from mgaudit.targets.fitting.recipe import Recipe, Target, train
from mgaudit.targets.membership import fair_coins
from mgaudit.targets.schemes import GaussianMask, Scheme
from mgaudit.targets.seeds import torch_generator
from mgaudit.targets.training import Training

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU"),
]


def test_masks_are_drawn_on_the_gpu_by_their_own_law() -> None:
    ones = torch.ones(1000, 50, device="cuda")
    drawn = GaussianMask(0.3).inputs(ones, torch_generator(0, "noise", device="cuda"))
    assert drawn.device.type == "cuda"
    assert float(drawn.mean()) == pytest.approx(1, abs=0.01)
    assert float(drawn.std()) == pytest.approx(0.3, abs=0.01)
    assert torch.equal(
        GaussianMask(0.0).inputs(drawn, torch_generator(0, "noise", device="cuda")), drawn
    )


@pytest.mark.parametrize("target", [MLP, CNN])
def test_a_model_on_the_gpu_is_the_same_in_every_stack(target: Target) -> None:
    generator = np.random.default_rng(0)
    inputs, labels = (
        generator.standard_normal((80, 1, 8, 8)).astype(np.float32),
        generator.integers(0, 3, 80),
    )
    data = Dataset("noise", inputs, labels, inputs[:20], labels[:20], ("a", "b", "c"))
    members = fair_coins(4, 80, seed=0)
    one_step = Training(epochs=1, batch_size=80, learning_rate=1.0, momentum=0.0)
    recipe = Recipe(target, GaussianMask(0.3), one_step, None, 0, members=40)
    alone = [train(recipe, data, members[index][None], [index], "cuda")[0] for index in range(4)]
    together = train(replace(recipe, stack=4), data, members, range(4), "cuda")
    for ours, theirs in zip(alone, together, strict=True):
        for name in ours.weights:
            assert np.allclose(ours.weights[name], theirs.weights[name], rtol=0, atol=1e-5), name


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_lower_precision_trains_and_leaves_torch_as_it_was(
    small: dict[str, Any], precision: str
) -> None:
    before = torch.backends.cuda.matmul.fp32_precision
    training = {**small["training"], "precision": precision, "augment": "crops"}
    values = {
        **small,
        "device": "cuda",
        "target": "cnn:channels=8x8,hidden=16",
        "stack": 2,
        "training": training,
    }
    study, _ = run_study(plan_study(study_settings({**values, "schemes": ["none"]})), 1, Progress())
    assert study.arms[0].diverged == []
    assert study.settings["training"]["precision"] == precision
    assert torch.backends.cuda.matmul.fp32_precision == before


def test_a_stack_that_does_not_fit_is_cut_and_trained() -> None:
    generator = np.random.default_rng(0)
    inputs, labels = (
        generator.standard_normal((80, 1, 8, 8)).astype(np.float32),
        generator.integers(0, 3, 80),
    )
    data = Dataset("noise", inputs, labels, inputs[:20], labels[:20], ("a", "b", "c"))
    wide = partial(MLP, hidden=(4096, 4096))
    recipe = Recipe(wide, Scheme(), Training(epochs=1), None, 0, members=40, stack=16)
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(
        2e9 / total
    )  # 16 models of 70 MB with momentum and gradients need 3.2 GB
    try:
        assert len(train(recipe, data, fair_coins(16, 80, seed=0), range(16), "cuda")) == 16
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


@pytest.mark.parametrize("target", ["mlp:hidden=16", "cnn:channels=8x8,hidden=16"])
def test_a_study_runs_on_the_gpu_and_agrees_with_the_cpu_on_who_is_a_member(
    small: dict[str, Any], target: str
) -> None:
    studies = {}
    for device in ("cuda", "cpu"):
        settings = study_settings({**small, "target": target, "device": device})
        studies[device] = run_study(plan_study(settings), 1, Progress())
    (gpu, gpu_arrays), (cpu, cpu_arrays) = studies["cuda"], studies["cpu"]
    assert gpu.provenance.device == torch.cuda.get_device_name()
    assert np.array_equal(gpu_arrays["membership"], cpu_arrays["membership"])
    # Without noise the two differ by rounding alone.
    assert gpu.arms[0].accuracy.value == pytest.approx(cpu.arms[0].accuracy.value, abs=0.05)
    assert gpu.arms[2].claim == cpu.arms[2].claim
