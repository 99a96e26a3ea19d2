"""Noise on the weights of two linear layers, and of grouped products, against proximal solvers."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mgaudit.papers.claim import Claim, Data, Measured, NotRun, Row
from mgaudit.papers.paper import PaperFigure, Workshop
from mgaudit.papers.weight_noise.descent import Weights, noisy_descent
from mgaudit.papers.weight_noise.mean_over_seeds import mean_over_seeds
from mgaudit.papers.weight_noise.noises import NOISE_LOOKS, NOISES
from mgaudit.reports.figures.panels import legend, panels
from mgaudit.targets.seeds import numpy_generator
from mgaudit.theory.weight_noise import group_lasso, nuclear_norm

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class NuclearSettings:
    """Regressions of low rank, and of few groups, one a seed; `variances` are σ² of the scheme.

    Groups have their own, for a group's penalty is smaller, and where it is small descent takes long.
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
    """What descent needs, for all problems of a model side by side: weights are (problems, variances, ...).

    `solve` gives the solver's answer to one problem for a weight's sd, `sizes` what the penalty sums up of an answer:
    singular values, or the norms of groups.
    """

    variances: tuple[float, ...]
    steps: int
    learning_rate: float
    gradient: Callable[[Weights], Weights]
    predictor: Callable[[Weights], Floats]
    start: Weights
    solve: Callable[[int, float], Floats]
    sizes: Callable[[int, Floats], Floats]


def measure(settings: NuclearSettings, workshop: Workshop) -> Data:
    """Returns the sizes that solver and noisy descent end with, and their distances, for each problem and σ²."""
    sizes: list[Row] = []
    distances: list[Row] = []
    for model, build in MODELS.items():
        problems = build(settings)
        found = {noise: _descended(settings, problems, model, noise) for noise in NOISES}
        for seed in range(settings.problems):
            for place, variance in enumerate(problems.variances):
                solved = problems.solve(seed, float(np.sqrt(variance / 2)))  # of a weight, with noise on both groups
                own = {noise: found[noise][seed, place] for noise in NOISES}
                about: Row = {"model": model, "seed": float(seed), "variance": variance}
                distances.append(about | {noise: float(np.linalg.norm(own[noise] - solved)) for noise in NOISES})
                columns = {name: problems.sizes(seed, answer) for name, answer in {"solver": solved, **own}.items()}
                sizes += [
                    about | {"index": float(index)} | {name: float(values[index]) for name, values in columns.items()}
                    for index in range(len(columns["solver"]))
                ]
    return {"sizes": sizes, "distances": distances}


def _descended(settings: NuclearSettings, problems: _Problems, model: str, noise: str) -> Floats:
    """Returns the answers (problems, variances, ...) of descent."""
    shape = problems.start[0].shape
    sigma = np.sqrt(problems.variances).reshape(len(problems.variances), *[1] * (len(shape) - 2))
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
    """Two linear layers that fit outputs of low rank, under noise; answers are W₂W₁ (outputs, features)."""
    generators = [numpy_generator(settings.seed, "low rank", seed) for seed in range(settings.problems)]
    k, width, d = settings.outputs, settings.width, settings.features
    xs, ys = [], []
    for generator in generators:
        xs.append(generator.normal(size=(settings.examples, d)))
        truth = generator.normal(size=(k, settings.rank)) @ generator.normal(size=(settings.rank, d)) / np.sqrt(d)
        ys.append(xs[-1] @ truth.T + settings.label_noise * generator.normal(size=(settings.examples, k)))
    h = np.stack([x.T @ x / len(x) for x in xs])[:, None]
    cross = np.stack([y.T @ x / len(x) for x, y in zip(xs, ys, strict=True)])[:, None]

    def gradient(weights: Weights) -> Weights:
        first, second = weights
        slope = second @ first @ h - cross
        return [second.swapaxes(-1, -2) @ slope, slope @ first.swapaxes(-1, -2)]

    def singular_values(seed: int, product: Floats) -> Floats:
        return np.linalg.svd(product @ xs[seed].T, compute_uv=False).astype(np.float64)

    runs = len(settings.variances)
    return _Problems(
        settings.variances,
        settings.steps,
        settings.learning_rate,
        gradient,
        lambda weights: weights[1] @ weights[0],
        [_start(generators, runs, shape, 1 / np.sqrt(width)) for shape in ((width, d), (k, width))],
        lambda seed, std: nuclear_norm.least_product(xs[seed], ys[seed], std),
        singular_values,
    )


def _grouped(settings: NuclearSettings) -> _Problems:
    """A scalar times a vector for each group of features, under noise; answers are coefficients (features,)."""
    generators = [numpy_generator(settings.seed, "groups", seed) for seed in range(settings.problems)]
    group = np.repeat(np.arange(settings.groups), settings.group_size)
    members = np.eye(settings.groups)[group]
    xs = [generator.normal(size=(settings.examples, len(group))) for generator in generators]
    truths = [generator.normal(size=len(group)) * (group < settings.relevant) for generator in generators]
    ys = [
        x @ truth + settings.label_noise * generator.normal(size=len(x))
        for x, truth, generator in zip(xs, truths, generators, strict=True)
    ]
    h = np.stack([x.T @ x / len(x) for x in xs])
    cross = np.stack([y @ x / len(x) for x, y in zip(xs, ys, strict=True)])[:, None]

    def coefficients(weights: Weights) -> Floats:
        return weights[0][..., group] * weights[1]

    def gradient(weights: Weights) -> Weights:
        slope = coefficients(weights) @ h - cross
        return [(slope * weights[1]) @ members, slope * weights[0][..., group]]

    def norms(seed: int, b: Floats) -> Floats:
        sizes: Floats = np.sqrt((((xs[seed] * b) @ members) ** 2).sum(axis=0))
        return sizes

    runs = len(settings.group_variances)
    return _Problems(
        settings.group_variances,
        settings.group_steps,
        settings.group_learning_rate,
        gradient,
        coefficients,
        [_start(generators, runs, (size,), 1.0) for size in (settings.groups, len(group))],
        lambda seed, std: group_lasso.least_coefficients(group.tolist(), xs[seed], ys[seed], std),
        norms,
    )


def _start(generators: list[np.random.Generator], runs: int, shape: tuple[int, ...], scale: float) -> Floats:
    """Returns normal weights (problems, runs, *shape), the same for all runs of a problem."""
    return np.stack([np.repeat(scale * one.normal(size=(1, *shape)), runs, axis=0) for one in generators])


MODELS: dict[str, Callable[[NuclearSettings], _Problems]] = {
    "nuclear norm": _low_rank,
    "group Lasso": _grouped,
}
SIZES = {"nuclear norm": "singular value of MXᵀ", "group Lasso": "norm of a group's output, ‖X_g b_g‖"}


def draw(data: Data) -> Figure:
    """Returns the sizes that descent ends with against those of the solvers."""
    figure, axes = panels(len(MODELS), 3.0, sharey=False)
    for model, one in zip(MODELS, axes, strict=True):
        rows = [row for row in data["sizes"] if row["model"] == model]
        solved = [float(row["solver"]) for row in rows]
        one.plot([0, max(solved)], [0, max(solved)], color="#888888", linewidth=1, label="equal")
        for noise in NOISES:
            colour, mark = NOISE_LOOKS[noise]
            label = "no noise" if noise == "none" else f"noise, {noise}"
            found = [float(row[noise]) for row in rows]
            one.plot(solved, found, color=colour, marker=mark, linestyle="", markersize=3, alpha=0.6, label=label)
        one.set_title(model)
        one.set_xlabel(f"{SIZES[model]}, solver")
        one.set_ylabel("of noisy descent")
    legend(figure, *axes)
    return figure


def _near(model: str) -> Callable[[Data], Measured | NotRun]:
    def check(data: Data) -> Measured | NotRun:
        shares = []
        for rows in _by_seed(data["distances"], model):
            plain, *noisy = (sum(float(row[noise]) for row in rows) for noise in NOISES)
            shares.append(float(np.max(noisy)) / plain)
        return mean_over_seeds(
            "distance of noisy descent to the solver, relative to descent without noise, the worse of both noises",
            shares,
            at_most=0.05,
        )

    return check


def _same_zeros(model: str) -> Callable[[Data], Measured | NotRun]:
    def check(data: Data) -> Measured | NotRun:
        shares = []
        for rows in _by_seed(data["sizes"], model):
            largest = max(float(row["solver"]) for row in rows)
            zeros = [row for row in rows if float(row["solver"]) <= 1e-9 * largest]
            if not zeros:
                return NotRun(f"the solver's answer to problem {rows[0]['seed']:g} has no zeros")
            plain, *noisy = (np.max([float(row[noise]) for row in zeros]) for noise in NOISES)
            shares.append(float(np.max(noisy) / plain))
        return mean_over_seeds(
            "largest size where the solver's is 0, relative to descent without noise, the worse of both noises",
            shares,
            at_most=0.1,
        )

    return check


def _by_seed(rows: list[Row], model: str) -> list[list[Row]]:
    own = [row for row in rows if row["model"] == model]
    return [[row for row in own if row["seed"] == seed] for seed in sorted({float(row["seed"]) for row in own})]


FIGURE = PaperFigure(
    key="nuclear",
    title="Linear networks under weight noise are penalised by the nuclear norm, grouped products by group norms",
    about=(
        "The paper derives a nuclear-norm penalty for linear networks and group norms for grouped models. Two linear "
        "layers are fitted to outputs of low rank under the scheme's noise; a step of singular-value thresholding "
        "solves the problem with the penalty (σ²/2n)√d₂‖X‖‖MXᵀ‖_*. For groups the model is b_g = u_g v_g, u_g a "
        "number: the parametrisation is ours, its penalty (σ²/2n) Σ_g ‖X_g‖‖X_g b_g‖, and block coordinate descent "
        "solves it."
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
    draw=draw,
    description=(
        "Left, the singular values of the product of two linear layers after descent under weight noise, against "
        "those of the solution with the nuclear norm; right, the sizes of groups, against those of the group Lasso. "
        "Both lie on the diagonal, and those of descent without noise above it."
    ),
    claims=(
        Claim(
            "nuclear",
            "Descent of two linear layers under weight noise ends in the solution with the nuclear-norm penalty.",
            "linear networks",
            _near("nuclear norm"),
        ),
        Claim(
            "rank",
            "Singular values that the solver leaves at 0, noisy descent leaves below a tenth of the largest that "
            "descent without noise has there.",
            "linear networks",
            _same_zeros("nuclear norm"),
        ),
        Claim(
            "group-lasso",
            "Descent of grouped products under weight noise ends in the solution of the group Lasso.",
            "group norms",
            _near("group Lasso"),
        ),
        Claim(
            "groups",
            "Groups that the group Lasso leaves at 0, noisy descent leaves with norms below a tenth of the largest "
            "that descent without noise has there.",
            "group norms",
            _same_zeros("group Lasso"),
        ),
    ),
)
