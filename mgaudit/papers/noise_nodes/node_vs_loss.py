"""The node's weights beside the loss of a ReLU network: final values and halving times.

A noise node is an extra input that receives noise of standard deviation sigma, and has the weights
w_ni. A share is a sigma divided by the sigma at which eta times the initial curvature is 2. A
halving time is the step at which a quantity has fallen to half of its initial value.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mgaudit.attacks.intervals import Interval
from mgaudit.compute import parallel
from mgaudit.papers.claim import Claim, Data, Measured, NotRun, Row
from mgaudit.papers.noise_nodes.looks import LOSSES
from mgaudit.papers.noise_nodes.networks import (
    ABOUT_NETWORK,
    LOSS_NAMES,
    LossName,
    NodeExperiment,
    diverged,
    experiment_of,
    in_order,
    mean_loss,
    node_norm,
    plain_outputs,
    reference_sigma,
)
from mgaudit.papers.paper import PaperFigure, Resources
from mgaudit.papers.rows import column, distinct, matching, ratios
from mgaudit.papers.statistics import chosen_mean_interval, geometric_mean_interval
from mgaudit.reports.figures.panels import legend, panels
from mgaudit.targets.fitting.recipe import Recipe
from mgaudit.targets.fitting.trajectory import Trajectory

ALIKE = 2.0  # halving times within this factor of one another are called similar


@dataclass(frozen=True)
class NodeVsLoss:
    """The training at several sigmas, which are given as `shares` (see the module), ascending."""

    dataset: str = "digits"
    examples: int = 1000
    hidden: tuple[int, ...] = (128, 128, 128)
    eta: float = 0.1
    batch: int = 128
    epochs: int = 64
    models: int = 3
    snapshots: int = 24
    shares: tuple[float, ...] = (0.002, 0.05, 0.15, 0.35, 0.7, 1.4)
    seed: int = 0


@dataclass(frozen=True)
class _Task:
    """The training of all models with one loss and sigma; `share` is sigma in its unit."""

    experiment: NodeExperiment
    loss: LossName
    share: float
    sigma: float
    snapshots: int


def measure(settings: NodeVsLoss, resources: Resources) -> Data:
    """Returns norms, losses, accuracy and halving times, one row for each loss, sigma and model."""
    experiment = experiment_of(settings)
    tasks = []
    for loss in LOSS_NAMES:
        unit = reference_sigma(experiment, loss)
        tasks += [
            _Task(experiment, loss, share, share * unit, settings.snapshots)
            for share in settings.shares
        ]
    results = parallel.run(_run, tasks, resources.jobs)
    return {"runs": in_order([row for rows in results for row in rows])}


def _run(task: _Task) -> list[Row]:
    """Trains the models. Returns a row for each model."""
    experiment = task.experiment
    recipe = experiment.recipe(task.loss, task.sigma)
    spaced = np.geomspace(1, experiment.steps, task.snapshots).astype(int)
    trajectory = experiment.train(recipe, sorted({0, *spaced.tolist()}))
    head: Row = {"loss": task.loss, "share": task.share, "sigma": task.sigma}
    return [
        {**head, **_outcome(experiment, recipe, trajectory, model)}
        for model in range(experiment.models)
    ]


def _outcome(
    experiment: NodeExperiment, recipe: Recipe, trajectory: Trajectory, model: int
) -> dict[str, float]:
    """Returns the measurements of one model; only that it diverged, if it did.

    They are the node's final norm over its initial norm, the final losses without noise on training
    and test examples, the test accuracy in [0, 1] and the halving times that exist.
    """
    row = {"model": float(model), "diverged": float(diverged(trajectory, model))}
    if row["diverged"]:
        return row
    loss, data, steps = recipe.training.loss, experiment.data, trajectory.steps
    weights = trajectory.weights[model]
    norms = [node_norm(trajectory, model, snapshot) for snapshot in range(len(steps))]
    labels = data.labels[: experiment.probed]
    outputs_by_step = plain_outputs(experiment, recipe, weights, test=False)
    losses = [mean_loss(outputs, labels, loss) for outputs in outputs_by_step]
    (test_outputs,) = plain_outputs(experiment, recipe, weights[-1:], test=True)
    correct = test_outputs.argmax(axis=1) == data.test_labels
    return {
        **row,
        "node_norm_ratio": norms[-1] / norms[0],
        "train_loss": losses[-1],
        "test_loss": mean_loss(test_outputs, data.test_labels, loss),
        "test_accuracy": float(np.mean(correct)),
        **_halving("node", steps, norms),
        **_halving("train_loss", steps, losses),
    }


def _halving(name: str, steps: list[int], values: list[float]) -> dict[str, float]:
    """Returns the step, linearly interpolated, at which `values` first fall to half of the first.

    `steps` (ascending) are the steps of `values`, which start above 0. The key is `name` with
    "_halves". The result is empty if the values never fall that far.
    """
    half = values[0] / 2
    after = next((index for index, value in enumerate(values) if value <= half), None)
    if after is None:
        return {}
    before = after - 1
    fall = values[before] - values[after]
    part = (values[before] - half) / fall
    step = steps[before] + part * (steps[after] - steps[before])
    return {f"{name}_halves": step}


def draw(data: Data) -> Figure:
    """Returns final norm against loss, and test accuracy and halving times against sigma."""
    figure, axes = panels(4, 2.6, sharey=False, columns=2)
    against_loss, accuracy, norm, halving = axes
    for loss, (colour, mark) in LOSSES.items():
        rows = matching(data["runs"], loss=loss, diverged=0.0)
        shares = column(rows, "share")
        norms = column(rows, "node_norm_ratio")
        for name, fill in (("train_loss", colour), ("test_loss", "none")):
            label = f"{loss}, {name.replace('_', ' ')}"
            losses = column(rows, name)
            against_loss.plot(losses, norms, mark, color=colour, markerfacecolor=fill, label=label)
        accuracy.plot(shares, column(rows, "test_accuracy"), mark, color=colour)
        norm.plot(shares, norms, mark, color=colour)
        _draw_halving(halving, rows, loss)
    _label(data, *axes)
    legend(figure, *axes)
    return figure


def _draw_halving(axes: Axes, rows: list[Row], loss: str) -> None:
    """Draws the halving times of the node's norm and of the training loss, where they exist."""
    colour, mark = LOSSES[loss]
    styles = (("node_halves", colour, "‖w_ni‖"), ("train_loss_halves", "none", "train loss"))
    for name, fill, quantity in styles:
        halved = [row for row in rows if name in row]
        shares, times = column(halved, "share"), column(halved, name)
        label = f"{loss}, {quantity} halves"
        axes.plot(shares, times, mark, color=colour, markerfacecolor=fill, label=label)


def _label(data: Data, against_loss: Axes, accuracy: Axes, norm: Axes, halving: Axes) -> None:
    """Labels the axes of the four panels, and sets their scales and limits."""
    sigma = "σ / σ at which ηλ = 2"
    norm_label = "‖w_ni‖ at the end / its start"
    against_loss.set(xlabel="noise-free loss at the end", ylabel=norm_label)
    accuracy.set(xlabel=sigma, ylabel="test accuracy (fraction)")
    norm.set(xlabel=sigma, ylabel=norm_label)
    halving.set(xlabel=sigma, ylabel="step at which it halves", ylim=(5, 2 * _latest(data)))
    shares = column(data["runs"], "share")
    for axes in (accuracy, norm, halving):
        axes.set_xlim(min(shares) / 1.5, max(shares) * 1.5)
        axes.set(xscale="log")
    against_loss.set(xscale="log")
    for axes in (against_loss, norm, halving):
        axes.set(yscale="log")


def _latest(data: Data) -> float:
    """Returns the latest halving time of a norm or a loss of any model, and at least 10."""
    rows = [row for row in data["runs"] if not row["diverged"]]
    names = ("node_halves", "train_loss_halves")
    times = [float(row[name]) for row in rows for name in names if name in row]
    return max([10.0, *times])


def _similar(loss: str) -> Callable[[Data], Measured | NotRun]:
    """Returns the check that at some sigma the node's norm halves when the noise-free loss does."""

    def check(data: Data) -> Measured | NotRun:
        """Returns the mean ratio of both halving times at the sigma where it is nearest to 1.

        The interval allows for the choice among all sigmas. NotRun if no sigma has two models.
        """
        rows_by_share = _by_share(data, loss)
        count = len(rows_by_share)
        intervals: dict[float, Interval] = {}
        for share, rows in rows_by_share.items():
            halved = [row for row in rows if "node_halves" in row and "train_loss_halves" in row]
            if len(halved) > 1:
                relative = ratios(halved, "node_halves", "train_loss_halves")
                intervals[share] = geometric_mean_interval(relative, chosen_from=count)
        if not intervals:
            return NotRun("the node's weights halved in fewer than two models at each σ")
        best = min(intervals, key=lambda share: abs(math.log(intervals[share].value)))
        value, low, high = intervals[best]
        choice = _describe_choice(best, count)
        quantity = f"step at which ‖w_ni‖ halves over that of the noise-free loss, {choice}"
        return Measured(quantity, value, 1 / ALIKE, ALIKE, low, high)

    return check


def _small_at_some_sigma(loss: str) -> Callable[[Data], Measured | NotRun]:
    """Returns the check that at some sigma the node's norm ends at half of its start, or less."""

    def check(data: Data) -> Measured | NotRun:
        """Returns the smallest mean of the node's final norm over its start, of all sigmas.

        The interval allows for the choice among the sigmas. NotRun if no sigma has two models.
        """
        shares = list(_by_share(data, loss).items())
        rows_by_share = dict(shares[1:])  # at the weakest σ the node should not change
        count = len(rows_by_share)
        intervals: dict[float, Interval] = {}
        for share, rows in rows_by_share.items():
            norms = column([row for row in rows if not row["diverged"]], "node_norm_ratio")
            if len(norms) > 1:
                intervals[share] = chosen_mean_interval(norms, chosen_from=count)
        if not intervals:
            return NotRun("fewer than two models per σ did not diverge")
        smallest = min(intervals, key=lambda share: intervals[share].value)
        value, low, high = intervals[smallest]
        quantity = f"‖w_ni‖ at the end over its start, mean, {_describe_choice(smallest, count)}"
        return Measured(quantity, value, at_most=0.5, low=low, high=high)

    return check


def _by_share(data: Data, loss: str) -> dict[float, list[Row]]:
    """Returns the rows of a loss for each σ in the sweep, the weakest first."""
    rows = matching(data["runs"], loss=loss)
    return {share: matching(rows, share=share) for share in distinct(rows, "share")}


def _describe_choice(share: float, count: int) -> str:
    """Returns the words for a sigma chosen out of `count`, and for the level of its interval."""
    return (
        f"σ = {share:g} of that at ηλ = 2 (best of {count} σ, interval at level 1 − 0.05/{count})"
    )


def _claims(loss: str) -> tuple[Claim, Claim]:
    """Returns the claims for one loss: similar halving times, and small final weights."""
    similar = Claim(
        f"{loss}-similar-evolution",
        f"{loss} loss: at some σ the node's weights evolve as the noise-free loss does, halving "
        "within a factor 2 of its step.",
        (
            "abstract: in some cases the evolution of the noise nodes is similar to that of the "
            "unperturbed loss"
        ),
        _similar(loss),
    )
    small = Claim(
        f"{loss}-small-weights",
        f"{loss} loss: there are σ at which the node's weights evolve to small values.",
        "introduction, result (ii)",
        _small_at_some_sigma(loss),
    )
    return similar, small


CLAIMS = tuple(claim for loss in LOSS_NAMES for claim in _claims(loss))

FIGURE = PaperFigure(
    key="node-vs-loss",
    title="The node's weights beside the loss",
    about=(
        ABOUT_NETWORK
        + "The paper shows the decay times of the node's weights and of the losses against σ; we "
        "give "
        "the steps at which they halve, and where they end. The claims take the σ at which they "
        "hold best, with an interval corrected for that choice. Test accuracy is shown "
        "without a claim."
    ),
    quick=NodeVsLoss(),
    full=NodeVsLoss(
        dataset="cifar10", examples=1000, epochs=100, shares=(0.002, 0.05, 0.15, 0.35, 0.7, 1.4)
    ),
    measure=measure,
    draw=draw,
    description=(
        "The norm of the node's weights against train and test loss at the end of training; test "
        "accuracy, norm and halving times against σ."
    ),
    claims=CLAIMS,
)
