"""Traces of the gradient and of the Hessian, estimated from the weights of noise nodes.

The local gradient and Hessian are those of the loss by the preactivations of a layer
(`mgaudit.theory.local_curvature`). Several nodes with independent noise are at one layer, and the
weights of the network stay fixed, so that each draw of the noise gives the step that SGD would take
in the weights of the nodes. Both the estimates and the exact values are over the same examples.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import stats

from mgaudit.attacks.intervals import LEVEL, Interval
from mgaudit.compute import parallel
from mgaudit.papers.claim import Claim, Data, Measured, NotRun, Row
from mgaudit.papers.error_bars import error_bars
from mgaudit.papers.noise_nodes.looks import LOSSES
from mgaudit.papers.noise_nodes.networks import (
    LOSS_NAMES,
    LossName,
    NodeExperiment,
    experiment_of,
)
from mgaudit.papers.paper import PaperFigure, Resources
from mgaudit.papers.rows import column, distinct, matching
from mgaudit.reports.figures.panels import legend, panels
from mgaudit.targets.fitting.recipe import Recipe, initial_model
from mgaudit.targets.networks.bounded_mlp import Activation
from mgaudit.targets.querying.local_derivatives import (
    LossDerivatives,
    loss_derivatives,
    shifted_gradients,
)
from mgaudit.targets.seeds import numpy_generator
from mgaudit.targets.training import Training
from mgaudit.theory.arguments import Floats
from mgaudit.theory.local_curvature import (
    factored_trace,
    gradient_from_steps,
    trace_from_steps,
    weight_trace,
)

STATES = ("start", "end")
ACTIVATIONS: tuple[Activation, ...] = ("relu", "tanh")
NETWORK_WORDS = {"relu": "ReLU", "tanh": "tanh"}


@dataclass(frozen=True)
class LocalTraces:
    """The networks, and the nodes with which they are probed.

    A layer has as many nodes as preactivations, with orthogonal weights of random directions. Their
    noise shifts a preactivation by a standard deviation of `shift` times the root mean square of
    all preactivations of the layer. Noise and directions are drawn at least `repeats` times, and
    then until the standard error is `tolerance` times the exact value or less, but at most
    `most_relu` or `most_tanh` times. `gradient_nodes` is the number of nodes with weights 0.
    """

    dataset: str = "digits"
    examples: int = 500
    hidden: tuple[int, ...] = (64, 64, 64)
    eta: float = 0.1
    batch: int = 128
    epochs: int = 20
    models: int = 3
    repeats: int = 10
    most_relu: int = 40
    most_tanh: int = 800
    tolerance: float = 0.025
    shift: float = 0.05
    gradient_nodes: int = 1000
    seed: int = 0


@dataclass(frozen=True)
class _Task:
    """The probing of all models with one activation that are trained with one loss."""

    settings: LocalTraces
    experiment: NodeExperiment
    loss: LossName


@dataclass(frozen=True)
class _Probed:
    """A model in one state: its network, weights and loss, the examples, and draws at most.

    `model` is the network without a node, `inputs` are (examples, *input_shape) and `labels`
    (examples,).
    """

    model: Any
    weights: dict[str, NDArray[np.float32]]
    training: Training
    inputs: NDArray[np.float32]
    labels: NDArray[np.int64]
    most: int

    @property
    def derivatives(self) -> list[LossDerivatives]:
        """The derivatives of each example's loss by the preactivations of each layer."""
        return loss_derivatives(self.model, self.weights, self.inputs, self.labels, self.training)

    def gradients(self, layer: int, shift: Floats) -> Floats:
        """Returns the gradients (examples, width) of the losses by the preactivations plus `shift`.

        `layer` is the number of the layer and `shift` is (examples, width).
        """
        return shifted_gradients(
            self.model, self.weights, self.inputs, self.labels, self.training, layer, shift
        )


@dataclass(frozen=True)
class _Estimate:
    """The mean of independent estimates, and its standard error."""

    mean: float
    error: float


def measure(settings: LocalTraces, resources: Resources) -> Data:
    """Returns the tables `layers` and `networks`, a row for each model and state of training.

    A row of `layers` has the exact trace of the local Hessian and the exact mean square of the
    local gradient, the estimate of each over the exact value (`_ratio`), and the standard error of
    this ratio (`_error`). A row of `networks` has the same for the trace of the whole Hessian.
    """
    experiment = experiment_of(settings)
    tasks = [
        _Task(settings, replace(experiment, activation=activation), loss)
        for activation, loss in product(ACTIVATIONS, LOSS_NAMES)
    ]
    data: Data = {"layers": [], "networks": []}
    for layers, networks in parallel.run(_probe, tasks, resources.jobs):
        data["layers"] += layers
        data["networks"] += networks
    return {name: sorted(rows, key=_position) for name, rows in data.items()}


def _position(row: Row) -> tuple[str, str, str, float]:
    """Returns the key by which rows are sorted, whichever worker process ends first."""
    return str(row["activation"]), str(row["loss"]), str(row["state"]), float(row["model"])


def _probe(task: _Task) -> tuple[list[Row], list[Row]]:
    """Trains the models without noise. Returns the rows of both tables for one loss."""
    experiment, settings = task.experiment, task.settings
    recipe = experiment.recipe(task.loss, sigma=0.0)
    trajectory = experiment.train(recipe, [0, experiment.steps])
    layers: list[Row] = []
    networks: list[Row] = []
    for model, (state_index, state) in product(range(experiment.models), enumerate(STATES)):
        weights = trajectory.weights[model][state_index]
        head: Row = {
            "activation": experiment.activation,
            "loss": task.loss,
            "state": state,
            "model": float(model),
        }
        name = f"local traces {experiment.activation} {task.loss} {state}"
        generator = numpy_generator(settings.seed, name, model)
        probed = _probed(settings, experiment, recipe, weights)
        own_layers, own_network = _model_rows(settings, probed, generator)
        layers += [{**head, **row} for row in own_layers]
        networks.append({**head, **own_network})
    return layers, networks


def _probed(
    settings: LocalTraces,
    experiment: NodeExperiment,
    recipe: Recipe,
    weights: dict[str, NDArray[np.float32]],
) -> _Probed:
    """Returns the model with these weights and the training examples."""
    data = experiment.data
    model = initial_model(recipe.target, data.input_shape, len(data.classes), seed=0)
    most = settings.most_relu if experiment.activation == "relu" else settings.most_tanh
    return _Probed(model, weights, recipe.training, data.inputs, data.labels, most)


def _model_rows(
    settings: LocalTraces, probed: _Probed, generator: np.random.Generator
) -> tuple[list[Row], Row]:
    """Returns the rows of `layers`, and the row of `networks`, for one model in one state."""
    rows: list[Row] = []
    exact, estimated, variance = 0.0, 0.0, 0.0
    for layer, own in enumerate(probed.derivatives):
        traces = own.curvatures.sum(axis=1)
        exact_trace = float(traces.mean())
        exact_gradient = float(np.mean(np.sum(own.gradients**2, axis=1)))
        trace = _estimated_trace(settings, probed, layer, own, generator)
        gradient = _estimated_gradient(settings, own.gradients, generator)
        exact += weight_trace(traces, own.inputs)
        estimated += factored_trace(trace.mean, own.inputs)
        variance += factored_trace(trace.error, own.inputs) ** 2
        rows.append(
            {
                "layer": float(layer),
                "trace": exact_trace,
                "trace_ratio": trace.mean / exact_trace,
                "trace_error": trace.error / abs(exact_trace),
                "gradient": exact_gradient,
                "gradient_ratio": gradient.mean / exact_gradient,
                "gradient_error": gradient.error / exact_gradient,
            }
        )
    row: Row = {
        "trace": exact,
        "trace_ratio": estimated / exact,
        "trace_error": math.sqrt(variance) / abs(exact),
    }
    return rows, row


def _estimated_trace(
    settings: LocalTraces,
    probed: _Probed,
    layer: int,
    derivatives: LossDerivatives,
    generator: np.random.Generator,
) -> _Estimate:
    """Returns the trace of the local Hessian, estimated from the steps of the nodes of a layer.

    The standard deviation of the noise is 1: a step depends on it only by its product with the
    weights of the nodes, and by a factor that the estimate divides by.
    """
    examples, width = derivatives.preactivations.shape
    root_mean_square = float(np.sqrt(np.mean(derivatives.preactivations**2)))
    size = settings.shift * root_mean_square
    enough = settings.tolerance * abs(float(derivatives.curvatures.sum(axis=1).mean()))
    estimates: list[float] = []
    while len(estimates) < settings.repeats or (
        len(estimates) < probed.most and _estimate(estimates).error > enough
    ):
        normals = generator.standard_normal((width, width))
        start = size * np.linalg.qr(normals)[0]
        noise = generator.standard_normal((examples, width))
        shift = noise @ start
        difference = probed.gradients(layer, shift) - probed.gradients(layer, -shift)
        steps = -settings.eta * (noise.T @ difference) / (2 * examples)
        estimates.append(float(trace_from_steps(start, steps, settings.eta, sigma=1.0).mean()))
    return _estimate(estimates)


def _estimate(values: Sequence[float]) -> _Estimate:
    """Returns the mean of at least two independent values, with its standard error."""
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return _Estimate(float(np.mean(values)), error)


def _estimated_gradient(
    settings: LocalTraces, gradients: Floats, generator: np.random.Generator
) -> _Estimate:
    """Returns the mean square of the gradient, estimated from the steps of nodes.

    The weights of the nodes are 0, so the noise does not shift the preactivations.
    """
    examples = len(gradients)
    noise = generator.standard_normal((settings.gradient_nodes, examples))
    steps = -settings.eta * (noise @ gradients) / examples
    squares = gradient_from_steps(steps, settings.eta, sigma=1.0, batch=examples)
    return _estimate(squares.tolist())


def draw(data: Data) -> Figure:
    """Returns the estimates over the exact values by layer, and those of the whole Hessian."""
    figure, axes = panels(4, 2.5, sharey=False, columns=2)
    relu, tanh, gradients, whole = axes
    for loss, state in product(LOSS_NAMES, STATES):
        rows = matching(data["layers"], loss=loss, state=state)
        for axis, activation in ((relu, "relu"), (tanh, "tanh")):
            _draw_by_layer(axis, matching(rows, activation=activation), "trace")
        _draw_by_layer(gradients, rows, "gradient")
        _draw_whole(whole, matching(data["networks"], loss=loss, state=state))
    for axis, activation in ((relu, "relu"), (tanh, "tanh")):
        axis.set_ylabel(f"{NETWORK_WORDS[activation]}: tr h, estimate / exact")
    gradients.set_ylabel("E‖g‖², estimate / exact")
    whole.set(ylabel="tr H, estimate / exact", xlabel="network")
    layers = distinct(data["layers"], "layer")
    for axis in (relu, tanh, gradients):
        axis.set_xlabel("layer of the nodes")
        axis.set_xticks(layers, [f"{layer:g}" for layer in layers])
    for axis in axes:
        axis.axhline(1.0, color="black", linewidth=0.8)
    whole.set_xticks(range(len(ACTIVATIONS)), [NETWORK_WORDS[name] for name in ACTIVATIONS])
    whole.set_xlim(-0.5, len(ACTIVATIONS) - 0.5)
    legend(figure, *axes)
    return figure


def _draw_by_layer(axes: Axes, rows: list[Row], name: str) -> None:
    """Draws the means over models of a ratio, with intervals, against the layer.

    All rows have one loss and one state of training.
    """
    layers = distinct(rows, "layer")
    groups = [matching(rows, layer=layer) for layer in layers]
    _draw_intervals(axes, layers, groups, name)


def _draw_whole(axes: Axes, rows: list[Row]) -> None:
    """Draws the mean ratio of the trace of the whole Hessian, with its interval, by network."""
    groups = [matching(rows, activation=activation) for activation in ACTIVATIONS]
    _draw_intervals(axes, list(range(len(groups))), groups, "trace")


def _draw_intervals(axes: Axes, x: Sequence[float], groups: list[list[Row]], name: str) -> None:
    """Draws means with 95 % intervals; open marks are at the start of training.

    `groups` has the rows of each point, all of one loss and one state of training.
    """
    loss, state = str(groups[0][0]["loss"]), str(groups[0][0]["state"])
    colour, mark = LOSSES[loss]
    means, reach = error_bars(_mean_ratio(rows, name, chosen_from=1) for rows in groups)
    shift = 0.1 * (2 * list(LOSSES).index(loss) + STATES.index(state) - 1.5)
    axes.errorbar(
        [value + shift for value in x],
        means,
        reach,
        fmt=mark,
        color=colour,
        mfc="none" if state == "start" else colour,
        markersize=4,
        label=f"{loss}, {state} of training",
    )


def _mean_ratio(rows: list[Row], name: str, chosen_from: int) -> Interval:
    """Returns the mean over these models of the ratio `name`, with its interval.

    The interval is from the standard errors within models. `chosen_from` corrects its level as in
    `chosen_mean_interval`.
    """
    mean = float(np.mean(column(rows, f"{name}_ratio")))
    squares = [error**2 for error in column(rows, f"{name}_error")]
    error = math.sqrt(sum(squares)) / len(rows)
    half = float(stats.norm.isf((1 - LEVEL) / 2 / chosen_from)) * error
    return Interval(mean, mean - half, mean + half)


def _check(
    table: str, name: str, quantity: str, activation: str
) -> Callable[[Data], Measured | NotRun]:
    """Returns the check that estimates are within 10 % of the exact values.

    `name` is that of the columns of the ratio and its error, without "_ratio" and "_error".
    """

    def check(data: Data) -> Measured | NotRun:
        """Returns the mean ratio whose interval is furthest from 1; the level allows for it."""
        groups: dict[tuple[str | float, ...], list[Row]] = {}
        for row in matching(data[table], activation=activation):
            setting = (row["loss"], row["state"], row.get("layer", 0.0))
            groups.setdefault(setting, []).append(row)
        count = len(groups)
        intervals = [_mean_ratio(rows, name, count) for rows in groups.values()]
        worst = max(intervals, key=_distance_from_one)
        described = (
            f"{quantity}, estimate over exact value, at the worst of {count} settings, "
            f"interval at level 1 − 0.05/{count}"
        )
        return Measured.with_interval(described, worst, 0.9, 1.1)

    return check


def _distance_from_one(interval: Interval) -> float:
    """Returns the distance from 1 to the end of the interval that is further from it."""
    return max(abs(interval.low - 1), abs(interval.high - 1))


def _claims(activation: Activation) -> tuple[Claim, ...]:
    """Returns the claims on one network. The tanh network was added after a look at ReLU."""
    network_word = NETWORK_WORDS[activation]
    added = activation == "tanh"
    return (
        Claim(
            f"local-trace-{activation}",
            f"{network_word} network: the steps of the nodes' weights show the trace of the local "
            "Hessian, in each layer.",
            "section 2, equations 2 and 3, and appendix D",
            _check("layers", "trace", "trace of the local Hessian", activation),
            after_looking=added,
        ),
        Claim(
            f"local-gradient-{activation}",
            f"{network_word} network: the random steps of the nodes' weights show the mean square "
            "of the local gradient, in each layer.",
            "section 2, equations 2 and 3",
            _check("layers", "gradient", "mean square of the local gradient", activation),
            after_looking=added,
        ),
        Claim(
            f"whole-trace-{activation}",
            f"{network_word} network: nodes in all layers, with the mean square of the layers' "
            "inputs, show the trace of the Hessian in all weights.",
            "open question",
            _check("networks", "trace", "trace of the Hessian in all weights", activation),
            after_looking=added,
        ),
    )


FIGURE = PaperFigure(
    key="local-traces",
    title="Gradient and curvature from the weights of noise nodes",
    about=(
        "The paper proposes nodes as a probe of local gradient and curvature, and several nodes to "
        "see more of the Hessian; it gives no estimator. Ours: a layer has as many nodes as "
        "neurons, with orthogonal weights w, and their steps Δw give tr h by −w·Δw, as half the "
        "difference between steps from w and −w with the same noise. Steps of nodes with weights 0 "
        "give E‖g‖² by ‖Δw‖². The networks have three hidden "
        "layers, before and after training, and their weights are held fixed. The exact tr h "
        "counts the second derivative of ReLU as 0, as is usual. Noise that crosses a kink of ReLU "
        "shows the node a curvature that this leaves out; the paper notes that its expansion is "
        "invalid there. So we added a tanh network. The trace tr H of the Hessian in all weights "
        "is the sum over layers of the mean of (‖a‖² + 1) tr h, a being the inputs of a layer. "
        "Nodes show the mean of tr h alone, so the estimate takes both factors as uncorrelated."
    ),
    quick=LocalTraces(),
    full=LocalTraces(dataset="cifar10", examples=1000, hidden=(128, 128, 128), epochs=50, models=5),
    measure=measure,
    draw=draw,
    description=(
        "Estimates over exact values of the trace of the local Hessian and of the mean square of "
        "the local gradient by layer, and of the trace of the whole Hessian, for both losses "
        "before and after training."
    ),
    claims=tuple(claim for activation in ACTIVATIONS for claim in _claims(activation)),
)
