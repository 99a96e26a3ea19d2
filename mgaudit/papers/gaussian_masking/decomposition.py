"""Theorem 4.2: the expected loss as smoothed loss, regulariser and rest, and the rest's order.

The terms are those of `mgaudit.theory.loss_decomposition`. The order of a term is its slope in ln
against ln(kappa): a term of order 2 is proportional to kappa².
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mgaudit.attacks.intervals import Interval, mean_interval
from mgaudit.compute import parallel
from mgaudit.papers.claim import Claim, Data, Measured, NotRun, Row
from mgaudit.papers.gaussian_masking.agreement import agreement, mean_of
from mgaudit.papers.gaussian_masking.rows import column, levels, select
from mgaudit.papers.paper import PaperFigure, Resources
from mgaudit.papers.statistics import log_log_slope
from mgaudit.reports.figures.panels import legend, panels
from mgaudit.targets.seeds import numpy_generator
from mgaudit.theory.loss_decomposition import decompose, proxy_gaps, proxy_outputs
from mgaudit.theory.two_layer import TwoLayerWeights

SMALL = 0.1  # the largest kappa that counts as near 0 when an order is measured
SLACK = 0.1  # tolerance of an order
A_TENTH = 0.1  # largest rest, relative to the regulariser, that counts as small
COLOURS = {
    "smoothed": "#000000",
    "regulariser": "#0072B2",
    "rest": "#D55E00",
    "variance": "#009E73",
    "expected": "#CC79A7",
}
LABELS = {
    "expected": "expected loss",
    "smoothed": "smoothed loss",
    "regulariser": "regulariser",
    "rest": "rest",
    "variance": "rest with the exact mean",
}

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LossTerms:
    """Inputs, networks and strengths kappa of the mask for which the terms are computed.

    There are `examples` inputs, uniform on the unit sphere in `dimensions` dimensions. The targets
    are a linear function of the inputs with weights N(0, I). Each network has `width` neurons and
    random initial weights. For the loss over masks, `masks` masks are drawn for each input, half of
    them mirror images of the others.
    """

    examples: int
    dimensions: int
    width: int
    networks: int
    masks: int
    kappas: tuple[float, ...] = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


def measure(settings: LossTerms, resources: Resources) -> Data:
    """Returns the `terms` of each network at each kappa, with the mean loss over masks."""
    tasks = [(settings, index) for index in range(settings.networks)]
    rows: list[Row] = []
    for network_rows in parallel.run(_terms, tasks, resources.jobs):
        rows += network_rows
    rows.sort(key=lambda row: (float(row["network"]), float(row["kappa"])))
    return {"terms": rows}


def _terms(task: tuple[LossTerms, int]) -> list[Row]:
    """Returns the terms of the loss of the network with an index, a row for each kappa."""
    settings, index = task
    generator = numpy_generator(0, "loss terms", index)
    inputs = generator.standard_normal((settings.examples, settings.dimensions))
    inputs /= np.linalg.norm(inputs, axis=1, keepdims=True)
    targets = inputs @ generator.standard_normal(settings.dimensions)
    network = TwoLayerWeights.drawn(settings.width, settings.dimensions, generator)
    rows: list[Row] = []
    for kappa in settings.kappas:
        terms = decompose(network, inputs, targets, kappa)
        losses = _losses(network, inputs, targets, kappa, settings.masks, generator)
        mean, error = mean_of(losses)
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


def over_targets(network: TwoLayerWeights, inputs: Floats, kappa: float, variance: float) -> float:
    """Returns the root mean square of the rest over random linear targets, in closed form.

    The rest for targets y is the rest for targets 0, minus sum_i y_i gap_i, with the gaps of
    `proxy_gaps`. Here y = inputs b with b ~ N(0, I), so that the sum is normal with mean 0.

    Args:
        network: The network.
        inputs: Inputs (examples, dimensions).
        kappa: Strength of the mask, its standard deviation >= 0.
        variance: The variance's part of the rest, which does not depend on the targets.
    """
    gap = proxy_gaps(network, inputs, kappa)
    proxy = proxy_outputs(network, inputs, kappa)
    without_targets = float(np.sum(gap * (proxy + 0.5 * gap))) + variance
    deviation = np.linalg.norm(gap @ inputs)
    return float(np.hypot(without_targets, deviation))


def _losses(
    network: TwoLayerWeights,
    inputs: Floats,
    targets: Floats,
    kappa: float,
    masks: int,
    generator: np.random.Generator,
) -> Floats:
    """Returns losses (masks // 2,) under drawn masks, each averaged over a mask c and 2 - c:

        ½ sum_i (f(x_i ⊙ c_i) - y_i)².

    The mirror image 2 - c has the same distribution as c. Terms linear in the mask, which are most
    of the spread, cancel. `inputs` is (n, d) and `targets` (n,).
    """
    losses = np.empty(masks // 2)
    for index in range(len(losses)):
        shift = kappa * inputs * generator.standard_normal(inputs.shape)
        errors = network.outputs(inputs + shift) - targets
        mirrored = network.outputs(inputs - shift) - targets
        losses[index] = 0.25 * (float(errors @ errors) + float(mirrored @ mirrored))
    return losses


def draw(data: Data) -> Figure:
    """Returns the terms against kappa, and the rest as a share of the regulariser."""
    figure, (left, right) = panels(2, 3.0, sharey=False, columns=2)
    _draw_terms(left, data)
    _draw_shares(right, data)
    for axes in (left, right):
        axes.set(xscale="log", yscale="log")
    legend(figure, left)
    return figure


def _draw_terms(axes: Axes, data: Data) -> None:
    """Draws the root mean square of each term over networks against kappa."""
    kappas = levels(data["terms"], "kappa")

    def over_networks(name: str) -> Floats:
        """Returns the root mean square of a column over networks, for each kappa, (kappas,)."""
        mean_squares = [np.mean(np.square(_at(data, kappa, name))) for kappa in kappas]
        return np.array([mean_square**0.5 for mean_square in mean_squares])

    for name, label in LABELS.items():
        line = "--" if name == "smoothed" else "-"
        axes.plot(kappas, over_networks(name), line, color=COLOURS[name], label=label)
    look: dict[str, Any] = {"color": COLOURS["expected"], "markersize": 4}
    axes.plot(kappas, over_networks("mean"), "o", label="loss over draws of masks", **look)
    axes.set(xlabel="κ", ylabel="terms of the loss")


def _draw_shares(axes: Axes, data: Data) -> None:
    """Draws |rest| / regulariser of each network against kappa, with a line at a tenth."""
    for row in data["terms"]:
        for name in ("rest", "variance"):
            axes.plot(
                [float(row["kappa"])],
                [_share_of_regulariser(row, name)],
                ".",
                color=COLOURS[name],
                markersize=4,
            )
    axes.axhline(A_TENTH, color="0.4", linestyle="--", linewidth=1)
    axes.set(xlabel="κ", ylabel="|rest| / regulariser")


def _share_of_regulariser(row: Row, name: str) -> float:
    """Returns the size of a term, the column `name`, divided by the regulariser."""
    size = abs(float(row[name]))
    return size / float(row["regulariser"])


def _at(data: Data, kappa: float, name: str) -> list[float]:
    """Returns a column at one kappa, with a number for each network."""
    return column(select(data["terms"], kappa=kappa), name)


def _order(data: Data, name: str, low: float, high: float) -> Interval:
    """Returns the order of a term: the slope of ln(term) against ln(kappa), with its interval.

    The term, the column `name`, is its root mean square over networks, and kappa is from `low` to
    `high`, both included. The 95 % interval is the jackknife's over networks. Logarithms of single
    networks are not used, because the rest of a single network may change its sign.
    """
    kappas = [kappa for kappa in levels(data["terms"], "kappa") if low <= kappa <= high]
    squares = np.array([np.square(_at(data, kappa, name)) for kappa in kappas])
    count = squares.shape[1]

    def slope(squares: Floats) -> float:
        """Returns the slope from squares of the term, (kappas, networks)."""
        sizes = np.sqrt(squares.mean(axis=1))
        return log_log_slope(kappas, [float(size) for size in sizes])

    overall = slope(squares)
    pseudovalues = []
    for network in range(count):
        slope_without = slope(np.delete(squares, network, axis=1))
        pseudovalues.append(count * overall - (count - 1) * slope_without)
    return mean_interval(pseudovalues)


def agrees(data: Data) -> Measured:
    """Returns how far the closed form is from the mean over masks."""
    return agreement(data["terms"])


def _judged_order(
    data: Data, low: float, high: float, at_least: float, at_most: float = math.inf
) -> Measured:
    """Returns the order of the rest for kappas from `low` to `high`, and the allowed range.

    `at_least` and `at_most` are the orders that the claim allows.
    """
    order = _order(data, "rest_over_targets", low, high)
    strengths = f"{low:g} ≤ κ ≤ {high:g}" if low else f"κ ≤ {high:g}"
    quantity = f"slope of ln(rest) against ln κ, {strengths}, root mean square over networks"
    return Measured.with_interval(quantity, order, at_least, at_most)


def order_near_zero(data: Data) -> Measured:
    """Returns the order of the rest near kappa = 0, which must be between 3/2 and 2."""
    return _judged_order(data, 0.0, SMALL, 1.5 - SLACK, 2 + SLACK)


def order_above(data: Data) -> Measured:
    """Returns the order of the rest up to kappa = 1, which must be between 3/2 and 3."""
    return _judged_order(data, SMALL, 1.0, 1.5 - SLACK, 3 + SLACK)


def higher_order(data: Data) -> Measured:
    """Returns the order of the rest near kappa = 0, which must exceed the regulariser's 2."""
    return _judged_order(data, 0.0, SMALL, 2 + SLACK)


def share(name: str, kappa: float) -> Callable[[Data], Measured | NotRun]:
    """Returns the check that the rest at one kappa is at most a tenth of the regulariser.

    `name` is the column of the rest, "rest" or "variance" (the rest with the exact mean).
    """

    def check(data: Data) -> Measured | NotRun:
        """Returns the mean of |rest| / regulariser over networks; NotRun without this kappa."""
        rows = select(data["terms"], kappa=kappa)
        if not rows:
            return NotRun(f"the settings have no κ = {kappa:g}")
        interval = mean_interval([_share_of_regulariser(row, name) for row in rows])
        quantity = f"|rest| / regulariser at κ = {kappa:g}, mean over networks"
        return Measured.with_interval(quantity, interval, at_most=A_TENTH)

    return check


def order_with_the_exact_mean(data: Data) -> Measured:
    """Returns the order of the rest without the proxy, which must be 3."""
    order = _order(data, "variance", 0.0, SMALL)
    strengths = f"κ ≤ {SMALL:g}, root mean square over networks"
    quantity = f"slope of ln(rest with the exact mean) against ln κ, {strengths}"
    return Measured.with_interval(quantity, order, at_least=3 - SLACK, at_most=3 + SLACK)


ABOUT = (
    "The expected loss in closed form, beside its mean over masks (drawn in pairs 1 ± κ g), "
    "and split as the theorem has it: the loss of the network with z Φ(z/s) for the ReLU, the "
    "regulariser ½ κ² Σ ‖x ⊙ m^(−1/2) Σ a w Φ(z/s)‖², and a rest. The paper treats the rest "
    "as small; we compute it. It has two parts. The proxy's: it lacks s φ(z/s), which is of "
    "order κ for the share of order κ of neurons that are near their kink; summed over "
    "inputs, that is between κ^(3/2), where their signs are random, and κ², where they are "
    "not. The variance's: the same share of neurons, each with κ², so κ³; it alone remains if "
    "the smoothed loss has the exact mean z Φ(z/s) + s φ(z/s) in place of the proxy. Where a "
    "network fits its targets the residuals are small, and the proxy's part with them; here "
    "they are not. Inputs lie on the unit sphere, targets are a linear function of them, "
    "networks are as training starts from them. For the order, the rest is its root mean "
    "square over such targets, exactly."
)
QUICK = LossTerms(examples=200, dimensions=20, width=50, networks=6, masks=300)
FULL = LossTerms(examples=500, dimensions=20, width=100, networks=10, masks=500)
CLAIMS = (
    Claim(
        "expected-loss",
        "The expected loss has the closed form.",
        "Theorem 4.2, before it is split",
        agrees,
    ),
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
        "The rest is of a higher order in κ than the regulariser, which is then the leading term.",
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
        (
            "With the exact mean in place of the proxy the rest is at most a tenth of the "
            "regulariser at κ = 0.5."
        ),
        "ours, on Theorem 4.2",
        share("variance", 0.5),
    ),
)
FIGURE = PaperFigure(
    key="thm42",
    title="Theorem 4.2: smoothed loss, regulariser and rest",
    about=ABOUT,
    quick=QUICK,
    full=FULL,
    measure=measure,
    draw=draw,
    description=(
        "Left, root mean squares over networks: the loss over draws of masks lies on the closed "
        "form; the rest falls with κ about as fast as the regulariser, the rest with the exact "
        "mean much faster. Right, for each network, the rest's share of the regulariser; dashed, "
        "a tenth."
    ),
    claims=CLAIMS,
)
