"""The four phases of the linear network, with fresh and with fixed noise."""

import math
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from mgaudit.attacks.intervals import clopper_pearson, mean_interval
from mgaudit.papers.claim import Claim, Data, Measured, Row
from mgaudit.papers.noise_nodes.beginning import beginning
from mgaudit.papers.noise_nodes.looks import NOISE_LINES, PHASE_LOOKS
from mgaudit.papers.noise_nodes.verdicts import Judge, numbers, phase_check
from mgaudit.papers.paper import PaperFigure, Workshop
from mgaudit.papers.statistics import geometric_mean_interval, root_mean_square_interval
from mgaudit.reports.figures.panels import legend, panels
from mgaudit.targets.seeds import numpy_generator
from mgaudit.theory.arguments import Floats
from mgaudit.theory.noise_node_dynamics import DescentPath, dataset_moments, descend
from mgaudit.theory.noise_nodes import GROWTH, Moments, linear_loss, noise_curvature

DRAWN_STEPS = 50
PLACE = "linear model, phases"


@dataclass(frozen=True)
class LinearPhases:
    """`sharpness` is eta times the noise's curvature at the start, for each phase; sigma follows from it."""

    runs: int = 100
    steps: int = 400
    examples: int = 1024
    batch: int = 256
    width: int = 16
    cosine: float = 0.02
    eta: float = 0.01
    sigma_x: float = 1.0
    target: float = 1.0
    sharpness: tuple[tuple[str, float], ...] = (
        ("decoupled", 2e-7),
        ("decay", 0.4),
        ("catapult", 3.0),
        ("divergence", 5.0),
    )
    seed: int = 0


def measure(settings: LinearPhases, workshop: Workshop) -> Data:
    """Returns the medians over runs along training, and what became of each run."""
    data: Data = {"trajectories": [], "runs": []}
    for fixed in (False, True):
        for index, (name, sharpness) in enumerate(settings.sharpness):
            generator = numpy_generator(settings.seed, "linear phases", index)
            start = beginning(settings.runs, settings.width, settings.cosine, generator)
            sigma = math.sqrt(sharpness / settings.eta / 2)  # |w2|^2 + |w_ni|^2 is 2
            x = settings.sigma_x * generator.standard_normal((settings.runs, settings.examples))
            moments = dataset_moments(x, sigma, settings.batch, fixed, generator)
            found = descend(start, settings.target, settings.eta, moments, settings.steps)
            head: Row = {"phase": name, "noise": "fixed" if fixed else "fresh", "sigma": sigma}
            data["trajectories"] += _medians(head, found, settings, sigma)
            data["runs"] += _outcomes(head, found, settings, sigma)
    return data


def _medians(head: Row, found: DescentPath, settings: LinearPhases, sigma: float) -> list[Row]:
    """Returns rows up to where half of the runs have diverged."""
    drawn = np.unique(np.append(0, np.geomspace(1, settings.steps, DRAWN_STEPS).astype(int)))
    columns = {
        "loss": linear_loss(found.net, settings.target, Moments.expected(settings.sigma_x, sigma)),
        "noise_free_loss": linear_loss(found.net, settings.target, Moments.expected(settings.sigma_x, 0.0)),
        "leak": np.abs(found.net.leak),
        "node_norm": _norm(found.net.node),
        "sharpness": settings.eta * noise_curvature(found.net, sigma),
    }
    ended = np.where(found.diverged < 0, np.inf, found.diverged)
    return [
        {**head, "step": float(step), **{name: float(np.median(values[step])) for name, values in columns.items()}}
        for step in drawn
        if step < np.median(ended)
    ]


def _outcomes(head: Row, found: DescentPath, settings: LinearPhases, sigma: float) -> list[Row]:
    net = found.net
    losses = linear_loss(net, settings.target, Moments.expected(settings.sigma_x, sigma))
    residual, second = net.slope[:-1] - settings.target, _norm(net.second)[:-1]
    step = settings.eta * sigma * settings.sigma_x / math.sqrt(settings.batch)
    walk = step * np.sqrt(np.sum((residual * second) ** 2, axis=0))
    columns = {
        "growth": losses.max(axis=0) / losses[0],
        "loss_ratio": losses[-1] / losses[0],
        "leak_ratio": np.abs(net.leak[-1] / net.leak[0]),
        "seen_ratio": _along_start(net.node[-1], net.second[0]) / _along_start(net.node[0], net.second[0]),
        "node_norm_ratio": _norm(net.node[-1]) / _norm(net.node[0]),
        "end_sharpness": settings.eta * noise_curvature(net, sigma)[-1],
        "moved_over_walk": _norm(net.node[-1] - net.node[0]) / walk,
    }
    rows: list[Row] = []
    for run, diverged in enumerate(found.diverged.tolist()):
        kept = {} if diverged >= 0 else {name: float(values[run]) for name, values in columns.items()}
        rows.append({**head, "run": float(run), "diverged_at": float(diverged), **kept})
    return rows


def _along_start(node: Floats, second: Floats) -> Floats:
    product: Floats = np.sum(node * second, axis=-1)
    return product


def _norm(values: Floats) -> Floats:
    norms: Floats = np.sqrt(np.einsum("...i,...i->...", values, values))
    return norms


def draw(data: Data) -> Figure:
    """Returns loss, leak and norm of the node's weights along training, for each phase."""
    shown = (
        ("loss", "loss with noise", (1e-12, 1e6)),
        ("noise_free_loss", "noise-free loss", (1e-12, 1e6)),
        ("leak", "|w₂·w_ni|", (1e-7, 1e3)),
        ("node_norm", "‖w_ni‖", (0.1, 100.0)),
    )
    figure, axes = panels(len(shown), 2.6, sharey=False, columns=2)
    for axis, (column, label, limits) in zip(axes, shown, strict=True):
        for phase, (colour, _) in PHASE_LOOKS.items():
            for noise, line in NOISE_LINES.items():
                rows = [row for row in data["trajectories"] if row["phase"] == phase and row["noise"] == noise]
                x, y = [float(row["step"]) + 1 for row in rows], [float(row[column]) for row in rows]
                axis.plot(x, y, line, color=colour, linewidth=1.2, label=f"{phase}, {noise} noise")
        axis.set(xlabel="step + 1", ylabel=label, ylim=limits)
        axis.set(xscale="log", yscale="log")
    legend(figure, *axes)
    return figure


def _diverged(row: Row) -> bool:
    return float(row["diverged_at"]) >= 0


def _stays(rows: list[Row]) -> Measured:
    found = mean_interval(numbers(rows, "seen_ratio"))
    return Measured.with_interval("w_ni along the first w₂, at the end over its start, mean", found, 0.9, 1.1)


def _walks(rows: list[Row]) -> Measured:
    found = root_mean_square_interval(numbers(rows, "moved_over_walk"))
    return Measured.with_interval(
        "distance w_ni moved over the random walk's ησ|g|√(T/B), root mean square", found, 0.75, 1.33
    )


def _decays(rows: list[Row]) -> Measured:
    found = geometric_mean_interval(numbers(rows, "leak_ratio"))
    return Measured.with_interval("|w₂·w_ni| at the end over its start, geometric mean", found, at_most=1e-2)


def _grows_not(rows: list[Row]) -> Measured:
    return Measured.with_interval(
        "largest loss over the first, mean", mean_interval(numbers(rows, "growth")), at_most=1.1
    )


def _whole_norm(rows: list[Row]) -> Measured:
    return Measured.with_interval(
        "‖w_ni‖ at the end over its start, mean", mean_interval(numbers(rows, "node_norm_ratio")), at_most=0.5
    )


def _grows(rows: list[Row]) -> Measured:
    return Measured.with_interval(
        "largest loss over the first, geometric mean", geometric_mean_interval(numbers(rows, "growth")), at_least=10.0
    )


def _recovers(rows: list[Row]) -> Measured:
    found = geometric_mean_interval(numbers(rows, "loss_ratio"))
    return Measured.with_interval("last loss over the first, geometric mean", found, at_most=0.1)


def _flatter(rows: list[Row]) -> Measured:
    return Measured.with_interval("ηλ at the end, mean", mean_interval(numbers(rows, "end_sharpness")), at_most=GROWTH)


def _escapes(rows: list[Row]) -> Measured:
    share = clopper_pearson(sum(map(_diverged, rows)), len(rows))
    return Measured.with_interval("share of runs whose weights grow without bound", share, at_least=0.95)


def _claims(noise: str) -> tuple[Claim, ...]:
    told: tuple[tuple[str, str, Judge, str], ...] = (
        ("decoupled", "stays", _stays, "the node's weights stay where they were"),
        ("decoupled", "walks", _walks, "the node's weights move as far as chance moves them"),
        ("decay", "falls", _decays, "the node's weight in the output decays towards 0"),
        ("decay", "no-growth", _grows_not, "the loss does not grow first"),
        ("decay", "whole-norm", _whole_norm, "the norm of all the node's weights decays, at any angle to w₂"),
        ("catapult", "grows", _grows, "the loss grows first, by our threshold at least tenfold"),
        ("catapult", "recovers", _recovers, "the loss ends far below where it began"),
        ("catapult", "flatter", _flatter, "the curvature ends below 2/η"),
        ("catapult", "norm", _whole_norm, "the node's weights end smaller in norm"),
        ("divergence", "escapes", _escapes, "the loss grows without bound"),
    )
    return tuple(
        Claim(
            f"{phase}-{key}-{noise}",
            f"In the {phase} phase of the linear model, with {noise} noise, {statement}.",
            PLACE,
            phase_check({"phase": phase, "noise": noise}, judge, _diverged, "runs"),
        )
        for phase, key, judge, statement in told
        if not (key == "walks" and noise == "fixed")  # steps of a walk are independent where the noise is fresh
    )


CLAIMS = _claims("fresh") + _claims("fixed")

FIGURE = PaperFigure(
    key="linear-phases",
    title="Four phases of the linear network",
    about=(
        "f = w₂·(w₁x + w_ni e), loss (f − w*x)²/2, one σ for each phase, noise fresh each epoch or drawn once. "
        "Only lengths and angles of the three weight vectors matter: we begin at length 1, w₁ at a right angle "
        "to the others and w_ni nearly so to w₂, as long random vectors are. The paper's initial weights are "
        "not known to us. At another angle the loss need not grow in the catapult phase: with w_ni = w₂ it "
        "never does."
    ),
    quick=LinearPhases(),
    full=LinearPhases(runs=400),
    measure=measure,
    draw=draw,
    description=(
        "Medians over runs of the loss with noise, the noise-free loss, the node's weight w₂·w_ni in the "
        "output and the norm of w_ni, against the step, for each phase, with fresh and fixed noise."
    ),
    claims=CLAIMS,
)
