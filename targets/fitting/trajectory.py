"""Training trajectories: the weights at chosen steps, and the loss of every step."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mgaudit.targets.datasets import Dataset
from mgaudit.targets.fitting.examples import Streams, TrainingExamples
from mgaudit.targets.fitting.federated import client_streams, fit_federated
from mgaudit.targets.fitting.loop import Moment, fit
from mgaudit.targets.fitting.recipe import Recipe, initial_model, one_thread, train_at_once
from mgaudit.targets.fitting.stack import ModelStack
from mgaudit.targets.networks.two_layer import TwoLayer
from mgaudit.targets.schemes import Scheme
from mgaudit.targets.training import Training

Weights = dict[str, NDArray[np.float32]]

NODE = ".node.weight"  # suffix of the name of a noise node's weights


@dataclass(frozen=True)
class Trajectory:
    """The weights and losses of models during training.

    `weights[m][k]` are the weights of model m after `steps[k]` steps, by name, in the format of
    `Ensemble`. `nodes[m][k]` are the weights of its noise node (outputs,), or None without a node.
    `losses` (models, all steps) are the training losses of each step's batch with the noise, before
    the step; the losses of a diverged model are not finite.
    """

    steps: list[int]
    weights: list[list[Weights]]
    nodes: list[list[NDArray[np.float32] | None]]
    losses: NDArray[np.float64]


def training_trajectory(
    recipe: Recipe,
    dataset: Dataset,
    membership: NDArray[np.bool_],
    steps: Sequence[int],
    device: str,
) -> Trajectory:
    """Trains a model for each row of `membership` as one stack and returns its trajectory.

    Args:
        recipe: The recipe of plain training.
        dataset: The standardised dataset.
        membership: Training examples of each model (models, examples), bool.
        steps: The numbers of steps after which weights are recorded; 0 means before the first step.
            Numbers beyond the end of training are left out of the result.
        device: "cpu" or "cuda".

    Raises:
        ValueError: For DP-SGD, for clients, and for `steps` that are empty or negative.
    """
    recorded = _checked(steps)
    models = range(len(membership))
    losses = []
    weights: list[list[Weights]] = [[] for _ in models]
    nodes: list[list[NDArray[np.float32] | None]] = [[] for _ in models]

    def watch(moment: Moment) -> None:
        """Records the losses of each step, and the weights after the steps to record."""
        if moment.losses is not None:
            losses.append(moment.losses.cpu().double().numpy())
        if moment.done in recorded:
            for model in models:
                model_weights, node = _snapshot(moment.stack, model)
                weights[model].append(model_weights)
                nodes[model].append(node)

    with one_thread():
        train_at_once(recipe, dataset, membership, models, torch.device(device), watch)
    reached = [step for step in sorted(recorded) if step <= len(losses)]
    return Trajectory(reached, weights, nodes, np.stack(losses, axis=1))


def _snapshot(stack: ModelStack, model: int) -> tuple[Weights, NDArray[np.float32] | None]:
    """Returns copies of the weights and buffers of a model, and of its noise node's weights."""
    tensors = stack.of_model(model) | dict(stack.models[model].named_buffers())
    weights: Weights = {}
    node = None
    for name, tensor in tensors.items():
        values = tensor.detach().cpu().numpy().copy()
        if name.endswith(NODE):
            node = values[:, 0]
        else:
            weights[_name_without_node(name)] = values
    return weights, node


@dataclass(frozen=True)
class Regression:
    """A regression problem for the two-layer network of the theory, in float64 with full batches.

    `inputs` x are (n, d), `values` y (n,) are the numbers to predict, `weights` (m, d) are the
    initial weights and `outer` (m,) the fixed outer weights, 1 or -1.
    """

    inputs: NDArray[np.float64]
    values: NDArray[np.float64]
    weights: NDArray[np.float64]
    outer: NDArray[np.float64]


def regression_trajectory(
    problem: Regression,
    scheme: Scheme,
    learning_rate: float,
    steps: Sequence[int],
    seed: int,
    clients: int = 1,
    local_steps: int = 1,
) -> NDArray[np.float64]:
    """Returns the weights (snapshots, m, d) at some steps of gradient descent.

    `steps` are the numbers of steps after which a snapshot is taken; the snapshots are in ascending
    order, without duplicates. The loss is 1/2 sum_i (f(x_i) - y_i)^2.

    `seed` determines the noise of `scheme` and the clients' shares. With several `clients`, each
    client has its own share of the sum, and takes `local_steps` steps on it before the clients'
    weights are averaged. A client's gradient is multiplied by the number of clients, so that the
    mean over clients is the gradient of the sum. A snapshot is the mean of the clients' weights.

    Raises:
        ValueError: For shares of the clients that are not equal, and for `steps` that are empty or
            negative.
    """
    recorded = _checked(steps)
    snapshots = []
    n = len(problem.inputs)
    if n % clients:
        raise ValueError(f"clients must share {n} examples evenly, got {clients}")
    model = _two_layer(problem, seed)
    inputs = torch.from_numpy(problem.inputs)
    values = torch.from_numpy(problem.values)[:, None]
    examples = TrainingExamples(inputs, values, (torch.arange(n),))
    training = Training(
        epochs=max(*recorded, 1),
        batch_size=n,
        learning_rate=learning_rate * n,  # the loss of a step is the mean over examples
        momentum=0.0,
        loss="squared",
        schedule="constant",
        clients=clients,
        local_steps=local_steps,
    )

    def watch(moment: Moment) -> None:
        """Records the weights after the steps to record."""
        if moment.done in recorded:
            weight = moment.stack.weights["hidden.weight"].detach()
            if clients > 1:
                weight = weight.mean(dim=0)
            snapshots.append(weight.numpy().copy())

    stream = Streams.of_model(seed, 0, "cpu")
    examples = examples.with_fixed_noise(scheme, 1, [stream])
    with one_thread():
        if clients > 1:
            streams = client_streams(seed, 0, clients, "cpu")
            fit_federated(model, examples, scheme, training, n, stream, streams, watch)
        else:
            fit([model], examples, scheme, training, n, [stream], watch)
    return np.stack(snapshots)


def _two_layer(problem: Regression, seed: int) -> nn.Module:
    """Returns the network of the theory with the problem's initial weights, in float64."""
    features, width = problem.inputs.shape[1], len(problem.outer)
    model = initial_model(partial(TwoLayer, width=width), (features,), 1, seed).double()
    hidden = torch.from_numpy(problem.weights)
    outer = torch.from_numpy(problem.outer)[None]
    model.load_state_dict({"hidden.weight": hidden, "outer": outer})
    return model


def _checked(steps: Sequence[int]) -> set[int]:
    """Returns `steps` as a set, or raises ValueError if they are empty or negative."""
    if not steps or min(steps) < 0:
        raise ValueError(f"steps must be some numbers >= 0, got {list(steps)}")
    return set(steps)


def _name_without_node(name: str) -> str:
    """Returns the name of a weight in the network without the node, which wraps a layer.

    >>> _name_without_node("layers.0.layer.weight"), _name_without_node("layers.0.weight")
    ('layers.0.weight', 'layers.0.weight')
    """
    return ".".join(part for part in name.split(".") if part != "layer")
