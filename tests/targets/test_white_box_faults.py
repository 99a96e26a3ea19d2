"""Faults of DP-SGD that are put into a loop with Opacus, and the checks that must see them."""

import math
import types
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from opacus import PrivacyEngine
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from mgaudit.attacks.white_box import StepRecords
from mgaudit.attacks.white_box_checks import alarms, mechanism_checks, sampler_checks
from mgaudit.targets.white_box.opacus_loop import OpacusLoop

NOISE, NORM, BATCH, EXAMPLES, DIRECTIONS = 1.2566, 0.5, 60, 600, 64
Fault = Callable[[Any], None]


def digits() -> TensorDataset:
    inputs, labels = load_digits(return_X_y=True)
    x = torch.tensor(inputs[:EXAMPLES] / 16, dtype=torch.float32)
    return TensorDataset(x, torch.tensor(labels[:EXAMPLES]))


DATA = digits()


def loop(seed: int, poisson: bool = True) -> tuple[nn.Module, Any, Any]:
    """Returns network, optimizer and data loader of a loop with Opacus."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loader = DataLoader(DATA, batch_size=BATCH, shuffle=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        private: tuple[nn.Module, Any, Any] = PrivacyEngine().make_private(
            module=model,
            optimizer=optimizer,
            data_loader=loader,
            noise_multiplier=NOISE,
            max_grad_norm=NORM,
            poisson_sampling=poisson,
        )
    return private


def train(model: nn.Module, optimizer: Any, loader: Any, steps: int) -> None:
    """Trains for so many steps."""
    taken = 0
    while taken < steps:
        for x, labels in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), labels).backward()
            optimizer.step()
            taken += 1
            if taken == steps:
                return


def failed(
    seed: int, steps: int, fault: Fault | None = None, poisson: bool = True, rate: float = 1.0
) -> set[str]:
    """Returns the names of the checks that fail in a loop with a fault.

    The sampler has `rate` times the claimed rate.
    """
    model, optimizer, loader = loop(seed, poisson)
    if fault is not None:
        fault(optimizer)
    if rate != 1:
        loader.batch_sampler.sample_rate *= rate
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with OpacusLoop(optimizer, loader, DIRECTIONS, NORM, seed) as watched:
            train(model, optimizer, loader, steps)
    records = StepRecords(**watched.arrays())
    checks = mechanism_checks(records, NOISE) + sampler_checks(records, EXAMPLES, BATCH / EXAMPLES)
    return {check.name for check in alarms(checks, 0.05)}


# Faults of the noise


def noise_by(draw: Callable[[Any, int, torch.Tensor], torch.Tensor]) -> Fault:
    """Returns the fault of an optimizer that adds the noise `draw(optimizer, step, sum)`."""

    def fault(optimizer: Any) -> None:
        steps = iter(range(10**6))

        def add_noise(self: Any) -> None:
            step = next(steps)
            for weight in self.params:
                weight.grad = weight.summed_grad + draw(self, step, weight.summed_grad)

        optimizer.add_noise = types.MethodType(add_noise, optimizer)

    return fault


def smaller(factor: float) -> Fault:
    return noise_by(lambda _, __, total: factor * NOISE * NORM * torch.randn_like(total))


def seeded_noise(seed_of: Callable[[int], int]) -> Fault:
    """Returns the fault of noise whose generator is seeded again in each step."""

    def draw(_: Any, step: int, total: torch.Tensor) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed_of(step) + total.numel())
        return NOISE * NORM * torch.randn(total.shape, generator=generator)

    return noise_by(draw)


def one_tensor_without_noise(_: Any, __: int, total: torch.Tensor) -> torch.Tensor:
    return NOISE * NORM * torch.randn_like(total) * (total.numel() != 10)


def laplace(_: Any, __: int, total: torch.Tensor) -> torch.Tensor:
    deviation = NOISE * NORM
    return torch.distributions.Laplace(0.0, deviation / math.sqrt(2)).sample(total.shape)


# Faults of the clipping and of the scale


def clip_by(factors_of: Callable[[list[torch.Tensor]], list[torch.Tensor]]) -> Fault:
    """Returns the fault of an optimizer that scales gradients by factors for each tensor."""

    def fault(optimizer: Any) -> None:
        def clip_and_accumulate(self: Any) -> None:
            samples = self.grad_samples
            for weight, own, factors in zip(self.params, samples, factors_of(samples), strict=True):
                total = torch.einsum("i,i...", factors, own)
                before = weight.summed_grad
                weight.summed_grad = total if before is None else before + total

        optimizer.clip_and_accumulate = types.MethodType(clip_and_accumulate, optimizer)

    return fault


def by_layer(samples: list[torch.Tensor]) -> list[torch.Tensor]:
    norms = [own.flatten(1).norm(dim=1) for own in samples]
    return [(NORM / norm.clamp(min=1e-9)).clamp(max=1) for norm in norms]


def to_larger_norm(samples: list[torch.Tensor]) -> list[torch.Tensor]:
    norm = torch.stack([own.flatten(1).norm(dim=1) for own in samples]).norm(dim=0)
    return [(1.25 * NORM / norm).clamp(max=1)] * len(samples)


def half_of_a_layer(samples: list[torch.Tensor]) -> list[torch.Tensor]:
    squares = [own.flatten(1).square().sum(dim=1) for own in samples]
    squares[2] = squares[2] / 2  # the second layer has most of the gradient
    norm = torch.stack(squares).sum(dim=0).sqrt()
    return [(NORM / norm).clamp(max=1)] * len(samples)


def divided_by_batch(optimizer: Any) -> None:
    """The fault of a mean over the examples that are in the batch."""

    def scale_grad(self: Any) -> None:
        for weight in self.params:
            weight.grad /= max(len(weight.grad_sample), 1)

    optimizer.scale_grad = types.MethodType(scale_grad, optimizer)


FAULTS = [
    (smaller(0.95), 50, {"noise"}),
    (smaller(0.9), 10, {"noise"}),
    (smaller(0.8), 5, {"noise"}),
    (smaller(0.5), 1, {"noise", "canary-noise"}),
    (noise_by(lambda _, __, total: NOISE * torch.randn_like(total) * 0.25), 1, {"noise"}),
    (seeded_noise(lambda _: 0), 2, {"successive-steps", "any-two-steps"}),
    (seeded_noise(lambda step: step // 10), 2, {"successive-steps", "any-two-steps"}),
    (noise_by(one_tensor_without_noise), 1, {"noise"}),
    (noise_by(laplace), 1, {"kurtosis"}),
    (clip_by(by_layer), 10, {"contribution", "clipped-sum"}),
    (clip_by(to_larger_norm), 20, {"contribution", "clipped-sum"}),
    (clip_by(half_of_a_layer), 10, {"contribution", "clipped-sum"}),
    (divided_by_batch, 20, {"noise-against-batch-size"}),
]


# In how many loops each fault is put: 9 of 10 must be seen.
LOOPS = pytest.mark.parametrize("loops", [10, pytest.param(20, marks=pytest.mark.slow)])


@LOOPS
@pytest.mark.parametrize(("fault", "steps", "seen_by"), FAULTS)
def test_a_faulty_mechanism_is_seen(
    fault: Fault, steps: int, seen_by: set[str], loops: int
) -> None:
    seen = sum(bool(failed(seed, steps, fault) & seen_by) for seed in range(loops))
    assert seen >= 0.9 * loops


@LOOPS
@pytest.mark.parametrize(
    ("changes", "steps", "seen_by"),
    [
        ({"poisson": False}, 5, {"batch-sizes", "inclusions"}),
        ({"rate": 2}, 1, {"sample-rate"}),
        ({"rate": 1.25}, 5, {"sample-rate"}),
        ({"rate": 1.1}, 20, {"sample-rate"}),
    ],
)
def test_a_faulty_sampler_is_seen(changes: Any, steps: int, seen_by: set[str], loops: int) -> None:
    seen = sum(bool(failed(seed, steps, **changes) & seen_by) for seed in range(loops))
    assert seen >= 0.9 * loops


def test_a_correct_loop_raises_an_alarm_seldom() -> None:
    raised = sum(bool(failed(100 + seed, 10)) for seed in range(40))
    assert raised <= 6  # exceeded with a probability of 1.4 % if 5 % of the loops do
