"""How fast the node's weights and the noise-free loss decay in the linear network, and how fast they should."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mgaudit.attacks.intervals import Interval, mean_interval
from mgaudit.papers.claim import Claim, Data, Measured, NotRun, Row
from mgaudit.papers.noise_nodes.beginning import beginning
from mgaudit.papers.paper import PaperFigure, Workshop
from mgaudit.reports.figures.palette import LOOKS
from mgaudit.reports.figures.panels import panels
from mgaudit.targets.seeds import numpy_generator
from mgaudit.theory.arguments import Floats
from mgaudit.theory.noise_node_dynamics import DescentPath, descend, fresh_moments
from mgaudit.theory.noise_nodes import LinearNet, loss_decay_time, node_decay_time

PLACE = "linear model, decay times"
SPAN = 2.0  # predicted decay times that a decay is followed for
SNAPSHOTS = 40


@dataclass(frozen=True)
class DecayTime:
    """Grids of settings, all in the decay phase: steps well below 1, noise well above the data.

    `node` is |w_ni| over |w2| for the first two grids; `node_shares` are those of the third.
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


def measure(settings: DecayTime, workshop: Workshop) -> Data:
    """Returns each run's decay time beside the predicted one: of the node, of the loss, and by the node's length."""
    return {
        "node": [row for point in _node_grid(settings) for row in _node_rows(settings, *point)],
        "loss": [
            row
            for eta, sigma_x, second in itertools.product(
                settings.loss_etas, settings.loss_sigmas_x, settings.second_norms
            )
            for row in _loss_rows(settings, eta, sigma_x, second)
        ],
        "node_share": [row for share in settings.node_shares for row in _share_rows(settings, share)],
    }


def _node_grid(settings: DecayTime) -> list[tuple[float, float, float]]:
    return list(itertools.product(settings.etas, settings.sigmas, settings.second_norms))


def _node_rows(settings: DecayTime, eta: float, sigma: float, second: float) -> list[Row]:
    predicted = float(node_decay_time(eta, sigma, second))
    found = _descended(settings, eta, 1.0, sigma, second, settings.node * second, settings.cosine, predicted)
    along = np.abs(found.net.leak) / np.sqrt(np.sum(found.net.second**2, axis=-1))
    head: Row = {"eta": eta, "sigma": sigma, "second_norm": second, "predicted": predicted}
    return _rows(head, found, along)


def _loss_rows(settings: DecayTime, eta: float, sigma_x: float, second: float) -> list[Row]:
    predicted = float(loss_decay_time(eta, sigma_x, 1.0, second))
    node = settings.node * second
    found = _descended(settings, eta, sigma_x, settings.loss_sigma, second, node, settings.cosine, predicted)
    losses = (found.net.slope - settings.residual) ** 2
    return _rows({"eta": eta, "sigma_x": sigma_x, "second_norm": second, "predicted": predicted}, found, losses)


def _share_rows(settings: DecayTime, share: float) -> list[Row]:
    eta, sigma = settings.etas[0], settings.sigmas[0]
    alone = float(node_decay_time(eta, sigma, 1.0))
    # w_ni is nearly at a right angle to w2, or far shorter: only then do both lengths stay while w2 . w_ni decays.
    found = _descended(settings, eta, 1.0, sigma, 1.0, share, 0.05 / share, alone / (1 + share**2), residual=0.0)
    head: Row = {"share": share, "alone": alone, "predicted": alone / (1 + share**2)}
    return _rows(head, found, np.abs(found.net.leak))


def _descended(
    settings: DecayTime,
    eta: float,
    sigma_x: float,
    sigma: float,
    second: float,
    node: float,
    cosine: float,
    predicted: float,
    residual: float | None = None,
) -> DescentPath:
    """Returns the trajectory over SPAN decay times from weights whose output is off by the residual."""
    target = settings.residual if residual is None else residual
    generator = numpy_generator(settings.seed, f"decay {eta} {sigma_x} {sigma} {second} {node}")
    start: LinearNet = beginning(settings.runs, settings.width, cosine, generator, node, second)
    moments = fresh_moments(settings.runs, sigma_x, sigma, settings.batch, generator)
    every = max(math.ceil(SPAN * predicted / SNAPSHOTS), 1)
    return descend(start, target, eta, moments, max(math.ceil(SPAN * predicted / every), 2) * every, every)


def _rows(head: Row, found: DescentPath, values: Floats) -> list[Row]:
    """Returns each run's decay time: that of the straight line through the logarithms of its values."""
    slopes = np.polyfit(found.steps, np.log(values), 1)[0]
    return [{**head, "run": float(run), "measured": float(-1 / one)} for run, one in enumerate(slopes)]


def draw(data: Data) -> Figure:
    """Returns measured against predicted times, for the node and the loss, and the node's by its length."""
    figure, axes = panels(3, 2.6, sharey=False)
    _against(axes[0], data["node"], LOOKS["noise-nodes"], "decay time of w_ni along w₂ (steps)")
    _against(axes[1], data["loss"], LOOKS["none"], "decay time of the noise-free loss (steps)")
    shares = sorted({float(row["share"]) for row in data["node_share"]})
    found = [
        mean_interval(
            [float(row["measured"]) / float(row["alone"]) for row in data["node_share"] if row["share"] == share]
        )
        for share in shares
    ]
    colour, mark = LOOKS["noise-nodes"]
    axes[2].errorbar(shares, *_bars(found), fmt=mark, color=colour, label="measured")
    grid = np.linspace(0, max(shares), 50)
    axes[2].plot(grid, 1 / (1 + grid**2), color="black", linewidth=0.8, label="‖w₂‖² / (‖w₂‖² + ‖w_ni‖²)")
    axes[2].axhline(1.0, color="black", linewidth=0.8, linestyle="--", label="1 / (ησ²‖w₂‖²)")
    axes[2].set(xlabel="‖w_ni‖ / ‖w₂‖", ylabel="decay time × ησ²‖w₂‖²", ylim=(0, 1.5))
    axes[2].legend(fontsize=7, loc="lower left")
    return figure


def _against(axes: Axes, rows: list[Row], look: tuple[str, str], label: str) -> None:
    predicted = sorted({float(row["predicted"]) for row in rows})
    found = [mean_interval([float(row["measured"]) for row in rows if row["predicted"] == one]) for one in predicted]
    axes.errorbar(predicted, *_bars(found), fmt=look[1], color=look[0], label="measured")
    axes.plot(predicted, predicted, color="black", linewidth=0.8, label="as predicted")
    axes.set(xlabel="predicted (steps)", ylabel=label)
    axes.yaxis.label.set_fontsize(8)
    axes.set(xscale="log", yscale="log")
    axes.legend(fontsize=8)


def _bars(found: list[Interval]) -> tuple[list[float], list[list[float]]]:
    return [one[0] for one in found], [[one[0] - one[1] for one in found], [one[2] - one[0] for one in found]]


def _worst(table: str, against: str, quantity: str) -> Callable[[Data], Measured | NotRun]:
    """Returns the check that at each point of a grid the interval of measured over predicted is within 10 %."""

    def check(data: Data) -> Measured | NotRun:
        points: dict[tuple[str | float, ...], list[float]] = {}
        for row in data[table]:
            key = tuple(value for name, value in row.items() if name not in ("run", "measured"))
            points.setdefault(key, []).append(float(row["measured"]) / float(row[against]))
        found = [mean_interval(ratios) for ratios in points.values()]
        value, low, high = max(found, key=lambda one: max(abs(one[1] - 1), abs(one[2] - 1)))
        return Measured(f"{quantity}, at the worst of {len(found)} settings", value, 0.9, 1.1, low, high)

    return check


CLAIMS = (
    Claim(
        "node-decay-time",
        "In the decay phase the node's weights along w₂ decay in 1 / (ησ²‖w₂‖²) steps, w_ni being far shorter than w₂.",
        PLACE,
        _worst("node", "predicted", "decay time of w_ni along w₂ over the predicted one"),
    ),
    Claim(
        "loss-decay-time",
        "In the decay phase the noise-free loss decays in 1 / (2ησ_x²(‖w₁‖² + ‖w₂‖²)) steps, near the target.",
        PLACE,
        _worst("loss", "predicted", "decay time of the noise-free loss over the predicted one"),
    ),
    Claim(
        "node-decay-time-at-any-length",
        "The node's weight in the output, w₂·w_ni, decays in 1 / (ησ²‖w₂‖²) steps however long w_ni is, w_ni being "
        "nearly at a right angle to w₂ or far shorter.",
        "open question",
        _worst("node_share", "alone", "decay time of w₂·w_ni × ησ²‖w₂‖²"),
    ),
    Claim(
        "node-decay-time-with-its-length",
        "The node's weight in the output, w₂·w_ni, decays in 1 / (ησ²(‖w₂‖² + ‖w_ni‖²)) = 1 / (ηλ) steps, w_ni being "
        "nearly at a right angle to w₂ or far shorter.",
        "open question",
        _worst("node_share", "predicted", "decay time of w₂·w_ni × ηλ"),
    ),
)

FIGURE = PaperFigure(
    key="decay-time",
    title="Decay times of the linear network",
    about=(
        "Straight lines through logarithms over two predicted decay times. For the node: w_ni along w₂, 1/20 "
        "as long as w₂, ησ²‖w₂‖² ≤ 0.1, noise 5 or 10 times the data. For the loss: near the target, σ = 3. "
        "Along other directions w_ni does not decay at all. The third panel lets w_ni be as long as w₂."
    ),
    quick=DecayTime(),
    full=DecayTime(runs=50),
    measure=measure,
    draw=draw,
    description=(
        "Measured against predicted decay times of the node's weights and of the noise-free loss, and the "
        "node's against the length of its weights."
    ),
    claims=CLAIMS,
)
