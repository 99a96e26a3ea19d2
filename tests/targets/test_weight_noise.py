import itertools
import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from mgaudit.targets.fitting.examples import Streams, TrainingExamples
from mgaudit.targets.fitting.loop import fit
from mgaudit.targets.fitting.stack import ModelStack
from mgaudit.targets.schemes import Scheme, WeightNoise
from mgaudit.targets.seeds import torch_generator
from mgaudit.targets.training import Training

WEIGHTS = {
    "a": torch.zeros(300, 20),
    "b": torch.zeros(20),
    "c": torch.zeros(20, 3),
    "d": torch.zeros(3),
}


def drawn(scheme: Scheme, steps: int, epoch: float = 0) -> list[dict[str, torch.Tensor]]:
    generator = torch_generator(0, "noise")
    return [scheme.weight_noise(WEIGHTS, step, epoch, generator) for step in range(steps)]


@pytest.mark.parametrize(("layerwise", "std"), [(False, 0.4 / 2), (True, 0.4)])
def test_noise_on_m_groups_has_sd_sigma_over_the_root_of_m_and_on_one_sigma(
    layerwise: bool, std: float
) -> None:
    noises = drawn(WeightNoise(0.4, layerwise), 8)
    sample = torch.cat([noise["a"].flatten() for noise in noises if "a" in noise])
    assert float(sample.mean()) == pytest.approx(0, abs=4 * std / math.sqrt(len(sample)))
    assert float(sample.std()) == pytest.approx(std, rel=4 / math.sqrt(2 * len(sample)))
    assert float(sample.std()) != pytest.approx(std * 1.05, rel=4 / math.sqrt(2 * len(sample)))


def test_all_groups_are_perturbed_independently_at_each_step() -> None:
    first, second = drawn(WeightNoise(0.4), 2)
    assert set(first) == set(WEIGHTS)
    for before, other in (
        (first["a"], second["a"]),
        (first["a"][:, :3].flatten(), first["a"][:, 3:6].flatten()),
    ):
        pair = torch.stack([before.flatten(), other.flatten()])
        assert abs(torch.corrcoef(pair)[0, 1]) < 4 / math.sqrt(pair.shape[1])


def test_cyclic_order_takes_one_group_after_the_other() -> None:
    turns = [list(noise) for noise in drawn(WeightNoise(0.4, layerwise=True), 6)]
    assert turns == [["a"], ["b"], ["c"], ["d"], ["a"], ["b"]]


def test_random_order_takes_each_group_as_often_and_not_in_turn() -> None:
    scheme = WeightNoise(0.4, layerwise=True, order="random")
    turns = [next(iter(noise)) for noise in drawn(scheme, 400)]
    counts = [turns.count(name) for name in WEIGHTS]
    assert all(abs(count - 100) < 4 * math.sqrt(400 * 3 / 16) for count in counts)
    same = sum(before == other for before, other in itertools.pairwise(turns))
    assert abs(same - 399 / 4) < 4 * math.sqrt(399 * 3 / 16)


def test_random_order_is_each_models_own() -> None:
    scheme = WeightNoise(0.4, layerwise=True, order="random")
    generators = [torch_generator(0, "noise", index) for index in range(2)]
    first, second = (
        [next(iter(scheme.weight_noise(WEIGHTS, step, 0, generator))) for step in range(400)]
        for generator in generators
    )
    same = sum(before == other for before, other in zip(first, second, strict=True))
    assert abs(same - 400 / 4) < 4 * math.sqrt(400 * 3 / 16)


def test_steps_are_counted_through_all_epochs() -> None:
    # Else the turns of layerwise noise would start afresh each epoch, and some groups get more
    # noise than others.
    steps: list[tuple[int, float]] = []

    class Recorder(Scheme):
        def weight_noise(
            self,
            weights: dict[str, torch.Tensor],
            step: int,
            epoch: float,
            generator: torch.Generator,
        ) -> dict[str, torch.Tensor]:
            steps.append((step, epoch))
            return {}

    own = TrainingExamples(torch.zeros(6, 2), torch.zeros(6, dtype=torch.int64), (torch.arange(6),))
    fit(
        [nn.Linear(2, 2)],
        own,
        Recorder(),
        Training(epochs=3, batch_size=3),
        6,
        [Streams.of_model(0, 0, "cpu")],
    )
    assert steps == [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2), (5, 2)]


def test_there_is_none_from_the_stop_epoch_on() -> None:
    assert drawn(WeightNoise(0.4, stop_epoch=3), 1, epoch=2)[0]
    assert drawn(WeightNoise(0.4, stop_epoch=3), 1, epoch=3) == [{}]


@pytest.mark.parametrize("models", [1, 3])
def test_on_a_quadratic_the_update_starts_from_the_unperturbed_weights(models: int) -> None:
    # L = a w^2 / 2 has the gradient a (w + e) at w + e, so a step from w gives
    # (1 - eta a) w - eta a e.
    class Weight(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.tensor([2.0], dtype=torch.float64))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.w.expand(len(x), 1)

    curvature, rate, scheme = 3.0, 0.1, WeightNoise(0.5)
    stack = ModelStack([Weight() for _ in range(models)])
    optimizer = torch.optim.SGD(stack.weights.values(), lr=rate)
    generators = [torch_generator(0, "noise", index) for index in range(models)]
    expected = torch.full((models,), 2.0, dtype=torch.float64)
    for step in range(20):
        noises = [
            scheme.weight_noise(stack.of_model(model), step, 0, generator)
            for model, generator in enumerate(generators)
        ]
        perturbed = stack.logits(stack.with_noise(noises), torch.zeros(models, 1, 1), None)
        optimizer.zero_grad()
        (curvature / 2 * perturbed.square()).sum().backward()
        optimizer.step()
        shifts = torch.stack([noise["w"][0] for noise in noises])
        expected = (1 - rate * curvature) * expected - rate * curvature * shifts
    assert torch.allclose(stack.weights["w"].detach().reshape(models), expected, rtol=0, atol=1e-12)


def test_training_equals_the_update_written_out() -> None:
    scheme, streams = WeightNoise(0.3), Streams.of_model(0, 0, "cpu")
    x, y = torch.randn(30, 6, generator=torch_generator(0, "x")), torch.arange(30) % 3
    model = nn.Linear(6, 3)
    weight, bias = (p.detach().clone() for p in model.parameters())
    training = Training(epochs=3, batch_size=30, learning_rate=0.5, momentum=0.0)
    fit([model], TrainingExamples(x, y, (torch.arange(30),)), scheme, training, 30, [streams])
    generator = torch_generator(0, "weight noise")
    for step in range(3):
        noise = scheme.weight_noise({"weight": weight, "bias": bias}, step, step, generator)
        at = [(weight + noise["weight"]).requires_grad_(), (bias + noise["bias"]).requires_grad_()]
        gradients = torch.autograd.grad(cross_entropy(x @ at[0].T + at[1], y), at)
        rate = 0.5 * 0.5 * (1 + math.cos(math.pi * step / 3))
        weight, bias = weight - rate * gradients[0], bias - rate * gradients[1]
    assert torch.allclose(model.weight, weight, atol=1e-6)
    assert torch.allclose(model.bias, bias, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sigma": -1.0}, "sigma must be a finite number >= 0, got -1.0"),
        ({"sigma": 1.0, "stop_epoch": -1}, "stop_epoch must be a finite number >= 0, got -1"),
    ],
)
def test_parameters_out_of_range_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WeightNoise(**options)  # type: ignore[arg-type]
