"""Figure 2: one neuron on masked images, beside the closed form of its mean."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mgaudit.papers.claim import Claim, Data, Measured, Row
from mgaudit.papers.gaussian_masking.agreement import agreement, mean_of, rises
from mgaudit.papers.gaussian_masking.colours import shade
from mgaudit.papers.paper import PaperFigure, Workshop
from mgaudit.reports.figures.panels import legend, panels
from mgaudit.settings.datasets import load
from mgaudit.targets.seeds import numpy_generator
from mgaudit.theory.smoothed_relu import mask_moments, smoothed_relu

FURTHEST = 2.5  # standard deviations below 0 up to which the ReLU passes enough draws to compare
AT_ONCE = 2**22  # entries of masks


@dataclass(frozen=True)
class MaskedNeuron:
    """The images, the strengths, and how many masks are drawn for each.

    The neuron has weights N(0, I). Its inputs lie on the straight line from the image with the lowest pre-activation,
    out of `examples`, to that with the highest, both scaled to norm 1.
    """

    dataset: str
    masks: int
    kappas: tuple[float, ...] = (0.1, 0.2, 0.5, 1.0)
    examples: int = 500
    points: int = 41


def measure(settings: MaskedNeuron, workshop: Workshop) -> Data:
    """Returns the closed form along the `line`, the `masked` means at some of its points, and their `rises`."""
    generator = numpy_generator(0, "masked neuron")
    images = load(settings.dataset, settings.examples, generator).standardised().inputs
    line, weights = _line(images.reshape(len(images), -1).astype(np.float64), settings.points, generator)
    curves = [row for kappa in settings.kappas for row in _curve(line, weights, kappa)]
    masked = [row for kappa in settings.kappas for row in _masked(line, weights, kappa, settings.masks, generator)]
    kink = [row for row in masked if row["place"] == float(np.argmin(np.abs(line @ weights)))]
    risen: list[Row] = [
        {
            "kappa": below["kappa"],
            "next_kappa": above["kappa"],
            "rise": float(above["mean"]) - float(below["mean"]),
            "error": float(np.hypot(float(above["error"]), float(below["error"]))),
        }
        for below, above in pairwise(kink)
    ]
    return {"line": curves, "masked": masked, "rises": risen}


def _line(
    images: NDArray[np.float64], points: int, generator: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns inputs (points + 1, d) on the line between two images, and the neuron's weights (d,).

    One of the inputs is where the pre-activation is 0.
    """
    images = images[np.any(images != 0, axis=1)]
    images = images / np.linalg.norm(images, axis=1, keepdims=True)
    weights: NDArray[np.float64] = generator.standard_normal((images.shape[1],))
    z = images @ weights
    first, last = int(np.argmin(z)), int(np.argmax(z))
    shares = np.sort(np.append(np.linspace(0.0, 1.0, points), z[first] / (z[first] - z[last])))[:, None]
    line: NDArray[np.float64] = (1 - shares) * images[first] + shares * images[last]
    return line, weights


def _curve(line: NDArray[np.float64], weights: NDArray[np.float64], kappa: float) -> list[Row]:
    z, s = (np.ravel(moment) for moment in mask_moments(weights[None], line, kappa))
    columns = zip(z, smoothed_relu(z, s), np.maximum(z, 0.0), strict=True)
    return [
        {"kappa": kappa, "z": float(one), "expected": float(mean), "relu": float(relu)} for one, mean, relu in columns
    ]


def _masked(
    line: NDArray[np.float64], weights: NDArray[np.float64], kappa: float, masks: int, generator: np.random.Generator
) -> list[Row]:
    """Returns the means over masks at the inputs of the line that pass enough of them."""
    z, s = (np.ravel(moment) for moment in mask_moments(weights[None], line, kappa))
    places = np.flatnonzero(np.abs(z) <= FURTHEST * s)
    activations = np.concatenate(list(_activations(line[places] * weights, kappa, masks, generator)))
    rows: list[Row] = []
    for place, column in zip(places, activations.T, strict=True):
        mean, error = mean_of(column)
        expected = float(smoothed_relu(z[place], s[place]))
        row: Row = {"kappa": kappa, "place": float(place), "z": float(z[place]), "expected": expected}
        rows.append({**row, "mean": mean, "error": error})
    return rows


def _activations(
    terms: NDArray[np.float64], kappa: float, masks: int, generator: np.random.Generator
) -> Iterator[NDArray[np.float64]]:
    """Yields max(w · (x ⊙ c), 0) (masks, points) for `terms` w ⊙ x (points, d), all points under the same masks."""
    step = max(1, AT_ONCE // terms.shape[1])
    for start in range(0, masks, step):
        drawn = generator.normal(1.0, kappa, size=(min(step, masks - start), terms.shape[1]))
        yield np.maximum(drawn @ terms.T, 0.0)


def draw(data: Data) -> Figure:
    """Returns the mean activation along the line, for each strength."""
    figure, (axes,) = panels(1, 3.2)
    kappas = sorted({float(row["kappa"]) for row in data["line"]})
    for place, kappa in enumerate(kappas):
        colour = shade(place, len(kappas))
        rows = [row for row in data["line"] if row["kappa"] == kappa]
        z = [float(row["z"]) for row in rows]
        if place == 0:
            axes.plot(z, [float(row["relu"]) for row in rows], color="black", linestyle=":", label="ReLU")
        axes.plot(z, [float(row["expected"]) for row in rows], color=colour, linewidth=1.2, label=f"κ = {kappa:g}")
        points = [row for row in data["masked"] if row["kappa"] == kappa]
        axes.plot(
            [float(row["z"]) for row in points],
            [float(row["mean"]) for row in points],
            "o",
            color=colour,
            markersize=3,
        )
    axes.set(xlabel="pre-activation z = w · x without a mask", ylabel="mean activation under masks")
    legend(figure, axes)
    return figure


def agrees(data: Data) -> Measured:
    """The closed form is the mean over masks."""
    return agreement(data["masked"])


def rises_with_kappa(data: Data) -> Measured:
    """At the input nearest the kink the mean activation rises with kappa."""
    return rises(data["rises"])


FIGURE = PaperFigure(
    key="fig2",
    title="Fig. 2: one neuron on masked images",
    about=(
        "One neuron with weights N(0, I) along a line between two images of norm 1. Lines: the closed form; dots: "
        "means over masks c ~ N(1, κ² I), drawn in numpy by the law of our scheme gaussian-mask and put on all the "
        "pixels, where |z| ≤ 2.5 s. The paper shows the smoothed activation for several κ; which inputs it has there "
        "we do not know."
    ),
    quick=MaskedNeuron(dataset="digits", masks=100_000),
    full=MaskedNeuron(dataset="cifar10", masks=20_000),
    measure=measure,
    draw=draw,
    description="Means over masked images lie on the closed form for all κ, higher above the ReLU the larger κ is.",
    claims=(
        Claim(
            "masked-neuron",
            "On masked images a neuron's mean activation is that of a normal pre-activation with mean w · x and "
            "standard deviation κ ‖w ⊙ x‖.",
            "Fig. 2",
            agrees,
        ),
        Claim(
            "kappa-smooths",
            "The larger κ, the further the mean activation lies above the ReLU at the kink.",
            "Fig. 2",
            rises_with_kappa,
        ),
    ),
)
