"""DP-SGD in stacks: each model's clipped sums, noise and batches are its own."""

import copy
import math
from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from mgaudit.targets.datasets import Dataset
from mgaudit.targets.fitting import batches, recipe
from mgaudit.targets.fitting.batches import poisson_batches
from mgaudit.targets.fitting.clipping import SMALLEST_NORM, OneBackward
from mgaudit.targets.fitting.dp_sgd import fit_privately, fit_stack_privately
from mgaudit.targets.fitting.examples import Streams, TrainingExamples
from mgaudit.targets.fitting.joined_layers import JoinedLinear, Recorded, joined
from mgaudit.targets.fitting.privacy_plan import PrivacyPlan
from mgaudit.targets.fitting.recipe import Recipe, Target, initial_model, train
from mgaudit.targets.fitting.stack_size import private_stack_size
from mgaudit.targets.membership import fair_coins
from mgaudit.targets.networks import CNN, MLP, ResNet
from mgaudit.targets.schemes import GaussianMask, NoiseNodes, Scheme, WeightNoise, compose
from mgaudit.targets.seeds import torch_generator
from mgaudit.targets.training import Training

IMAGE, CLASSES = (3, 8, 8), 4
MLPS = partial(MLP, hidden=(12, 9, 7))
CNNS = partial(CNN, channels=(4, 6), hidden=7, norm="group")
TARGETS: dict[str, Target] = {"mlp": MLPS, "cnn": CNNS}
ALL_NOISE = compose((GaussianMask(0.3), NoiseNodes(0.5), WeightNoise(0.05, layerwise=True)))


def images(examples: int) -> tuple[Tensor, Tensor]:
    generator = torch_generator(0, "rows")
    x = torch.randn(examples, *IMAGE, generator=generator, dtype=torch.float64)
    # Rows of very different sizes, so that some gradients are clipped and others are not.
    x *= torch.linspace(0.05, 3, examples, dtype=torch.float64)[:, None, None, None]
    return x, torch.randint(CLASSES, (examples,), generator=generator)


def networks(target: Target, number: int) -> list[nn.Module]:
    return [initial_model(target, IMAGE, CLASSES, seed).double() for seed in range(number)]


def clipped_sum(
    model: nn.Module, x: Tensor, y: Tensor, max_norm: float, views: int = 1
) -> list[Tensor]:
    """Returns the sum of the clipped gradients of the examples, one after the other."""
    weights = list(model.parameters())
    total = [torch.zeros_like(weight) for weight in weights]
    for own, label in zip(x.split(views), y.split(views), strict=True):
        gradients = torch.autograd.grad(cross_entropy(model(own), label), weights)
        norm = math.sqrt(sum(gradient.square().sum().item() for gradient in gradients))
        factor = min(1.0, max_norm / (norm + SMALLEST_NORM))
        total = [sum_ + factor * gradient for sum_, gradient in zip(total, gradients, strict=True)]
    return total


@pytest.mark.parametrize("views", [1, 2])
@pytest.mark.parametrize("name", TARGETS)
def test_each_model_has_the_clipped_sum_of_its_own_rows(name: str, views: int) -> None:
    models = networks(TARGETS[name], 4)
    sizes = [5 * views, 0, 11 * views, views]  # one model without an example
    x, y = images(sum(sizes))
    y = y[::views].repeat_interleave(views)
    inputs = x.to(memory_format=torch.channels_last)
    clipper = OneBackward.of_stack(models, inputs)
    assert clipper is not None
    max_norm = 1.0
    losses = cross_entropy(clipper.logits(inputs, sizes), y, reduction="none")
    clipper.backward(losses, max_norm, views)
    rows = zip(models, x.split(sizes), y.split(sizes), strict=True)
    for model, own, labels in rows:
        expected = clipped_sum(copy.deepcopy(model), own, labels, max_norm, views)
        for weight, sum_ in zip(model.parameters(), expected, strict=True):
            assert weight.grad is not None
            assert torch.allclose(weight.grad, sum_, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("width", [7, 9, 47])
def test_a_layer_rounds_as_alone_wherever_its_rows_begin_and_end(width: int) -> None:
    """MKL sums in another order where a matrix begins at another address."""
    generator = torch_generator(0, "layers")
    layers = [nn.Linear(width, 20) for _ in range(4)]
    for sizes in ([5, 3, 11, 6], [1, 2, 7, 9], [0, 13, 4, 1]):
        x = torch.randn(sum(sizes), width, generator=generator)
        gradient = torch.randn(sum(sizes), 20, generator=generator)
        ends = np.cumsum(sizes).tolist()
        rows = [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]
        inputs = x.clone().requires_grad_()
        anchor = torch.zeros(1, requires_grad=True)
        outputs = joined(JoinedLinear, inputs, anchor, layers, rows, Recorded(x))
        (at_inputs,) = torch.autograd.grad(outputs, inputs, gradient)
        for layer, own in zip(layers, rows, strict=True):
            alone = layer(x[own].clone())
            assert torch.equal(outputs[own], alone)
            assert torch.equal(at_inputs[own], gradient[own].clone() @ layer.weight)


def test_a_step_of_a_stack_is_that_of_the_formula() -> None:
    # Coins and noise are drawn here as the accountant assumes, from the streams of each model.
    rate, multiplier, max_norm, expected_batch = 0.3, 1.7, 0.5, 12
    x, y = images(60)
    rows = tuple(torch.arange(start, 60) for start in (0, 20, 35))
    models = networks(MLPS, 3)
    before = copy.deepcopy(models)
    plan = PrivacyPlan(multiplier, max_norm, rate, 1, expected_batch, 1e-3, math.inf)
    fit_stack_privately(
        models,
        TrainingExamples(x, y, rows),
        Scheme(),
        Training(batch_size=expected_batch, learning_rate=1.0, momentum=0.0),
        plan,
        [Streams.of_model(0, index, "cpu") for index in range(3)],
        [torch_generator(0, "dp-noise", index) for index in range(3)],
    )
    for index, (model, start, own) in enumerate(zip(models, before, rows, strict=True)):
        coins = torch.rand(len(own), generator=torch_generator(0, "batches", index)) < rate
        sampled = own[coins]
        assert len(sampled)
        noise = torch_generator(0, "dp-noise", index)
        sums = clipped_sum(start, x[sampled], y[sampled], max_norm)
        for after, weight, total in zip(model.parameters(), start.parameters(), sums, strict=True):
            drawn = torch.empty_like(weight).normal_(0.0, multiplier * max_norm, generator=noise)
            expected = weight - (total + drawn) / expected_batch
            assert torch.allclose(after, expected, rtol=0, atol=1e-12)


def trained(
    target: Target, scheme: Scheme, sizes: Sequence[int], sample_rate: float, augment: str
) -> list[dict[str, np.ndarray]]:
    """Returns the weights of models that are trained in stacks of these sizes, as in an audit."""
    x, y = images(60)
    inputs, labels = x.numpy().astype(np.float32), y.numpy()
    data = Dataset("noise", inputs, labels, inputs[:20], labels[:20], ("a", "b", "c", "d"))
    settings = Training(batch_size=8, learning_rate=0.5, augment=augment)  # type: ignore[arg-type]
    views = 1 if augment == "none" else 2
    plan = PrivacyPlan(
        0.8, 0.3, sample_rate, 6, 8, 1e-3, math.inf, views=views, averaging=0.5 * (views - 1)
    )
    membership = fair_coins(sum(sizes), 60, seed=0)
    ours = Recipe(target, scheme, settings, plan, 0, members=30, stack=max(sizes))
    models, first = [], 0
    for size in sizes:
        indices = range(first, first + size)
        models += train(ours, data, membership[list(indices)], indices, "cpu")
        first += size
    return [model.weights for model in models]


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize(
    ("scheme", "sample_rate", "augment"),
    [
        (Scheme(), 0.3, "none"),
        (Scheme(), 0.02, "none"),  # empty batches, and batches of one example
        (ALL_NOISE, 0.3, "crops"),
    ],
    ids=["plain", "few", "noise and views"],
)
def test_a_model_is_the_same_in_every_stack_bit_for_bit(
    name: str, scheme: Scheme, sample_rate: float, augment: str
) -> None:
    target = TARGETS[name]
    alone, together, divided = (
        trained(target, scheme, sizes, sample_rate, augment)
        for sizes in ([1] * 5, [5], [3, 2])  # a stack that is not full is not padded
    )
    for ours, *others in zip(alone, together, divided, strict=True):
        for other in others:
            for key in ours:
                assert np.array_equal(ours[key], other[key]), key
    assert not np.array_equal(alone[0]["layers.1.weight"], alone[1]["layers.1.weight"])


def test_a_stack_in_parts_gives_what_models_alone_give_without_parts() -> None:
    def fitted(clipper_rows: int, stacked: bool) -> list[nn.Module]:
        x, y = images(60)
        rows = [torch.arange(start, 60) for start in (0, 20, 50)]
        models = networks(MLPS, 3)
        plan = PrivacyPlan(0.8, 0.3, 0.4, 5, 20, 1e-3, math.inf)
        streams = [Streams.of_model(0, index, "cpu") for index in range(3)]
        noises = [torch_generator(0, "dp-noise", index) for index in range(3)]
        settings = Training(batch_size=20, learning_rate=0.5)

        def of_stack(models: Sequence[nn.Module], x: Tensor) -> OneBackward | None:
            clipper = original(models, x)
            assert clipper is not None
            clipper.rows_at_once = clipper_rows
            return clipper

        original = OneBackward.of_stack
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(OneBackward, "of_stack", of_stack)
            if stacked:
                examples = TrainingExamples(x, y, tuple(rows))
                fit_stack_privately(models, examples, Scheme(), settings, plan, streams, noises)
                return models
            for model, own, stream, noise in zip(models, rows, streams, noises, strict=True):
                examples = TrainingExamples(x, y, (own,))
                fit_privately(model, examples, Scheme(), settings, plan, stream, noise)
        return models

    for ours, theirs in zip(fitted(7, stacked=True), fitted(100, stacked=False), strict=True):
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.allclose(a, b, rtol=0, atol=1e-12)


def test_models_that_only_opacus_clips_are_trained_one_by_one() -> None:
    def build(_: tuple[int, ...], classes: int) -> nn.Module:
        grouped = nn.Conv2d(3, 6, 3, groups=3)
        return nn.Sequential(grouped, nn.ReLU(), nn.Flatten(), nn.Linear(216, classes))

    def fitted(stacks: Sequence[Sequence[int]]) -> list[nn.Module]:
        x, y = images(40)
        plan = PrivacyPlan(0.8, 0.3, 0.3, 3, 12, 1e-3, math.inf)
        models = networks(build, 2)
        for stack in stacks:
            rows = tuple(torch.arange(5 * index, 40) for index in stack)
            result = fit_stack_privately(
                [models[index] for index in stack],
                TrainingExamples(x, y, rows),
                Scheme(),
                Training(batch_size=12, learning_rate=0.5),
                plan,
                [Streams.of_model(0, index, "cpu") for index in stack],
                [torch_generator(0, "dp-noise", index) for index in stack],
            )
            assert (result.finite, result.steps) == ([True] * len(stack), 3)
        return models

    for ours, theirs in zip(fitted([[0, 1]]), fitted([[0], [1]]), strict=True):
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.equal(a, b)


def test_a_model_that_diverges_in_a_stack_is_the_only_one() -> None:
    x, y = images(40)
    models = networks(MLPS, 3)
    with torch.no_grad():
        next(models[1].parameters()).fill_(math.nan)
    result = fit_stack_privately(
        models,
        TrainingExamples(x, y, (torch.arange(40),) * 3),
        Scheme(),
        Training(batch_size=12),
        PrivacyPlan(0.8, 0.3, 0.3, 2, 12, 1e-3, math.inf),
        [Streams.of_model(0, index, "cpu") for index in range(3)],
        [torch_generator(0, "dp-noise", index) for index in range(3)],
    )
    assert result.finite == [True, False, True]


def test_coins_drawn_at_once_are_those_of_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "COINS_AT_ONCE", 100)
    ours = list(poisson_batches(30, 0.2, 8, torch_generator(0, "batches")))
    generator = torch_generator(0, "batches")
    for batch in ours:
        expected = torch.nonzero(torch.rand(30, generator=generator) < 0.2).flatten()
        assert torch.equal(batch, expected)
    assert len(ours) == 8


class OwnMLP(MLP):
    """A network that may evaluate its layers in another way."""


def with_tanh() -> nn.Module:
    network = MLP(IMAGE, CLASSES, (5,))
    network.layers[2] = nn.Tanh()
    return network


def with_groups() -> nn.Module:
    network = CNN(IMAGE, CLASSES, (4, 6), 7)
    network.layers[3] = nn.Conv2d(4, 6, 3, padding=1, groups=2)
    return network


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (MLP(IMAGE, CLASSES, (5,)), 8),
        (CNN(IMAGE, CLASSES, (4, 6), 7, norm="group"), 8),
        (NoiseNodes(0.5).extend(MLP(IMAGE, CLASSES, (5,))), 8),
        (nn.Sequential(nn.Flatten(), nn.Linear(192, CLASSES)), 8),
        (OwnMLP(IMAGE, CLASSES, (5,)), 1),
        (ResNet(IMAGE, CLASSES, 1, 4), 1),
        (with_tanh(), 1),
        (with_groups(), 1),
    ],
    ids=["mlp", "cnn", "node", "sequential", "subclass", "resnet", "tanh", "groups"],
)
def test_only_networks_that_are_the_same_in_every_stack_are_stacked(
    network: nn.Module, expected: int
) -> None:
    assert private_stack_size(8, network) == expected
    assert private_stack_size(1, network) == 1


@pytest.mark.parametrize("scheme", [Scheme(), NoiseNodes(0.5), GaussianMask(0.3)], ids=repr)
def test_images_of_an_mlp_give_the_same_numbers_in_any_order(
    scheme: Scheme, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = trained(MLPS, scheme, [1], 0.3, "none")
    monkeypatch.setattr(recipe, "_needs_channels_last", lambda *_: True)
    (in_channels_last,) = trained(MLPS, scheme, [1], 0.3, "none")
    for key in in_channels_last:
        assert np.array_equal(ours[0][key], in_channels_last[key])
