"""Figure 1a: the activation z Phi(z/s) of the paper's proofs, beside the mean that it stands for."""

import math
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import norm

from mgaudit.papers.claim import Claim, Data, Measured, Row
from mgaudit.papers.gaussian_masking.agreement import mean_of
from mgaudit.papers.gaussian_masking.colours import shade
from mgaudit.papers.paper import PaperFigure, Workshop
from mgaudit.papers.statistics import log_log_slope
from mgaudit.reports.figures.panels import legend, panels
from mgaudit.targets.seeds import numpy_generator
from mgaudit.theory.smoothed_relu import smoothed_relu, smoothed_relu_proxy

MATCHES = 0.05  # of s: a gap up to which one curve may be said to match another
EXACTLY = 0.01
BOTH_SIDES = float(norm.ppf(0.975))


@dataclass(frozen=True)
class Proxy:
    """The sds s of the pre-activation, and how many normal draws stand behind each mean that is measured.

    Curves reach from -`reach` to `reach`; means are measured where z / s is one of `ratios`.
    """

    draws: int
    sds: tuple[float, ...] = (0.1, 0.2, 0.5, 1.0)
    ratios: tuple[float, ...] = (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0)
    reach: float = 2.0
    points: int = 201


def measure(settings: Proxy, workshop: Workshop) -> Data:
    """Returns the `curves`, and by draws the `gaps` between the mean of max(u, 0), u ~ N(z, s²), and the proxy."""
    grid = np.linspace(-settings.reach, settings.reach, settings.points)
    curves: list[Row] = [
        {"s": s, "z": float(z), "relu": max(float(z), 0.0), "proxy": float(proxy), "mean": float(mean)}
        for s in settings.sds
        for z, proxy, mean in zip(grid, smoothed_relu_proxy(grid, s), smoothed_relu(grid, s), strict=True)
    ]
    generator = numpy_generator(0, "proxy")
    gaps: list[Row] = []
    for s in settings.sds:
        for ratio in settings.ratios:
            mean, error = mean_of(np.maximum(s * (ratio + generator.standard_normal(settings.draws)), 0.0))
            gap = mean - float(smoothed_relu_proxy(s * ratio, s))
            gaps.append({"s": s, "z": s * ratio, "gap": gap, "error": error, "predicted": s * float(norm.pdf(ratio))})
    return {"curves": curves, "gaps": gaps}


def draw(data: Data) -> Figure:
    """Returns the proxy against z beside the ReLU, and its gap to the mean."""
    figure, (left, right) = panels(2, 3.0, sharey=False, columns=2)
    sds = sorted({float(row["s"]) for row in data["curves"]})
    for place, s in enumerate(sds):
        rows = [row for row in data["curves"] if row["s"] == s]
        z, proxy, mean = ([float(row[name]) for row in rows] for name in ("z", "proxy", "mean"))
        if place == 0:
            left.plot(z, [float(row["relu"]) for row in rows], color="black", linestyle=":", label="ReLU")
        colour = shade(place, len(sds))
        left.plot(z, proxy, color=colour, linewidth=1.2, label=f"s = {s:g}")
        right.plot(z, np.subtract(mean, proxy), color=colour, linewidth=1.2)
        points = [row for row in data["gaps"] if row["s"] == s]
        right.errorbar(
            [float(row["z"]) for row in points],
            [float(row["gap"]) for row in points],
            yerr=[BOTH_SIDES * float(row["error"]) for row in points],
            fmt="o",
            markersize=3,
            color=colour,
        )
    left.set(xlabel="z = w · x", ylabel="proxy z Φ(z/s)")
    right.set(xlabel="z = w · x", ylabel="mean − proxy")
    legend(figure, left)
    return figure


def proxy_is_the_mean(data: Data) -> Measured:
    """At z = 0 the mean exceeds the proxy by next to nothing of s."""
    rows = [row for row in data["gaps"] if row["z"] == 0]
    gap = sum(float(row["gap"]) / float(row["s"]) for row in rows) / len(rows)
    error = math.sqrt(sum((float(row["error"]) / float(row["s"])) ** 2 for row in rows)) / len(rows)
    return Measured(
        "gap between the mean of the masked ReLU and the proxy at z = 0, over s",
        gap,
        at_most=MATCHES,
        low=gap - BOTH_SIDES * error,
        high=gap + BOTH_SIDES * error,
    )


def gap_in_closed_form(data: Data) -> Measured:
    """The measured gaps are s phi(z/s): their weighted regression through 0 has slope 1."""
    gaps, errors, predicted = (np.array([float(row[name]) for row in data["gaps"]]) for name in GAP_COLUMNS)
    weight = float(np.sum((predicted / errors) ** 2))
    slope, error = float(np.sum(gaps * predicted / errors**2)) / weight, 1 / math.sqrt(weight)
    return Measured(
        "slope of the measured gaps against s φ(z/s), through 0",
        slope,
        at_least=1 - EXACTLY,
        at_most=1 + EXACTLY,
        low=slope - BOTH_SIDES * error,
        high=slope + BOTH_SIDES * error,
    )


GAP_COLUMNS = ("gap", "error", "predicted")


def tends_to_the_relu(data: Data) -> Measured:
    """The largest distance between proxy and ReLU is proportional to s."""
    largest: dict[float, float] = {}
    for row in data["curves"]:
        distance = abs(float(row["proxy"]) - float(row["relu"]))
        largest[float(row["s"])] = max(largest.get(float(row["s"]), 0.0), distance)
    return Measured(
        "slope of ln(largest |proxy − ReLU|) against ln s",
        log_log_slope(list(largest), list(largest.values())),
        at_least=0.95,
        at_most=1.05,
    )


FIGURE = PaperFigure(
    key="fig1a",
    title="Fig. 1a: the activation of the proofs",
    about=(
        "The pre-activation w · (x ⊙ c) is normal with mean z = w · x and standard deviation s = κ ‖w ⊙ x‖. The "
        "proofs put z Φ(z/s) in place of the mean of its ReLU, z Φ(z/s) + s φ(z/s). The authors' code shows s = 0.2 "
        "(κ = 0.2, ‖w ⊙ x‖ = 1) for |z| < 2.1; we show several s, and right what the proxy lacks. Dots are means over "
        "draws of the normal pre-activation."
    ),
    quick=Proxy(draws=200_000),
    full=Proxy(draws=4_000_000),
    measure=measure,
    draw=draw,
    description=(
        "Left, the proxy follows the ReLU and dips below 0 left of the kink. Right, the mean exceeds it by a bell "
        "around z = 0 whose height and width are proportional to s."
    ),
    claims=(
        Claim(
            "proxy-is-the-mean",
            "The proxy z Φ(z/s) matches the mean of the masked ReLU over the whole range of inputs (within 5 % of s).",
            "authors' README on Fig. 1",
            proxy_is_the_mean,
        ),
        Claim(
            "proxy-gap",
            "The proxy lies below the mean by s φ(z/s), most at z = 0.",
            "authors' page, the smoothed activation",
            gap_in_closed_form,
        ),
        Claim(
            "proxy-limit",
            "As s → 0 the proxy tends to the ReLU, its largest distance in proportion to s.",
            "Fig. 1a",
            tends_to_the_relu,
        ),
    ),
)
