"""What weight noise adds to the risk, against draws of the noise, finite differences and the least
over all factors."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import approx_fprime, minimize
from sklearn.linear_model import Lasso

from mgaudit.theory.weight_noise import deep_linear, diagonal, group_lasso, nuclear_norm, relu

Floats = NDArray[np.float64]
DRAWS = 1_000_000
GROUPS = (0, 0, 1, 1, 1)


def normal(*shape: int, seed: int = 0) -> Floats:
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def z_score(expected: float, losses: Floats) -> float:
    return float((losses.mean() - expected) / (losses.std(ddof=1) / math.sqrt(len(losses))))


def in_chunks(
    losses: Callable[[np.random.Generator, int], Floats], draws: int = DRAWS, chunk: int = 50_000
) -> Floats:
    generator = np.random.default_rng(0)
    return np.concatenate([losses(generator, chunk) for _ in range(draws // chunk)])


def noisy(weight: Floats, std: float, generator: np.random.Generator, draws: int) -> Floats:
    return weight + std * generator.standard_normal((draws, *weight.shape)) if std else weight[None]


def chain_losses(
    weights: Sequence[Floats], x: Floats, y: Floats, stds: Sequence[float], relus: bool = False
) -> Any:
    """Losses (draws,) of W_L ... W_1 x, or of W_2 (W_1 x)_+, under draws of the noise."""

    def losses(generator: np.random.Generator, draws: int) -> Floats:
        value = x.T[
            ..., None
        ]  # (units, examples, draws): sums over the few units are then of long rows
        for layer, (weight, std) in enumerate(zip(weights, stds, strict=True)):
            drawn = weight[..., None] + (
                std * generator.standard_normal((*weight.shape, draws)) if std else 0.0
            )
            value = np.einsum(
                "ijd,jkd->ikd", drawn, np.maximum(value, 0) if relus and layer else value
            )
        return ((value - y.T[..., None]) ** 2).sum(axis=(0, 1)) / (2 * len(x))

    return losses


def lasso_penalty(b: Floats, x: Floats, std: float) -> float:
    """The least that noise adds to a diagonal network for b = w_1^2 - w_2^2, but for a constant."""
    return 2 * std**2 * float((x**2).mean(axis=0) @ abs(b))


def group_penalty(b: Floats, groups: Sequence[int], x: Floats, std: float) -> float:
    """The least that noise adds to grouped products for b_g = u_g v_g, but for a constant."""
    members = [np.flatnonzero(np.array(groups) == group) for group in set(groups)]
    norms = [np.linalg.norm(x[:, own]) * np.linalg.norm(x[:, own] @ b[own]) for own in members]
    return std**2 * float(sum(norms)) / len(x)


def nuclear_penalty(product: Floats, x: Floats, std: float) -> float:
    """The least that noise adds to two linear layers for W_2 W_1 = `product`, but for a
    constant."""
    outputs = product @ x.T
    return (
        std**2
        * float(math.sqrt(len(product)) * np.linalg.norm(x) * np.linalg.norm(outputs, "nuc"))
        / len(x)
    )


def linear_case(
    seed: int, widths: tuple[int, ...], examples: int = 2
) -> tuple[list[Floats], Floats, Floats]:
    weights = [normal(rows, columns, seed=seed) for columns, rows in itertools.pairwise(widths)]
    return (
        weights,
        normal(examples, widths[0], seed=seed),
        normal(examples, widths[-1], seed=seed + 1),
    )


@pytest.mark.parametrize(
    ("widths", "stds"),
    [
        ((2, 3, 2), (0.3, 0.3)),
        ((2, 3, 2), (0.0, 0.8)),
        ((2, 3, 2), (0.8, 0.0)),
        ((3, 2, 1), (1e-3, 2e-3)),
        ((2, 2, 3, 1), (0.5, 0.2, 0.9)),
        ((2, 1, 2, 1, 2), (1.0, 1.0, 1.0, 1.0)),
        ((3, 2), (0.7,)),
    ],
)
def test_the_risk_of_a_deep_linear_network_is_that_of_draws(
    widths: tuple[int, ...], stds: tuple[float, ...]
) -> None:
    weights, x, y = linear_case(1, widths)
    expected = deep_linear.expected_risk(weights, x, y, stds)
    assert abs(z_score(expected, in_chunks(chain_losses(weights, x, y, stds)))) < 4


def test_a_perfect_fit_has_no_risk_but_that_of_the_noise() -> None:
    for seed in range(20):
        weights, x, _ = linear_case(seed, (3, 4, 2, 2), examples=5)
        x *= 30
        y = x
        for weight in weights:
            y = y @ weight.T
        assert 0 <= deep_linear.expected_risk(weights, x, y, [0.0] * 3) <= 1e-26 * (y**2).sum()
        tiny = deep_linear.expected_risk(weights, x, y, [1e-9] * 3)
        assert tiny == pytest.approx(
            1e-18 * deep_linear.excess_by_order(weights, x)[0], rel=1e-7, abs=0
        )
        for gradient in deep_linear.expected_risk_gradient(weights, x, y, [0.0] * 3):
            assert abs(gradient).max() <= 1e-12 * (x**2).sum()


def test_the_draws_reject_a_wrong_term() -> None:
    weights, x, y = linear_case(1, (2, 3, 2))
    losses = in_chunks(chain_losses(weights, x, y, (0.5, 0.5)))
    right = deep_linear.expected_risk(weights, x, y, (0.5, 0.5))
    fourth = deep_linear.explosion((3, 2), x, 0.5)
    assert abs(z_score(right, losses)) < 4 < abs(z_score(right - fourth / 10, losses))


@pytest.mark.parametrize("widths", [(3, 2), (3, 4, 2), (2, 3, 4, 2), (2, 3, 1, 2, 3)])
def test_the_orders_are_the_sum_over_all_sets_of_noisy_layers(widths: tuple[int, ...]) -> None:
    weights, x, y = linear_case(2, widths)

    def stretch(start: int, end: int) -> Floats:
        product = np.eye(widths[start])
        for weight in weights[start:end]:
            product = weight @ product
        return product

    orders = np.zeros(len(weights))
    for count in range(1, len(weights) + 1):
        for chosen in itertools.combinations(range(len(weights)), count):
            # Noise on a layer forgets the direction of what comes in, so that a stretch between
            # counts by its norm.
            term = (stretch(0, chosen[0]) @ x.T).ravel() @ (stretch(0, chosen[0]) @ x.T).ravel()
            for layer, following in itertools.pairwise((*chosen, len(weights))):
                term *= (stretch(layer + 1, following) ** 2).sum()
            orders[count - 1] += term / (2 * len(x))
    np.testing.assert_allclose(deep_linear.excess_by_order(weights, x), orders, rtol=1e-12)
    for std in (0.0, 1e-4, 0.3, 2.0):
        excess = deep_linear.expected_risk(
            weights, x, y, [std] * len(weights)
        ) - deep_linear.expected_risk(weights, x, y, [0.0] * len(weights))
        powers = std ** (2 * np.arange(1, len(weights) + 1))
        assert excess == pytest.approx(orders @ powers, rel=1e-9, abs=1e-14)
    assert orders[-1] * 0.3 ** (2 * len(weights)) == pytest.approx(
        deep_linear.explosion(widths[1:], x, 0.3)
    )


def test_two_layers_have_the_two_terms_of_the_paper() -> None:
    (first, second), x, _ = linear_case(3, (4, 5, 3), examples=7)
    inner = 3 * ((first @ x.T) ** 2).sum()
    outer = (second**2).sum() * (x**2).sum()
    orders = deep_linear.excess_by_order([first, second], x)
    np.testing.assert_allclose(orders, [(inner + outer) / 14, 3 * 5 * (x**2).sum() / 14])


def test_noise_on_one_layer_at_a_time_is_the_first_order_of_noise_on_all() -> None:
    weights, x, y = linear_case(4, (3, 4, 2, 3))
    sigma, none = 0.4, [0.0] * 3
    clean = deep_linear.expected_risk(weights, x, y, none)
    single = [
        deep_linear.expected_risk(weights, x, y, np.eye(3)[layer] * sigma) - clean
        for layer in range(3)
    ]
    assert deep_linear.layerwise_excess(weights, x, sigma) == pytest.approx(np.mean(single))
    together = deep_linear.expected_risk(weights, x, y, [sigma / math.sqrt(3)] * 3) - clean
    assert deep_linear.all_layers_excess(weights, x, sigma) == pytest.approx(together)
    # Both agree in the first order, so that their difference falls as the fourth power of sigma.
    gaps = [
        deep_linear.all_layers_excess(weights, x, size)
        - deep_linear.layerwise_excess(weights, x, size)
        for size in (1e-2, 1e-3)
    ]
    assert math.log10(gaps[0] / gaps[1]) == pytest.approx(4, abs=1e-3)


@pytest.mark.parametrize("stds", [(0.0, 0.0, 0.0), (0.3, 0.0, 0.9), (0.5, 0.5, 0.5)])
def test_the_gradient_of_a_deep_linear_network(stds: tuple[float, ...]) -> None:
    weights, x, y = linear_case(5, (3, 4, 2, 3))
    check_gradient(
        weights,
        lambda at: deep_linear.expected_risk(at, x, y, stds),
        deep_linear.expected_risk_gradient(weights, x, y, stds),
    )


def check_gradient(
    at: Sequence[Floats], value: Callable[[list[Floats]], float], gradient: Sequence[Floats]
) -> None:
    """Central differences over all entries of all arrays."""
    ends = np.cumsum([array.size for array in at])[:-1]

    def of(flat: Floats) -> float:
        parts = np.split(flat, ends)
        return value([part.reshape(array.shape) for part, array in zip(parts, at, strict=True)])

    start = np.concatenate([array.ravel() for array in at])
    steps = 1e-5 * np.eye(len(start))
    differences = [(of(start + step) - of(start - step)) / 2e-5 for step in steps]
    assert [part.shape for part in gradient] == [array.shape for array in at]
    np.testing.assert_allclose(
        np.concatenate([part.ravel() for part in gradient]), differences, rtol=1e-6, atol=1e-8
    )


def relu_case(
    seed: int, features: int = 2, width: int = 3, outputs: int = 2, examples: int = 2
) -> Any:
    first, second = normal(width, features, seed=seed), normal(outputs, width, seed=seed)
    return (
        first,
        second,
        normal(examples, features, seed=seed),
        normal(examples, outputs, seed=seed + 1),
    )


@pytest.mark.parametrize("stds", [(0.3, 0.3), (0.8, 0.0), (0.0, 0.8), (1e-3, 2e-3), (30.0, 20.0)])
def test_the_risk_of_a_relu_network_is_that_of_draws(stds: tuple[float, float]) -> None:
    first, second, x, y = relu_case(6)
    losses = in_chunks(chain_losses([first, second], x, y, stds, relus=True))
    assert abs(z_score(relu.expected_risk(first, second, x, y, stds), losses)) < 4


def test_the_risk_of_a_relu_network_at_its_kinks_is_that_of_draws() -> None:
    first, second, x, y = relu_case(7)
    first[0], x[0] = 0, 0  # a unit at its kink, and an example that no noise reaches
    losses = in_chunks(chain_losses([first, second], x, y, (0.5, 0.4), relus=True))
    expected = relu.expected_risk(first, second, x, y, (0.5, 0.4))
    assert abs(z_score(expected, losses)) < 4 < abs(z_score(expected * 1.02, losses))


@pytest.mark.parametrize("stds", [(0.0, 0.0), (0.4, 0.0), (0.0, 0.9), (0.5, 0.7)])
def test_the_gradient_of_a_relu_network(stds: tuple[float, float]) -> None:
    first, second, x, y = relu_case(8, features=3, width=4, examples=5)
    check_gradient(
        [first, second],
        lambda at: relu.expected_risk(at[0], at[1], x, y, stds),
        relu.expected_risk_gradient(first, second, x, y, stds),
    )


@pytest.mark.parametrize("ratio", [1e2, 1e8, 1e12, 1e300])
def test_a_unit_far_above_its_kink_adds_the_whole_of_its_variance(ratio: float) -> None:
    # (z + t g)_+ is z + t g here, and in a perfect fit nothing but its variance is left, however
    # small against z^2.
    z, t = (1e4, 1e4 / ratio) if ratio < 1e300 else (1e150, 1e-150)
    assert relu.expected_risk([[z]], [[1.0]], [[1.0]], [[z]], (t, 0.0)) == pytest.approx(
        t**2 / 2, rel=1e-12, abs=0
    )
    by_first, by_second = relu.expected_risk_gradient([[z]], [[1.0]], [[1.0]], [[z]], (t, 0.0))
    assert by_first.item() == 0
    assert by_second.item() == pytest.approx(t**2, rel=1e-12, abs=0)


def test_a_unit_far_below_its_kink_adds_next_to_nothing() -> None:
    # (z + t g)_+ has a second moment of about 2 t^2 phi(u) / u^3, u = -z / t: here 1e-53.
    risk = relu.expected_risk([[-15.0]], [[1.0]], [[1.0]], [[0.0]], (1.0, 0.0))
    assert risk == pytest.approx(math.exp(-112.5) / math.sqrt(2 * math.pi) / 15**3, rel=0.03, abs=0)


def test_without_noise_a_relu_network_has_its_plain_risk_and_gradient_at_the_kink_too() -> None:
    first, second, x, y = relu_case(9)
    first[1] = 0
    hidden = np.maximum(x @ first.T, 0)
    residual = hidden @ second.T - y
    assert relu.expected_risk(first, second, x, y, (0.0, 0.0)) == pytest.approx(
        (residual**2).sum() / 4, rel=1e-14
    )
    at, near = (relu.expected_risk_gradient(first, second, x, y, (std, 0.0)) for std in (0.0, 1e-9))
    for gradient, gradient_nearby in zip(at, near, strict=True):
        np.testing.assert_allclose(gradient, gradient_nearby, atol=1e-7)


def away_from_kinks() -> Any:
    """A network whose preactivations are all more than 1 in size, inputs of norm 1."""
    first = np.array([[3.0, 0.0], [-2.0, 0.0], [0.0, 4.0], [3.0, 0.5]])
    x = np.array([[0.6, 0.8], [0.8, -0.6]])
    return first, normal(2, 4, seed=10), x, normal(2, 2, seed=11)


def test_beyond_the_second_order_a_relu_network_has_the_explosion_alone() -> None:
    first, second, x, y = away_from_kinks()
    assert abs(x @ first.T).min() > 1
    clean = relu.expected_risk(first, second, x, y, (0.0, 0.0))
    for stds in ((0.05, 0.03), (0.04, 0.0), (0.0, 0.05), (0.02, 0.02)):
        excess = relu.expected_risk(first, second, x, y, stds) - clean
        fourth = stds[0] ** 2 * stds[1] ** 2 * relu.explosion(first, 2, x)
        assert excess == pytest.approx(
            sum(relu.second_order(first, second, x, stds)) + fourth, rel=1e-10
        )


def test_in_draws_the_rest_of_a_relu_networks_second_order_is_of_fourth_order() -> None:
    first, second, x, y = away_from_kinks()
    generator, draws = np.random.default_rng(0), DRAWS // 8
    noise = [generator.standard_normal((draws, *weight.shape)) for weight in (first, second)]

    def losses(std_1: float, std_2: float) -> Floats:
        outputs = (second + std_2 * noise[1]) @ np.maximum((first + std_1 * noise[0]) @ x.T, 0)
        squared: Floats = ((outputs - y.T) ** 2).sum(axis=(1, 2)) / (2 * len(x))
        return squared

    rests = []
    for std in (0.05, 0.2):
        # What noise on both layers adds beyond that on each, over draws and their mirror images:
        # all orders below the fourth cancel draw by draw, so that even a small rest is seen.
        both = sum(
            (losses(std_1, std_2) for std_1 in (std, -std) for std_2 in (std, -std)),
            start=np.zeros(draws),
        )
        each = sum(
            (losses(size, 0.0) + losses(0.0, size) for size in (std, -std)), start=np.zeros(draws)
        )
        rest = both / 4 - each / 2 + losses(0.0, 0.0)
        assert abs(z_score(std**4 * relu.explosion(first, 2, x), rest)) < 4
        rests.append(rest.mean())
    assert math.log(rests[1] / rests[0]) / math.log(4) == pytest.approx(4, abs=0.01)


def test_a_unit_at_its_kink_adds_a_term_linear_in_the_noise() -> None:
    first, second, x, y = away_from_kinks()
    first[0] = 0
    clean = relu.expected_risk(first, second, x, y, (0.0, 0.0))
    residual = np.maximum(x @ first.T, 0) @ second.T - y
    slope = (residual @ second[:, 0]).mean() / math.sqrt(2 * math.pi)  # the inputs have norm 1
    assert (relu.expected_risk(first, second, x, y, (1e-6, 0.0)) - clean) / 1e-6 == pytest.approx(
        slope, rel=1e-5
    )


def test_noise_on_the_second_layer_of_a_relu_network_is_its_second_order_exactly() -> None:
    first, second, x, y = relu_case(12)
    excess = relu.expected_risk(first, second, x, y, (0.0, 3.0)) - relu.expected_risk(
        first, second, x, y, (0.0, 0.0)
    )
    inner, outer = relu.second_order(first, second, x, (0.0, 3.0))
    assert inner == 0
    assert excess == pytest.approx(outer)


def test_units_and_their_mirror_images_have_half_the_explosion_of_a_linear_network() -> None:
    first, _, x, _ = relu_case(13, features=4, width=6, outputs=3, examples=5)
    first = np.concatenate([first, -first])
    assert relu.explosion(first, 3, x) == pytest.approx(deep_linear.explosion((12, 3), x, 1.0) / 2)


def diagonal_case(
    seed: int = 14, features: int = 4, examples: int = 6
) -> tuple[Floats, Floats, Floats, Floats]:
    positive, negative = normal(2, features, seed=seed)
    return (
        positive,
        negative,
        normal(examples, features, seed=seed),
        normal(1, examples, seed=seed)[0],
    )


@pytest.mark.parametrize("stds", [(0.3, 0.3), (0.6, 0.0), (0.0, 0.6), (1e-3, 2e-3), (5.0, 1.0)])
def test_the_risk_of_a_diagonal_network_is_that_of_draws(stds: tuple[float, float]) -> None:
    positive, negative, x, y = diagonal_case()

    def losses(generator: np.random.Generator, draws: int) -> Floats:
        product = (
            noisy(positive, stds[0], generator, draws) ** 2
            - noisy(negative, stds[1], generator, draws) ** 2
        )
        return ((product @ x.T - y) ** 2).sum(axis=1) / (2 * len(x))

    assert (
        abs(z_score(diagonal.expected_risk(positive, negative, x, y, stds), in_chunks(losses))) < 4
    )


def test_the_gradient_of_a_diagonal_network() -> None:
    positive, negative, x, y = diagonal_case()
    for stds in ((0.0, 0.0), (0.4, 0.4), (0.7, 0.2)):
        check_gradient(
            [positive, negative],
            lambda at, stds=stds: diagonal.expected_risk(at[0], at[1], x, y, stds),  # type: ignore[misc]
            diagonal.expected_risk_gradient(positive, negative, x, y, stds),
        )


def test_noise_on_a_diagonal_network_adds_the_papers_term_and_a_constant() -> None:
    positive, negative, x, y = diagonal_case()
    std, h = 0.3, np.diag(x.T @ x / len(x))
    excess = diagonal.expected_risk(positive, negative, x, y, (std, std)) - diagonal.expected_risk(
        positive, negative, x, y, (0.0, 0.0)
    )
    constant = diagonal.constant(x, std)
    assert excess - constant == pytest.approx(2 * std**2 * h @ (positive**2 + negative**2))
    assert excess - constant > lasso_penalty(positive**2 - negative**2, x, std)
    b = positive**2 - negative**2
    split = np.sqrt(np.maximum(b, 0)), np.sqrt(np.maximum(-b, 0))
    lowest = diagonal.expected_risk(*split, x, y, (std, std)) - diagonal.expected_risk(
        positive, negative, x, y, (0.0, 0.0)
    )
    assert lowest - constant == pytest.approx(lasso_penalty(b, x, std))


def test_the_least_expected_risk_of_a_diagonal_network_is_a_lasso() -> None:
    x, std = normal(40, 8, seed=15), 0.4
    x /= np.sqrt((x**2).mean(axis=0))
    y = x[:, :3] @ np.array([2.0, -1.5, 0.4]) + 0.3 * normal(1, 40, seed=16)[0]
    lasso = Lasso(alpha=2 * std**2, fit_intercept=False, tol=1e-12).fit(x, y)
    minimum = least(
        lambda w: diagonal.expected_risk(w[:8], w[8:], x, y, (std, std)),
        lambda w: np.concatenate(diagonal.expected_risk_gradient(w[:8], w[8:], x, y, (std, std))),
        np.full(16, 0.5),
    ).x
    assert (lasso.coef_ == 0).sum() >= 4
    np.testing.assert_allclose(minimum[:8] ** 2 - minimum[8:] ** 2, lasso.coef_, atol=1e-5)
    objective = ((x @ lasso.coef_ - y) ** 2).sum() / 80 + lasso_penalty(lasso.coef_, x, std)
    reached = diagonal.expected_risk(
        minimum[:8], minimum[8:], x, y, (std, std)
    ) - diagonal.constant(x, std)
    assert reached == pytest.approx(objective, rel=1e-8)


@pytest.mark.parametrize("std", [0.4, 1e-3, 4.0])
def test_the_risk_of_grouped_products_is_that_of_draws(std: float) -> None:
    u, v, x, y = normal(2, seed=17), normal(5, seed=17), normal(4, 5, seed=17), normal(4, seed=18)

    def losses(generator: np.random.Generator, draws: int) -> Floats:
        products = noisy(u, std, generator, draws)[:, list(GROUPS)] * noisy(
            v, std, generator, draws
        )
        return ((products @ x.T - y) ** 2).sum(axis=1) / (2 * len(x))

    assert abs(z_score(group_lasso.expected_risk(u, v, GROUPS, x, y, std), in_chunks(losses))) < 4


def test_the_gradient_of_grouped_products() -> None:
    u, v, x, y = normal(2, seed=17), normal(5, seed=17), normal(4, 5, seed=17), normal(4, seed=18)
    for std in (0.0, 0.6):
        check_gradient(
            [u, v],
            lambda at, std=std: group_lasso.expected_risk(at[0], at[1], GROUPS, x, y, std),  # type: ignore[misc]
            group_lasso.expected_risk_gradient(u, v, GROUPS, x, y, std),
        )


def least(
    risk: Callable[[Floats], float], gradient: Callable[[Floats], Floats], start: Floats
) -> Any:
    options = {"ftol": 1e-15, "gtol": 1e-11, "maxiter": 20_000, "maxfun": 50_000}
    return minimize(risk, start, jac=gradient, method="L-BFGS-B", options=options)


def test_the_least_expected_risk_of_two_linear_layers_is_that_of_the_thresholded_product() -> None:
    x, y, std, width = normal(30, 4, seed=27), normal(30, 3, seed=28), 0.5, 5
    y += 3 * x @ normal(4, 2, seed=29) @ normal(2, 3, seed=30)

    def parts(w: Floats) -> list[Floats]:
        return [w[: 4 * width].reshape(width, 4), w[4 * width :].reshape(3, width)]

    minimum = least(
        lambda w: deep_linear.expected_risk(parts(w), x, y, (std, std)),
        lambda w: np.concatenate(
            [g.ravel() for g in deep_linear.expected_risk_gradient(parts(w), x, y, (std, std))]
        ),
        normal(7 * width, seed=31),
    )
    product = nuclear_norm.least_product(x, y, std)
    assert np.linalg.matrix_rank(product @ x.T) == 2  # of the three singular values one is gone
    first, second = parts(minimum.x)
    np.testing.assert_allclose(second @ first, product, atol=1e-4)
    objective = ((x @ product.T - y) ** 2).sum() / 60 + nuclear_penalty(product, x, std)
    assert minimum.fun - deep_linear.explosion((width, 3), x, std) == pytest.approx(
        objective, rel=1e-8
    )


def test_without_noise_the_thresholded_product_is_that_of_least_squares() -> None:
    x, y = normal(30, 4, seed=27), normal(30, 3, seed=28)
    np.testing.assert_allclose(
        nuclear_norm.least_product(x, y, 0.0), np.linalg.lstsq(x, y)[0].T, atol=1e-12
    )
    assert not nuclear_norm.least_product(x, y, 10.0).any()
    few = nuclear_norm.least_product(
        x[:2], y[:2], 0.0
    )  # more features than examples: the shortest that fits
    np.testing.assert_allclose(few, (np.linalg.pinv(x[:2]) @ y[:2]).T, atol=1e-12)


def test_the_least_expected_risk_of_grouped_products_is_a_group_lasso() -> None:
    x, std = normal(30, 5, seed=32), 0.5
    y = x[:, 2:] @ np.array([1.0, -2.0, 0.5]) + 0.1 * normal(30, seed=33)
    minimum = least(
        lambda w: group_lasso.expected_risk(w[:2], w[2:], GROUPS, x, y, std),
        lambda w: np.concatenate(
            group_lasso.expected_risk_gradient(w[:2], w[2:], GROUPS, x, y, std)
        ),
        np.full(7, 0.7),
    )
    b = group_lasso.least_coefficients(GROUPS, x, y, std)
    assert (b[:2] == 0).all()
    assert b[2:].all()
    np.testing.assert_allclose(minimum.x[list(GROUPS)] * minimum.x[2:], b, atol=1e-4)
    objective = ((x @ b - y) ** 2).sum() / 60 + group_penalty(b, GROUPS, x, std)
    assert minimum.fun - group_lasso.constant(x, std) == pytest.approx(objective, rel=1e-8)
    plain = group_lasso.least_coefficients(GROUPS, x, y, 0.0)
    np.testing.assert_allclose(plain, np.linalg.lstsq(x, y)[0], atol=1e-10)
    with pytest.raises(
        ValueError, match=r"enough to converge, got 2: the last one changed the outputs of a group"
    ):
        group_lasso.least_coefficients(GROUPS, x, y, std, sweeps=2)
    # Groups of one feature are the Lasso of scikit-learn on features of mean square 1.
    x /= np.sqrt((x**2).mean(axis=0))
    single = group_lasso.least_coefficients(range(5), x, y, std)
    np.testing.assert_allclose(
        single, Lasso(std**2, fit_intercept=False, tol=1e-14).fit(x, y).coef_, atol=1e-8
    )


@pytest.mark.parametrize("std", [1e-3, 0.2])
def test_second_orders_are_the_curvature_along_the_jacobian(std: float) -> None:
    # (std^2 / 2) tr(J^T D^2 L J), J being the Jacobian of the predictor in the weights: the paper's
    # general form.
    first, second, x, _ = relu_case(26, features=3, width=4, outputs=2, examples=5)
    sizes = (first.size, second.size)

    def outputs(flat: Floats, relus: bool) -> Floats:
        hidden = x @ flat[: sizes[0]].reshape(first.shape).T
        return (
            (np.maximum(hidden, 0) if relus else hidden) @ flat[sizes[0] :].reshape(second.shape).T
        ).ravel()

    at = np.concatenate([first.ravel(), second.ravel()])
    for relus in (False, True):
        jacobian = approx_fprime(at, lambda flat, relus=relus: outputs(flat, relus), 1e-7)  # type: ignore[misc]
        expected = std**2 * (jacobian**2).sum() / (2 * len(x))
        orders = deep_linear.excess_by_order([first, second], x)[0] * std**2
        assert (
            sum(relu.second_order(first, second, x, (std, std))) if relus else orders
        ) == pytest.approx(expected, rel=1e-5)


STDS = st.floats(0, 1e3)


@settings(max_examples=50, deadline=None)
@given(STDS, STDS, st.integers(0, 10))
def test_risks_are_finite_and_grow_with_the_noise_of_the_second_layer(
    std_1: float, std_2: float, seed: int
) -> None:
    first, second, x, y = relu_case(seed)
    low, high = sorted((std_1, std_2))
    for risk in (
        lambda std: relu.expected_risk(first, second, x, y, (std_1, std)),
        lambda std: deep_linear.expected_risk([first, second], x, y, (std_1, std)),
        lambda std: deep_linear.expected_risk([first, second], x, y, (std, std_1)),
    ):
        assert 0 <= risk(low) <= risk(high) * (1 + 1e-12) < math.inf


@settings(max_examples=50, deadline=None)
@given(STDS, st.integers(0, 10))
def test_a_diagonal_network_gains_no_less_than_the_lasso_penalty(std: float, seed: int) -> None:
    positive, negative, x, y = diagonal_case(seed)
    risks = [diagonal.expected_risk(positive, negative, x, y, (size, size)) for size in (0.0, std)]
    check_penalty(
        lasso_penalty(positive**2 - negative**2, x, std), diagonal.constant(x, std), *risks
    )


@settings(max_examples=50, deadline=None)
@given(STDS, st.integers(0, 10))
def test_grouped_products_gain_no_less_than_the_group_penalty(std: float, seed: int) -> None:
    u, v, x, y = (
        normal(2, seed=seed),
        normal(5, seed=seed),
        normal(4, 5, seed=seed),
        normal(4, seed=seed + 1),
    )
    risks = [group_lasso.expected_risk(u, v, GROUPS, x, y, size) for size in (0.0, std)]
    penalty = group_penalty(u[list(GROUPS)] * v, GROUPS, x, std)
    check_penalty(penalty, group_lasso.constant(x, std), *risks)


@settings(max_examples=50, deadline=None)
@given(STDS, st.integers(0, 10))
def test_two_linear_layers_gain_no_less_than_the_nuclear_penalty(std: float, seed: int) -> None:
    (first, second), x, y = linear_case(seed, (3, 4, 2), examples=5)
    risks = [deep_linear.expected_risk([first, second], x, y, (size, size)) for size in (0.0, std)]
    penalty = nuclear_penalty(second @ first, x, std)
    check_penalty(penalty, deep_linear.explosion((4, 2), x, std), *risks)


def check_penalty(penalty: float, constant: float, clean: float, noisy: float) -> None:
    """The penalty and the constant are together no more than what noise adds, but for rounding."""
    assert 0 <= clean <= noisy * (1 + 1e-12) < math.inf
    assert 0 <= penalty < math.inf
    assert penalty + constant <= noisy - clean + 1e-12 * noisy


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 1e-150), st.floats(-1e150, 1e150))
def test_a_relu_network_has_no_warning_at_the_edges(std: float, size: float) -> None:
    risk = relu.expected_risk(
        [[size], [0.0]], [[1e-200, 1.0]], [[1.0], [0.0]], [[0.0], [0.0]], (std, 0.0)
    )
    assert risk == pytest.approx((max(size, 0) * 1e-200) ** 2 / 4, rel=1e-9, abs=1e-290)


MATRIX = np.ones((2, 2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: deep_linear.expected_risk([MATRIX], MATRIX, MATRIX, [-0.1]),
            r"stds\[0\] must be >= 0 and finite, got -0.1",
        ),
        (
            lambda: deep_linear.expected_risk([MATRIX], MATRIX, MATRIX, [math.nan]),
            r"stds\[0\] must be >= 0 .*, got nan",
        ),
        (
            lambda: deep_linear.expected_risk([MATRIX], MATRIX, MATRIX, [0.1, 0.1]),
            "one number for each of 1 layers, got 2",
        ),
        (
            lambda: deep_linear.expected_risk([], MATRIX, MATRIX, []),
            "weights must hold 1 matrix or more, got 0",
        ),
        (
            lambda: deep_linear.excess_by_order([MATRIX, np.ones((2, 3))], MATRIX),
            r"weights\[1\] must be a matrix of shape \(any, 2\) with entries, "
            r"got shape \(2, 3\)",
        ),
        (
            lambda: deep_linear.expected_risk([MATRIX], MATRIX, np.ones((3, 2)), [0.0]),
            r"targets must be a matrix of shape \(2, 2\) with entries, got shape \(3, 2\)",
        ),
        (
            lambda: deep_linear.excess_by_order([MATRIX], MATRIX * np.nan),
            "inputs must be finite, got nan",
        ),
        (
            lambda: deep_linear.all_layers_excess([MATRIX], MATRIX, math.inf),
            "sigma must be >= 0 and finite, got inf",
        ),
        (
            lambda: deep_linear.layerwise_excess([MATRIX], MATRIX, -1.0),
            "sigma must be >= 0 and finite, got -1.0",
        ),
        (
            lambda: deep_linear.explosion([3, 0], MATRIX, 0.1),
            r"widths must hold numbers >= 1, got \[3, 0\]",
        ),
        (
            lambda: deep_linear.explosion([], MATRIX, 0.1),
            r"widths must hold numbers >= 1, got \[\]",
        ),
        (
            lambda: relu.expected_risk(MATRIX, MATRIX, MATRIX, MATRIX, (0.1, -2.0)),
            r"stds\[1\] must be .*, got -2.0",
        ),
        (
            lambda: relu.expected_risk(MATRIX, MATRIX, np.ones((2, 3)), MATRIX, (0.1, 0.1)),
            r"first must be .* \(any, 3\)",
        ),
        (
            lambda: relu.second_order(MATRIX, np.ones((2, 3)), MATRIX, (0.1, 0.1)),
            r"second must be .* \(any, 2\)",
        ),
        (lambda: relu.explosion(MATRIX, 0, MATRIX), "outputs must be >= 1, got 0"),
        (
            lambda: diagonal.expected_risk([1.0], [1.0, 2.0], MATRIX, [0.0, 0.0], (0.1, 0.1)),
            r"positive must be a vector of shape \(2\) with entries, got shape \(1,\)",
        ),
        (
            lambda: diagonal.constant(np.ones(2), 0.1),
            r"inputs must be a matrix .*, got shape \(2,\)",
        ),
        (lambda: group_lasso.constant(MATRIX, math.nan), "std must be >= 0 and finite, got nan"),
        (
            lambda: nuclear_norm.least_product(MATRIX, MATRIX, -0.1),
            "std must be >= 0 and finite, got -0.1",
        ),
        (
            lambda: nuclear_norm.least_product(MATRIX, np.ones((3, 1)), 0.1),
            r"targets must be .* \(2, any\)",
        ),
        (
            lambda: group_lasso.least_coefficients([0, 2], MATRIX, [1.0, 1.0], 0.1),
            r"0, 1, ... of 2 features, got \[0, 2\]",
        ),
        (
            lambda: group_lasso.least_coefficients([0], MATRIX, [1.0, 1.0], 0.1),
            r"0, 1, ... of 2 features, got \[0\]",
        ),
        (
            lambda: group_lasso.least_coefficients([0, 1], MATRIX, [1.0], 0.1),
            r"targets must be .* \(2\)",
        ),
    ],
)
def test_arguments_that_make_no_sense_are_named(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
