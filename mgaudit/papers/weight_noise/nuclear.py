"""Weight noise on two linear layers and on grouped products, compared with solvers.

Two linear layers have the product M = W₂W₁. Grouped products have the coefficients b_g = u_g v_g, a
number times a vector for each group g of features. A solver minimises the loss with the explicit
penalty that weight noise adds. The sizes of a solution are the terms of this penalty.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mgaudit.papers.claim import Claim, Data, Measured, NotRun, Row
from mgaudit.papers.paper import PaperFigure, Resources
from mgaudit.papers.rows import column, distinct, matching
from mgaudit.papers.weight_noise.descent import Weights, least_squares, noisy_descent
from mgaudit.papers.weight_noise.mean_over_seeds import mean_over_seeds
from mgaudit.papers.weight_noise.noises import NOISES, noise_label, scatter
from mgaudit.reports.figures.panels import legend, panels
from mgaudit.targets.seeds import numpy_generator
from mgaudit.theory.weight_noise import group_lasso, nuclear_norm

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class NuclearSettings:
    """Regressions of low rank, and with few groups of features, one of each for each seed.

    `variances` are σ² of the noise. Regressions with groups have larger variances of their own,
    because their penalty is smaller, and descent takes long where the penalty is small.
    """

    examples: int = 60
    features: int = 8
    outputs: int = 4
    width: int = 10
    rank: int = 2
    groups: int = 6
    group_size: int = 3
    relevant: int = 2
    label_noise: float = 0.3
    variances: tuple[float, ...] = (0.05, 0.1, 0.2)
    group_variances: tuple[float, ...] = (0.1, 0.2, 0.4)
    problems: int = 8
    steps: int = 30_000
    group_steps: int = 80_000
    learning_rate: float = 0.01
    group_learning_rate: float = 0.01
    seed: int = 0


@dataclass(frozen=True)
class _Problems:
    """All problems of a model. Descent solves them at once: weights are (problems, variances, ...).

    `variances` are σ² of the noise. `gradient` and `predictor` are those of `noisy_descent`.
    `solve` takes the number of a problem and the standard deviation of the noise on a weight, and
    returns the solver's solution. `sizes` takes the number of a problem and a solution, and returns
    the terms of its penalty: singular values, or the norms of groups.
    """

    variances: tuple[float, ...]
    steps: int
    learning_rate: float
    gradient: Callable[[Weights], Weights]
    predictor: Callable[[Weights], Floats]
    start: Weights
    solve: Callable[[int, float], Floats]
    sizes: Callable[[int, Floats], Floats]


def measure(settings: NuclearSettings, resources: Resources) -> Data:
    """Returns the tables `sizes` (of the solver's and of descent's solutions) and `distances`.

    Distances are those of descent's solutions, under each kind of noise, to the solver's.
    """
    data: Data = {"sizes": [], "distances": []}
    for model, build in MODELS.items():
        problems = build(settings)
        descended = {noise: _descended(settings, problems, model, noise) for noise in NOISES}
        for seed in range(settings.problems):
            for index, variance in enumerate(problems.variances):
                head: Row = {"model": model, "seed": float(seed), "variance": variance}
                solutions = {noise: descended[noise][seed, index] for noise in NOISES}
                sizes, distances = _compared(problems, seed, variance, solutions)
                data["sizes"] += [head | row for row in sizes]
                data["distances"].append(head | distances)
    return data


def _compared(
    problems: _Problems, seed: int, variance: float, solutions: dict[str, Floats]
) -> tuple[list[Row], Row]:
    """Returns the sizes of all solutions, and the distances of `solutions` to the solver's.

    `solutions` are those of descent by kind of noise, for problem `seed` and σ² = `variance`. There
    is a row of sizes for each singular value or group.
    """
    std = float(np.sqrt(variance / 2))  # of a weight, with noise on both groups
    solver = problems.solve(seed, std)
    distances: Row = {}
    for noise, solution in solutions.items():
        distances[noise] = float(np.linalg.norm(solution - solver))
    columns = {"solver": problems.sizes(seed, solver)}
    columns |= {noise: problems.sizes(seed, solution) for noise, solution in solutions.items()}
    rows: list[Row] = []
    for index in range(len(columns["solver"])):
        values = {name: float(sizes[index]) for name, sizes in columns.items()}
        rows.append({"index": float(index), **values})
    return rows, distances


def _descended(settings: NuclearSettings, problems: _Problems, model: str, noise: str) -> Floats:
    """Returns the solutions (problems, variances, ...) of descent under one kind of noise.

    A solution is (outputs, features) for the nuclear norm, and (features,) for the group Lasso.
    """
    trailing_axes = problems.start[0].ndim - 2
    shape = (-1, *[1] * trailing_axes)  # broadcasts against (problems, variances, ...)
    sigma = np.sqrt(problems.variances).reshape(shape)
    return noisy_descent(
        problems.gradient,
        problems.predictor,
        problems.start,
        noise,
        sigma,
        problems.learning_rate,
        problems.steps,
        numpy_generator(settings.seed, f"{model}, noise on {noise}"),
    )


def _low_rank(settings: NuclearSettings) -> _Problems:
    """Returns problems of two linear layers, whose solutions are W₂W₁ (outputs, features)."""
    generators = _generators(settings, "low rank")
    xs, ys = [], []
    for generator in generators:
        x, y = _low_rank_problem(settings, generator)
        xs.append(x)
        ys.append(y)
    covariances, correlations = least_squares(xs, ys)

    def product(weights: Weights) -> Floats:
        """Returns W₂W₁ (problems, variances, outputs, features)."""
        first, second = weights
        return second @ first

    def gradient(weights: Weights) -> Weights:
        """Returns the gradients in W₁ and W₂ of half the mean squared error, without noise."""
        first, second = weights
        slope = product(weights) @ covariances[:, None] - correlations[:, None]
        by_first = second.swapaxes(-1, -2) @ slope
        by_second = slope @ first.swapaxes(-1, -2)
        return [by_first, by_second]

    def solve(seed: int, std: float) -> Floats:
        """Returns the solver's M (outputs, features) of one problem."""
        return nuclear_norm.least_product(xs[seed], ys[seed], std)

    def singular_values(seed: int, solution: Floats) -> Floats:
        """Returns the singular values of M Xᵀ, descending, for M (outputs, features)."""
        outputs = solution @ xs[seed].T
        return np.linalg.svd(outputs, compute_uv=False).astype(np.float64)

    width, variances = settings.width, settings.variances
    shapes = ((width, settings.features), (settings.outputs, width))
    scale = 1 / np.sqrt(width)
    start = [_start(generators, len(variances), shape, scale) for shape in shapes]
    return _Problems(
        variances,
        settings.steps,
        settings.learning_rate,
        gradient,
        product,
        start,
        solve,
        singular_values,
    )


def _low_rank_problem(
    settings: NuclearSettings, generator: np.random.Generator
) -> tuple[Floats, Floats]:
    """Returns inputs (examples, features) and targets (examples, outputs), low rank plus noise."""
    features, outputs = settings.features, settings.outputs
    x = generator.normal(size=(settings.examples, features))
    left = generator.normal(size=(outputs, settings.rank))
    right = generator.normal(size=(settings.rank, features))
    truth = left @ right / np.sqrt(features)
    label_noise = settings.label_noise * generator.normal(size=(settings.examples, outputs))
    return x, x @ truth.T + label_noise


def _grouped(settings: NuclearSettings) -> _Problems:
    """Returns problems of a scalar times a vector for each group; solutions are (features,)."""
    generators = _generators(settings, "groups")
    group = np.repeat(np.arange(settings.groups), settings.group_size)
    members = np.eye(settings.groups)[group]
    xs, ys = [], []
    for generator in generators:
        x = generator.normal(size=(settings.examples, len(group)))
        truth = generator.normal(size=len(group)) * (group < settings.relevant)
        label_noise = settings.label_noise * generator.normal(size=len(x))
        xs.append(x)
        ys.append(x @ truth + label_noise)
    covariances, correlations = least_squares(xs, ys)

    def coefficients(weights: Weights) -> Floats:
        """Returns b (problems, variances, features) with b_g = u_g v_g."""
        scalars, vectors = weights
        return scalars[..., group] * vectors

    def gradient(weights: Weights) -> Weights:
        """Returns the gradients in u and v of half the mean squared error, without noise."""
        scalars, vectors = weights
        slope = coefficients(weights) @ covariances - correlations[:, None]
        return [(slope * vectors) @ members, slope * scalars[..., group]]

    def solve(seed: int, std: float) -> Floats:
        """Returns the solver's b (features,) of one problem."""
        return group_lasso.least_coefficients(group.tolist(), xs[seed], ys[seed], std)

    def norms(seed: int, solution: Floats) -> Floats:
        """Returns the norm of each group's outputs ‖X_g b_g‖, (groups,), for b (features,)."""
        outputs = (xs[seed] * solution) @ members
        return np.asarray(np.sqrt((outputs**2).sum(axis=0)))

    variances = settings.group_variances
    shapes = ((settings.groups,), (len(group),))
    start = [_start(generators, len(variances), shape, 1.0) for shape in shapes]
    return _Problems(
        variances,
        settings.group_steps,
        settings.group_learning_rate,
        gradient,
        coefficients,
        start,
        solve,
        norms,
    )


def _generators(settings: NuclearSettings, name: str) -> list[np.random.Generator]:
    """Returns a random generator for each problem; `name` separates independent uses."""
    return [numpy_generator(settings.seed, name, seed) for seed in range(settings.problems)]


def _start(
    generators: list[np.random.Generator], runs: int, shape: tuple[int, ...], scale: float
) -> Floats:
    """Returns weights N(0, scale²) (problems, runs, *shape), the same for all runs of a problem.

    There is a generator for each problem, and a run for each variance of the noise.
    """
    normals = [scale * generator.normal(size=(1, *shape)) for generator in generators]
    return np.stack([np.repeat(weights, runs, axis=0) for weights in normals])


MODELS: dict[str, Callable[[NuclearSettings], _Problems]] = {
    "nuclear norm": _low_rank,
    "group Lasso": _grouped,
}
SIZES = {
    "nuclear norm": "singular value of MXᵀ",
    "group Lasso": "norm of a group's output, ‖X_g b_g‖",
}


def draw(data: Data) -> Figure:
    """Returns the sizes of descent's solutions against those of the solvers."""
    figure, axes = panels(len(MODELS), 3.0, sharey=False)
    for model, axis in zip(MODELS, axes, strict=True):
        _draw_sizes(axis, matching(data["sizes"], model=model))
        axis.set_title(model)
        axis.set_xlabel(f"{SIZES[model]}, solver")
        axis.set_ylabel("of noisy descent")
    legend(figure, *axes)
    return figure


def _draw_sizes(axes: Axes, rows: list[Row]) -> None:
    """Draws the sizes of descent's solutions against the solver's, and a diagonal."""
    solver = column(rows, "solver")
    ends = [0, max(solver)]
    axes.plot(ends, ends, color="#888888", linewidth=1, label="equal")
    for noise in NOISES:
        scatter(axes, noise, solver, column(rows, noise), noise_label(noise))


def _near(model: str) -> Callable[[Data], Measured | NotRun]:
    """Returns the check that noisy descent ends near the solver's solution of a model."""

    def check(data: Data) -> Measured | NotRun:
        """Returns the distance to the solver over that of descent without noise: at most 5 %."""
        shares = []
        for rows in _by_seed(data["distances"], model):
            plain, *noisy = (sum(column(rows, noise)) for noise in NOISES)
            shares.append(float(np.max(noisy)) / plain)
        return mean_over_seeds(
            (
                "distance of noisy descent to the solver, relative to descent without noise, the "
                "worse of both noises"
            ),
            shares,
            at_most=0.05,
        )

    return check


def _same_zeros(model: str) -> Callable[[Data], Measured | NotRun]:
    """Returns the check that sizes are small under noise where the solver's are 0."""

    def check(data: Data) -> Measured | NotRun:
        """Returns these sizes over those of descent without noise, at most 10 %.

        NotRun if the solver's solution of a problem has no size that is 0 up to rounding.
        """
        shares = []
        for rows in _by_seed(data["sizes"], model):
            largest = max(column(rows, "solver"))
            zeros = [row for row in rows if float(row["solver"]) <= 1e-9 * largest]
            if not zeros:
                return NotRun(f"the solver's answer to problem {rows[0]['seed']:g} has no zeros")
            plain, *noisy = (np.max(column(zeros, noise)) for noise in NOISES)
            shares.append(float(np.max(noisy) / plain))
        return mean_over_seeds(
            (
                "largest size where the solver's is 0, relative to descent without noise, the "
                "worse of both noises"
            ),
            shares,
            at_most=0.1,
        )

    return check


def _by_seed(rows: list[Row], model: str) -> list[list[Row]]:
    """Returns the rows of a model, one list for each problem (seed)."""
    model_rows = matching(rows, model=model)
    return [matching(model_rows, seed=seed) for seed in distinct(model_rows, "seed")]


FIGURE = PaperFigure(
    key="nuclear",
    title=(
        "Linear networks under weight noise are penalised by the nuclear norm, grouped "
        "products by group norms"
    ),
    about=(
        "The paper derives a nuclear-norm penalty for linear networks and group norms for grouped "
        "models. Two linear layers are fitted to outputs of low rank under the scheme's noise; a "
        "step of singular-value thresholding solves the problem with the penalty "
        "(σ²/2n)√d₂‖X‖‖MXᵀ‖_*. For groups the model is b_g = u_g v_g, u_g a number: the "
        "parametrisation is ours, its penalty (σ²/2n) Σ_g ‖X_g‖‖X_g b_g‖, and block coordinate "
        "descent solves it."
    ),
    quick=NuclearSettings(),
    full=NuclearSettings(
        examples=120,
        features=16,
        outputs=8,
        width=24,
        rank=3,
        groups=10,
        problems=10,
        steps=60_000,
        group_steps=160_000,
    ),
    measure=measure,
    uses_resources=False,
    draw=draw,
    description=(
        "Left, the singular values of the product of two linear layers after descent under weight "
        "noise, against those of the solution with the nuclear norm; right, the sizes of groups, "
        "against those of the group Lasso. Both lie on the diagonal, and those of descent without "
        "noise above it."
    ),
    claims=(
        Claim(
            "nuclear",
            (
                "Descent of two linear layers under weight noise ends in the solution with the "
                "nuclear-norm penalty."
            ),
            "linear networks",
            _near("nuclear norm"),
        ),
        Claim(
            "rank",
            "Singular values that the solver leaves at 0, noisy descent leaves below a tenth of "
            "the largest that descent without noise has there.",
            "linear networks",
            _same_zeros("nuclear norm"),
        ),
        Claim(
            "group-lasso",
            (
                "Descent of grouped products under weight noise ends in the solution of the "
                "group Lasso."
            ),
            "group norms",
            _near("group Lasso"),
        ),
        Claim(
            "groups",
            "Groups that the group Lasso leaves at 0, noisy descent leaves with norms below a "
            "tenth of the largest that descent without noise has there.",
            "group norms",
            _same_zeros("group Lasso"),
        ),
    ),
)
