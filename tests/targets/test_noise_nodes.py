import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from mgaudit.targets import CNN, MLP
from mgaudit.targets.fitting.examples import Streams, TrainingExamples
from mgaudit.targets.fitting.loop import fit
from mgaudit.targets.fitting.recipe import initial_model
from mgaudit.targets.schemes import NoiseNodes
from mgaudit.targets.schemes.noise_nodes import NoiseNode, node_in, without_node
from mgaudit.targets.seeds import torch_generator
from mgaudit.targets.training import Training


def with_node(scheme: NoiseNodes, target: type[nn.Module] = MLP) -> nn.Module:
    return initial_model(
        lambda shape, classes: scheme.extend(target(shape, classes)), (1, 8, 8), 3, seed=0
    )


def test_values_follow_their_law_and_the_test_can_tell_another() -> None:
    generator, x = torch_generator(0, "noise"), torch.zeros(500, 3)
    drawn = [NoiseNodes(0.7).node_values(x, generator) for _ in range(40)]
    sample = torch.stack([values for values in drawn if values is not None])
    assert sample.shape == (40, 500)
    spread = 4 / math.sqrt(2 * sample.numel())
    assert float(sample.mean()) == pytest.approx(0, abs=4 * 0.7 / math.sqrt(sample.numel()))
    assert float(sample.std()) == pytest.approx(0.7, rel=spread)
    assert float(sample.std()) != pytest.approx(0.75, rel=spread)
    for left, other in ((sample[:-1], sample[1:]), (sample[:, :-1], sample[:, 1:])):
        pair = torch.stack([left.flatten(), other.flatten()])
        assert abs(torch.corrcoef(pair)[0, 1]) < 4 / math.sqrt(pair.shape[1])


@pytest.mark.parametrize(("target", "layer"), [(MLP, 0), (MLP, 2), (CNN, 0), (CNN, 1), (CNN, 3)])
def test_the_node_adds_w_times_its_value_to_the_preactivations(
    target: type[nn.Module], layer: int
) -> None:
    model = with_node(NoiseNodes(1.0, layer=layer), target)
    node = node_in(model)
    assert node is not None
    x = torch.randn(
        5,
        *(
            (node.layer.in_channels, 4, 4)
            if isinstance(node.layer, nn.Conv2d)
            else (node.layer.in_features,)
        ),
    )
    values = torch.arange(5.0)
    node.values = values
    added = node(x) - node.layer(x)
    weights = node.node.weight[:, 0]
    expected = values[:, None] * weights
    assert torch.allclose(
        added, expected.reshape(5, -1, *[1] * (added.ndim - 2)).expand_as(added), atol=1e-5
    )
    node.values = None
    assert torch.equal(node(x), node.layer(x))


def test_all_other_weights_are_those_of_the_network_without_it() -> None:
    plain, extended = (
        initial_model(CNN, (1, 8, 8), 3, seed=0),
        with_node(NoiseNodes(1.0, layer=1), CNN),
    )
    fan_in = 9 * 32 + 1
    node = node_in(extended)
    assert node is not None
    assert (
        0.8 / math.sqrt(fan_in)
        < float(node.node.weight.detach().abs().max())
        <= 1 / math.sqrt(fan_in)
    )
    back = without_node(extended).state_dict()
    assert list(back) == list(plain.state_dict())
    assert all(torch.equal(value, plain.state_dict()[name]) for name, value in back.items())


def test_training_equals_the_update_written_out() -> None:
    scheme, streams = NoiseNodes(1.0), Streams.of_model(0, 0, "cpu")
    x, y = torch.randn(30, 6, generator=torch_generator(0, "x")), torch.arange(30) % 3
    model = scheme.extend(nn.Sequential(nn.Linear(6, 3)))
    node = node_in(model)
    assert node is not None
    weights = [p.detach().clone() for p in (node.layer.weight, node.layer.bias, node.node.weight)]  # type: ignore[union-attr]
    training = Training(epochs=3, batch_size=30, learning_rate=0.5, momentum=0.0)
    fit([model], TrainingExamples(x, y, (torch.arange(30),)), scheme, training, 30, [streams])
    generator, orders = torch_generator(0, "node noise"), torch_generator(0, "batches")
    for step in range(3):
        order = torch.randperm(30, generator=orders)
        values = scheme.node_values(x, generator)
        assert values is not None
        w, b, node_weight = (p.requires_grad_() for p in weights)
        loss = cross_entropy(x[order] @ w.T + b + values[:, None] * node_weight[:, 0], y[order])
        rate = 0.5 * 0.5 * (1 + math.cos(math.pi * step / 3))
        weights = [
            p.detach() - rate * g
            for p, g in zip(weights, torch.autograd.grad(loss, weights), strict=True)
        ]
    for ours, theirs in zip(
        (node.layer.weight, node.layer.bias, node.node.weight), weights, strict=True
    ):
        assert torch.allclose(ours, theirs, atol=1e-6)  # type: ignore[arg-type]
    assert node.values is None


def test_fixed_values_belong_to_the_examples() -> None:
    scheme, streams = NoiseNodes(1.0, fixed=True), [Streams.of_model(0, 0, "cpu")]
    own = TrainingExamples(
        torch.zeros(40, 2), torch.zeros(40, dtype=torch.int64), (torch.arange(40),)
    )
    values = own.with_fixed_noise(scheme, 2, streams).node_values
    assert values is not None
    assert values.shape == (40,)
    assert len(values.unique()) == 40


def test_sigma_zero_puts_no_node_in() -> None:
    assert node_in(with_node(NoiseNodes(0.0))) is None
    assert NoiseNodes(0.0).node_values(torch.zeros(3, 2), torch_generator(0, "noise")) is None


def test_a_layer_that_is_not_there_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"layer must be the number of a layer of the target, 0\.\.2, got 3"
    ):
        with_node(NoiseNodes(1.0, layer=3))
    assert isinstance(node_in(with_node(NoiseNodes(1.0, layer=2))), NoiseNode)
