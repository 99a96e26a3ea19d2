"""Averages over a batch of a quantity of each example times a power of its noise (appendix C).

The quantity q stands for a derivative of an example's loss, e is the example's noise at the node,
and the order is the power of e. With "independent" examples, each batch has new ones; otherwise a
batch is drawn without replacement from a population of examples.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from mgaudit.attacks.intervals import LEVEL
from mgaudit.papers.claim import Claim, Data, Measured, NotRun, Row
from mgaudit.papers.paper import PaperFigure, Resources
from mgaudit.papers.rows import column, distinct, matching
from mgaudit.papers.statistics import slope_interval
from mgaudit.reports.figures.palette import LOOKS
from mgaudit.reports.figures.panels import legend, panels
from mgaudit.targets.seeds import numpy_generator
from mgaudit.theory.arguments import Floats
from mgaudit.theory.noise_products import NOISES, Noise, batch_average

PLACE = "appendix C, Theorem 1"
NOISE_LOOKS = {
    "normal": LOOKS["gaussian-mask"],
    "uniform": LOOKS["dropout"],
    "sign": LOOKS["weight-noise"],
}
PARITIES = {"odd": 1, "even": 0}
MOST_STANDARD_ERRORS = 4.0
CHUNK = 100_000  # examples that are drawn at once


@dataclass(frozen=True)
class NoiseProducts:
    """The averages that are simulated, from `draws` examples in all for each setting.

    q has the mean `mean` and the standard deviation `std`, and a skewed distribution. Batches of
    size `population_batch` are also drawn without replacement from `population` examples.
    """

    orders: tuple[int, ...] = (1, 2, 3, 4)
    batches: tuple[int, ...] = (8, 32, 128, 1000)
    draws: int = 2_000_000
    mean: float = 1.0
    std: float = 1.0
    sigma: float = 0.7
    population: int = 2000
    population_batch: int = 1000
    seed: int = 0


def measure(settings: NoiseProducts, resources: Resources) -> Data:
    """Returns the table `averages`, a row for each noise, batch, order and kind of examples.

    `mean` is over all batches and `mean_error` its standard error. `square` is the mean squared
    distance to the predicted mean, an unbiased estimate of the variance, and `square_error` is its
    standard error. `population` is 0 for independent examples.
    """
    rows: list[Row] = []
    for noise, batch in product(NOISES, settings.batches):
        rows += _rows(settings, noise, batch, population=None)
    for noise in NOISES:
        rows += _rows(settings, noise, settings.population_batch, settings.population)
    return {"averages": rows}


def _rows(settings: NoiseProducts, noise: Noise, batch: int, population: int | None) -> list[Row]:
    """Returns a row for each order, all from the same batches."""
    averages = _averages(settings, noise, batch, population)
    rows: list[Row] = []
    for order, samples in zip(settings.orders, averages, strict=True):
        law = batch_average(
            settings.mean, settings.std, noise, settings.sigma, order, batch, population
        )
        squares = (samples - law.mean) ** 2
        rows.append(
            {
                "noise": noise,
                "order": float(order),
                "batch": float(batch),
                "population": float(population or 0),
                "mean": float(samples.mean()),
                "mean_error": _standard_error(samples),
                "predicted_mean": law.mean,
                "square": float(squares.mean()),
                "square_error": _standard_error(squares),
                "predicted_std": law.std,
            }
        )
    return rows


def _averages(settings: NoiseProducts, noise: Noise, batch: int, population: int | None) -> Floats:
    """Returns the averages of q e^k over batches, (orders, repeats)."""
    generator = numpy_generator(settings.seed, f"noise products {noise} {population}", batch)
    values = _population(settings, generator) if population else None
    repeats = settings.draws // batch
    at_once = max(CHUNK // batch, 1)
    parts = []
    for first in range(0, repeats, at_once):
        shape = (min(at_once, repeats - first), batch)
        if values is None:
            q = _quantity(settings, shape, generator)
        else:
            batches = [generator.choice(values, batch, replace=False) for _ in range(shape[0])]
            q = np.array(batches)
        e = settings.sigma * _unit_noise(noise, shape, generator)
        parts.append([np.mean(q * e**order, axis=1) for order in settings.orders])
    averages: Floats = np.concatenate(parts, axis=1).astype(np.float64)
    return averages


def _quantity(
    settings: NoiseProducts, shape: tuple[int, int], generator: np.random.Generator
) -> Floats:
    """Returns draws of q in this shape: exponential, shifted and scaled to the mean and std."""
    drawn = generator.standard_exponential(shape) - 1
    return np.asarray(settings.mean + settings.std * drawn)


def _population(settings: NoiseProducts, generator: np.random.Generator) -> Floats:
    """Returns the q of all examples of a population, with exactly the mean and std of settings."""
    drawn = generator.standard_exponential(settings.population)
    standardised = (drawn - drawn.mean()) / drawn.std()
    return np.asarray(settings.mean + settings.std * standardised)


def _unit_noise(noise: Noise, shape: tuple[int, int], generator: np.random.Generator) -> Floats:
    """Returns noise in this shape, of standard deviation 1."""
    if noise == "normal":
        return generator.standard_normal(shape)
    if noise == "uniform":
        return generator.uniform(-math.sqrt(3), math.sqrt(3), shape)
    return np.asarray(2.0 * generator.integers(2, size=shape) - 1.0, dtype=np.float64)


def _standard_error(samples: Floats) -> float:
    """Returns the standard error of the mean of independent `samples`."""
    return float(samples.std(ddof=1)) / math.sqrt(len(samples))


def draw(data: Data) -> Figure:
    """Returns means over their prediction by order, and standard deviations against the batch."""
    figure, axes = panels(3, 2.8, sharey=False)
    means, odd, even = axes
    independent = matching(data["averages"], population=0.0)
    _draw_means(means, independent)
    for axis, parity in ((odd, "odd"), (even, "even")):
        _draw_stds(axis, independent, PARITIES[parity])
        axis.set(xlabel="batch size B", ylabel=f"standard deviation, {parity} orders k")
        axis.set(xscale="log", yscale="log", ylim=(3e-3, 3))
    legend(figure, *axes)
    return figure


def _draw_means(axes: Axes, rows: list[Row]) -> None:
    """Draws how many standard errors the means are from the theorem, against the order."""
    for shift, noise in enumerate(NOISES):
        colour, mark = NOISE_LOOKS[noise]
        own = matching(rows, noise=noise)
        orders = [order + 0.2 * (shift - 1) for order in column(own, "order")]
        deviations = [_deviation(row) for row in own]
        axes.plot(orders, deviations, mark, color=colour, markersize=4, label=noise)
    for limit in (-MOST_STANDARD_ERRORS, MOST_STANDARD_ERRORS):
        axes.axhline(limit, color="black", linewidth=0.8, linestyle="--")
    axes.set(xlabel="order k", ylabel="mean − theorem (standard errors)", ylim=(-5, 5))
    axes.set_xticks(distinct(rows, "order"))


def _draw_stds(axes: Axes, rows: list[Row], remainder: int) -> None:
    """Draws measured standard deviations against the batch, and the theorem as lines."""
    for noise in NOISES:
        colour, mark = NOISE_LOOKS[noise]
        for order in distinct(rows, "order"):
            if order % 2 != remainder:
                continue
            own = matching(rows, noise=noise, order=order)
            batches = column(own, "batch")
            measured = [math.sqrt(square) for square in column(own, "square")]
            axes.plot(batches, measured, mark, color=colour, markersize=4, label=noise)
            axes.plot(batches, column(own, "predicted_std"), color=colour, linewidth=0.8)
            if noise == "normal":
                text = f"k = {order:g}"
                axes.annotate(text, (batches[0], measured[0]), fontsize=7, ha="left", va="bottom")


def _deviation(row: Row) -> float:
    """Returns the distance of a mean to the theorem, in standard errors of the sample."""
    distance = float(row["mean"]) - float(row["predicted_mean"])
    error = float(row["mean_error"])
    return distance / error if error else 0.0


def _mean_check(data: Data) -> Measured | NotRun:
    """Returns the largest distance of a mean to the theorem in standard errors: at most 4."""
    rows = data["averages"]
    largest = max(abs(_deviation(row)) for row in rows)
    quantity = f"largest distance of a mean to the theorem in standard errors, of {len(rows)} means"
    return Measured(quantity, largest, at_most=MOST_STANDARD_ERRORS)


def _std_check(parity: str, in_population: bool) -> Callable[[Data], Measured | NotRun]:
    """Returns the check that measured standard deviations are as in the theorem within 10 %."""

    def check(data: Data) -> Measured | NotRun:
        """Returns the ratio whose interval is furthest from 1; its level allows for the choice."""
        rows = [
            row
            for row in data["averages"]
            if float(row["order"]) % 2 == PARITIES[parity]
            and bool(row["population"]) == in_population
        ]
        if not rows:
            return NotRun("the settings have no such averages")
        quantile = float(stats.norm.isf((1 - LEVEL) / 2 / len(rows)))
        worst = max((_std_ratio(row, quantile) for row in rows), key=_distance_from_one)
        value, low, high = worst
        quantity = (
            f"standard deviation over that of the theorem, at the worst of {len(rows)} settings, "
            f"interval at level 1 − 0.05/{len(rows)}"
        )
        return Measured(quantity, value, 0.9, 1.1, low, high)

    return check


def _std_ratio(row: Row, quantile: float) -> tuple[float, float, float]:
    """Returns measured over predicted standard deviation, with its interval at +-`quantile`."""
    square, half = float(row["square"]), quantile * float(row["square_error"])
    predicted = float(row["predicted_std"])
    ends = (square, max(square - half, 0.0), square + half)
    value, low, high = (math.sqrt(end) / predicted for end in ends)
    return value, low, high


def _distance_from_one(ratio: tuple[float, float, float]) -> float:
    """Returns the distance from 1 to the end of the interval that is further from it."""
    _, low, high = ratio
    return max(abs(low - 1), abs(high - 1))


def _slope_check(data: Data) -> Measured | NotRun:
    """Returns the slope of ln(standard deviation) on ln(batch) for odd orders: near -1/2.

    Each noise and order has its own level, which is removed before the fit.
    """
    x: list[float] = []
    y: list[float] = []
    rows = matching(data["averages"], population=0.0)
    for noise, order in product(NOISES, distinct(rows, "order")):
        own = matching(rows, noise=noise, order=order)
        if order % 2 == 0 or len(own) < 2:
            continue
        logarithms = np.log([column(own, "batch"), [math.sqrt(float(r["square"])) for r in own]])
        batches, stds = logarithms - logarithms.mean(axis=1, keepdims=True)
        x += batches.tolist()
        y += stds.tolist()
    if len(x) < 3:
        return NotRun("the settings have fewer than two batch sizes")
    quantity = "slope of ln(standard deviation) on ln(batch size), odd orders"
    return Measured.with_interval(quantity, slope_interval(x, y), -0.55, -0.45)


CLAIMS = (
    Claim(
        "average-mean",
        "The mean over batches of the average of q eᵏ is the mean of q times E[eᵏ], which is 0 for "
        "odd k.",
        PLACE,
        _mean_check,
    ),
    Claim(
        "average-std-odd",
        "For odd k the average has the standard deviation √(E[q²] E[e²ᵏ] / B).",
        PLACE,
        _std_check("odd", in_population=False),
    ),
    Claim(
        "average-std-even",
        "For even k the average has the variance (E[q²] E[e²ᵏ] − E[q]² E[eᵏ]²) / B.",
        PLACE,
        _std_check("even", in_population=False),
    ),
    Claim(
        "odd-orders-fall",
        "Terms of odd order are suppressed by 1/√B.",
        "appendix C, after equation 12",
        _slope_check,
    ),
    Claim(
        "average-std-population",
        "For batches drawn without replacement from N examples, and even k, the variance is lower "
        "by (1 − 1/B) var(q) E[eᵏ]² / (N − 1).",
        "open question",
        _std_check("even", in_population=True),
    ),
)

FIGURE = PaperFigure(
    key="noise-products",
    title="Averages of powers of the noise over a batch",
    about=(
        "Theorem 1 of appendix C. Its formulas are missing from the text that we have; we derived "
        "them again from the statement and the steps of the proof. q is exponential with mean and "
        "standard deviation 1. The theorem holds for any symmetric noise: we use normal, uniform "
        "and sign noise of standard deviation 0.7. Panels show independent examples. The paper "
        "takes the limit of infinitely many examples; for batches from N examples we give the term "
        "that vanishes in this limit."
    ),
    quick=NoiseProducts(),
    full=NoiseProducts(draws=20_000_000),
    measure=measure,
    uses_resources=False,
    draw=draw,
    description=(
        "Distance of the mean to the theorem in standard errors by order, and the standard "
        "deviation against the batch size, measured and by the theorem, for odd and even orders."
    ),
    claims=CLAIMS,
)
