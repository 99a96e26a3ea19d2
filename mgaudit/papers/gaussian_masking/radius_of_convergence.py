"""Theorem 5.5: how the radius in which training ends depends on mask, width, data and rate."""

import math
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mgaudit.attacks.intervals import mean_interval
from mgaudit.papers.claim import Claim, Data, Measured, NotRun, Row
from mgaudit.papers.error_bars import error_bars
from mgaudit.papers.gaussian_masking.biased_runs import (
    FULL,
    QUICK,
    BiasedRuns,
    measured_runs,
    sweep,
)
from mgaudit.papers.gaussian_masking.loss_trajectories import SETTLED
from mgaudit.papers.gaussian_masking.rows import column, levels, select
from mgaudit.papers.paper import PaperFigure, Resources
from mgaudit.papers.statistics import geometric_mean_interval, log_log_slope
from mgaudit.reports.figures.panels import legend, panels

SLOPE = 0.2  # tolerance of a log-log slope
FACTOR = 2  # within which a part of the floor counts as predicted
AXES = {
    "kappa": "strength κ of the mask",
    "width": "width m",
    "examples": "number of examples n",
    "speed": "learning rate η, times n",
}


def measure(settings: BiasedRuns, resources: Resources) -> Data:
    """Returns the `runs` of all cells, with the cell that others differ from."""
    data = measured_runs(settings, resources)
    return {"runs": data["runs"], "base": [settings.base.labels()]}


def draw(data: Data) -> Figure:
    """Returns the floor of the loss and its predictions against each of the four quantities."""
    figure, panel_axes = panels(4, 2.7, sharey=False, columns=2)
    for axes, (name, label) in zip(panel_axes, AXES.items(), strict=True):
        rows = _swept(data, name)
        _draw_column(
            axes,
            rows,
            name,
            "floor",
            {"color": "#000000", "marker": "o", "label": "floor of the loss"},
        )
        radius = {"color": "#D55E00", "marker": "s", "label": "predicted, μ of the last weights"}
        _draw_column(axes, rows, name, "local_radius", {**radius, "linestyle": "--"})
        uniform = {"color": "#0072B2", "marker": "^", "label": "predicted, smallest μ"}
        _draw_column(axes, rows, name, "uniform_radius", {**uniform, "linestyle": "--"})
        if name == "kappa":
            distance = {
                "color": "#009E73",
                "marker": "D",
                "label": "distance to weights without a mask",
            }
            _draw_column(axes, rows, name, "distance", {**distance, "linestyle": ":"})
            nearest = {
                "color": "#CC79A7",
                "marker": "P",
                "label": "distance to the nearest minimum",
            }
            _draw_column(axes, rows, name, "nearest", {**nearest, "linestyle": ":"})
        noise = {"color": "#56B4E9", "marker": "v", "label": "noise alone, η s² / 4"}
        _draw_column(axes, rows, name, "noise_floor", {**noise, "linestyle": "--"})
        axes.set(xlabel=label, ylabel="loss or distance" if name == "kappa" else "loss")
        axes.set(xscale="log", yscale="log")
        ticks = levels(rows, name)
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
    legend(figure, *panel_axes)
    return figure


def _draw_column(axes: Axes, rows: list[Row], name: str, values: str, look: dict[str, Any]) -> None:
    """Draws the geometric mean of a column over seeds, with its interval, against another."""
    x = levels(rows, name)
    intervals = [geometric_mean_interval(column(select(rows, **{name: at}), values)) for at in x]
    y, bars = error_bars(intervals)
    axes.errorbar(x, y, bars, markersize=3.5, linewidth=1, capsize=2, **look)


def _swept(data: Data, name: str) -> list[Row]:
    """Returns the masked runs that differ from the base in one column at most."""
    masked = [run for run in data["runs"] if float(run["kappa"]) > 0]
    return sweep(masked, data["base"][0], name)


def _settled(rows: list[Row], name: str) -> list[float]:
    """Returns the values of a column at which the floors of all runs have settled."""
    return [
        at
        for at in levels(rows, name)
        if min(column(select(rows, **{name: at}), "settled")) >= SETTLED
    ]


def _slope(
    data: Data, name: str, values: str, words: str, low: float, high: float
) -> Measured | NotRun:
    """Returns the slope of ln(values) against ln(name), over settled floors, mean over seeds.

    `low` and `high` are the slopes that a claim allows. NotRun if fewer than two floors settled.
    """
    rows = _swept(data, name)
    settled = _settled(rows, name)
    if len(settled) < 2:
        return NotRun("fewer than two floors have settled")
    slopes = []
    for seed in levels(rows, "seed"):
        runs = [run for run in select(rows, seed=seed) if float(run[name]) in settled]
        slopes.append(log_log_slope(column(runs, name), column(runs, values)))
    symbol = {"kappa": "κ", "width": "m", "examples": "n", "speed": "η"}[name]
    quantity = f"slope of ln({words}) against ln({symbol}), over settled floors"
    return Measured.with_interval(quantity, mean_interval(slopes), low, high)


def like_the_variance(data: Data) -> Measured | NotRun:
    """Returns the slope of the floor in kappa, which must be 2."""
    return _slope(data, "kappa", "floor", "floor of the loss", 2 - SLOPE, 2 + SLOPE)


def distance_like_the_variance(data: Data) -> Measured | NotRun:
    """Returns the slope of the distance of the weights in kappa, which must be 2."""
    words = "distance to the weights of training without a mask"
    return _slope(data, "kappa", "distance", words, 2 - SLOPE, 2 + SLOPE)


def nearest_like_the_variance(data: Data) -> Measured | NotRun:
    """Returns the slope of the distance to the nearest minimum in kappa, which must be 2."""
    words = "distance to the nearest minimum"
    return _slope(data, "kappa", "nearest", words, 2 - SLOPE, 2 + SLOPE)


def shrinks(name: str, data: Data) -> Measured:
    """Returns the smallest rise of a distance from a kappa to the next: must be positive."""
    rows = _swept(data, "kappa")
    smallest = []
    for seed in levels(rows, "seed"):
        distances = column(select(rows, seed=seed), name)
        smallest.append(min(math.log(above / below) for below, above in pairwise(distances)))
    quantity = "smallest ln(distance at a κ / at the κ before it), mean over seeds"
    return Measured.with_interval(quantity, mean_interval(smallest), at_least=0.0)


def learning_rate(data: Data) -> Measured | NotRun:
    """Returns the slope of the floor in the learning rate, which must be from 0 to 1."""
    return _slope(data, "speed", "floor", "floor of the loss", -SLOPE, 1 + SLOPE)


def wider_is_closer(data: Data) -> Measured | NotRun:
    """Returns the slope of the floor in the width, which must not be positive."""
    return _slope(data, "width", "floor", "floor of the loss", -math.inf, 0.0)


def each_example(data: Data) -> Measured | NotRun:
    """Returns the slope of the floor in the number of examples, which must be 1."""
    return _slope(data, "examples", "floor", "floor of the loss", 1 - SLOPE, 1 + SLOPE)


def noise_part(data: Data) -> Measured:
    """Returns how the floor rises with the learning rate, relative to the prediction eta s² / 4.

    Both are differences between the largest and the smallest learning rate.
    """
    rows = _swept(data, "speed")
    speeds = levels(rows, "speed")
    fastest = select(rows, speed=speeds[-1])
    slowest = select(rows, speed=speeds[0])
    measured = np.subtract(column(fastest, "floor"), column(slowest, "floor"))
    predicted = np.subtract(column(fastest, "noise_floor"), column(slowest, "noise_floor"))
    ratio = mean_interval([float(one) for one in measured / predicted])
    quantity = f"rise of the floor from η n = {speeds[0]:g} to {speeds[-1]:g} / rise of η s² / 4"
    return Measured.with_interval(quantity, ratio, at_least=1 / FACTOR, at_most=FACTOR)


def large_kappa_converges(data: Data) -> Measured:
    """Returns ln(floor / first loss) at the largest kappa, which must not be positive."""
    rows = _swept(data, "kappa")
    kappa = levels(rows, "kappa")[-1]
    runs = select(rows, kappa=kappa)
    pairs = zip(column(runs, "floor"), column(runs, "initial"), strict=True)
    fall = mean_interval([math.log(floor / initial) for floor, initial in pairs])
    return Measured.with_interval(f"ln(floor / first loss) at κ = {kappa:g}", fall, at_most=0.0)


ABOUT = (
    "The paper shows that training ends in a ball whose radius κ controls; the summary says that "
    "the radius can be written in terms of width, number of examples and noise, and the abstract "
    "that it is proportional to the variance of the mask, κ². The texts that we have do not give "
    "the formula. We measure the floor of the loss without a mask (the mean over the last fifth "
    "of the steps) and the distance of the last weights to those of training without a mask from "
    "the same start, in the cells of Theorem 5.1. The distance to the nearest minimum is that of "
    "the network that is linear in its weights, √(eᵀ (J Jᵀ)⁻¹ e) with the errors e. That the "
    "floor in Fig. 3a rises faster than κ² was known to us when this figure was planned; the "
    "allowed slopes are those of the abstract. The number of steps is the same, times learning "
    "rate, in all cells. The part of the floor that is due to noise is η s² / 4 for a small "
    "learning rate where the loss is quadratic."
)
CLAIMS = (
    Claim(
        "radius-variance",
        "The floor of the loss is proportional to κ².",
        "abstract, Theorem 5.5",
        like_the_variance,
    ),
    Claim(
        "distance-variance",
        "The distance of the weights to those of training without a mask is proportional to κ².",
        "abstract, Theorem 5.5, read as a ball of weights",
        distance_like_the_variance,
    ),
    Claim(
        "distance-shrinks",
        "The ball around the minimum shrinks as κ shrinks.",
        "authors' page, § 3 on Theorem 5.5",
        partial(shrinks, "distance"),
        after_looking=True,  # the interval was corrected for all neighbouring κ before
    ),
    Claim(
        "nearest-variance",
        "The distance to the nearest minimum is proportional to κ².",
        "abstract, Theorem 5.5, read as a ball of weights",
        nearest_like_the_variance,
        after_looking=True,  # added when the distance to other weights did not depend on κ
    ),
    Claim(
        "nearest-shrinks",
        "The distance to the nearest minimum shrinks as κ shrinks.",
        "authors' page, § 3 on Theorem 5.5",
        partial(shrinks, "nearest"),
        after_looking=True,  # added when the distance to other weights did not depend on κ
    ),
    Claim(
        "radius-learning-rate",
        "The floor rises with the learning rate at most in proportion (slope 0 to 1, ± 0.2).",
        "Theorem 5.1, with the standard bound",
        learning_rate,
    ),
    Claim(
        "radius-noise",
        "What the floor rises with the learning rate is due to the noise, η s² / 4 (factor of 2).",
        "ours, on Theorem 5.1",
        noise_part,
    ),
    Claim(
        "radius-width",
        "The wider the network, the lower the floor.",
        "open question",
        wider_is_closer,
    ),
    Claim(
        "radius-examples",
        "The floor of the loss, a sum over examples, is proportional to their number.",
        "open question",
        each_example,
    ),
    Claim(
        "radius-large-kappa",
        "Training converges at the largest κ, too: the loss ends below its first value.",
        "open question",
        large_kappa_converges,
    ),
)
FIGURE = PaperFigure(
    key="thm55",
    title="Theorem 5.5: the radius against κ, width, examples and learning rate",
    about=ABOUT,
    quick=QUICK,
    full=FULL,
    measure=measure,
    draw=draw,
    description=(
        "The floor of the loss, and two predictions of its radius, against the strength of the "
        "mask, the width, the number of examples and the learning rate, with intervals over seeds; "
        "in the first panel also how far the weights end from those of training without a mask."
    ),
    claims=CLAIMS,
)
