"""Two linear layers under weight noise: a penalty on the nuclear norm of their product."""

import math

import numpy as np
from numpy.typing import ArrayLike

from mgaudit.theory.arguments import Floats, matrix, std_of


def least_product(inputs: ArrayLike, targets: ArrayLike, std: float) -> Floats:
    """Returns M (k, features), the minimum of least squares with a nuclear-norm penalty.

    It minimises (1/2n) ||X M^T - Y||^2 + P(M), and is the shortest such M.

    P(M) = (std^2 / n) sqrt(k) ||X||_F ||M X^T||_* is the least that noise adds for W_2 W_1 = M, but
    for a constant: noise on both layers adds (std^2 / 2n) [k ||W_1 X^T||^2 + ||W_2||^2 ||X||^2] and
    `deep_linear.explosion`, and ||A||^2 + ||B||^2 is at least 2 ||B A||_*, here with A = sqrt(k)
    W_1 X^T and B = ||X||_F W_2.

    The penalty is on the outputs N = M X^T, so that one step of singular-value thresholding finds
    them: the singular values of Y^T P, P the projection onto the columns of X, fall by std^2
    sqrt(k) ||X||_F, and to 0 at least (Cai, Candès and Shen 2010). `targets` is (examples, k).
    Raises ValueError for shapes that do not fit, a std < 0 and values that are not finite. Source:
    arXiv 2206.04613.
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
