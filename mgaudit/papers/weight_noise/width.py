"""What noise adds to the loss against the width, with noise on all layers and on one at a time."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import stats

from mgaudit.papers.claim import Claim, Data, Measured, NotRun
from mgaudit.papers.paper import PaperFigure, Workshop
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
    """Networks of one hidden layer on normal inputs, `networks` of them at each width, and `draws` of the noise."""

    features: int = 16
    outputs: int = 5
    examples: int = 24
    sigma: float = 0.2
    widths: tuple[int, ...] = (50, 100, 200, 400, 800)
    networks: int = 8
    draws: int = 300
    seed: int = 0


def measure(settings: WidthSettings, workshop: Workshop) -> Data:
    """Returns for each network, width and kind of noise the loss that noise adds, by draws and in closed form.

    The weights are N(0, 1/width), so that the squared norms of both layers, on which the second order depends, are the
    same at all widths but for chance; targets are the outputs without noise, so that without noise there is no loss.
    """
    inputs = numpy_generator(settings.seed, "inputs").normal(size=(settings.examples, settings.features))
    rows: list[dict[str, str | float]] = []
    for network in range(settings.networks):
        for width in settings.widths:
            generator = numpy_generator(settings.seed, f"network of width {width}", network)
            first = generator.normal(size=(width, settings.features)) / math.sqrt(width)
            second = generator.normal(size=(settings.outputs, width)) / math.sqrt(width)
            for kind in NETWORK_NAMES:
                for noise, turns in _groups(settings.sigma).items():
                    parts = [_excess(kind, first, second, inputs, stds, settings.draws, generator) for stds in turns]
                    # One layer after the other, in equal shares.
                    found, error, exact = (np.array(part) for part in zip(*parts, strict=True))
                    rows.append(
                        {
                            "network": kind,
                            "noise": noise,
                            "width": float(width),
                            "seed": float(network),
                            "excess": float(found.mean()),
                            "error": float(np.linalg.norm(error)) / len(turns),
                            "closed_form": float(exact.mean()),
                        }
                    )
    return {"excess": rows, "predicted": [_predicted(kind, settings, inputs) for kind in NETWORK_NAMES]}


def _groups(sigma: float) -> dict[str, list[tuple[float, float]]]:
    """Returns the sds of both layers' weights, for each step of a cycle."""
    return {"all layers": [(sigma / math.sqrt(2),) * 2], "layer-wise": [(sigma, 0.0), (0.0, sigma)]}


def _excess(
    kind: str,
    first: Floats,
    second: Floats,
    x: Floats,
    stds: tuple[float, float],
    draws: int,
    generator: np.random.Generator,
) -> tuple[float, float, float]:
    """Returns the mean loss over draws of the noise, its standard error, and the closed form of it."""

    def outputs(one: Floats, two: Floats) -> Floats:
        hidden = x @ one.T
        return (np.maximum(hidden, 0, out=hidden) if kind == "ReLU" else hidden) @ two.T

    targets, losses = outputs(first, second), np.empty(draws)
    for draw in range(draws):
        one = first + stds[0] * generator.standard_normal(first.shape)
        two = second + stds[1] * generator.standard_normal(second.shape)
        losses[draw] = ((outputs(one, two) - targets) ** 2).sum() / (2 * len(x))
    if kind == "ReLU":
        exact = relu.expected_risk(first, second, x, targets, stds)
    else:
        exact = deep_linear.expected_risk([first, second], x, targets, stds)
    return float(losses.mean()), float(losses.std(ddof=1)) / math.sqrt(draws), exact


def _predicted(kind: str, settings: WidthSettings, x: Floats) -> dict[str, str | float]:
    """Returns the slope in the width that the fourth order in σ has, with ReLU half of that without.

    A rectified N(z, t²) has a second moment q(z) with q(z) + q(-z) = z² + t², and normal weights give z and -z alike.
    """
    of_linear = deep_linear.explosion((1, settings.outputs), x, settings.sigma / math.sqrt(2))
    return {"network": kind, "slope": of_linear / (2 if kind == "ReLU" else 1)}


def draw(data: Data) -> Figure:
    """Returns the loss that noise adds against the width: marks are draws of the noise, lines the closed form."""
    figure, axes = panels(len(NETWORK_NAMES), 2.8)
    for kind, one in zip(NETWORK_NAMES, axes, strict=True):
        for noise in ("all layers", "layer-wise"):
            widths = sorted({float(row["width"]) for row in _rows(data, kind, noise)})
            means = {
                name: [
                    _mean([row for row in _rows(data, kind, noise) if row["width"] == width], name) for width in widths
                ]
                for name in ("excess", "closed_form")
            }
            line(one, noise, widths, means["closed_form"], "--", f"{noise}, closed form")
            colour, mark = NOISE_LOOKS[noise]
            one.plot(
                widths, means["excess"], color=colour, marker=mark, linestyle="", label=f"{noise}, draws of the noise"
            )
        one.set_title(f"{kind} network")
        one.set_xlabel("hidden units")
        one.set_ylim(bottom=0)
    axes[0].set_ylabel("loss that noise adds")
    legend(figure, *axes)
    return figure


def _rows(data: Data, kind: str, noise: str) -> list[dict[str, str | float]]:
    return [row for row in data["excess"] if row["network"] == kind and row["noise"] == noise]


def _mean(rows: list[dict[str, str | float]], name: str) -> float:
    return float(np.mean([row[name] for row in rows]))


def _slopes(data: Data, kind: str, noise: str) -> tuple[list[float], float, float]:
    """Returns the least-squares slope of each seed's networks, the mean excess, and the span of the widths."""
    rows = _rows(data, kind, noise)
    slopes = []
    for seed in sorted({float(row["seed"]) for row in rows}):
        own = [row for row in rows if row["seed"] == seed]
        slopes.append(
            float(np.polyfit([float(row["width"]) for row in own], [float(row["excess"]) for row in own], 1)[0])
        )
    widths = [float(row["width"]) for row in rows]
    return slopes, _mean(rows, "excess"), max(widths) - min(widths)


def _explodes(kind: str) -> Callable[[Data], Measured | NotRun]:
    def check(data: Data) -> Measured | NotRun:
        predicted = next(float(row["slope"]) for row in data["predicted"] if row["network"] == kind)
        ratios = [slope / predicted for slope in _slopes(data, kind, "all layers")[0]]
        return mean_over_seeds("slope of the excess in the width over the predicted one", ratios, 0.9, 1.1)

    return check


def _straight(data: Data) -> Measured | NotRun:
    """Judges by the draws whether the rise is a line: whether what rises is the first power of the width.

    The second order, in a linear network all that noise on one layer at a time adds, is taken off network by network.
    """
    single = {(row["seed"], row["width"]): float(row["excess"]) for row in _rows(data, "linear", "layer-wise")}
    rises: dict[float, list[tuple[float, float]]] = {}
    for row in _rows(data, "linear", "all layers"):
        rise = float(row["excess"]) - single[row["seed"], row["width"]]
        rises.setdefault(float(row["seed"]), []).append((float(row["width"]), rise))
    lost = sum(rise <= 0 for own in rises.values() for _, rise in own)
    if lost:
        return NotRun(f"in {lost} networks draws do not tell noise on all layers from noise on one at a time")
    exponents = [log_log_slope(*zip(*own, strict=True)) for own in rises.values()]
    return mean_over_seeds(
        "exponent of the width in what noise on all layers adds beyond noise on one at a time", exponents, 0.9, 1.1
    )


def _flat(kind: str) -> Callable[[Data], Measured | NotRun]:
    def check(data: Data) -> Measured | NotRun:
        slopes, size, span = _slopes(data, kind, "layer-wise")
        changes = [slope * span / size for slope in slopes]
        return mean_over_seeds("change of the excess from the least to the largest width, relative", changes, -0.1, 0.1)

    return check


def _closed_form(data: Data) -> Measured | NotRun:
    z = [(float(row["excess"]) - float(row["closed_form"])) / float(row["error"]) for row in data["excess"]]
    bound = float(stats.norm.isf(0.005 / (2 * len(z))))  # which chance alone passes in one run of 200
    return Measured(f"largest of {len(z)} z-scores of draws against the closed form", max(map(abs, z)), at_most=bound)


FIGURE = PaperFigure(
    key="width",
    title="What noise adds to the loss against the width",
    about=(
        "The paper's argument: noise on all layers has a term (σ⁴/2n) d₁d₂‖X‖², σ being a weight's sd, which grows "
        "with the width d₁ however small the weights are; noise on one layer at a time has none. Networks here are "
        "drawn, not trained: normal weights whose norms ‖W₁‖ and ‖W₂‖ do not change with the width, so that in a "
        "linear network nothing but that term does. In a ReLU network what noise on the first layer adds changes, too, "
        "by a few percent of the whole, for single preactivations shrink against the noise on them. σ is that of "
        "the scheme, sd σ/√2 on each of two layers or σ on one."
    ),
    quick=WidthSettings(),
    full=WidthSettings(widths=(50, 100, 200, 400, 800, 1600, 3200), draws=400),
    measure=measure,
    draw=draw,
    description=(
        "Two panels, for a linear and a ReLU network with one hidden layer: the loss that weight noise adds, against "
        "the number of hidden units. With noise on all layers it rises along a line; with noise on one layer at a "
        "time it hardly changes. Marks from draws of the noise lie on the lines of the closed form."
    ),
    claims=(
        Claim(
            "explosion-linear",
            "With noise on all layers of a linear network the excess loss grows linearly in the width, by the "
            "coefficient σ⁴ d₂‖X‖²/8n of the fourth order.",
            "variance explosion",
            _explodes("linear"),
        ),
        Claim("straight", "That growth is a straight line.", "variance explosion", _straight),
        Claim(
            "explosion-relu",
            "In a ReLU network it grows by half that coefficient: rectified, preactivations N(z, t²) and N(−z, t²) "
            "have second moments that sum up to z² + t².",
            "variance explosion",
            _explodes("ReLU"),
        ),
        Claim(
            "layerwise-linear",
            "With noise on one layer at a time the excess of a linear network does not depend on the width.",
            "layer-wise noise",
            _flat("linear"),
        ),
        Claim(
            "layerwise-relu",
            "With noise on one layer at a time the excess of a ReLU network changes by less than 10 % from the least "
            "to the largest width.",
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
