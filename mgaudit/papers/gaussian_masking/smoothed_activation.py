"""Figure 1b: the mean of a masked ReLU in closed form, beside means over draws."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from matplotlib.figure import Figure

from mgaudit.papers.claim import Claim, Data, Measured, Row
from mgaudit.papers.gaussian_masking.agreement import agreement, mean_of, rises
from mgaudit.papers.gaussian_masking.colours import shade
from mgaudit.papers.paper import PaperFigure, Workshop
from mgaudit.reports.figures.panels import legend, panels
from mgaudit.targets.seeds import numpy_generator
from mgaudit.theory.smoothed_relu import smoothed_relu


@dataclass(frozen=True)
class SmoothedActivation:
    """The sds s of the pre-activation, and how many normal draws stand behind each mean that is measured.

    Means are measured where z / s is one of `ratios`, and their rise from each s to the next at the z of `kink`.
    """

    draws: int
    sds: tuple[float, ...] = (0.1, 0.2, 0.5, 1.0)
    ratios: tuple[float, ...] = (-2.5, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5)
    kink: tuple[float, ...] = (-0.2, -0.1, 0.0, 0.1, 0.2)
    reach: float = 2.5
    points: int = 101


def measure(settings: SmoothedActivation, workshop: Workshop) -> Data:
    """Returns the `curves`, the `draws` beside them, and the `rises` from s to s, on the same normal draws."""
    grid = np.linspace(-settings.reach, settings.reach, settings.points)
    curves: list[Row] = [
        {"s": s, "z": float(z), "expected": float(mean), "relu": max(float(z), 0.0)}
        for s in settings.sds
        for z, mean in zip(grid, smoothed_relu(grid, s), strict=True)
    ]
    generator = numpy_generator(0, "smoothed activation")
    drawn: list[Row] = []
    for s in settings.sds:
        for ratio in settings.ratios:
            mean, error = mean_of(np.maximum(s * (ratio + generator.standard_normal(settings.draws)), 0.0))
            expected = float(smoothed_relu(s * ratio, s))
            drawn.append({"s": s, "z": s * ratio, "expected": expected, "mean": mean, "error": error})
    risen: list[Row] = []
    for z in settings.kink:
        normal = generator.standard_normal(settings.draws)
        for below, above in pairwise(settings.sds):
            rise, error = mean_of(np.maximum(z + above * normal, 0.0) - np.maximum(z + below * normal, 0.0))
            risen.append({"z": z, "s": below, "next_s": above, "rise": rise, "error": error})
    return {"curves": curves, "draws": drawn, "rises": risen}


def draw(data: Data) -> Figure:
    """Returns the mean against z, and how far means over draws are from it."""
    figure, (left, right) = panels(2, 3.0, sharey=False, columns=2)
    sds = sorted({float(row["s"]) for row in data["curves"]})
    for place, s in enumerate(sds):
        colour = shade(place, len(sds))
        rows = [row for row in data["curves"] if row["s"] == s]
        z = [float(row["z"]) for row in rows]
        if place == 0:
            left.plot(z, [float(row["relu"]) for row in rows], color="black", linestyle=":", label="ReLU")
        left.plot(z, [float(row["expected"]) for row in rows], color=colour, linewidth=1.2, label=f"s = {s:g}")
        points = [row for row in data["draws"] if row["s"] == s]
        at, expected, mean, error = (
            np.array([float(row[name]) for row in points]) for name in ("z", "expected", "mean", "error")
        )
        left.plot(at, mean, "o", color=colour, markersize=3)
        right.plot(at / s, (mean - expected) / error, "o", color=colour, markersize=3)
    left.set(xlabel="z = w · x", ylabel="mean of the masked ReLU")
    right.axhline(0.0, color="0.4", linewidth=1)
    right.set(xlabel="z / s", ylabel="deviation, standard errors")
    legend(figure, left)
    return figure


def agrees(data: Data) -> Measured:
    """The closed form is the mean over draws."""
    return agreement(data["draws"])


def rises_with_s(data: Data) -> Measured:
    """At any z the mean rises with s."""
    return rises(data["rises"])


FIGURE = PaperFigure(
    key="fig1b",
    title="Fig. 1b: the mean of a masked ReLU",
    about=(
        "Lines: z Φ(z/s) + s φ(z/s). Dots: means over draws of the normal pre-activation with mean z and standard "
        "deviation s, for |z| up to 2.5 s; further left the ReLU passes too few draws to compare. The authors' code "
        "shows s = 0.2 with 200,000 draws."
    ),
    quick=SmoothedActivation(draws=200_000),
    full=SmoothedActivation(draws=4_000_000),
    measure=measure,
    draw=draw,
    description="Means over draws lie on the closed form, which rounds the ReLU's kink the more the larger s is.",
    claims=(
        Claim(
            "smoothed-relu",
            "The mean of the masked ReLU is z Φ(z/s) + s φ(z/s).",
            "Fig. 1b",
            agrees,
        ),
        Claim(
            "smoothing-rises",
            "The larger the noise, the further the mean lies above the ReLU around its kink.",
            "authors' page on Fig. 1b",
            rises_with_s,
        ),
    ),
)
