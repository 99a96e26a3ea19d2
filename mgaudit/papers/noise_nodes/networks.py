"""ReLU networks on images trained under a noise node by plain SGD, and what is read off them along the way."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import optimize
from scipy.special import logsumexp

from mgaudit.papers.claim import Row
from mgaudit.settings.datasets import load
from mgaudit.targets.datasets import Dataset
from mgaudit.targets.fitting.recipe import Recipe, initial_model
from mgaudit.targets.fitting.trajectory import Trajectory, training_trajectory
from mgaudit.targets.networks.mlp import MLP
from mgaudit.targets.querying.curvature import noisy_outputs, top_curvature
from mgaudit.targets.querying.ensemble import Ensemble
from mgaudit.targets.querying.queries import Queries
from mgaudit.targets.schemes import NoiseNodes
from mgaudit.targets.seeds import numpy_generator
from mgaudit.targets.training import Training
from mgaudit.theory.arguments import Floats
from mgaudit.theory.noise_nodes import GROWTH

LossName = Literal["squared", "cross-entropy"]
LOSS_NAMES: tuple[LossName, ...] = ("squared", "cross-entropy")
MOST_PROBED = 400
ABOUT_NETWORK = (
    "The paper's own network is a ReLU MLP of three hidden layers on Fashion-MNIST; its widths, rate and batch are not "
    "known to us. Ours has three hidden layers, the node at the first, torch's own initial weights and plain SGD at a "
    "constant rate. The curvature λ is the top eigenvalue of the Gauss-Newton part of the Hessian of the training loss "
    "with noise, by all weights, at the start; for the linear network it is σ²(‖w₂‖² + ‖w_ni‖²). σ is given over "
    "that at which ηλ = 2. "
)
EXPLODED = 1e6  # weights of a node past this have diverged, whether or not float32 still holds them


@dataclass(frozen=True)
class NodeExperiment:
    """A ReLU MLP with the node at its first layer, its data, and plain SGD at one rate.

    `probed` is the number of examples that losses and curvatures are taken on.
    """

    data: Dataset
    hidden: tuple[int, ...]
    eta: float
    batch: int
    epochs: int
    models: int
    probed: int
    seed: int

    def recipe(self, loss: LossName, sigma: float, fixed: bool = False) -> Recipe:
        """Returns the recipe of its training."""
        training = Training(
            epochs=self.epochs,
            batch_size=self.batch,
            learning_rate=self.eta,
            momentum=0.0,
            loss=loss,
            schedule="constant",
        )
        target = partial(MLP, hidden=self.hidden)
        scheme = NoiseNodes(sigma, layer=0, fixed=fixed)
        return Recipe(target, scheme, training, None, self.seed, len(self.data.labels))

    @property
    def steps(self) -> int:
        """The steps of training."""
        return self.epochs * math.ceil(len(self.data.labels) / self.batch)

    def train(self, recipe: Recipe, steps: Sequence[int]) -> Trajectory:
        """Returns the models' training, weights kept after `steps`."""
        everyone = np.ones((self.models, len(self.data.labels)), dtype=bool)
        with np.errstate(over="ignore", invalid="ignore"):
            return training_trajectory(recipe, self.data, everyone, steps, "cpu")


def network(
    dataset: str, examples: int, hidden: tuple[int, ...], eta: float, batch: int, epochs: int, models: int, seed: int
) -> NodeExperiment:
    """Returns the network of these settings with its data, standardised."""
    data = load(dataset, examples, numpy_generator(seed, "examples")).standardised()
    return NodeExperiment(data, hidden, eta, batch, epochs, models, min(examples, MOST_PROBED), seed)


def in_order(rows: list[Row]) -> list[Row]:
    """Returns the rows in the order of their words and then their numbers, whichever worker was first."""
    return sorted(
        rows,
        key=lambda row: [
            *(str(row.get(name, "")) for name in ("loss", "noise", "boundary")),
            *(float(row.get(name, 0.0)) for name in ("sigma", "model", "step")),
        ],
    )


def node_norm(found: Trajectory, model: int, snapshot: int) -> float:
    """Returns the norm of the node's weights, inf where they diverged."""
    node = found.nodes[model][snapshot]
    if node is None:
        raise ValueError("the network must have a noise node, with sigma > 0")
    values = node.astype(np.float64)
    if not np.isfinite(values).all() or np.abs(values).max() > EXPLODED:
        return math.inf
    return float(np.linalg.norm(values))


def diverged(found: Trajectory, model: int) -> bool:
    """Returns whether the model's loss or its node's weights have left all bounds."""
    return not np.isfinite(found.losses[model]).all() or math.isinf(node_norm(found, model, -1))


def sharpness(of: NodeExperiment, recipe: Recipe, found: Trajectory, model: int, snapshot: int) -> float:
    """Returns eta times the top curvature of the training loss with fresh noise, at a snapshot that is finite."""
    node = found.nodes[model][snapshot]
    if node is None:
        raise ValueError("the network must have a noise node, with sigma > 0")
    return of.eta * top_curvature(recipe, of.data, found.weights[model][snapshot], node, of.probed)


def noisy_loss(of: NodeExperiment, recipe: Recipe, found: Trajectory, model: int, snapshot: int) -> float:
    """Returns the mean training loss with fresh noise, the same for all snapshots; inf where it diverged."""
    node = found.nodes[model][snapshot]
    if node is None or math.isinf(node_norm(found, model, snapshot)):
        return math.inf
    outputs = noisy_outputs(recipe, of.data, found.weights[model][snapshot], node, of.probed)
    return mean_loss(outputs, of.data.labels[: of.probed], recipe.training.loss)


def plain_outputs(
    of: NodeExperiment, recipe: Recipe, weights: Sequence[dict[str, NDArray[np.float32]]], test: bool
) -> list[NDArray[np.float32]]:
    """Returns the outputs (examples, classes) without noise of each of `weights`, for the probed or test examples."""
    built = initial_model(recipe.target, of.data.input_shape, len(of.data.classes), seed=0)
    inputs = of.data.test_inputs if test else of.data.inputs[: of.probed]
    logits = Ensemble(built, weights).logits(inputs, "cpu", Queries(), of.seed)
    return list(logits[:, :, 0])


def mean_loss(outputs: NDArray[np.float32], labels: NDArray[np.int64], loss: str) -> float:
    """Returns the mean loss of outputs (examples, classes), inf where one is not finite."""
    values: Floats = outputs.astype(np.float64)
    if not np.isfinite(values).all():
        return math.inf
    if loss == "squared":
        wanted = np.eye(values.shape[1])[labels]
        return float(0.5 * np.sum((values - wanted) ** 2, axis=1).mean())
    return float(np.mean(logsumexp(values, axis=1) - values[np.arange(len(labels)), labels]))


def reference_sigma(of: NodeExperiment, loss: LossName) -> float:
    """Returns the sigma at which eta times the top curvature is 2 at the start, on average over two models.

    Raises ValueError where it is there without noise, the rate being too high for the network.
    """
    start = replace(of, epochs=1, models=min(of.models, 2))
    found = start.train(start.recipe(loss, 1.0), [0])  # weights at the start are the same at each sigma

    def excess(log_sigma: float) -> float:
        recipe = start.recipe(loss, math.exp(log_sigma))
        found_there = [sharpness(of, recipe, found, model, 0) for model in range(start.models)]
        return math.log(float(np.mean(found_there)) / GROWTH)

    low, high = math.log(1e-3), math.log(8.0)
    if excess(low) >= 0:
        raise ValueError(f"eta must be lower for this network, whose curvature times it is >= 2, got {of.eta}")
    while excess(high) < 0:
        low, high = high, high + math.log(8.0)
    return math.exp(optimize.brentq(excess, low, high, xtol=0.01))
