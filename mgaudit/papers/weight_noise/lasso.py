"""Noise on the weights of the diagonal network against scikit-learn's Lasso."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.linear_model import Lasso

from mgaudit.papers.claim import Claim, Data, Measured, NotRun, Row
from mgaudit.papers.paper import PaperFigure, Workshop
from mgaudit.papers.weight_noise.descent import Weights, noisy_descent
from mgaudit.papers.weight_noise.mean_over_seeds import mean_over_seeds
from mgaudit.papers.weight_noise.noises import NOISE_LOOKS, NOISES
from mgaudit.reports.figures.panels import legend, panels
from mgaudit.targets.seeds import numpy_generator
from mgaudit.theory.weight_noise import diagonal

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LassoSettings:
    """Sparse regressions, one a seed: `relevant` features of size 1 to 2 among `features`, with noise on the values."""

    examples: int = 60
    features: int = 16
    relevant: int = 4
    label_noise: float = 0.5
    alphas: tuple[float, ...] = (0.025, 0.05, 0.1, 0.2)
    problems: int = 8
    steps: int = 80_000
    learning_rate: float = 0.005
    start: float = 0.5
    seed: int = 0


def measure(settings: LassoSettings, workshop: Workshop) -> Data:
    """Returns the coefficients of the Lasso and of noisy descent, and the least of both objectives, for each alpha."""
    coefficients: list[Row] = []
    objectives: list[Row] = []
    problems = [_problem(settings, seed) for seed in range(settings.problems)]
    found = {noise: _descended(settings, problems, noise) for noise in NOISES}
    for seed, (x, y) in enumerate(problems):
        for place, alpha in enumerate(settings.alphas):
            lasso = Lasso(alpha, fit_intercept=False, tol=1e-12).fit(x, y).coef_
            about: Row = {"seed": float(seed), "alpha": alpha}
            coefficients += [
                {**about, "feature": float(feature), "lasso": float(lasso[feature])}
                | {noise: float(found[noise][seed, place, feature]) for noise in NOISES}
                for feature in range(settings.features)
            ]
            objectives.append(about | _objectives(x, y, alpha, lasso))
    return {"coefficients": coefficients, "objectives": objectives}


def _problem(settings: LassoSettings, problem: int) -> tuple[Floats, Floats]:
    """Returns features of mean square 1, (examples, features), and values (examples,)."""
    generator = numpy_generator(settings.seed, "regression", problem)
    x = generator.normal(size=(settings.examples, settings.features))
    x /= np.sqrt((x**2).mean(axis=0))
    signs = generator.choice([-1.0, 1.0], settings.relevant)
    truth = np.zeros(settings.features)
    truth[: settings.relevant] = signs * generator.uniform(1, 2, settings.relevant)
    return x, x @ truth + settings.label_noise * generator.normal(size=settings.examples)


def _descended(settings: LassoSettings, problems: list[tuple[Floats, Floats]], noise: str) -> Floats:
    """Returns w₁² − w₂² (problems, alphas, features) at the scheme's σ² = alpha, descended side by side."""
    h = np.stack([x.T @ x / len(x) for x, _ in problems])
    slope = np.stack([y @ x / len(x) for x, y in problems])[:, None]

    def gradient(weights: Weights) -> Weights:
        one, two = weights
        error = (one**2 - two**2) @ h - slope
        return [2 * one * error, -2 * two * error]

    start = np.full((len(problems), len(settings.alphas), settings.features), settings.start)
    return noisy_descent(
        gradient,
        lambda weights: weights[0] ** 2 - weights[1] ** 2,
        [start, start],
        noise,
        np.sqrt(settings.alphas)[:, None],
        settings.learning_rate,
        settings.steps,
        numpy_generator(settings.seed, f"noise on {noise}"),
    )


def _objectives(x: Floats, y: Floats, alpha: float, lasso: Floats) -> dict[str, str | float]:
    """Returns the least of the Lasso's objective and that of the network's expected risk, less its constant."""
    std, features = float(np.sqrt(alpha / 2)), x.shape[1]  # of each weight, with noise on both groups

    def risk(w: Floats) -> float:
        return diagonal.expected_risk(w[:features], w[features:], x, y, (std, std))

    def gradient(w: Floats) -> Floats:
        return np.concatenate(diagonal.expected_risk_gradient(w[:features], w[features:], x, y, (std, std)))

    least: Any = minimize(
        risk,
        np.full(2 * features, 0.5),
        jac=gradient,
        method="L-BFGS-B",
        options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 10_000},
    )
    of_lasso = float(((x @ lasso - y) ** 2).mean()) / 2 + alpha * float(abs(lasso).sum())
    return {"lasso": of_lasso, "network": float(least.fun) - diagonal.constant(x, std)}


def draw(data: Data) -> Figure:
    """Returns the coefficients of noisy descent against the Lasso's, and the path of the first problem over alpha."""
    figure, (against, path) = panels(2, 3.0, sharey=False)
    rows = data["coefficients"]
    lasso = [float(row["lasso"]) for row in rows]
    ends = [min(lasso), max(lasso)]
    against.plot(ends, ends, color="#888888", linewidth=1, label="equal")
    for noise in NOISES:
        colour, mark = NOISE_LOOKS[noise]
        found = [float(row[noise]) for row in rows]
        against.plot(
            lasso, found, color=colour, marker=mark, linestyle="", markersize=3, alpha=0.6, label=_label(noise)
        )
    against.set_xlabel("coefficient of the Lasso")
    against.set_ylabel("coefficient of noisy descent, w₁² − w₂²")
    first = [row for row in rows if row["seed"] == 0]
    for feature in sorted({float(row["feature"]) for row in first}):
        own = [row for row in first if row["feature"] == feature]
        alphas = [float(row["alpha"]) for row in own]
        path.plot(alphas, [float(row["lasso"]) for row in own], color="#888888", linewidth=1)
        colour, mark = NOISE_LOOKS["layer-wise"]
        path.plot(
            alphas, [float(row["layer-wise"]) for row in own], color=colour, marker=mark, linestyle="", markersize=3
        )
    path.set_xscale("log")
    alphas = sorted({float(row["alpha"]) for row in rows})
    path.set_xticks(alphas, [f"{alpha:g}" for alpha in alphas])
    path.set_xticks([], minor=True)
    path.set_xlabel("α of the Lasso, σ² of the noise")
    path.set_ylabel("coefficient, first problem")
    legend(figure, against)
    return figure


def _label(noise: str) -> str:
    return "no noise" if noise == "none" else f"noise, {noise}"


def _distances(data: Data, noise: str) -> list[float]:
    """Returns for each seed ‖b − b_Lasso‖ / ‖b_Lasso‖ over all alphas."""
    distances = []
    for seed in sorted({float(row["seed"]) for row in data["coefficients"]}):
        own = [row for row in data["coefficients"] if row["seed"] == seed]
        lasso = np.array([float(row["lasso"]) for row in own])
        found = np.array([float(row[noise]) for row in own])
        distances.append(float(np.linalg.norm(found - lasso) / np.linalg.norm(lasso)))
    return distances


def _same_coefficients(data: Data) -> Measured | NotRun:
    shares = [
        float(np.max(noisy)) / plain
        for plain, *noisy in zip(*(_distances(data, noise) for noise in NOISES), strict=True)
    ]
    return mean_over_seeds(
        "distance of noisy descent to the Lasso, relative to descent without noise, the worse of both noises",
        shares,
        at_most=0.05,
    )


def _same_zeros(data: Data) -> Measured | NotRun:
    shares = []
    for seed in sorted({float(row["seed"]) for row in data["coefficients"]}):
        zeros = [row for row in data["coefficients"] if row["seed"] == seed and row["lasso"] == 0]
        if not zeros:
            return NotRun(f"the Lasso of problem {seed:g} has no zeros")
        plain, *noisy = (np.max([abs(float(row[noise])) for row in zeros]) for noise in NOISES)
        shares.append(float(np.max(noisy) / plain))
    return mean_over_seeds(
        "largest coefficient where the Lasso's is 0, relative to descent without noise, the worse of both noises",
        shares,
        at_most=0.1,
    )


def _same_objective(data: Data) -> Measured | NotRun:
    gaps = [abs(float(row["network"]) / float(row["lasso"]) - 1) for row in data["objectives"]]
    return Measured("largest relative difference of the two least values", max(gaps), at_most=1e-6)


FIGURE = PaperFigure(
    key="lasso",
    title="The diagonal network under weight noise is a Lasso",
    about=(
        "The paper derives an ℓ₁ penalty for a diagonal network. Ours is f(x) = (w₁² − w₂²)ᵀx on features of mean "
        "square 1, where noise of the scheme's strength σ, on both groups or on one after the other, adds σ²(‖w₁‖² + "
        "‖w₂‖²) and a constant, which is the Lasso at α = σ². Descent is full-batch with fresh noise at each step; "
        "scikit-learn computes the Lasso. Sizes and learning rates are ours."
    ),
    quick=LassoSettings(),
    full=LassoSettings(examples=200, features=50, relevant=8, problems=10, steps=160_000),
    measure=measure,
    draw=draw,
    description=(
        "Left, the coefficients that descent under weight noise ends in against those of the Lasso: they lie on the "
        "diagonal, and those of descent without noise do not. Right, the coefficients of one problem against α, as "
        "lines of the Lasso and marks of noisy descent."
    ),
    claims=(
        Claim(
            "objective",
            "The least expected risk of the diagonal network is, but for a constant, the least of the Lasso's "
            "objective.",
            "diagonal networks",
            _same_objective,
        ),
        Claim(
            "coefficients",
            "Descent under weight noise ends in the coefficients of the Lasso.",
            "diagonal networks",
            _same_coefficients,
        ),
        Claim(
            "zeros",
            "Coefficients that the Lasso leaves at 0, noisy descent leaves below a tenth of the largest that descent "
            "without noise has there.",
            "diagonal networks",
            _same_zeros,
        ),
    ),
)
