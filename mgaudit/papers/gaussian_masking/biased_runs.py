"""The runs behind the figures on Theorems 5.1 and 5.5: training under masks, and what bounds it.

A *cell* is one choice of the strength of the mask, the width, the number of examples and the
learning rate; cells differ from a base cell in one of these. At some *moments* of each run, the
bias and the noise of the gradient are measured, and with them the bound of `biased_descent`.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.intervals import Interval, mean_interval
from mgaudit.compute import parallel
from mgaudit.papers.claim import Data, Row
from mgaudit.papers.gaussian_masking.descent import ReluNetwork, descend
from mgaudit.papers.gaussian_masking.gradient_statistics import bias_and_noise_of_masks, curvature
from mgaudit.papers.gaussian_masking.loss_trajectories import LAST, problem, snapshot_steps
from mgaudit.papers.gaussian_masking.perturbations import Masks
from mgaudit.papers.gaussian_masking.rows import column, levels, select
from mgaudit.papers.paper import Resources
from mgaudit.targets.fitting.trajectory import Regression
from mgaudit.targets.seeds import numpy_generator
from mgaudit.theory.biased_descent import loss_bounds, radius

NEAR = 2  # a loss below this multiple of its floor has arrived there

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Cell:
    """Strength of the mask, width of the network, examples, and the learning rate times them.

    The loss is a sum over examples, so that training with n examples at the learning rate
    `speed` / n is as fast for every n.
    """

    kappa: float
    width: int
    examples: int
    speed: float

    @property
    def learning_rate(self) -> float:
        """The learning rate eta."""
        return self.speed / self.examples

    def labels(self) -> Row:
        """Returns the columns that say which cell a row belongs to."""
        return {
            "kappa": self.kappa,
            "width": float(self.width),
            "examples": float(self.examples),
            "speed": self.speed,
        }


@dataclass(frozen=True)
class BiasedRuns:
    """The cells, the problem (that of Fig. 3a) and how it is measured.

    Each of `kappas`, `widths`, `sizes` (numbers of examples) and `speeds` is combined with the
    `base` values of the others. Training takes `steps` steps at the speed of the base, and the same
    steps times learning rate at others. Bias and noise are measured at about `moments` moments with
    `draws` masks each.
    """

    base: Cell
    kappas: tuple[float, ...]
    widths: tuple[int, ...]
    sizes: tuple[int, ...]
    speeds: tuple[float, ...]
    steps: int
    seeds: int
    dimensions: int
    moments: int = 12
    draws: int = 200

    def cells(self) -> list[Cell]:
        """Returns the cells, each once, with the base first."""
        cells = [self.base]
        cells += [replace(self.base, kappa=kappa) for kappa in self.kappas]
        cells += [replace(self.base, width=width) for width in self.widths]
        cells += [replace(self.base, examples=size) for size in self.sizes]
        cells += [replace(self.base, speed=speed) for speed in self.speeds]
        return list(dict.fromkeys(cells))

    def steps_of(self, cell: Cell) -> int:
        """Returns the number of steps in this cell."""
        return round(self.steps * self.base.speed / cell.speed)


@dataclass(frozen=True)
class Run:
    """One run: the loss without a mask at `steps` (snapshots,), rows of its moments, its end."""

    cell: Cell
    seed: int
    steps: list[int]
    losses: Floats
    moments: list[Row]
    end: Floats


Task = tuple[BiasedRuns, Cell, int]


def measured_runs(settings: BiasedRuns, resources: Resources) -> Data:
    """Returns the tables `moments`, `curves` and `runs`; figures of one reproduction share them.

    A row of `runs` has the floor of the loss (its mean over the last fifth of the steps), its rate
    until it arrives there, both as measured and as predicted, and the distance of its last weights
    to those of training without a mask (in cells that differ from the base in kappa alone).
    """
    if settings not in resources.shared:
        tasks = [
            (settings, cell, seed) for cell in settings.cells() for seed in range(settings.seeds)
        ]
        clean = replace(settings.base, kappa=0.0)
        tasks += [(settings, clean, seed) for seed in range(settings.seeds)]
        runs = list(parallel.run(_run, tasks, resources.jobs))
        runs.sort(key=lambda run: (run.cell.kappa, run.cell.width, run.cell.examples, run.seed))
        resources.shared[settings] = _tables(runs, settings)
    data: Data = resources.shared[settings]
    return data


def start(examples: int, dimensions: int, width: int, seed: int) -> tuple[Regression, ReluNetwork]:
    """Returns the problem of Fig. 3a of one seed, and its network before training."""
    regression = problem(examples, dimensions, width, seed)
    return regression, ReluNetwork((regression.weights,), regression.outer)


def moments_among(steps: Sequence[int], count: int) -> list[int]:
    """Returns about `count` of the ascending `steps`, with the first, and the last few.

    They are evenly spaced among the steps as they are kept, which is dense at first.
    """
    indices = np.linspace(0, len(steps) - 1, count).round().astype(int)
    return [steps[index] for index in sorted(set(indices.tolist()))]


def _run(task: Task) -> Run:
    """Trains one network and measures it; without a mask only the loss is measured."""
    settings, cell, seed = task
    regression, network = start(cell.examples, settings.dimensions, cell.width, seed)
    steps = snapshot_steps(settings.steps_of(cell))
    moments = set(moments_among(steps, settings.moments)) if cell.kappa else set()
    masks = Masks(cell.kappa)
    perturbed = masks.steps(regression.inputs, numpy_generator(seed, "masks"))
    drawn = masks.steps(regression.inputs, numpy_generator(seed, "measured masks"))
    data = (regression.inputs, regression.values)
    losses, rows = [], []
    descent = descend(network, perturbed, regression.values, cell.learning_rate, steps)
    for step, trained in zip(steps, descent, strict=True):
        losses.append(trained.loss(*data))
        if step in moments:
            row = _moment(trained, regression, cell, drawn, settings.draws)
            rows.append({**cell.labels(), "seed": float(seed), "step": float(step), **row})
    (end,) = trained.layers
    return Run(cell, seed, steps, np.array(losses), rows, end)


def _moment(
    network: ReluNetwork,
    regression: Regression,
    cell: Cell,
    drawn: Iterator[Floats],
    draws: int,
) -> Row:
    """Returns what is measured at a moment of a run."""
    data = (regression.inputs, regression.values)
    shape = curvature(network, *data)
    gradient = bias_and_noise_of_masks(network, *data, cell.kappa, drawn, draws)
    return {
        "loss": shape.loss,
        "squared_gradient": shape.squared_gradient,
        "squared_bias": gradient.squared_bias,
        "squared_noise": gradient.squared_noise,
        "largest": shape.largest,
        "smallest": shape.smallest,
        "local": shape.local,
        "nearest": shape.nearest,
        "mean": gradient.mean,
        "error": gradient.error,
        "expected": gradient.expected,
    }


def bounds(moments: Sequence[Row], learning_rate: float) -> Floats:
    """Returns the bound on the loss at each of the `moments` of one run (moments,).

    Between two moments, it takes the worse of the constants at both: the smaller local PL constant,
    and the larger smoothness, bias and noise.
    """

    def worse(name: str, choice: np.ufunc) -> Floats:
        """Returns the worse value of a column in each span between two moments."""
        values = np.array(column(moments, name))
        spans: Floats = choice(values[:-1], values[1:])
        return spans

    return loss_bounds(
        float(moments[0]["loss"]),
        learning_rate,
        np.diff(column(moments, "step")),
        smoothness=worse("largest", np.maximum),
        pl=worse("local", np.minimum),
        squared_bias=worse("squared_bias", np.maximum),
        squared_noise=worse("squared_noise", np.maximum),
    )


def arrival(steps: Sequence[int], losses: Floats, floor: float) -> tuple[int, float]:
    """Returns the first of `steps` at which the loss is near its floor, and its rate until then.

    The rate is how much ln(loss) falls in a step on average, 0 if the loss is near its floor from
    the start.
    """
    index = int(np.argmax(losses <= NEAR * floor))
    if index == 0:
        return 0, 0.0
    return steps[index], float(np.log(losses[0] / losses[index]) / steps[index])


def _tables(runs: Sequence[Run], settings: BiasedRuns) -> Data:
    """Returns the tables of all runs; bounds are added to the moments."""
    clean = {run.seed: run.end for run in runs if not run.cell.kappa}
    data: Data = {"moments": [], "curves": [], "runs": []}
    for run in runs:
        if run.moments:
            limits = bounds(run.moments, run.cell.learning_rate)
            for row, bound in zip(run.moments, limits, strict=True):
                row["bound"] = float(bound)
            data["moments"] += run.moments
        is_base = replace(run.cell, kappa=settings.base.kappa) == settings.base
        distance = float(np.linalg.norm(run.end - clean[run.seed])) if is_base else np.nan
        data["runs"].append({**_summary(run), "distance": distance})
        if is_base:
            labels = {**run.cell.labels(), "seed": float(run.seed)}
            for step, loss in zip(run.steps, run.losses, strict=True):
                data["curves"].append({**labels, "step": float(step), "loss": float(loss)})
    return data


def _summary(run: Run) -> Row:
    """Returns floor and rate of a run, and for a masked one the predictions for both.

    The PL constant is the smallest eigenvalue of the kernel at any moment ("uniform") or that of
    the last weights ("local"). Bias and noise are those of the moments in the last fifth.
    """
    last_steps = np.array(run.steps) >= (1 - LAST) * run.steps[-1]
    last = run.losses[last_steps]
    floor = float(last.mean())
    half = len(last) // 2
    arrived, rate = arrival(run.steps, run.losses, floor)
    row: Row = {
        **run.cell.labels(),
        "seed": float(run.seed),
        "initial": float(run.losses[0]),
        "floor": floor,
        "settled": float(last[half:].mean() / last[:half].mean()),
        "arrived": float(arrived),
        "rate": rate,
    }
    if not run.moments:
        return row
    late = [one for one in run.moments if float(one["step"]) >= (1 - LAST) * run.steps[-1]]
    bias, noise = (float(np.mean(column(late, name))) for name in ("squared_bias", "squared_noise"))
    uniform = min(column(run.moments, "smallest"))
    local = float(np.mean(column(late, "local")))
    eta, smoothness = run.cell.learning_rate, max(column(run.moments, "largest"))
    pushed_by_noise = eta * smoothness * noise
    return {
        **row,
        "predicted_rate": eta * uniform,
        "uniform_radius": _radius(eta, smoothness, uniform, bias, noise),
        "local_radius": _radius(eta, smoothness, local, bias, noise),
        "bias_share": float(bias / (bias + pushed_by_noise)),
        "noise_floor": float(eta * noise / 4),
        "nearest": float(np.mean(column(late, "nearest"))),
    }


def _radius(eta: float, smoothness: float, pl: float, bias: float, noise: float) -> float:
    """Returns the predicted radius, which is infinite for a kernel with an eigenvalue of 0."""
    return float(radius(eta, smoothness, pl, bias, noise)) if pl > 0 else math.inf


def extreme(rows: Sequence[Row], value: Callable[[Row], float], highest: bool) -> Interval:
    """Returns the mean over seeds of the largest (or smallest) value of each seed's rows.

    The extreme is taken within a seed, so that the interval over seeds needs no correction for it.
    """
    chosen = []
    for seed in levels(rows, "seed"):
        values = [value(row) for row in select(rows, seed=seed)]
        chosen.append(max(values) if highest else min(values))
    return mean_interval(chosen)


def log_ratio_of(above: str, below: str) -> Callable[[Row], float]:
    """Returns the function that takes a row to ln(column `above` / column `below`)."""
    return lambda row: math.log(float(row[above]) / float(row[below]))


def sweep(rows: Sequence[Row], base: Row, name: str) -> list[Row]:
    """Returns the rows of cells that differ from the labels `base` in the column `name` at most."""
    others: dict[str, str | float] = {key: base[key] for key in base if key != name}
    chosen = select(rows, **others)
    return sorted(chosen, key=lambda row: float(row[name]))


QUICK = BiasedRuns(
    base=Cell(kappa=0.2, width=32, examples=48, speed=2.5),
    kappas=(0.05, 0.1, 0.2, 0.4, 0.8, 1.6),
    widths=(16, 32, 64),
    sizes=(24, 48, 96),
    speeds=(0.625, 2.5, 7.5),
    steps=4000,
    seeds=5,
    dimensions=8,
    moments=10,
    draws=100,
)
FULL = BiasedRuns(
    base=Cell(kappa=0.2, width=100, examples=500, speed=2.5),
    kappas=(0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.0),
    widths=(40, 60, 100),
    sizes=(125, 250, 500),
    speeds=(0.625, 2.5, 7.5),
    steps=8000,
    seeds=4,
    dimensions=20,
    moments=8,
    draws=200,
)
