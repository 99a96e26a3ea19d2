"""Appendix A.3: the expansion in σ of a ReLU network, which is smooth only piecewise.

R_eff is the loss R without noise plus the second order of what noise of standard deviation σ on
every weight adds; the rest is |E R − R_eff|. A kink is a place where a preactivation is 0. The
margin of a network is the smallest |z|/‖x‖ over its preactivations z of examples x: noise of less
than this size on a neuron's weights crosses no kink.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mgaudit.attacks.intervals import Interval, mean_interval
from mgaudit.papers.claim import Claim, Data, Measured, Row
from mgaudit.papers.error_bars import error_bars
from mgaudit.papers.paper import PaperFigure, Resources
from mgaudit.papers.rows import column, distinct, matching
from mgaudit.papers.statistics import log_log_slope, slope_interval
from mgaudit.reports.figures.panels import legend, panels
from mgaudit.targets.seeds import numpy_generator
from mgaudit.theory.weight_noise import relu

Floats = NDArray[np.float64]
TARGETS = {  # what the random networks are to fit, with the colour and the mark
    "random targets": ("#D55E00", "s"),
    "targets that the network fits": ("#0072B2", "^"),
}


@dataclass(frozen=True)
class PiecewiseSettings:
    """Networks with one hidden ReLU layer and random weights.

    There are `networks` away from kinks. For these, σ is the margin divided by each of
    `far_margins` and, for noise on the first layer only, of `near_margins`. `sigmas` are for the
    `random_networks`, whose weights may be anywhere.
    """

    features: int = 6
    width: int = 8
    outputs: int = 3
    examples: int = 10
    networks: int = 10
    near_margins: tuple[float, ...] = (4.0, 4.4, 4.8, 5.2, 5.6)
    far_margins: tuple[float, ...] = (7.0, 10.0, 14.0, 20.0)
    sigmas: tuple[float, ...] = (0.005, 0.01, 0.02, 0.04)
    random_networks: int = 200
    groups: int = 10
    seed: int = 0


def measure(settings: PiecewiseSettings, resources: Resources) -> Data:
    """Returns the rest of the expansion away from kinks, and its mean over random weights.

    The table `away` has a row for each network and σ with noise on both layers, `first_layer` with
    noise on the first layer only. `random` has the mean |rest| of each group of random networks at
    each σ.
    """
    data: Data = {"away": [], "first_layer": [], "random": []}
    for index in range(settings.networks):
        x, y, first, second = _network(settings, "away", index)
        first = _away_from_kinks(x, first)
        margin = _margin(x, first)
        for far in settings.far_margins:
            std = margin / far
            row: Row = {"seed": float(index), "sigma": std, "margin": margin}
            data["away"].append({**row, "rest": _rest(x, y, first, second, (std, std))})
        for near in settings.near_margins:
            std = margin / near
            row = {"seed": float(index), "sigma": std, "margin": margin}
            data["first_layer"].append({**row, "rest": _rest(x, y, first, second, (std, 0.0))})
    for targets in TARGETS:
        data["random"] += _random_rows(settings, targets)
    return data


def _network(settings: PiecewiseSettings, words: str, index: int) -> tuple[Floats, ...]:
    """Returns inputs, random targets and the weights of both layers."""
    generator = numpy_generator(settings.seed, words, index)
    x = generator.normal(size=(settings.examples, settings.features))
    y = generator.normal(size=(settings.examples, settings.outputs))
    first = generator.normal(size=(settings.width, settings.features))
    second = generator.normal(size=(settings.outputs, settings.width))
    return x, y, first / math.sqrt(settings.features), second / math.sqrt(settings.width)


def _margin(x: Floats, first: Floats) -> float:
    """Returns the smallest |z|/‖x‖ over all neurons and examples."""
    return float((abs(x @ first.T) / np.linalg.norm(x, axis=1, keepdims=True)).min())


def _away_from_kinks(x: Floats, first: Floats) -> Floats:
    """Returns weights of the first layer scaled so that the margin is 1/2."""
    return first * (0.5 / _margin(x, first))


def _rest(x: Floats, y: Floats, first: Floats, second: Floats, stds: tuple[float, float]) -> float:
    """Returns |E R − R_eff| with noise of these standard deviations on both layers."""
    plain = relu.expected_risk(first, second, x, y, (0.0, 0.0))
    expected = relu.expected_risk(first, second, x, y, stds)
    return abs(expected - plain - sum(relu.second_order(first, second, x, stds)))


def _random_rows(settings: PiecewiseSettings, targets: str) -> list[Row]:
    """Returns the mean |rest| of each group of random networks at each σ."""
    rests = np.empty((settings.random_networks, len(settings.sigmas)))
    for index in range(settings.random_networks):
        x, y, first, second = _network(settings, targets, index)
        if targets != "random targets":
            y = np.maximum(x @ first.T, 0) @ second.T
        for place, sigma in enumerate(settings.sigmas):
            rests[index, place] = _rest(x, y, first, second, (sigma, sigma))
    means = rests.reshape(settings.groups, -1, len(settings.sigmas)).mean(axis=1)
    return [
        {"targets": targets, "group": float(group), "sigma": sigma, "rest": float(mean)}
        for group, group_means in enumerate(means)
        for sigma, mean in zip(settings.sigmas, group_means, strict=True)
    ]


def draw(data: Data) -> Figure:
    """Returns the rest against σ (left, right) and against the squared margin in σ (middle)."""
    figure, axes = panels(3, 2.9, sharey=False)
    away, crossing, random = axes
    for seed in distinct(data["away"], "seed"):
        rows = matching(data["away"], seed=seed)
        away.plot(column(rows, "sigma"), column(rows, "rest"), color="#999999", linewidth=0.8)
        rows = matching(data["first_layer"], seed=seed)
        squares = [float(row["margin"]) ** 2 / float(row["sigma"]) ** 2 for row in rows]
        scaled = [float(row["rest"]) / float(row["sigma"]) ** 3 for row in rows]
        scaled = [value / scaled[0] for value in scaled]
        crossing.plot(squares, scaled, color="#999999", linewidth=0.8)
    predicted = [math.exp((squares[0] - square) / 2) for square in squares]
    crossing.plot(squares, predicted, color="#000000", linestyle="--", label="exp(−m²/2σ²)")
    for targets, (colour, mark) in TARGETS.items():
        rows = matching(data["random"], targets=targets)
        sigmas = distinct(rows, "sigma")
        means = [mean_interval(column(matching(rows, sigma=at), "rest")) for at in sigmas]
        values, reach = error_bars(means)
        look: dict[str, Any] = {"color": colour, "marker": mark, "markersize": 4}
        random.errorbar(sigmas, values, reach, label=targets, **look)
    away.set(xscale="log", title="away from kinks", xlabel="σ", ylabel="rest |E R − R_eff|")
    crossing.set(title="noise on layer 1 only", xlabel="m²/σ², m: margin")
    crossing.set_ylabel("rest/σ³, relative")
    random.set(xscale="log", title="random weights", xlabel="σ", ylabel="mean rest")
    random.set_xticks(sigmas, [f"{sigma:g}" for sigma in sigmas])
    random.set_xticks([], minor=True)
    ends = [min(column(data["away"], "sigma")), max(column(data["away"], "sigma"))]
    away.set_xticks(ends, [f"{end:.2g}" for end in ends])
    away.set_xticks([], minor=True)
    for axis in axes:
        axis.set_yscale("log")
    legend(figure, *axes)
    return figure


def _order(rows: list[Row], unit: str) -> Interval:
    """Returns the order in σ of the rest, fitted for each `unit`, a column, with its interval."""
    slopes = []
    for value in distinct(rows, unit):
        own = matching(rows, **{unit: value})
        slopes.append(log_log_slope(column(own, "sigma"), column(own, "rest")))
    return mean_interval(slopes)


def _away(data: Data) -> Measured:
    """Returns the order of the rest away from kinks, which must be at least 3."""
    quantity = "order in σ of the rest, at σ below a seventh of the margin"
    return Measured.with_interval(quantity, _order(data["away"], "seed"), at_least=3.0)


def _exponentially(data: Data) -> Measured:
    """Returns the slope of ln(rest/σ³) in −margin²/2σ², which must be near 1."""
    slopes = []
    for seed in distinct(data["first_layer"], "seed"):
        rows = matching(data["first_layer"], seed=seed)
        exponents = [-((float(row["margin"]) / float(row["sigma"])) ** 2) / 2 for row in rows]
        logarithms = [math.log(float(row["rest"]) / float(row["sigma"]) ** 3) for row in rows]
        slopes.append(slope_interval(exponents, logarithms).value)
    quantity = "slope of ln(rest/σ³) against −m²/2σ², where m is the margin"
    return Measured.with_interval(quantity, mean_interval(slopes), 0.8, 1.2)


def _over_weights(targets: str, data: Data) -> Measured:
    """Returns the order in σ of the mean rest over random weights: 3, but for 0.2."""
    rows = matching(data["random"], targets=targets)
    quantity = "order in σ of the mean of the rest over random weights"
    return Measured.with_interval(quantity, _order(rows, "group"), at_least=2.8)


def _over_random_targets(data: Data) -> Measured:
    """Returns the order for random targets."""
    return _over_weights("random targets", data)


def _over_fitted_targets(data: Data) -> Measured:
    """Returns the order for targets that the network fits."""
    return _over_weights("targets that the network fits", data)


FIGURE = PaperFigure(
    key="piecewise",
    title="Appendix A.3: the expansion for a ReLU network",
    about=(
        "The appendix extends the expansion and Theorem 1 to networks that are smooth only "
        "piecewise: noise leaves the smooth piece with a probability that vanishes exponentially, "
        "so that the rest is still of order σ³. The expected loss is exact here. In the first two "
        "panels, all weights of the first layer are scaled so that no preactivation is near 0, and "
        "σ is given relative to the margin. Theorem 1 also states that the constant does not "
        "depend on the weights. If this were so, the mean of the rest over random weights would be "
        "of order σ³, too. Near a kink, the rest is of order σ, and the probability to be near one "
        "is of order σ. σ is the standard deviation on each weight."
    ),
    quick=PiecewiseSettings(),
    full=PiecewiseSettings(width=20, examples=20, networks=30, random_networks=4000, groups=20),
    measure=measure,
    uses_resources=False,
    draw=draw,
    description=(
        "Left, rest of the expansion against σ away from kinks: straight lines with logarithmic "
        "axes. Middle, the rest with noise on the first layer only, against the squared margin in "
        "σ: lines near that of exp(−m²/2σ²). Right, the mean of the rest over random weights "
        "against σ, for random targets and for targets that the network fits."
    ),
    claims=(
        Claim(
            "kink-away",
            "Away from kinks, |E R − R_eff| of a ReLU network is of order 3 in σ or higher.",
            "Appendix A.3, Eq. (5)",
            _away,
        ),
        Claim(
            "kink-exponential",
            "What the noise beyond a kink contributes vanishes exponentially: as exp(−m²/2σ²), "
            "where m is the margin.",
            "Appendix A.3, J₁",
            _exponentially,
        ),
        Claim(
            "kink-uniform",
            "The constant in |E R − R_eff| ≤ C′σ³ does not depend on the weights of a ReLU "
            "network: the mean over random weights, with random targets, is of order 3, too.",
            "Appendix A.3, Theorem 1",
            _over_random_targets,
        ),
        Claim(
            "kink-uniform-fit",
            "The same mean is of order 3 if the network fits its targets.",
            "open question",
            _over_fitted_targets,
        ),
    ),
)
