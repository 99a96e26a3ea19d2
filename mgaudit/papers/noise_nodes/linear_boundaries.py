"""Where the phases of the linear network meet: in the sharpness eta l, and in sigma for the decoupled phase."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mgaudit.attacks.intervals import mean_interval
from mgaudit.papers.claim import Claim, Data, Measured, NotRun, Row
from mgaudit.papers.noise_nodes.beginning import beginning
from mgaudit.papers.paper import PaperFigure, Workshop
from mgaudit.papers.statistics import slope_interval
from mgaudit.reports.figures.palette import LOOKS
from mgaudit.reports.figures.panels import panels
from mgaudit.targets.seeds import numpy_generator
from mgaudit.theory.arguments import Floats
from mgaudit.theory.noise_node_dynamics import descend, fresh_moments
from mgaudit.theory.noise_nodes import ESCAPE, GROWTH, Moments, decoupled_sigma, linear_loss

PLACE = "linear model, phase boundaries"
GROWN = 2.0  # times its start the noise's loss must come to, to have grown


@dataclass(frozen=True)
class LinearBoundaries:
    """Bisection in sigma for each run, at each rate and batch; then sigmas of the decoupled phase, by steps."""

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


def measure(settings: LinearBoundaries, workshop: Workshop) -> Data:
    """Returns the sharpness at which each run begins to grow and to diverge, and where pull and walk are equal."""
    searches: tuple[tuple[str, Callable[..., NDArray[np.bool_]], float], ...] = (
        ("growth", _grows, GROWTH),
        ("divergence", _diverges, ESCAPE),
    )
    rows: list[Row] = [
        {"boundary": name, "predicted": predicted, "eta": eta, "batch": float(batch), "run": float(run), "found": found}
        for name, outcome, predicted in searches
        for eta in settings.etas
        for batch in settings.batches
        for run, found in enumerate(_bisected(outcome, settings, eta, batch))
    ]
    return {"sharpness": rows, "decoupled": _decoupled(settings)}


def _bisected(
    outcome: Callable[[LinearBoundaries, float, int, Floats], NDArray[np.bool_]],
    settings: LinearBoundaries,
    eta: float,
    batch: int,
) -> list[float]:
    """Returns the sharpness (runs,) at which the outcome begins, to a factor of 32^(1 / 2^halvings)."""
    low, high = np.full(settings.runs, 0.25), np.full(settings.runs, 8.0)
    for _ in range(settings.halvings):
        middle = np.sqrt(low * high)
        happened = outcome(settings, eta, batch, np.sqrt(middle / eta / 2))  # |w2|^2 + |w_ni|^2 is 2
        low, high = np.where(happened, low, middle), np.where(happened, middle, high)
    found: list[float] = np.sqrt(low * high).tolist()
    return found


def _grows(settings: LinearBoundaries, eta: float, batch: int, sigma: Floats) -> NDArray[np.bool_]:
    generator = numpy_generator(settings.seed, f"linear boundaries {eta}", batch)
    start = beginning(settings.runs, settings.width, settings.cosine, generator)
    moments = fresh_moments(settings.runs, 1.0, sigma, batch, generator)
    found = descend(start, 0.0, eta, moments, settings.growth_steps)
    losses = linear_loss(found.net, 0.0, Moments.expected(0.0, sigma))
    grown: NDArray[np.bool_] = (losses.max(axis=0) > GROWN * losses[0]) | (found.diverged >= 0)
    return grown


def _diverges(settings: LinearBoundaries, eta: float, batch: int, sigma: Floats) -> NDArray[np.bool_]:
    generator = numpy_generator(settings.seed, f"linear boundaries {eta}", batch)
    start = beginning(settings.runs, settings.width, settings.cosine, generator)
    moments = fresh_moments(settings.runs, 1.0, sigma, batch, generator)
    found = descend(start, 0.0, eta, moments, settings.escape_steps, every=settings.escape_steps)
    ended: NDArray[np.bool_] = found.diverged >= 0
    return ended


def _decoupled(settings: LinearBoundaries) -> list[Row]:
    """Returns the sigma at which the mean of what T steps do to the node is as large as its sd over runs."""
    predicted = decoupled_sigma(1.0, settings.walk_cosine, 1.0, settings.walk_batch)  # residual 1 and |w2| 1
    return [
        {
            "steps": float(steps),
            "repeat": float(repeat),
            "found": _crossing(settings, steps, repeat, predicted / math.sqrt(steps)),
            "predicted": predicted,
        }
        for steps in settings.walk_steps
        for repeat in range(settings.walk_repeats)
    ]


def _crossing(settings: LinearBoundaries, steps: int, repeat: int, guess: float) -> float:
    """Returns the sigma of that crossing, between sigmas about a guess, by a straight line through logarithms."""
    sigmas = guess * np.geomspace(0.5, 2.0, 7)
    ratios = []
    for sigma in sigmas:
        generator = numpy_generator(settings.seed, f"decoupled {steps}", repeat)
        start = beginning(settings.walkers, settings.width, settings.walk_cosine, generator)
        moments = fresh_moments(settings.walkers, 1.0, sigma, settings.walk_batch, generator)
        found = descend(start, 1.0, settings.walk_eta, moments, steps, every=steps)
        moved = np.sum((found.net.node[-1] - found.net.node[0]) * found.net.second[0], axis=-1)
        ratios.append(-moved.mean() / moved.std(ddof=1))
    line = np.polyfit(np.log(np.maximum(ratios, 1e-3)), np.log(sigmas), 1)
    return float(np.exp(line[1]))  # where the logarithm of the ratio is 0


def draw(data: Data) -> Figure:
    """Returns the sharpness of both boundaries against the batch, and the decoupled sigma against the steps."""
    figure, (left, right) = panels(2, 2.8, sharey=False)
    looks = {"growth": LOOKS["weight-noise"], "divergence": LOOKS["dp-sgd"]}
    for name, (colour, mark) in looks.items():
        rows = [row for row in data["sharpness"] if row["boundary"] == name]
        for shift, eta in enumerate(_distinct(rows, "eta")):
            own = [row for row in rows if row["eta"] == eta]
            batches = _distinct(own, "batch")
            found = [mean_interval([float(row["found"]) for row in own if row["batch"] == batch]) for batch in batches]
            left.errorbar(
                [batch * 1.15**shift for batch in batches],
                [value for value, _, _ in found],
                [[value - low for value, low, _ in found], [high - value for value, _, high in found]],
                fmt=mark,
                color=colour,
                markerfacecolor="none" if shift else colour,
                label=f"{name}, η = {eta:g}",
            )
        left.axhline(float(rows[0]["predicted"]), color=colour, linewidth=0.8, linestyle="--")
    left.set(xscale="log")
    left.set(xlabel="batch B (examples)", ylabel="ηλ where it begins", ylim=(0, 6.5))
    left.legend(fontsize=8)
    rows = data["decoupled"]
    steps = _distinct(rows, "steps")
    predicted = float(rows[0]["predicted"])
    colour, mark = LOOKS["gaussian-mask"]
    right.plot([float(r["steps"]) for r in rows], [float(r["found"]) for r in rows], mark, color=colour, label="found")
    right.axhline(predicted, color="black", linestyle="--", linewidth=0.8, label="one step's rule")
    right.plot(steps, [predicted / math.sqrt(one) for one in steps], color="black", linewidth=0.8, label="over √T")
    right.set(xlabel="steps T", ylabel="σ where pull = walk")
    right.set(xscale="log", yscale="log")
    right.legend(fontsize=8)
    return figure


def _distinct(rows: Iterable[Row], column: str) -> list[float]:
    return sorted({float(row[column]) for row in rows})


def _boundary(name: str, predicted: float) -> Callable[[Data], Measured | NotRun]:
    def check(data: Data) -> Measured | NotRun:
        rows = [row for row in data["sharpness"] if row["boundary"] == name]
        largest = max(_distinct(rows, "batch"))
        value, low, high = mean_interval([float(row["found"]) / predicted for row in rows if row["batch"] == largest])
        quantity = f"ηλ found over {predicted:g}, mean over runs and rates, batch {largest:g}"
        return Measured(quantity, value, 0.95, 1.05, low, high)

    return check


def _one_step(data: Data) -> Measured | NotRun:
    rows = [row for row in data["decoupled"] if row["steps"] == 1]
    if not rows:
        return NotRun("the settings have no run of a single step")
    value, low, high = mean_interval([float(row["found"]) / float(row["predicted"]) for row in rows])
    return Measured("σ found over |g| / (√B ‖w₂‖² |w_ni·w₂|/‖w₂‖)", value, 0.95, 1.05, low, high)


def _whole_training(data: Data) -> Measured | NotRun:
    rows = data["decoupled"]
    longest = max(_distinct(rows, "steps"))
    value, low, high = mean_interval([float(r["found"]) / float(r["predicted"]) for r in rows if r["steps"] == longest])
    return Measured(f"σ found over one step's rule, after {longest:g} steps", value, 0.8, 1.25, low, high)


def _falls_with_steps(data: Data) -> Measured | NotRun:
    rows = data["decoupled"]
    if len(_distinct(rows, "steps")) < 2:
        return NotRun("the settings have one number of steps, a slope needs two")
    value, low, high = slope_interval(
        [math.log(float(row["steps"])) for row in rows], [math.log(float(row["found"])) for row in rows]
    )
    return Measured("slope of log σ on log T", value, -0.55, -0.45, low, high)


CLAIMS = (
    Claim("growth-at-2", "The loss of the noise grows first from ηλ = 2 on.", PLACE, _boundary("growth", GROWTH)),
    Claim("divergence-at-4", "Training diverges from ηλ = 4 on.", PLACE, _boundary("divergence", ESCAPE)),
    Claim(
        "decoupled-one-step",
        "A step pulls the node's weights less than it moves them by chance below σ = |g| / (√B ‖w₂‖² |w_ni along w₂|).",
        PLACE,
        _one_step,
    ),
    Claim(
        "decoupled-training",
        "The same σ tells for the whole of training whether the pull is seen beside the chance.",
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
        "Bisection in σ at two rates and three batches for the onset of growth and of divergence. The batches "
        "that decide are large, so that the noise of a step is its expectation. "
        "The decoupled phase: at which σ the pull on the node is as large as its chance steps, after one step "
        "and after several, the residual staying as it is."
    ),
    quick=LinearBoundaries(),
    full=LinearBoundaries(
        etas=(0.001, 0.003, 0.01, 0.03), batches=(16, 64, 256, 4096, 65536), runs=50, escape_steps=2000
    ),
    measure=measure,
    draw=draw,
    description=(
        "Left: ηλ at which growth and divergence begin, against the batch, with lines at 2 and 4. Right: σ at "
        "which pull and walk are equal against the number of steps, with the rule of one step and its 1/√T."
    ),
    claims=CLAIMS,
)
