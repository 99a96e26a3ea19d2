"""Theorems 1 and 2 of weight noise, the piecewise-smooth extension and the orders of deep networks:
what the figures compute against draws, finite differences and known exponents."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mgaudit.papers.claim import Data, Measured, Row
from mgaudit.papers.paper import PaperFigure, Resources
from mgaudit.papers.rows import column, matching
from mgaudit.papers.weight_noise import depth, piecewise, theorem1, theorem2
from mgaudit.study.progress import Progress
from mgaudit.targets.seeds import numpy_generator

WORKSHOP = Resources(1, "cpu", Progress())
ONE = replace(theorem1.FIGURE.quick, networks=2)


def measured(figure: PaperFigure, key: str, data: Data) -> Measured:
    result = next(candidate for candidate in figure.claims if candidate.key == key).check(data)
    assert isinstance(result, Measured)
    return result


@pytest.mark.parametrize("draws", [20_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", list(theorem1.LOOKS))
def test_the_losses_of_theorem_1_are_those_of_draws_and_of_the_jacobian(
    kind: str, draws: int
) -> None:
    settings = replace(ONE, features=2, width=2, outputs=1, examples=3)
    sigma, factor = 0.3, 1.5
    generator = numpy_generator(settings.seed, "theorem1", 0)
    x = generator.normal(size=(3, 2))
    y = generator.normal(size=(3, 1))
    positive, negative = generator.normal(size=(2, 2))
    chain = theorem1._layers(generator, [2, 2, 1]), theorem1._layers(generator, [2, 2, 2, 1])

    def outputs(w: Any) -> Any:
        """Outputs (draws, examples) for weights (draws, all weights)."""
        if kind in (theorem1.TWO, theorem1.THREE):
            shapes = [layer.shape for layer in chain[kind == theorem1.THREE]]
            ends = np.cumsum([math.prod(shape) for shape in shapes])[:-1]
            value = np.broadcast_to(x.T, (len(w), 2, 3))
            for part, shape in zip(np.split(w, ends, axis=1), shapes, strict=True):
                value = part.reshape(-1, *shape) @ value
            return value[:, 0]
        second = w[:, 2:] ** 2 if kind == theorem1.DIAGONAL else 0.0
        return (w[:, :2] ** 2 - second) @ x.T

    start = {
        theorem1.DIAGONAL: np.concatenate([positive, negative]),
        theorem1.SQUARES: positive,
        theorem1.TWO: np.concatenate([layer.ravel() for layer in chain[0]]),
        theorem1.THREE: np.concatenate([layer.ravel() for layer in chain[1]]),
    }[kind]
    start = factor * start
    is_linear = kind in (theorem1.TWO, theorem1.THREE)
    targets = outputs(start[None])[0] if is_linear else y[:, 0]
    plain, expected, effective = theorem1._networks(settings, 0)[kind](sigma, factor)

    noise = np.random.default_rng(0).normal(size=(draws, len(start)))
    losses = ((outputs(start + sigma * noise) - targets) ** 2).sum(axis=1) / 6
    score = (losses.mean() - expected) / (losses.std(ddof=1) / math.sqrt(draws))
    assert abs(score) < 4
    assert plain == pytest.approx(((outputs(start[None])[0] - targets) ** 2).sum() / 6)
    steps = 1e-6 * np.eye(len(start))
    jacobian = (outputs(start + steps) - outputs(start - steps)) / 2e-6
    assert effective - plain == pytest.approx(sigma**2 / 6 * (jacobian**2).sum(), rel=1e-6)


def test_the_orders_of_theorem_1_are_those_of_the_polynomials() -> None:
    data = theorem1.measure(replace(ONE, sigmas=(0.001, 0.002, 0.004)), WORKSHOP)
    for key, order in (
        ("t1-change-diagonal", 2),
        ("t1-change-three", 2),
        ("t1-rest-two", 4),
        ("t1-rest-three", 4),
        ("t1-rest-squares", 2),
    ):
        assert measured(theorem1.FIGURE, key, data).value == pytest.approx(order, abs=0.02), key
    growths = {"change-growth-two": 2, "change-growth-three": 4, "rest-growth-two": 0}
    for key, exponent in {**growths, "rest-growth-three": 2}.items():
        result = measured(theorem1.FIGURE, f"t1-{key}", data)
        assert result.value == pytest.approx(exponent, abs=0.01), key
        assert result.holds == (key[-3:] == "two"), key


def slopes(order: float) -> Data:
    rows: list[Row] = [
        {"network": kind, "seed": float(seed), "sigma": sigma}
        | dict.fromkeys(("change", "rest"), (1 + seed) * sigma**order)
        for kind in theorem1.LOOKS
        for seed in range(3)
        for sigma in (0.1, 0.2, 0.4)
    ]
    return {"sigmas": rows, "factors": []}


def test_the_claims_of_theorem_1_reject_a_lower_order() -> None:
    assert measured(theorem1.FIGURE, "t1-rest-three", slopes(3.1)).holds
    assert not measured(theorem1.FIGURE, "t1-rest-three", slopes(2.9)).holds
    assert not measured(theorem1.FIGURE, "t1-change-two", slopes(1.9)).holds
    assert not measured(theorem1.FIGURE, "t1-rest-squares", slopes(3.0)).holds


@pytest.fixture(scope="module")
def minima() -> Data:
    settings = replace(theorem2.FIGURE.quick, problems=2, sigmas=(0.03, 0.06))
    return theorem2.measure(settings, WORKSHOP)


def test_the_minimisers_are_found_and_have_the_orders_of_the_expansion(minima: Data) -> None:
    assert max(column(minima["distances"], "gradient")) < theorem2.FLAT
    for key, order in (("squares", 4), ("linear", 8)):
        value = measured(theorem2.FIGURE, f"t2-apart-{key}", minima).value
        assert value == pytest.approx(order, abs=0.1), key
    assert measured(theorem2.FIGURE, "t2-targets-linear", minima).value == pytest.approx(4, abs=0.1)
    assert not measured(theorem2.FIGURE, "t2-gain-squares", minima).holds


def test_the_minimisers_of_the_squares_fulfil_the_conditions_of_a_minimum() -> None:
    settings = replace(theorem2.FIGURE.quick, sigmas=(0.1,))
    generator = numpy_generator(settings.seed, theorem2.SQUARES, 0)
    x = generator.normal(size=(settings.examples, settings.features))
    ((sigma, expected, effective, y, _),) = theorem2._squares(settings, 0)
    penalty = 2 * sigma**2 * (x**2).mean(axis=0)
    for outputs, shift in ((expected, sigma**2 * x.sum(axis=1)), (effective, 0.0)):
        slope = x.T @ (outputs + shift - y) / len(x) + penalty  # in the coefficients w² >= 0
        assert slope.min() > -1e-9
        assert (slope < 1e-9).sum() >= 1
    assert not np.allclose(expected, effective)


def test_the_loss_of_theorem_2_has_its_gradient_and_the_second_order() -> None:
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(3, 4)), generator.normal(size=(3, 2))
    shapes = [(3, 4), (3, 3), (2, 3)]
    weights = generator.normal(size=27)
    loss = theorem2._loss(x, y, shapes, [[0.1] * 3, [0.0, 0.2, 0.0]], (1.0, -2.0))
    steps = 1e-6 * np.eye(27)
    slope = [(loss(weights + step)[0] - loss(weights - step)[0]) / 2e-6 for step in steps]
    np.testing.assert_allclose(loss(weights)[1], slope, rtol=1e-5, atol=1e-7)
    matrices = theorem2._matrices(weights, shapes)
    output = x @ matrices[0].T @ matrices[1].T @ matrices[2].T
    np.testing.assert_allclose(theorem2._outputs(weights, x, shapes), output)


def test_a_minimum_that_was_not_found_is_not_judged(minima: Data) -> None:
    rows = [row | {"gradient": 1e-3} for row in minima["distances"]]
    check = next(c for c in theorem2.FIGURE.claims if c.key == "t2-apart-linear").check
    assert "not found" in getattr(check({"distances": rows}), "why", "")


def test_the_rest_of_a_relu_network_away_from_kinks_and_near_them() -> None:
    settings = replace(piecewise.FIGURE.quick, networks=3, random_networks=16, groups=4)
    data = piecewise.measure(settings, WORKSHOP)
    assert measured(piecewise.FIGURE, "kink-away", data).value == pytest.approx(4, abs=1e-4)
    assert measured(piecewise.FIGURE, "kink-exponential", data).holds
    random = matching(data["random"], targets="random targets")
    fitted = matching(data["random"], targets="targets that the network fits")
    assert min(column(random, "rest")) > max(column(matching(fitted, sigma=0.005), "rest"))
    for row in data["away"]:
        assert row["margin"] == pytest.approx(0.5)


def test_the_claims_on_kinks_reject_another_exponent_and_a_lower_order() -> None:
    def near(power: float) -> Data:
        rows: list[Row] = [
            {
                "seed": float(seed),
                "margin": 1.0,
                "sigma": sigma,
                "rest": sigma**3 * math.exp(-power * (1 + 0.01 * seed) / (2 * sigma**2)),
            }
            for seed in range(3)
            for sigma in (0.2, 0.22, 0.25)
        ]
        random: list[Row] = [
            {"targets": targets, "group": group, "sigma": sigma, "rest": sigma ** (3 * power)}
            for targets in piecewise.TARGETS
            for group in (0.0, 1.0)
            for sigma in (0.1, 0.2)
        ]
        return {"first_layer": rows, "random": random}

    for key in ("kink-exponential", "kink-uniform", "kink-uniform-fit"):
        assert measured(piecewise.FIGURE, key, near(1.0)).holds, key
        assert not measured(piecewise.FIGURE, key, near(0.5)).holds, key
    assert not measured(piecewise.FIGURE, "kink-exponential", near(2.0)).holds


def test_the_exponents_of_the_width_are_those_of_independent_weights() -> None:
    # c_M is d^(M-1) times constants; c_1 falls as d^(2-M); and noise on one of two or three layers
    # in a row, each with a factor d, adds d^0 and d^1 to c_2 of five and three layers.
    settings = replace(depth.FIGURE.quick, widths=(32, 64, 128), networks=8)
    data = depth.measure(settings, WORKSHOP)
    for layers, order, exponent in ((2, 2, 1), (3, 3, 2), (5, 5, 4), (3, 2, 1), (3, 1, 0)):
        value = np.mean(depth._exponents(data, layers, order))
        assert value == pytest.approx(exponent, abs=0.3), (layers, order)
    assert np.mean(depth._exponents(data, 5, 2)) < 0.3
    assert not measured(depth.FIGURE, "explodes-5", data).holds
    for key in ("bounded", "explodes-2", "explodes-3", "explodes-4"):
        assert measured(depth.FIGURE, key, data).holds, key


def test_a_coefficient_of_the_second_order_that_grows_is_not_bounded() -> None:
    rows: list[Row] = [
        {
            "depth": float(layers),
            "width": size,
            "seed": float(seed),
            "order": float(order),
            "coefficient": (1 + seed) * size**0.2,
        }
        for layers in (2, 3)
        for size in (10.0, 20.0, 40.0)
        for seed in range(3)
        for order in range(1, layers + 1)
    ]
    assert not measured(depth.FIGURE, "bounded", {"orders": rows}).holds
    assert not measured(depth.FIGURE, "explodes-2", {"orders": rows}).holds
