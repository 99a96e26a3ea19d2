"""Theorem 1: the order in σ of what noise adds to the loss, and of the rest of the expansion.

R is the loss without noise, E R its mean over noise of standard deviation σ on every weight. The
effective loss R_eff is R plus (σ²/2) D²L[DΦ DΦᵀ]. The change is |E R − R| and the rest is
|E R − R_eff|.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mgaudit.attacks.intervals import mean_interval
from mgaudit.papers.claim import Claim, Data, Measured, Row
from mgaudit.papers.paper import PaperFigure, Resources
from mgaudit.papers.rows import column, distinct, matching
from mgaudit.papers.statistics import log_log_slope
from mgaudit.reports.figures.panels import legend, panels
from mgaudit.targets.seeds import numpy_generator
from mgaudit.theory.weight_noise import deep_linear, diagonal

Floats = NDArray[np.float64]
DIAGONAL, TWO, THREE, SQUARES = "diagonal", "linear, 2 layers", "linear, 3 layers", "squares"
WITHIN = (DIAGONAL, TWO, THREE)  # the networks that meet the assumptions of the theorem
LOOKS = {
    DIAGONAL: ("#000000", "o"),
    TWO: ("#0072B2", "^"),
    THREE: ("#D55E00", "s"),
    SQUARES: ("#009E73", "v"),
}
FAR = 2  # the growth with ‖w‖ is that between this many largest factors of the weights


@dataclass(frozen=True)
class Theorem1Settings:
    """Small networks with random weights and targets, `networks` of each kind.

    `sigmas` are the standard deviations of the noise on a weight. At the largest of them, the
    weights are also multiplied by each of `factors`.
    """

    features: int = 5
    width: int = 6
    outputs: int = 3
    examples: int = 8
    sigmas: tuple[float, ...] = (0.02, 0.04, 0.08, 0.16)
    factors: tuple[float, ...] = (1.0, 4.0, 16.0, 64.0, 256.0)
    networks: int = 10
    seed: int = 0


Risk = Callable[[float, float], tuple[float, float, float]]


def measure(settings: Theorem1Settings, resources: Resources) -> Data:
    """Returns the change and the rest of each network, against σ and against the weights.

    The table `sigmas` has a row for each network and σ, and `factors` for each factor of the
    weights.
    """
    by_sigma: list[Row] = []
    by_factor: list[Row] = []
    for index in range(settings.networks):
        for kind, risks in _networks(settings, index).items():
            head: Row = {"network": kind, "seed": float(index)}
            for sigma in settings.sigmas:
                by_sigma.append({**head, "sigma": sigma, **_sizes(*risks(sigma, 1.0))})
            sigma = max(settings.sigmas)
            for factor in settings.factors:
                by_factor.append({**head, "factor": factor, **_sizes(*risks(sigma, factor))})
    return {"sigmas": by_sigma, "factors": by_factor}


def _sizes(plain: float, expected: float, effective: float) -> dict[str, float]:
    """Returns the `change` |E R − R| and the `rest` |E R − R_eff|."""
    return {"change": abs(expected - plain), "rest": abs(expected - effective)}


def _networks(settings: Theorem1Settings, index: int) -> dict[str, Risk]:
    """Returns, for each kind of network, the function (σ, factor) -> (R, E R, R_eff).

    `factor` multiplies all weights.
    """
    generator = numpy_generator(settings.seed, "theorem1", index)
    x = generator.normal(size=(settings.examples, settings.features))
    y = generator.normal(size=(settings.examples, settings.outputs))
    positive, negative = generator.normal(size=(2, settings.features))
    widths = [settings.features, settings.width, settings.width]
    two = _layers(generator, [*widths[:2], settings.outputs])
    three = _layers(generator, [*widths, settings.outputs])

    def of_squares(both: bool) -> Risk:
        """Returns the risks of f(x) = (w₁² − w₂²)ᵀx, with w₂ = 0 and no noise on it if not both."""

        def risks(sigma: float, factor: float) -> tuple[float, float, float]:
            own = factor * positive, factor * negative * both
            plain = diagonal.expected_risk(*own, x, y[:, 0], (0.0, 0.0))
            expected = diagonal.expected_risk(*own, x, y[:, 0], (sigma, sigma * both))
            squares = own[0] ** 2 + own[1] ** 2
            return plain, expected, plain + 2 * sigma**2 * float((x**2).mean(axis=0) @ squares)

        return risks

    def of_linear(weights: list[Floats]) -> Risk:
        """Returns the risks of a linear network."""

        def risks(sigma: float, factor: float) -> tuple[float, float, float]:
            own = [factor * weight for weight in weights]
            # With the targets relative to the output, R is 0 and no digits cancel.
            output = np.linalg.multi_dot([*own[::-1], x.T]).T
            expected = deep_linear.expected_risk(own, x, output, [sigma] * len(own))
            scheme_sigma = sigma * math.sqrt(len(own))
            return 0.0, expected, deep_linear.layerwise_excess(own, x, scheme_sigma)

        return risks

    return {
        DIAGONAL: of_squares(both=True),
        TWO: of_linear(two),
        THREE: of_linear(three),
        SQUARES: of_squares(both=False),
    }


def _layers(generator: np.random.Generator, widths: list[int]) -> list[Floats]:
    """Returns random weight matrices between layers of these widths, of entries N(0, 1/inputs)."""
    pairs = zip(widths[1:], widths[:-1], strict=True)
    return [generator.normal(size=pair) / math.sqrt(pair[1]) for pair in pairs]


def draw(data: Data) -> Figure:
    """Returns the change (left) and the rest (middle) against σ, and both against ‖w‖ (right)."""
    figure, axes = panels(4, 2.6, sharey=False, columns=2)
    for kind in LOOKS:
        for axis, table, name, x in (
            (axes[0], "sigmas", "change", "sigma"),
            (axes[1], "sigmas", "rest", "sigma"),
            (axes[2], "factors", "change", "factor"),
            (axes[3], "factors", "rest", "factor"),
        ):
            _draw(axis, kind, matching(data[table], network=kind), name, x)
    for axis, words in zip(axes, ("change |E R − R|", "rest |E R − R_eff|") * 2, strict=True):
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_ylabel(words)
    sigmas = distinct(data["sigmas"], "sigma")
    for axis in axes[:2]:
        axis.set_xlabel("σ, standard deviation on a weight")
        axis.set_xticks(sigmas, [f"{sigma:g}" for sigma in sigmas])
        axis.set_xticks([], minor=True)
    for axis in axes[2:]:
        axis.set_xlabel("factor of the weights")
    legend(figure, *axes)
    return figure


def _draw(axes: Axes, kind: str, rows: list[Row], name: str, x: str) -> None:
    """Draws the geometric mean over networks of the column `name` against the column `x`."""
    colour, mark = LOOKS[kind]
    points = distinct(rows, x)
    means = [math.exp(np.mean(np.log(column(matching(rows, **{x: at}), name)))) for at in points]
    axes.plot(points, means, color=colour, marker=mark, markersize=4, label=kind)


def _slopes(rows: list[Row], x: str, name: str) -> list[float]:
    """Returns the slope of ln of the column `name` against ln of the column `x`, of each seed."""
    slopes = []
    for seed in distinct(rows, "seed"):
        own = matching(rows, seed=seed)
        slopes.append(log_log_slope(column(own, x), column(own, name)))
    return slopes


def _order(kind: str, name: str, at_least: float = -math.inf, at_most: float = math.inf) -> Claim:
    """Returns the claim on the order in σ of the `change` or of the `rest`."""

    def check(data: Data) -> Measured:
        """Returns the mean over networks of the fitted order."""
        slopes = _slopes(matching(data["sigmas"], network=kind), "sigma", name)
        quantity = f"order in σ of the {name}, by least squares in logarithms"
        return Measured.with_interval(quantity, mean_interval(slopes), at_least, at_most)

    short = {DIAGONAL: "diagonal", TWO: "two", THREE: "three", SQUARES: "squares"}[kind]
    if kind == SQUARES:
        statement = (
            "The condition D²Φ[I] = 0 is needed: for f(x) = (w²)ᵀx, which does not meet it, the "
            "rest is of order 2 in σ."
        )
        return Claim("t1-rest-squares", statement, "open question", check)
    order = {"change": "2", "rest": "3"}[name]
    words = {"change": "E R − R", "rest": "E R − R_eff"}[name]
    statement = f"{_title(kind)}: |{words}| is of order {order} in σ or higher."
    return Claim(f"t1-{name}-{short}", statement, "Theorem 1", check)


def _title(kind: str) -> str:
    """Returns the network in words, at the beginning of a sentence."""
    return "Diagonal network" if kind == DIAGONAL else f"Linear network of {kind[8:]}"


def _growth(kind: str, name: str, at_most: float) -> Claim:
    """Returns the claim on the growth with ‖w‖ of the `change` or of the `rest`, at fixed σ."""

    def check(data: Data) -> Measured:
        """Returns the mean over networks of the exponent of ‖w‖ at the largest weights."""
        factors = distinct(data["factors"], "factor")[-FAR:]
        rows = [row for row in matching(data["factors"], network=kind) if row["factor"] in factors]
        quantity = f"exponent of ‖w‖ in the {name} at σ fixed, for large ‖w‖"
        interval = mean_interval(_slopes(rows, "factor", name))
        return Measured.with_interval(quantity, interval, at_most=at_most)

    short = {TWO: "two", THREE: "three"}[kind]
    statement = {
        "change": f"{_title(kind)}: |E R − R| grows with ‖w‖ no faster than (1 + ‖w‖²) σ².",
        "rest": f"{_title(kind)}: the constant C′ in |E R − R_eff| ≤ C′σ³ does not depend on w.",
    }[name]
    return Claim(f"t1-{name}-growth-{short}", statement, "Theorem 1", check)


# Exponents are limits for ‖w‖ → ∞, and this much above the limit is still counted as the limit.
TOLERANCE = 0.01

FIGURE = PaperFigure(
    key="theorem1",
    title="Theorem 1: orders in σ of the added loss and of the rest of the expansion",
    about=(
        "Theorem 1 assumes bounded third derivatives and D²Φ[I] = 0. It states |E R − R| ≤ C (1 + "
        "‖w‖²) σ² and |E R − R_eff| ≤ C′σ³, where C and C′ do not depend on the weights w. All "
        "three losses are exact here, so that orders are slopes of numbers without chance; "
        "intervals are over random networks. A function that meets both assumptions on the whole "
        "space is harmonic with bounded third derivatives, hence a polynomial of degree 3 at most "
        "(Liouville). Linear networks of two and three layers are examples of degree 2 and 3. "
        "Odd orders vanish for Gaussian noise, so that the rest of a polynomial is of order 4. "
        "σ is the standard deviation on each weight, as in the theorem, not the scheme's σ."
    ),
    quick=Theorem1Settings(),
    full=Theorem1Settings(
        features=10,
        width=20,
        examples=40,
        sigmas=(0.01, 0.02, 0.04, 0.08, 0.16),
        networks=50,
    ),
    measure=measure,
    uses_resources=False,
    draw=draw,
    description=(
        "Four panels with logarithmic axes: above, the change and the rest against σ; below, both "
        "against a factor of the weights. Above, lines are straight. Below, the change of the "
        "linear network of three layers rises faster than that of the other networks, and its rest "
        "rises where the rest of the others is constant."
    ),
    claims=(
        *(_order(kind, "change", at_least=2.0) for kind in WITHIN),
        *(_order(kind, "rest", at_least=3.0) for kind in WITHIN),
        _order(SQUARES, "rest", at_most=2.5),
        _growth(TWO, "change", at_most=2 + TOLERANCE),
        _growth(THREE, "change", at_most=2 + TOLERANCE),
        _growth(TWO, "rest", at_most=TOLERANCE),
        _growth(THREE, "rest", at_most=TOLERANCE),
    ),
)
