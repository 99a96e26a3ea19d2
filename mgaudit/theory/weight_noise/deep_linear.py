"""The exact expected risk of deep linear networks, a polynomial in the variance of the noise.

The risk R is (1/2n) ||f(X) - Y||^2 over n examples, and E R is its mean over the noise.
The network has L layers with the weight matrices W_1 ... W_L. In all functions, `weights[l]` is
W_(l+1) with the shape (outputs of the layer, inputs of the layer), and W_1 takes the features of
`inputs` (examples, features).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from mgaudit.theory.arguments import Floats, matrix, std_of


def expected_risk(
    weights: Sequence[ArrayLike], inputs: ArrayLike, targets: ArrayLike, stds: Sequence[float]
) -> float:
    """Returns the exact E R of f(x) = (W_L + E_L) ... (W_1 + E_1) x under independent noise.

    The entries of E_l are N(0, s_l^2), and `stds` (L,) are s_1 ... s_L. The mean of the outputs is
    the output f(X) without noise, and

        E R = (1/2n) [||f(X) - Y||^2 + tr D_L].

    D_l is what the noise adds to the second moment of the outputs of layer l. With D_0 = 0 and
    f_l = W_l ... W_1 X^T,

        D_l = W_l D_{l-1} W_l^T + s_l^2 (||f_{l-1}||^2 + tr D_{l-1}) I.

    All terms are >= 0, so for a perfect fit, only the risk of the noise is left. `targets` is
    (examples, outputs). Raises ValueError for shapes that do not fit, for a std < 0 and for values
    that are not finite. Derived here; the method is that of arXiv 2206.04613.

    >>> risk = expected_risk([[[2.0]], [[3.0]]], [[1.0]], [[6.0]], [0.1, 0.1])
    >>> round(risk, 12)  # (0.01 * (4 + 9) + 0.01^2) / 2
    0.06505
    """
    chain, x, y, variances = _checked(weights, inputs, targets, stds)
    means, covariances = _moments(chain, x, variances)
    fit = _squared(means[-1] - y.T)
    noise = np.trace(covariances[-1])
    return float(fit + noise) / (2 * len(x))


def expected_risk_gradient(
    weights: Sequence[ArrayLike], inputs: ArrayLike, targets: ArrayLike, stds: Sequence[float]
) -> list[Floats]:
    """Returns the gradient of `expected_risk` in each weight matrix, of the shape of that matrix.

    Arguments, errors and notation are those of `expected_risk`. With P_l = W_L ... W_{l+1} (P_L is
    the identity), B_L = 0 and

        B_{l-1} = W_l^T B_l W_l + s_l^2 (||P_l||^2 + tr B_l) I,

    the gradient of tr D_L in W_l is

        2 (P_l^T P_l + B_l) W_l D_{l-1} + 2 B_l W_l f_{l-1} f_{l-1}^T.
    """
    chain, x, y, variances = _checked(weights, inputs, targets, stds)
    means, covariances = _moments(chain, x, variances)
    residual = means[-1] - y.T
    outputs = len(chain[-1])
    later_product = np.eye(outputs)  # P_l
    adjoint = np.zeros((outputs, outputs))  # B_l
    gradient = []
    for layer in reversed(range(len(chain))):
        weight, mean = chain[layer], means[layer]
        covariance = covariances[layer]
        by_mean = later_product.T @ residual @ mean.T
        by_noise_before = (later_product.T @ later_product + adjoint) @ weight @ covariance
        by_noise_behind = adjoint @ weight @ mean @ mean.T
        by_noise = by_noise_before + by_noise_behind
        gradient.append((by_mean + by_noise) / len(x))
        arriving = variances[layer] * (_squared(later_product) + np.trace(adjoint))
        identity = np.eye(weight.shape[1])
        adjoint = weight.T @ adjoint @ weight + arriving * identity
        later_product = later_product @ weight
    return gradient[::-1]


def excess_by_order(weights: Sequence[ArrayLike], inputs: ArrayLike) -> Floats:
    """Returns the coefficients c (L,) of what noise N(0, std^2) on all weights adds to the risk R:

        E R - R = sum_j c[j - 1] std^(2 j),    j = 1 ... L.

    The first coefficient c[0] is what noise on one layer at a time adds, summed over the layers,

        (1/2n) sum_l ||W_L ... W_{l+1}||^2 ||W_{l-1} ... W_1 X^T||^2.

    The last is d_1 ... d_L ||X||^2 / 2n, where d_l is the number of rows of W_l. It does not depend
    on the weights and grows with every width. For two layers it gives the variance explosion std^4
    d_1 d_2 ||X||^2 / 2n. Source: arXiv 2206.04613, whose sigma is the std here. Raises ValueError
    for shapes that do not fit and for values that are not finite.
    """
    x = matrix("inputs", inputs)
    chain = layers(weights, x)
    # Noise on layer a turns its input, of second moment S, into tr(S) I, which later layers
    # propagate up to b: traces[b][j] = ||W_b ... W_1 X^T||^2 for j = 0, else the sum over a of
    # traces[a][j - 1] ||W_b ... W_{a+1}||^2.
    count = len(chain)
    traces = np.zeros((count + 1, count + 1))
    traces[0, 0] = np.vdot(x, x)
    signal = x.T
    for end, weight in enumerate(chain, start=1):
        signal = weight @ signal
        traces[end, 0] = np.vdot(signal, signal)
        later_product = np.eye(len(weight))
        for layer in range(end, 0, -1):
            squares = np.vdot(later_product, later_product)
            traces[end, 1:] += traces[layer - 1, :-1] * squares
            later_product = later_product @ chain[layer - 1]
    orders: Floats = traces[count, 1:] / (2 * len(x))
    return orders


def all_layers_excess(weights: Sequence[ArrayLike], inputs: ArrayLike, sigma: float) -> float:
    """Returns E R - R with noise of standard deviation sigma / sqrt(L) on all weights.

    Raises ValueError as `excess_by_order` does, and for sigma < 0.
    """
    orders = excess_by_order(weights, inputs)
    variance = std_of("sigma", sigma) ** 2 / len(orders)
    exponents = np.arange(1, len(orders) + 1)
    return float(orders @ variance**exponents)


def layerwise_excess(weights: Sequence[ArrayLike], inputs: ArrayLike, sigma: float) -> float:
    """Returns how much noise on the weights of one layer raises the expected risk of the network.

    The risk R is half the mean squared error. The noise has the standard deviation sigma, and the
    result E R - R is the average over the choice of the noisy layer among the L layers:

        sigma^2 c_1 / L,

    where c_1 is the coefficient of the lowest power of the variance, `excess_by_order`(...)[0].
    Raises ValueError as `excess_by_order` does, and for sigma < 0.
    """
    orders = excess_by_order(weights, inputs)
    variance = std_of("sigma", sigma) ** 2
    return float(orders[0] * variance / len(orders))


def explosion(widths: Sequence[int], inputs: ArrayLike, std: float) -> float:
    """Returns the part of E R - R of the highest order in std, which grows with every width:

        std^(2 L) d_1 ... d_L ||X||^2 / 2n.

    X is `inputs` (n, features), and noise N(0, std^2) is on all weights of all L layers. `widths`
    are the numbers d_1 ... d_L of outputs of all layers. Raises ValueError for a width < 1, a std <
    0 and inputs that are not a finite matrix.
    """
    x = matrix("inputs", inputs)
    if not len(widths) or min(widths) < 1:
        raise ValueError(f"widths must hold numbers >= 1, got {list(widths)}")
    variance = std_of("std", std) ** 2
    product = np.prod([variance * width for width in widths])
    square = np.vdot(x, x)
    return float(product * square / (2 * len(x)))


def _checked(
    weights: Sequence[ArrayLike], inputs: ArrayLike, targets: ArrayLike, stds: Sequence[float]
) -> tuple[list[Floats], Floats, Floats, list[float]]:
    """Returns the checked matrices, inputs and targets, and the variances of the noise by layer."""
    x = matrix("inputs", inputs)
    chain = layers(weights, x)
    if len(stds) != len(chain):
        raise ValueError(
            f"stds must hold one number for each of {len(chain)} layers, got {len(stds)}"
        )
    variances = [std_of(f"stds[{layer}]", std) ** 2 for layer, std in enumerate(stds)]
    y = matrix("targets", targets, len(x), len(chain[-1]))
    return chain, x, y, variances


def _moments(
    chain: list[Floats], x: Floats, variances: list[float]
) -> tuple[list[Floats], list[Floats]]:
    """Returns the mean outputs f_0 ... f_L of the layers, and the D_0 ... D_L of `expected_risk`.

    f_l is (width of layer l, examples), and D_l is (width of layer l, width of layer l). `chain`
    has W_1 ... W_L, `x` is (examples, features) and `variances` are s_1^2 ... s_L^2.
    """
    features = x.shape[1]
    mean, covariance = x.T, np.zeros((features, features))
    means, covariances = [mean], [covariance]
    for weight, variance in zip(chain, variances, strict=True):
        new_noise = variance * (_squared(mean) + np.trace(covariance))
        identity = np.eye(len(weight))
        covariance = weight @ covariance @ weight.T + new_noise * identity
        mean = weight @ mean
        means.append(mean)
        covariances.append(covariance)
    return means, covariances


def _squared(array: Floats) -> float:
    """Returns the squared Frobenius norm."""
    return float(np.vdot(array, array))


def layers(weights: Sequence[ArrayLike], inputs: Floats) -> list[Floats]:
    """Returns the matrices of a chain W_L ... W_1 that acts on the features of `inputs`.

    Raises ValueError for an empty chain, and for a matrix whose columns do not match its
    predecessor's rows.
    """
    if not len(weights):
        raise ValueError("weights must hold 1 matrix or more, got 0")
    chain = []
    width = inputs.shape[1]
    for layer, weight in enumerate(weights):
        checked = matrix(f"weights[{layer}]", weight, columns=width)
        chain.append(checked)
        width = len(checked)
    return chain
