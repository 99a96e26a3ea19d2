"""The four phases of a ReLU network on images, for both losses, with fresh and with fixed noise."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from matplotlib.figure import Figure

from mgaudit.attacks.intervals import clopper_pearson, mean_interval
from mgaudit.compute import parallel
from mgaudit.papers.claim import Claim, Data, Measured, NotRun, Row
from mgaudit.papers.noise_nodes.looks import NOISE_LINES, PHASE_LOOKS
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
    noisy_loss,
    plain_outputs,
    reference_sigma,
    sharpness,
)
from mgaudit.papers.noise_nodes.verdicts import Judge, numbers, phase_check
from mgaudit.papers.paper import PaperFigure, Workshop
from mgaudit.papers.statistics import geometric_mean_interval
from mgaudit.reports.figures.panels import legend, panels
from mgaudit.targets.fitting.recipe import Recipe
from mgaudit.targets.fitting.trajectory import Trajectory
from mgaudit.theory.noise_nodes import GROWTH

EARLY = 6  # steps at first that each have a snapshot: the noise may grow and be gone in a few
RESULT_II = "introduction, result (ii)"
PLACE = "ReLU network, phases"


@dataclass(frozen=True)
class ReluPhases:
    """Divergence is soon over, and has epochs and models of its own.

    `squared` and `cross_entropy` are the sigma of each phase over that at which eta times the curvature is 2 at first.
    """

    dataset: str = "digits"
    examples: int = 1000
    hidden: tuple[int, ...] = (128, 128, 128)
    eta: float = 0.1
    batch: int = 128
    epochs: int = 64
    models: int = 6
    divergence_epochs: int = 5
    divergence_models: int = 6
    snapshots: int = 12
    squared: tuple[tuple[str, float], ...] = (
        ("decoupled", 0.002),
        ("decay", 0.5),
        ("catapult", 1.9),
        ("divergence", 5.0),
    )
    cross_entropy: tuple[tuple[str, float], ...] = (
        ("decoupled", 0.001),
        ("decay", 0.15),
        ("catapult", 3.0),
        ("divergence", 8.0),
    )
    seed: int = 0


@dataclass(frozen=True)
class _Task:
    of: NodeExperiment
    loss: LossName
    noise: str
    phase: str
    sigma: float
    snapshots: int


def measure(settings: ReluPhases, workshop: Workshop) -> Data:
    """Returns each model's losses and node along training, and what became of it."""
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
    shares = {"squared": settings.squared, "cross-entropy": settings.cross_entropy}
    brief = replace(of, epochs=settings.divergence_epochs, models=settings.divergence_models)
    units = {loss: reference_sigma(of, loss) for loss in LOSS_NAMES}
    tasks = [
        _Task(brief if phase == "divergence" else of, loss, noise, phase, times * units[loss], settings.snapshots)
        for loss in LOSS_NAMES
        for noise in NOISE_LINES
        for phase, times in shares[loss]
    ]
    data: Data = {"trajectories": [], "runs": []}
    for trajectories, runs in parallel.run(_done, tasks, workshop.jobs):
        data["trajectories"] += trajectories
        data["runs"] += runs
    return {name: in_order(rows) for name, rows in data.items()}


def _done(task: _Task) -> tuple[list[Row], list[Row]]:
    of, recipe = task.of, task.of.recipe(task.loss, task.sigma, task.noise == "fixed")
    kept = sorted({*range(EARLY), *np.geomspace(EARLY, of.steps, task.snapshots).astype(int).tolist()})
    found = of.train(recipe, kept)
    head: Row = {"loss": task.loss, "noise": task.noise, "phase": task.phase, "sigma": task.sigma}
    trajectories, runs = [], []
    for model in range(of.models):
        along = _along(of, recipe, found, model, head)
        curved = _flattening(of, recipe, found, model) if task.phase == "catapult" else {}
        trajectories += along
        runs.append({**head, **_outcome(found, model, along), **curved})
    return trajectories, runs


def _along(of: NodeExperiment, recipe: Recipe, found: Trajectory, model: int, head: Row) -> list[Row]:
    """Returns a row for each snapshot that is finite."""
    outputs, labels = plain_outputs(of, recipe, found.weights[model], test=False), of.data.labels[: of.probed]
    rows: list[Row] = []
    for place, step in enumerate(found.steps):
        norm = node_norm(found, model, place)
        numbers = {
            "node_norm_ratio": norm / node_norm(found, model, 0),
            "noise_free_loss": mean_loss(outputs[place], labels, recipe.training.loss),
            "loss_with_noise": noisy_loss(of, recipe, found, model, place),
        }
        if all(math.isfinite(number) for number in numbers.values()):
            rows.append({**head, "model": float(model), "step": float(step), **numbers})
    return rows


def _outcome(found: Trajectory, model: int, along: list[Row]) -> dict[str, float]:
    """Returns what became of a model, its losses being those with the same fresh noise at each snapshot."""
    row = {"model": float(model), "diverged": float(diverged(found, model))}
    if row["diverged"]:
        return row
    losses = [float(one["loss_with_noise"]) for one in along]
    return {
        **row,
        "node_norm_ratio": float(along[-1]["node_norm_ratio"]),
        "growth": max(losses) / losses[0],
        "loss_ratio": losses[-1] / losses[0],
    }


def _flattening(of: NodeExperiment, recipe: Recipe, found: Trajectory, model: int) -> dict[str, float]:
    if diverged(found, model):
        return {}
    start, end = (sharpness(of, recipe, found, model, place) for place in (0, -1))
    return {"start_sharpness": start, "end_sharpness": end}


def draw(data: Data) -> Figure:
    """Returns the losses and the node's norm along training, in a row of panels for each loss."""
    shown = (
        ("loss_with_noise", "training loss with noise"),
        ("noise_free_loss", "noise-free training loss"),
        ("node_norm_ratio", "‖w_ni‖ / its start"),
    )
    figure, axes = panels(len(LOSS_NAMES) * len(shown), 2.4, sharey=False)
    for axis, (loss, (column, label)) in zip(axes, product(LOSS_NAMES, shown), strict=True):
        for phase, (colour, _) in PHASE_LOOKS.items():
            for noise, line in NOISE_LINES.items():
                wanted = {"loss": loss, "noise": noise, "phase": phase}
                rows = [row for row in data["trajectories"] if wanted.items() <= row.items()]
                steps = sorted({float(row["step"]) for row in rows})
                y = [np.median([float(row[column]) for row in rows if row["step"] == step]) for step in steps]
                x = [step + 1 for step in steps]
                axis.plot(x, y, line, color=colour, linewidth=1.2, label=f"{phase}, {noise} noise")
        axis.set(xlabel="step + 1", ylabel=label)
        axis.set_title(loss, fontsize=8)
        axis.set_ylim((0.02, 5) if column == "node_norm_ratio" else (1e-3, 50))
        axis.set(xscale="log", yscale="log")
    legend(figure, *axes)
    return figure


def _diverged(row: Row) -> bool:
    return row["diverged"] == 1


def _like_fresh(loss: str, phase: str) -> Callable[[Data], Measured | NotRun]:
    def check(data: Data) -> Measured | NotRun:
        norms = {
            (noise, model): float(row["node_norm_ratio"])
            for row in data["runs"]
            for noise, model in [(row["noise"], row["model"])]
            if row["loss"] == loss and row["phase"] == phase and not row["diverged"]
        }
        pairs = [
            norms["fixed", model] / norms["fresh", model]
            for noise, model in norms
            if noise == "fresh" and ("fixed", model) in norms
        ]
        if len(pairs) < 2:
            return NotRun("fewer than two models came through with both kinds of noise")
        value, low, high = geometric_mean_interval(pairs)
        return Measured("‖w_ni‖ at the end, fixed over fresh noise, geometric mean", value, 0.5, 2.0, low, high)

    return check


def _stays(rows: list[Row]) -> Measured:
    return Measured.with_interval(
        "‖w_ni‖ at the end over its start, mean", mean_interval(numbers(rows, "node_norm_ratio")), 0.9, 1.1
    )


def _falls(rows: list[Row]) -> Measured:
    found = geometric_mean_interval(numbers(rows, "node_norm_ratio"))
    return Measured.with_interval("‖w_ni‖ at the end over its start, geometric mean", found, at_most=0.5)


def _grows_not(rows: list[Row]) -> Measured:
    found = geometric_mean_interval(numbers(rows, "growth"))
    return Measured.with_interval("largest loss with noise over the first, geometric mean", found, at_most=1.1)


def _grows(rows: list[Row]) -> Measured:
    found = geometric_mean_interval(numbers(rows, "growth"))
    return Measured.with_interval("largest loss with noise over the first, geometric mean", found, at_least=1.1)


def _recovers(rows: list[Row]) -> Measured:
    found = geometric_mean_interval(numbers(rows, "loss_ratio"))
    return Measured.with_interval("last loss with noise over the first, geometric mean", found, at_most=0.5)


def _flatter(rows: list[Row]) -> Measured:
    found = geometric_mean_interval([float(row["end_sharpness"]) / float(row["start_sharpness"]) for row in rows])
    return Measured.with_interval("λ at the end over its start, geometric mean", found, at_most=1.0)


def _below_growth(rows: list[Row]) -> Measured:
    return Measured.with_interval("ηλ at the end, mean", mean_interval(numbers(rows, "end_sharpness")), at_most=GROWTH)


def _escapes(rows: list[Row]) -> Measured:
    found = clopper_pearson(sum(map(_diverged, rows)), len(rows))
    return Measured.with_interval("share of models that diverge", found, at_least=0.5)


def _claims(loss: str, noise: str) -> list[Claim]:
    told: tuple[tuple[str, str, Judge, str, str], ...] = (
        ("decoupled", "stays", _stays, PLACE, "the node's weights keep their norm"),
        ("decay", "falls", _falls, RESULT_II, "the node's weights evolve to small values"),
        ("decay", "no-growth", _grows_not, PLACE, "the training loss does not grow first"),
        ("catapult", "grows", _grows, PLACE, "the training loss grows first"),
        ("catapult", "recovers", _recovers, PLACE, "the training loss falls after all"),
        ("catapult", "falls", _falls, RESULT_II, "the node's weights evolve to small values"),
        ("catapult", "flatter", _flatter, PLACE, "the top curvature ends below where it began"),
        ("catapult", "below-two", _below_growth, "open question", "the top curvature ends below 2/η"),
        ("divergence", "escapes", _escapes, PLACE, "training diverges"),
    )
    return [
        Claim(
            f"{loss}-{noise}-{phase}-{key}",
            f"ReLU network, {loss} loss, {noise} noise: in the {phase} phase {statement}.",
            place,
            phase_check({"loss": loss, "noise": noise, "phase": phase}, judge, _diverged, "models"),
        )
        for phase, key, judge, place, statement in told
    ]


CLAIMS = (
    *(claim for loss in LOSS_NAMES for noise in NOISE_LINES for claim in _claims(loss, noise)),
    *(
        Claim(
            f"{loss}-{phase}-fixed-like-fresh",
            f"ReLU network, {loss} loss: in the {phase} phase the node's weights end alike with fixed and fresh noise.",
            RESULT_II,
            _like_fresh(loss, phase),
        )
        for loss in LOSS_NAMES
        for phase in ("decay", "catapult")
    ),
)

FIGURE = PaperFigure(
    key="relu-phases",
    title="Four phases of a ReLU network",
    about=(
        ABOUT_NETWORK + "The quick σ of catapult and divergence lie between and beyond the onsets that relu-boundaries "
        "finds, not between ηλ = 2 and 4; on CIFAR-10 those onsets are so close that few σ are between. "
        "Decay and catapult have other σ for cross-entropy, whose curvature grows in training. Torch's "
        "first layer starts at 1/√(inputs + 1), so on larger images the node begins small and chance moves "
        "it more."
    ),
    quick=ReluPhases(),
    full=ReluPhases(
        dataset="cifar10",
        examples=1000,
        epochs=120,
        models=4,
        snapshots=20,
        squared=(("decoupled", 0.002), ("decay", 0.5), ("catapult", 1.3), ("divergence", 5.0)),
        cross_entropy=(("decoupled", 0.001), ("decay", 0.15), ("catapult", 1.0), ("divergence", 8.0)),
    ),
    measure=measure,
    draw=draw,
    description=(
        "Medians over models of the training loss with noise, the noise-free training loss and the norm of the "
        "node's weights, against the step, for each phase, loss and kind of noise."
    ),
    claims=CLAIMS,
)
