"""Noise on the weights of the diagonal network, compared with scikit-learn's Lasso.

The network is f(x) = (w₁² − w₂²)ᵀx. Its coefficients are w₁² − w₂², and alpha is the factor of the
Lasso's penalty, which corresponds to noise of strength σ with σ² = alpha.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.linear_model import Lasso

from mgaudit.papers.claim import Claim, Data, Measured, NotRun, Row
from mgaudit.papers.paper import PaperFigure, Resources
from mgaudit.papers.rows import column, distinct, matching, ratios
from mgaudit.papers.weight_noise.descent import Weights, least_squares, noisy_descent
from mgaudit.papers.weight_noise.mean_over_seeds import mean_over_seeds
from mgaudit.papers.weight_noise.noises import NOISE_LOOKS, NOISES, noise_label, scatter
from mgaudit.reports.figures.panels import legend, panels
from mgaudit.targets.seeds import numpy_generator
from mgaudit.theory.weight_noise import diagonal

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LassoSettings:
    """Sparse regressions, one for each of `problems` seeds, with noise on the values.

    `label_noise` is its standard deviation, and `start` is the initial value of all weights.
    `relevant` of the `features` have a coefficient of size 1 to 2, and the others have 0.
    """

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


def measure(settings: LassoSettings, resources: Resources) -> Data:
    """Returns the tables `coefficients` and `objectives`.

    `coefficients` has the Lasso's and those of descent under each kind of noise, a row for each
    problem, alpha and feature. `objectives` has the minima of the Lasso and of the expected risk.
    """
    data: Data = {"coefficients": [], "objectives": []}
    problems = [_problem(settings, seed) for seed in range(settings.problems)]
    descended = {noise: _descended(settings, problems, noise) for noise in NOISES}
    for seed, (x, y) in enumerate(problems):
        for index, alpha in enumerate(settings.alphas):
            head: Row = {"seed": float(seed), "alpha": alpha}
            lasso = Lasso(alpha, fit_intercept=False, tol=1e-12).fit(x, y).coef_
            coefficients = {"lasso": lasso}
            coefficients |= {noise: descended[noise][seed, index] for noise in NOISES}
            for feature in range(settings.features):
                values = {name: float(array[feature]) for name, array in coefficients.items()}
                data["coefficients"].append({**head, "feature": float(feature), **values})
            data["objectives"].append(head | _objectives(x, y, alpha, lasso))
    return data


def _problem(settings: LassoSettings, problem: int) -> tuple[Floats, Floats]:
    """Returns the features (examples, features) and the values (examples,) of one problem.

    Each feature has the mean square 1, and `problem` is the number of the problem.
    """
    generator = numpy_generator(settings.seed, "regression", problem)
    x = generator.normal(size=(settings.examples, settings.features))
    x /= np.sqrt((x**2).mean(axis=0))
    signs = generator.choice([-1.0, 1.0], settings.relevant)
    sizes = generator.uniform(1, 2, settings.relevant)
    truth = np.zeros(settings.features)
    truth[: settings.relevant] = signs * sizes
    label_noise = settings.label_noise * generator.normal(size=settings.examples)
    return x, x @ truth + label_noise


def _descended(
    settings: LassoSettings, problems: list[tuple[Floats, Floats]], noise: str
) -> Floats:
    """Returns w₁² − w₂² (problems, alphas, features) after descent at σ² = alpha.

    `problems` has features and values (`_problem`), and `noise` is a kind of noise.
    """
    xs, ys = zip(*problems, strict=True)
    covariances, correlations = least_squares(xs, ys)

    def coefficients(weights: Weights) -> Floats:
        """Returns w₁² − w₂² (problems, alphas, features) for w₁ and w₂ of that shape."""
        positive, negative = weights
        return positive**2 - negative**2

    def gradient(weights: Weights) -> Weights:
        """Returns the gradients of half the mean squared error in w₁ and w₂, without noise."""
        positive, negative = weights
        error = coefficients(weights) @ covariances - correlations[:, None]
        return [2 * positive * error, -2 * negative * error]

    shape = (len(problems), len(settings.alphas), settings.features)
    start = np.full(shape, settings.start)
    return noisy_descent(
        gradient,
        coefficients,
        [start, start],
        noise,
        np.sqrt(settings.alphas)[:, None],
        settings.learning_rate,
        settings.steps,
        numpy_generator(settings.seed, f"noise on {noise}"),
    )


def _objectives(x: Floats, y: Floats, alpha: float, lasso: Floats) -> dict[str, str | float]:
    """Returns the minima of the Lasso's objective and of the expected risk without its constant.

    `x` is (examples, features), `y` (examples,), and `lasso` (features,) the Lasso's coefficients.
    """
    std = float(np.sqrt(alpha / 2))  # of each weight, with noise on both groups
    stds = (std, std)

    def risk(weights: Floats) -> float:
        """Returns the expected risk for w₁ and w₂, joined in `weights` (2 features,)."""
        positive, negative = np.split(weights, 2)
        return diagonal.expected_risk(positive, negative, x, y, stds)

    def gradient(weights: Floats) -> Floats:
        """Returns the gradient of `risk`, (2 features,)."""
        positive, negative = np.split(weights, 2)
        return np.concatenate(diagonal.expected_risk_gradient(positive, negative, x, y, stds))

    least: Any = minimize(
        risk,
        np.full(2 * x.shape[1], 0.5),
        jac=gradient,
        method="L-BFGS-B",
        options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 10_000},
    )
    risk_of_lasso = float(((x @ lasso - y) ** 2).mean()) / 2
    penalty = alpha * float(abs(lasso).sum())
    return {
        "lasso": risk_of_lasso + penalty,
        "network": float(least.fun) - diagonal.constant(x, std),
    }


def draw(data: Data) -> Figure:
    """Returns the coefficients of descent against the Lasso's, and against alpha."""
    figure, (against_lasso, against_alpha) = panels(2, 3.0, sharey=False)
    rows = data["coefficients"]
    _draw_against_lasso(against_lasso, rows)
    _draw_against_alpha(against_alpha, matching(rows, seed=0))
    alphas = distinct(rows, "alpha")
    against_alpha.set_xscale("log")
    against_alpha.set_xticks(alphas, [f"{alpha:g}" for alpha in alphas])
    against_alpha.set_xticks([], minor=True)
    against_alpha.set_xlabel("α of the Lasso, σ² of the noise")
    against_alpha.set_ylabel("coefficient, first problem")
    legend(figure, against_lasso)
    return figure


def _draw_against_lasso(axes: Axes, rows: list[Row]) -> None:
    """Draws the coefficients of descent against the Lasso's, with the diagonal of equal ones."""
    lasso = column(rows, "lasso")
    ends = [min(lasso), max(lasso)]
    axes.plot(ends, ends, color="#888888", linewidth=1, label="equal")
    for noise in NOISES:
        scatter(axes, noise, lasso, column(rows, noise), noise_label(noise))
    axes.set_xlabel("coefficient of the Lasso")
    axes.set_ylabel("coefficient of noisy descent, w₁² − w₂²")


def _draw_against_alpha(axes: Axes, rows: list[Row]) -> None:
    """Draws the Lasso's coefficients (lines) and those under layer-wise noise (marks) by alpha."""
    colour, mark = NOISE_LOOKS["layer-wise"]
    for feature in distinct(rows, "feature"):
        feature_rows = matching(rows, feature=feature)
        alphas = column(feature_rows, "alpha")
        descended = column(feature_rows, "layer-wise")
        axes.plot(alphas, column(feature_rows, "lasso"), color="#888888", linewidth=1)
        axes.plot(alphas, descended, color=colour, marker=mark, linestyle="", markersize=3)


def _distances(data: Data, noise: str) -> list[float]:
    """Returns for each seed ‖b − b_Lasso‖ / ‖b_Lasso‖ over all alphas."""
    distances = []
    for seed in distinct(data["coefficients"], "seed"):
        rows = matching(data["coefficients"], seed=seed)
        lasso = np.array(column(rows, "lasso"))
        descended = np.array(column(rows, noise))
        distance = np.linalg.norm(descended - lasso)
        distances.append(float(distance / np.linalg.norm(lasso)))
    return distances


def _same_coefficients(data: Data) -> Measured | NotRun:
    """Returns the distance of noisy descent to the Lasso over that without noise: at most 5 %."""
    distances = [_distances(data, noise) for noise in NOISES]
    shares = []
    for plain, *noisy in zip(*distances, strict=True):
        worse = float(np.max(noisy))
        shares.append(worse / plain)
    return mean_over_seeds(
        (
            "distance of noisy descent to the Lasso, relative to descent without noise, the "
            "worse of both noises"
        ),
        shares,
        at_most=0.05,
    )


def _same_zeros(data: Data) -> Measured | NotRun:
    """Returns how large coefficients of noisy descent are where the Lasso's are 0: at most 10 %.

    They are divided by those of descent without noise. NotRun if a Lasso has no zeros.
    """
    shares = []
    for seed in distinct(data["coefficients"], "seed"):
        zeros = matching(data["coefficients"], seed=seed, lasso=0)
        if not zeros:
            return NotRun(f"the Lasso of problem {seed:g} has no zeros")
        sizes = [np.abs(column(zeros, noise)) for noise in NOISES]
        plain, *noisy = map(np.max, sizes)
        shares.append(float(np.max(noisy) / plain))
    return mean_over_seeds(
        (
            "largest coefficient where the Lasso's is 0, relative to descent without noise, the "
            "worse of both noises"
        ),
        shares,
        at_most=0.1,
    )


def _same_objective(data: Data) -> Measured | NotRun:
    """Returns the largest relative difference between the minima of expected risk and Lasso."""
    relative = ratios(data["objectives"], "network", "lasso")
    gaps = [abs(ratio - 1) for ratio in relative]
    return Measured("largest relative difference of the two minima", max(gaps), at_most=1e-6)


FIGURE = PaperFigure(
    key="lasso",
    title="The diagonal network under weight noise is a Lasso",
    about=(
        "The paper derives an ℓ₁ penalty for a diagonal network. Ours is f(x) = (w₁² − w₂²)ᵀx on "
        "features of mean square 1, where noise of the scheme's strength σ, on both groups or on "
        "one after the other, adds σ²(‖w₁‖² + ‖w₂‖²) and a constant, which is the Lasso at α = "
        "σ². Descent is full-batch with fresh noise at each step; scikit-learn computes the "
        "Lasso. Sizes and learning rates are ours."
    ),
    quick=LassoSettings(),
    full=LassoSettings(examples=200, features=50, relevant=8, problems=10, steps=160_000),
    measure=measure,
    uses_resources=False,
    draw=draw,
    description=(
        "Left, the coefficients that descent under weight noise ends in against those of the "
        "Lasso: they lie on the diagonal, and those of descent without noise do not. Right, the "
        "coefficients of one problem against α, as lines of the Lasso and marks of noisy descent."
    ),
    claims=(
        Claim(
            "objective",
            "The least expected risk of the diagonal network is, but for a constant, the least of "
            "the Lasso's objective.",
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
            "Coefficients that the Lasso leaves at 0, noisy descent leaves below a tenth of the "
            "largest that descent without noise has there.",
            "diagonal networks",
            _same_zeros,
        ),
    ),
)
