"""Figure 3a: the loss of the theory's network falls linearly, to a floor that the mask sets."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mgaudit.attacks.intervals import mean_interval
from mgaudit.compute import parallel
from mgaudit.papers.claim import Claim, Data, Measured, NotRun, Row
from mgaudit.papers.gaussian_masking.colours import shade
from mgaudit.papers.paper import PaperFigure, Workshop
from mgaudit.papers.statistics import log_log_slope
from mgaudit.reports.figures.panels import legend, panels
from mgaudit.targets.fitting.trajectory import Regression, regression_trajectory
from mgaudit.targets.schemes import GaussianMask
from mgaudit.targets.seeds import numpy_generator

EARLY = 100  # steps in which every fourth is looked at
LAST = 0.2  # of the steps: the floor is the mean loss over them
ABOVE = 10  # times its floor: there a loss has not come near it yet
FALL = 50  # what falls less than that has no linear phase to speak of
SETTLED = 0.8  # the second half of the floor is at least this much of the first: it has all but stopped falling
RATES, SLOPE = 0.1, 0.2  # tolerances, relative and absolute


@dataclass(frozen=True)
class LossTrajectories:
    """How many inputs on the unit sphere of how many dimensions, the width of the network, and its training.

    Values are a linear function of the inputs with weights N(0, I), and the network starts from N(0, I). Each seed
    draws all of these anew.
    """

    kappas: tuple[float, ...]
    steps: int
    seeds: int
    examples: int = 500
    dimensions: int = 20
    width: int = 100
    learning_rate: float = 0.005


def problem(examples: int, dimensions: int, width: int, seed: int) -> Regression:
    """Returns a linear function of inputs on the unit sphere, and the network that is to fit it."""
    generator = numpy_generator(seed, "regression")
    inputs = generator.normal(size=(examples, dimensions))
    inputs /= np.linalg.norm(inputs, axis=1, keepdims=True)
    return Regression(
        inputs,
        inputs @ generator.normal(size=dimensions),
        generator.normal(size=(width, dimensions)),
        generator.choice([-1.0, 1.0], width),
    )


def clean_loss(given: Regression, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns 1/2 sum_i (f(x_i) - y_i)^2 (snapshots,) without a mask, for `weights` (snapshots, m, d)."""
    active = np.maximum(np.einsum("smd,nd->snm", weights, given.inputs), 0.0)
    errors = active @ given.outer / np.sqrt(len(given.outer)) - given.values
    losses: NDArray[np.float64] = (errors**2).sum(axis=1) / 2
    return losses


def snapshot_steps(steps: int) -> list[int]:
    """Returns the steps after which weights are kept: many early ones, then ever fewer, then the last fifth evenly."""
    early, late = range(0, min(EARLY, steps), 4), np.linspace((1 - LAST) * steps, steps, 21)
    between = np.geomspace(EARLY, max(steps, EARLY + 1), 40)
    return sorted({*early, *(int(step) for step in (*between, *late) if step <= steps)})


def _run(task: tuple[LossTrajectories, float, int]) -> tuple[float, int, NDArray[np.float64]]:
    settings, kappa, seed = task
    given = problem(settings.examples, settings.dimensions, settings.width, seed)
    steps = snapshot_steps(settings.steps)
    weights = regression_trajectory(given, GaussianMask(kappa), settings.learning_rate, steps, seed)
    return kappa, seed, clean_loss(given, weights)


def measure(settings: LossTrajectories, workshop: Workshop) -> Data:
    """Returns the `curves` (geometric means over seeds) and of each of the `runs` its floor, rate and settling.

    The theorem's loss is floor + A exp(-rate step), so the rate is that of ln(loss - floor).
    """
    tasks = [(settings, kappa, seed) for kappa in settings.kappas for seed in range(settings.seeds)]
    losses = {(kappa, seed): one for kappa, seed, one in parallel.run(_run, tasks, workshop.jobs)}
    steps = np.array(snapshot_steps(settings.steps))
    floors = {key: one[steps >= (1 - LAST) * settings.steps] for key, one in losses.items()}
    falling = [key for key, one in losses.items() if one[0] >= FALL * floors[key].mean()]
    window = min(_leaves(steps, losses[key], ABOVE * floors[key].mean()) for key in falling) if falling else 0
    runs: list[Row] = []
    for (kappa, seed), one in sorted(losses.items()):
        floor = floors[kappa, seed]
        half = len(floor) // 2
        runs.append(
            {
                "kappa": kappa,
                "seed": float(seed),
                "floor": float(floor.mean()),
                "settled": float(floor[half:].mean() / floor[:half].mean()),
                "rate": _rate(steps, one - floor.mean(), window) if (kappa, seed) in falling else 0.0,
                "window": float(window),
                "final": float(one[-1]),
                "halfway": float(one[np.searchsorted(steps, settings.steps / 2)]),
            }
        )
    curves: list[Row] = [
        {"kappa": kappa, "step": float(step), "loss": float(loss)}
        for kappa in settings.kappas
        for step, loss in zip(
            steps, np.exp(np.mean([np.log(losses[kappa, seed]) for seed in range(settings.seeds)], axis=0)), strict=True
        )
    ]
    return {"curves": curves, "runs": runs}


def _leaves(steps: NDArray[np.int64], loss: NDArray[np.float64], level: float) -> int:
    """Returns the last step before the loss first falls below the level."""
    return int(steps[max(int(np.argmax(loss < level)) - 1, 1)])


def _rate(steps: NDArray[np.int64], above: NDArray[np.float64], window: int) -> float:
    """Returns how fast ln(loss - floor) falls per step, by least squares over the window."""
    early = steps <= window
    return float(-np.polyfit(steps[early], np.log(above[early]), 1)[0])


def draw(data: Data) -> Figure:
    """Returns loss against steps, and the floor against kappa."""
    figure, (left, right) = panels(2, 3.0, sharey=False, columns=2)
    kappas = sorted({float(row["kappa"]) for row in data["curves"]})
    for kappa in kappas:
        rows = [row for row in data["curves"] if row["kappa"] == kappa]
        points = [float(row["step"]) for row in rows], [float(row["loss"]) for row in rows]
        left.plot(*points, color=shade(kappas.index(kappa), len(kappas)), linewidth=1.2, label=f"κ = {kappa:g}")
    left.set(xlabel="step", ylabel="loss without mask", yscale="log")
    left.set_xscale("symlog", linthresh=EARLY)
    noisy = kappas[1:] if kappas[0] == 0 else kappas
    for run in data["runs"]:
        if run["kappa"] in noisy:
            colour = shade(kappas.index(float(run["kappa"])), len(kappas))
            right.plot([float(run["kappa"])], [float(run["floor"])], "o", color=colour, markersize=4)
    right.set(xlabel="κ", ylabel="floor: mean loss of the last fifth", xscale="log", yscale="log")
    legend(figure, left)
    return figure


def _by_kappa(data: Data, column: str) -> dict[float, list[float]]:
    found: dict[float, list[float]] = {}
    for row in data["runs"]:
        found.setdefault(float(row["kappa"]), []).append(float(row[column]))
    return dict(sorted(found.items()))


def same_rate(data: Data) -> Measured | NotRun:
    """The rates of all kappa that fall far enough to have one lie within 10 % of one another."""
    rates = {kappa: one for kappa, one in _by_kappa(data, "rate").items() if all(rate > 0 for rate in one)}
    if len(rates) < 2:
        return NotRun(f"fewer than two κ have losses that fall {FALL}-fold, and so a linear phase")
    changes = [
        mean_interval([ours / theirs - 1 for ours, theirs in zip(*pair, strict=True)])
        for pair in combinations(rates.values(), 2)
    ]
    worst = max(changes, key=lambda change: max(abs(change[1]), abs(change[2])))
    return Measured(
        f"largest relative difference between the rates of ln(loss − floor) of two of the {len(rates)} κ whose loss "
        f"falls {FALL}-fold, in the first {data['runs'][0]['window']:.0f} steps, before any is within {ABOVE} times "
        "its floor",
        worst[0],
        at_least=-RATES,
        at_most=RATES,
        low=worst[1],
        high=worst[2],
    )


def monotone_floor(data: Data) -> Measured:
    """The floor grows from each kappa to the next."""
    floors = list(_by_kappa(data, "floor").values())
    steps = [
        mean_interval([float(np.log(above / below)) for below, above in zip(*pair, strict=True)])
        for pair in pairwise(floors)
    ]
    least = min(steps, key=lambda step: step[1])
    return Measured(
        "smallest ln(floor at a κ / floor at the κ before it), over the steps between neighbouring κ",
        least[0],
        at_least=0.0,
        low=least[1],
        high=least[2],
    )


def settled_slopes(data: Data) -> Iterator[float]:
    """Yields, for each seed, the log-log slope of the floor against the kappa at which it has settled."""
    settled = {kappa for kappa, one in _by_kappa(data, "settled").items() if kappa > 0 and min(one) >= SETTLED}
    floors = {kappa: one for kappa, one in _by_kappa(data, "floor").items() if kappa in settled}
    for seeds in zip(*floors.values(), strict=True):
        yield log_log_slope(list(floors), list(seeds))


def proportional_floor(data: Data) -> Measured:
    """The floor is proportional to kappa."""
    slope, low, high = mean_interval(list(settled_slopes(data)))
    return Measured(
        "slope of ln(floor) against ln(κ), over κ > 0 whose floor has settled",
        slope,
        at_least=1 - SLOPE,
        at_most=1 + SLOPE,
        low=low,
        high=high,
    )


def keeps_falling(data: Data) -> Measured:
    """Without a mask the second half of training more than halves the loss."""
    runs = [row for row in data["runs"] if row["kappa"] == 0]
    ratio, low, high = mean_interval([float(np.log(float(row["final"]) / float(row["halfway"]))) for row in runs])
    return Measured("ln(last loss / loss halfway) at κ = 0", ratio, at_most=float(np.log(0.5)), low=low, high=high)


FIGURE = PaperFigure(
    key="fig3a",
    title="Fig. 3a: loss along training under masks",
    about=(
        "Full-batch gradient descent on ½ Σ (f(x ⊙ c) − y)² with a fresh mask for each example and step; shown is the "
        "loss without a mask, geometric means over seeds. The paper's sizes: n = 500, d = 20, m = 100, rate 0.005, "
        "2,000 steps. We do not know its data: ours are points on the unit sphere with values that are a linear "
        "function of them. We run longer, for the floors of small κ are reached later than that."
    ),
    quick=LossTrajectories(kappas=(0.0, 0.1, 0.2, 0.4, 1.0), steps=6000, seeds=5),
    full=LossTrajectories(kappas=(0.0, 0.05, 0.1, 0.2, 0.4, 0.6, 1.0, 2.0), steps=20000, seeds=5),
    measure=measure,
    draw=draw,
    description="Loss falls alike for all κ at first, then levels off at a floor that rises with κ.",
    claims=(
        Claim("same-rate", "Before the floor the loss falls at the same linear rate for all κ.", "Fig. 3a", same_rate),
        Claim("monotone-floor", "The floor rises with κ.", "Theorem 5.5, Fig. 3a", monotone_floor),
        Claim("floor-slope", "The floor is proportional to κ.", "authors' README on Fig. 3a", proportional_floor),
        Claim("no-floor", "Without a mask the loss goes on falling towards 0.", "Fig. 3a", keeps_falling),
    ),
)
