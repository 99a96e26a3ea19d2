"""Figure 3a: the loss falls at a linear rate to a floor that depends on the mask.

A linear rate means that ln(loss - floor) falls by the same amount in each step. The floor is the
level at which the loss without a mask ends. kappa is the standard deviation of the mask.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mgaudit.attacks.intervals import Interval, mean_interval
from mgaudit.compute import parallel
from mgaudit.papers.claim import Claim, Data, Measured, NotRun, Row
from mgaudit.papers.gaussian_masking.colours import shade
from mgaudit.papers.gaussian_masking.rows import column, levels, select
from mgaudit.papers.paper import PaperFigure, Resources
from mgaudit.papers.statistics import log_log_slope
from mgaudit.reports.figures.panels import legend, panels
from mgaudit.targets.fitting.trajectory import Regression, regression_trajectory
from mgaudit.targets.schemes import GaussianMask
from mgaudit.targets.seeds import numpy_generator

EARLY = 100  # up to this step, weights are kept after every fourth step
LAST = 0.2  # share of the steps at the end: the floor is the mean loss over them
ABOVE = 10  # multiple of its floor above which a loss is not close to it
FALL = 50  # a loss that falls by a smaller factor has no clear linear phase
SETTLED = 0.8  # smallest ratio of the second half of a settled floor to the first
RATES, SLOPE = 0.1, 0.2  # tolerances, relative and absolute

Floats = NDArray[np.float64]
Steps = NDArray[np.int64]


@dataclass(frozen=True)
class LossTrajectories:
    """The regression problem, the width of the network, and its training.

    Inputs lie on the unit sphere, values are a linear function of them with weights N(0, I), and
    the network starts from N(0, I). Each seed draws all of these anew.
    """

    kappas: tuple[float, ...]
    steps: int
    seeds: int
    examples: int = 500
    dimensions: int = 20
    width: int = 100
    learning_rate: float = 0.005


def problem(examples: int, dimensions: int, width: int, seed: int) -> Regression:
    """Returns the regression problem of one seed: inputs, values, and the network to fit them.

    The inputs (examples, dimensions) are on the unit sphere, and the values are a random linear
    function of them. The network has `width` neurons with initial weights N(0, I).
    """
    generator = numpy_generator(seed, "regression")
    inputs = generator.normal(size=(examples, dimensions))
    inputs /= np.linalg.norm(inputs, axis=1, keepdims=True)
    values = inputs @ generator.normal(size=dimensions)
    weights = generator.normal(size=(width, dimensions))
    outer = generator.choice([-1.0, 1.0], width)
    return Regression(inputs, values, weights, outer)


def clean_loss(regression: Regression, weights: Floats) -> Floats:
    """Returns 1/2 sum_i (f(x_i) - y_i)^2 (snapshots,) without a mask.

    Args:
        regression: The problem, with n inputs of d dimensions.
        weights: Inner weights (snapshots, m, d) of the network.
    """
    preactivations = np.einsum("smd,nd->snm", weights, regression.inputs)
    active = np.maximum(preactivations, 0.0)
    outputs = active @ regression.outer / np.sqrt(len(regression.outer))
    errors = outputs - regression.values
    losses: Floats = (errors**2).sum(axis=1) / 2
    return losses


def snapshot_steps(steps: int) -> list[int]:
    """Returns the steps, ascending and from 0, after which weights are kept.

    They are dense at first, then further and further apart, and evenly spaced in the last fifth.
    """
    early = range(0, min(EARLY, steps), 4)
    between = np.geomspace(EARLY, max(steps, EARLY + 1), 40)
    late = np.linspace((1 - LAST) * steps, steps, 21)
    rounded = [int(step) for step in (*between, *late) if step <= steps]
    return sorted({*early, *rounded})


def _run(task: tuple[LossTrajectories, float, int]) -> tuple[float, int, Floats]:
    """Trains one network. Returns kappa, the seed and the loss without a mask at each snapshot."""
    settings, kappa, seed = task
    regression = problem(settings.examples, settings.dimensions, settings.width, seed)
    steps = snapshot_steps(settings.steps)
    mask = GaussianMask(kappa)
    weights = regression_trajectory(regression, mask, settings.learning_rate, steps, seed)
    return kappa, seed, clean_loss(regression, weights)


def measure(settings: LossTrajectories, resources: Resources) -> Data:
    """Returns the loss along training in `curves`, and a summary of each of the `runs`.

    The curves are geometric means over seeds. A run has its floor (the mean loss at the end), how
    settled the floor is (1 if it falls no more), and its rate. The theorem's loss is
    floor + A exp(-rate step), so the rate is the slope of ln(loss - floor).
    """
    tasks = [(settings, kappa, seed) for kappa in settings.kappas for seed in range(settings.seeds)]
    losses = {}
    for kappa, seed, loss in parallel.run(_run, tasks, resources.jobs):
        losses[kappa, seed] = loss
    steps = np.array(snapshot_steps(settings.steps))
    curves: list[Row] = []
    for kappa in settings.kappas:
        over_seeds = geometric_mean([losses[kappa, seed] for seed in range(settings.seeds)])
        for step, loss in zip(steps, over_seeds, strict=True):
            curves.append({"kappa": kappa, "step": float(step), "loss": float(loss)})
    return {"curves": curves, "runs": _runs(steps, losses, settings)}


def geometric_mean(losses: Sequence[Floats]) -> Floats:
    """Returns the geometric mean (steps,) of several losses (steps,)."""
    logarithms = [np.log(loss) for loss in losses]
    mean: Floats = np.exp(np.mean(logarithms, axis=0))
    return mean


def _runs(
    steps: Steps, losses: dict[tuple[float, int], Floats], settings: LossTrajectories
) -> list[Row]:
    """Returns a row for each run, from the losses (snapshots,) by kappa and seed at these steps.

    All rates are computed over the same first steps, up to `window`, before any of the losses that
    fall FALL-fold comes within ABOVE times its floor. The rate of a loss that falls less is 0.
    """
    is_last = steps >= (1 - LAST) * settings.steps
    floors = {key: loss[is_last] for key, loss in losses.items()}
    falling = [key for key, loss in losses.items() if loss[0] >= FALL * floors[key].mean()]
    ends = [_leaves(steps, losses[key], ABOVE * floors[key].mean()) for key in falling]
    window = min(ends, default=0)
    middle = np.searchsorted(steps, settings.steps / 2)
    runs: list[Row] = []
    for (kappa, seed), loss in sorted(losses.items()):
        floor = floors[kappa, seed]
        half = len(floor) // 2
        rate = 0.0
        if (kappa, seed) in falling:
            rate = _rate(steps, loss - floor.mean(), window)
        runs.append(
            {
                "kappa": kappa,
                "seed": float(seed),
                "floor": float(floor.mean()),
                "settled": float(floor[half:].mean() / floor[:half].mean()),
                "rate": rate,
                "window": float(window),
                "final": float(loss[-1]),
                "halfway": float(loss[middle]),
            }
        )
    return runs


def _leaves(steps: Steps, loss: Floats, level: float) -> int:
    """Returns the last of `steps` before the loss first falls below `level`, but not the first one.

    `loss` has the shape of `steps`, and falls below the level.
    """
    first_below = int(np.argmax(loss < level))
    return int(steps[max(first_below - 1, 1)])


def _rate(steps: Steps, above: Floats, window: int) -> float:
    """Returns how fast ln(above) falls per step, by least squares over steps up to `window`.

    `above` is the loss minus its floor, > 0 up to `window`, and has the shape of `steps`.
    """
    early = steps <= window
    coefficients = np.polyfit(steps[early], np.log(above[early]), 1)
    return float(-coefficients[0])


def draw(data: Data) -> Figure:
    """Returns loss against steps, and the floor against kappa."""
    figure, (left, right) = panels(2, 3.0, sharey=False, columns=2)
    kappas = levels(data["curves"], "kappa")
    colours = {kappa: shade(index, len(kappas)) for index, kappa in enumerate(kappas)}
    _draw_losses(left, data, colours)
    _draw_floors(right, data, colours)
    legend(figure, left)
    return figure


def _draw_losses(axes: Axes, data: Data, colours: dict[float, str]) -> None:
    """Draws the loss without a mask against the step; `colours` are by kappa."""
    for kappa, colour in colours.items():
        rows = select(data["curves"], kappa=kappa)
        steps = column(rows, "step")
        losses = column(rows, "loss")
        axes.plot(steps, losses, color=colour, linewidth=1.2, label=f"κ = {kappa:g}")
    axes.set(xlabel="step", ylabel="loss without mask", yscale="log")
    axes.set_xscale("symlog", linthresh=EARLY)


def _draw_floors(axes: Axes, data: Data, colours: dict[float, str]) -> None:
    """Draws the floor of each run with kappa > 0; `colours` are by kappa."""
    for run in data["runs"]:
        kappa = float(run["kappa"])
        floor = float(run["floor"])
        if kappa > 0:
            axes.plot([kappa], [floor], "o", color=colours[kappa], markersize=4)
    axes.set(xlabel="κ", ylabel="floor: mean loss of the last fifth", xscale="log", yscale="log")


def _by_kappa(data: Data, name: str) -> dict[float, list[float]]:
    """Returns the column `name` of `runs` by kappa, ascending, with a number for each seed."""
    runs = data["runs"]
    kappas = levels(runs, "kappa")
    return {kappa: column(select(runs, kappa=kappa), name) for kappa in kappas}


def furthest_from(value: float, intervals: Sequence[Interval]) -> Interval:
    """Returns the interval that has the end furthest from `value`, out of one or more."""

    def distance(interval: Interval) -> float:
        """Returns the distance from `value` to the further end of the interval."""
        return max(abs(interval.low - value), abs(interval.high - value))

    return max(intervals, key=distance)


def log_ratio(above: Sequence[float], below: Sequence[float]) -> Interval:
    """Returns the mean of ln(above / below), paired by seed, with its 95 % interval.

    Both have one number > 0 for each seed, in the same order.
    """
    pairs = zip(above, below, strict=True)
    return mean_interval([float(np.log(upper / lower)) for upper, lower in pairs])


def relative_difference(values: Sequence[float], references: Sequence[float]) -> Interval:
    """Returns the mean of value / reference - 1, paired by seed, with its 95 % interval."""
    pairs = zip(values, references, strict=True)
    return mean_interval([value / reference - 1 for value, reference in pairs])


def same_rate(data: Data) -> Measured | NotRun:
    """Returns the largest difference of rates between two kappas, which must be within 10 %.

    Only kappas whose loss falls far enough to have a rate are compared.
    """
    rates = [rates for rates in _by_kappa(data, "rate").values() if min(rates) > 0]
    if len(rates) < 2:
        return NotRun(f"fewer than two κ have losses that fall {FALL}-fold, and so a linear phase")
    differences = [relative_difference(*pair) for pair in combinations(rates, 2)]
    largest = furthest_from(0.0, differences)
    window = data["runs"][0]["window"]
    quantity = (
        "largest relative difference between the rates of ln(loss − floor) of two of the "
        f"{len(rates)} κ whose loss falls {FALL}-fold, in the first {window:.0f} steps, before any "
        f"is within {ABOVE} times its floor"
    )
    return Measured.with_interval(quantity, largest, at_least=-RATES, at_most=RATES)


def monotone_floor(data: Data) -> Measured:
    """Returns the smallest rise of the floor from a kappa to the next, which must be positive."""
    floors = _by_kappa(data, "floor").values()
    floor_rises = [log_ratio(above, below) for below, above in pairwise(floors)]
    smallest = min(floor_rises, key=lambda interval: interval.low)
    steps = "over the steps between neighbouring κ"
    quantity = f"smallest ln(floor at a κ / floor at the κ before it), {steps}"
    return Measured.with_interval(quantity, smallest, at_least=0.0)


def settled_slopes(data: Data) -> Iterator[float]:
    """Yields the slope of ln(floor) against ln(kappa) for each seed.

    It is taken over the kappas > 0 at which the floor has settled (fallen by at most the share 1 -
    SETTLED from the first to the second half of the last steps) for all seeds.
    """
    floors = _by_kappa(data, "floor")
    settled = {}
    for kappa, ratios in _by_kappa(data, "settled").items():
        if kappa > 0 and min(ratios) >= SETTLED:
            settled[kappa] = floors[kappa]
    for seed_floors in zip(*settled.values(), strict=True):
        yield log_log_slope(list(settled), seed_floors)


def proportional_floor(data: Data) -> Measured:
    """Returns the log-log slope of the floor against kappa, which must be 1."""
    slope = mean_interval(list(settled_slopes(data)))
    quantity = "slope of ln(floor) against ln(κ), over κ > 0 whose floor has settled"
    return Measured.with_interval(quantity, slope, at_least=1 - SLOPE, at_most=1 + SLOPE)


def keeps_falling(data: Data) -> Measured:
    """Returns how the loss changes in the second half without a mask: it must more than halve."""
    runs = select(data["runs"], kappa=0)
    ratio = log_ratio(column(runs, "final"), column(runs, "halfway"))
    quantity = "ln(last loss / loss halfway) at κ = 0"
    return Measured.with_interval(quantity, ratio, at_most=float(np.log(0.5)))


ABOUT = (
    "Full-batch gradient descent on ½ Σ (f(x ⊙ c) − y)² with a fresh mask for each example "
    "and step; shown is the loss without a mask, geometric means over seeds. The paper's "
    "sizes: n = 500, d = 20, m = 100, rate 0.005, 2,000 steps. We do not know its data: ours "
    "are points on the unit sphere with values that are a linear function of them. We run "
    "longer, for the floors of small κ are reached later than that."
)
QUICK = LossTrajectories(
    kappas=(0.0, 0.1, 0.2, 0.4, 1.0),
    steps=1500,
    seeds=4,
    examples=100,
    dimensions=10,
    width=50,
    learning_rate=0.025,
)
FULL = LossTrajectories(kappas=(0.0, 0.05, 0.1, 0.2, 0.4, 0.6, 1.0, 2.0), steps=20000, seeds=5)
CLAIMS = (
    Claim(
        "same-rate",
        "Before the floor the loss falls at the same linear rate for all κ.",
        "Fig. 3a",
        same_rate,
        after_looking=True,  # the rate was that of ln(loss) before, without the floor
    ),
    Claim("monotone-floor", "The floor rises with κ.", "Theorem 5.5, Fig. 3a", monotone_floor),
    Claim(
        "floor-slope",
        "The floor is proportional to κ.",
        "authors' README on Fig. 3a",
        proportional_floor,
    ),
    Claim(
        "no-floor",
        "Without a mask the loss goes on falling towards 0.",
        "Fig. 3a",
        keeps_falling,
    ),
)
FIGURE = PaperFigure(
    key="fig3a",
    title="Fig. 3a: loss along training under masks",
    about=ABOUT,
    quick=QUICK,
    full=FULL,
    measure=measure,
    draw=draw,
    description=(
        "Loss falls alike for all κ at first, then levels off at a floor that rises with κ."
    ),
    claims=CLAIMS,
)
