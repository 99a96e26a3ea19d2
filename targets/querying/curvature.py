"""Outputs and loss curvature of a network with noise in its noise node.

A noise node is an additional input of a layer, whose value is noise
(`mgaudit.targets.schemes.noise_nodes`).
"""

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
SMALLEST_NORM = 1e-20  # of a vector in the power iteration; a smaller norm counts as 0


def noisy_outputs(
    recipe: Recipe, dataset: Dataset, weights: Weights, node: NDArray[np.float32], examples: int
) -> NDArray[np.float32]:
    """Returns the outputs (examples, classes) for the first `examples` examples, with node noise.

    `dataset` is standardised. `weights` are the weights of the network by name and `node`
    (outputs,) the weights of its noise node, as `training_trajectory` returns them. The noise
    depends only on the recipe's seed, so that outputs along training differ only by the weights.

    Raises:
        ValueError: Where the recipe's scheme has no noise node.
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
    """Returns the largest eigenvalue of J^T H J / n, the Gauss-Newton part of the loss Hessian.

    J is the derivative of the outputs for the first n = `examples` examples, with the scheme's
    noise in the node, with respect to all weights. H is the second derivative of the loss with
    respect to the outputs: the identity for the squared loss and diag(p) - p p^T for cross-entropy.
    For a two-layer linear network with only noise as input, the eigenvalue is sigma^2 (|w2|^2 +
    |w_ni|^2), where w2 are the outer weights and w_ni those of the node.

    The eigenvalue is computed by `iterations` steps of power iteration from a random vector, which
    converges from below. It is 0 if the product with the vector vanishes. The other arguments and
    the errors are those of `noisy_outputs`.
    """
    x = torch.from_numpy(dataset.inputs[:examples])
    generator = torch_generator(recipe.seed, "power iteration")
    with one_thread():
        model = _with_noise(recipe, dataset, weights, node, x)
        parameters = [parameter.requires_grad_() for parameter in model.parameters()]
        vector = [torch.randn(parameter.shape, generator=generator) for parameter in parameters]
        outputs = model(x)
        probabilities = torch.softmax(outputs.detach(), dim=-1)
        # J^T u is linear in u, so its derivative with respect to u, applied to v, is J v: two
        # backward passes replace a forward-mode derivative.
        u = torch.zeros_like(outputs, requires_grad=True)
        transposed_product = torch.autograd.grad(outputs, parameters, u, create_graph=True)
        curvature = 0.0
        for _ in range(iterations):
            norm = _norm(vector)
            if norm < SMALLEST_NORM:
                return 0.0
            unit_vector = [part / norm for part in vector]
            (change,) = torch.autograd.grad(transposed_product, u, unit_vector, retain_graph=True)
            if recipe.training.loss == "cross-entropy":
                mean_change = (probabilities * change).sum(dim=-1, keepdim=True)
                change = probabilities * (change - mean_change)
            scaled = change / len(x)
            vector = list(torch.autograd.grad(outputs, parameters, scaled, retain_graph=True))
            curvature = _norm(vector)
    return curvature


def _with_noise(
    recipe: Recipe, dataset: Dataset, weights: Weights, node: NDArray[np.float32], x: Tensor
) -> nn.Module:
    """Returns the network with its noise node, which holds a noise value for each example of `x`.

    `x` is (examples, *input_shape), and `weights` and `node` are as for `noisy_outputs`.
    """
    plain = initial_model(recipe.target, dataset.input_shape, len(dataset.classes), seed=0)
    state = {name: torch.from_numpy(values) for name, values in weights.items()}
    plain.load_state_dict(state)
    model = recipe.scheme.extend(plain)
    noise_node = node_in(model)
    if noise_node is None:
        raise ValueError(
            "recipe must have a scheme whose noise node is in the network, with sigma > 0"
        )
    with torch.no_grad():
        noise_node.node.weight.copy_(torch.from_numpy(node)[:, None])
    generator = torch_generator(recipe.seed, "node noise to measure with")
    noise_node.values = recipe.scheme.node_values(x, generator)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model.eval()


def _norm(vector: Sequence[Tensor]) -> float:
    """Returns the Euclidean norm of all values in tensors of any shapes."""
    squares = torch.stack([values.square().sum() for values in vector])
    return float(torch.sqrt(squares.sum()))
