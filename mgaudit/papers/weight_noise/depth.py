"""Appendix E.1: which orders in σ of the added loss grow with the width, in deep linear networks.

Noise of standard deviation σ on all weights of M layers adds c₁σ² + c₂σ⁴ + … + c_M σ²ᴹ to the loss.
Noise on one layer at a time adds the first term alone.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from mgaudit.papers.claim import Claim, Data, Measured, Row
from mgaudit.papers.paper import PaperFigure, Resources
from mgaudit.papers.rows import column, distinct, matching
from mgaudit.papers.statistics import chosen_mean_interval, log_log_slope
from mgaudit.reports.figures.panels import legend, panels
from mgaudit.targets.seeds import numpy_generator
from mgaudit.theory.weight_noise import deep_linear

COLOURS = ("#000000", "#D55E00", "#0072B2", "#009E73", "#CC79A7")
MARKS = ("o", "s", "^", "v", "D")


@dataclass(frozen=True)
class DepthSettings:
    """Linear networks of `depths` layers at each width, `networks` of each."""

    features: int = 8
    outputs: int = 3
    examples: int = 12
    depths: tuple[int, ...] = (2, 3, 4, 5)
    widths: tuple[int, ...] = (16, 32, 64, 128)
    networks: int = 20
    seed: int = 0


def measure(settings: DepthSettings, resources: Resources) -> Data:
    """Returns the table `orders`: c_j of each network, a row for each j = 1 … M.

    A weight between layers of d and d′ units is N(0, 1/(dd′)), as in the paper, so that the squared
    norm of a layer does not change with the width.
    """
    shape = (settings.examples, settings.features)
    x = numpy_generator(settings.seed, "inputs").normal(size=shape)
    rows: list[Row] = []
    for depth, width, index in product(settings.depths, settings.widths, range(settings.networks)):
        generator = numpy_generator(settings.seed, f"{depth} layers of {width}", index)
        units = [settings.features, *[width] * (depth - 1), settings.outputs]
        weights = [
            generator.normal(size=(after, before)) / math.sqrt(after * before)
            for before, after in pairwise(units)
        ]
        head: Row = {"depth": float(depth), "width": float(width), "seed": float(index)}
        for order, value in enumerate(deep_linear.excess_by_order(weights, x), start=1):
            rows.append({**head, "order": float(order), "coefficient": float(value)})
    return {"orders": rows}


def draw(data: Data) -> Figure:
    """Returns the coefficients against the width, a panel for each depth."""
    depths = distinct(data["orders"], "depth")
    figure, axes = panels(len(depths), 2.5, sharey=False, columns=2)
    for axis, depth in zip(axes, depths, strict=True):
        rows = matching(data["orders"], depth=depth)
        for order in distinct(rows, "order"):
            own = matching(rows, order=order)
            widths = distinct(own, "width")
            samples = [column(matching(own, width=width), "coefficient") for width in widths]
            means = [float(np.mean(sample)) for sample in samples]
            index = int(order) - 1
            look: dict[str, Any] = {
                "color": COLOURS[index],
                "marker": MARKS[index],
                "markersize": 4,
            }
            axis.plot(widths, means, label=_power(order), **look)
        axis.set(xscale="log", yscale="log", xlabel="units of each hidden layer")
        axis.set_xticks(widths, [f"{width:g}" for width in widths])
        axis.set_xticks([], minor=True)
        axis.set_ylabel("coefficient")
        axis.set_title(f"{depth:g} layers")
    legend(figure, *axes)
    return figure


def _power(order: float) -> str:
    """Returns σ to the power of 2 `order` in words.

    >>> _power(1.0), _power(5.0)
    ('σ²', 'σ¹⁰')
    """
    return "σ" + f"{2 * order:g}".translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _exponents(data: Data, depth: float, order: float) -> list[float]:
    """Returns the exponent of the width in c_order of each seed's networks."""
    rows = matching(data["orders"], depth=depth, order=order)
    exponents = []
    for seed in distinct(rows, "seed"):
        own = matching(rows, seed=seed)
        exponents.append(log_log_slope(column(own, "width"), column(own, "coefficient")))
    return exponents


def _bounded(data: Data) -> Measured:
    """Returns the largest exponent of the width in c₁ over the depths, which must be near 0."""
    depths = distinct(data["orders"], "depth")
    intervals = [
        chosen_mean_interval(_exponents(data, depth, 1.0), len(depths)) for depth in depths
    ]
    largest = max(intervals, key=lambda interval: interval.high)
    quantity = f"exponent of the width in the coefficient of σ², largest of {len(depths)} depths"
    return Measured.with_interval(quantity, largest, at_most=0.1)


def _explodes(depth: float) -> Callable[[Data], Measured]:
    """Returns the check that all coefficients c₂ … c_M grow at least as the root of the width."""

    def check(data: Data) -> Measured:
        """Returns the smallest exponent over these coefficients."""
        orders = distinct(matching(data["orders"], depth=depth), "order")[1:]
        intervals = {
            order: chosen_mean_interval(_exponents(data, depth, order), len(orders))
            for order in orders
        }
        order = min(intervals, key=lambda order: intervals[order].low)
        quantity = f"smallest exponent of the width, that of {_power(order)}"
        return Measured.with_interval(quantity, intervals[order], at_least=0.5)

    return check


FIGURE = PaperFigure(
    key="depth",
    title="Appendix E: the orders of the added loss that grow with the width",
    about=(
        "The appendix states that, with noise on all layers of a deep linear network, the "
        "coefficients of σ⁴ and of all higher orders grow with the width, and that noise on one "
        "layer at a time has no such term. It derives the growth of the highest order, and refers "
        "to the same argument for the others. The coefficients here are exact. Weights are "
        "independent N(0, 1/(dd′)), with which the product of two hidden layers becomes smaller "
        "with the width. All hidden layers have the same width. The paper's case of a ReLU network "
        "with positive weights and preactivations has the same coefficients."
    ),
    quick=DepthSettings(),
    full=DepthSettings(widths=(16, 32, 64, 128, 256, 512), networks=60),
    measure=measure,
    uses_resources=False,
    draw=draw,
    description=(
        "Four panels, for linear networks of two to five layers: coefficients of the even powers "
        "of σ against the width, with logarithmic axes. The coefficient of σ² does not rise, and "
        "that of the highest power rises fastest."
    ),
    claims=(
        Claim(
            "bounded",
            "The coefficient of σ², all that noise on one layer at a time adds, does not grow with "
            "the width, in networks of 2 to 5 layers.",
            "Section 4, Appendix E.2",
            _bounded,
        ),
        *(
            Claim(
                f"explodes-{depth}",
                f"In a linear network of {depth} layers, the coefficients of σ⁴ and of all higher "
                "orders grow with the width, at least as its square root.",
                "Section 3.1" if depth == 2 else "Appendix E.1",
                _explodes(float(depth)),
            )
            for depth in (2, 3, 4, 5)
        ),
    ),
)
