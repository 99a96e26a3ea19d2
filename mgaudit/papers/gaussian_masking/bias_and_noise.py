"""Theorem 5.1: bias and noise of the masked gradient, and the rate and radius that they predict.

The bias is the expected masked gradient minus the gradient of the loss without a mask, in closed
form; the noise is the trace of the covariance of the masked gradient, from draws.
"""

import math
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mgaudit.attacks.intervals import Interval, mean_interval
from mgaudit.papers.claim import Claim, Data, Measured, Row
from mgaudit.papers.gaussian_masking.agreement import agreement
from mgaudit.papers.gaussian_masking.biased_runs import (
    FULL,
    QUICK,
    BiasedRuns,
    extreme,
    log_ratio_of,
    measured_runs,
)
from mgaudit.papers.gaussian_masking.colours import shade
from mgaudit.papers.gaussian_masking.rows import column, levels, select
from mgaudit.papers.paper import PaperFigure, Resources
from mgaudit.papers.statistics import geometric_mean_interval, log_log_slope
from mgaudit.reports.figures.panels import legend, panels

SLOPE = 0.2  # tolerance of a log-log slope
TIGHT = 2  # factor within which a rate counts as predicted
LOOSE = 10  # factor within which a radius counts as predicted
SIZES = {
    "squared_gradient": ("‖∇L‖²", "#000000", "-"),
    "squared_bias": ("‖b‖², bias", "#D55E00", "-"),
    "pushed": ("η M s², noise", "#0072B2", "--"),
}
SWEEPS = {
    "kappa": ("κ", "o"),
    "width": ("width m", "s"),
    "examples": ("n", "^"),
    "speed": ("η", "D"),
}


def measure(settings: BiasedRuns, resources: Resources) -> Data:
    """Returns the measured `moments` and the `runs`, with the cell that others differ from."""
    data = measured_runs(settings, resources)
    return {**data, "base": [settings.base.labels()]}


def draw(data: Data) -> Figure:
    """Returns bias and noise along training, the bounds, and what they predict."""
    figure, axes = panels(4, 2.9, sharey=False, columns=2)
    _draw_sizes(axes[0], data)
    _draw_bounds(axes[1], data)
    _draw_predictions(axes[2], data, "rate", {"predicted_rate": "#0072B2"})
    radii = {"uniform_radius": "#0072B2", "local_radius": "#D55E00"}
    _draw_predictions(axes[3], data, "floor", radii)
    legend(figure, *axes)
    return figure


def _over_seeds(rows: list[Row], name: str) -> tuple[list[float], list[float]]:
    """Returns the steps, and the geometric mean of a column over the seeds at each."""
    steps = levels(rows, "step")
    logarithms = [np.log(column(select(rows, step=step), name)) for step in steps]
    return steps, [float(np.exp(np.mean(values))) for values in logarithms]


def _draw_sizes(axes: Axes, data: Data) -> None:
    """Draws gradient, bias and noise along training in the base cell."""
    base = data["base"][0]
    eta = float(base["speed"]) / float(base["examples"])
    rows = []
    for row in select(data["moments"], **base):
        pushed = eta * float(row["largest"]) * float(row["squared_noise"])
        rows.append({**row, "pushed": pushed})
    for name, (label, colour, line) in SIZES.items():
        axes.plot(*_over_seeds(rows, name), line, color=colour, label=label)
    axes.set(xlabel="step", ylabel="squared size", yscale="log", title=f"κ = {base['kappa']:g}")
    axes.set_xscale("symlog", linthresh=100)
    axes.set_xlim(left=0)


def _draw_bounds(axes: Axes, data: Data) -> None:
    """Draws the loss without a mask and its bound along training, for each kappa."""
    base = {name: cell for name, cell in data["base"][0].items() if name != "kappa"}
    moments = select(data["moments"], **base)
    kappas = levels(moments, "kappa")
    for index, kappa in enumerate(kappas):
        rows = select(moments, kappa=kappa)
        look: dict[str, Any] = {"color": shade(index, len(kappas)), "linewidth": 1}
        axes.plot(*_over_seeds(rows, "loss"), "-", **look, label=f"loss, κ = {kappa:g}")
        axes.plot(*_over_seeds(rows, "bound"), ":", **look)
    axes.set(xlabel="step", ylabel="loss, and bound (dotted)", yscale="log")
    axes.set_xscale("symlog", linthresh=100)
    axes.set_xlim(left=0)


def _draw_predictions(axes: Axes, data: Data, observed: str, colours: dict[str, str]) -> None:
    """Draws a column of the runs against its predictions, with a line where both are equal."""
    runs = _masked(data)
    everything: list[float] = []
    for name, colour in colours.items():
        x, y = column(runs, name), column(runs, observed)
        everything += [value for value in (*x, *y) if value > 0]
        label = {"uniform_radius": "smallest μ", "local_radius": "μ of the last weights"}.get(name)
        axes.plot(x, y, "o", color=colour, markersize=2.5, label=label)
    reach = [min(everything), max(everything)]
    axes.plot(reach, reach, color="0.4", linestyle="--", linewidth=1)
    words = {"rate": "rate per step", "floor": "floor of the loss"}[observed]
    axes.set(xlabel=f"predicted {words}", ylabel=f"measured {words}", xscale="log", yscale="log")


def _masked(data: Data) -> list[Row]:
    """Returns the runs under a mask, which have predictions."""
    return [run for run in data["runs"] if "uniform_radius" in run]


def bias_is_exact(data: Data) -> Measured:
    """Returns how far the closed form of the bias is from the mean over masks."""
    return agreement(data["moments"])


def is_biased(data: Data) -> Measured:
    """Returns the bias relative to the gradient at the end of the base cell: it must not be 0.

    The bias is the mean over masks along the direction of its closed form.
    """
    last = max(column(select(data["moments"], **data["base"][0]), "step"))
    rows = select(data["moments"], **data["base"][0], step=last)
    means = [float(row["mean"]) / math.sqrt(float(row["squared_gradient"])) for row in rows]
    quantity = "bias from draws / ‖∇L‖ at the last step of the base cell"
    return Measured.with_interval(quantity, mean_interval(means), at_least=0.0)


def bound_holds(data: Data) -> Measured:
    """Returns the largest ln(loss / bound) of any cell and moment after the start: at most 0."""
    later = [row for row in data["moments"] if float(row["step"]) > 0]
    largest = extreme(later, log_ratio_of("loss", "bound"), highest=True)
    quantity = "largest ln(loss / bound) of all cells and moments, mean over seeds"
    return Measured.with_interval(quantity, largest, at_most=0.0)


def rate_is_bounded(data: Data) -> Measured:
    """Returns the smallest ratio of measured to predicted rate over cells: at least 1."""
    smallest = extreme(_masked(data), log_ratio_of("rate", "predicted_rate"), highest=False)
    quantity = "smallest measured rate / (η μ) of all cells, geometric mean over seeds"
    ratio = Interval(*(math.exp(end) for end in smallest))
    return Measured.with_interval(quantity, ratio, at_least=1.0)


def rate_is_predicted(data: Data) -> Measured:
    """Returns the ratio of measured to predicted rate in the base cell: 1 within a factor of 2."""
    runs = select(_masked(data), **data["base"][0])
    ratio = geometric_mean_interval(
        [float(run["rate"]) / float(run["predicted_rate"]) for run in runs]
    )
    quantity = "measured rate / (η μ) in the base cell, geometric mean over seeds"
    return Measured.with_interval(quantity, ratio, at_least=1 / TIGHT, at_most=TIGHT)


def radius_bounds(data: Data) -> Measured:
    """Returns the largest ratio of the floor to the predicted radius over cells: at most 1."""
    largest = extreme(_masked(data), log_ratio_of("floor", "uniform_radius"), highest=True)
    quantity = "largest floor / predicted radius of all cells, geometric mean over seeds"
    ratio = Interval(*(math.exp(end) for end in largest))
    return Measured.with_interval(quantity, ratio, at_most=1.0)


def radius_is_predicted(data: Data) -> Measured:
    """Returns the ratio of predicted radius to floor in the base cell: at most LOOSE."""
    runs = select(_masked(data), **data["base"][0])
    ratios = [float(run["uniform_radius"]) / float(run["floor"]) for run in runs]
    quantity = "predicted radius / floor in the base cell, geometric mean over seeds"
    ratio = geometric_mean_interval(ratios)
    return Measured.with_interval(quantity, ratio, at_least=1.0, at_most=LOOSE)


def radius_follows(data: Data) -> Measured:
    """Returns the slope of ln(floor) against ln(predicted radius) over all cells: 1."""
    slopes = []
    for seed in levels(_masked(data), "seed"):
        runs = select(_masked(data), seed=seed)
        slopes.append(log_log_slope(column(runs, "uniform_radius"), column(runs, "floor")))
    quantity = "slope of ln(floor) against ln(predicted radius) over cells, mean over seeds"
    slope = mean_interval(slopes)
    return Measured.with_interval(quantity, slope, at_least=1 - SLOPE, at_most=1 + SLOPE)


def bias_rules(data: Data) -> Measured:
    """Returns the share of the bias in the predicted radius in the base cell: at least a half."""
    runs = select(_masked(data), **data["base"][0])
    quantity = "‖b‖² / (‖b‖² + η M s²) at the end of the base cell, mean over seeds"
    share = mean_interval(column(runs, "bias_share"))
    return Measured.with_interval(quantity, share, at_least=0.5)


def grows_with_the_loss(name: str, data: Data) -> Measured:
    """Returns the slope of ln(name) against ln(loss) along training: from 0 to 1.

    `name` is the column of the squared bias or noise. The slope is that of the base cell.
    """
    rows = select(data["moments"], **data["base"][0])
    slopes = []
    for seed in levels(rows, "seed"):
        own = select(rows, seed=seed)
        slopes.append(log_log_slope(column(own, "loss"), column(own, name)))
    symbol = {"squared_bias": "‖b‖²", "squared_noise": "s²"}[name]
    quantity = f"slope of ln({symbol}) against ln(loss) along training of the base cell"
    return Measured.with_interval(quantity, mean_interval(slopes), at_least=0.0, at_most=1.0)


ABOUT = (
    "Theorem 5.1 is about descent with a biased gradient; the texts that we have name its parts, "
    "not its constants. We take the standard bound: for a loss with smoothness M and PL constant "
    "μ, a bias b and noise of variance s², E L falls by the factor 1 − η μ in a step, down to the "
    "radius (‖b‖² + η M s²) / (2 μ). It is derived and tested on a case with an exact solution in "
    "mgaudit.theory.biased_descent. Everything in it is measured: b in closed form (expected "
    "masked gradient minus gradient of the loss without a mask), s² from draws of masks, M and μ "
    "from the kernel J Jᵀ of the outputs. The bound along training takes the constants at both "
    "ends of each span between two moments; the predicted rate takes the smallest eigenvalue of "
    "the kernel as μ, and the predicted radius also bias and noise of the last fifth of the "
    "steps. Problem and network are those of Fig. 3a; the loss is that without a mask. Cells "
    "differ from a base cell in κ, width, number of examples or learning rate. The measured rate "
    "is the mean fall of ln(loss) in a step until the loss is below twice its floor."
)
CLAIMS = (
    Claim(
        "bias-exact",
        "The bias of the masked gradient is the closed form.",
        "ours, on Theorem 5.1",
        bias_is_exact,
    ),
    Claim(
        "is-biased",
        "The masked gradient is a biased estimate of the gradient without a mask.",
        "authors' page, § 4 on Theorem 5.1",
        is_biased,
    ),
    Claim(
        "bound-holds",
        "The loss stays below the bound all along training, in every cell.",
        "Theorem 5.1, with the standard bound",
        bound_holds,
        after_looking=True,  # the interval was corrected for all cells before
    ),
    Claim(
        "rate-bounded",
        "The loss falls at the predicted linear rate at least.",
        "Theorems 5.1 and 5.5, with the standard bound",
        rate_is_bounded,
        after_looking=True,  # the interval was corrected for all cells before
    ),
    Claim(
        "rate-predicted",
        "The predicted rate is the measured one within a factor of 2.",
        "open question",
        rate_is_predicted,
    ),
    Claim(
        "radius-bounds",
        "The floor of the loss is within the predicted radius, in every cell.",
        "Theorems 5.1 and 5.5, with the standard bound",
        radius_bounds,
        after_looking=True,  # the interval was corrected for all cells before
    ),
    Claim(
        "radius-predicted",
        "The predicted radius is at most 10 times the floor.",
        "open question",
        radius_is_predicted,
    ),
    Claim(
        "radius-follows",
        "Over κ, width, examples and learning rate the floor is proportional to the prediction.",
        "open question",
        radius_follows,
    ),
    Claim(
        "bias-rules",
        "The bias has a larger part in the predicted radius than the noise.",
        "authors' page, § 4: the deeper contribution is about biased gradients",
        bias_rules,
    ),
    *(
        Claim(
            f"{word}-growth",
            f"Along training, the {word} falls with the loss, and not faster than it.",
            "authors' page, § 4: expected smoothness and self-bounded gradients",
            partial(grows_with_the_loss, f"squared_{word}"),
            after_looking=True,  # added after the figure was seen
        )
        for word in ("bias", "noise")
    ),
)
FIGURE = PaperFigure(
    key="thm51",
    title="Theorem 5.1: bias and noise of the gradient, predicted rate and radius",
    about=ABOUT,
    quick=QUICK,
    full=FULL,
    measure=measure,
    draw=draw,
    description=(
        "Top left: along training the gradient falls until it is as large as the bias. Top right: "
        "the loss for each κ and, dotted, its bound from measured constants. Bottom: rate and "
        "floor of each run against their predictions; on the dashed line both are equal."
    ),
    claims=CLAIMS,
)
