"""A stack that is evaluated layer by layer gives what vmap gives: logits and gradients."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from mgaudit.targets import CNN, MLP
from mgaudit.targets.fitting.stack import ModelStack
from mgaudit.targets.fitting.stacked_layers import stacked_chain
from mgaudit.targets.schemes import NoiseNodes
from mgaudit.targets.schemes.noise_nodes import node_in

MODELS, BATCH, SHAPE, CLASSES = 3, 5, (2, 8, 8), 4

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "MLP": lambda: MLP(SHAPE, CLASSES, hidden=(7, 6)),
    "MLP on numbers": lambda: MLP((5,), CLASSES, hidden=(7,)),
    "MLP on tables of numbers": lambda: MLP((4, 3), CLASSES, hidden=(7,)),
    "MLP without hidden layers": lambda: MLP(SHAPE, CLASSES, hidden=()),
    "CNN": lambda: CNN(SHAPE, CLASSES, channels=(3, 4), hidden=6),
    "CNN, one block": lambda: CNN(SHAPE, CLASSES, channels=(3,), hidden=6),
    "CNN without pooling": lambda: CNN(SHAPE, CLASSES, channels=(3, 4), hidden=6, pools=0),
    "MLP with a node": lambda: NoiseNodes(1.0).extend(MLP(SHAPE, CLASSES, hidden=(7,))),
    "MLP with a node in layer 1": lambda: NoiseNodes(1.0, layer=1).extend(
        MLP(SHAPE, CLASSES, hidden=(7,))
    ),
    "CNN with a node": lambda: NoiseNodes(1.0).extend(CNN(SHAPE, CLASSES, (3, 4), 6)),
    "CNN with a node in layer 1": lambda: NoiseNodes(1.0, 1).extend(CNN(SHAPE, CLASSES, (3, 4), 6)),
    "CNN with a node in layer 2": lambda: NoiseNodes(1.0, 2).extend(CNN(SHAPE, CLASSES, (3, 4), 6)),
}
SHAPES = {"MLP on numbers": (5,), "MLP on tables of numbers": (4, 3)}


def built(name: str) -> tuple[list[nn.Module], Tensor, Tensor | None]:
    """Returns networks in float64, their inputs (models, batch, ...), and the node's values."""
    torch.manual_seed(0)
    models = [NETWORKS[name]().double() for _ in range(MODELS)]
    x = torch.randn(MODELS, BATCH, *SHAPES.get(name, SHAPE), dtype=torch.float64)
    values = torch.randn(MODELS, BATCH, dtype=torch.float64)
    return models, x, values if node_in(models[0]) is not None else None


def by_vmap(models: list[nn.Module], x: Tensor, values: Tensor | None) -> tuple[Tensor, Any]:
    weights, buffers = stack_module_state(models)
    node = node_in(models[0])

    def logits(own: Any, state: Any, batch: Tensor, noise: Tensor | None = None) -> Tensor:
        if node is not None:
            node.values = noise
        return functional_call(models[0], (own, state), (batch,))

    arguments = (weights, buffers, x) if values is None else (weights, buffers, x, values)
    return vmap(logits)(*arguments), weights


@pytest.mark.parametrize("name", NETWORKS)
def test_logits_and_gradients_are_those_of_vmap(name: str) -> None:
    models, x, values = built(name)
    expected, expected_weights = by_vmap(models, x, values)
    chain = stacked_chain(models[0])
    assert chain is not None
    weights, _ = stack_module_state(models)
    logits = chain(weights, x, values)
    assert logits.shape == (MODELS, BATCH, CLASSES)
    torch.testing.assert_close(logits, expected, rtol=1e-12, atol=1e-12)
    factors = torch.randn(logits.shape, dtype=torch.float64)
    torch.autograd.backward((logits * factors).sum())
    torch.autograd.backward((expected * factors).sum())
    for weight, tensor in weights.items():
        gradient = expected_weights[weight].grad
        assert gradient.abs().max() > 0
        torch.testing.assert_close(tensor.grad, gradient, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_model_gives_in_a_stack_what_it_gives_alone(name: str) -> None:
    models, x, values = built(name)
    stack = ModelStack(models)
    together = stack.logits(stack.weights, x, values)
    for index, model in enumerate(models):
        node = node_in(model)
        if node is not None and values is not None:
            node.values = values[index]
        torch.testing.assert_close(together[index], model(x[index]), rtol=1e-12, atol=1e-12)


class Doubled(MLP):
    """A network of the user's own that extends a built-in one."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


def with_shared_weight() -> nn.Module:
    network = MLP(SHAPE, CLASSES, hidden=(7, 7, 7))
    network.layers[5].weight = network.layers[3].weight
    return network


def with_other_layers() -> nn.Module:
    network = MLP(SHAPE, CLASSES)
    network.layers = nn.ModuleList(network.layers)  # type: ignore[assignment]
    return network


def with_hook() -> nn.Module:
    network = MLP(SHAPE, CLASSES)
    network.layers[1].register_forward_hook(lambda layer, inputs, output: output + 1)
    return network


@pytest.mark.parametrize(
    "network",
    [
        Doubled(SHAPE, CLASSES),
        CNN(SHAPE, CLASSES, channels=(4,), hidden=6, norm="group"),
        nn.Sequential(nn.Flatten(), nn.Linear(128, CLASSES)),
        with_hook(),
        with_shared_weight(),
        with_other_layers(),
    ],
    ids=["subclass", "GroupNorm", "Sequential", "hook", "shared weight", "other layers"],
)
def test_other_networks_are_left_to_vmap(network: nn.Module) -> None:
    assert stacked_chain(network) is None


def test_a_layer_that_is_evaluated_twice_is_evaluated_twice() -> None:
    models = [MLP(SHAPE, CLASSES, hidden=(7, 6)).double() for _ in range(MODELS)]
    for model in models:
        flat, first, relu, second, _, head = model.layers
        model.layers = nn.Sequential(flat, first, relu, second, relu, head)
    x = torch.randn(MODELS, BATCH, *SHAPE, dtype=torch.float64)
    stack = ModelStack(models)
    together = stack.logits(stack.weights, x, None)
    for index, model in enumerate(models):
        torch.testing.assert_close(together[index], model(x[index]), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["MLP", "CNN", "CNN with a node"])
def test_in_mixed_precision_outputs_are_of_the_type_of_a_single_model(name: str) -> None:
    models, x, values = built(name)
    models, x = [model.float() for model in models], x.float()
    noise = None if values is None else values.float()
    stack = ModelStack(models)
    with torch.autocast("cpu", torch.bfloat16):
        together = stack.logits(stack.weights, x, noise)
        node = node_in(models[0])
        if node is not None and noise is not None:
            node.values = noise[0]
        alone = models[0](x[0])
    assert together.dtype == alone.dtype == torch.bfloat16
