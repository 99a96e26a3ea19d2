"""Decay times of the node's weights and of the noise-free loss in the linear network.

The network is f(x, e) = w2 . (w1 x + w_ni e), with the noise e at the node. A decay time is the
number of steps in which a quantity falls by the factor e = 2.718....
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mgaudit.attacks.intervals import Interval, mean_interval
from mgaudit.papers.claim import Claim, Data, Measured, NotRun, Row
from mgaudit.papers.error_bars import error_bars
from mgaudit.papers.noise_nodes.beginning import beginning
from mgaudit.papers.paper import PaperFigure, Resources
from mgaudit.papers.rows import column, distinct, matching, ratios
from mgaudit.reports.figures.palette import LOOKS
from mgaudit.reports.figures.panels import panels
from mgaudit.targets.seeds import numpy_generator
from mgaudit.theory.arguments import Floats
from mgaudit.theory.noise_node_dynamics import DescentPath, descend, fresh_moments
from mgaudit.theory.noise_nodes import loss_decay_time, node_decay_time

PLACE = "linear model, decay times"
SPAN = 2.0  # a decay is followed for this many predicted decay times
SNAPSHOTS = 40


@dataclass(frozen=True)
class DecayTime:
    """Three grids of settings, all in the decay phase, in which the node's weights fall to 0.

    The steps are small and the noise is much larger than the data. `node` is |w_ni| / |w2| for the
    first two grids; `node_shares` are the values of |w_ni| / |w2| for the third.
    """

    etas: tuple[float, ...] = (1e-4, 5e-4)
    sigmas: tuple[float, ...] = (5.0, 10.0)
    second_norms: tuple[float, ...] = (0.5, 1.0, 1.4)
    loss_etas: tuple[float, ...] = (0.002, 0.01)
    loss_sigmas_x: tuple[float, ...] = (0.5, 1.0)
    loss_sigma: float = 3.0
    node_shares: tuple[float, ...] = (0.1, 0.3, 0.5, 0.7, 1.0)
    node: float = 0.05
    cosine: float = 0.5
    residual: float = 0.05
    batch: int = 1024
    runs: int = 10
    width: int = 8
    seed: int = 0


@dataclass(frozen=True)
class _Point:
    """One point of a grid: the settings of one training, with its predicted decay time in steps.

    `second_norm` and `node_norm` are the initial |w2| and |w_ni|, and `cosine` is that of their
    angle. The initial slope of the output in the input is 0, and the slope of the labels is
    `target`.
    """

    eta: float
    sigma_x: float
    sigma: float
    second_norm: float
    node_norm: float
    cosine: float
    target: float
    predicted: float


def measure(settings: DecayTime, resources: Resources) -> Data:
    """Returns measured and predicted decay times (steps), a row for each point and run.

    The tables are `node` (the node's weight along w2), `loss` (the noise-free loss) and
    `node_share` (w2 . w_ni for nodes of several lengths).
    """
    node_grid = product(settings.etas, settings.sigmas, settings.second_norms)
    loss_grid = product(settings.loss_etas, settings.loss_sigmas_x, settings.second_norms)
    return {
        "node": [row for point in node_grid for row in _node_rows(settings, *point)],
        "loss": [row for point in loss_grid for row in _loss_rows(settings, *point)],
        "node_share": [
            row for share in settings.node_shares for row in _share_rows(settings, share)
        ],
    }


def _node_rows(settings: DecayTime, eta: float, sigma: float, second_norm: float) -> list[Row]:
    """Returns the decay times of the node's weight along w2, |w_ni . w2| / |w2|, for each run."""
    point = _Point(
        eta=eta,
        sigma_x=1.0,
        sigma=sigma,
        second_norm=second_norm,
        node_norm=settings.node * second_norm,
        cosine=settings.cosine,
        target=settings.residual,
        predicted=float(node_decay_time(eta, sigma, second_norm)),
    )
    path = _descent(settings, point)
    squares = np.sum(path.net.second**2, axis=-1)
    second_norms = np.sqrt(squares)
    along = np.abs(path.net.leak) / second_norms
    head: Row = {
        "eta": eta,
        "sigma": sigma,
        "second_norm": second_norm,
        "predicted": point.predicted,
    }
    return _decay_rows(head, path, along)


def _loss_rows(settings: DecayTime, eta: float, sigma_x: float, second_norm: float) -> list[Row]:
    """Returns the decay times of the noise-free loss, a row for each run."""
    point = _Point(
        eta=eta,
        sigma_x=sigma_x,
        sigma=settings.loss_sigma,
        second_norm=second_norm,
        node_norm=settings.node * second_norm,
        cosine=settings.cosine,
        target=settings.residual,
        predicted=float(loss_decay_time(eta, sigma_x, 1.0, second_norm)),
    )
    path = _descent(settings, point)
    losses = (path.net.slope - point.target) ** 2
    head: Row = {
        "eta": eta,
        "sigma_x": sigma_x,
        "second_norm": second_norm,
        "predicted": point.predicted,
    }
    return _decay_rows(head, path, losses)


def _share_rows(settings: DecayTime, share: float) -> list[Row]:
    """Returns the decay times of w2 . w_ni for a node of length `share` times |w2|, for each run.

    `predicted` allows for the length of the node, and `alone` is the prediction for a short node.
    """
    eta, sigma = settings.etas[0], settings.sigmas[0]
    alone = float(node_decay_time(eta, sigma, 1.0))
    point = _Point(
        eta=eta,
        sigma_x=1.0,
        sigma=sigma,
        second_norm=1.0,
        node_norm=share,
        # Both lengths stay constant while w2 . w_ni decays only if w_ni is nearly orthogonal to w2
        # or much shorter.
        cosine=0.05 / share,
        target=0.0,
        predicted=alone / (1 + share**2),
    )
    path = _descent(settings, point)
    head: Row = {"share": share, "alone": alone, "predicted": point.predicted}
    return _decay_rows(head, path, np.abs(path.net.leak))


def _descent(settings: DecayTime, point: _Point) -> DescentPath:
    """Returns the weights of all runs along training, over SPAN predicted decay times."""
    name = f"decay {point.eta} {point.sigma_x} {point.sigma} {point.second_norm} {point.node_norm}"
    generator = numpy_generator(settings.seed, name)
    start = beginning(
        settings.runs,
        settings.width,
        point.cosine,
        generator,
        point.node_norm,
        point.second_norm,
    )
    moments = fresh_moments(settings.runs, point.sigma_x, point.sigma, settings.batch, generator)
    steps = SPAN * point.predicted
    every = max(math.ceil(steps / SNAPSHOTS), 1)
    snapshots = max(math.ceil(steps / every), 2)
    return descend(start, point.target, point.eta, moments, snapshots * every, every)


def _decay_rows(head: Row, path: DescentPath, values: Floats) -> list[Row]:
    """Returns each run's decay time in steps, from a line fitted to the logarithms of `values`.

    `values` (snapshots, runs) must be > 0. `head` has the further columns of each row.
    """
    slopes = np.polyfit(path.steps, np.log(values), 1)[0]
    times = (-1 / slopes).tolist()
    return [{**head, "run": float(run), "measured": time} for run, time in enumerate(times)]


def draw(data: Data) -> Figure:
    """Returns measured against predicted decay times, and the node's against the node's length."""
    figure, axes = panels(3, 2.6, sharey=False)
    node, loss, share = axes
    _draw_times(node, data["node"], LOOKS["noise-nodes"], "decay time of w_ni along w₂ (steps)")
    _draw_times(loss, data["loss"], LOOKS["none"], "decay time of the noise-free loss (steps)")
    _draw_shares(share, data["node_share"])
    return figure


def _draw_times(axes: Axes, rows: list[Row], look: tuple[str, str], label: str) -> None:
    """Draws mean measured decay times with intervals against predicted ones, in steps.

    `look` is a colour and a mark, and `label` names the vertical axis.
    """
    colour, mark = look
    predicted = distinct(rows, "predicted")
    samples = [column(matching(rows, predicted=time), "measured") for time in predicted]
    means, reach = error_bars(map(mean_interval, samples))
    axes.errorbar(predicted, means, reach, fmt=mark, color=colour, label="measured")
    axes.plot(predicted, predicted, color="black", linewidth=0.8, label="as predicted")
    axes.set(xlabel="predicted (steps)", ylabel=label)
    axes.yaxis.label.set_fontsize(8)
    axes.set(xscale="log", yscale="log")
    axes.legend(fontsize=8)


def _draw_shares(axes: Axes, rows: list[Row]) -> None:
    """Draws the decay time, over that of a short node, against the length of the node."""
    shares = distinct(rows, "share")
    samples = [ratios(matching(rows, share=share), "measured", "alone") for share in shares]
    means, reach = error_bars(map(mean_interval, samples))
    colour, mark = LOOKS["noise-nodes"]
    axes.errorbar(shares, means, reach, fmt=mark, color=colour, label="measured")
    grid = np.linspace(0, max(shares), 50)
    expected = 1 / (1 + grid**2)
    axes.plot(grid, expected, color="black", linewidth=0.8, label="‖w₂‖² / (‖w₂‖² + ‖w_ni‖²)")
    axes.axhline(1.0, color="black", linewidth=0.8, linestyle="--", label="1 / (ησ²‖w₂‖²)")
    axes.set(xlabel="‖w_ni‖ / ‖w₂‖", ylabel="decay time × ησ²‖w₂‖²", ylim=(0, 1.5))
    axes.legend(fontsize=7, loc="lower left")


def _distance_from_one(interval: Interval) -> float:
    """Returns the distance from 1 to the end of the interval that is further from it."""
    return max(abs(interval.low - 1), abs(interval.high - 1))


def _worst(table: str, against: str, quantity: str) -> Callable[[Data], Measured | NotRun]:
    """Returns the check that measured times are within 10 % of a prediction at all grid points.

    `table` is the table of the grid, `against` its column with the prediction, and `quantity`
    describes the ratio.
    """

    def check(data: Data) -> Measured | NotRun:
        """Returns the mean ratio over runs of the point whose interval is furthest from 1."""
        points: dict[tuple[str | float, ...], list[Row]] = {}
        for row in data[table]:
            settings = (value for name, value in row.items() if name not in ("run", "measured"))
            points.setdefault(tuple(settings), []).append(row)
        intervals = [mean_interval(ratios(rows, "measured", against)) for rows in points.values()]
        value, low, high = max(intervals, key=_distance_from_one)
        quantity_of_worst = f"{quantity}, at the worst of {len(intervals)} settings"
        return Measured(quantity_of_worst, value, 0.9, 1.1, low, high)

    return check


CLAIMS = (
    Claim(
        "node-decay-time",
        (
            "In the decay phase the node's weights along w₂ decay in 1 / (ησ²‖w₂‖²) steps, w_ni "
            "being far shorter than w₂."
        ),
        PLACE,
        _worst("node", "predicted", "decay time of w_ni along w₂ over the predicted one"),
    ),
    Claim(
        "loss-decay-time",
        (
            "In the decay phase the noise-free loss decays in 1 / (2ησ_x²(‖w₁‖² + ‖w₂‖²)) steps, "
            "near the target."
        ),
        PLACE,
        _worst("loss", "predicted", "decay time of the noise-free loss over the predicted one"),
    ),
    Claim(
        "node-decay-time-at-any-length",
        "The node's weight in the output, w₂·w_ni, decays in 1 / (ησ²‖w₂‖²) steps however long "
        "w_ni is, w_ni being nearly at a right angle to w₂ or far shorter.",
        "open question",
        _worst("node_share", "alone", "decay time of w₂·w_ni × ησ²‖w₂‖²"),
    ),
    Claim(
        "node-decay-time-with-its-length",
        "The node's weight in the output, w₂·w_ni, decays in 1 / (ησ²(‖w₂‖² + ‖w_ni‖²)) = 1 / "
        "(ηλ) steps, w_ni being nearly at a right angle to w₂ or far shorter.",
        "open question",
        _worst("node_share", "predicted", "decay time of w₂·w_ni × ηλ"),
    ),
)

FIGURE = PaperFigure(
    key="decay-time",
    title="Decay times of the linear network",
    about=(
        "Straight lines through logarithms over two predicted decay times. For the node: w_ni "
        "along w₂, 1/20 as long as w₂, ησ²‖w₂‖² ≤ 0.1, noise 5 or 10 times the data. For the "
        "loss: near the target, σ = 3. Along other directions w_ni does not decay at all. The "
        "third panel lets w_ni be as long as w₂."
    ),
    quick=DecayTime(),
    full=DecayTime(runs=50),
    measure=measure,
    uses_resources=False,
    draw=draw,
    description=(
        "Measured against predicted decay times of the node's weights and of the noise-free loss, "
        "and the node's against the length of its weights."
    ),
    claims=CLAIMS,
)
