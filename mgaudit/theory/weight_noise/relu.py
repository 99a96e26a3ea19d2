"""One hidden ReLU layer under weight noise: exact expected risk and its second order."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mgaudit.theory.arguments import Floats, matrix, std_of
from mgaudit.theory.smoothed_relu import (
    rectified_variance,
    rectified_variance_gradient,
    second_moment,
    smoothed_relu,
    smoothed_relu_gradient,
)


def expected_risk(
    first: ArrayLike,
    second: ArrayLike,
    inputs: ArrayLike,
    targets: ArrayLike,
    stds: tuple[float, float],
) -> float:
    """Returns the exact expectation of the risk of f(x) = W_2 (W_1 x)_+ under weight noise.

    The risk R is half the mean over the examples of ||f(x_i) - y_i||^2. The noise is independent
    N(0, stds[0]^2) on each entry of W_1, and N(0, stds[1]^2) on each entry of W_2.

    The preactivation of neuron r at example i is N(z, t^2) with z = w_r^T x_i and
    t = stds[0] ||x_i||. The mean mu_ir and the second moment q_ir of its rectified value are

        mu = z Phi(z/t) + t phi(z/t)
        q  = (z^2 + t^2) Phi(z/t) + z t phi(z/t)

    With k outputs and the columns v_r of W_2, the expectation is

        E R = 1/(2n) sum_i [ ||W_2 mu_i - y_i||^2
                             + sum_r (||v_r||^2 (q_ir - mu_ir^2) + k stds[1]^2 q_ir) ]

    The variance q - mu^2 is computed directly, and not as this difference.

    Args:
        first: W_1 (width, features).
        second: W_2 (k, width).
        inputs: x (examples, features).
        targets: y (examples, k).
        stds: Standard deviations of the noise on W_1 and on W_2.

    Raises:
        ValueError: Shapes do not fit, a standard deviation is below 0, or a value is not finite.

    Derived here. arXiv 2206.04613 gives the expansion to second order in the standard deviations.
    """
    net = _checked(first, second, inputs, targets, stds)
    z, t = net.preactivations
    by_first = net.outgoing_squares @ rectified_variance(z, t).sum(axis=0)
    by_second = net.variance * len(net.second) * second_moment(z, t).sum()
    residual = smoothed_relu(z, t) @ net.second.T - net.y
    squares = (residual**2).sum()
    return float(squares + by_first + by_second) / (2 * len(net.x))


def expected_risk_gradient(
    first: ArrayLike,
    second: ArrayLike,
    inputs: ArrayLike,
    targets: ArrayLike,
    stds: tuple[float, float],
) -> tuple[Floats, Floats]:
    """Returns the gradients of `expected_risk` in W_1 (width, features) and W_2 (k, width).

    Arguments, errors and the letters mu, q, z and t are those of `expected_risk`. The derivatives
    are d mu / d z = Phi(z/t) and d q / d z = 2 mu. For t = 0, d mu / d z is 0 for z < 0, 1 for
    z > 0, and 1/2, the limit for t -> 0, for z = 0.
    """
    net = _checked(first, second, inputs, targets, stds)
    z, t = net.preactivations
    mean = smoothed_relu(z, t)
    at_kink = (z == 0) & (t == 0)
    slope = np.where(at_kink, 0.5, smoothed_relu_gradient(z, t).z)
    residual = mean @ net.second.T - net.y
    variances = rectified_variance(z, t).sum(axis=0)
    by_second = residual.T @ mean + net.second * variances
    noise_on_first = net.outgoing_squares * rectified_variance_gradient(z, t).z / 2
    noise_on_second = net.variance * len(net.second) * mean
    by_z = residual @ net.second * slope + (noise_on_first + noise_on_second)
    by_first = by_z.T @ net.x
    return by_first / len(net.x), by_second / len(net.x)


def second_order(
    first: ArrayLike, second: ArrayLike, inputs: ArrayLike, stds: tuple[float, float]
) -> tuple[float, float]:
    """Returns the second-order parts of E R - R that noise on W_1 and that noise on W_2 adds.

    With z_ir the preactivation of neuron r at example i, the columns v_r of W_2 and k outputs, the
    two parts are

        (stds[0]^2 / 2n) sum_ir ||v_r||^2 1[z_ir > 0] ||x_i||^2,
        (stds[1]^2 / 2n) k ||(W_1 X^T)_+||^2.

    For stds[0] = 0, the second part is all of E R - R. If no z is 0, the rest of E R - R is
    stds[0]^2 stds[1]^2 `explosion`, and a term that vanishes faster than any power of the standard
    deviations, as exp(-z^2 / 2 t^2) with t = stds[0] ||x_i||. A neuron with z = 0 adds a term
    linear in stds[0].

    Arguments and errors as for `expected_risk`. Source: arXiv 2206.04613.
    """
    x, w_1, w_2 = _weights(first, second, inputs)
    variance_1 = std_of("stds[0]", stds[0]) ** 2
    variance_2 = std_of("stds[1]", stds[1]) ** 2
    z = x @ w_1.T
    input_squares = (x**2).sum(axis=1)
    output_squares = (w_2**2).sum(axis=0)
    by_first = ((z > 0).T @ input_squares) @ output_squares
    by_second = len(w_2) * (np.maximum(z, 0) ** 2).sum()
    from_first = float(variance_1 * by_first)
    from_second = float(variance_2 * by_second)
    return from_first / (2 * len(x)), from_second / (2 * len(x))


def explosion(first: ArrayLike, outputs: int, inputs: ArrayLike) -> float:
    """Returns the coefficient of stds[0]^2 stds[1]^2 in E R - R, which grows with the width.

    It is (k / 2n) sum_i ||x_i||^2 a_i, where a_i is the number of neurons that are active for x_i,
    k is `outputs` and x_i are the rows of `inputs` (n, features). In a linear network all neurons
    count, whatever the weights are. Here the coefficient depends on the weights `first` (width,
    features). It is half of the coefficient of the linear network if each neuron has a mirror image
    with weights -w. So it is on average over weights that are as likely as their negatives.
    Raises ValueError for shapes that do not fit, outputs < 1 and values that are not finite.
    """
    x = matrix("inputs", inputs)
    w_1 = matrix("first", first, columns=x.shape[1])
    if outputs < 1:
        raise ValueError(f"outputs must be >= 1, got {outputs}")
    active = x @ w_1.T > 0
    input_squares = (x**2).sum(axis=1)
    active_squares = (input_squares @ active).sum()
    return float(outputs * active_squares) / (2 * len(x))


@dataclass(frozen=True)
class _Network:
    """The arguments after checks: W_1, W_2, inputs and targets.

    `first` is W_1 (width, features), `second` is W_2 (k, width), `x` is (examples, features) and
    `y` is (examples, k). `std` is the standard deviation of the noise on W_1, and `variance` is the
    variance of the noise on W_2.
    """

    first: Floats
    second: Floats
    x: Floats
    y: Floats
    std: float
    variance: float

    @property
    def outgoing_squares(self) -> Floats:
        """The squared norms of the outgoing weights of each neuron in W_2, (width,)."""
        squared_norms: Floats = (self.second**2).sum(axis=0)
        return squared_norms

    @property
    def preactivations(self) -> tuple[Floats, Floats]:
        """Mean z and standard deviation t of the first layer's outputs, (examples, width) each."""
        z = self.x @ self.first.T
        norms = np.linalg.norm(self.x, axis=1, keepdims=True)
        return z, np.broadcast_to(self.std * norms, z.shape)


def _checked(
    first: ArrayLike,
    second: ArrayLike,
    inputs: ArrayLike,
    targets: ArrayLike,
    stds: tuple[float, float],
) -> _Network:
    """Returns the arguments as a network. Raises ValueError as `expected_risk` does."""
    x, w_1, w_2 = _weights(first, second, inputs)
    y = matrix("targets", targets, len(x), len(w_2))
    std = std_of("stds[0]", stds[0])
    variance = std_of("stds[1]", stds[1]) ** 2
    return _Network(w_1, w_2, x, y, std, variance)


def _weights(
    first: ArrayLike, second: ArrayLike, inputs: ArrayLike
) -> tuple[Floats, Floats, Floats]:
    """Returns the inputs, W_1 and W_2 as float64 matrices.

    Raises ValueError unless they are finite and their shapes fit.
    """
    x = matrix("inputs", inputs)
    w_1 = matrix("first", first, columns=x.shape[1])
    w_2 = matrix("second", second, columns=len(w_1))
    return x, w_1, w_2
