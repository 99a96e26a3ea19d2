"""Training with snapshots: the weights at chosen steps, and the loss of every step."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from mgaudit.targets.datasets import Dataset
from mgaudit.targets.fitting.examples import Streams, TrainingExamples
from mgaudit.targets.fitting.federated import client_streams, fit_federated
from mgaudit.targets.fitting.loop import Moment, fit
from mgaudit.targets.fitting.recipe import Recipe, initial_model, one_thread, train_at_once
from mgaudit.targets.networks.two_layer import TwoLayer
from mgaudit.targets.schemes import Scheme
from mgaudit.targets.training import Training

NODE = ".node.weight"  # how the weights of a noise node end in the names of a network that has one


@dataclass(frozen=True)
class Trajectory:
    """What became of models in training.

    `weights[m][k]` holds those of model m after `steps[k]` steps by name, as `Ensemble` takes them, and `nodes[m][k]`
    those of its noise node (outputs,), if it has one. `losses` (models, steps) are the training losses of each step's
    batch with the noise, before the step; what diverged is not finite.
    """

    steps: list[int]
    weights: list[list[dict[str, NDArray[np.float32]]]]
    nodes: list[list[NDArray[np.float32] | None]]
    losses: NDArray[np.float64]


def training_trajectory(
    recipe: Recipe, dataset: Dataset, membership: NDArray[np.bool_], steps: Sequence[int], device: str
) -> Trajectory:
    """Trains a model for each row of `membership` (models, examples), as one stack, and returns what became of them.

    `steps` are the numbers of steps after which weights are kept, 0 being before the first. A model trains on the
    examples of its row of the standardised `dataset`. Raises ValueError for DP-SGD and for clients.
    """
    kept, models, losses = _checked(steps), range(len(membership)), []
    weights: list[list[dict[str, NDArray[np.float32]]]] = [[] for _ in models]
    nodes: list[list[NDArray[np.float32] | None]] = [[] for _ in models]

    def watch(moment: Moment) -> None:
        if moment.losses is not None:
            losses.append(moment.losses.cpu().double().numpy())
        if moment.done in kept:
            for model, (snapshots, values) in enumerate(zip(weights, nodes, strict=True)):
                own = _copied(moment.stack.of_model(model) | dict(moment.stack.models[model].named_buffers()))
                snapshots.append({_plain(name): one for name, one in own.items() if not name.endswith(NODE)})
                values.append(next((one[:, 0] for name, one in own.items() if name.endswith(NODE)), None))

    with one_thread():
        train_at_once(recipe, dataset, membership, models, torch.device(device), watch)
    return Trajectory(
        [step for step in sorted(kept) if step <= len(losses)],
        weights,
        nodes,
        np.stack(losses, axis=1),
    )


@dataclass(frozen=True)
class Regression:
    """Real values to fit by the network of the theory: float64, all examples in every step.

    `inputs` are (n, d), `values` (n,), `weights` (m, d) those that training starts from and `outer` (m,) the fixed +-1.
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
    """Returns the weights (snapshots, m, d) after so many `steps` of gradient descent on 1/2 sum_i (f(x_i) - y_i)^2.

    With several `clients`, each takes `local_steps` such steps, on its own share of the sum, between averagings; a
    client's gradient is multiplied by their number, so that the mean of all is the whole gradient. A snapshot is the
    mean of the clients' weights. Raises ValueError where the clients' shares are not equal.
    """
    kept, snapshots = _checked(steps), []
    (n, d), m = problem.inputs.shape, len(problem.outer)
    if n % clients:
        raise ValueError(f"clients must share {n} examples evenly, got {clients}")
    model = initial_model(partial(TwoLayer, width=m), (d,), 1, seed).double()
    model.load_state_dict(
        {"hidden.weight": torch.from_numpy(problem.weights), "outer": torch.from_numpy(problem.outer)[None]}
    )
    examples = TrainingExamples(
        torch.from_numpy(problem.inputs), torch.from_numpy(problem.values)[:, None], (torch.arange(n),)
    )
    training = Training(
        epochs=max(max(kept), 1),
        batch_size=n,
        learning_rate=learning_rate * n,  # the loss of a step is the mean over examples
        momentum=0.0,
        loss="squared",
        schedule="constant",
        clients=clients,
        local_steps=local_steps,
    )

    def watch(moment: Moment) -> None:
        if moment.done in kept:
            weight = moment.stack.weights["hidden.weight"].detach()
            snapshots.append((weight.mean(dim=0) if clients > 1 else weight).numpy().copy())

    own = Streams.of_model(seed, 0, "cpu")
    examples = examples.with_fixed_noise(scheme, 1, [own])
    with one_thread():
        if clients > 1:
            fit_federated(model, examples, scheme, training, n, own, client_streams(seed, 0, clients, "cpu"), watch)
        else:
            fit([model], examples, scheme, training, n, [own], watch)
    return np.stack(snapshots)


def _checked(steps: Sequence[int]) -> set[int]:
    if not steps or min(steps) < 0:
        raise ValueError(f"steps must be some numbers >= 0, got {list(steps)}")
    return set(steps)


def _copied(weights: dict[str, torch.Tensor]) -> dict[str, NDArray[np.float32]]:
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in weights.items()}


def _plain(name: str) -> str:
    """Returns what the weight is called in a network without the node, which wraps the layer it joins.

    >>> _plain("layers.0.layer.weight"), _plain("layers.0.weight")
    ('layers.0.weight', 'layers.0.weight')
    """
    return ".".join(part for part in name.split(".") if part != "layer")
