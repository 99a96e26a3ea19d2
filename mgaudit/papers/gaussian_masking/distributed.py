"""Figure 3b: the same training by clients, whose weights are averaged every few local steps."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mgaudit.attacks.intervals import mean_interval
from mgaudit.compute import parallel
from mgaudit.papers.claim import Claim, Data, Measured, NotRun, Row
from mgaudit.papers.gaussian_masking.colours import shade
from mgaudit.papers.gaussian_masking.loss_trajectories import LAST, clean_loss, problem, snapshot_steps
from mgaudit.papers.paper import PaperFigure, Workshop
from mgaudit.reports.figures.panels import legend, panels
from mgaudit.targets.fitting.trajectory import regression_trajectory
from mgaudit.targets.schemes import GaussianMask

FALL = 10  # the loss falls so many times over in what is called its first, linear phase
RATES, ROUNDS, SAME = 0.1, 0.2, 1e-9
LINES = ("-", "--", ":", "-.")


@dataclass(frozen=True)
class Distributed:
    """Clients that share the examples of figure 3a evenly, and the steps that each makes between two averagings."""

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
CENTRAL = 0  # in place of local steps: one trainer with all examples


def _run(task: DescentTask) -> tuple[tuple[float, int, int], NDArray[np.float64]]:
    settings, kappa, local_steps, seed = task
    given = problem(settings.examples, settings.dimensions, settings.width, seed)
    shared = {} if local_steps == CENTRAL else {"clients": settings.clients, "local_steps": local_steps}
    steps = snapshot_steps(settings.steps)
    weights = regression_trajectory(given, GaussianMask(kappa), settings.learning_rate, steps, seed, **shared)
    return (kappa, local_steps, seed), clean_loss(given, weights)


def measure(settings: Distributed, workshop: Workshop) -> Data:
    """Returns the `curves` (geometric means over seeds) and, of each of the `runs`, when it fell tenfold and its floor.

    `difference` is the largest relative difference of the loss to that of one trainer at any step.
    """
    tasks = [
        (settings, kappa, local_steps, seed)
        for kappa in settings.kappas
        for local_steps in (CENTRAL, *settings.local_steps)
        for seed in range(settings.seeds)
    ]
    losses = dict(parallel.run(_run, tasks, workshop.jobs))
    steps = np.array(snapshot_steps(settings.steps))
    runs: list[Row] = []
    for (kappa, local_steps, seed), one in sorted(losses.items()):
        central = losses[kappa, CENTRAL, seed]
        runs.append(
            {
                "kappa": kappa,
                "local_steps": float(local_steps),
                "seed": float(seed),
                "steps_to_a_tenth": _crossing(steps, one, one[0] / FALL),
                "floor": float(one[steps >= (1 - LAST) * settings.steps].mean()),
                "difference": float(np.abs(one / central - 1).max()),
            }
        )
    curves: list[Row] = [
        {"kappa": kappa, "local_steps": float(local_steps), "step": float(step), "loss": float(loss)}
        for kappa in settings.kappas
        for local_steps in (CENTRAL, *settings.local_steps)
        for step, loss in zip(
            steps,
            np.exp(np.mean([np.log(losses[kappa, local_steps, seed]) for seed in range(settings.seeds)], axis=0)),
            strict=True,
        )
    ]
    return {"curves": curves, "runs": runs}


def _crossing(steps: NDArray[np.int64], loss: NDArray[np.float64], level: float) -> float:
    """Returns the step at which the loss first falls to the level, between those looked at on a straight ln(loss).

    NaN where it never does.
    """
    after = int(np.argmax(loss <= level))
    if after == 0:
        return math.nan
    before = after - 1
    share = np.log(loss[before] / level) / np.log(loss[before] / loss[after])
    return float(steps[before] + share * (steps[after] - steps[before]))


def draw(data: Data) -> Figure:
    """Returns loss against the steps of a client, and against the rounds of averaging."""
    figure, (left, right) = panels(2, 3.2, columns=2)
    kappas = sorted({float(row["kappa"]) for row in data["curves"]})
    numbers = sorted({float(row["local_steps"]) for row in data["curves"]})
    for kappa in kappas:
        for place, local_steps in enumerate(numbers):
            rows = [row for row in data["curves"] if row["kappa"] == kappa and row["local_steps"] == local_steps]
            steps = np.array([float(row["step"]) for row in rows])
            loss = [float(row["loss"]) for row in rows]
            look: dict[str, Any] = {
                "color": shade(kappas.index(kappa), len(kappas)),
                "linestyle": LINES[place % 4],
                "linewidth": 1.1,
            }
            who = "one trainer" if local_steps == CENTRAL else f"τ = {local_steps:g}"
            left.plot(steps, loss, label=f"κ = {kappa:g}, {who}", **look)
            if local_steps != CENTRAL:
                right.plot(steps / local_steps, loss, **look)
    left.set(xlabel="local step", ylabel="loss without mask", yscale="log")
    right.set(xlabel="averaging", yscale="log")
    for axes in (left, right):
        axes.set_xscale("symlog", linthresh=100)
    legend(figure, left)
    return figure


def _column(data: Data, kappa: float, local_steps: float, name: str) -> list[float]:
    rows = [row for row in data["runs"] if row["kappa"] == kappa and row["local_steps"] == local_steps]
    return [float(row[name]) for row in sorted(rows, key=lambda row: float(row["seed"]))]


def _told(data: Data, name: str) -> list[float]:
    return sorted({float(row[name]) for row in data["runs"]})


def _fell(data: Data) -> list[float]:
    """Returns the kappa at which every run's loss fell to a tenth."""
    slow = {float(row["kappa"]) for row in data["runs"] if math.isnan(float(row["steps_to_a_tenth"]))}
    return [kappa for kappa in _told(data, "kappa") if kappa not in slow]


def one_step_is_central(data: Data) -> Measured:
    """Averaging after each step is training by one."""
    return Measured(
        "largest relative difference of the loss to one trainer's, at κ = 0 and τ = 1",
        max(_column(data, 0.0, 1.0, "difference")),
        at_most=SAME,
    )


def rate_per_step(data: Data) -> Measured | NotRun:
    """Clients fall as fast per local step as one trainer does."""
    changes = []
    for kappa in _fell(data):
        central = _column(data, kappa, CENTRAL, "steps_to_a_tenth")
        for local_steps in _told(data, "local_steps")[1:]:
            own = _column(data, kappa, local_steps, "steps_to_a_tenth")
            changes.append(mean_interval([one / alone - 1 for one, alone in zip(own, central, strict=True)]))
    if not changes:
        return NotRun("at no κ did the loss of every run fall to a tenth")
    value, low, high = max(changes, key=lambda change: max(abs(change[1]), abs(change[2])))
    return Measured(
        "largest relative difference to one trainer in the local steps until the loss is a tenth, over all τ and the κ "
        f"at which it falls so far, {', '.join(f'{kappa:g}' for kappa in _fell(data))}",
        value,
        at_least=-RATES,
        at_most=RATES,
        low=low,
        high=high,
    )


def fewer_rounds(data: Data) -> Measured | NotRun:
    """With tau local steps a tau-th of the averagings suffices."""
    most = max(_told(data, "local_steps"))
    ratios = []
    for kappa in _fell(data):
        single, several = (_column(data, kappa, number, "steps_to_a_tenth") for number in (1.0, most))
        ratios.append(mean_interval([first / (second / most) for first, second in zip(single, several, strict=True)]))
    if not ratios:
        return NotRun("at no κ did the loss of every run fall to a tenth")
    value, low, high = max(ratios, key=lambda one: max(abs(one[1] - most), abs(one[2] - most)))
    return Measured(
        f"averagings until the loss is a tenth at τ = 1 / at τ = {most:g}, at the κ where it is furthest from {most:g}",
        value,
        at_least=most * (1 - ROUNDS),
        at_most=most * (1 + ROUNDS),
        low=low,
        high=high,
    )


def floor_rises(data: Data) -> Measured:
    """The floor rises with kappa for clients as well."""
    steps = []
    for local_steps in _told(data, "local_steps")[1:]:
        floors = [_column(data, kappa, local_steps, "floor") for kappa in _told(data, "kappa")]
        steps += [
            mean_interval([float(np.log(above / below)) for below, above in zip(*pair, strict=True)])
            for pair in pairwise(floors)
        ]
    value, low, high = min(steps, key=lambda step: step[1])
    return Measured(
        "smallest ln(floor at a κ / floor at the κ before it), over all τ", value, at_least=0.0, low=low, high=high
    )


FIGURE = PaperFigure(
    key="fig3b",
    title="Fig. 3b: the same training by ten clients",
    about=(
        "Local SGD on the problem of Fig. 3a: each client holds a tenth of the examples, draws masks of its own and "
        "makes τ steps between two averagings of the weights. A client's gradient is multiplied by the number of "
        "clients, so that τ = 1 without a mask is training by one. The paper's numbers of clients and steps are not "
        "known to us. `mgaudit run --clients 10 --local-steps 5` audits networks that are trained like this."
    ),
    quick=Distributed(kappas=(0.0, 0.2, 0.6), local_steps=(1, 5), steps=1500, seeds=5),
    full=Distributed(kappas=(0.0, 0.2, 0.6), local_steps=(1, 5, 20), steps=3000, seeds=5),
    measure=measure,
    draw=draw,
    description="With several local steps the loss falls as fast per step and far faster per averaging.",
    claims=(
        Claim(
            "central", "Averaging after every step is training by one.", "our reading of Fig. 3b", one_step_is_central
        ),
        Claim("rate-per-step", "Clients converge at the same linear rate per local step.", "Fig. 3b", rate_per_step),
        Claim("fewer-rounds", "τ local steps need a τ-th of the averagings.", "Fig. 3b", fewer_rounds),
        Claim("floor-rises", "The floor rises with κ, whatever τ is.", "Theorem 5.5, Fig. 3b", floor_rises),
    ),
)
