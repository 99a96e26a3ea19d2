from typing import Any

import numpy as np
import pytest
import torch
from torch.autograd.functional import hessian
from torch.func import functional_call

from mgaudit.targets.networks.bounded_mlp import Activation, BoundedMLP
from mgaudit.targets.networks.mlp import MLP
from mgaudit.targets.querying.local_derivatives import (
    loss_derivatives,
    output_jacobians,
    shifted_gradients,
)
from mgaudit.targets.seeds import torch_generator
from mgaudit.targets.training import Training
from mgaudit.theory.local_curvature import (
    gradient_square,
    local_gradients,
    local_traces,
    output_derivatives,
    weight_trace,
)

ENTROPY, SQUARED = Training(), Training(loss="squared")


def losses_of(outputs: torch.Tensor, labels: np.ndarray, training: Training) -> list[torch.Tensor]:
    one_hot = torch.eye(3)[torch.from_numpy(labels)]
    if training.loss == "squared":
        return list(0.5 * (outputs - one_hot).square().sum(dim=1))
    return list(torch.logsumexp(outputs, dim=1) - (outputs * one_hot).sum(dim=1))


EACH_LOSS = pytest.mark.parametrize("training", [ENTROPY, SQUARED], ids=["entropy", "squared"])


def model_of(activation: Activation) -> tuple[BoundedMLP, dict[str, np.ndarray]]:
    model = BoundedMLP((4,), 3, (6, 5), activation)
    generator = torch_generator(0, "weights")
    weights = {
        name: torch.randn(tensor.shape, generator=generator).numpy()
        for name, tensor in model.named_parameters()
    }
    return model, weights


def data(examples: int = 8) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    x = generator.standard_normal((examples, 4)).astype(np.float32)
    return x, generator.integers(3, size=examples)


@EACH_LOSS
@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu"])
def test_gradients_and_curvatures_are_those_of_shifted_preactivations(
    activation: Activation, training: Training
) -> None:
    model, weights = model_of(activation)
    x, labels = data()
    step = 3e-3
    for layer, own in enumerate(loss_derivatives(model, weights, x, labels, training)):
        for unit in range(own.gradients.shape[1]):
            shift = np.zeros(own.gradients.shape)
            still = shifted_gradients(model, weights, x, labels, training, layer, shift)
            np.testing.assert_allclose(still, own.gradients, atol=1e-6)
            shift[:, unit] = step
            up, down = (
                shifted_gradients(model, weights, x, labels, training, layer, sign * shift)
                for sign in (1, -1)
            )
            slopes = (up - down)[:, unit] / (2 * step)
            np.testing.assert_allclose(slopes, own.curvatures[:, unit], rtol=2e-3, atol=2e-3)


@EACH_LOSS
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_the_sum_over_layers_is_the_trace_of_the_hessian_in_all_weights(
    activation: Activation, training: Training
) -> None:
    x, labels = data()
    model, weights = model_of(activation)
    layers = loss_derivatives(model, weights, x, labels, training)
    traces = [weight_trace(own.curvatures.sum(axis=1), own.inputs) for own in layers]
    names = list(weights)

    def loss(*at: torch.Tensor) -> torch.Tensor:
        outputs = functional_call(model, dict(zip(names, at, strict=True)), (torch.from_numpy(x),))
        return torch.stack(losses_of(outputs, labels, training)).mean()

    blocks: Any = hessian(loss, tuple(torch.from_numpy(weights[name]) for name in names))
    diagonal = [blocks[i][i].reshape(weights[name].size, -1) for i, name in enumerate(names)]
    exact = sum(float(block.trace()) for block in diagonal)
    assert sum(traces) == pytest.approx(exact, rel=1e-4)


@EACH_LOSS
def test_jacobians_give_the_same_derivatives_for_relu(training: Training) -> None:
    model, weights = model_of("relu")
    x, labels = data()
    outputs, jacobians = output_jacobians(model, weights, x)
    by_outputs = output_derivatives(outputs, labels, training.loss)
    expected = loss_derivatives(model, weights, x, labels, training)
    squares = 0.0
    for own, direct in zip(jacobians, expected, strict=True):
        gradients = local_gradients(own.jacobian, by_outputs.slopes)
        traces = local_traces(own.jacobian, by_outputs.curvatures)
        np.testing.assert_allclose(gradients, direct.gradients, atol=1e-5)
        np.testing.assert_allclose(traces, direct.curvatures.sum(axis=1), rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(own.inputs, direct.inputs)
        squares += gradient_square(gradients, own.inputs)
    loss = torch.stack(losses_of(model(torch.from_numpy(x)), labels, training)).mean()
    slopes = torch.autograd.grad(loss, list(model.parameters()))
    exact = sum(float(slope.square().sum()) for slope in slopes)
    assert squares == pytest.approx(exact, rel=1e-4)


def test_preactivations_of_the_output_layer_are_the_outputs() -> None:
    model, weights = model_of("tanh")
    x, labels = data()
    outputs, jacobians = output_jacobians(model, weights, x)
    last = loss_derivatives(model, weights, x, labels, SQUARED)[-1]
    np.testing.assert_allclose(last.preactivations, outputs, rtol=1e-6)
    np.testing.assert_array_equal(jacobians[-1].jacobian, np.broadcast_to(np.eye(3), (8, 3, 3)))
    np.testing.assert_allclose(last.curvatures, 1.0, rtol=1e-6)


def test_a_bounded_network_has_the_layers_of_the_mlp() -> None:
    x = torch.randn(5, 2, 3, generator=torch_generator(0, "x"))
    plain = MLP((2, 3), 4, (7, 6))
    for activation, function in (
        ("relu", torch.relu),
        ("tanh", torch.tanh),
        ("sigmoid", torch.sigmoid),
    ):
        model = BoundedMLP((2, 3), 4, (7, 6), activation)  # type: ignore[arg-type]
        model.load_state_dict(plain.state_dict())
        first, second, head = (layer for layer in plain.layers if hasattr(layer, "weight"))
        expected = head(function(second(function(first(x.flatten(1))))))
        torch.testing.assert_close(model(x), expected)
    with pytest.raises(ValueError, match="activation must be one of relu, tanh, sigmoid, got 'x'"):
        BoundedMLP((2,), 2, (3,), "x")  # type: ignore[arg-type]
