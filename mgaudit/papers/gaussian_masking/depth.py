"""Open question: whether training under masks converges to a floor in deeper networks, too."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mgaudit.attacks.intervals import mean_interval
from mgaudit.compute import parallel
from mgaudit.papers.claim import Claim, Data, Measured, Row
from mgaudit.papers.error_bars import error_bars
from mgaudit.papers.gaussian_masking.biased_runs import extreme
from mgaudit.papers.gaussian_masking.colours import shade
from mgaudit.papers.gaussian_masking.descent import ReluNetwork, descend
from mgaudit.papers.gaussian_masking.loss_trajectories import LAST, problem, snapshot_steps
from mgaudit.papers.gaussian_masking.perturbations import Masks
from mgaudit.papers.gaussian_masking.rows import column, levels, select
from mgaudit.papers.paper import PaperFigure, Resources
from mgaudit.papers.statistics import geometric_mean_interval, log_log_slope
from mgaudit.reports.figures.panels import legend, panels
from mgaudit.targets.seeds import numpy_generator

FALL = 10  # the rate is that until the loss has fallen by this factor
RATES, SLOPES = 0.1, 0.5  # tolerances, relative and absolute


@dataclass(frozen=True)
class Depths:
    """The training of Fig. 3a with networks of several depths: `depth` - 1 hidden layers.

    All hidden layers are trained, and the outer weights are fixed. The learning rate is `speed` /
    (`examples` (depth - 1)), because each layer contributes to the kernel.
    """

    depths: tuple[int, ...]
    kappas: tuple[float, ...]
    examples: int
    dimensions: int
    width: int
    steps: int
    seeds: int
    speed: float = 2.5


Task = tuple[Depths, int, float, int]


def measure(settings: Depths, resources: Resources) -> Data:
    """Returns the loss along training in `curves`, and rate and floor of each of the `runs`."""
    tasks = [
        (settings, depth, kappa, seed)
        for depth in settings.depths
        for kappa in settings.kappas
        for seed in range(settings.seeds)
    ]
    results = list(parallel.run(_run, tasks, resources.jobs))
    results.sort(key=lambda result: [float(cell) for cell in result[0].values()])
    curves = [row for _, rows in results for row in rows]
    return {"runs": [summary for summary, _ in results], "curves": curves}


def deep_network(settings: Depths, depth: int, seed: int) -> ReluNetwork:
    """Returns the network of one depth before training; at depth 2 it is that of Fig. 3a."""
    regression = problem(settings.examples, settings.dimensions, settings.width, seed)
    generator = numpy_generator(seed, "deep layers")
    square = (settings.width, settings.width)
    deeper = [generator.standard_normal(square) for _ in range(depth - 2)]
    return ReluNetwork((regression.weights, *deeper), regression.outer)


def _run(task: Task) -> tuple[Row, list[Row]]:
    """Trains one network. Returns the summary of the run, and its loss at each snapshot."""
    settings, depth, kappa, seed = task
    regression = problem(settings.examples, settings.dimensions, settings.width, seed)
    network = deep_network(settings, depth, seed)
    inputs, values = regression.inputs, regression.values
    steps = snapshot_steps(settings.steps)
    perturbed = Masks(kappa).steps(inputs, numpy_generator(seed, "masks"))
    rate = settings.speed / settings.examples / (depth - 1)
    descent = descend(network, perturbed, values, rate, steps)
    losses = np.array([trained.loss(inputs, values) for trained in descent])
    labels: Row = {"depth": float(depth), "kappa": kappa, "seed": float(seed)}
    late = np.array(steps) >= (1 - LAST) * settings.steps
    fallen = int(np.argmax(losses <= losses[0] / FALL))
    early = float(np.log(losses[0] / losses[fallen]) / steps[fallen]) if fallen else math.nan
    floor = float(losses[late].mean())
    summary = {**labels, "initial": float(losses[0]), "floor": floor, "early": early}
    pairs = zip(steps, losses, strict=True)
    return summary, [{**labels, "step": float(step), "loss": float(loss)} for step, loss in pairs]


def draw(data: Data) -> Figure:
    """Returns the loss along training of the deepest network, and floors against kappa."""
    figure, (left, right) = panels(2, 3.0, columns=2)
    depths = levels(data["runs"], "depth")
    _draw_losses(left, select(data["curves"], depth=depths[-1]))
    left.set(ylabel="loss without mask", title=f"depth {depths[-1]:g}")
    for index, depth in enumerate(depths):
        rows = [run for run in select(data["runs"], depth=depth) if float(run["kappa"]) > 0]
        _draw_floors(right, rows, shade(index, len(depths)), f"depth {depth:g}")
    kappas = [kappa for kappa in levels(data["runs"], "kappa") if kappa]
    right.set(xlabel="κ", xscale="log", title="floor")
    right.set_xticks(kappas, [f"{kappa:g}" for kappa in kappas])
    right.minorticks_off()
    legend(figure, left, right)
    return figure


def _draw_losses(axes: Axes, rows: list[Row]) -> None:
    """Draws the loss along training for each kappa, geometric means over seeds."""
    for kappa, line in zip(levels(rows, "kappa"), ("-", "--", "-.", ":"), strict=False):
        own = select(rows, kappa=kappa)
        steps = levels(own, "step")
        means = [np.exp(np.mean(np.log(column(select(own, step=step), "loss")))) for step in steps]
        axes.plot(steps, means, line, color="#000000", linewidth=1, label=f"loss, κ = {kappa:g}")
    axes.set_xscale("symlog", linthresh=100)
    axes.set_xlim(left=0)
    axes.set(xlabel="step", yscale="log")


def _draw_floors(axes: Axes, rows: list[Row], colour: str, label: str) -> None:
    """Draws the floor of one depth against kappa, with intervals over seeds."""
    kappas = levels(rows, "kappa")
    floors = [geometric_mean_interval(column(select(rows, kappa=one), "floor")) for one in kappas]
    values, bars = error_bars(floors)
    look: dict[str, Any] = {"marker": "o", "markersize": 3.5, "linewidth": 1, "capsize": 2}
    axes.errorbar(kappas, values, bars, color=colour, label=label, **look)


def same_rate_at_depth(data: Data) -> Measured:
    """Returns the largest relative difference of early rates between a kappa and 0, over depths."""
    falling = [run for run in data["runs"] if not math.isnan(float(run["early"]))]
    masked = [run for run in falling if float(run["kappa"]) > 0]

    def difference(run: Row) -> float:
        """Returns the relative difference of the early rate to that without a mask."""
        labels = {"depth": run["depth"], "seed": run["seed"]}
        (clean,) = select(falling, kappa=0.0, **labels)
        return abs(float(run["early"]) / float(clean["early"]) - 1)

    largest = extreme(masked, difference, highest=True)
    quantity = (
        "largest relative difference to κ = 0 in the rate to a tenth of the loss, over depths and "
        f"κ, mean over seeds; {len(masked)} runs fall so far"
    )
    return Measured.with_interval(quantity, largest, at_most=RATES)


def floor_rises_at_depth(data: Data) -> Measured:
    """Returns the smallest rise of the floor from a kappa to the next, over depths."""
    rises: list[Row] = []
    for depth in levels(data["runs"], "depth"):
        for seed in levels(data["runs"], "seed"):
            floors = column(select(data["runs"], depth=depth, seed=seed), "floor")
            rise = min(math.log(above / below) for below, above in pairwise(floors))
            rises.append({"seed": seed, "rise": rise})
    quantity = "smallest ln(floor at a κ / floor at the κ before it) of all depths, mean over seeds"
    smallest = extreme(rises, lambda row: float(row["rise"]), highest=False)
    return Measured.with_interval(quantity, smallest, at_least=0.0)


def _slopes(data: Data, depth: float) -> list[float]:
    """Returns the slope of ln(floor) against ln(kappa) at one depth, for each seed."""
    runs = [run for run in select(data["runs"], depth=depth) if float(run["kappa"]) > 0]
    by_seed = [select(runs, seed=seed) for seed in levels(runs, "seed")]
    return [log_log_slope(column(own, "kappa"), column(own, "floor")) for own in by_seed]


def same_slope_at_depth(data: Data) -> Measured:
    """Returns how the slope of the floor at the largest depth differs from that at depth 2."""
    depths = levels(data["runs"], "depth")
    pairs = zip(_slopes(data, depths[-1]), _slopes(data, depths[0]), strict=True)
    difference = mean_interval([deep - shallow for deep, shallow in pairs])
    quantity = (
        f"slope of ln(floor) against ln(κ) at depth {depths[-1]:g} less that at {depths[0]:g}"
    )
    return Measured.with_interval(quantity, difference, at_least=-SLOPES, at_most=SLOPES)


ABOUT = (
    "The theorems are about two layers, and the summary lists depth as open. We train networks of "
    "depth 2 to 6 (1 to 5 hidden layers of equal width, all of them trained, weights N(0, 1) with "
    "the factor √(2 / m) between hidden layers, fixed outer weights) on the problem of Fig. 3a, "
    "under fresh masks of several κ. Depth 2 is the network of the paper. The floor is the mean "
    "loss without a mask in the last fifth of the steps, and the rate the mean fall of ln(loss) "
    "until the loss is a tenth of its first value. The learning rate is divided by the number of "
    "hidden layers."
)
QUICK = Depths(
    depths=(2, 3, 4, 5, 6),
    kappas=(0.0, 0.1, 0.2, 0.4),
    examples=48,
    dimensions=8,
    width=32,
    steps=2000,
    seeds=4,
)
FULL = Depths(
    depths=(2, 3, 4, 5, 6),
    kappas=(0.0, 0.1, 0.2, 0.4),
    examples=200,
    dimensions=20,
    width=100,
    steps=5000,
    seeds=4,
)
CLAIMS = (
    Claim(
        "deep-rates",
        "At depths 2 to 6, the loss falls at the same rate under masks as without.",
        "open question",
        same_rate_at_depth,
        after_looking=True,  # the interval was corrected for all depths before
    ),
    Claim(
        "deep-floors",
        "At depths 2 to 6, the floor rises with κ.",
        "open question",
        floor_rises_at_depth,
        after_looking=True,  # the interval was corrected for all depths before
    ),
    Claim(
        "deep-slope",
        "At depth 6, the floor depends on κ as at depth 2 (slopes within 0.5).",
        "open question",
        same_slope_at_depth,
    ),
)
FIGURE = PaperFigure(
    key="depth",
    title="Open question: loss and floor of deeper networks",
    about=ABOUT,
    quick=QUICK,
    full=FULL,
    measure=measure,
    draw=draw,
    description=(
        "Left: the loss along training of the deepest network for several κ. Right: the floor of "
        "the loss against κ at each depth, with intervals over seeds."
    ),
    claims=CLAIMS,
)
