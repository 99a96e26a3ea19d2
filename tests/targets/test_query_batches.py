"""How models are queried: the order of images in memory, and the number of examples at once."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mgaudit.targets import CNN, MLP
from mgaudit.targets.contract import check_target
from mgaudit.targets.fitting.recipe import Target, initial_model
from mgaudit.targets.fitting.traits import Traits
from mgaudit.targets.querying.batch_size import (
    CPU_BYTES,
    GPU_BYTES,
    MOST_EXAMPLES,
    largest_activation,
    query_batch,
)
from mgaudit.targets.querying.ensemble import Ensemble
from mgaudit.targets.querying.queries import NoiseDraws, Queries
from mgaudit.targets.schemes import GaussianMask
from mgaudit.targets.seeds import torch_generator

SHAPE, CLASSES, EXAMPLES = (3, 12, 12), 4, 20
FLOAT = 4  # bytes


class View(nn.Module):
    """A network with `view` after a convolution, which needs the channels first in memory."""

    def __init__(self, input_shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(input_shape[0], 6, 3, padding=1)
        self.head = nn.Linear(6 * input_shape[1] * input_shape[2], classes)

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits (batch, classes)."""
        logits: Tensor = self.head(self.convolution(x).relu().view(len(x), -1))
        return logits


class Functional(nn.Module):
    """A network without layers, whose transposed weights are larger than its activations."""

    def __init__(self, input_shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.randn(50, input_shape[0]))
        self.second = nn.Parameter(torch.randn(classes, 50))

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits (batch, classes)."""
        return torch.relu(x @ self.first.T) @ self.second.T


@pytest.fixture
def images() -> NDArray[np.float32]:
    """Standard normal images (EXAMPLES, *SHAPE)."""
    return np.random.default_rng(3).standard_normal((EXAMPLES, *SHAPE)).astype(np.float32)


def ensemble_of(target: Target, traits: Traits, models: int = 2) -> Ensemble:
    """Returns models with their initial weights."""
    weights = []
    for seed in range(models):
        state = initial_model(target, SHAPE, CLASSES, seed).state_dict()
        weights.append({name: tensor.numpy() for name, tensor in state.items()})
    return Ensemble(initial_model(target, SHAPE, CLASSES, seed=9), weights, traits)


def strides_of_convolutions(ensemble: Ensemble, images: NDArray[np.float32]) -> set[bool]:
    """Returns whether inputs and weights of convolutions have the channels last, when queried."""
    orders = set()

    def record(layer: Any, arguments: tuple[Any, ...], output: Tensor) -> None:
        for tensor in (arguments[0], layer.weight, output):
            orders.add(tensor.is_contiguous(memory_format=torch.channels_last))

    layers = [layer for layer in ensemble.model.modules() if isinstance(layer, nn.Conv2d)]
    handles = [layer.register_forward_hook(record) for layer in layers]
    ensemble.logits(images, "cpu", Queries(), seed=0, batch_size=8)
    for handle in handles:
        handle.remove()
    return orders


def test_convolutions_are_computed_with_the_channels_last(images: NDArray[np.float32]) -> None:
    traits = check_target("cnn", CNN, SHAPE, CLASSES)
    ensemble = ensemble_of(CNN, traits)
    assert strides_of_convolutions(ensemble, images) == {True}


def test_a_network_with_view_is_queried_with_the_channels_first(
    images: NDArray[np.float32],
) -> None:
    traits = check_target("View", View, SHAPE, CLASSES)
    ensemble = ensemble_of(View, traits)
    assert strides_of_convolutions(ensemble, images) == {False}
    with pytest.raises(RuntimeError, match="view"):
        ensemble_of(View, Traits(channels_last=True)).logits(images, "cpu", Queries(), seed=0)


@pytest.mark.parametrize("target", [CNN, View])
def test_logits_are_those_of_the_network(target: Target, images: NDArray[np.float32]) -> None:
    traits = check_target("network", target, SHAPE, CLASSES)
    ensemble = ensemble_of(target, traits)
    draws = NoiseDraws(3, GaussianMask(0.5))
    logits = ensemble.logits(images, "cpu", draws, seed=5)
    assert logits.shape == (2, EXAMPLES, 3, CLASSES)
    for seed in range(2):
        network = initial_model(target, SHAPE, CLASSES, seed).eval()
        for query in range(3):
            generator = torch_generator(5, "queries", query)  # the noise has the channels first
            noisy = draws.ask(torch.from_numpy(images), query, generator)
            expected = network(noisy).detach().numpy()
            assert np.allclose(logits[seed, :, query], expected, rtol=0, atol=1e-5)
    mean = ensemble.mean_logits(images, "cpu", draws, seed=5)
    assert np.allclose(mean, logits.mean(axis=2, keepdims=True), rtol=0, atol=1e-6)


def test_no_bit_depends_on_the_other_models(images: NDArray[np.float32]) -> None:
    ensemble = ensemble_of(CNN, Traits(), models=3)
    together = ensemble.logits(images, "cpu", Queries(), seed=0)
    for model, weights in enumerate(ensemble.weights):
        network = initial_model(CNN, SHAPE, CLASSES, seed=4)
        alone = Ensemble(network, [weights]).logits(images, "cpu", Queries(), seed=0)
        assert np.array_equal(together[model], alone[0])


def test_the_largest_activation_is_that_of_the_widest_layer() -> None:
    cnn = CNN((3, 16, 16), 10, channels=(5, 7), hidden=8).eval()
    assert largest_activation(cnn, (3, 16, 16)) == 5 * 16 * 16 * FLOAT
    wide_second = CNN((3, 16, 16), 10, channels=(5, 21), hidden=8).eval()
    assert largest_activation(wide_second, (3, 16, 16)) == 21 * 8 * 8 * FLOAT
    mlp = MLP((64,), 10, hidden=(90, 30)).eval()
    assert largest_activation(mlp, (64,)) == 90 * FLOAT
    assert largest_activation(MLP((64,), 10, hidden=(9,)).eval(), (64,)) == 64 * FLOAT


def test_transposed_weights_are_no_activations() -> None:
    assert largest_activation(Functional((6,), 2).eval(), (6,)) == 50 * FLOAT


def test_batches_have_as_many_examples_as_fit() -> None:
    shape = (3, 32, 32)
    network = CNN(shape, 10, channels=(32, 64), hidden=8).eval()
    of_an_example = 32 * 32 * 32 * FLOAT
    assert query_batch(network, shape, "cpu") == CPU_BYTES // of_an_example
    assert CPU_BYTES // of_an_example < MOST_EXAMPLES < GPU_BYTES // of_an_example
    assert query_batch(MLP((64,), 10).eval(), (64,), "cpu") == MOST_EXAMPLES


def test_an_example_that_does_not_fit_is_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mgaudit.targets.querying.batch_size.CPU_BYTES", 100)
    assert query_batch(MLP((64,), 10).eval(), (64,), "cpu") == 1


def test_the_batch_is_found_without_changing_the_network() -> None:
    network = CNN(SHAPE, CLASSES).eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    state = torch.get_rng_state()
    query_batch(network, SHAPE, "cpu")
    assert torch.equal(state, torch.get_rng_state())
    assert not network.training
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_queries_use_batches_of_this_size(
    images: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    ensemble = ensemble_of(CNN, Traits(), models=1)
    seven = 7 * largest_activation(ensemble.model.eval(), SHAPE)
    monkeypatch.setattr("mgaudit.targets.querying.batch_size.CPU_BYTES", seven + 1)
    batches = []
    ensemble.model.register_forward_hook(lambda _, inputs, __: batches.append(len(inputs[0])))
    ensemble.logits(images, "cpu", Queries(), seed=0)
    assert batches[2:] == [7, 7, 6]  # after those of 1 and 2 examples that find the size
