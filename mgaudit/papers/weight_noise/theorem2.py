"""Theorem 2: the minimisers of the expected loss and of the effective loss, as σ falls to 0.

R is the loss without noise, E R its mean over noise of standard deviation σ on every weight, and
R_eff is R plus (σ²/2) D²L[DΦ DΦᵀ]. Φ are the outputs and φ* are the targets, which the networks can
fit exactly.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.linear_model import Lasso

from mgaudit.attacks.intervals import mean_interval
from mgaudit.compute import parallel
from mgaudit.papers.claim import Claim, Data, Measured, NotRun, Row
from mgaudit.papers.paper import PaperFigure, Resources
from mgaudit.papers.rows import column, distinct, matching
from mgaudit.papers.statistics import log_log_slope
from mgaudit.reports.figures.panels import legend, panels
from mgaudit.targets.seeds import numpy_generator
from mgaudit.theory.weight_noise import deep_linear

Floats = NDArray[np.float64]
Loss = Callable[[Floats], tuple[float, Floats]]
SQUARES, LINEAR = "squares", "linear, 3 layers"
DISTANCES = {
    "to_targets": ("of the minimiser of E R to the targets", "#D55E00", "s"),
    "apart": ("between the minimisers of E R and R_eff", "#0072B2", "^"),
}
FLAT = 1e-10  # the largest norm of the gradient at a minimum


@dataclass(frozen=True)
class Theorem2Settings:
    """Overparametrised regressions, `problems` for each kind of network.

    `sigmas` are the standard deviations of the noise on a weight.
    """

    examples: int = 4
    features: int = 12
    linear_features: int = 4
    linear_examples: int = 3
    outputs: int = 2
    width: int = 3
    sigmas: tuple[float, ...] = (0.02, 0.03, 0.045, 0.0675)
    problems: int = 5
    seed: int = 0


@dataclass(frozen=True)
class _Task:
    """The minimisation of both losses of one problem, for all σ."""

    settings: Theorem2Settings
    network: str
    index: int


def measure(settings: Theorem2Settings, resources: Resources) -> Data:
    """Returns the table `distances`: squared distances of outputs for each problem and σ.

    `gradient` is the larger norm of the gradients at both minimisers; it is 0 for the squares,
    whose minimum a Lasso solver finds.
    """
    tasks = [
        _Task(settings, network, index)
        for network in (SQUARES, LINEAR)
        for index in range(settings.problems)
    ]
    rows = [row for rows in parallel.run(_minimised, tasks, resources.jobs) for row in rows]
    return {"distances": sorted(rows, key=_position)}


def _position(row: Row) -> tuple[str, float, float]:
    """Returns the key by which rows are sorted, whichever worker process ends first."""
    return str(row["network"]), float(row["seed"]), float(row["sigma"])


def _minimised(task: _Task) -> list[Row]:
    """Returns a row for each σ of one problem."""
    solve = _squares if task.network == SQUARES else _linear
    rows: list[Row] = []
    for sigma, expected, effective, targets, gradient in solve(task.settings, task.index):
        row: Row = {"network": task.network, "seed": float(task.index), "sigma": sigma}
        row["to_targets"] = float(((expected - targets) ** 2).sum())
        row["apart"] = float(((effective - expected) ** 2).sum())
        rows.append({**row, "gradient": gradient})
    return rows


Outcome = tuple[float, Floats, Floats, Floats, float]  # σ, outputs of both, targets, gradient


def _squares(settings: Theorem2Settings, index: int) -> list[Outcome]:
    """Returns the minimisers of f(x) = (w²)ᵀx, which are those of a Lasso with w² >= 0.

    Noise on w adds σ² to the mean of w², and 4σ²w² + 2σ⁴ to its variance. With h_j the mean square
    of feature j, E R is R at w² + σ² plus 2σ² hᵀw² and a constant, and R_eff is R plus 2σ² hᵀw².
    """
    generator = numpy_generator(settings.seed, SQUARES, index)
    x = generator.normal(size=(settings.examples, settings.features))
    y = x @ generator.uniform(0.5, 1.5, settings.features)
    squares = (x**2).mean(axis=0)
    scaled = x / squares
    outcomes = []
    for sigma in settings.sigmas:
        solver = Lasso(2 * sigma**2, fit_intercept=False, positive=True, tol=1e-14, max_iter=10**6)
        shift = sigma**2 * x.sum(axis=1)
        expected = scaled @ solver.fit(scaled, y - shift).coef_
        effective = scaled @ solver.fit(scaled, y).coef_
        outcomes.append((sigma, expected, effective, y, 0.0))
    return outcomes


def _linear(settings: Theorem2Settings, index: int) -> list[Outcome]:
    """Returns the minimisers of a linear network of three layers.

    E R is minimised from random weights at the largest σ, then from the minimiser at the next
    larger σ. R_eff is minimised from the minimiser of E R.
    """
    generator = numpy_generator(settings.seed, LINEAR, index)
    x = generator.normal(size=(settings.linear_examples, settings.linear_features))
    widths = [settings.linear_features, settings.width, settings.width, settings.outputs]
    shapes = list(zip(widths[1:], widths[:-1], strict=True))
    y = generator.normal(size=(settings.linear_examples, settings.outputs))
    weights = np.concatenate([generator.normal(size=shape).ravel() for shape in shapes])
    outcomes = []
    for sigma in sorted(settings.sigmas, reverse=True):
        noises = [[sigma] * len(shapes)]
        alone = [(sigma * np.eye(len(shapes))[layer]).tolist() for layer in range(len(shapes))]
        weights, first = _minimum(_loss(x, y, shapes, noises, 1.0), weights)
        # With noise on one layer, E R − R is exactly the second order that this layer adds.
        without = [[0.0] * len(shapes)]
        effective_loss = _loss(x, y, shapes, [*alone, *without], (1.0, 1.0, 1.0, -2.0))
        effective, second = _minimum(effective_loss, weights)
        outputs = [_outputs(at, x, shapes) for at in (weights, effective)]
        outcomes.append((sigma, outputs[0], outputs[1], y, max(first, second)))
    return outcomes


def _matrices(weights: Floats, shapes: list[tuple[int, int]]) -> list[Floats]:
    """Returns the weight matrices of these shapes, whose entries `weights` has in order."""
    ends = np.cumsum([rows * columns for rows, columns in shapes])
    parts = np.split(weights, ends[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def _outputs(weights: Floats, x: Floats, shapes: list[tuple[int, int]]) -> Floats:
    """Returns the outputs (examples, outputs)."""
    product: Floats = np.linalg.multi_dot([*_matrices(weights, shapes)[::-1], x.T]).T
    return product


def _loss(
    x: Floats,
    y: Floats,
    shapes: list[tuple[int, int]],
    noises: list[list[float]],
    factors: tuple[float, ...] | float,
) -> Loss:
    """Returns the sum of expected losses under each of `noises`, times `factors`, as a function.

    The function maps weights to the sum and its gradient.
    """

    def loss(weights: Floats) -> tuple[float, Floats]:
        matrices = _matrices(weights, shapes)
        value, gradient = 0.0, np.zeros_like(weights)
        for stds, factor in zip(noises, np.atleast_1d(factors), strict=True):
            value += factor * deep_linear.expected_risk(matrices, x, y, stds)
            parts = deep_linear.expected_risk_gradient(matrices, x, y, stds)
            gradient += factor * np.concatenate([part.ravel() for part in parts])
        return value, gradient

    return loss


def _minimum(loss: Loss, start: Floats) -> tuple[Floats, float]:
    """Returns a local minimiser, and the norm of its gradient.

    Quasi-Newton steps are followed by Newton steps, which the invariances of the network, along
    which the loss is constant, do not disturb.
    """
    found = minimize(loss, start, jac=True, method="BFGS", options={"gtol": 1e-7, "maxiter": 5000})
    weights: Floats = found.x
    for _ in range(8):
        gradient = loss(weights)[1]
        if np.linalg.norm(gradient) < FLAT / 1000:
            break
        hessian = _hessian(loss, weights)
        step = np.linalg.lstsq(hessian, gradient, rcond=1e-9)[0]
        if np.linalg.norm(loss(weights - step)[1]) >= np.linalg.norm(gradient):
            break
        weights = weights - step
    return weights, float(np.linalg.norm(loss(weights)[1]))


def _hessian(loss: Loss, weights: Floats) -> Floats:
    """Returns the symmetrised Hessian by central differences of the gradient."""
    step = 1e-5
    identity = np.eye(len(weights))
    columns = [
        (loss(weights + step * unit)[1] - loss(weights - step * unit)[1]) / (2 * step)
        for unit in identity
    ]
    hessian = np.array(columns)
    symmetric: Floats = (hessian + hessian.T) / 2
    return symmetric


def draw(data: Data) -> Figure:
    """Returns the squared distances against σ, a panel for each kind of network."""
    figure, axes = panels(2, 2.9, sharey=False)
    for axis, network in zip(axes, (SQUARES, LINEAR), strict=True):
        rows = matching(data["distances"], network=network)
        sigmas = distinct(rows, "sigma")
        for name, (words, colour, mark) in DISTANCES.items():
            samples = [column(matching(rows, sigma=sigma), name) for sigma in sigmas]
            means = [math.exp(np.mean(np.log(sample))) for sample in samples]
            axis.plot(sigmas, means, color=colour, marker=mark, markersize=4, label=words)
        axis.set(xscale="log", yscale="log", title=network)
        axis.set_xlabel("σ, standard deviation on a weight")
        axis.set_xticks(sigmas, [f"{sigma:g}" for sigma in sigmas])
        axis.set_xticks([], minor=True)
    axes[0].set_ylabel("squared distance of outputs")
    legend(figure, *axes)
    return figure


def _orders(data: Data, network: str, name: str) -> list[float]:
    """Returns the order in σ of a squared distance, of each problem."""
    rows = matching(data["distances"], network=network)
    orders = []
    for seed in distinct(rows, "seed"):
        own = matching(rows, seed=seed)
        orders.append(log_log_slope(column(own, "sigma"), column(own, name)))
    return orders


def _order(network: str, name: str, at_least: float) -> Callable[[Data], Measured | NotRun]:
    """Returns the check of the order of a squared distance."""

    def check(data: Data) -> Measured | NotRun:
        """Returns the mean order over problems; NotRun unless all minima were found."""
        worst = max(column(matching(data["distances"], network=network), "gradient"))
        if worst > FLAT:
            return NotRun(f"a minimiser was not found: its gradient has the norm {worst:.1g}")
        words, _, _ = DISTANCES[name]
        interval = mean_interval(_orders(data, network, name))
        return Measured.with_interval(
            f"order in σ of the squared distance {words}", interval, at_least
        )

    return check


def _gain(network: str) -> Callable[[Data], Measured]:
    """Returns the check that the effective loss has the better minimiser by an order in σ."""

    def check(data: Data) -> Measured:
        """Returns the difference of the two orders, which must be 1 at least."""
        pairs = zip(
            _orders(data, network, "apart"), _orders(data, network, "to_targets"), strict=True
        )
        differences = [apart - to_targets for apart, to_targets in pairs]
        quantity = "order of the distance between the minimisers, less that to the targets"
        return Measured.with_interval(quantity, mean_interval(differences), at_least=1.0)

    return check


def _claims(network: str, key: str, title: str) -> tuple[Claim, ...]:
    """Returns the claims on one kind of network."""
    return (
        Claim(
            f"t2-targets-{key}",
            f"{title}: ‖Φ(w_σ) − φ*‖² is of order 2 in σ or higher, at the minimiser w_σ of E R.",
            "Theorem 2",
            _order(network, "to_targets", 2.0),
        ),
        Claim(
            f"t2-apart-{key}",
            f"{title}: ‖Φ(w_eff) − Φ(w_σ)‖² is of order 3 in σ or higher, at the minimisers of "
            "R_eff and E R.",
            "Theorem 2",
            _order(network, "apart", 3.0),
        ),
        Claim(
            f"t2-gain-{key}",
            f"{title}: the minimiser of R_eff is nearer to that of E R than the targets are, by an "
            "order in σ or more, so that the term that R_eff leaves out has no impact.",
            "Section 2.2",
            _gain(network),
        ),
    )


FIGURE = PaperFigure(
    key="theorem2",
    title="Theorem 2: minimisers of the expected and of the effective loss",
    about=(
        "For networks that can fit their targets φ*, the theorem states that the minimiser w_σ of "
        "the loss under noise has ‖Φ(w_σ) − φ*‖² = O(σ²), and that the minimiser of the effective "
        "loss has ‖Φ(w_eff) − Φ(w_σ)‖² = O(σ³): the term DL·D²Φ[I] that it leaves out has no "
        "impact. Our two networks differ in this term. f(x) = (w²)ᵀx has D²Φ[I] ≠ 0; both of its "
        "losses are Lassos with w² ≥ 0, and their global minima are found. The linear network of "
        "three layers has D²Φ[I] = 0; its minima are local ones, followed from the largest σ down, "
        "and its second derivatives are bounded on compact sets only. In the diagonal network and "
        "in the linear network of two layers, the two losses differ by a constant, and the "
        "minimisers are the same."
    ),
    quick=Theorem2Settings(),
    full=Theorem2Settings(problems=30),
    measure=measure,
    draw=draw,
    description=(
        "Two panels, for the network of squares and for the linear network of three layers: "
        "squared distances of outputs against σ, with logarithmic axes. For the squares, both "
        "lines are parallel; for the linear network, the distance between the minimisers falls "
        "faster."
    ),
    claims=(
        *_claims(SQUARES, "squares", "Network of squares"),
        *_claims(LINEAR, "linear", "Linear network of 3 layers"),
    ),
)
