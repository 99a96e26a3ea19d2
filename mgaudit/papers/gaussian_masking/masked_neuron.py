"""Figure 2: the mean activation of one neuron on masked images, against its closed form.

A mask c ~ N(1, kappa² I) on the image x makes the pre-activation w · (x ⊙ c) of a neuron normal,
with mean z = w · x and standard deviation s = kappa ‖w ⊙ x‖. The kink of the ReLU is at z = 0.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mgaudit.papers.claim import Claim, Data, Measured, Row
from mgaudit.papers.gaussian_masking.agreement import agreement, mean_of, rises
from mgaudit.papers.gaussian_masking.colours import shade
from mgaudit.papers.gaussian_masking.rows import column, levels, select
from mgaudit.papers.paper import PaperFigure, Resources
from mgaudit.reports.figures.panels import legend, panels
from mgaudit.settings.datasets import load
from mgaudit.targets.seeds import numpy_generator
from mgaudit.theory.smoothed_relu import mask_moments, smoothed_relu

FURTHEST = 2.5  # at lower z / s, the ReLU passes too few draws to compare
AT_ONCE = 2**22  # entries of masks held in memory

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class MaskedNeuron:
    """The images, the strengths kappa of the mask, and how many masks are drawn for each.

    The neuron has weights N(0, I). Its inputs lie on the straight line from the image with the
    lowest pre-activation, out of `examples`, to that with the highest, both scaled to norm 1.
    """

    dataset: str
    masks: int
    kappas: tuple[float, ...] = (0.1, 0.2, 0.5, 1.0)
    examples: int = 500
    points: int = 41


def measure(settings: MaskedNeuron, resources: Resources) -> Data:
    """Returns the tables `line`, `masked` and `rises`.

    A neuron is evaluated at inputs on a straight line. Under a mask its preactivation has the mean
    z and the standard deviation s. `line` has the closed form of the mean activation at all inputs.
    `masked` has means over drawn masks where |z| <= FURTHEST * s, to compare them with the closed
    form. `rises` has the increase, from each kappa to the next, of the mean at the input nearest to
    the kink z = 0, which the paper predicts to be positive.
    """
    generator = numpy_generator(0, "masked neuron")
    dataset = load(settings.dataset, settings.examples, generator)
    images = dataset.standardised().inputs
    flat = images.reshape(len(images), -1).astype(np.float64)
    line, weights = _line(flat, settings.points, generator)
    curves: list[Row] = []
    for kappa in settings.kappas:
        curves += _curve(line, weights, kappa)
    masked: list[Row] = []
    for kappa in settings.kappas:
        masked += _masked(line, weights, kappa, settings.masks, generator)
    nearest = int(np.argmin(np.abs(line @ weights)))
    kink = select(masked, place=float(nearest))
    kink_rises = [_rise(below, above) for below, above in pairwise(kink)]
    return {"line": curves, "masked": masked, "rises": kink_rises}


def _rise(below: Row, above: Row) -> Row:
    """Returns the rise of the mean from the kappa of `below` to that of `above`, with its error.

    Both rows are of the table `masked`; their draws are independent.
    """
    error = np.hypot(float(above["error"]), float(below["error"]))
    return {
        "kappa": below["kappa"],
        "next_kappa": above["kappa"],
        "rise": float(above["mean"]) - float(below["mean"]),
        "error": float(error),
    }


def _line(images: Floats, points: int, generator: np.random.Generator) -> tuple[Floats, Floats]:
    """Returns inputs (points + 1, d) on the line between two images, and the weights (d,).

    `images` (n, d) have pre-activations of both signs. The ends of the line are the images, scaled
    to norm 1, with the lowest and the highest pre-activation. The inputs are in the order of rising
    pre-activation, and at one of them it is 0.
    """
    images = images[np.any(images != 0, axis=1)]
    images = images / np.linalg.norm(images, axis=1, keepdims=True)
    weights: Floats = generator.standard_normal((images.shape[1],))
    z = images @ weights
    first = int(np.argmin(z))
    last = int(np.argmax(z))
    share_at_kink = z[first] / (z[first] - z[last])
    shares = np.append(np.linspace(0.0, 1.0, points), share_at_kink)
    shares = np.sort(shares)[:, None]
    line: Floats = (1 - shares) * images[first] + shares * images[last]
    return line, weights


def _moments(line: Floats, weights: Floats, kappa: float) -> tuple[Floats, Floats]:
    """Returns mean z and standard deviation s (points,) of the masked pre-activation."""
    z, s = mask_moments(weights[None], line, kappa)
    return np.ravel(z), np.ravel(s)


def _curve(line: Floats, weights: Floats, kappa: float) -> list[Row]:
    """Returns the closed form and the ReLU without a mask, a row for each input of the line."""
    z, s = _moments(line, weights, kappa)
    means = smoothed_relu(z, s)
    relus = np.maximum(z, 0.0)
    rows: list[Row] = []
    for index in range(len(z)):
        rows.append(
            {
                "kappa": kappa,
                "z": float(z[index]),
                "expected": float(means[index]),
                "relu": float(relus[index]),
            }
        )
    return rows


def _masked(
    line: Floats, weights: Floats, kappa: float, masks: int, generator: np.random.Generator
) -> list[Row]:
    """Returns the mean activation over masks beside its closed form, a row for each compared input.

    z and s are the mean and the standard deviation of the preactivation. Only inputs with |z| <=
    FURTHEST * s are compared. `place` is the index of the input on the line, and `error` the
    standard error of `mean`.
    """
    z, s = _moments(line, weights, kappa)
    compared = np.flatnonzero(np.abs(z) <= FURTHEST * s)
    terms = line[compared] * weights
    activations = np.concatenate(list(_activations(terms, kappa, masks, generator)))
    rows: list[Row] = []
    for index, draws in zip(compared, activations.T, strict=True):
        mean, error = mean_of(draws)
        rows.append(
            {
                "kappa": kappa,
                "place": float(index),
                "z": float(z[index]),
                "expected": float(smoothed_relu(z[index], s[index])),
                "mean": mean,
                "error": error,
            }
        )
    return rows


def _activations(
    terms: Floats, kappa: float, masks: int, generator: np.random.Generator
) -> Iterator[Floats]:
    """Yields activations max(w · (x ⊙ c), 0) in blocks (masks of the block, points).

    `terms` are w ⊙ x (points, d). All points have the same masks c, and all blocks together have
    `masks` masks.
    """
    dimensions = terms.shape[1]
    step = max(1, AT_ONCE // dimensions)
    for start in range(0, masks, step):
        count = min(step, masks - start)
        drawn = generator.normal(1.0, kappa, size=(count, dimensions))
        yield np.maximum(drawn @ terms.T, 0.0)


def draw(data: Data) -> Figure:
    """Returns the mean activation along the line, for each strength."""
    figure, (axes,) = panels(1, 3.2)
    kappas = levels(data["line"], "kappa")
    weakest = select(data["line"], kappa=kappas[0])
    z = column(weakest, "z")
    relus = column(weakest, "relu")
    axes.plot(z, relus, color="black", linestyle=":", label="ReLU")
    for index, kappa in enumerate(kappas):
        colour = shade(index, len(kappas))
        curve = select(data["line"], kappa=kappa)
        z = column(curve, "z")
        means = column(curve, "expected")
        axes.plot(z, means, color=colour, linewidth=1.2, label=f"κ = {kappa:g}")
        points = select(data["masked"], kappa=kappa)
        z = column(points, "z")
        means = column(points, "mean")
        axes.plot(z, means, "o", color=colour, markersize=3)
    axes.set(xlabel="pre-activation z = w · x without a mask", ylabel="mean activation under masks")
    legend(figure, axes)
    return figure


def agrees(data: Data) -> Measured:
    """Returns how far the closed form is from the mean over masks."""
    return agreement(data["masked"])


def rises_with_kappa(data: Data) -> Measured:
    """Returns the smallest rise of the mean with kappa, at the input nearest the kink."""
    return rises(data["rises"])


ABOUT = (
    "One neuron with weights N(0, I) along a line between two images of norm 1. Lines: the "
    "closed form; dots: means over masks c ~ N(1, κ² I), drawn in numpy by the law of our "
    "scheme gaussian-mask and put on all the pixels, where |z| ≤ 2.5 s. The paper shows the "
    "smoothed activation for several κ; which inputs it has there we do not know."
)
QUICK = MaskedNeuron(dataset="digits", masks=100_000)
FULL = MaskedNeuron(dataset="cifar10", masks=20_000)
CLAIMS = (
    Claim(
        "masked-neuron",
        "On masked images a neuron's mean activation is that of a normal pre-activation with "
        "mean w · x and standard deviation κ ‖w ⊙ x‖.",
        "Fig. 2",
        agrees,
    ),
    Claim(
        "kappa-smooths",
        "The larger κ, the further the mean activation lies above the ReLU at the kink.",
        "Fig. 2",
        rises_with_kappa,
    ),
)
FIGURE = PaperFigure(
    key="fig2",
    title="Fig. 2: one neuron on masked images",
    about=ABOUT,
    quick=QUICK,
    full=FULL,
    measure=measure,
    uses_resources=False,
    draw=draw,
    description=(
        "Means over masked images lie on the closed form for all κ, higher above the ReLU "
        "the larger κ is."
    ),
    claims=CLAIMS,
)
