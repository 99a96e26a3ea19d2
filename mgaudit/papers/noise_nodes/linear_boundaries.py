"""Boundaries between the phases of the linear network, in the sharpness and in sigma.

The sharpness is the learning rate eta times the initial curvature of the noise's loss. The standard
deviation sigma of the noise determines it. Beyond one sharpness ("growth") the loss grows before it
falls, and beyond another ("divergence") training diverges. At the decoupled sigma, training pulls
the node's weights w_ni towards 0 by as much as they walk by chance.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mgaudit.attacks.intervals import mean_interval
from mgaudit.papers.claim import Claim, Data, Measured, NotRun, Row
from mgaudit.papers.error_bars import error_bars
from mgaudit.papers.noise_nodes.beginning import beginning
from mgaudit.papers.paper import PaperFigure, Resources
from mgaudit.papers.rows import column, distinct, matching, ratios
from mgaudit.papers.statistics import slope_interval
from mgaudit.reports.figures.palette import LOOKS
from mgaudit.reports.figures.panels import panels
from mgaudit.targets.seeds import numpy_generator
from mgaudit.theory.arguments import Floats
from mgaudit.theory.noise_node_dynamics import DescentPath, descend, fresh_moments
from mgaudit.theory.noise_nodes import ESCAPE, GROWTH, Moments, decoupled_sigma, linear_loss

PLACE = "linear model, phase boundaries"
GROWN = 2.0  # the noise's loss has grown once it exceeds this multiple of its initial value


@dataclass(frozen=True)
class LinearBoundaries:
    """Bisection in sigma for each run, rate and batch; for the decoupled phase a grid of sigmas."""

    etas: tuple[float, ...] = (0.003, 0.03)
    batches: tuple[int, ...] = (16, 256, 65536)
    runs: int = 20
    halvings: int = 9
    growth_steps: int = 200
    escape_steps: int = 800
    width: int = 3
    cosine: float = 1e-3
    walkers: int = 2000
    walk_repeats: int = 10
    walk_batch: int = 256
    walk_eta: float = 2e-6
    walk_cosine: float = 0.3
    walk_steps: tuple[int, ...] = (1, 4, 16, 64)
    seed: int = 0


# Maps settings, learning rate, batch and sigma (runs,) to whether each run has an outcome, (runs,).
_Outcome = Callable[[LinearBoundaries, float, int, Floats], NDArray[np.bool_]]


def measure(settings: LinearBoundaries, resources: Resources) -> Data:
    """Returns the sharpness at which runs begin to grow or diverge, and the decoupled sigma.

    At the decoupled sigma, training pulls the node's weights towards 0 by as much as they walk by
    chance.
    """
    growth = _sharpness_rows(settings, "growth", _grows, GROWTH)
    divergence = _sharpness_rows(settings, "divergence", _diverges, ESCAPE)
    return {"sharpness": growth + divergence, "decoupled": _decoupled(settings)}


def _sharpness_rows(
    settings: LinearBoundaries, boundary: str, outcome: _Outcome, predicted: float
) -> list[Row]:
    """Returns the sharpness at which the outcome begins, a row for each rate, batch and run.

    `outcome` tells which runs grow or diverge at given sigmas. `boundary` names the outcome, and
    `predicted` is the sharpness at which it begins in theory; both are columns.
    """
    rows: list[Row] = []
    for eta, batch in product(settings.etas, settings.batches):
        head: Row = {
            "boundary": boundary,
            "predicted": predicted,
            "eta": eta,
            "batch": float(batch),
        }
        onsets = _bisected(outcome, settings, eta, batch).tolist()
        rows += [{**head, "run": float(run), "found": onset} for run, onset in enumerate(onsets)]
    return rows


def _bisected(outcome: _Outcome, settings: LinearBoundaries, eta: float, batch: int) -> Floats:
    """Returns the sharpness (runs,) at which the outcome begins, by bisection in [0.25, 8].

    The last bracket of each run has the ratio 32^(1 / 2^halvings) of its ends, and the result is
    their geometric mean. If the outcome begins outside of [0.25, 8], the result is close to that
    end.
    """
    low = np.full(settings.runs, 0.25)
    high = np.full(settings.runs, 8.0)
    for _ in range(settings.halvings):
        middle = np.sqrt(low * high)
        sigma = np.sqrt(middle / eta / 2)  # |w2|^2 + |w_ni|^2 is 2
        happens = outcome(settings, eta, batch, sigma)
        low = np.where(happens, low, middle)
        high = np.where(happens, middle, high)
    return np.asarray(np.sqrt(low * high))


def _descent(
    settings: LinearBoundaries, eta: float, batch: int, sigma: Floats, steps: int, every: int
) -> DescentPath:
    """Returns the weights of all runs, each `every` steps, with the noise `sigma` (runs,).

    The initial weights do not depend on `sigma`. The slope of the labels is 0.
    """
    generator = numpy_generator(settings.seed, f"linear boundaries {eta}", batch)
    start = beginning(settings.runs, settings.width, settings.cosine, generator)
    moments = fresh_moments(settings.runs, 1.0, sigma, batch, generator)
    return descend(start, 0.0, eta, moments, steps, every)


def _grows(settings: LinearBoundaries, eta: float, batch: int, sigma: Floats) -> NDArray[np.bool_]:
    """Returns whether each run's loss of the noise exceeds GROWN times its first value, (runs,)."""
    path = _descent(settings, eta, batch, sigma, settings.growth_steps, every=1)
    losses = linear_loss(path.net, 0.0, Moments.expected(0.0, sigma))
    grown = losses.max(axis=0) > GROWN * losses[0]
    return np.asarray(grown | (path.diverged >= 0))


def _diverges(
    settings: LinearBoundaries, eta: float, batch: int, sigma: Floats
) -> NDArray[np.bool_]:
    """Returns whether the weights of each run grow without bound, (runs,)."""
    steps = settings.escape_steps
    path = _descent(settings, eta, batch, sigma, steps, every=steps)
    return np.asarray(path.diverged >= 0)


def _decoupled(settings: LinearBoundaries) -> list[Row]:
    """Returns the decoupled sigma, a row for each number of steps and repetition.

    At this sigma, the mean over runs of the node's change along w2 equals its standard deviation.
    """
    residual, second_norm = 1.0, 1.0
    predicted = decoupled_sigma(second_norm, settings.walk_cosine, residual, settings.walk_batch)
    rows: list[Row] = []
    for steps, repeat in product(settings.walk_steps, range(settings.walk_repeats)):
        crossing = _crossing(settings, steps, repeat, predicted / math.sqrt(steps))
        rows.append(
            {
                "steps": float(steps),
                "repeat": float(repeat),
                "found": crossing,
                "predicted": predicted,
            }
        )
    return rows


def _crossing(settings: LinearBoundaries, steps: int, repeat: int, guess: float) -> float:
    """Returns the decoupled sigma for a number of steps, from simulations at sigmas around `guess`.

    A line is fitted to ln(sigma) against ln(mean / standard deviation) of the node's change along
    w2 over runs; at the decoupled sigma that ratio is 1. `repeat` is the number of the repetition.
    """
    sigmas = guess * np.geomspace(0.5, 2.0, 7)
    mean_over_std = []
    for sigma in sigmas:
        generator = numpy_generator(settings.seed, f"decoupled {steps}", repeat)
        start = beginning(settings.walkers, settings.width, settings.walk_cosine, generator)
        moments = fresh_moments(settings.walkers, 1.0, sigma, settings.walk_batch, generator)
        path = descend(start, 1.0, settings.walk_eta, moments, steps, every=steps)
        change = path.net.node[-1] - path.net.node[0]
        moved = np.sum(change * path.net.second[0], axis=-1)
        mean_over_std.append(-moved.mean() / moved.std(ddof=1))
    logarithms = np.log(np.maximum(mean_over_std, 1e-3))
    _, intercept = np.polyfit(logarithms, np.log(sigmas), 1)
    return float(np.exp(intercept))  # where the logarithm of mean over sd is 0


def draw(data: Data) -> Figure:
    """Returns the sharpness of both boundaries by batch, and the decoupled sigma by steps."""
    figure, (left, right) = panels(2, 2.8, sharey=False)
    _draw_sharpness(left, data["sharpness"])
    _draw_decoupled(right, data["decoupled"])
    return figure


def _draw_sharpness(axes: Axes, rows: list[Row]) -> None:
    """Draws the sharpness of both boundaries, mean over runs, against the batch for each rate."""
    looks = {"growth": LOOKS["weight-noise"], "divergence": LOOKS["dp-sgd"]}
    for name, (colour, mark) in looks.items():
        boundary_rows = matching(rows, boundary=name)
        for index, eta in enumerate(distinct(boundary_rows, "eta")):
            rate_rows = matching(boundary_rows, eta=eta)
            batches = distinct(rate_rows, "batch")
            samples = [column(matching(rate_rows, batch=batch), "found") for batch in batches]
            means, reach = error_bars(map(mean_interval, samples))
            axes.errorbar(
                [batch * 1.15**index for batch in batches],  # shifted, so that rates do not overlap
                means,
                reach,
                fmt=mark,
                color=colour,
                markerfacecolor="none" if index else colour,
                label=f"{name}, η = {eta:g}",
            )
        predicted = float(boundary_rows[0]["predicted"])
        axes.axhline(predicted, color=colour, linewidth=0.8, linestyle="--")
    axes.set(xscale="log")
    axes.set(xlabel="batch B (examples)", ylabel="ηλ where it begins", ylim=(0, 6.5))
    axes.legend(fontsize=8)


def _draw_decoupled(axes: Axes, rows: list[Row]) -> None:
    """Draws the decoupled sigma of each repetition against the number of steps."""
    steps = distinct(rows, "steps")
    predicted = float(rows[0]["predicted"])
    over_root = [predicted / math.sqrt(count) for count in steps]
    colour, mark = LOOKS["gaussian-mask"]
    axes.plot(column(rows, "steps"), column(rows, "found"), mark, color=colour, label="measured")
    axes.axhline(predicted, color="black", linestyle="--", linewidth=0.8, label="one step's rule")
    axes.plot(steps, over_root, color="black", linewidth=0.8, label="over √T")
    axes.set(xlabel="steps T", ylabel="σ where pull = walk")
    axes.set(xscale="log", yscale="log")
    axes.legend(fontsize=8)


def _boundary(name: str, predicted: float) -> Callable[[Data], Measured | NotRun]:
    """Returns the check that a boundary, "growth" or "divergence", is at sharpness `predicted`."""

    def check(data: Data) -> Measured | NotRun:
        """Returns the mean sharpness over `predicted` with the largest batch: must be near 1."""
        rows = matching(data["sharpness"], boundary=name)
        largest = max(distinct(rows, "batch"))
        onsets = column(matching(rows, batch=largest), "found")
        value, low, high = mean_interval([onset / predicted for onset in onsets])
        quantity = f"ηλ found over {predicted:g}, mean over runs and rates, batch {largest:g}"
        return Measured(quantity, value, 0.95, 1.05, low, high)

    return check


def _one_step(data: Data) -> Measured | NotRun:
    """Returns the decoupled sigma of one step over the predicted one, which must be near 1."""
    rows = matching(data["decoupled"], steps=1)
    if not rows:
        return NotRun("the settings have no run of a single step")
    value, low, high = mean_interval(ratios(rows, "found", "predicted"))
    return Measured("σ found over |g| / (√B ‖w₂‖² |w_ni·w₂|/‖w₂‖)", value, 0.95, 1.05, low, high)


def _whole_training(data: Data) -> Measured | NotRun:
    """Returns the decoupled sigma of the most steps over that predicted for one: must be near 1."""
    longest = max(distinct(data["decoupled"], "steps"))
    rows = matching(data["decoupled"], steps=longest)
    value, low, high = mean_interval(ratios(rows, "found", "predicted"))
    return Measured(
        f"σ found over one step's rule, after {longest:g} steps", value, 0.8, 1.25, low, high
    )


def _falls_with_steps(data: Data) -> Measured | NotRun:
    """Returns the slope of ln(decoupled sigma) on ln(steps), which must be near -1/2."""
    rows = data["decoupled"]
    if len(distinct(rows, "steps")) < 2:
        return NotRun("the settings have one number of steps, a slope needs two")
    log_steps = [math.log(steps) for steps in column(rows, "steps")]
    log_sigmas = [math.log(sigma) for sigma in column(rows, "found")]
    value, low, high = slope_interval(log_steps, log_sigmas)
    return Measured("slope of log σ on log T", value, -0.55, -0.45, low, high)


CLAIMS = (
    Claim(
        "growth-at-2",
        "The loss of the noise grows first from ηλ = 2 on.",
        PLACE,
        _boundary("growth", GROWTH),
    ),
    Claim(
        "divergence-at-4",
        "Training diverges from ηλ = 4 on.",
        PLACE,
        _boundary("divergence", ESCAPE),
    ),
    Claim(
        "decoupled-one-step",
        (
            "A step pulls the node's weights by less than its random change below σ = |g| / (√B "
            "‖w₂‖² |w_ni along w₂|)."
        ),
        PLACE,
        _one_step,
    ),
    Claim(
        "decoupled-training",
        "The same σ decides for the whole of training whether the pull exceeds the random steps.",
        "open question",
        _whole_training,
    ),
    Claim(
        "decoupled-over-steps",
        "Pulls add up as T and chance as √T, so over T steps the boundary lies lower by √T.",
        "open question",
        _falls_with_steps,
    ),
)

FIGURE = PaperFigure(
    key="linear-boundaries",
    title="Where the phases of the linear network meet",
    about=(
        "Bisection in σ at two rates and three batches for the onset of growth and of divergence. "
        "The batches that decide are large, so that the noise of a step is its expectation. The "
        "decoupled phase: at which σ the pull on the node is as large as its chance steps, after "
        "one step and after several, the residual staying as it is."
    ),
    quick=LinearBoundaries(),
    full=LinearBoundaries(
        etas=(0.001, 0.003, 0.01, 0.03),
        batches=(16, 64, 256, 4096, 65536),
        runs=50,
        escape_steps=2000,
    ),
    measure=measure,
    uses_resources=False,
    draw=draw,
    description=(
        "Left: ηλ at which growth and divergence begin, against the batch, with lines at 2 and 4. "
        "Right: σ at which pull and walk are equal against the number of steps, with the rule of "
        "one step and its 1/√T."
    ),
    claims=CLAIMS,
)
