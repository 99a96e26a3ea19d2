"""The node's weights beside the loss of a ReLU network, over a sweep of sigma: where both end, how soon both halve."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
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
    in_order,
    mean_loss,
    network,
    node_norm,
    plain_outputs,
    reference_sigma,
)
from mgaudit.papers.paper import PaperFigure, Workshop
from mgaudit.papers.statistics import chosen_mean_interval, geometric_mean_interval
from mgaudit.reports.figures.panels import legend, panels
from mgaudit.targets.fitting.recipe import Recipe
from mgaudit.targets.fitting.trajectory import Trajectory

ALIKE = 2.0  # halving times within this factor of one another are called similar


@dataclass(frozen=True)
class NodeVsLoss:
    """`shares` are sigmas over that at which eta times the curvature is 2 at first."""

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
    of: NodeExperiment
    loss: LossName
    share: float
    sigma: float
    snapshots: int


def measure(settings: NodeVsLoss, workshop: Workshop) -> Data:
    """Returns a row for each loss, sigma and model: the node's norm, losses, test accuracy and halving times."""
    of = network(
        settings.dataset,
        settings.examples,
        settings.hidden,
        settings.eta,
        settings.batch,
        settings.epochs,
        settings.models,
        settings.seed,
    )
    units = {loss: reference_sigma(of, loss) for loss in LOSS_NAMES}
    tasks = [
        _Task(of, loss, share, share * units[loss], settings.snapshots)
        for loss in LOSS_NAMES
        for share in settings.shares
    ]
    return {"runs": in_order([row for rows in parallel.run(_done, tasks, workshop.jobs) for row in rows])}


def _done(task: _Task) -> list[Row]:
    of, recipe = task.of, task.of.recipe(task.loss, task.sigma)
    kept = sorted({0, *np.geomspace(1, of.steps, task.snapshots).astype(int).tolist()})
    found = of.train(recipe, kept)
    head: Row = {"loss": task.loss, "share": task.share, "sigma": task.sigma}
    return [{**head, **_outcome(of, recipe, found, model)} for model in range(of.models)]


def _outcome(of: NodeExperiment, recipe: Recipe, found: Trajectory, model: int) -> dict[str, float]:
    row = {"model": float(model), "diverged": float(diverged(found, model))}
    if row["diverged"]:
        return row
    loss, tested = recipe.training.loss, of.data.test_labels
    norms = [node_norm(found, model, place) for place in range(len(found.steps))]
    plain = plain_outputs(of, recipe, found.weights[model], test=False)
    losses = [mean_loss(outputs, of.data.labels[: of.probed], loss) for outputs in plain]
    (at_test,) = plain_outputs(of, recipe, found.weights[model][-1:], test=True)
    return {
        **row,
        "node_norm_ratio": norms[-1] / norms[0],
        "train_loss": losses[-1],
        "test_loss": mean_loss(at_test, tested, loss),
        "test_accuracy": float(np.mean(at_test.argmax(axis=1) == tested)),
        **_halving("node", found.steps, norms),
        **_halving("train_loss", found.steps, losses),
    }


def _halving(name: str, steps: list[int], values: list[float]) -> dict[str, float]:
    """Returns the step at which values first are half of the first, between snapshots by a straight line, if ever."""
    half = values[0] / 2
    place = next((place for place, value in enumerate(values) if value <= half), None)
    if place is None:
        return {}
    part = (values[place - 1] - half) / (values[place - 1] - values[place])
    return {f"{name}_halves": steps[place - 1] + part * (steps[place] - steps[place - 1])}


def draw(data: Data) -> Figure:
    """Returns norm against loss at the end, test accuracy against sigma, and halving times against sigma."""
    figure, axes = panels(4, 2.6, sharey=False, columns=2)
    latest = 10.0
    for loss, (colour, mark) in LOSSES.items():
        rows = [row for row in data["runs"] if row["loss"] == loss and not row["diverged"]]
        x = [float(row["share"]) for row in rows]
        norms = [float(row["node_norm_ratio"]) for row in rows]
        for column, fill in (("train_loss", colour), ("test_loss", "none")):
            label = f"{loss}, {column.replace('_', ' ')}"
            values = [float(row[column]) for row in rows]
            axes[0].plot(values, norms, mark, color=colour, markerfacecolor=fill, label=label)
        axes[1].plot(x, [float(row["test_accuracy"]) for row in rows], mark, color=colour)
        axes[2].plot(x, norms, mark, color=colour)
        for column, fill, what in (("node_halves", colour, "‖w_ni‖"), ("train_loss_halves", "none", "train loss")):
            halved = [row for row in rows if column in row]
            at = [float(row["share"]) for row in halved]
            label = f"{loss}, {what} halves"
            times = [float(row[column]) for row in halved]
            latest = max([latest, *times])
            axes[3].plot(at, times, mark, color=colour, markerfacecolor=fill, label=label)
    sigma = "σ / σ at which ηλ = 2"
    axes[0].set(xlabel="noise-free loss at the end", ylabel="‖w_ni‖ at the end / its start")
    axes[1].set(xlabel=sigma, ylabel="test accuracy (fraction)")
    axes[2].set(xlabel=sigma, ylabel="‖w_ni‖ at the end / its start")
    axes[3].set(xlabel=sigma, ylabel="step at which it halves", ylim=(5, 2 * latest))
    shares = [float(row["share"]) for row in data["runs"]]
    for axis in axes[1:]:
        axis.set_xlim(min(shares) / 1.5, max(shares) * 1.5)
    for axis, which in zip(axes, ("xy", "x", "xy", "xy"), strict=True):
        axis.set(**{f"{name}scale": "log" for name in which})
    legend(figure, *axes)
    return figure


def _similar(loss: str) -> Callable[[Data], Measured | NotRun]:
    def check(data: Data) -> Measured | NotRun:
        swept = _by_share(data, loss)
        found: dict[float, Interval] = {}
        for share, rows in swept.items():
            halved = [row for row in rows if "node_halves" in row and "train_loss_halves" in row]
            if len(halved) > 1:
                ratios = [float(row["node_halves"]) / float(row["train_loss_halves"]) for row in halved]
                found[share] = geometric_mean_interval(ratios, chosen_from=len(swept))
        if not found:
            return NotRun("the node's weights halved in fewer than two models at each σ")
        best = min(found, key=lambda share: abs(math.log(found[share][0])))
        value, low, high = found[best]
        quantity = f"step at which ‖w_ni‖ halves over that of the noise-free loss, {_chosen(best, len(swept))}"
        return Measured(quantity, value, 1 / ALIKE, ALIKE, low, high)

    return check


def _small_at_some_sigma(loss: str) -> Callable[[Data], Measured | NotRun]:
    def check(data: Data) -> Measured | NotRun:
        swept = dict(list(_by_share(data, loss).items())[1:])  # at the weakest σ the node is to stay as it is
        found: dict[float, Interval] = {}
        for share, rows in swept.items():
            norms = [float(row["node_norm_ratio"]) for row in rows if not row["diverged"]]
            if len(norms) > 1:
                found[share] = chosen_mean_interval(norms, chosen_from=len(swept))
        if not found:
            return NotRun("fewer than two models came through at each σ")
        smallest = min(found, key=lambda share: found[share][0])
        value, low, high = found[smallest]
        quantity = f"‖w_ni‖ at the end over its start, mean, {_chosen(smallest, len(swept))}"
        return Measured(quantity, value, at_most=0.5, low=low, high=high)

    return check


def _by_share(data: Data, loss: str) -> dict[float, list[Row]]:
    """Returns the rows of a loss for each σ swept, the weakest first."""
    rows = [row for row in data["runs"] if row["loss"] == loss]
    shares = sorted({float(row["share"]) for row in rows})
    return {share: [row for row in rows if row["share"] == share] for share in shares}


def _chosen(share: float, count: int) -> str:
    return f"σ = {share:g} of that at ηλ = 2 (best of {count} σ, interval at level 1 − 0.05/{count})"


CLAIMS = tuple(
    claim
    for loss in LOSS_NAMES
    for claim in (
        Claim(
            f"{loss}-similar-evolution",
            f"{loss} loss: at some σ the node's weights evolve as the noise-free loss does, halving within a factor 2 "
            "of its step.",
            "abstract: in some cases the evolution of the noise nodes is similar to that of the unperturbed loss",
            _similar(loss),
        ),
        Claim(
            f"{loss}-small-weights",
            f"{loss} loss: there are σ at which the node's weights evolve to small values.",
            "introduction, result (ii)",
            _small_at_some_sigma(loss),
        ),
    )
)

FIGURE = PaperFigure(
    key="node-vs-loss",
    title="The node's weights beside the loss",
    about=(
        ABOUT_NETWORK + "The paper shows the decay times of the node's weights and of the losses against σ; we give "
        "the steps at which they halve, and where they end. "
        "The claims take the σ at which they hold best, with an interval as wide as that choice asks for. "
        "Test accuracy is shown without a claim."
    ),
    quick=NodeVsLoss(),
    full=NodeVsLoss(dataset="cifar10", examples=1000, epochs=100, shares=(0.002, 0.05, 0.15, 0.35, 0.7, 1.4)),
    measure=measure,
    draw=draw,
    description=(
        "The norm of the node's weights against train and test loss at the end of training; test accuracy, "
        "norm and halving times against σ."
    ),
    claims=CLAIMS,
)
