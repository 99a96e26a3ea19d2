"""Figure 1b: the mean of a masked ReLU in closed form, against means over draws.

The masked pre-activation is normal with mean z and standard deviation s.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mgaudit.papers.claim import Claim, Data, Measured, Row
from mgaudit.papers.gaussian_masking.agreement import agreement, mean_of, rises
from mgaudit.papers.gaussian_masking.colours import shade
from mgaudit.papers.gaussian_masking.rows import column, levels, select
from mgaudit.papers.paper import PaperFigure, Resources
from mgaudit.reports.figures.panels import legend, panels
from mgaudit.targets.seeds import numpy_generator
from mgaudit.theory.smoothed_relu import smoothed_relu


@dataclass(frozen=True)
class SmoothedActivation:
    """The standard deviations s of the pre-activation, and the number of draws for each mean.

    Means are measured where z / s is one of `ratios`, and their rise from each s to the next where
    z is one of `kink`.
    """

    draws: int
    sds: tuple[float, ...] = (0.1, 0.2, 0.5, 1.0)
    ratios: tuple[float, ...] = (-2.5, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5)
    kink: tuple[float, ...] = (-0.2, -0.1, 0.0, 0.1, 0.2)
    reach: float = 2.5
    points: int = 101


def measure(settings: SmoothedActivation, resources: Resources) -> Data:
    """Returns the tables `curves` (closed form), `draws` (means over draws) and `rises`.

    A rise is the increase of the mean from one s to the next, on the same draws.
    """
    generator = numpy_generator(0, "smoothed activation")
    drawn = _drawn(settings, generator)
    risen = _risen(settings, generator)
    return {"curves": _curves(settings), "draws": drawn, "rises": risen}


def _curves(settings: SmoothedActivation) -> list[Row]:
    """Returns the closed form and the ReLU, a row for each s and z of the grid."""
    grid = np.linspace(-settings.reach, settings.reach, settings.points)
    rows: list[Row] = []
    for s in settings.sds:
        for z, mean in zip(grid, smoothed_relu(grid, s), strict=True):
            relu = max(float(z), 0.0)
            rows.append({"s": s, "z": float(z), "expected": float(mean), "relu": relu})
    return rows


def _drawn(settings: SmoothedActivation, generator: np.random.Generator) -> list[Row]:
    """Returns means over draws, with the closed form, a row for each s and ratio z / s."""
    rows: list[Row] = []
    for s in settings.sds:
        for ratio in settings.ratios:
            normal = generator.standard_normal(settings.draws)
            mean, error = mean_of(np.maximum(s * (ratio + normal), 0.0))
            expected = float(smoothed_relu(s * ratio, s))
            rows.append(
                {"s": s, "z": s * ratio, "expected": expected, "mean": mean, "error": error}
            )
    return rows


def _risen(settings: SmoothedActivation, generator: np.random.Generator) -> list[Row]:
    """Returns the rise of the mean over draws from each s to the next, for each z near the kink."""
    rows: list[Row] = []
    for z in settings.kink:
        normal = generator.standard_normal(settings.draws)
        for below, above in pairwise(settings.sds):
            active_below = np.maximum(z + below * normal, 0.0)
            active_above = np.maximum(z + above * normal, 0.0)
            rise, error = mean_of(active_above - active_below)
            rows.append({"z": z, "s": below, "next_s": above, "rise": rise, "error": error})
    return rows


def draw(data: Data) -> Figure:
    """Returns the mean against z, and the deviation of means over draws."""
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
        means = column(curve, "expected")
        left.plot(z, means, color=colour, linewidth=1.2, label=f"s = {s:g}")
        _draw_means(left, right, select(data["draws"], s=s), colour)
    left.set(xlabel="z = w · x", ylabel="mean of the masked ReLU")
    right.axhline(0.0, color="0.4", linewidth=1)
    right.set(xlabel="z / s", ylabel="deviation, standard errors")
    legend(figure, left)
    return figure


def _draw_means(left: Axes, right: Axes, rows: Sequence[Row], colour: str) -> None:
    """Draws the means over draws of one s (left), and their deviations in errors (right)."""
    s = float(rows[0]["s"])
    z = np.array(column(rows, "z"))
    means = np.array(column(rows, "mean"))
    expected = np.array(column(rows, "expected"))
    deviations = (means - expected) / np.array(column(rows, "error"))
    left.plot(z, means, "o", color=colour, markersize=3)
    right.plot(z / s, deviations, "o", color=colour, markersize=3)


def agrees(data: Data) -> Measured:
    """Returns how far the closed form is from the mean over draws."""
    return agreement(data["draws"])


def rises_with_s(data: Data) -> Measured:
    """Returns the smallest rise of the mean with s."""
    return rises(data["rises"])


ABOUT = (
    "Lines: z Φ(z/s) + s φ(z/s). Dots: means over draws of the normal pre-activation with "
    "mean z and standard deviation s, for |z| up to 2.5 s; further left the ReLU passes too "
    "few draws to compare. The authors' code shows s = 0.2 with 200,000 draws."
)
QUICK = SmoothedActivation(draws=200_000)
FULL = SmoothedActivation(draws=4_000_000)
CLAIMS = (
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
)
FIGURE = PaperFigure(
    key="fig1b",
    title="Fig. 1b: the mean of a masked ReLU",
    about=ABOUT,
    quick=QUICK,
    full=FULL,
    measure=measure,
    uses_resources=False,
    draw=draw,
    description=(
        "Means over draws lie on the closed form, which rounds the ReLU's kink the more the "
        "larger s is."
    ),
    claims=CLAIMS,
)
