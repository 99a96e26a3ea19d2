"""Strong noise in networks with bounded activations, tanh and sigmoid, beside a ReLU network.

A share is the standard deviation sigma of the noise in units of the one at which the learning rate
times the initial curvature of the ReLU network is 2. So all activations get noise of the same
sigma. A group is a loss with a learning rate.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.special import expit

from mgaudit.attacks.intervals import clopper_pearson, mean_interval
from mgaudit.compute import parallel
from mgaudit.papers.claim import Claim, Data, Measured, NotRun, Row
from mgaudit.papers.error_bars import error_bars
from mgaudit.papers.noise_nodes.networks import (
    LossName,
    NodeExperiment,
    diverged,
    network,
    plain_outputs,
    reference_sigma,
)
from mgaudit.papers.paper import PaperFigure, Resources
from mgaudit.papers.rows import column, distinct, matching
from mgaudit.reports.figures.palette import LOOKS
from mgaudit.reports.figures.panels import legend, panels
from mgaudit.targets.fitting.recipe import Recipe
from mgaudit.targets.fitting.trajectory import Trajectory
from mgaudit.targets.networks.bounded_mlp import Activation
from mgaudit.targets.seeds import numpy_generator
from mgaudit.theory.arguments import Floats

PLACE = "section 3, divergent phase, footnote 10"
ACTIVATIONS: dict[Activation, tuple[str, str]] = {
    "relu": LOOKS["none"],
    "tanh": LOOKS["gaussian-mask"],
    "sigmoid": LOOKS["dp-sgd"],
}
BOUNDED: tuple[Activation, ...] = ("tanh", "sigmoid")
SATURATED = 0.01  # the slope of a saturated neuron, at most, over the largest slope


@dataclass(frozen=True)
class BoundedActivations:
    """The training of each activation and group.

    `groups` has the name, loss and learning rate of each group. The first of `shares` is so weak
    that the network does not notice the node, and at the others the ReLU network should diverge.
    """

    examples: int = 1000
    hidden: tuple[int, ...] = (128,)
    batch: int = 128
    epochs: int = 15
    models: int = 6
    groups: tuple[tuple[str, LossName, float], ...] = (
        ("cross-entropy", "cross-entropy", 0.1),
        ("squared", "squared", 0.01),
        ("squared-high-rate", "squared", 0.05),
    )
    shares: tuple[float, ...] = (0.002, 8.0, 32.0, 128.0)
    seed: int = 0


@dataclass(frozen=True)
class _Task:
    """The training of all models of one activation, group and share."""

    experiment: NodeExperiment
    group: str
    loss: LossName
    share: float
    sigma: float


def measure(settings: BoundedActivations, resources: Resources) -> Data:
    """Returns the table `runs`, a row for each group, activation, share and model.

    A row tells whether the model diverged and, if it did not, its accuracy without noise on the
    probed training examples, and the share of saturated neurons with noise, both at the end.
    """
    tasks = []
    for group, loss, eta in settings.groups:
        experiment = network(
            "digits",
            settings.examples,
            settings.hidden,
            eta,
            settings.batch,
            settings.epochs,
            settings.models,
            settings.seed,
        )
        unit = reference_sigma(experiment, loss)
        for activation, share in product(ACTIVATIONS, settings.shares):
            of_activation = replace(experiment, activation=activation)
            tasks.append(_Task(of_activation, group, loss, share, share * unit))
    results = parallel.run(_run, tasks, resources.jobs)
    return {"runs": sorted((row for rows in results for row in rows), key=_position)}


def _position(row: Row) -> tuple[str, str, float, float]:
    """Returns the key by which rows are sorted, whichever worker process ends first."""
    return str(row["group"]), str(row["activation"]), float(row["share"]), float(row["model"])


def _run(task: _Task) -> list[Row]:
    """Trains the models. Returns a row for each model."""
    experiment = task.experiment
    recipe = experiment.recipe(task.loss, task.sigma)
    trajectory = experiment.train(recipe, [experiment.steps])
    head: Row = {
        "group": task.group,
        "activation": experiment.activation,
        "share": task.share,
        "sigma": task.sigma,
    }
    rows: list[Row] = []
    for model in range(experiment.models):
        row: Row = {**head, "model": float(model)}
        row["diverged"] = float(diverged(trajectory, model))
        if not row["diverged"]:
            row |= _outcome(task, recipe, trajectory, model)
        rows.append(row)
    return rows


def _outcome(task: _Task, recipe: Recipe, trajectory: Trajectory, model: int) -> dict[str, float]:
    """Returns the accuracy and the share of saturated neurons of a model that did not diverge."""
    experiment = task.experiment
    weights, node = trajectory.weights[model][-1], trajectory.nodes[model][-1]
    (outputs,) = plain_outputs(experiment, recipe, [weights], test=False)
    labels = experiment.data.labels[: experiment.probed]
    correct = outputs.argmax(axis=1) == labels
    numbers = {"accuracy": float(np.mean(correct))}
    if experiment.activation != "relu" and node is not None:
        slopes = _slopes(task, weights, node.astype(np.float64))
        numbers["saturated"] = float(np.mean(slopes <= SATURATED))
    return numbers


def _slopes(task: _Task, weights: dict[str, NDArray[np.float32]], node: Floats) -> Floats:
    """Returns the slope of each first hidden neuron over the largest slope, with noise.

    The result is (examples, neurons), in [0, 1]; `node` are the weights of the node (neurons,).
    """
    experiment = task.experiment
    first, bias = list(weights.values())[:2]
    inputs = experiment.data.inputs[: experiment.probed]
    generator = numpy_generator(experiment.seed, "noise of saturation")
    noise = task.sigma * generator.standard_normal((len(inputs), 1))
    preactivations = inputs.reshape(len(inputs), -1) @ first.T + bias + noise * node
    if experiment.activation == "tanh":
        return np.asarray(1 - np.tanh(preactivations) ** 2)
    active = expit(preactivations)
    return np.asarray(4 * active * (1 - active))


def draw(data: Data) -> Figure:
    """Returns shares of diverged models, accuracy and saturation against sigma, by group."""
    groups = list(dict.fromkeys(str(row["group"]) for row in data["runs"]))
    columns = (
        ("diverged", "share of models that diverge"),
        ("accuracy", "train accuracy without noise"),
        ("saturated", "share of saturated neurons"),
    )
    figure, axes = panels(len(groups) * len(columns), 2.2, sharey=False, columns=3)
    for axis, (group, (name, label)) in zip(axes, product(groups, columns), strict=True):
        for activation in ACTIVATIONS:
            rows = matching(data["runs"], group=group, activation=activation)
            _draw_means(axis, [row for row in rows if name in row], name, activation)
        axis.set(xlabel="σ / σ at which ηλ = 2 (ReLU)", ylabel=label, ylim=(-0.05, 1.05))
        axis.set_title(group.replace("-", " ").replace("cross ", "cross-"), fontsize=8)
        axis.set_xscale("log")
    legend(figure, *axes)
    return figure


def _draw_means(axes: Axes, rows: list[Row], name: str, activation: Activation) -> None:
    """Draws the means over models of a column against the share, with intervals."""
    colour, mark = ACTIVATIONS[activation]
    shares = distinct(rows, "share")
    samples = [column(matching(rows, share=share), name) for share in shares]
    enough = [
        (share, sample) for share, sample in zip(shares, samples, strict=True) if len(sample) > 1
    ]
    means, reach = error_bars(mean_interval(sample) for _, sample in enough)
    x = [share for share, _ in enough]
    axes.errorbar(x, means, reach, marker=mark, markersize=4, color=colour, label=activation)


def _strong(data: Data, group: str, activation: str) -> list[Row]:
    """Returns the rows of all shares but the first, the weakest."""
    rows = matching(data["runs"], group=group, activation=activation)
    shares = distinct(rows, "share")[1:]
    return [row for row in rows if row["share"] in shares]


def _divergence(group: str, activation: str) -> Callable[[Data], Measured | NotRun]:
    """Returns the check that ReLU networks diverge under strong noise, and the others do not."""

    def check(data: Data) -> Measured | NotRun:
        """Returns the share of models that diverge, over all strong noises."""
        rows = _strong(data, group, activation)
        if not rows:
            return NotRun("the settings have no strong noise")
        count = int(sum(column(rows, "diverged")))
        interval = clopper_pearson(count, len(rows))
        quantity = f"share of {len(rows)} models under strong noise that diverge"
        if activation == "relu":
            return Measured.with_interval(quantity, interval, at_least=0.5)
        return Measured.with_interval(quantity, interval, at_most=0.25)

    return check


def _strongest(data: Data, group: str, activation: str, name: str) -> list[float]:
    """Returns a column at the strongest noise, without models that diverged."""
    rows = _strong(data, group, activation)
    most = max(column(rows, "share"), default=0.0)
    return [float(row[name]) for row in matching(rows, share=most) if name in row]


def _failure(group: str, activation: str) -> Callable[[Data], Measured | NotRun]:
    """Returns the check that the strongest noise halves the accuracy at least."""

    def check(data: Data) -> Measured | NotRun:
        """Returns the accuracy over the mean accuracy under the weakest noise."""
        rows = matching(data["runs"], group=group, activation=activation)
        least = min(column(rows, "share"), default=0.0)
        weakest = [float(r["accuracy"]) for r in matching(rows, share=least) if "accuracy" in r]
        accuracies = _strongest(data, group, activation, "accuracy")
        if len(accuracies) < 2 or not weakest:
            return NotRun("fewer than two models did not diverge")
        reference = float(np.mean(weakest))
        interval = mean_interval([accuracy / reference for accuracy in accuracies])
        quantity = "train accuracy without noise, strongest over weakest noise, mean"
        return Measured.with_interval(quantity, interval, at_most=0.5)

    return check


def _saturation(group: str, activation: str) -> Callable[[Data], Measured | NotRun]:
    """Returns the check that most neurons are saturated under the strongest noise."""

    def check(data: Data) -> Measured | NotRun:
        """Returns the share of first hidden neurons whose slope is 1 % of the largest or less."""
        shares = _strongest(data, group, activation, "saturated")
        if len(shares) < 2:
            return NotRun("fewer than two models did not diverge")
        quantity = "share of neurons and examples at 1 % of the largest slope or less, mean"
        return Measured.with_interval(quantity, mean_interval(shares), at_least=0.5)

    return check


def _claims(group: str, words: str) -> list[Claim]:
    """Returns the claims on one group; `words` describe its loss and learning rate."""
    claims = [
        Claim(
            f"{group}-relu-diverges",
            f"{words}: under strong noise the ReLU network diverges.",
            PLACE,
            _divergence(group, "relu"),
        )
    ]
    for activation in BOUNDED:
        claims += [
            Claim(
                f"{group}-{activation}-does-not-diverge",
                f"{words}: under the same noise the {activation} network does not diverge.",
                PLACE,
                _divergence(group, activation),
            ),
            Claim(
                f"{group}-{activation}-fails",
                f"{words}: under the strongest noise the {activation} network fails to learn.",
                PLACE,
                _failure(group, activation),
            ),
            Claim(
                f"{group}-{activation}-saturates",
                f"{words}: under the strongest noise most neurons of the {activation} network are "
                "saturated.",
                PLACE,
                _saturation(group, activation),
            ),
        ]
    return claims


FIGURE = PaperFigure(
    key="bounded-activations",
    title="Bounded activations under strong noise",
    about=(
        "The paper finds that with bounded activations, such as tanh and sigmoid, the divergent "
        "phase does not occur, but saturation makes learning fail. It does not give the networks. "
        "Ours have one hidden layer of 128, with the node at it, and train on digits, which the "
        "learning rates suit. A model diverges if its loss or a "
        "weight of its node exceeds all bounds. Saturated neurons have outputs of size 1, so the "
        "output layer has a curvature of up to the number of neurons: with the squared loss, it "
        "can diverge for η times this number above 2. The group of the high rate is such a case, "
        "with a rate that is stable without noise; the other squared group has a lower rate."
    ),
    quick=BoundedActivations(),
    full=BoundedActivations(epochs=40, models=12),
    measure=measure,
    draw=draw,
    description=(
        "The share of models that diverge, the accuracy without noise and the share of saturated "
        "neurons against σ, for ReLU, tanh and sigmoid, for each loss and learning rate."
    ),
    claims=(
        *_claims("cross-entropy", "Cross-entropy"),
        *_claims("squared", "Squared loss"),
        Claim(
            "squared-high-rate-tanh-does-not-diverge",
            "Squared loss at a higher learning rate, which is stable without noise: under strong "
            "noise the tanh network does not diverge.",
            "open question",
            _divergence("squared-high-rate", "tanh"),
        ),
        Claim(
            "squared-high-rate-sigmoid-does-not-diverge",
            "Squared loss at a higher learning rate, which is stable without noise: under strong "
            "noise the sigmoid network does not diverge.",
            "open question",
            _divergence("squared-high-rate", "sigmoid"),
        ),
    ),
)
