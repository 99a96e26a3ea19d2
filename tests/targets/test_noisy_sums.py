"""The noise of a step of DP-SGD, against the optimizer of Opacus."""

import copy
import math

import pytest
import torch
from opacus.optimizers import DPOptimizerFastGradientClipping
from torch import nn

from mgaudit.targets.fitting import noisy_sums
from mgaudit.targets.fitting.noisy_sums import NoisySums
from mgaudit.targets.fitting.privacy_plan import PrivacyPlan
from mgaudit.targets.networks import CNN, MLP
from mgaudit.targets.seeds import torch_generator

PLAN = PrivacyPlan(
    1.3, max_grad_norm=0.7, sample_rate=0.1, steps=5, batch_size=13, delta=1e-3, epsilon=math.inf
)


def networks() -> dict[str, nn.Module]:
    """Returns networks of both memory orders, one with a layer that is not trained."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        cnn = CNN((2, 8, 8), 4, (3, 5), hidden=7)
        frozen = MLP((1, 8, 8), 4, (12,))
        odd = MLP((1, 8, 8), 5, (7,))
    next(frozen.parameters()).requires_grad_(False)
    channels_last = cnn.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return {"channels-last": channels_last, "one frozen": frozen, "odd": odd}


# 16 divides the weights into parts, of which the last has 16 to 31 numbers.
@pytest.mark.parametrize("numbers_at_once", [2**16, 16])
@pytest.mark.parametrize("name", networks())
def test_every_step_is_that_of_opacus_bit_for_bit(
    name: str, numbers_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(noisy_sums, "NUMBERS_AT_ONCE", numbers_at_once)
    ours = networks()[name]
    theirs = copy.deepcopy(ours)
    trained = [weight for weight in ours.parameters() if weight.requires_grad]
    of_opacus = [weight for weight in theirs.parameters() if weight.requires_grad]
    sums = NoisySums([ours], PLAN, [torch_generator(0, "dp-noise")])
    own = torch.optim.SGD(ours.parameters(), lr=0.3, momentum=0.9)
    opacus = DPOptimizerFastGradientClipping(
        torch.optim.SGD(theirs.parameters(), lr=0.3, momentum=0.9),
        noise_multiplier=PLAN.noise_multiplier,
        max_grad_norm=PLAN.max_grad_norm,
        expected_batch_size=PLAN.batch_size,
        generator=torch_generator(0, "dp-noise"),
    )
    draws = torch_generator(0, "gradients")
    for step in range(5):
        sums.begin()
        opacus.zero_grad()
        for weight, other in zip(trained, of_opacus, strict=True):
            other.grad = torch.zeros_like(other)
            if step == 2:
                continue  # an empty batch
            clipped = torch.randn(weight.shape, generator=draws)
            weight.grad = torch.empty_like(weight).copy_(clipped)
            other.grad += clipped
        sums.complete()
        sums.end()
        own.step()
        opacus.step()
        for weight, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.equal(weight, other)
            assert weight.stride() == other.stride()


def test_gradients_that_were_replaced_are_0_at_the_next_step() -> None:
    model = networks()["one frozen"]
    sums = NoisySums([model], PLAN, [torch_generator(0, "dp-noise")])
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    for weight in trained:
        weight.grad = torch.ones_like(weight)  # as Opacus' ghost clipping does
    sums.begin()
    sums.complete()
    for weight in trained:
        assert weight.grad is not None
        assert not weight.grad.any()


def test_each_model_of_a_stack_has_the_noise_of_its_own_generator() -> None:
    models = [networks()["odd"] for _ in range(3)]
    sums = NoisySums(models, PLAN, [torch_generator(0, "dp-noise", index) for index in range(3)])
    for _ in range(2):
        sums.begin()
        sums.complete()
        sums.end()
    for index, model in enumerate(models):
        generator = torch_generator(0, "dp-noise", index)
        for _ in range(2):
            drawn = [
                torch.normal(0.0, 1.3 * 0.7, weight.shape, generator=generator)
                for weight in model.parameters()
            ]
        for weight, noise in zip(model.parameters(), drawn, strict=True):
            assert weight.grad is not None
            assert torch.equal(weight.grad, noise / 13)
