"""Networks on images, trained with a noise node by plain SGD, and their measurements.

A noise node is an extra input of a layer that receives random noise of standard deviation sigma.
The curvature is the top eigenvalue of the training loss with noise, and the sharpness is the
learning rate eta times the curvature. A snapshot is the weights after some step; a trajectory has
all snapshots of several models. `model` and `snapshot` are indices in a trajectory, from 0; -1 is
the last.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import optimize
from scipy.special import logsumexp

from mgaudit.papers.claim import Row
from mgaudit.settings.datasets import load
from mgaudit.targets.datasets import Dataset
from mgaudit.targets.fitting.recipe import Recipe, Target, initial_model
from mgaudit.targets.fitting.trajectory import Trajectory, training_trajectory
from mgaudit.targets.networks.bounded_mlp import Activation, BoundedMLP
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
    "The paper's own network of Fig. 1 is a ReLU MLP of three hidden layers on Fashion-MNIST, with "
    "batches of 128; its widths and learning rate are not known to us. Ours has three hidden "
    "layers, the node at the first, torch's default initial weights and plain SGD at a constant "
    "rate. The curvature λ is the top "
    "eigenvalue of the Gauss-Newton part of the Hessian of the training loss with noise, by all "
    "weights, at the start; for the linear network it is σ²(‖w₂‖² + ‖w_ni‖²). σ is given over "
    "that at which ηλ = 2. "
)
EXPLODED = (
    1e6  # larger weights of a node count as diverged, even where they are still finite in float32
)


@dataclass(frozen=True)
class NodeExperiment:
    """An MLP with a node at one of its layers, its data, and plain SGD at one rate.

    `hidden` are the widths of the hidden layers, `eta` is the learning rate, `batch` the number of
    examples in a batch and `models` the number of models. `probed` is the number of training
    examples on which losses and curvatures are computed, the first ones of the data. `layer` is the
    layer with the node, counted from 0 at the inputs, and `activation` that of the hidden layers.
    """

    data: Dataset
    hidden: tuple[int, ...]
    eta: float
    batch: int
    epochs: int
    models: int
    probed: int
    seed: int
    layer: int = 0
    activation: Activation = "relu"

    def recipe(self, loss: LossName, sigma: float, fixed: bool = False) -> Recipe:
        """Returns how to train with noise of standard deviation `sigma` at the node.

        The noise is drawn once for each example if `fixed`, and otherwise in each epoch.
        """
        training = Training(
            epochs=self.epochs,
            batch_size=self.batch,
            learning_rate=self.eta,
            momentum=0.0,
            loss=loss,
            schedule="constant",
        )
        target: Target = partial(MLP, hidden=self.hidden)
        if self.activation != "relu":
            target = partial(BoundedMLP, hidden=self.hidden, activation=self.activation)
        scheme = NoiseNodes(sigma, layer=self.layer, fixed=fixed)
        return Recipe(target, scheme, training, None, self.seed, len(self.data.labels))

    @property
    def steps(self) -> int:
        """The number of steps of training in all epochs."""
        steps_per_epoch = math.ceil(len(self.data.labels) / self.batch)
        return self.epochs * steps_per_epoch

    def train(self, recipe: Recipe, steps: Sequence[int]) -> Trajectory:
        """Returns the training of all models, with the weights after each of `steps` (ascending).

        Step 0 is the initial model. All models are trained on all examples.
        """
        # Overflow in float32 is expected where a model diverges.
        examples = len(self.data.labels)
        membership = np.ones((self.models, examples), dtype=bool)
        with np.errstate(over="ignore", invalid="ignore"):
            return training_trajectory(recipe, self.data, membership, steps, "cpu")


def network(
    dataset: str,
    examples: int,
    hidden: tuple[int, ...],
    eta: float,
    batch: int,
    epochs: int,
    models: int,
    seed: int,
) -> NodeExperiment:
    """Returns the experiment with these settings, with its data loaded and standardised."""
    data = load(dataset, examples, numpy_generator(seed, "examples")).standardised()
    probed = min(examples, MOST_PROBED)
    return NodeExperiment(data, hidden, eta, batch, epochs, models, probed, seed)


class ExperimentSettings(Protocol):
    """The settings of a figure that are those of `network`."""

    @property
    def dataset(self) -> str:
        """The dataset, as on the command line."""

    @property
    def examples(self) -> int:
        """The number of training examples."""

    @property
    def hidden(self) -> tuple[int, ...]:
        """The widths of the hidden layers."""

    @property
    def eta(self) -> float:
        """The learning rate."""

    @property
    def batch(self) -> int:
        """The number of examples in a batch."""

    @property
    def epochs(self) -> int:
        """The number of epochs."""

    @property
    def models(self) -> int:
        """The number of models."""

    @property
    def seed(self) -> int:
        """The seed of data, weights and noise."""


def experiment_of(settings: ExperimentSettings) -> NodeExperiment:
    """Returns the experiment with the settings of a figure."""
    return network(
        settings.dataset,
        settings.examples,
        settings.hidden,
        settings.eta,
        settings.batch,
        settings.epochs,
        settings.models,
        settings.seed,
    )


def in_order(rows: list[Row]) -> list[Row]:
    """Returns the rows sorted by their labels and then their numbers (see `_position`).

    So the order does not depend on which worker process ends first.
    """
    return sorted(rows, key=_position)


def _position(row: Row) -> tuple[list[str], list[float]]:
    """Returns the key by which a row is sorted; absent columns count as "" and 0."""
    words = [str(row.get(name, "")) for name in ("loss", "noise", "boundary")]
    numbers = [float(row.get(name, 0.0)) for name in ("sigma", "model", "step")]
    return words, numbers


def node_norm(trajectory: Trajectory, model: int, snapshot: int) -> float:
    """Returns the norm of the node's weights in a snapshot.

    It is inf if a weight is not finite or larger than EXPLODED. Raises ValueError for training
    without a node.
    """
    values = _node_weights(trajectory, model, snapshot).astype(np.float64)
    if not np.isfinite(values).all() or np.abs(values).max() > EXPLODED:
        return math.inf
    return float(np.linalg.norm(values))


def _node_weights(trajectory: Trajectory, model: int, snapshot: int) -> NDArray[np.float32]:
    """Returns the node's weights in a snapshot. Raises ValueError for training without a node."""
    node = trajectory.nodes[model][snapshot]
    if node is None:
        raise ValueError("the network must have a noise node, with sigma > 0")
    return node


def diverged(trajectory: Trajectory, model: int) -> bool:
    """Returns whether a model diverged.

    It did if any of its training losses is not finite, or if a weight of the node exceeds EXPLODED
    in the last snapshot.
    """
    finite_losses = np.isfinite(trajectory.losses[model]).all()
    return not finite_losses or math.isinf(node_norm(trajectory, model, -1))


def sharpness(
    experiment: NodeExperiment, recipe: Recipe, trajectory: Trajectory, model: int, snapshot: int
) -> float:
    """Returns eta times the top curvature of the training loss with noise, for one snapshot.

    The curvature is computed on the first `probed` examples, with noise drawn for it. The model
    must not have diverged.
    """
    node = _node_weights(trajectory, model, snapshot)
    weights = trajectory.weights[model][snapshot]
    return experiment.eta * top_curvature(recipe, experiment.data, weights, node, experiment.probed)


def noisy_loss(
    experiment: NodeExperiment, recipe: Recipe, trajectory: Trajectory, model: int, snapshot: int
) -> float:
    """Returns the mean loss with noise of a snapshot on the probed training examples.

    All snapshots have the same draw of the noise. The loss is inf if the node's weights diverged,
    and for training without a node.
    """
    node = trajectory.nodes[model][snapshot]
    if node is None or math.isinf(node_norm(trajectory, model, snapshot)):
        return math.inf
    weights = trajectory.weights[model][snapshot]
    outputs = noisy_outputs(recipe, experiment.data, weights, node, experiment.probed)
    labels = experiment.data.labels[: experiment.probed]
    return mean_loss(outputs, labels, recipe.training.loss)


def plain_outputs(
    experiment: NodeExperiment,
    recipe: Recipe,
    weights: Sequence[dict[str, NDArray[np.float32]]],
    test: bool,
) -> list[NDArray[np.float32]]:
    """Returns the outputs without noise, float32 (examples, classes), for each of `weights`.

    `weights` has the arrays of a network by name, one dict for each snapshot. The examples are the
    test examples if `test`, else the probed training examples.
    """
    data = experiment.data
    model = initial_model(recipe.target, data.input_shape, len(data.classes), seed=0)
    inputs = data.test_inputs if test else data.inputs[: experiment.probed]
    logits = Ensemble(model, weights).logits(inputs, "cpu", Queries(), experiment.seed)
    return list(logits[:, :, 0])


def mean_loss(outputs: NDArray[np.float32], labels: NDArray[np.int64], loss: str) -> float:
    """Returns the mean loss of `outputs` over examples; inf if an output is not finite.

    Args:
        outputs: float32, (examples, classes).
        labels: int64, (examples,), the index of each example's class.
        loss: "squared", half the squared distance to the one-hot label, or "cross-entropy" (nats).
    """
    values: Floats = outputs.astype(np.float64)
    if not np.isfinite(values).all():
        return math.inf
    if loss == "squared":
        one_hot = np.eye(values.shape[1])[labels]
        squares = np.sum((values - one_hot) ** 2, axis=1)
        return float(0.5 * squares.mean())
    label_logits = values[np.arange(len(labels)), labels]
    return float(np.mean(logsumexp(values, axis=1) - label_logits))


def reference_sigma(experiment: NodeExperiment, loss: LossName) -> float:
    """Returns the sigma of the node at which training begins to grow instead of to decay.

    At this sigma, the initial sharpness, which is eta times the top eigenvalue of the Hessian, is 2
    (GROWTH) in the mean over two models. Other values of sigma are stated relative to it.

    Raises:
        ValueError: The sharpness is 2 or more at the smallest sigma, 1e-3; eta is too high for the
            network.
    """
    start = replace(experiment, epochs=1, models=min(experiment.models, 2))
    # The initial weights are the same at each sigma, so any sigma will do here.
    initial = start.train(start.recipe(loss, 1.0), [0])

    def log_excess(log_sigma: float) -> float:
        """Returns ln(mean sharpness / 2) at sigma = exp(`log_sigma`); 0 at the result."""
        recipe = start.recipe(loss, math.exp(log_sigma))
        values = [sharpness(experiment, recipe, initial, model, 0) for model in range(start.models)]
        return math.log(float(np.mean(values)) / GROWTH)

    low, high = math.log(1e-3), math.log(8.0)
    if log_excess(low) >= 0:
        raise ValueError(
            "eta must be lower for this network, whose curvature times it is >= 2, got "
            f"{experiment.eta}"
        )
    while log_excess(high) < 0:
        low, high = high, high + math.log(8.0)
    return math.exp(optimize.brentq(log_excess, low, high, xtol=0.01))
