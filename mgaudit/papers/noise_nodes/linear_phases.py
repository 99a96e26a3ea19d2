"""The four phases of the linear network, with fresh and with fixed noise.

The network is f(x, e) = w2 . (w1 x + w_ni e), with the noise e at the node. The noise of an example
is drawn anew in each epoch (fresh) or once (fixed). The sharpness is the learning rate eta times
the curvature of the noise's loss; its initial value sets the phase. The leak is w2 . w_ni, the
factor of the noise in the output. The phases are described in `mgaudit.theory.noise_nodes`.
"""

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
from matplotlib.figure import Figure

from mgaudit.attacks.intervals import clopper_pearson, mean_interval
from mgaudit.papers.claim import Claim, Data, Measured, Row
from mgaudit.papers.noise_nodes.beginning import beginning
from mgaudit.papers.noise_nodes.looks import NOISE_LINES, PHASE_LOOKS
from mgaudit.papers.noise_nodes.verdicts import Judge, phase_check
from mgaudit.papers.paper import PaperFigure, Resources
from mgaudit.papers.rows import column, matching
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
    """The training runs; `sharpness` has the initial sharpness of each phase, which gives sigma.

    `cosine` is that of the angle between w_ni and w2 at the start, `sigma_x` the standard deviation
    of the inputs and `target` the slope of the labels.
    """

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


def measure(settings: LinearPhases, resources: Resources) -> Data:
    """Returns the medians over runs along training, and the outcome of each run.

    The tables are `trajectories`, a row for each phase, kind of noise and step, and `runs`, a row
    for each run.
    """
    data: Data = {"trajectories": [], "runs": []}
    for fixed, (index, (phase, sharpness)) in product((False, True), enumerate(settings.sharpness)):
        sigma = math.sqrt(sharpness / settings.eta / 2)  # |w2|^2 + |w_ni|^2 is 2
        path = _descent(settings, index, sigma, fixed)
        head: Row = {"phase": phase, "noise": "fixed" if fixed else "fresh", "sigma": sigma}
        data["trajectories"] += _medians(head, path, settings, sigma)
        data["runs"] += _outcomes(head, path, settings, sigma)
    return data


def _descent(settings: LinearPhases, phase_index: int, sigma: float, fixed: bool) -> DescentPath:
    """Returns the weights of all runs of one phase, at every step.

    Fresh and fixed noise of a phase have the same initial weights and inputs.
    """
    generator = numpy_generator(settings.seed, "linear phases", phase_index)
    start = beginning(settings.runs, settings.width, settings.cosine, generator)
    inputs = settings.sigma_x * generator.standard_normal((settings.runs, settings.examples))
    moments = dataset_moments(inputs, sigma, settings.batch, fixed, generator)
    return descend(start, settings.target, settings.eta, moments, settings.steps)


def _medians(head: Row, path: DescentPath, settings: LinearPhases, sigma: float) -> list[Row]:
    """Returns medians over runs, a row for each step, until half of the runs have diverged."""
    net = path.net
    with_noise = Moments.expected(settings.sigma_x, sigma)
    noise_free = Moments.expected(settings.sigma_x, 0.0)
    columns = {
        "loss": linear_loss(net, settings.target, with_noise),
        "noise_free_loss": linear_loss(net, settings.target, noise_free),
        "leak": np.abs(net.leak),
        "node_norm": _norm(net.node),
        "sharpness": settings.eta * noise_curvature(net, sigma),
    }
    last_steps = np.where(path.diverged < 0, np.inf, path.diverged)
    last_step = np.median(last_steps)
    spaced = np.geomspace(1, settings.steps, DRAWN_STEPS).astype(int)
    rows: list[Row] = []
    for step in np.unique(np.append(0, spaced)):
        if step < last_step:
            row: Row = {**head, "step": float(step)}
            row |= {name: float(np.median(values[step])) for name, values in columns.items()}
            rows.append(row)
    return rows


def _outcomes(head: Row, path: DescentPath, settings: LinearPhases, sigma: float) -> list[Row]:
    """Returns a row for each run, with the columns of `head` and its outcome.

    `diverged_at` is the step at which the run diverged, or -1. The row of a run that diverged has
    no other numbers. `growth` is the largest loss over the first, and columns named `_ratio` are
    the last value over the first. `moved_over_walk` is the distance that the node's weights moved,
    divided by that of the predicted random walk.
    """
    net = path.net
    losses = linear_loss(net, settings.target, Moments.expected(settings.sigma_x, sigma))
    along_start = np.sum(net.node * net.second[0], axis=-1)
    moved = _norm(net.node[-1] - net.node[0])
    sharpness = settings.eta * noise_curvature(net, sigma)
    columns = {
        "growth": losses.max(axis=0) / losses[0],
        "loss_ratio": _end_over_start(losses),
        "leak_ratio": np.abs(_end_over_start(net.leak)),
        "seen_ratio": _end_over_start(along_start),
        "node_norm_ratio": _end_over_start(_norm(net.node)),
        "end_sharpness": sharpness[-1],
        "moved_over_walk": moved / _walk(path, settings, sigma),
    }
    rows: list[Row] = []
    for run, diverged_at in enumerate(path.diverged.tolist()):
        row: Row = {**head, "run": float(run), "diverged_at": float(diverged_at)}
        if diverged_at < 0:
            row |= {name: float(values[run]) for name, values in columns.items()}
        rows.append(row)
    return rows


def _end_over_start(values: Floats) -> Floats:
    """Returns the last value over the first, (runs,), of `values` (snapshots, runs)."""
    return np.asarray(values[-1] / values[0])


def _walk(path: DescentPath, settings: LinearPhases, sigma: float) -> Floats:
    """Returns the predicted root mean square distance (runs,) of the node's random walk.

    A step has the standard deviation eta sigma sigma_x |r| |w2| / sqrt(batch), with r = w2 . w1 -
    target (`mgaudit.theory.noise_nodes.walk`). Steps are independent, so their squares add up.
    """
    residual = path.net.slope[:-1] - settings.target
    second_norm = _norm(path.net.second)[:-1]
    root_batch = math.sqrt(settings.batch)
    step = settings.eta * sigma * settings.sigma_x / root_batch
    squares = np.sum((residual * second_norm) ** 2, axis=0)
    return np.asarray(step * np.sqrt(squares))


def _norm(values: Floats) -> Floats:
    """Returns the norms over the last axis, (...) for (..., width)."""
    squares = np.einsum("...i,...i->...", values, values)
    return np.asarray(np.sqrt(squares))


def draw(data: Data) -> Figure:
    """Returns loss, leak and norm of the node's weights along training, for each phase."""
    figure_panels = (
        ("loss", "loss with noise", (1e-12, 1e6)),
        ("noise_free_loss", "noise-free loss", (1e-12, 1e6)),
        ("leak", "|w₂·w_ni|", (1e-7, 1e3)),
        ("node_norm", "‖w_ni‖", (0.1, 100.0)),
    )
    figure, axes = panels(len(figure_panels), 2.6, sharey=False, columns=2)
    for axis, (name, label, limits) in zip(axes, figure_panels, strict=True):
        for phase, noise in product(PHASE_LOOKS, NOISE_LINES):
            colour, _ = PHASE_LOOKS[phase]
            line = NOISE_LINES[noise]
            rows = matching(data["trajectories"], phase=phase, noise=noise)
            x = [step + 1 for step in column(rows, "step")]
            y = column(rows, name)
            legend_label = f"{phase}, {noise} noise"
            axis.plot(x, y, line, color=colour, linewidth=1.2, label=legend_label)
        axis.set(xlabel="step + 1", ylabel=label, ylim=limits)
        axis.set(xscale="log", yscale="log")
    legend(figure, *axes)
    return figure


def _diverged(row: Row) -> bool:
    """Returns whether the run of a row of `runs` diverged."""
    return float(row["diverged_at"]) >= 0


# A judge returns the number, with its 95 % interval and the range in which the claim holds, from
# `rows`, a row of `runs` for each run of one phase and kind of noise.


def _stays(rows: list[Row]) -> Measured:
    """Returns the node's weight along the initial w2 over its first value: must be near 1."""
    interval = mean_interval(column(rows, "seen_ratio"))
    quantity = "w_ni along the first w₂, at the end over its start, mean"
    return Measured.with_interval(quantity, interval, 0.9, 1.1)


def _walks(rows: list[Row]) -> Measured:
    """Returns how far the node moved over the predicted random walk, which must be near 1."""
    interval = root_mean_square_interval(column(rows, "moved_over_walk"))
    quantity = "distance w_ni moved over the random walk's ησ|g|√(T/B), root mean square"
    return Measured.with_interval(quantity, interval, 0.75, 1.33)


def _decays(rows: list[Row]) -> Measured:
    """Returns the final leak |w2 . w_ni| over the initial one, which must be at most 1 %."""
    interval = geometric_mean_interval(column(rows, "leak_ratio"))
    quantity = "|w₂·w_ni| at the end over its start, geometric mean"
    return Measured.with_interval(quantity, interval, at_most=1e-2)


def _no_growth(rows: list[Row]) -> Measured:
    """Returns the largest loss over the first, which must be at most 1.1."""
    interval = mean_interval(column(rows, "growth"))
    return Measured.with_interval("largest loss over the first, mean", interval, at_most=1.1)


def _whole_norm(rows: list[Row]) -> Measured:
    """Returns the node's final norm |w_ni| over its initial norm, which must be at most a half."""
    interval = mean_interval(column(rows, "node_norm_ratio"))
    return Measured.with_interval("‖w_ni‖ at the end over its start, mean", interval, at_most=0.5)


def _grows(rows: list[Row]) -> Measured:
    """Returns the largest loss over the first, which must be at least 10."""
    interval = geometric_mean_interval(column(rows, "growth"))
    quantity = "largest loss over the first, geometric mean"
    return Measured.with_interval(quantity, interval, at_least=10.0)


def _recovers(rows: list[Row]) -> Measured:
    """Returns the last loss over the first, which must be at most a tenth."""
    interval = geometric_mean_interval(column(rows, "loss_ratio"))
    return Measured.with_interval("last loss over the first, geometric mean", interval, at_most=0.1)


def _flatter(rows: list[Row]) -> Measured:
    """Returns eta times the final curvature of the noise's loss, which must be at most 2."""
    interval = mean_interval(column(rows, "end_sharpness"))
    return Measured.with_interval("ηλ at the end, mean", interval, at_most=GROWTH)


def _escapes(rows: list[Row]) -> Measured:
    """Returns the share of runs that diverged, which must be at least 95 %."""
    share = clopper_pearson(sum(map(_diverged, rows)), len(rows))
    quantity = "share of runs whose weights grow without bound"
    return Measured.with_interval(quantity, share, at_least=0.95)


STATEMENTS: tuple[tuple[str, str, Judge, str], ...] = (
    ("decoupled", "stays", _stays, "the node's weights stay where they were"),
    ("decoupled", "walks", _walks, "the node's weights move as far as chance moves them"),
    ("decay", "falls", _decays, "the node's weight in the output decays towards 0"),
    ("decay", "no-growth", _no_growth, "the loss does not grow first"),
    (
        "decay",
        "whole-norm",
        _whole_norm,
        "the norm of all the node's weights decays, at any angle to w₂",
    ),
    ("catapult", "grows", _grows, "the loss grows first, by our threshold at least tenfold"),
    ("catapult", "recovers", _recovers, "the loss ends far below where it began"),
    ("catapult", "flatter", _flatter, "the curvature ends below 2/η"),
    ("catapult", "norm", _whole_norm, "the node's weights end smaller in norm"),
    ("divergence", "escapes", _escapes, "the loss grows without bound"),
)


def _claims(noise: str) -> list[Claim]:
    """Returns a claim for each of the STATEMENTS that applies to a kind of noise."""
    claims = []
    for phase, key, judge, statement in STATEMENTS:
        if key == "walks" and noise == "fixed":
            continue  # steps of a walk are independent only where the noise is fresh
        sentence = f"In the {phase} phase of the linear model, with {noise} noise, {statement}."
        check = phase_check({"phase": phase, "noise": noise}, judge, _diverged, "runs")
        claim = Claim(f"{phase}-{key}-{noise}", sentence, PLACE, check)
        claims.append(claim)
    return claims


CLAIMS = (*_claims("fresh"), *_claims("fixed"))

FIGURE = PaperFigure(
    key="linear-phases",
    title="Four phases of the linear network",
    about=(
        "f = w₂·(w₁x + w_ni e), loss (f − w*x)²/2, one σ for each phase, noise fresh each epoch "
        "or drawn once. Only lengths and angles of the three weight vectors matter: we begin at "
        "length 1, w₁ at a right angle to the others and w_ni nearly so to w₂, as long random "
        "vectors are. The paper's initial weights are not known to us. At another angle the loss "
        "need not grow in the catapult phase: with w_ni = w₂ it never does."
    ),
    quick=LinearPhases(),
    full=LinearPhases(runs=400),
    measure=measure,
    uses_resources=False,
    draw=draw,
    description=(
        "Medians over runs of the loss with noise, the noise-free loss, the node's weight w₂·w_ni "
        "in the output and the norm of w_ni, against the step, for each phase, with fresh and "
        "fixed noise."
    ),
    claims=CLAIMS,
)
