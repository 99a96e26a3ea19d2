"""A network with its noise node on: what it answers, and the curvature of its training loss."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mgaudit.targets.datasets import Dataset
from mgaudit.targets.fitting.recipe import Recipe, initial_model, one_thread
from mgaudit.targets.schemes.noise_nodes import node_in
from mgaudit.targets.seeds import torch_generator

Weights = Mapping[str, NDArray[np.float32]]
LITTLE = 1e-20


def noisy_outputs(
    recipe: Recipe, dataset: Dataset, weights: Weights, node: NDArray[np.float32], examples: int
) -> NDArray[np.float32]:
    """Returns the outputs (examples, classes) for the first examples with the scheme's noise in the node.

    `weights` are those of the network by name and `node` (outputs,) those of its noise node, as `training_trajectory`
    keeps them. The noise depends on the recipe's seed alone, so that outputs along training differ by the weights.
    """
    x = torch.from_numpy(dataset.inputs[:examples])
    with one_thread(), torch.no_grad():
        model = _with_noise(recipe, dataset, weights, node, x)
        outputs: NDArray[np.float32] = model(x).numpy()
    return outputs


def top_curvature(
    recipe: Recipe,
    dataset: Dataset,
    weights: Weights,
    node: NDArray[np.float32],
    examples: int,
    iterations: int = 30,
) -> float:
    """Returns the largest eigenvalue of J^T H J / n, the Gauss-Newton part of the Hessian of the training loss.

    J is the derivative of the outputs for the first n examples, with the scheme's noise in the node, by all weights; H
    that of the loss, twice, by the outputs: the identity for the squared loss and diag(p) - p p^T for cross-entropy.
    For a two-layer linear network on noise alone this is sigma^2 (|w2|^2 + |w_ni|^2). By power iteration from a random
    vector, from below. `weights` and `node` are as for `noisy_outputs`.
    """
    x, generator = (
        torch.from_numpy(dataset.inputs[:examples]),
        torch_generator(recipe.seed, "power iteration"),
    )
    with one_thread():
        model = _with_noise(recipe, dataset, weights, node, x)
        parameters = [parameter.requires_grad_() for parameter in model.parameters()]
        vector = [torch.randn(one.shape, generator=generator) for one in parameters]
        outputs = model(x)
        probabilities = torch.softmax(outputs.detach(), dim=-1)
        # J^T u is linear in u, so that its derivative by u, applied to v, is J v: two sweeps back for one ahead.
        u = torch.zeros_like(outputs, requires_grad=True)
        back = torch.autograd.grad(outputs, parameters, u, create_graph=True)
        curvature = 0.0
        for _ in range(iterations):
            size = _norm(vector)
            if size < LITTLE:
                return 0.0
            (change,) = torch.autograd.grad(
                back, u, [one / size for one in vector], retain_graph=True
            )
            if recipe.training.loss == "cross-entropy":
                change = probabilities * (
                    change - (probabilities * change).sum(dim=-1, keepdim=True)
                )
            vector = list(
                torch.autograd.grad(outputs, parameters, change / len(x), retain_graph=True)
            )
            curvature = _norm(vector)
    return curvature


def _with_noise(
    recipe: Recipe, dataset: Dataset, weights: Weights, node: NDArray[np.float32], x: Tensor
) -> nn.Module:
    """Returns the network with its node in it, noise for each of `x` in the node."""
    plain = initial_model(recipe.target, dataset.input_shape, len(dataset.classes), seed=0)
    plain.load_state_dict({name: torch.from_numpy(values) for name, values in weights.items()})
    model = recipe.scheme.extend(plain)
    joined = node_in(model)
    if joined is None:
        raise ValueError(
            "recipe must have a scheme whose noise node is in the network, with sigma > 0"
        )
    with torch.no_grad():
        joined.node.weight.copy_(torch.from_numpy(node)[:, None])
    joined.values = recipe.scheme.node_values(
        x, torch_generator(recipe.seed, "node noise to measure with")
    )
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model.eval()


def _norm(vector: Sequence[Tensor]) -> float:
    return float(torch.sqrt(torch.stack([values.square().sum() for values in vector]).sum()))
