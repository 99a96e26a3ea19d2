import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.autograd.functional import hessian
from torch.func import functional_call
from torch.nn.functional import cross_entropy, one_hot

from mgaudit.targets.networks.cnn import CNN
from mgaudit.targets.networks.mlp import MLP
from mgaudit.targets.networks.without_bias import WithoutBias
from mgaudit.targets.querying.hessian import Weights, hessian_trace
from mgaudit.targets.seeds import torch_generator
from mgaudit.targets.training import Training

ENTROPY, SQUARED = Training(), Training(loss="squared")


def of(model: nn.Module, seed: int = 0) -> Weights:
    generator = torch_generator(seed, "weights")
    return {
        name: torch.randn(tensor.shape, generator=generator, dtype=torch.float64).numpy()
        / math.sqrt(tensor[0].numel())
        for name, tensor in model.named_parameters()
    }


def data(*shape: int, examples: int = 12, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    generator = np.random.default_rng(0)
    return generator.normal(size=(examples, *shape)), generator.integers(classes, size=examples)


def exact_trace(model: nn.Module, weights: Weights, x: Any, y: Any, training: Training) -> float:
    """The trace of the whole Hessian by automatic differentiation, in all weights at once."""
    names, labels = list(weights), torch.from_numpy(y)

    def loss(*at: torch.Tensor) -> torch.Tensor:
        outputs = functional_call(model, dict(zip(names, at, strict=True)), (torch.from_numpy(x),))
        if training.loss == "squared":
            return ((outputs - one_hot(labels, outputs.shape[1])) ** 2).sum() / (2 * len(labels))
        return cross_entropy(outputs, labels, label_smoothing=training.label_smoothing)

    blocks: Any = hessian(loss, tuple(torch.from_numpy(weights[name]) for name in names))
    diagonal = [
        blocks[index][index].reshape(weights[name].size, -1) for index, name in enumerate(names)
    ]
    return float(sum(block.trace() for block in diagonal))


def test_a_linear_network_with_the_squared_loss_has_the_trace_in_closed_form() -> None:
    # k ||X||^2 / n with one layer, (k ||W_1 X^T||^2 + ||W_2||^2 ||X||^2) / n with two.
    x, y = data(4)
    linear, deep = WithoutBias((4,), 3, (), "linear"), WithoutBias((4,), 3, (5,), "linear")
    first, second = of(deep).values()
    of_one = 3 * (x**2).sum() / 12
    of_two = (3 * ((x @ first.T) ** 2).sum() + (second**2).sum() * (x**2).sum()) / 12
    for model, expected in ((linear, of_one), (deep, of_two)):
        assert exact_trace(model, of(model), x, y, SQUARED) == pytest.approx(expected)
        estimate = hessian_trace(model, of(model), x, y, SQUARED, 400, np.random.default_rng(0))
        assert abs(estimate.value - expected) < 4 * estimate.standard_error < 0.2 * expected


@pytest.mark.parametrize(
    "training", [Training(label_smoothing=0.2), SQUARED], ids=["entropy", "squared"]
)
def test_the_estimate_is_unbiased_and_knows_its_error(training: Training) -> None:
    model = MLP((4,), 3, (5, 4))
    weights, (x, y) = of(model), data(4)
    exact = exact_trace(model, weights, x, y, training)
    generator = np.random.default_rng(1)
    traces = [hessian_trace(model, weights, x, y, training, 5, generator) for _ in range(40)]
    errors = np.array([trace.value for trace in traces]) - exact
    spread = errors.std(ddof=1)
    assert abs(errors.mean()) < 4 * spread / math.sqrt(len(traces)) < 0.4 * exact
    reported = math.sqrt(np.mean([trace.standard_error**2 for trace in traces]))
    assert reported == pytest.approx(spread, rel=4 / math.sqrt(2 * len(traces)))


def test_it_does_not_depend_on_batches_and_serves_convolutions() -> None:
    model = CNN((1, 8, 8), 3, channels=(2,), hidden=3)
    weights, (x, y) = of(model), data(1, 8, 8)
    exact = exact_trace(model, weights, x, y, ENTROPY)
    whole, parts = (
        hessian_trace(model, weights, x, y, ENTROPY, 30, np.random.default_rng(0), batch_size)
        for batch_size in (12, 5)
    )
    assert parts.value == pytest.approx(whole.value, rel=1e-10)
    assert abs(whole.value - exact) < 4 * whole.standard_error < exact


def test_without_curvature_it_is_0() -> None:
    model = WithoutBias((4,), 3, (5,))
    zero = {name: np.zeros_like(values) for name, values in of(model).items()}
    x, y = data(4)
    assert hessian_trace(model, zero, x, y, ENTROPY, 3, np.random.default_rng(0)).value == 0


def test_weights_of_single_precision_are_enough() -> None:
    model = MLP((4,), 3, (5,))
    weights, (x, y) = of(model), data(4)
    single = {name: values.astype(np.float32) for name, values in weights.items()}
    values = [
        hessian_trace(model, at, x, y, ENTROPY, 3, np.random.default_rng(0)).value
        for at in (weights, single)
    ]
    assert values[1] == pytest.approx(values[0], rel=1e-4)


def test_one_probe_is_refused() -> None:
    model = MLP((4,), 3, (5,))
    with pytest.raises(ValueError, match="probes must be >= 2, got 1"):
        hessian_trace(model, of(model), *data(4), ENTROPY, 1, np.random.default_rng(0))


def test_a_network_without_bias_holds_its_matrices_alone() -> None:
    x = np.random.default_rng(0).normal(size=(7, 2, 3)).astype(np.float32)
    for activation in ("relu", "linear"):
        model = WithoutBias((2, 3), 4, (5, 6), activation)  # type: ignore[arg-type]
        first, second, third = (weight.detach().numpy() for weight in model.parameters())
        bend = (lambda z: np.maximum(z, 0)) if activation == "relu" else (lambda z: z)
        expected = bend(bend(x.reshape(7, 6) @ first.T) @ second.T) @ third.T
        np.testing.assert_allclose(model(torch.from_numpy(x)).detach().numpy(), expected, atol=1e-6)
    with pytest.raises(ValueError, match=r"hidden must hold widths >= 1, got \(0,\)"):
        WithoutBias((2,), 2, (0,))
    with pytest.raises(ValueError, match="activation must be 'relu' or 'linear', got 'tanh'"):
        WithoutBias((2,), 2, (3,), "tanh")  # type: ignore[arg-type]
