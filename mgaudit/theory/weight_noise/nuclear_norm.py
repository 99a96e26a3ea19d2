"""Two linear layers under weight noise: a penalty on the nuclear norm of their product."""

import math

import numpy as np
from numpy.typing import ArrayLike

from mgaudit.theory.arguments import Floats, matrix, std_of


def least_product(inputs: ArrayLike, targets: ArrayLike, std: float) -> Floats:
    """Returns M (k, features), the minimum of least squares with a nuclear-norm penalty.

    It minimises

        (1/2n) ||X M^T - Y||^2 + P(M),    P(M) = (std^2 / n) sqrt(k) ||X|| ||M X^T||_*,

    where X is `inputs` (n, features), Y is `targets` (n, k), ||.||_* is the nuclear norm (the sum
    of the singular values) and `std` is that of the noise on a weight. Of several minima, the
    result is the one with the smallest norm.

    Except for a constant, P(M) is the least that noise adds over all W_2 and W_1 with W_2 W_1 = M.
    Noise on both layers adds (std^2 / 2n) [k ||W_1 X^T||^2 + ||W_2||^2 ||X||^2] and the constant
    `deep_linear.explosion`. And ||A||^2 + ||B||^2 is at least 2 ||B A||_*, here with A = sqrt(k)
    W_1 X^T and B = ||X|| W_2.

    The penalty is on the outputs M X^T, so that one step of singular-value thresholding finds them
    (Cai, Candès and Shen 2010): Y is projected onto the columns of X, and the singular values of
    the result are reduced by std^2 sqrt(k) ||X||, but not below 0. Raises ValueError for shapes
    that do not fit, a std < 0 and values that are not finite. Source: arXiv 2206.04613.
    """
    x = matrix("inputs", inputs)
    y = matrix("targets", targets, len(x))
    inverse = np.linalg.pinv(x)
    projected = x @ (inverse @ y)
    left, values, right = np.linalg.svd(projected.T, full_matrices=False)
    norm = math.sqrt(float(np.vdot(x, x)))
    root_outputs = math.sqrt(y.shape[1])
    threshold = std_of("std", std) ** 2 * root_outputs * norm
    outputs = left * np.maximum(values - threshold, 0) @ right
    product: Floats = outputs @ inverse.T
    return product
