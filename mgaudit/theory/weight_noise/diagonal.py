"""The diagonal network f(x) = (w_1^2 - w_2^2)^T x under weight noise: a Lasso.

Squares of w_1 and w_2 (features,) are taken entry by entry. The risk R is (1/2n) sum_i (f(x_i) -
y_i)^2 over n examples, and E R is its mean over the noise. X is `inputs` (examples, features).
"""

from dataclasses import dataclass

from numpy.typing import ArrayLike

from mgaudit.theory.arguments import Floats, matrix, std_of, vector


def expected_risk(
    positive: ArrayLike,
    negative: ArrayLike,
    inputs: ArrayLike,
    targets: ArrayLike,
    stds: tuple[float, float],
) -> float:
    """Returns E R of f(x) = (w_1^2 - w_2^2)^T x with independent noise on w_1 and w_2.

    The noise is N(0, stds[0]^2) on w_1 and N(0, stds[1]^2) on w_2.

    With h = diag(X^T X / n), s = stds and the mean coefficients b = w_1^2 - w_2^2 + s_1^2 - s_2^2,
    the expectation is exactly

        E R = (1/2n) ||X b - y||^2 + 2 h^T (s_1^2 w_1^2 + s_2^2 w_2^2) + (s_1^4 + s_2^4) sum_j h_j.

    With the same s on both, it is the sum of the risk without noise, 2 s^2 h^T (w_1^2 + w_2^2), and
    a constant.

    `positive` w_1 and `negative` w_2 are (features,), `targets` (examples,). Raises ValueError for
    shapes that do not fit, a std < 0 and values that are not finite. Source: arXiv 2206.04613, with
    the constant.
    """
    network = _checked(positive, negative, inputs, targets, stds)
    s_1, s_2 = network.stds
    residual = network.residual()
    from_positive = s_1**2 * network.positive**2
    from_negative = s_2**2 * network.negative**2
    constant_part = 2 * (s_1**4 + s_2**4)
    variance = 4 * (from_positive + from_negative) + constant_part
    fit = residual @ residual / len(network.x)
    return float(fit + _curvature(network.x) @ variance) / 2


def expected_risk_gradient(
    positive: ArrayLike,
    negative: ArrayLike,
    inputs: ArrayLike,
    targets: ArrayLike,
    stds: tuple[float, float],
) -> tuple[Floats, Floats]:
    """Returns the gradients of `expected_risk` in w_1 and w_2, each (features,).

    Raises ValueError as that function does.
    """
    network = _checked(positive, negative, inputs, targets, stds)
    s_1, s_2 = network.stds
    slope = network.x.T @ network.residual() / len(network.x)
    h = _curvature(network.x)
    by_positive = slope + 2 * s_1**2 * h
    by_negative = 2 * s_2**2 * h - slope
    gradient_positive = 2 * network.positive * by_positive
    gradient_negative = 2 * network.negative * by_negative
    return gradient_positive, gradient_negative


def constant(inputs: ArrayLike, std: float) -> float:
    """Returns 2 std^4 sum_j h_j, the part of E R - R that does not depend on the weights.

    The noise has the same std on w_1 and w_2, and h_j is the mean square of feature j.

    Raises:
        ValueError: for a std < 0 and for inputs that are not a finite matrix.
    """
    h = _curvature(matrix("inputs", inputs))
    return 2 * std_of("std", std) ** 4 * float(h.sum())


@dataclass(frozen=True)
class _Network:
    """The arguments of `expected_risk` after checks.

    `positive` is w_1 and `negative` is w_2, each (features,); `x` is (examples, features) and `y`
    (examples,). `stds` are the standard deviations of the noise on w_1 and on w_2.
    """

    positive: Floats
    negative: Floats
    x: Floats
    y: Floats
    stds: tuple[float, float]

    def residual(self) -> Floats:
        """Returns the mean output under the noise minus the target of each example, (examples,)."""
        s_1, s_2 = self.stds
        coefficients = self.positive**2 - self.negative**2
        mean = coefficients + s_1**2 - s_2**2
        return self.x @ mean - self.y


def _checked(
    positive: ArrayLike,
    negative: ArrayLike,
    inputs: ArrayLike,
    targets: ArrayLike,
    stds: tuple[float, float],
) -> _Network:
    """Returns the arguments as a network. Raises ValueError as `expected_risk` does."""
    x = matrix("inputs", inputs)
    examples, features = x.shape
    return _Network(
        vector("positive", positive, features),
        vector("negative", negative, features),
        x,
        vector("targets", targets, examples),
        (std_of("stds[0]", stds[0]), std_of("stds[1]", stds[1])),
    )


def _curvature(x: Floats) -> Floats:
    """Returns h = diag(X^T X / n), the mean square of each feature, (features,)."""
    h: Floats = (x**2).mean(axis=0)
    return h
