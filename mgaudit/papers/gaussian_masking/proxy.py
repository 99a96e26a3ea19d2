"""Figure 1a: the activation z Phi(z/s) in the paper's proofs, against the mean it replaces.

The masked pre-activation u is normal with mean z and standard deviation s. The mean of its ReLU is
z Phi(z/s) + s phi(z/s), with the distribution function Phi and the density phi of the standard
normal. The proxy is z Phi(z/s), and the gap is the mean minus the proxy.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import norm

from mgaudit.attacks.intervals import Interval
from mgaudit.papers.claim import Claim, Data, Measured, Row
from mgaudit.papers.gaussian_masking.agreement import mean_of
from mgaudit.papers.gaussian_masking.colours import shade
from mgaudit.papers.gaussian_masking.rows import column, levels, select
from mgaudit.papers.paper import PaperFigure, Resources
from mgaudit.papers.statistics import log_log_slope
from mgaudit.reports.figures.panels import legend, panels
from mgaudit.targets.seeds import numpy_generator
from mgaudit.theory.smoothed_relu import smoothed_relu, smoothed_relu_proxy

MATCHES = 0.05  # largest gap, in units of s, at which one curve matches another
EXACTLY = 0.01  # tolerance of a slope that must be 1
BOTH_SIDES = float(norm.ppf(0.975))  # standard errors on each side in a 95 % interval


@dataclass(frozen=True)
class Proxy:
    """The standard deviations s of the pre-activation, and the number of draws for each mean.

    Curves reach from -`reach` to `reach`; means are measured where z / s is one of `ratios`.
    """

    draws: int
    sds: tuple[float, ...] = (0.1, 0.2, 0.5, 1.0)
    ratios: tuple[float, ...] = (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0)
    reach: float = 2.0
    points: int = 201


def measure(settings: Proxy, resources: Resources) -> Data:
    """Returns the `curves`, and the measured `gaps` of the mean of max(u, 0), u ~ N(z, s²)."""
    return {"curves": _curves(settings), "gaps": _gaps(settings)}


def _curves(settings: Proxy) -> list[Row]:
    """Returns ReLU, proxy and mean (closed form), a row for each s and z of the grid."""
    grid = np.linspace(-settings.reach, settings.reach, settings.points)
    rows: list[Row] = []
    for s in settings.sds:
        proxies = smoothed_relu_proxy(grid, s)
        means = smoothed_relu(grid, s)
        for z, proxy, mean in zip(grid, proxies, means, strict=True):
            rows.append(
                {
                    "s": s,
                    "z": float(z),
                    "relu": max(float(z), 0.0),
                    "proxy": float(proxy),
                    "mean": float(mean),
                }
            )
    return rows


def _gaps(settings: Proxy) -> list[Row]:
    """Returns the mean over draws minus the proxy, a row for each s and ratio z / s."""
    generator = numpy_generator(0, "proxy")
    rows: list[Row] = []
    for s in settings.sds:
        for ratio in settings.ratios:
            normal = generator.standard_normal(settings.draws)
            mean, error = mean_of(np.maximum(s * (ratio + normal), 0.0))
            gap = mean - float(smoothed_relu_proxy(s * ratio, s))
            predicted = s * float(norm.pdf(ratio))
            rows.append(
                {"s": s, "z": s * ratio, "gap": gap, "error": error, "predicted": predicted}
            )
    return rows


def draw(data: Data) -> Figure:
    """Returns the proxy against z with the ReLU, and the gap between mean and proxy."""
    figure, (left, right) = panels(2, 3.0, sharey=False, columns=2)
    sds = levels(data["curves"], "s")
    smallest = select(data["curves"], s=sds[0])
    z = column(smallest, "z")
    relus = column(smallest, "relu")
    left.plot(z, relus, color="black", linestyle=":", label="ReLU")
    for index, s in enumerate(sds):
        colour = shade(index, len(sds))
        curve = select(data["curves"], s=s)
        z = column(curve, "z")
        proxies = column(curve, "proxy")
        gaps = np.subtract(column(curve, "mean"), proxies)
        left.plot(z, proxies, color=colour, linewidth=1.2, label=f"s = {s:g}")
        right.plot(z, gaps, color=colour, linewidth=1.2)
        _draw_measured(right, select(data["gaps"], s=s), colour)
    left.set(xlabel="z = w · x", ylabel="proxy z Φ(z/s)")
    right.set(xlabel="z = w · x", ylabel="mean − proxy")
    legend(figure, left)
    return figure


def _draw_measured(axes: Axes, rows: Sequence[Row], colour: str) -> None:
    """Draws the measured gaps of one s with their 95 % intervals against z."""
    z = column(rows, "z")
    gaps = column(rows, "gap")
    reach = [BOTH_SIDES * error for error in column(rows, "error")]
    axes.errorbar(z, gaps, yerr=reach, fmt="o", markersize=3, color=colour)


def _normal_interval(value: float, error: float) -> Interval:
    """Returns a value with its 95 % interval, from its standard error."""
    half = BOTH_SIDES * error
    return Interval(value, value - half, value + half)


def proxy_is_the_mean(data: Data) -> Measured:
    """Returns the gap between mean and proxy at z = 0, in units of s."""
    rows = select(data["gaps"], z=0)
    sds = column(rows, "s")
    gaps = [gap / s for gap, s in zip(column(rows, "gap"), sds, strict=True)]
    errors = [error / s for error, s in zip(column(rows, "error"), sds, strict=True)]
    gap = sum(gaps) / len(rows)
    error = math.sqrt(sum(error**2 for error in errors)) / len(rows)
    quantity = "gap between the mean of the masked ReLU and the proxy at z = 0, over s"
    return Measured.with_interval(quantity, _normal_interval(gap, error), at_most=MATCHES)


def gap_in_closed_form(data: Data) -> Measured:
    """Returns the slope of the measured gaps against s phi(z/s), which must be 1.

    The regression goes through 0, and its weights are 1 / error².
    """
    gaps = np.array(column(data["gaps"], "gap"))
    errors = np.array(column(data["gaps"], "error"))
    predicted = np.array(column(data["gaps"], "predicted"))
    weight = float(np.sum((predicted / errors) ** 2))
    slope = float(np.sum(gaps * predicted / errors**2)) / weight
    interval = _normal_interval(slope, 1 / math.sqrt(weight))
    quantity = "slope of the measured gaps against s φ(z/s), through 0"
    return Measured.with_interval(quantity, interval, at_least=1 - EXACTLY, at_most=1 + EXACTLY)


def tends_to_the_relu(data: Data) -> Measured:
    """Returns the log-log slope of max |proxy - ReLU| over z against s, which must be 1."""
    largest: dict[float, float] = {}
    for row in data["curves"]:
        s = float(row["s"])
        distance = abs(float(row["proxy"]) - float(row["relu"]))
        largest[s] = max(largest.get(s, 0.0), distance)
    slope = log_log_slope(list(largest), list(largest.values()))
    quantity = "slope of ln(largest |proxy − ReLU|) against ln s"
    return Measured(quantity, slope, at_least=0.95, at_most=1.05)


ABOUT = (
    "The pre-activation w · (x ⊙ c) is normal with mean z = w · x and standard deviation s = "
    "κ ‖w ⊙ x‖. The proofs put z Φ(z/s) in place of the mean of its ReLU, z Φ(z/s) + s "
    "φ(z/s). The authors' code shows s = 0.2 (κ = 0.2, ‖w ⊙ x‖ = 1) for |z| < 2.1; we show "
    "several s, and right what the proxy lacks. Dots are means over draws of the normal "
    "pre-activation."
)
QUICK = Proxy(draws=200_000)
FULL = Proxy(draws=4_000_000)
CLAIMS = (
    Claim(
        "proxy-is-the-mean",
        (
            "The proxy z Φ(z/s) matches the mean of the masked ReLU over the whole range of "
            "inputs (within 5 % of s)."
        ),
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
)
FIGURE = PaperFigure(
    key="fig1a",
    title="Fig. 1a: the activation of the proofs",
    about=ABOUT,
    quick=QUICK,
    full=FULL,
    measure=measure,
    uses_resources=False,
    draw=draw,
    description=(
        "Left, the proxy follows the ReLU and dips below 0 left of the kink. Right, the mean "
        "exceeds it by a bell around z = 0 whose height and width are proportional to s."
    ),
    claims=CLAIMS,
)
