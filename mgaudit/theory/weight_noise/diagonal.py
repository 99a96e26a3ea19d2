"""The diagonal network w_1^2 - w_2^2 under weight noise: a Lasso."""

from numpy.typing import ArrayLike

from mgaudit.theory.arguments import Floats, matrix, std_of, vector


def expected_risk(
    positive: ArrayLike, negative: ArrayLike, inputs: ArrayLike, targets: ArrayLike, stds: tuple[float, float]
) -> float:
    """Returns E R of f(x) = (w_1^2 - w_2^2)^T x with independent noise N(0, stds[0]^2) on w_1, N(0, stds[1]^2) on w_2.

    Exact. With h = diag(X^T X / n), s = stds and b = w_1^2 - w_2^2 + s_1^2 - s_2^2, the mean,
    E R = (1/2n) ||X b - y||^2 + 2 h^T (s_1^2 w_1^2 + s_2^2 w_2^2) + (s_1^4 + s_2^4) sum h. With one s for both that is
    the risk without noise, 2 s^2 h^T (w_1^2 + w_2^2), and a constant.

    `positive` w_1 and `negative` w_2 are (features,), `targets` (examples,). Raises ValueError for shapes that do not
    fit, a std < 0 and values that are not finite. Source: arXiv 2206.04613, with the constant.
    """
    one, two, x, y, s_1, s_2 = _checked(positive, negative, inputs, targets, stds)
    residual = x @ (one**2 - two**2 + s_1**2 - s_2**2) - y
    variance = 4 * (s_1**2 * one**2 + s_2**2 * two**2) + 2 * (s_1**4 + s_2**4)
    return float(residual @ residual / len(x) + _curvature(x) @ variance) / 2


def expected_risk_gradient(
    positive: ArrayLike, negative: ArrayLike, inputs: ArrayLike, targets: ArrayLike, stds: tuple[float, float]
) -> tuple[Floats, Floats]:
    """Returns the gradients of `expected_risk` in w_1 and in w_2, (features,) each; raises what it raises."""
    one, two, x, y, s_1, s_2 = _checked(positive, negative, inputs, targets, stds)
    slope = x.T @ (x @ (one**2 - two**2 + s_1**2 - s_2**2) - y) / len(x)
    h = _curvature(x)
    return 2 * one * (slope + 2 * s_1**2 * h), 2 * two * (2 * s_2**2 * h - slope)


def constant(inputs: ArrayLike, std: float) -> float:
    """Returns 2 std^4 sum_j h_j, what noise of one std adds whatever the weights; raises ValueError."""
    return 2 * std_of("std", std) ** 4 * float(_curvature(matrix("inputs", inputs)).sum())


def _checked(
    positive: ArrayLike, negative: ArrayLike, inputs: ArrayLike, targets: ArrayLike, stds: tuple[float, float]
) -> tuple[Floats, Floats, Floats, Floats, float, float]:
    x = matrix("inputs", inputs)
    one, two = vector("positive", positive, x.shape[1]), vector("negative", negative, x.shape[1])
    return one, two, x, vector("targets", targets, len(x)), std_of("stds[0]", stds[0]), std_of("stds[1]", stds[1])


def _curvature(x: Floats) -> Floats:
    """Returns h = diag(X^T X / n)."""
    h: Floats = (x**2).mean(axis=0)
    return h
