import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgaudit.theory import expected_loss as exact
from mgaudit.theory.expected_loss import (
    expected_loss,
    expected_loss_gradient,
    output_mean,
    output_variance,
)
from mgaudit.theory.loss_decomposition import (
    decompose,
    proxy_gaps,
    proxy_outputs,
    regulariser,
    regulariser_gradient,
    smoothed_mse,
    smoothed_mse_gradient,
)
from mgaudit.theory.smoothed_relu import smoothed_relu_proxy
from mgaudit.theory.two_layer import TwoLayerWeights

Problem = tuple[TwoLayerWeights, np.ndarray, np.ndarray]
KAPPAS = (0.01, 0.2, 0.7, 1.5, 6.0)


def problem(seed: int, width: int = 6, dimension: int = 4, inputs: int = 5) -> Problem:
    generator = np.random.default_rng(seed)
    network = TwoLayerWeights.drawn(width, dimension, generator)
    return (
        network,
        generator.standard_normal((inputs, dimension)),
        generator.standard_normal(inputs),
    )


def masked_outputs(
    network: TwoLayerWeights, x: np.ndarray, kappa: float, draws: int, seed: int
) -> np.ndarray:
    masks = 1 + kappa * np.random.default_rng(seed).standard_normal((draws, len(x)))
    return (
        np.maximum((masks * x) @ network.weights.T, 0)
        @ network.outer
        / math.sqrt(len(network.outer))
    )


def z_score(draws: np.ndarray, expected: float) -> float:
    return float((draws.mean() - expected) / (draws.std(ddof=1) / math.sqrt(len(draws))))


@pytest.mark.parametrize("kappa", KAPPAS)
def test_loss_is_that_of_a_million_masks(kappa: float) -> None:
    network, inputs, targets = problem(seed=round(100 * kappa))
    losses = np.zeros(200_000)
    mean, variance = output_mean(network, inputs, kappa), output_variance(network, inputs, kappa)
    for row, x in enumerate(inputs):
        outputs = masked_outputs(network, x, kappa, len(losses), seed=row)
        assert abs(z_score(outputs, mean[row])) < 4
        assert abs(z_score((outputs - mean[row]) ** 2, variance[row])) < 4
        losses += 0.5 * (outputs - targets[row]) ** 2
    assert abs(z_score(losses, expected_loss(network, inputs, targets, kappa))) < 4


Gradient = Callable[..., np.ndarray]


@pytest.mark.parametrize("kappa", [0.05, 0.4, 1.5])
@pytest.mark.parametrize(
    ("value", "gradient"),
    [
        (expected_loss, expected_loss_gradient),
        (smoothed_mse, smoothed_mse_gradient),
        (regulariser, regulariser_gradient),
    ],
)
def test_gradients_are_those_of_finite_differences(
    value: Callable[..., float], gradient: Gradient, kappa: float
) -> None:
    network, inputs, targets = problem(seed=3)
    data = (inputs,) if value is regulariser else (inputs, targets)
    exact = gradient(network, *data, kappa)
    for index in np.ndindex(exact.shape):
        step = np.zeros(exact.shape)
        step[index] = 1e-5
        up, down = (
            TwoLayerWeights(network.weights + sign * step, network.outer) for sign in (1, -1)
        )
        assert (value(up, *data, kappa) - value(down, *data, kappa)) / 2e-5 == pytest.approx(
            exact[index], abs=2e-7
        )


def test_a_step_down_the_gradient_of_masked_losses_is_the_gradient_in_the_mean() -> None:
    # The gradient that training takes at each step, of the loss under one draw of the masks, is
    # unbiased.
    network, inputs, targets = problem(seed=4)
    kappa, width = 0.5, len(network.outer)
    masks = 1 + kappa * np.random.default_rng(0).standard_normal((100_000, *inputs.shape))
    masked = masks * inputs
    active = masked @ network.weights.T
    residuals = np.maximum(active, 0) @ network.outer / math.sqrt(width) - targets
    by_neuron = residuals[..., None] * (active > 0) * network.outer / math.sqrt(width)
    expected = expected_loss_gradient(network, inputs, targets, kappa)
    for r in range(width):
        draws = np.einsum("bi,bid->bd", by_neuron[..., r], masked)
        for j in range(inputs.shape[1]):
            assert abs(z_score(draws[:, j], expected[r, j])) < 4.5  # the largest of 24


def test_without_a_mask_it_is_the_squared_loss_bit_for_bit() -> None:
    for seed in range(5):
        network, inputs, targets = problem(seed, width=37, inputs=50)
        plain = float(0.5 * np.sum((network.outputs(inputs) - targets) ** 2))
        assert expected_loss(network, inputs, targets, 0.0) == plain
        terms = decompose(network, inputs, targets, 0.0)
        assert (terms.smoothed_mse, terms.regulariser, terms.rest) == (plain, 0.0, 0.0)
        active = (inputs @ network.weights.T > 0) * network.outer / math.sqrt(37)
        gradient = ((network.outputs(inputs) - targets)[:, None] * active).T @ inputs
        for gradient_of in (expected_loss_gradient, smoothed_mse_gradient):
            assert np.allclose(
                gradient_of(network, inputs, targets, 0.0), gradient, rtol=1e-13, atol=1e-13
            )
        assert not regulariser_gradient(network, inputs, 0.0).any()


def test_the_limit_is_reached_and_is_not_the_same_before() -> None:
    network, inputs, targets = problem(seed=5)
    plain = expected_loss(network, inputs, targets, 0.0)
    assert expected_loss(network, inputs, targets, 1e-12) == pytest.approx(plain, rel=1e-11)
    assert expected_loss(network, inputs, targets, 0.01) != plain
    assert expected_loss_gradient(network, inputs, targets, 1e-200) == pytest.approx(
        expected_loss_gradient(network, inputs, targets, 0.0)
    )


@pytest.mark.parametrize("kappa", KAPPAS)
def test_terms_are_those_of_the_formulas_and_sum_to_the_loss(kappa: float) -> None:
    network, inputs, targets = problem(seed=6)
    z = inputs @ network.weights.T
    s = kappa * np.array([[np.linalg.norm(w * x) for w in network.weights] for x in inputs])
    passes = np.vectorize(lambda t: 0.5 * math.erfc(-t / math.sqrt(2)))(z / s)
    terms = decompose(network, inputs, targets, kappa)
    smoothed = (z * passes) @ network.outer / math.sqrt(6)
    assert np.allclose(proxy_outputs(network, inputs, kappa), smoothed)
    assert terms.smoothed_mse == pytest.approx(0.5 * np.sum((smoothed - targets) ** 2))
    penalty = 0.0
    for x, row in zip(inputs, passes, strict=True):
        vector = (
            x
            * sum(a * w * p for a, w, p in zip(network.outer, network.weights, row, strict=True))
            / math.sqrt(6)
        )
        penalty += 0.5 * kappa**2 * float(vector @ vector)
    assert terms.regulariser == pytest.approx(penalty)
    assert np.allclose(
        proxy_gaps(network, inputs, kappa),
        output_mean(network, inputs, kappa) - smoothed,
        atol=1e-13,
    )
    assert terms.expected_loss == terms.smoothed_mse + terms.regulariser + terms.rest
    assert terms.expected_loss == pytest.approx(
        expected_loss(network, inputs, targets, kappa), rel=1e-13
    )


@given(st.floats(0.0, 50.0), st.integers(0, 20))
def test_the_regulariser_is_less_than_the_variance_and_both_are_positive(
    kappa: float, seed: int
) -> None:
    network, inputs, targets = problem(seed, width=4, inputs=2)
    variance = 0.5 * output_variance(network, inputs, kappa).sum()
    penalty = regulariser(network, inputs, kappa)
    assert 0 <= penalty <= variance * (1 + 1e-9) + 1e-12
    assert decompose(network, inputs, targets, kappa).variance_part >= -1e-12 * (1 + variance)


def test_linear_networks_have_no_rest() -> None:
    # Far from all kinks the network is linear in the mask, and the regulariser is half the
    # variance.
    inputs, targets = np.array([[1.0, 2.0], [0.5, 1.5]]), np.array([0.3, -0.2])
    network = TwoLayerWeights(
        np.array([[3.0, 4.0], [5.0, 2.0], [-4.0, -3.0]]), np.array([1.0, -1.0, 1.0])
    )
    kappa = 0.02
    gradients = inputs * (network.weights[0] - network.weights[1]) / math.sqrt(3)
    terms = decompose(network, inputs, targets, kappa)
    assert terms.regulariser == pytest.approx(0.5 * kappa**2 * np.sum(gradients**2))
    assert terms.rest == pytest.approx(0.0, abs=1e-16)


def test_parts_of_any_size_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    network, inputs, targets = problem(seed=7, width=9, inputs=8)
    whole = (
        expected_loss(network, inputs, targets, 0.6),
        expected_loss_gradient(network, inputs, targets, 0.6),
    )
    for size in (1, 200, 300):
        monkeypatch.setattr(exact, "AT_ONCE", size)
        assert expected_loss(network, inputs, targets, 0.6) == pytest.approx(whole[0], rel=1e-14)
        assert np.allclose(
            expected_loss_gradient(network, inputs, targets, 0.6), whole[1], rtol=1e-12, atol=1e-13
        )


def test_neurons_in_another_order_and_doubled_are_the_same_network() -> None:
    network, inputs, targets = problem(seed=8)
    order = np.random.default_rng(0).permutation(6)
    shuffled = TwoLayerWeights(network.weights[order], network.outer[order])
    assert expected_loss(shuffled, inputs, targets, 0.8) == pytest.approx(
        expected_loss(network, inputs, targets, 0.8)
    )
    # Twins have correlation 1: twice 2m neurons at half the weight are m neurons, up to the factor
    # sqrt(2).
    twins = TwoLayerWeights(
        np.tile(network.weights / math.sqrt(2), (2, 1)), np.tile(network.outer, 2)
    )
    assert expected_loss(twins, inputs, targets, 0.8) == pytest.approx(
        expected_loss(network, inputs, targets, 0.8)
    )


def test_neurons_and_inputs_of_zeros_are_at_the_limit() -> None:
    network, inputs, targets = problem(seed=9)
    weights = network.weights.copy()
    weights[0], inputs[1], inputs[2, 0] = 0.0, 0.0, 0.0
    still = TwoLayerWeights(weights, network.outer)
    for gradient_of in (expected_loss_gradient, smoothed_mse_gradient):
        gradient = gradient_of(still, inputs, targets, 0.5)
        assert np.isfinite(gradient).all()
        assert not gradient[0].any()
    assert np.isfinite(regulariser_gradient(still, inputs, 0.5)).all()
    without = TwoLayerWeights(weights[1:], network.outer[1:])
    scale = math.sqrt(5 / 6)
    assert np.allclose(output_mean(still, inputs, 0.5), scale * output_mean(without, inputs, 0.5))
    assert np.allclose(
        output_variance(still, inputs, 0.5), scale**2 * output_variance(without, inputs, 0.5)
    )


def test_one_neuron_has_no_pairs() -> None:
    network = TwoLayerWeights(np.array([[1.0, -2.0]]), np.array([-1.0]))
    terms = decompose(network, [[3.0, 1.0]], [0.0], 0.5)
    assert terms.smoothed_mse == pytest.approx(
        0.5 * float(smoothed_relu_proxy(1.0, 0.5 * math.sqrt(13))) ** 2
    )
    assert expected_loss_gradient(network, [[3.0, 1.0]], [0.0], 0.5).shape == (1, 2)


FUNCTIONS: list[Callable[..., object]] = [
    expected_loss,
    expected_loss_gradient,
    decompose,
    smoothed_mse_gradient,
]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_data_that_do_not_fit_are_named(function: Callable[..., object]) -> None:
    network, inputs, targets = problem(seed=0)
    for kappa in (-0.1, math.nan, math.inf):
        with pytest.raises(ValueError, match=rf"^kappa must be >= 0 and finite, got {kappa}$"):
            function(network, inputs, targets, kappa)
    with pytest.raises(
        ValueError,
        match=r"^inputs must be \(n, 4\) as the weights are \(m, 4\), got shape \(5, 3\)$",
    ):
        function(network, inputs[:, :3], targets, 0.1)
    with pytest.raises(
        ValueError, match=r"^targets must be one for each of the 5 inputs, got shape \(4,\)$"
    ):
        function(network, inputs, targets[:4], 0.1)
    with pytest.raises(ValueError, match=r"^targets must be finite, got nan$"):
        function(network, inputs, np.full(5, math.nan), 0.1)


def test_networks_that_make_no_sense_are_named() -> None:
    with pytest.raises(ValueError, match=r"^outer must be 1 or -1, got 0\.5$"):
        TwoLayerWeights(np.ones((2, 3)), np.array([1.0, 0.5]))
    with pytest.raises(
        ValueError,
        match=r"^outer must have one weight for each of the 2 neurons, got shape \(3,\)$",
    ):
        TwoLayerWeights(np.ones((2, 3)), np.ones(3))
    with pytest.raises(ValueError, match=r"^weights must be finite, got inf$"):
        TwoLayerWeights(np.full((2, 3), math.inf), np.ones(2))
    with pytest.raises(
        ValueError, match=r"^weights must be a matrix of shape \(any, any\) .*, got shape \(0, 3\)$"
    ):
        TwoLayerWeights(np.ones((0, 3)), np.ones(0))
