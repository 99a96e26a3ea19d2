"""Figure 3b: the same training by clients, whose weights are averaged every few local steps.

Each client takes local steps on its own examples; then the weights of all clients are averaged. The
central training, for comparison, is by one trainer with all examples.
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mgaudit.attacks.intervals import mean_interval
from mgaudit.compute import parallel
from mgaudit.papers.claim import Claim, Data, Measured, NotRun, Row
from mgaudit.papers.gaussian_masking.colours import shade
from mgaudit.papers.gaussian_masking.loss_trajectories import (
    LAST,
    clean_loss,
    furthest_from,
    geometric_mean,
    log_ratio,
    problem,
    relative_difference,
    snapshot_steps,
)
from mgaudit.papers.gaussian_masking.rows import column, levels, select
from mgaudit.papers.paper import PaperFigure, Resources
from mgaudit.reports.figures.panels import legend, panels
from mgaudit.targets.fitting.trajectory import regression_trajectory
from mgaudit.targets.schemes import GaussianMask

FALL = 10  # factor by which the loss falls in its first, linear phase
# Tolerances of relative differences: of rates, of numbers of averagings, and of equal losses.
RATES, ROUNDS, SAME = 0.1, 0.2, 1e-9
LINES = ("-", "--", ":", "-.")
NOTHING_FELL = "at no κ did the loss of every run fall to a tenth"

Floats = NDArray[np.float64]
Steps = NDArray[np.int64]


@dataclass(frozen=True)
class Distributed:
    """The training of figure 3a, but by clients that average their weights.

    The examples are split evenly among the clients. Each client makes a number of steps, one of
    `local_steps`, between two averagings.
    """

    kappas: tuple[float, ...]
    local_steps: tuple[int, ...]
    steps: int
    seeds: int
    clients: int = 10
    examples: int = 500
    dimensions: int = 20
    width: int = 100
    learning_rate: float = 0.005


DescentTask = tuple[Distributed, float, int, int]
Key = tuple[float, int, int]  # kappa, local steps, seed
CENTRAL = 0  # in place of local steps: one trainer with all examples


def _run(task: DescentTask) -> tuple[Key, Floats]:
    """Trains one network. Returns its key and its loss without a mask, (snapshots,)."""
    settings, kappa, local_steps, seed = task
    regression = problem(settings.examples, settings.dimensions, settings.width, seed)
    clients: dict[str, int] = {}
    if local_steps != CENTRAL:
        clients = {"clients": settings.clients, "local_steps": local_steps}
    steps = snapshot_steps(settings.steps)
    mask = GaussianMask(kappa)
    weights = regression_trajectory(
        regression, mask, settings.learning_rate, steps, seed, **clients
    )
    return (kappa, local_steps, seed), clean_loss(regression, weights)


def measure(settings: Distributed, resources: Resources) -> Data:
    """Returns the loss along training in `curves`, and a summary of each of the `runs`.

    The curves are geometric means over seeds. A run has the step at which its loss has fallen to a
    tenth, its floor (the mean loss at the end), and its `difference`, the largest relative
    difference to the loss of one trainer with all examples at any step.
    """
    trainers = [
        (kappa, local_steps)
        for kappa in settings.kappas
        for local_steps in (CENTRAL, *settings.local_steps)
    ]
    seeds = range(settings.seeds)
    tasks = [(settings, *trainer, seed) for trainer in trainers for seed in seeds]
    losses = dict(parallel.run(_run, tasks, resources.jobs))
    steps = np.array(snapshot_steps(settings.steps))
    curves: list[Row] = []
    for kappa, local_steps in trainers:
        over_seeds = geometric_mean([losses[kappa, local_steps, seed] for seed in seeds])
        labels: Row = {"kappa": kappa, "local_steps": float(local_steps)}
        for step, loss in zip(steps, over_seeds, strict=True):
            curves.append({**labels, "step": float(step), "loss": float(loss)})
    return {"curves": curves, "runs": _runs(steps, losses, settings)}


def _runs(steps: Steps, losses: dict[Key, Floats], settings: Distributed) -> list[Row]:
    """Returns a row for each run.

    `losses` has the losses (snapshots,) at `steps` by kappa, local steps and seed.
    """
    is_last = steps >= (1 - LAST) * settings.steps
    runs: list[Row] = []
    for (kappa, local_steps, seed), loss in sorted(losses.items()):
        central = losses[kappa, CENTRAL, seed]
        differences = np.abs(loss / central - 1)
        runs.append(
            {
                "kappa": kappa,
                "local_steps": float(local_steps),
                "seed": float(seed),
                "steps_to_a_tenth": _crossing(steps, loss, loss[0] / FALL),
                "floor": float(loss[is_last].mean()),
                "difference": float(differences.max()),
            }
        )
    return runs


def _crossing(steps: Steps, loss: Floats, level: float) -> float:
    """Returns the step at which the loss first falls to the level; NaN where it never does.

    `loss` (snapshots,) is at `steps`. Between two snapshots, ln(loss) is interpolated linearly.
    """
    after = int(np.argmax(loss <= level))
    if after == 0:
        return math.nan
    before = after - 1
    share = np.log(loss[before] / level) / np.log(loss[before] / loss[after])
    between = steps[after] - steps[before]
    return float(steps[before] + share * between)


def draw(data: Data) -> Figure:
    """Returns loss against the steps of a client, and against the rounds of averaging."""
    figure, (left, right) = panels(2, 3.2, columns=2)
    kappas = levels(data["curves"], "kappa")
    trainers = levels(data["curves"], "local_steps")
    for kappa_index, kappa in enumerate(kappas):
        colour = shade(kappa_index, len(kappas))
        for index, local_steps in enumerate(trainers):
            rows = select(data["curves"], kappa=kappa, local_steps=local_steps)
            look = {"color": colour, "linestyle": LINES[index % len(LINES)], "linewidth": 1.1}
            _draw_loss(left, right, rows, look)
    left.set(xlabel="local step", ylabel="loss without mask", yscale="log")
    right.set(xlabel="averaging", yscale="log")
    for axes in (left, right):
        axes.set_xscale("symlog", linthresh=100)
    legend(figure, left)
    return figure


def _draw_loss(left: Axes, right: Axes, rows: list[Row], look: dict[str, Any]) -> None:
    """Draws one curve of the loss against local steps (left) and against averagings (right).

    The central training has no averagings, and is only drawn on the left.
    """
    kappa = float(rows[0]["kappa"])
    local_steps = float(rows[0]["local_steps"])
    steps = np.array(column(rows, "step"))
    losses = column(rows, "loss")
    if local_steps == CENTRAL:
        left.plot(steps, losses, label=f"κ = {kappa:g}, one trainer", **look)
        return
    left.plot(steps, losses, label=f"κ = {kappa:g}, τ = {local_steps:g}", **look)
    right.plot(steps / local_steps, losses, **look)


def _column(data: Data, kappa: float, local_steps: float, name: str) -> list[float]:
    """Returns the column `name` for one kappa and number of local steps, ordered by seed."""
    rows = select(data["runs"], kappa=kappa, local_steps=local_steps)
    rows.sort(key=lambda row: float(row["seed"]))
    return column(rows, name)


def _local_steps(data: Data) -> list[float]:
    """Returns the numbers of local steps of clients, ascending, without the central training."""
    trainers = levels(data["runs"], "local_steps")
    return [local_steps for local_steps in trainers if local_steps != CENTRAL]


def _falling_kappas(data: Data) -> list[float]:
    """Returns the kappas at which the loss of every run fell to a tenth."""
    slow = set()
    for row in data["runs"]:
        if math.isnan(float(row["steps_to_a_tenth"])):
            slow.add(float(row["kappa"]))
    return [kappa for kappa in levels(data["runs"], "kappa") if kappa not in slow]


def one_step_is_central(data: Data) -> Measured:
    """Returns the difference to one trainer when averaging after each step, which must be 0."""
    differences = _column(data, 0.0, 1.0, "difference")
    quantity = "largest relative difference of the loss to one trainer's, at κ = 0 and τ = 1"
    return Measured(quantity, max(differences), at_most=SAME)


def rate_per_step(data: Data) -> Measured | NotRun:
    """Returns how clients differ from one trainer in the steps to a tenth of the loss."""
    kappas = _falling_kappas(data)
    if not kappas:
        return NotRun(NOTHING_FELL)
    differences = []
    for kappa in kappas:
        central = _column(data, kappa, CENTRAL, "steps_to_a_tenth")
        for local_steps in _local_steps(data):
            steps = _column(data, kappa, local_steps, "steps_to_a_tenth")
            differences.append(relative_difference(steps, central))
    largest = furthest_from(0.0, differences)
    kappa_list = ", ".join(f"{kappa:g}" for kappa in kappas)
    quantity = (
        "largest relative difference to one trainer in the local steps until the loss is a tenth, "
        f"over all τ and the κ at which it falls so far, {kappa_list}"
    )
    return Measured.with_interval(quantity, largest, at_least=-RATES, at_most=RATES)


def fewer_rounds(data: Data) -> Measured | NotRun:
    """Returns by how much many local steps reduce the averagings to a tenth of the loss."""
    kappas = _falling_kappas(data)
    if not kappas:
        return NotRun(NOTHING_FELL)
    most = max(_local_steps(data))
    ratios = []
    for kappa in kappas:
        single = _column(data, kappa, 1.0, "steps_to_a_tenth")
        several = _column(data, kappa, most, "steps_to_a_tenth")
        pairs = zip(single, several, strict=True)
        ratios.append(mean_interval([first / (second / most) for first, second in pairs]))
    furthest = furthest_from(most, ratios)
    rounds = "averagings until the loss is a tenth"
    where = f"at the κ where it is furthest from {most:g}"
    quantity = f"{rounds} at τ = 1 / at τ = {most:g}, {where}"
    lowest, highest = most * (1 - ROUNDS), most * (1 + ROUNDS)
    return Measured.with_interval(quantity, furthest, at_least=lowest, at_most=highest)


def floor_rises(data: Data) -> Measured:
    """Returns the smallest rise of a client's floor from a kappa to the next: must be positive."""
    kappas = levels(data["runs"], "kappa")
    changes = []
    for local_steps in _local_steps(data):
        floors = [_column(data, kappa, local_steps, "floor") for kappa in kappas]
        changes += [log_ratio(above, below) for below, above in pairwise(floors)]
    smallest = min(changes, key=lambda interval: interval.low)
    quantity = "smallest ln(floor at a κ / floor at the κ before it), over all τ"
    return Measured.with_interval(quantity, smallest, at_least=0.0)


ABOUT = (
    "Local SGD on the problem of Fig. 3a: each client holds a tenth of the examples, draws "
    "masks of its own and makes τ steps between two averagings of the weights. A client's "
    "gradient is multiplied by the number of clients, so that τ = 1 without a mask is "
    "training by one. The paper's numbers of clients and steps are not known to us. `mgaudit "
    "run --clients 10 --local-steps 5` audits networks that are trained like this."
)
QUICK = Distributed(
    kappas=(0.0, 0.2, 0.6),
    local_steps=(1, 5),
    steps=400,
    seeds=4,
    examples=100,
    dimensions=10,
    width=50,
    learning_rate=0.025,
)
FULL = Distributed(kappas=(0.0, 0.2, 0.6), local_steps=(1, 5, 20), steps=3000, seeds=5)
CLAIMS = (
    Claim(
        "central",
        "Averaging after every step is training by one.",
        "our reading of Fig. 3b",
        one_step_is_central,
    ),
    Claim(
        "rate-per-step",
        "Clients converge at the same linear rate per local step.",
        "Fig. 3b",
        rate_per_step,
    ),
    Claim("fewer-rounds", "τ local steps need a τ-th of the averagings.", "Fig. 3b", fewer_rounds),
    Claim(
        "floor-rises",
        "The floor rises with κ, whatever τ is.",
        "Theorem 5.5, Fig. 3b",
        floor_rises,
    ),
)
FIGURE = PaperFigure(
    key="fig3b",
    title="Fig. 3b: the same training by ten clients",
    about=ABOUT,
    quick=QUICK,
    full=FULL,
    measure=measure,
    draw=draw,
    description=(
        "With several local steps the loss falls as fast per step and far faster per averaging."
    ),
    claims=CLAIMS,
)
