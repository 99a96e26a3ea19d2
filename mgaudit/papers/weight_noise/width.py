"""The loss that weight noise adds, against the width of the network.

The excess is the expected loss under noise minus the loss without noise, and the width is the
number of hidden units. σ is the strength of the noise; its kinds are those of `noises`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import stats

from mgaudit.papers.claim import Claim, Data, Measured, NotRun, Row
from mgaudit.papers.paper import PaperFigure, Resources
from mgaudit.papers.rows import column, distinct, matching
from mgaudit.papers.statistics import log_log_slope
from mgaudit.papers.weight_noise.mean_over_seeds import mean_over_seeds
from mgaudit.papers.weight_noise.noises import NOISE_LOOKS, line
from mgaudit.reports.figures.panels import legend, panels
from mgaudit.targets.seeds import numpy_generator
from mgaudit.theory.weight_noise import deep_linear, relu

Floats = NDArray[np.float64]
NETWORK_NAMES = ("linear", "ReLU")


@dataclass(frozen=True)
class WidthSettings:
    """Networks with one hidden layer: `networks` at each width, `draws` of the noise each."""

    features: int = 16
    outputs: int = 5
    examples: int = 24
    sigma: float = 0.2
    widths: tuple[int, ...] = (50, 100, 200, 400, 800)
    networks: int = 8
    draws: int = 300
    seed: int = 0


def measure(settings: WidthSettings, resources: Resources) -> Data:
    """Returns the loss that noise adds to each network, by draws and in closed form.

    The weights are N(0, 1/width), so that the squared norms of both layers, on which the second
    order depends, are the same at all widths except for random variation. Targets are the outputs
    without noise, so that the loss without noise is 0.
    """
    shape = (settings.examples, settings.features)
    inputs = numpy_generator(settings.seed, "inputs").normal(size=shape)
    rows: list[Row] = []
    for network, width in product(range(settings.networks), settings.widths):
        generator = numpy_generator(settings.seed, f"network of width {width}", network)
        scale = math.sqrt(width)
        first = generator.normal(size=(width, settings.features)) / scale
        second = generator.normal(size=(settings.outputs, width)) / scale
        stds_by_noise = _stds(settings.sigma)
        for kind, noise in product(NETWORK_NAMES, stds_by_noise):
            excess = [
                _excess(kind, first, second, inputs, stds, settings.draws, generator)
                for stds in stds_by_noise[noise]
            ]
            head: Row = {"network": kind, "noise": noise, "width": float(width)}
            rows.append({**head, "seed": float(network), **_mean_of_cycle(excess)})
    predicted = [_predicted(kind, settings, inputs) for kind in NETWORK_NAMES]
    return {"excess": rows, "predicted": predicted}


def _stds(sigma: float) -> dict[str, list[tuple[float, float]]]:
    """Returns the standard deviations of the noise on both layers, by kind of noise.

    A kind of noise has a cycle of one or more pairs, which follow one another step by step.
    """
    both = sigma / math.sqrt(2)
    return {"all layers": [(both, both)], "layer-wise": [(sigma, 0.0), (0.0, sigma)]}


def _mean_of_cycle(excess: list[tuple[float, float, float]]) -> dict[str, float]:
    """Returns the mean over a cycle of noise, in which each layer has noise once.

    `excess` has a triple of mean, standard error and closed form for each step of the cycle, which
    has one step or more. The steps have independent draws.
    """
    means, errors, exact = (np.array(part) for part in zip(*excess, strict=True))
    return {
        "excess": float(means.mean()),
        "error": float(np.linalg.norm(errors)) / len(excess),
        "closed_form": float(exact.mean()),
    }


def _excess(
    kind: str,
    first: Floats,
    second: Floats,
    x: Floats,
    stds: tuple[float, float],
    draws: int,
    generator: np.random.Generator,
) -> tuple[float, float, float]:
    """Returns the mean loss over draws of the noise, its standard error, and its closed form.

    `first` is (width, features), `second` (outputs, width), `x` (examples, features), and `stds`
    has the standard deviation of the noise on each of both layers.
    """
    targets = _outputs(kind, first, second, x)
    losses = np.empty(draws)
    for draw in range(draws):
        noisy_first = first + stds[0] * generator.standard_normal(first.shape)
        noisy_second = second + stds[1] * generator.standard_normal(second.shape)
        residual = _outputs(kind, noisy_first, noisy_second, x) - targets
        losses[draw] = (residual**2).sum() / (2 * len(x))
    if kind == "ReLU":
        exact = relu.expected_risk(first, second, x, targets, stds)
    else:
        exact = deep_linear.expected_risk([first, second], x, targets, stds)
    error = float(losses.std(ddof=1)) / math.sqrt(draws)
    return float(losses.mean()), error, exact


def _outputs(kind: str, first: Floats, second: Floats, x: Floats) -> Floats:
    """Returns the outputs (examples, outputs) of a "linear" or "ReLU" network."""
    hidden = x @ first.T
    if kind == "ReLU":
        np.maximum(hidden, 0, out=hidden)
    return hidden @ second.T


def _predicted(kind: str, settings: WidthSettings, x: Floats) -> Row:
    """Returns the slope, in the width, of the loss that noise adds in fourth order in σ.

    The slope of a ReLU network is half the slope of a linear network: a rectified N(z, t²) has a
    second moment q(z) with q(z) + q(-z) = z² + t², and under normal weights, z and -z are equally
    likely.
    """
    std = settings.sigma / math.sqrt(2)
    slope = deep_linear.explosion((1, settings.outputs), x, std)
    if kind == "ReLU":
        slope /= 2
    return {"network": kind, "slope": slope}


def draw(data: Data) -> Figure:
    """Returns the added loss against the width, of draws (marks) and in closed form (lines)."""
    figure, axes = panels(len(NETWORK_NAMES), 2.8)
    for kind, axis in zip(NETWORK_NAMES, axes, strict=True):
        for noise in ("all layers", "layer-wise"):
            _draw_excess(axis, noise, matching(data["excess"], network=kind, noise=noise))
        axis.set_title(f"{kind} network")
        axis.set_xlabel("hidden units")
        axis.set_ylim(bottom=0)
    axes[0].set_ylabel("loss that noise adds")
    legend(figure, *axes)
    return figure


def _draw_excess(axes: Axes, noise: str, rows: list[Row]) -> None:
    """Draws the mean excess over networks against the width, from draws and in closed form."""
    colour, mark = NOISE_LOOKS[noise]
    widths = distinct(rows, "width")
    samples = [matching(rows, width=width) for width in widths]
    drawn = [_mean(sample, "excess") for sample in samples]
    closed_form = [_mean(sample, "closed_form") for sample in samples]
    line(axes, noise, widths, closed_form, "--", f"{noise}, closed form")
    label = f"{noise}, draws of the noise"
    axes.plot(widths, drawn, color=colour, marker=mark, linestyle="", label=label)


def _mean(rows: list[Row], name: str) -> float:
    """Returns the mean of the column `name`."""
    return float(np.mean(column(rows, name)))


def _slopes(rows: list[Row]) -> list[float]:
    """Returns the least-squares slope of the excess in the width of each seed's networks."""
    slopes = []
    for seed in distinct(rows, "seed"):
        seed_rows = matching(rows, seed=seed)
        slope, _ = np.polyfit(column(seed_rows, "width"), column(seed_rows, "excess"), 1)
        slopes.append(float(slope))
    return slopes


def _explodes(kind: str) -> Callable[[Data], Measured | NotRun]:
    """Returns the check that the excess under all-layer noise grows with the width as predicted."""

    def check(data: Data) -> Measured | NotRun:
        """Returns the slope in the width over the predicted one: within 10 % of 1."""
        (predicted,) = column(matching(data["predicted"], network=kind), "slope")
        rows = matching(data["excess"], network=kind, noise="all layers")
        ratios = [slope / predicted for slope in _slopes(rows)]
        quantity = "slope of the excess in the width over the predicted one"
        return mean_over_seeds(quantity, ratios, 0.9, 1.1)

    return check


def _straight(data: Data) -> Measured | NotRun:
    """Returns the power of the width with which the excess grows, from draws: within 10 % of 1.

    The second order, which is all that noise on one layer at a time adds in a linear network, is
    subtracted network by network.
    """
    rows = matching(data["excess"], network="linear", noise="all layers")
    layerwise_rows = matching(data["excess"], network="linear", noise="layer-wise")
    layerwise = {(row["seed"], row["width"]): float(row["excess"]) for row in layerwise_rows}
    curves: dict[float, list[tuple[float, float]]] = {}
    unresolved = 0
    for row in rows:
        seed, width = float(row["seed"]), float(row["width"])
        rise = float(row["excess"]) - layerwise[seed, width]
        unresolved += rise <= 0
        curves.setdefault(seed, []).append((width, rise))
    if unresolved:
        return NotRun(
            f"in {unresolved} networks draws do not distinguish noise on all layers from "
            "noise on one at a time"
        )
    exponents = [log_log_slope(*zip(*points, strict=True)) for points in curves.values()]
    quantity = (
        "exponent of the width in what noise on all layers adds beyond noise on one at a time"
    )
    return mean_over_seeds(quantity, exponents, 0.9, 1.1)


def _flat(kind: str) -> Callable[[Data], Measured | NotRun]:
    """Returns the check that the excess under layer-wise noise does not depend on the width."""

    def check(data: Data) -> Measured | NotRun:
        """Returns the relative change from the smallest to the largest width: at most 10 %."""
        rows = matching(data["excess"], network=kind, noise="layer-wise")
        widths = column(rows, "width")
        span = max(widths) - min(widths)
        size = _mean(rows, "excess")
        changes = [slope * span / size for slope in _slopes(rows)]
        quantity = "change of the excess from the least to the largest width, relative"
        return mean_over_seeds(quantity, changes, -0.1, 0.1)

    return check


def _closed_form(data: Data) -> Measured | NotRun:
    """Returns the largest deviation of the draws from the closed form, in standard errors."""
    scores = []
    for row in data["excess"]:
        difference = float(row["excess"]) - float(row["closed_form"])
        scores.append(difference / float(row["error"]))
    tail = 0.005 / (2 * len(scores))  # by chance, one run in 200 exceeds the bound
    bound = float(stats.norm.isf(tail))
    quantity = f"largest of {len(scores)} z-scores of draws against the closed form"
    return Measured(quantity, max(map(abs, scores)), at_most=bound)


FIGURE = PaperFigure(
    key="width",
    title="What noise adds to the loss against the width",
    about=(
        "The paper's argument: noise on all layers has a term (σ⁴/2n) d₁d₂‖X‖², σ being a "
        "weight's sd, which grows with the width d₁ however small the weights are; noise on one "
        "layer at a time has none. Networks here are drawn, not trained: normal weights whose "
        "norms ‖W₁‖ and ‖W₂‖ do not change with the width, so that in a linear network nothing "
        "but that term does. In a ReLU network what noise on the first layer adds changes, too, "
        "by a few percent of the whole, for single preactivations shrink against the noise on "
        "them. σ is that of the scheme, sd σ/√2 on each of two layers or σ on one."
    ),
    quick=WidthSettings(),
    full=WidthSettings(widths=(50, 100, 200, 400, 800, 1600, 3200), draws=400),
    measure=measure,
    uses_resources=False,
    draw=draw,
    description=(
        "Two panels, for a linear and a ReLU network with one hidden layer: the loss that weight "
        "noise adds, against the number of hidden units. With noise on all layers it rises along "
        "a line; with noise on one layer at a time it hardly changes. Marks from draws of the "
        "noise lie on the lines of the closed form."
    ),
    claims=(
        Claim(
            "explosion-linear",
            "With noise on all layers of a linear network the excess loss grows linearly in the "
            "width, by the coefficient σ⁴ d₂‖X‖²/8n of the fourth order.",
            "variance explosion",
            _explodes("linear"),
        ),
        Claim("straight", "That growth is a straight line.", "variance explosion", _straight),
        Claim(
            "explosion-relu",
            "In a ReLU network it grows by half that coefficient: rectified, preactivations N(z, "
            "t²) and N(−z, t²) have second moments that sum up to z² + t².",
            "variance explosion",
            _explodes("ReLU"),
        ),
        Claim(
            "layerwise-linear",
            (
                "With noise on one layer at a time the excess of a linear network does not "
                "depend on the width."
            ),
            "layer-wise noise",
            _flat("linear"),
        ),
        Claim(
            "layerwise-relu",
            "With noise on one layer at a time the excess of a ReLU network changes by less than "
            "10 % from the least to the largest width.",
            "layer-wise noise",
            _flat("ReLU"),
        ),
        Claim(
            "closed-form",
            "The expected losses in closed form are those of draws of the noise.",
            "effective risk",
            _closed_form,
        ),
    ),
)
