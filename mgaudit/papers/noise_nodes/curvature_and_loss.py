"""Loss, curvature and node along training, with a node at each layer of a ReLU network (Fig. 1).

H is the Hessian of the noise-free loss L in all weights, and h that in the preactivations of the
layer with the node (`mgaudit.theory.local_curvature`). Both are over all training examples, and
count the second derivative of ReLU as 0. A run is the training of all models with a node at one
layer, or without a node.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mgaudit.attacks.intervals import mean_interval
from mgaudit.compute import parallel
from mgaudit.papers.claim import Claim, Data, Measured, NotRun, Row
from mgaudit.papers.noise_nodes.networks import (
    LossName,
    NodeExperiment,
    experiment_of,
    mean_loss,
    network,
    reference_sigma,
)
from mgaudit.papers.paper import PaperFigure, Resources
from mgaudit.papers.rows import column, distinct, matching
from mgaudit.papers.statistics import geometric_mean_interval
from mgaudit.reports.figures.palette import LOOKS
from mgaudit.reports.figures.panels import legend, panels
from mgaudit.targets.fitting.recipe import Recipe, initial_model
from mgaudit.targets.querying.local_derivatives import OutputJacobian, output_jacobians
from mgaudit.theory.arguments import Floats
from mgaudit.theory.local_curvature import (
    OutputDerivatives,
    along,
    gradient_square,
    local_gradients,
    local_traces,
    output_derivatives,
    weight_trace,
)

LOSS: LossName = "cross-entropy"
NO_NODE = -1.0  # the layer of a run without a node
LINE_COLOURS = {
    NO_NODE: LOOKS["none"][0],
    0.0: LOOKS["gaussian-mask"][0],
    1.0: LOOKS["dropout"][0],
    2.0: LOOKS["weight-noise"][0],
    3.0: LOOKS["dp-sgd"][0],
}
LAYERS = (0, 1, 2, 3)


@dataclass(frozen=True)
class CurvatureAndLoss:
    """The training with a node at one of `layers` after the other, and without a node.

    `share` is the standard deviation of the noise in units of the one at which the learning rate
    `eta` times the initial curvature is 2, which differs between layers. At the layer
    `fixed_layer`, there is a further run whose noise is drawn once for each example. Another run is
    without a node, with the learning rate `small_eta` and full batches of `probed` examples, for
    `slow_steps` steps. `probed` is also the number of training examples for the numbers along
    training.
    """

    dataset: str = "digits"
    examples: int = 1000
    hidden: tuple[int, ...] = (128, 128, 128)
    eta: float = 0.1
    batch: int = 128
    epochs: int = 64
    models: int = 4
    snapshots: int = 32
    probed: int = 250
    small_eta: float = 0.02
    slow_steps: int = 1000
    layers: tuple[int, ...] = LAYERS
    share: float = 0.15
    fixed_layer: int = 0
    seed: int = 0


@dataclass(frozen=True)
class _Task:
    """One run. `layer` is that of the node, or NO_NODE.

    `run` is "fresh" or "fixed" for a node with such noise, and otherwise "none" or "slow".
    """

    experiment: NodeExperiment
    layer: float
    run: str
    sigma: float
    snapshots: int


def measure(settings: CurvatureAndLoss, resources: Resources) -> Data:
    """Returns the table `trajectories`, a row for each layer, run, model and step.

    The runs are "fresh" and "fixed" noise at a node, and without a node "none" and "slow", which
    has the small learning rate. A row has the learning rate `eta`, the loss, the trace of H, the
    squared norm of the loss gradient in all weights, and, with a node, the norm of its weights w
    and `rate`, which is eta sigma^2 w^T h w / |w|^2.
    """
    experiment = experiment_of(settings)
    experiment = replace(experiment, probed=settings.probed)
    slow = network(
        settings.dataset,
        settings.probed,
        settings.hidden,
        settings.small_eta,
        batch=settings.probed,
        epochs=settings.slow_steps,
        models=settings.models,
        seed=settings.seed,
    )
    tasks = [
        _Task(slow, NO_NODE, "slow", 0.0, settings.snapshots),
        _Task(experiment, NO_NODE, "none", 0.0, settings.snapshots),
    ]
    for layer in settings.layers:
        at_layer = replace(experiment, layer=layer)
        sigma = settings.share * reference_sigma(at_layer, LOSS)
        fresh = _Task(at_layer, float(layer), "fresh", sigma, settings.snapshots)
        tasks.append(fresh)
        if layer == settings.fixed_layer:
            tasks.append(replace(fresh, run="fixed"))
    results = parallel.run(_run, tasks, resources.jobs)
    rows = [row for run_rows in results for row in run_rows]
    return {"trajectories": sorted(rows, key=_position)}


def _position(row: Row) -> tuple[float, str, float, float]:
    """Returns the key by which rows are sorted, whichever worker process ends first."""
    return float(row["layer"]), str(row["run"]), float(row["model"]), float(row["step"])


def _run(task: _Task) -> list[Row]:
    """Trains the models. Returns a row for each model and snapshot."""
    experiment = task.experiment
    recipe = experiment.recipe(LOSS, task.sigma, task.run == "fixed")
    half = task.snapshots // 2
    early = np.geomspace(1, experiment.steps / half, half).astype(int).tolist()
    even = np.linspace(0, experiment.steps, half + 1).astype(int).tolist()
    trajectory = experiment.train(recipe, sorted({*early, *even}))
    head: Row = {
        "layer": task.layer,
        "run": task.run,
        "sigma": task.sigma,
        "eta": experiment.eta,
    }
    rows: list[Row] = []
    for model in range(experiment.models):
        snapshots = zip(
            trajectory.steps, trajectory.weights[model], trajectory.nodes[model], strict=True
        )
        for step, weights, node in snapshots:
            own: Row = {**head, "model": float(model), "step": float(step)}
            rows.append({**own, **_numbers(task, recipe, weights, node)})
    return rows


def _numbers(
    task: _Task,
    recipe: Recipe,
    weights: dict[str, NDArray[np.float32]],
    node: NDArray[np.float32] | None,
) -> dict[str, float]:
    """Returns the numbers of one snapshot, with the weights of the node (width,) or None."""
    data = task.experiment.data
    plain = initial_model(recipe.target, data.input_shape, len(data.classes), seed=0)
    probed = task.experiment.probed
    outputs, jacobians = output_jacobians(plain, weights, data.inputs[:probed])
    labels = np.asarray(data.labels[:probed])
    by_outputs = output_derivatives(outputs, labels, LOSS)
    parts = [_layer_numbers(own, by_outputs) for own in jacobians]
    numbers = {
        "loss": mean_loss(outputs.astype(np.float32), labels, LOSS),
        "trace": sum(trace for trace, _ in parts),
        "gradient": sum(square for _, square in parts),
    }
    if node is None:
        return numbers
    w: Floats = node.astype(np.float64)
    norm = float(np.linalg.norm(w))
    jacobian = jacobians[int(task.layer)].jacobian
    curvature = along(jacobian, by_outputs.curvatures, w / norm)
    rate = task.experiment.eta * task.sigma**2 * curvature
    return {**numbers, "node_norm": norm, "rate": rate}


def _layer_numbers(own: OutputJacobian, by_outputs: OutputDerivatives) -> tuple[float, float]:
    """Returns the trace of H and the squared loss gradient in the weights of one layer."""
    traces = local_traces(own.jacobian, by_outputs.curvatures)
    gradients = local_gradients(own.jacobian, by_outputs.slopes)
    return weight_trace(traces, own.inputs), gradient_square(gradients, own.inputs)


def draw(data: Data) -> Figure:
    """Returns loss, curvature, node's norm and the ratio of equation 8, against the step."""
    figure, axes = panels(4, 2.6, sharey=False, columns=2)
    loss, trace, norm, ratio = axes
    rows = data["trajectories"]
    for layer, run in dict.fromkeys((float(row["layer"]), str(row["run"])) for row in rows):
        own = matching(rows, layer=layer, run=run)
        _draw_means(loss, own, lambda row: float(row["loss"]))
        _draw_means(trace, own, lambda row: float(row["trace"]))
        _draw_means(ratio, own, _ratio)
        if layer != NO_NODE:
            _draw_means(norm, own, lambda row: float(row["node_norm"]))
    loss.set_ylabel("noise-free training loss (nats)")
    trace.set_ylabel("tr H")
    norm.set_ylabel("‖w_ni‖")
    ratio.set_ylabel("‖∇L‖² / (2 L tr H)")
    for axis in axes:
        axis.set(xlabel="step + 1", xscale="log", yscale="log")
    legend(figure, loss)
    return figure


def _draw_means(axes: Axes, rows: list[Row], value: Callable[[Row], float]) -> None:
    """Draws the geometric means over models of a value against the step, for one run."""
    layer, run = float(rows[0]["layer"]), str(rows[0]["run"])
    steps = distinct(rows, "step")
    means = [
        math.exp(np.mean([math.log(value(row)) for row in matching(rows, step=step)]))
        for step in steps
    ]
    label = f"node at layer {layer:g}, {run} noise"
    if layer == NO_NODE:
        label = f"no node, η = {rows[0]['eta']:g}"
    axes.plot(
        [step + 1 for step in steps],
        means,
        {"fixed": "--", "slow": ":"}.get(run, "-"),
        color=LINE_COLOURS[layer],
        linewidth=1.2,
        label=label,
    )


def _ratio(row: Row) -> float:
    """Returns |grad L|^2 / (2 L tr H), which is 1 for a linear network near its target."""
    return float(row["gradient"]) / (2 * float(row["loss"]) * float(row["trace"]))


def _of_models(data: Data, layer: float, run: str) -> list[list[Row]]:
    """Returns the rows of each model of a run in the order of steps."""
    rows = matching(data["trajectories"], layer=layer, run=run)
    return [matching(rows, model=model) for model in distinct(rows, "model")]


def _area(rows: list[Row], values: list[float]) -> float:
    """Returns the integral of `values` over the steps of `rows`, by trapezoids."""
    steps = column(rows, "step")
    areas = np.diff(steps) * (np.array(values)[1:] + np.array(values)[:-1]) / 2
    return float(areas.sum())


def _fall_by_gradient(data: Data) -> Measured | NotRun:
    """Returns the fall of ln L over the integral of eta |grad L|^2 / L, over the slow training."""
    falls = []
    for rows in _of_models(data, NO_NODE, "slow"):
        rates = [float(row["eta"]) * float(row["gradient"]) / float(row["loss"]) for row in rows]
        measured = math.log(float(rows[0]["loss"]) / float(rows[-1]["loss"]))
        falls.append(measured / _area(rows, rates))
    if len(falls) < 2:
        return NotRun("fewer than two models")
    quantity = "fall of ln L over the integral of η‖∇L‖²/L, without a node, mean"
    return Measured.with_interval(quantity, mean_interval(falls), 0.8, 1.25)


def _proportional(data: Data) -> Measured | NotRun:
    """Returns the squared gradient over L tr H, when the loss has halved over the start."""
    changes = []
    for rows in _of_models(data, NO_NODE, "slow"):
        halved = [row for row in rows if float(row["loss"]) <= float(rows[0]["loss"]) / 2]
        if halved:
            changes.append(_ratio(halved[0]) / _ratio(rows[0]))
    if len(changes) < 2:
        return NotRun("the loss halved in fewer than two models")
    quantity = "‖∇L‖² / (L tr H) when the loss has halved over its start, geometric mean"
    return Measured.with_interval(quantity, geometric_mean_interval(changes), 0.5, 2.0)


def _node_falls(layer: int) -> Callable[[Data], Measured | NotRun]:
    """Returns the check that the node's weights end at half of their norm or less."""

    def check(data: Data) -> Measured | NotRun:
        """Returns the final over the initial norm, geometric mean over models."""
        models = _of_models(data, float(layer), "fresh")
        norms = [float(rows[-1]["node_norm"]) / float(rows[0]["node_norm"]) for rows in models]
        if len(norms) < 2:
            return NotRun("fewer than two models")
        quantity = "‖w_ni‖ at the end over its start, geometric mean"
        return Measured.with_interval(quantity, geometric_mean_interval(norms), at_most=0.5)

    return check


def _node_by_curvature(layer: int) -> Callable[[Data], Measured | NotRun]:
    """Returns the check that the node's norm falls at the rate of the local curvature along it."""

    def check(data: Data) -> Measured | NotRun:
        """Returns the fall of ln |w|, measured over predicted, until the norm has halved."""
        falls = []
        for rows in _of_models(data, float(layer), "fresh"):
            norms = column(rows, "node_norm")
            after = next((i for i, norm in enumerate(norms) if norm <= norms[0] / 2), len(rows) - 1)
            until = rows[: after + 1]
            predicted = _area(until, column(until, "rate"))
            falls.append(math.log(norms[0] / norms[after]) / predicted)
        if len(falls) < 2:
            return NotRun("fewer than two models")
        quantity = "fall of ln ‖w_ni‖ until it has halved, over the integral of ησ² wᵀhw/‖w‖², mean"
        return Measured.with_interval(quantity, mean_interval(falls), 0.8, 1.25)

    return check


def _flatter(data: Data) -> Measured | NotRun:
    """Returns the final trace of H with a node at the first layer over that without: at most 1."""
    without = [float(rows[-1]["trace"]) for rows in _of_models(data, NO_NODE, "none")]
    with_node = [float(rows[-1]["trace"]) for rows in _of_models(data, 0.0, "fresh")]
    if len(without) < 2 or len(with_node) < 2:
        return NotRun("fewer than two models")
    pairs = zip(with_node, without, strict=True)
    interval = geometric_mean_interval([noisy / plain for noisy, plain in pairs])
    quantity = "tr H at the end, node at the first layer over no node, geometric mean"
    return Measured.with_interval(quantity, interval, at_most=1.0)


def _layer_claims(layer: int) -> tuple[Claim, Claim]:
    """Returns the claims on a node at one layer."""
    return (
        Claim(
            f"node-at-layer-{layer}-falls",
            f"With a node at layer {layer} in the decay phase, the node's weights evolve to small "
            "values.",
            "introduction, result (ii)",
            _node_falls(layer),
        ),
        Claim(
            f"node-at-layer-{layer}-by-curvature",
            f"With a node at layer {layer} in the decay phase, the local curvature of the loss "
            "dictates how fast the node's weights fall.",
            "introduction, result (iii)",
            _node_by_curvature(layer),
        ),
    )


FIGURE = PaperFigure(
    key="curvature-and-loss",
    title="Loss, curvature and node along training",
    about=(
        "Fig. 1 of the paper: a ReLU MLP of three hidden layers, cross-entropy, batches of 128, "
        "plain SGD, Fashion-MNIST. The widths, the learning rate and the scale of the initial "
        "weights are missing from the text that we have; ours are 128, 0.1 and torch's. Our data "
        "are digits, or at full scale CIFAR-10 images. The node is at one layer at a time, with σ "
        "at 0.15 of the one at which η times the top curvature is 2. The second derivative of ReLU "
        "counts as 0 in H and h. Layer 3 is the output layer. Equation 8 is for small learning "
        "rates. In trial runs, the gradient late in training alternated and did not lower the "
        "loss; so the claims on equation 8 are on a further run, with full batches and a lower "
        "rate."
    ),
    quick=CurvatureAndLoss(),
    full=CurvatureAndLoss(dataset="cifar10", epochs=100, slow_steps=2000, snapshots=64),
    measure=measure,
    draw=draw,
    description=(
        "Geometric means over models of the noise-free training loss, the trace of its Hessian, "
        "the norm of the node's weights and ‖∇L‖² / (2 L tr H), against the step, without a node "
        "and with a node at each layer."
    ),
    claims=(
        Claim(
            "loss-by-gradient",
            "Without a node and at a small learning rate, a step lowers the loss by η‖∇L‖².",
            "section 4, equation 8",
            _fall_by_gradient,
            after_looking=True,
        ),
        Claim(
            "loss-by-trace",
            "As in the linear network, ‖∇L‖² is proportional to the loss times the trace of its "
            "Hessian while the loss falls.",
            "section 4, after equation 8",
            _proportional,
            after_looking=True,
        ),
        *(claim for layer in LAYERS for claim in _layer_claims(layer)),
        Claim(
            "trace-with-node",
            "Training with a node at the first layer ends with a lower trace of the Hessian than "
            "training without one.",
            "open question",
            _flatter,
        ),
    ),
)
