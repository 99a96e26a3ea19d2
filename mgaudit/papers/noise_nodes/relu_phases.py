"""The four phases of a ReLU network on images, for both losses, with fresh and with fixed noise.

A noise node is an extra input that receives noise of standard deviation sigma. Its weights w_ni
hardly change ("decoupled") or fall ("decay"), or the loss grows at first ("catapult") or without
bound ("divergence"). Noise is drawn anew in each epoch (fresh) or once for each example (fixed).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from matplotlib.axes import Axes
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
    experiment_of,
    in_order,
    mean_loss,
    node_norm,
    noisy_loss,
    plain_outputs,
    reference_sigma,
    sharpness,
)
from mgaudit.papers.noise_nodes.verdicts import Judge, phase_check
from mgaudit.papers.paper import PaperFigure, Resources
from mgaudit.papers.rows import column, distinct, matching, ratios
from mgaudit.papers.statistics import geometric_mean_interval
from mgaudit.reports.figures.panels import legend, panels
from mgaudit.targets.fitting.recipe import Recipe
from mgaudit.targets.fitting.trajectory import Trajectory
from mgaudit.theory.noise_nodes import GROWTH

EARLY = 6  # the first steps all have a snapshot, because the noise may grow and vanish within a few
RESULT_II = "introduction, result (ii)"
PLACE = "ReLU network, phases"


@dataclass(frozen=True)
class ReluPhases:
    """The training of each phase. Divergence is fast, and has its own numbers of epochs and models.

    `squared` and `cross_entropy` have the sigma of each phase with the loss of that name, in units
    of the sigma at which the learning rate `eta` times the initial curvature is 2.
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
class PhaseTask:
    """The training of all models with one loss, kind of noise and phase, which gives sigma."""

    experiment: NodeExperiment
    loss: LossName
    noise: str
    phase: str
    sigma: float
    snapshots: int


def measure(settings: ReluPhases, resources: Resources) -> Data:
    """Returns the losses and the node's norm of each model along training, and its outcome.

    The tables are `trajectories`, a row for each snapshot of a model, and `runs`, a row for each
    model.
    """
    experiment = experiment_of(settings)
    brief = replace(
        experiment, epochs=settings.divergence_epochs, models=settings.divergence_models
    )
    shares = {"squared": settings.squared, "cross-entropy": settings.cross_entropy}
    tasks = []
    for loss in LOSS_NAMES:
        unit = reference_sigma(experiment, loss)
        for noise, (phase, share) in product(NOISE_LINES, shares[loss]):
            network_of_phase = brief if phase == "divergence" else experiment
            sigma = share * unit
            task = PhaseTask(network_of_phase, loss, noise, phase, sigma, settings.snapshots)
            tasks.append(task)
    return trained_phases(tasks, resources.jobs)


def trained_phases(tasks: Sequence[PhaseTask], jobs: int) -> Data:
    """Returns the tables `trajectories`, a row for each snapshot, and `runs`, for each model."""
    data: Data = {"trajectories": [], "runs": []}
    for trajectories, runs in parallel.run(_run, tasks, jobs):
        data["trajectories"] += trajectories
        data["runs"] += runs
    return {name: in_order(rows) for name, rows in data.items()}


def _run(task: PhaseTask) -> tuple[list[Row], list[Row]]:
    """Trains the models. Returns a row for each of their snapshots, and a row for each model."""
    experiment = task.experiment
    recipe = experiment.recipe(task.loss, task.sigma, task.noise == "fixed")
    spaced = np.geomspace(EARLY, experiment.steps, task.snapshots).astype(int)
    steps = sorted({*range(EARLY), *spaced.tolist()})
    trajectory = experiment.train(recipe, steps)
    head: Row = {"loss": task.loss, "noise": task.noise, "phase": task.phase, "sigma": task.sigma}
    trajectories: list[Row] = []
    runs: list[Row] = []
    for model in range(experiment.models):
        along = _along(experiment, recipe, trajectory, model, head)
        row: Row = {**head, **_outcome(trajectory, model, along)}
        if task.phase == "catapult":
            row |= _flattening(experiment, recipe, trajectory, model)
        trajectories += along
        runs.append(row)
    return trajectories, runs


def _along(
    experiment: NodeExperiment, recipe: Recipe, trajectory: Trajectory, model: int, head: Row
) -> list[Row]:
    """Returns a row for each snapshot of a model; snapshots with infinite numbers are left out.

    A row has the columns of `head`, which are common to the models of a task, the step, the losses
    with and without noise, and the node's norm divided by its initial norm.
    """
    outputs = plain_outputs(experiment, recipe, trajectory.weights[model], test=False)
    labels = experiment.data.labels[: experiment.probed]
    initial_norm = node_norm(trajectory, model, 0)
    rows: list[Row] = []
    for snapshot, step in enumerate(trajectory.steps):
        norm = node_norm(trajectory, model, snapshot)
        loss = mean_loss(outputs[snapshot], labels, recipe.training.loss)
        numbers = {
            "node_norm_ratio": norm / initial_norm,
            "noise_free_loss": loss,
            "loss_with_noise": noisy_loss(experiment, recipe, trajectory, model, snapshot),
        }
        if all(map(math.isfinite, numbers.values())):
            rows.append({**head, "model": float(model), "step": float(step), **numbers})
    return rows


def _outcome(trajectory: Trajectory, model: int, along: list[Row]) -> dict[str, float]:
    """Returns the outcome of a model; only that it diverged, if it did.

    `along` has the rows of the model in the order of steps (`_along`). `growth` is the largest loss
    with noise divided by the first, and `loss_ratio` is the last divided by the first.
    """
    row = {"model": float(model), "diverged": float(diverged(trajectory, model))}
    if row["diverged"]:
        return row
    losses = column(along, "loss_with_noise")
    return {
        **row,
        "node_norm_ratio": float(along[-1]["node_norm_ratio"]),
        "growth": max(losses) / losses[0],
        "loss_ratio": losses[-1] / losses[0],
    }


def _flattening(
    experiment: NodeExperiment, recipe: Recipe, trajectory: Trajectory, model: int
) -> dict[str, float]:
    """Returns the sharpness at the start and the end of training; empty if the model diverged."""
    if diverged(trajectory, model):
        return {}
    return {
        "start_sharpness": sharpness(experiment, recipe, trajectory, model, 0),
        "end_sharpness": sharpness(experiment, recipe, trajectory, model, -1),
    }


def draw(data: Data) -> Figure:
    """Returns the losses and the node's norm along training, in a row of panels for each loss."""
    columns = (
        ("loss_with_noise", "training loss with noise"),
        ("noise_free_loss", "noise-free training loss"),
        ("node_norm_ratio", "‖w_ni‖ / its start"),
    )
    figure, axes = panels(len(LOSS_NAMES) * len(columns), 2.4, sharey=False)
    for axis, (loss, (name, label)) in zip(axes, product(LOSS_NAMES, columns), strict=True):
        _draw_medians(axis, matching(data["trajectories"], loss=loss), name)
        axis.set(xlabel="step + 1", ylabel=label)
        axis.set_title(loss, fontsize=8)
        axis.set_ylim((0.02, 5) if name == "node_norm_ratio" else (1e-3, 50))
        axis.set(xscale="log", yscale="log")
    legend(figure, *axes)
    return figure


def _draw_medians(axes: Axes, loss_rows: list[Row], name: str) -> None:
    """Draws the medians over models of a column, a line for each phase and kind of noise."""
    for phase, noise in product(PHASE_LOOKS, NOISE_LINES):
        colour, _ = PHASE_LOOKS[phase]
        rows = matching(loss_rows, phase=phase, noise=noise)
        if not rows:
            continue
        steps = distinct(rows, "step")
        samples = [column(matching(rows, step=step), name) for step in steps]
        medians = [np.median(sample) for sample in samples]
        axes.plot(
            [step + 1 for step in steps],
            medians,
            NOISE_LINES[noise],
            color=colour,
            linewidth=1.2,
            label=f"{phase}, {noise} noise",
        )


def _diverged(row: Row) -> bool:
    """Returns whether the model of a row of `runs` diverged."""
    return row["diverged"] == 1


def _like_fresh(loss: str, phase: str) -> Callable[[Data], Measured | NotRun]:
    """Returns the check that the node ends with a similar norm under fixed and fresh noise."""

    def final_norms(data: Data, noise: str) -> dict[str | float, float]:
        """Returns the node's final over its initial norm, by model, without diverged models."""
        rows = matching(data["runs"], loss=loss, phase=phase, noise=noise)
        return {row["model"]: float(row["node_norm_ratio"]) for row in rows if not row["diverged"]}

    def check(data: Data) -> Measured | NotRun:
        """Returns the ratio of the final norms, fixed over fresh noise; NotRun below two models."""
        fresh, fixed = final_norms(data, "fresh"), final_norms(data, "fixed")
        pairs = [fixed[model] / norm for model, norm in fresh.items() if model in fixed]
        if len(pairs) < 2:
            return NotRun("fewer than two models did not diverge with either kind of noise")
        value, low, high = geometric_mean_interval(pairs)
        quantity = "‖w_ni‖ at the end, fixed over fresh noise, geometric mean"
        return Measured(quantity, value, 0.5, 2.0, low, high)

    return check


# A judge returns the number, with its 95 % interval and the range in which the claim holds, from
# `rows`, a row of `runs` for each model of one loss, phase and kind of noise.


def _stays(rows: list[Row]) -> Measured:
    """Returns the node's final norm over its initial norm, which must be near 1."""
    interval = mean_interval(column(rows, "node_norm_ratio"))
    quantity = "‖w_ni‖ at the end over its start, mean"
    return Measured.with_interval(quantity, interval, 0.9, 1.1)


def _falls(rows: list[Row]) -> Measured:
    """Returns the node's final norm over its initial norm, which must be at most a half."""
    interval = geometric_mean_interval(column(rows, "node_norm_ratio"))
    quantity = "‖w_ni‖ at the end over its start, geometric mean"
    return Measured.with_interval(quantity, interval, at_most=0.5)


def _no_growth(rows: list[Row]) -> Measured:
    """Returns the largest loss with noise over the first, which must be at most 1.1."""
    interval = geometric_mean_interval(column(rows, "growth"))
    quantity = "largest loss with noise over the first, geometric mean"
    return Measured.with_interval(quantity, interval, at_most=1.1)


def _grows(rows: list[Row]) -> Measured:
    """Returns the largest loss with noise over the first, which must be at least 1.1."""
    interval = geometric_mean_interval(column(rows, "growth"))
    quantity = "largest loss with noise over the first, geometric mean"
    return Measured.with_interval(quantity, interval, at_least=1.1)


def _recovers(rows: list[Row]) -> Measured:
    """Returns the last loss with noise over the first, which must be at most a half."""
    interval = geometric_mean_interval(column(rows, "loss_ratio"))
    quantity = "last loss with noise over the first, geometric mean"
    return Measured.with_interval(quantity, interval, at_most=0.5)


def _flatter(rows: list[Row]) -> Measured:
    """Returns the final top curvature over the initial one, which must be at most 1."""
    interval = geometric_mean_interval(ratios(rows, "end_sharpness", "start_sharpness"))
    quantity = "λ at the end over its start, geometric mean"
    return Measured.with_interval(quantity, interval, at_most=1.0)


def _below_growth(rows: list[Row]) -> Measured:
    """Returns eta times the final top curvature, which must be at most 2."""
    interval = mean_interval(column(rows, "end_sharpness"))
    return Measured.with_interval("ηλ at the end, mean", interval, at_most=GROWTH)


def _escapes(rows: list[Row]) -> Measured:
    """Returns the share of models that diverge, which must be at least a half."""
    interval = clopper_pearson(sum(map(_diverged, rows)), len(rows))
    return Measured.with_interval("share of models that diverge", interval, at_least=0.5)


STATEMENTS: tuple[tuple[str, str, Judge, str, str], ...] = (
    ("decoupled", "stays", _stays, PLACE, "the node's weights keep their norm"),
    ("decay", "falls", _falls, RESULT_II, "the node's weights evolve to small values"),
    ("decay", "no-growth", _no_growth, PLACE, "the training loss does not grow first"),
    ("catapult", "grows", _grows, PLACE, "the training loss grows first"),
    ("catapult", "recovers", _recovers, PLACE, "the training loss falls after all"),
    ("catapult", "falls", _falls, RESULT_II, "the node's weights evolve to small values"),
    ("catapult", "flatter", _flatter, PLACE, "the top curvature ends below where it began"),
    (
        "catapult",
        "below-two",
        _below_growth,
        "open question",
        "the top curvature ends below 2/η",
    ),
    ("divergence", "escapes", _escapes, PLACE, "training diverges"),
)


def phase_claims(
    loss: str,
    noise: str,
    network_words: str = "ReLU network",
    prefix: str = "",
    place: str = PLACE,
) -> list[Claim]:
    """Returns a claim for each of the STATEMENTS, for one loss and kind of noise.

    `network_words` name the network, `prefix` is the beginning of the keys, and `place` is where
    the paper has the phases of this network.
    """
    claims = []
    for phase, key, judge, source, statement in STATEMENTS:
        sentence = f"{network_words}, {loss} loss, {noise} noise: in the {phase} phase {statement}."
        condition: Row = {"loss": loss, "noise": noise, "phase": phase}
        check = phase_check(condition, judge, _diverged, "models")
        own_place = place if source == PLACE else source
        claim = Claim(f"{prefix}{loss}-{noise}-{phase}-{key}", sentence, own_place, check)
        claims.append(claim)
    return claims


def _fixed_like_fresh(loss: str, phase: str) -> Claim:
    """Returns the claim that fixed noise has the same effect on the node as fresh noise."""
    sentence = (
        f"ReLU network, {loss} loss: in the {phase} phase the node's weights end alike with "
        "fixed and fresh noise."
    )
    return Claim(f"{loss}-{phase}-fixed-like-fresh", sentence, RESULT_II, _like_fresh(loss, phase))


CLAIMS = (
    *(claim for loss in LOSS_NAMES for noise in NOISE_LINES for claim in phase_claims(loss, noise)),
    *(_fixed_like_fresh(loss, phase) for loss in LOSS_NAMES for phase in ("decay", "catapult")),
)

FIGURE = PaperFigure(
    key="relu-phases",
    title="Four phases of a ReLU network",
    about=(
        ABOUT_NETWORK
        + "The quick σ of catapult and divergence lie between and beyond the onsets that "
        "relu-boundaries "
        "finds, not between ηλ = 2 and 4; on CIFAR-10 those onsets are so close that few σ are "
        "between. Decay and catapult have other σ for cross-entropy, whose curvature grows in "
        "training. Torch's first layer starts at 1/√(inputs + 1), so on larger images the node "
        "begins small and chance moves it more."
    ),
    quick=ReluPhases(models=5),
    full=ReluPhases(
        dataset="cifar10",
        examples=1000,
        epochs=120,
        models=4,
        snapshots=20,
        squared=(("decoupled", 0.002), ("decay", 0.5), ("catapult", 1.3), ("divergence", 5.0)),
        cross_entropy=(
            ("decoupled", 0.001),
            ("decay", 0.15),
            ("catapult", 1.0),
            ("divergence", 8.0),
        ),
    ),
    measure=measure,
    draw=draw,
    description=(
        "Medians over models of the training loss with noise, the noise-free training loss and "
        "the norm of the node's weights, against the step, for each phase, loss and kind of noise."
    ),
    claims=CLAIMS,
)
