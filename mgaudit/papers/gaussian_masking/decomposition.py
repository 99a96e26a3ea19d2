"""Theorem 4.2: the expected loss as smoothed loss, regulariser and rest, and how the rest shrinks with kappa."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mgaudit.attacks.intervals import mean_interval
from mgaudit.compute import parallel
from mgaudit.papers.claim import Claim, Data, Measured, NotRun, Row
from mgaudit.papers.gaussian_masking.agreement import agreement, mean_of
from mgaudit.papers.paper import PaperFigure, Workshop
from mgaudit.papers.statistics import log_log_slope
from mgaudit.reports.figures.panels import legend, panels
from mgaudit.targets.seeds import numpy_generator
from mgaudit.theory.loss_decomposition import decompose, proxy_gaps, proxy_outputs
from mgaudit.theory.two_layer import TwoLayerWeights

SMALL = 0.1  # the largest kappa of the order near 0
SLACK = 0.1  # of an order
A_TENTH = 0.1
COLOURS = {"smoothed": "#000000", "regulariser": "#0072B2", "rest": "#D55E00", "variance": "#009E73", "loss": "#CC79A7"}


@dataclass(frozen=True)
class LossTerms:
    """How many inputs of how many dimensions, the width of the network, how many networks, and the strengths.

    Inputs are uniform on the unit sphere, targets a linear function of them with weights N(0, I), the network as
    training starts from it. For the loss over masks, `masks` are drawn of each input, every other one a mirror image.
    """

    examples: int
    dimensions: int
    width: int
    networks: int
    masks: int
    kappas: tuple[float, ...] = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


def measure(settings: LossTerms, workshop: Workshop) -> Data:
    """Returns the `terms` of each network at each kappa, the closed form of the loss and its mean over masks."""
    tasks = [(settings, index) for index in range(settings.networks)]
    rows = [row for found in parallel.run(_terms, tasks, workshop.jobs) for row in found]
    return {"terms": sorted(rows, key=lambda row: (float(row["network"]), float(row["kappa"])))}


def _terms(task: tuple[LossTerms, int]) -> list[Row]:
    settings, index = task
    generator = numpy_generator(0, "loss terms", index)
    inputs = generator.standard_normal((settings.examples, settings.dimensions))
    inputs /= np.linalg.norm(inputs, axis=1, keepdims=True)
    targets = inputs @ generator.standard_normal(settings.dimensions)
    network = TwoLayerWeights.drawn(settings.width, settings.dimensions, generator)
    rows: list[Row] = []
    for kappa in settings.kappas:
        terms = decompose(network, inputs, targets, kappa)
        mean, error = mean_of(_losses(network, inputs, targets, kappa, settings.masks, generator))
        rows.append(
            {
                "network": float(index),
                "kappa": kappa,
                "smoothed": terms.smoothed_mse,
                "regulariser": terms.regulariser,
                "rest": terms.rest,
                "variance": terms.variance_part,
                "rest_over_targets": over_targets(network, inputs, kappa, terms.variance_part),
                "expected": terms.expected_loss,
                "mean": mean,
                "error": error,
            }
        )
    return rows


def over_targets(network: TwoLayerWeights, inputs: NDArray[np.float64], kappa: float, variance: float) -> float:
    """Returns the root mean square of the rest over all targets that such a linear function gives.

    The rest is that of targets 0 less sum_i y_i gap_i, and y = inputs b with b ~ N(0, I).
    """
    gap = proxy_gaps(network, inputs, kappa)
    without = float(np.sum(gap * (proxy_outputs(network, inputs, kappa) + 0.5 * gap))) + variance
    return float(np.hypot(without, np.linalg.norm(gap @ inputs)))


def _losses(
    network: TwoLayerWeights,
    inputs: NDArray[np.float64],
    targets: NDArray[np.float64],
    kappa: float,
    masks: int,
    generator: np.random.Generator,
) -> NDArray[np.float64]:
    """Returns ½ sum_i (f(x_i ⊙ c_i) - y_i)² (masks / 2,), in the mean of fresh masks c and their mirror images 2 - c.

    These have the same law, and what is linear in the mask, which is most of the spread, cancels.
    """
    losses = np.empty(masks // 2)
    for place in range(len(losses)):
        shift = kappa * inputs * generator.standard_normal(inputs.shape)
        pair = (network.outputs(inputs + shift) - targets, network.outputs(inputs - shift) - targets)
        losses[place] = 0.25 * sum(float(errors @ errors) for errors in pair)
    return losses


def draw(data: Data) -> Figure:
    """Returns the terms against kappa, and what the rest is of the regulariser."""
    figure, (left, right) = panels(2, 3.0, sharey=False, columns=2)
    kappas = sorted({float(row["kappa"]) for row in data["terms"]})

    def over_networks(column: str) -> NDArray[np.float64]:
        return np.array([np.mean(np.square(_at(data, kappa, column))) ** 0.5 for kappa in kappas])

    for column, label in (
        ("expected", "expected loss"),
        ("smoothed", "smoothed loss"),
        ("regulariser", "regulariser"),
        ("rest", "rest"),
        ("variance", "rest with the exact mean"),
    ):
        colour = COLOURS.get(column, COLOURS["loss"])
        left.plot(kappas, over_networks(column), "--" if column == "smoothed" else "-", color=colour, label=label)
    left.plot(kappas, over_networks("mean"), "o", color=COLOURS["loss"], markersize=4, label="loss over draws of masks")
    left.set(xlabel="κ", ylabel="terms of the loss")
    for row in data["terms"]:
        for column in ("rest", "variance"):
            share = abs(float(row[column])) / float(row["regulariser"])
            right.plot([float(row["kappa"])], [share], ".", color=COLOURS[column], markersize=4)
    right.axhline(A_TENTH, color="0.4", linestyle="--", linewidth=1)
    right.set(xlabel="κ", ylabel="|rest| / regulariser")
    for axes in (left, right):
        axes.set(xscale="log", yscale="log")
    legend(figure, left)
    return figure


def _at(data: Data, kappa: float, column: str) -> list[float]:
    return [float(row[column]) for row in data["terms"] if row["kappa"] == kappa]


def _order(data: Data, column: str, low: float, high: float) -> tuple[float, float, float]:
    """Returns the slope of ln(root mean square over networks) against ln(kappa), low <= kappa <= high.

    By the jackknife over networks: a single one's rest may change its sign, and its logarithm is then no guide.
    """
    kappas = sorted({float(row["kappa"]) for row in data["terms"] if low <= float(row["kappa"]) <= high})
    squares = np.array([np.square(_at(data, kappa, column)) for kappa in kappas])
    count = squares.shape[1]

    def slope(some: NDArray[np.float64]) -> float:
        return log_log_slope(kappas, [float(one) for one in np.sqrt(some.mean(axis=1))])

    whole = slope(squares)
    without = [slope(np.delete(squares, place, axis=1)) for place in range(count)]
    return mean_interval([count * whole - (count - 1) * one for one in without])


def agrees(data: Data) -> Measured:
    """The closed form is the mean over masks."""
    return agreement(data["terms"])


def _judged_order(data: Data, low: float, high: float, at_least: float, at_most: float = math.inf) -> Measured:
    order, below, above = _order(data, "rest_over_targets", low, high)
    strengths = f"{low:g} ≤ κ ≤ {high:g}" if low else f"κ ≤ {high:g}"
    quantity = f"slope of ln(rest) against ln κ, {strengths}, root mean square over networks"
    return Measured(quantity, order, at_least, at_most, below, above)


def order_near_zero(data: Data) -> Measured:
    """The rest is of an order between 3/2 and 2 near kappa = 0."""
    return _judged_order(data, 0.0, SMALL, 1.5 - SLACK, 2 + SLACK)


def order_above(data: Data) -> Measured:
    """Up to kappa = 1 the rest is of an order between 3/2 and 3."""
    return _judged_order(data, SMALL, 1.0, 1.5 - SLACK, 3 + SLACK)


def higher_order(data: Data) -> Measured:
    """The rest is of a higher order than the regulariser's kappa², by more than the slack."""
    return _judged_order(data, 0.0, SMALL, 2 + SLACK)


def share(column: str, kappa: float) -> Callable[[Data], Measured | NotRun]:
    """Returns the check that the rest in `column` is a tenth of the regulariser at most, at that kappa."""

    def check(data: Data) -> Measured | NotRun:
        rows = [row for row in data["terms"] if row["kappa"] == kappa]
        if not rows:
            return NotRun(f"the settings have no κ = {kappa:g}")
        value, low, high = mean_interval([abs(float(row[column])) / float(row["regulariser"]) for row in rows])
        return Measured(
            f"|rest| / regulariser at κ = {kappa:g}, mean over networks", value, at_most=A_TENTH, low=low, high=high
        )

    return check


def order_with_the_exact_mean(data: Data) -> Measured:
    """Without the proxy the rest is of order 3."""
    order, low, high = _order(data, "variance", 0.0, SMALL)
    return Measured(
        f"slope of ln(rest with the exact mean) against ln κ, κ ≤ {SMALL:g}, root mean square over networks",
        order,
        at_least=3 - SLACK,
        at_most=3 + SLACK,
        low=low,
        high=high,
    )


FIGURE = PaperFigure(
    key="thm42",
    title="Theorem 4.2: smoothed loss, regulariser and rest",
    about=(
        "The expected loss in closed form, beside its mean over masks (drawn in pairs 1 ± κ g), and split as the "
        "theorem has it: the loss of the network with z Φ(z/s) for the ReLU, the regulariser ½ κ² Σ ‖x ⊙ m^(−1/2) Σ a "
        "w Φ(z/s)‖², and a rest. The paper treats the rest as small; we compute it. It has two parts. The proxy's: it "
        "lacks s φ(z/s), which is of order κ for the share of order κ of neurons that are near their kink; summed "
        "over inputs, that is between κ^(3/2), where their signs are random, and κ², where they are not. The "
        "variance's: the same share of neurons, each with κ², so κ³; it alone remains if the smoothed loss has the "
        "exact mean z Φ(z/s) + s φ(z/s) in place of the proxy. Where a network fits its targets the residuals are "
        "small, and the proxy's part with them; here they are not. Inputs lie on the unit sphere, targets are a "
        "linear function of them, networks are as training starts from them. For the order, the rest is its root mean "
        "square over such targets, exactly."
    ),
    quick=LossTerms(examples=200, dimensions=20, width=50, networks=12, masks=300),
    full=LossTerms(examples=500, dimensions=20, width=100, networks=10, masks=500),
    measure=measure,
    draw=draw,
    description=(
        "Left, root mean squares over networks: the loss over draws of masks lies on the closed form; the rest falls "
        "with κ about as fast as the regulariser, the rest with the exact mean much faster. Right, for each network, "
        "the rest's share of the regulariser; dashed, a tenth."
    ),
    claims=(
        Claim("expected-loss", "The expected loss has the closed form.", "Theorem 4.2, before it is split", agrees),
        Claim(
            "rest-order",
            "As κ → 0 the rest tends to 0, at an order between 3/2 and 2 (± 0.1).",
            "Theorem 4.2; the order is ours",
            order_near_zero,
        ),
        Claim(
            "rest-order-above",
            "Up to κ = 1 the rest is of an order between 3/2 and 3 (± 0.1).",
            "Theorem 4.2; the order is ours",
            order_above,
        ),
        Claim(
            "rest-higher-order",
            "The rest is of a higher order in κ than the regulariser, which then says all to leading order.",
            "Theorem 4.2, taken as smoothed loss and regulariser alone",
            higher_order,
        ),
        Claim(
            "rest-small-0.1",
            "At κ = 0.1 the rest is at most a tenth of the regulariser.",
            "Theorem 4.2, taken as smoothed loss and regulariser alone",
            share("rest", 0.1),
        ),
        Claim(
            "rest-small-0.5",
            "At κ = 0.5 the rest is at most a tenth of the regulariser.",
            "Theorem 4.2, taken as smoothed loss and regulariser alone",
            share("rest", 0.5),
        ),
        Claim(
            "exact-mean-order",
            "With the exact mean in place of the proxy the rest is of order 3.",
            "ours, on Theorem 4.2",
            order_with_the_exact_mean,
        ),
        Claim(
            "exact-mean-small",
            "With the exact mean in place of the proxy the rest is at most a tenth of the regulariser at κ = 0.5.",
            "ours, on Theorem 4.2",
            share("variance", 0.5),
        ),
    ),
)
