"""Boundaries between the phases of the linear network with several noise nodes.

The network is f(x, e) = w2 . (w1 x + sum_k w_k e_k), with the noise e_k at node k. The sharpness is
the learning rate eta times the top curvature of the noise's loss at the start. The weights of
the nodes are "orthogonal" to one another, or "equal" at the start.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mgaudit.papers.claim import Claim, Data, Measured, NotRun, Row
from mgaudit.papers.error_bars import error_bars
from mgaudit.papers.paper import PaperFigure, Resources
from mgaudit.papers.rows import column, distinct, matching
from mgaudit.papers.statistics import geometric_mean_interval
from mgaudit.reports.figures.palette import LOOKS
from mgaudit.reports.figures.panels import legend, panels
from mgaudit.targets.seeds import numpy_generator
from mgaudit.theory.arguments import Floats
from mgaudit.theory.noise_nodes import ESCAPE, GROWTH
from mgaudit.theory.several_nodes import descend_nodes, several_nodes_curvature

GROWN = 2.0  # the noise's loss has grown once it exceeds this multiple of its initial value
DIRECTIONS = {"orthogonal": LOOKS["noise-nodes"], "equal": LOOKS["gaussian-mask"]}
BOUNDARIES = {"growth": GROWTH, "divergence": ESCAPE}
LOWEST, HIGHEST = 0.25, 16.0  # range of the sharpness that is searched


@dataclass(frozen=True)
class SeveralNodes:
    """Bisection in sigma for each run. All weight vectors have length 1 at the start.

    `cosine` is that of the angle between each node's weights and w2.
    """

    nodes: tuple[int, ...] = (1, 2, 4, 8)
    runs: int = 20
    halvings: int = 9
    growth_steps: int = 200
    escape_steps: int = 800
    eta: float = 0.01
    batch: int = 4096
    width: int = 12
    cosine: float = 1e-3
    seed: int = 0


def measure(settings: SeveralNodes, resources: Resources) -> Data:
    """Returns the sharpness at which each run begins to grow and to diverge, table `boundaries`.

    `sigma` is the standard deviation of each node's noise there.
    """
    rows: list[Row] = []
    for directions, nodes in product(DIRECTIONS, settings.nodes):
        inner, second = _beginning(settings, directions, nodes)
        curvature = several_nodes_curvature(second, inner[:, 1:], 1.0)
        for boundary in BOUNDARIES:
            onsets = _bisected(settings, boundary, inner, second, curvature)
            sigma = np.sqrt(onsets / settings.eta / curvature)
            for run, (onset, std) in enumerate(zip(onsets.tolist(), sigma.tolist(), strict=True)):
                rows.append(
                    {
                        "directions": directions,
                        "nodes": float(nodes),
                        "boundary": boundary,
                        "run": float(run),
                        "found": onset,
                        "sigma": std,
                    }
                )
    return {"boundaries": rows}


def _beginning(settings: SeveralNodes, directions: str, nodes: int) -> tuple[Floats, Floats]:
    """Returns the initial weights (runs, 1 + nodes, width) of w1 and the nodes, and w2.

    w2 (runs, width), w1 and the directions of the nodes across w2 are orthogonal.
    """
    generator = numpy_generator(settings.seed, "several nodes", nodes)
    normals = generator.standard_normal((settings.runs, settings.width, nodes + 2))
    axes = np.swapaxes(np.linalg.qr(normals)[0], 1, 2)
    second, first = axes[:, 0], axes[:, 1:2]
    across = axes[:, 2:] if directions == "orthogonal" else np.repeat(axes[:, 2:3], nodes, axis=1)
    sine = np.sqrt(1 - settings.cosine**2)
    tilted = settings.cosine * second[:, None] + sine * across
    return np.concatenate([first, tilted], axis=1), second


def _bisected(
    settings: SeveralNodes, boundary: str, inner: Floats, second: Floats, curvature: Floats
) -> Floats:
    """Returns the sharpness (runs,) at which the outcome begins, by bisection.

    `curvature` (runs,) is the top curvature at sigma = 1.
    """
    low = np.full(settings.runs, LOWEST)
    high = np.full(settings.runs, HIGHEST)
    for _ in range(settings.halvings):
        middle = np.sqrt(low * high)
        sigma = np.sqrt(middle / settings.eta / curvature)
        happens = _happens(settings, boundary, inner, second, sigma)
        low = np.where(happens, low, middle)
        high = np.where(happens, middle, high)
    return np.asarray(np.sqrt(low * high))


def _happens(
    settings: SeveralNodes, boundary: str, inner: Floats, second: Floats, sigma: Floats
) -> NDArray[np.bool_]:
    """Returns whether the loss of each run grows first, or diverges, with the noise `sigma`.

    The standard deviation of the inputs is 1.
    """
    steps = settings.growth_steps if boundary == "growth" else settings.escape_steps
    generator = numpy_generator(settings.seed, "several nodes' batches", inner.shape[1])
    stds = np.repeat(sigma[:, None], inner.shape[1], axis=1)
    stds[:, 0] = 1.0
    losses, diverged = descend_nodes(
        inner, second, settings.eta, stds, settings.batch, steps, generator
    )
    if boundary == "divergence":
        return diverged
    grown = losses.max(axis=0) > GROWN * losses[0]
    return np.asarray(grown | diverged)


def draw(data: Data) -> Figure:
    """Returns the sharpness and the sigma at both boundaries against the number of nodes."""
    figure, axes = panels(2, 2.8, sharey=False)
    sharpness, sigma = axes
    for directions, boundary in product(DIRECTIONS, BOUNDARIES):
        rows = matching(data["boundaries"], directions=directions, boundary=boundary)
        label = f"{boundary}, {directions} nodes"
        _draw_means(sharpness, rows, "found", directions, boundary, label)
        _draw_means(sigma, rows, "sigma", directions, boundary, label)
    for boundary, predicted in BOUNDARIES.items():
        line = "--" if boundary == "growth" else ":"
        sharpness.axhline(predicted, color="black", linewidth=0.8, linestyle=line)
    sharpness.set(xlabel="number of nodes", ylabel="ηλ at the start", yscale="log")
    sharpness.set_ylim(1, HIGHEST)
    sigma.set(xlabel="number of nodes", ylabel="σ of each node", yscale="log")
    for axis in axes:
        ticks = distinct(data["boundaries"], "nodes")
        axis.set_xscale("log")
        axis.set_xticks(ticks, [f"{nodes:g}" for nodes in ticks])
        axis.minorticks_off()
    for axis, numbers in ((sharpness, (1, 2, 4, 8)), (sigma, (5, 10, 15))):
        axis.set_yticks(numbers, [str(number) for number in numbers])
    legend(figure, *axes)
    return figure


def _draw_means(
    axes: Axes, rows: list[Row], name: str, directions: str, boundary: str, label: str
) -> None:
    """Draws the geometric means over runs of a column, with intervals, against the nodes."""
    colour, mark = DIRECTIONS[directions]
    nodes = distinct(rows, "nodes")
    samples = [column(matching(rows, nodes=count), name) for count in nodes]
    means, reach = error_bars(map(geometric_mean_interval, samples))
    fill = colour if boundary == "growth" else "none"
    style = "-" if boundary == "growth" else ":"
    axes.errorbar(
        nodes, means, reach, color=colour, marker=mark, mfc=fill, linestyle=style, label=label
    )


def _check(directions: str, boundary: str) -> Callable[[Data], Measured | NotRun]:
    """Returns the check that a boundary is at the sharpness of one node, for all numbers."""

    def check(data: Data) -> Measured | NotRun:
        """Returns the mean sharpness over that of one node, where its interval is worst."""
        rows = matching(data["boundaries"], directions=directions, boundary=boundary)
        counts = [count for count in distinct(rows, "nodes") if count > 1]
        if not counts:
            return NotRun("the settings have no more than one node")
        intervals = []
        for count in counts:
            onsets = column(matching(rows, nodes=count), "found")
            relative = [onset / BOUNDARIES[boundary] for onset in onsets]
            intervals.append(geometric_mean_interval(relative, chosen_from=len(counts)))
        worst = max(intervals, key=lambda one: max(abs(one.low - 1), abs(one.high - 1)))
        quantity = (
            f"ηλ found over {BOUNDARIES[boundary]:g}, geometric mean, at the worst of "
            f"{len(counts)} numbers of nodes, interval at level 1 − 0.05/{len(counts)}"
        )
        return Measured.with_interval(quantity, worst, 0.95, 1.05)

    return check


EVENTS = {"growth": "the loss begins to grow first", "divergence": "training begins to diverge"}


def _claim(directions: str, boundary: str) -> Claim:
    """Returns the claim on one boundary, for nodes of one kind of directions."""
    sentence = (
        f"With several nodes of {directions} weights, {EVENTS[boundary]} at ηλ = "
        f"{BOUNDARIES[boundary]:g} as with one, λ being σ²(‖w₂‖² + the largest eigenvalue of the "
        "nodes' Gram matrix)."
    )
    key = f"several-{directions}-{boundary}"
    return Claim(key, sentence, "open question", _check(directions, boundary))


FIGURE = PaperFigure(
    key="several-nodes",
    title="Several noise nodes in the linear network",
    about=(
        "The paper proposes several nodes and does not treat them. Our linear network has K nodes "
        "with independent noise of one σ. The top curvature of the noise's loss is σ²(‖w₂‖² + g), "
        "g being the largest eigenvalue of the Gram matrix of the nodes' weights (our "
        "derivation). So orthogonal nodes have the boundaries in σ of a single node, and K equal "
        "ones have them at lower σ. All weight vectors have length 1 at the start."
    ),
    quick=SeveralNodes(),
    full=SeveralNodes(nodes=(1, 2, 3, 4, 6, 8, 10), runs=60),
    measure=measure,
    uses_resources=False,
    draw=draw,
    description=(
        "ηλ and σ at which growth and divergence begin, against the number of nodes, for nodes of "
        "orthogonal and of equal weights."
    ),
    claims=tuple(_claim(*pair) for pair in product(DIRECTIONS, BOUNDARIES)),
)
