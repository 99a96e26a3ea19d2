"""Where the phases of a ReLU network meet, in the sharpness eta l that it has at the start."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from matplotlib.figure import Figure

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
from mgaudit.papers.paper import PaperFigure, Workshop
from mgaudit.papers.statistics import geometric_mean_interval
from mgaudit.reports.figures.panels import panels
from mgaudit.theory.noise_nodes import ESCAPE, GROWTH

GROWN = 1.05  # times its start the loss with noise must come to, to have grown
BOUNDARIES = {"growth": ("catapult", GROWTH), "divergence": ("divergence", ESCAPE)}


@dataclass(frozen=True)
class ReluBoundaries:
    """Bisection in sigma for each model, by full-batch steps, so that the noise of a step is close to what is expected.

    It looks from `low` to `high` times the sigma at which eta times the curvature is 2.
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
    of: NodeExperiment
    loss: LossName
    low: float
    high: float
    halvings: int


def measure(settings: ReluBoundaries, workshop: Workshop) -> Data:
    """Returns the sharpness at which each model begins to grow and to diverge."""
    full = settings.examples, settings.hidden, settings.eta, settings.examples, settings.steps
    of = network(settings.dataset, *full, models=2, seed=settings.seed)
    units = {loss: reference_sigma(of, loss) for loss in LOSS_NAMES}
    tasks = [
        _Task(
            replace(of, models=1, seed=settings.seed + model),
            loss,
            settings.low * units[loss],
            settings.high * units[loss],
            settings.halvings,
        )
        for loss in LOSS_NAMES
        for model in range(settings.models)
    ]
    return {"boundaries": in_order([row for rows in parallel.run(_searched, tasks, workshop.jobs) for row in rows])}


def _searched(task: _Task) -> list[Row]:
    outcomes: dict[str, Callable[[_Task, float], bool]] = {"growth": _grows, "divergence": _diverges}
    return [
        {
            "loss": task.loss,
            "boundary": name,
            "predicted": BOUNDARIES[name][1],
            "model": float(task.of.seed),
            **_boundary(task, partial(outcome, task)),
        }
        for name, outcome in outcomes.items()
    ]


def _boundary(task: _Task, happens: Callable[[float], bool]) -> Row:
    """Returns the sigma at which the outcome begins, the sharpness there, and what is known of both.

    `found_low` and `found_high` are the sharpness at the ends of the last bracket. `censored` is 1 where the outcome
    begins outside of the range searched, "sigma_low" to "sigma_high".
    """
    low, high = _bisected(happens, task.low, task.high, task.halvings)
    sigma = math.sqrt(low * high)
    found = _start_sharpness(task, (sigma, low, high))
    return {
        "sigma": sigma,
        "sigma_low": task.low,
        "sigma_high": task.high,
        "found": found[0],
        "found_low": min(found),
        "found_high": max(found),
        "censored": float((low == task.low and happens(low)) or (high == task.high and not happens(high))),
    }


def _bisected(happens: Callable[[float], bool], low: float, high: float, halvings: int) -> tuple[float, float]:
    """Returns the last bracket (low, high) about the sigma from which on the outcome happens."""
    for _ in range(halvings):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if happens(middle) else (middle, high)
    return low, high


def _start_sharpness(task: _Task, sigmas: Sequence[float]) -> list[float]:
    of = replace(task.of, epochs=1)
    recipes = [of.recipe(task.loss, sigma) for sigma in sigmas]
    found = of.train(recipes[0], [0])  # weights at the start are the same at each sigma
    return [sharpness(of, recipe, found, 0, 0) for recipe in recipes]


def _grows(task: _Task, sigma: float) -> bool:
    recipe = task.of.recipe(task.loss, sigma)
    found = task.of.train(recipe, range(task.of.steps + 1))
    first = noisy_loss(task.of, recipe, found, 0, 0)
    return any(noisy_loss(task.of, recipe, found, 0, place) > GROWN * first for place in range(1, len(found.steps)))


def _diverges(task: _Task, sigma: float) -> bool:
    return diverged(task.of.train(task.of.recipe(task.loss, sigma), [task.of.steps]), 0)


def draw(data: Data) -> Figure:
    """Returns each model's two boundaries in a panel for each loss, beside those of the linear network."""
    figure, axes = panels(len(LOSS_NAMES), 2.6)
    for axis, loss in zip(axes, LOSS_NAMES, strict=True):
        for name, (phase, predicted) in BOUNDARIES.items():
            colour, mark = PHASE_LOOKS[phase]
            rows = [row for row in data["boundaries"] if row["loss"] == loss and row["boundary"] == name]
            inside = [row for row in rows if not row["censored"]]
            axis.plot(*_places(inside), mark, color=colour, label=f"{name} begins")
            if len(inside) < len(rows):
                outside = [row for row in rows if row["censored"]]
                label = f"{name} begins beyond the σ searched"
                axis.plot(*_places(outside), mark, color=colour, markerfacecolor="none", label=label)
            axis.axhline(predicted, color=colour, linestyle="--", linewidth=0.8, label=f"linear network, {predicted:g}")
        axis.set(xlabel="model", ylabel="ηλ at the start", title=loss, ylim=(0.05, 200))
        axis.set(yscale="log")
        axis.legend(fontsize=7)
    return figure


def _places(rows: list[Row]) -> tuple[list[float], list[float]]:
    return [float(row["model"]) for row in rows], [float(row["found"]) for row in rows]


def _check(loss: str, name: str) -> Callable[[Data], Measured | NotRun]:
    def check(data: Data) -> Measured | NotRun:
        rows = [row for row in data["boundaries"] if row["loss"] == loss and row["boundary"] == name]
        if len(rows) < 2:
            return NotRun("fewer than two models")
        censored = sum(float(row["censored"]) for row in rows)
        if censored:
            least, most = float(rows[0]["sigma_low"]), float(rows[0]["sigma_high"])
            where = f"σ = {least:.3g} … {most:.3g} in {censored:g} of {len(rows)} models"
            return NotRun(f"the boundary lies outside {where}")
        predicted = BOUNDARIES[name][1]
        value, _, _ = geometric_mean_interval([float(row["found"]) / predicted for row in rows])
        _, low, _ = geometric_mean_interval([float(row["found_low"]) / predicted for row in rows])
        _, _, high = geometric_mean_interval([float(row["found_high"]) / predicted for row in rows])
        quantity = f"ηλ found over {predicted:g}, geometric mean, the bisection's last bracket in the interval"
        return Measured(quantity, value, 0.9, 1.1, low, high)

    return check


CLAIMS = tuple(
    Claim(
        f"{loss}-{name}",
        f"ReLU network, {loss} loss: {what} at the ηλ of the linear network, λ being the top Gauss-Newton curvature.",
        "open question",
        _check(loss, name),
    )
    for loss in LOSS_NAMES
    for name, what in (("growth", "the loss begins to grow first"), ("divergence", "training begins to diverge soon"))
)

FIGURE = PaperFigure(
    key="relu-boundaries",
    title="Where the phases of a ReLU network meet",
    about=(
        ABOUT_NETWORK + "Each model by itself, by bisection in σ, over the first steps, of the whole data each. The "
        "claims ask whether the linear network's numbers carry over; that is our question, not one that we "
        "know the paper to answer in these units."
    ),
    quick=ReluBoundaries(),
    full=ReluBoundaries(dataset="cifar10", examples=1000, halvings=6),
    measure=measure,
    draw=draw,
    description="ηλ at which each model begins to grow and to diverge, beside the linear network's 2 and 4.",
    claims=CLAIMS,
)
