"""Boundaries between the phases of a ReLU network, in the initial sharpness.

The sharpness is the learning rate eta times the curvature of the training loss with noise. There
are two boundaries, in order of rising noise: beyond "growth" the loss grows before it falls, and
beyond "divergence" training diverges. A bracket is a range of sigma that contains a boundary.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mgaudit.attacks.intervals import Interval
from mgaudit.compute import parallel
from mgaudit.papers.claim import Claim, Data, Measured, NotRun, Row
from mgaudit.papers.noise_nodes.looks import PHASE_LOOKS
from mgaudit.papers.noise_nodes.networks import (
    ABOUT_NETWORK,
    LOSS_NAMES,
    LossName,
    NodeExperiment,
    diverged,
    in_order,
    network,
    noisy_loss,
    reference_sigma,
    sharpness,
)
from mgaudit.papers.paper import PaperFigure, Resources
from mgaudit.papers.rows import column, matching
from mgaudit.papers.statistics import geometric_mean_interval
from mgaudit.reports.figures.panels import panels
from mgaudit.theory.noise_nodes import ESCAPE, GROWTH

GROWN = 1.05  # the loss with noise has grown once it exceeds this multiple of its initial value
# The phase that begins at each boundary, and the sharpness there in a linear network.
BOUNDARIES = {"growth": ("catapult", GROWTH), "divergence": ("divergence", ESCAPE)}


@dataclass(frozen=True)
class ReluBoundaries:
    """Bisection in sigma for each model. Full batches keep the noise close to its expectation.

    The search is from `low` to `high` times the sigma at which eta times the curvature is 2. It
    halves the bracket in ln(sigma) `halvings` times.
    """

    dataset: str = "digits"
    examples: int = 500
    hidden: tuple[int, ...] = (128, 128, 128)
    eta: float = 0.1
    steps: int = 30
    models: int = 4
    low: float = 0.5
    high: float = 8.0
    halvings: int = 8
    seed: int = 0


@dataclass(frozen=True)
class _Task:
    """The search for the boundaries of one model, between the sigmas `low` and `high`."""

    experiment: NodeExperiment
    loss: LossName
    low: float
    high: float
    halvings: int


def measure(settings: ReluBoundaries, resources: Resources) -> Data:
    """Returns the sharpness at which the loss of each model begins to grow, and to diverge.

    The table `boundaries` has a row for each loss, boundary and model.
    """
    experiment = network(
        settings.dataset,
        settings.examples,
        settings.hidden,
        settings.eta,
        batch=settings.examples,
        epochs=settings.steps,
        models=2,
        seed=settings.seed,
    )
    tasks = []
    for loss in LOSS_NAMES:
        unit = reference_sigma(experiment, loss)
        low, high = settings.low * unit, settings.high * unit
        for model in range(settings.models):
            single = replace(experiment, models=1, seed=settings.seed + model)
            tasks.append(_Task(single, loss, low, high, settings.halvings))
    results = parallel.run(_search, tasks, resources.jobs)
    return {"boundaries": in_order([row for rows in results for row in rows])}


def _search(task: _Task) -> list[Row]:
    """Returns a row for each of the two boundaries of the model."""
    outcomes: dict[str, Callable[[_Task, float], bool]] = {
        "growth": _grows,
        "divergence": _diverges,
    }
    rows: list[Row] = []
    for name, outcome in outcomes.items():
        _, predicted = BOUNDARIES[name]
        head: Row = {"loss": task.loss, "boundary": name, "predicted": predicted}
        boundary = _boundary(task, partial(outcome, task))
        rows.append({**head, "model": float(task.experiment.seed), **boundary})
    return rows


def _boundary(task: _Task, happens: Callable[[float], bool]) -> Row:
    """Returns the sigma at which an outcome begins, the sharpness there, and their uncertainty.

    `happens` tells whether training with a given sigma has the outcome. `found_low` and
    `found_high` are the sharpness at the ends of the last bracket. `censored` is 1 where the
    outcome begins outside of the range searched, "sigma_low" to "sigma_high".
    """
    low, high = _bisected(happens, task.low, task.high, task.halvings)
    sigma = math.sqrt(low * high)
    onset_and_bracket = _start_sharpness(task, (sigma, low, high))
    below = low == task.low and happens(low)
    above = high == task.high and not happens(high)
    return {
        "sigma": sigma,
        "sigma_low": task.low,
        "sigma_high": task.high,
        "found": onset_and_bracket[0],
        "found_low": min(onset_and_bracket),
        "found_high": max(onset_and_bracket),
        "censored": float(below or above),
    }


def _bisected(
    happens: Callable[[float], bool], low: float, high: float, halvings: int
) -> tuple[float, float]:
    """Returns the last bracket (low, high) of the sigma at which the outcome begins.

    `happens` tells whether training with a given sigma has the outcome. If the outcome begins
    outside of `low` to `high`, the bracket shrinks towards that end.
    """
    for _ in range(halvings):
        middle = math.sqrt(low * high)
        if happens(middle):
            high = middle
        else:
            low = middle
    return low, high


def _start_sharpness(task: _Task, sigmas: Sequence[float]) -> list[float]:
    """Returns the sharpness of the initial model with noise of each sigma, in their order."""
    start = replace(task.experiment, epochs=1)
    recipes = [start.recipe(task.loss, sigma) for sigma in sigmas]
    initial = start.train(recipes[0], [0])  # initial weights are the same at each sigma
    return [sharpness(start, recipe, initial, 0, 0) for recipe in recipes]


def _grows(task: _Task, sigma: float) -> bool:
    """Returns whether the loss with noise `sigma` ever exceeds GROWN times its initial value."""
    experiment = task.experiment
    recipe = experiment.recipe(task.loss, sigma)
    trajectory = experiment.train(recipe, range(experiment.steps + 1))
    initial_loss = noisy_loss(experiment, recipe, trajectory, 0, 0)
    later = range(1, len(trajectory.steps))
    losses = (noisy_loss(experiment, recipe, trajectory, 0, snapshot) for snapshot in later)
    return any(loss > GROWN * initial_loss for loss in losses)


def _diverges(task: _Task, sigma: float) -> bool:
    """Returns whether the model trained with noise `sigma` has diverged after the last step."""
    experiment = task.experiment
    recipe = experiment.recipe(task.loss, sigma)
    trajectory = experiment.train(recipe, [experiment.steps])
    return diverged(trajectory, 0)


def draw(data: Data) -> Figure:
    """Returns each model's two boundaries, a panel a loss, beside those of the linear network."""
    figure, axes = panels(len(LOSS_NAMES), 2.6)
    for axis, loss in zip(axes, LOSS_NAMES, strict=True):
        for name in BOUNDARIES:
            _draw_boundary(axis, name, matching(data["boundaries"], loss=loss, boundary=name))
        axis.set(xlabel="model", ylabel="ηλ at the start", title=loss, ylim=(0.05, 200))
        axis.set(yscale="log")
        axis.legend(fontsize=7)
    return figure


def _draw_boundary(axes: Axes, name: str, rows: list[Row]) -> None:
    """Draws the sharpness at one boundary for each model; open marks are at ends of the search."""
    phase, predicted = BOUNDARIES[name]
    colour, mark = PHASE_LOOKS[phase]
    inside = [row for row in rows if not row["censored"]]
    outside = [row for row in rows if row["censored"]]
    axes.plot(*_points(inside), mark, color=colour, label=f"{name} begins")
    if outside:
        label = f"{name} begins beyond the σ searched"
        axes.plot(*_points(outside), mark, color=colour, markerfacecolor="none", label=label)
    label = f"linear network, {predicted:g}"
    axes.axhline(predicted, color=colour, linestyle="--", linewidth=0.8, label=label)


def _points(rows: list[Row]) -> tuple[list[float], list[float]]:
    """Returns the number of the model and the sharpness of each row, as coordinates x and y."""
    return column(rows, "model"), column(rows, "found")


def _check(loss: str, name: str) -> Callable[[Data], Measured | NotRun]:
    """Returns the check that the boundary `name` is at the sharpness of the linear network."""

    def check(data: Data) -> Measured | NotRun:
        """Returns the mean sharpness over that of the linear network, which must be near 1.

        It is NotRun for fewer than two models, and if a boundary is outside of the sigmas searched.
        """
        rows = matching(data["boundaries"], loss=loss, boundary=name)
        if len(rows) < 2:
            return NotRun("fewer than two models")
        censored = sum(column(rows, "censored"))
        if censored:
            low, high = rows[0]["sigma_low"], rows[0]["sigma_high"]
            models = f"{censored:g} of {len(rows)} models"
            return NotRun(f"the boundary lies outside σ = {low:.3g} … {high:.3g} in {models}")
        _, predicted = BOUNDARIES[name]
        value = _relative_mean(rows, "found", predicted).value
        low = _relative_mean(rows, "found_low", predicted).low
        high = _relative_mean(rows, "found_high", predicted).high
        quantity = (
            f"ηλ found over {predicted:g}, geometric mean, the bisection's last bracket in the "
            "interval"
        )
        return Measured(quantity, value, 0.9, 1.1, low, high)

    return check


def _relative_mean(rows: list[Row], name: str, predicted: float) -> Interval:
    """Returns the geometric mean of a column over `predicted`, with its 95 % interval."""
    return geometric_mean_interval([number / predicted for number in column(rows, name)])


STATEMENTS = {
    "growth": "the loss begins to grow first",
    "divergence": "training begins to diverge soon",
}


def _claims(loss: str) -> list[Claim]:
    """Returns the claims on both boundaries for one loss."""
    claims = []
    for name, event in STATEMENTS.items():
        sentence = (
            f"ReLU network, {loss} loss: {event} at the ηλ of the linear network, λ being the top "
            "Gauss-Newton curvature."
        )
        claim = Claim(f"{loss}-{name}", sentence, "open question", _check(loss, name))
        claims.append(claim)
    return claims


CLAIMS = tuple(claim for loss in LOSS_NAMES for claim in _claims(loss))

FIGURE = PaperFigure(
    key="relu-boundaries",
    title="Where the phases of a ReLU network meet",
    about=(
        ABOUT_NETWORK
        + "Each model is bisected separately in σ, over the first full-batch steps. The "
        "claims ask whether the linear network's numbers carry over; that is our question, not "
        "one that we know the paper to answer in these units."
    ),
    quick=ReluBoundaries(),
    full=ReluBoundaries(dataset="cifar10", examples=1000, halvings=6),
    measure=measure,
    draw=draw,
    description=(
        "ηλ at which each model begins to grow and to diverge, beside the linear network's 2 and 4."
    ),
    claims=CLAIMS,
)
