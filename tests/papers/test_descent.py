"""Descent on perturbed inputs, and the bias and the noise of its gradients."""

from collections.abc import Iterator
from itertools import islice

import numpy as np
import pytest
from numpy.typing import NDArray

from mgaudit.papers.gaussian_masking.biased_runs import start
from mgaudit.papers.gaussian_masking.descent import ReluNetwork, descend
from mgaudit.papers.gaussian_masking.gradient_statistics import (
    bias_and_noise_from_draws,
    bias_and_noise_of_masks,
    curvature,
)
from mgaudit.papers.gaussian_masking.perturbations import (
    AddedNoise,
    Dropped,
    Masks,
    Perturbation,
    Rounding,
)
from mgaudit.targets.fitting.trajectory import Regression, regression_trajectory
from mgaudit.targets.schemes import Scheme

Floats = NDArray[np.float64]
INPUTS = np.random.default_rng(0).uniform(-1, 1, (500, 8))
KAPPA = 0.3


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def first(kind: Perturbation, inputs: Floats, count: int) -> Floats:
    return np.stack(list(islice(kind.steps(inputs, generator()), count)))


@pytest.mark.parametrize(
    "kind", [Masks(KAPPA), Masks(KAPPA, block=4), Masks(KAPPA, shared=True), Dropped(KAPPA)]
)
def test_masks_and_dropout_keep_the_mean_and_have_the_relative_variance(kind: Perturbation) -> None:
    factors = first(kind, np.ones((4, 8)), 20_000)
    assert factors.mean(axis=0) == pytest.approx(np.ones((4, 8)), abs=5 * KAPPA / 20_000**0.5)
    assert factors.var(axis=0) == pytest.approx(np.full((4, 8), KAPPA**2), rel=0.1)


@pytest.mark.parametrize(
    "kind",
    [
        AddedNoise.of_strength(0.1, INPUTS),
        Rounding.of_strength(0.1, INPUTS, at_random=True),
        Rounding.of_strength(0.1, INPUTS, at_random=False),
    ],
)
def test_noise_and_rounding_have_the_mean_squared_error_of_a_mask(kind: Perturbation) -> None:
    errors = first(kind, INPUTS, 20) - INPUTS
    assert np.mean(errors**2) == pytest.approx(0.1**2 * np.mean(INPUTS**2), rel=0.06)


def test_rounding_is_to_a_grid_and_only_at_random_without_a_bias() -> None:
    near, at_random = (Rounding(0.25, chance) for chance in (False, True))
    inputs = np.array([[0.1, 0.2, -0.1, 0.5]])
    np.testing.assert_array_equal(first(near, inputs, 2), [[[0.0, 0.25, 0.0, 0.5]]] * 2)
    drawn = first(at_random, inputs, 40_000)
    assert set(np.unique(drawn)) <= {-0.25, 0.0, 0.25, 0.5}
    np.testing.assert_allclose(drawn.mean(axis=0), inputs, atol=5 * 0.125 / 200)


def test_strength_zero_changes_no_input() -> None:
    zero = (Masks(0.0), Dropped(0.0), AddedNoise(0.0), Rounding(0.0, True), Rounding(0.0, False))
    for kind in zero:
        np.testing.assert_array_equal(first(kind, INPUTS, 2), np.stack([INPUTS] * 2))


@pytest.mark.parametrize("memory", [0.0, 0.9, 1.0])
def test_masks_are_correlated_over_steps_as_they_say(memory: float) -> None:
    steps = first(Masks(KAPPA, memory=memory), np.ones((300, 50)), 6) - 1
    assert steps[5].std() == pytest.approx(KAPPA, rel=0.05)
    for lag in (1, 2):
        correlation = np.corrcoef(steps[5].ravel(), steps[5 - lag].ravel())[0, 1]
        assert correlation == pytest.approx(memory**lag, abs=0.04)


def test_blocks_and_shared_masks_have_equal_factors() -> None:
    (block,) = first(Masks(KAPPA, block=2), np.ones((3, 4)), 1)
    np.testing.assert_array_equal(block[:, 0], block[:, 1])
    assert len(np.unique(block)) == 6
    (shared,) = first(Masks(KAPPA, shared=True), np.ones((3, 4)), 1)
    np.testing.assert_array_equal(shared[0], shared[2])
    with pytest.raises(ValueError, match="block must divide 4 entries"):
        first(Masks(KAPPA, block=3), np.ones((3, 4)), 1)
    with pytest.raises(ValueError, match="memory must be in"):
        Masks(KAPPA, memory=1.5)


def problem() -> tuple[Regression, ReluNetwork]:
    return start(12, 5, 6, seed=1)


def test_descent_is_that_of_the_suite() -> None:
    regression, network = problem()
    clean = Masks(0.0).steps(regression.inputs, generator())
    ours = [
        network.layers[0] for network in descend(network, clean, regression.values, 0.02, [0, 9])
    ]
    suite = regression_trajectory(regression, Scheme(), 0.02, [0, 9], seed=0)
    np.testing.assert_allclose(np.stack(ours), suite, atol=1e-12)


@pytest.mark.parametrize("depth", [1, 3])
def test_gradients_are_differences_of_the_loss(depth: int) -> None:
    regression, network = problem()
    deeper = [generator(layer).standard_normal((6, 6)) for layer in range(depth - 1)]
    network = ReluNetwork((*network.layers, *deeper), network.outer)
    data = (regression.inputs, regression.values)
    direction = [generator(9).standard_normal(weights.shape) for weights in network.layers]
    step = 1e-6
    rise = network.moved(direction, -step).loss(*data) - network.moved(direction, step).loss(*data)
    expected = sum(
        float(np.sum(gradient * along))
        for gradient, along in zip(network.gradients(*data), direction, strict=True)
    )
    assert rise / (2 * step) == pytest.approx(expected, rel=1e-6)


def jacobian(network: ReluNetwork, inputs: Floats) -> Floats:
    """The gradient of each output, from the gradient of the loss at an error of 1."""
    outputs = network.outputs(inputs)
    rows = [
        network.gradients(x[None], np.array([output - 1]))[0].ravel()
        for x, output in zip(inputs, outputs, strict=True)
    ]
    return np.stack(rows)


def test_curvature_is_that_of_the_kernel_of_the_outputs() -> None:
    regression, network = problem()
    data = (regression.inputs, regression.values)
    shape = curvature(network, *data)
    rows = jacobian(network, regression.inputs)
    singular = np.linalg.svd(rows, compute_uv=False) ** 2
    assert shape.largest == pytest.approx(singular[0])
    assert shape.smallest == pytest.approx(singular[-1])
    assert shape.smallest <= shape.local <= shape.largest
    (gradient,) = network.gradients(*data)
    assert shape.local == pytest.approx(np.sum(gradient**2) / (2 * network.loss(*data)))
    errors = network.outputs(regression.inputs) - regression.values
    assert shape.loss == pytest.approx(errors @ errors / 2)
    shortest, *_ = np.linalg.lstsq(rows, errors, rcond=None)
    assert shape.nearest == pytest.approx(np.linalg.norm(shortest))


def draws_of(kind: Perturbation, inputs: Floats) -> Iterator[Floats]:
    return kind.steps(inputs, generator(3))


def test_bias_of_masks_is_that_of_draws() -> None:
    regression, network = problem()
    data = (regression.inputs, regression.values)
    drawn = draws_of(Masks(KAPPA), regression.inputs)
    exact = bias_and_noise_of_masks(network, *data, KAPPA, drawn, draws=4000)
    assert abs(exact.mean - exact.expected) < 4 * exact.error
    assert exact.expected > 10 * exact.error  # so that a wrong sign or no bias is seen
    assert exact.squared_bias == pytest.approx(exact.expected**2)
    bias, noise = bias_and_noise_from_draws(
        network, *data, draws_of(Masks(KAPPA), regression.inputs), draws=4000
    )
    assert noise == pytest.approx(exact.squared_noise, rel=1e-9)  # the draws are the same
    assert bias == pytest.approx(exact.squared_bias, rel=0.1)


def test_noise_is_the_trace_of_the_covariance_and_is_no_part_of_the_bias() -> None:
    regression, network = problem()
    data = (regression.inputs, regression.values)
    (clean,) = network.gradients(*data)
    differences = []
    for inputs in islice(draws_of(Masks(KAPPA), regression.inputs), 40):
        (gradient,) = network.gradients(inputs, regression.values)
        differences.append((gradient - clean).ravel())
    bias, noise = bias_and_noise_from_draws(
        network, *data, draws_of(Masks(KAPPA), regression.inputs), draws=40
    )
    assert noise == pytest.approx(float(np.trace(np.cov(np.stack(differences).T))))
    pairs = [
        float(one @ other) for index, one in enumerate(differences) for other in differences[:index]
    ]
    assert bias == pytest.approx(np.mean(pairs))  # over pairs of different draws


def test_rounding_to_the_nearest_point_has_a_bias_and_no_noise() -> None:
    regression, network = problem()
    data = (regression.inputs, regression.values)
    kind = Rounding(0.3, at_random=False)
    (rounded,) = first(kind, regression.inputs, 1)
    difference = network.gradients(rounded, regression.values)[0] - network.gradients(*data)[0]
    bias, noise = bias_and_noise_from_draws(
        network, *data, draws_of(kind, regression.inputs), draws=3
    )
    assert noise == pytest.approx(0.0, abs=1e-20)
    assert bias == pytest.approx(float(np.sum(difference**2)))
