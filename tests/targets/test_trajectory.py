"""Watched training: it is the same training, and what is kept is what was there."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from mgaudit.settings.datasets import load
from mgaudit.targets.datasets import Dataset
from mgaudit.targets.fitting.recipe import Recipe, train
from mgaudit.targets.fitting.trajectory import (
    Regression,
    regression_trajectory,
    training_trajectory,
)
from mgaudit.targets.networks.mlp import MLP
from mgaudit.targets.schemes import GaussianMask, NoiseNodes, Scheme
from mgaudit.targets.training import Training

TARGET = partial(MLP, hidden=(6,))


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return load("digits", 60, np.random.default_rng(0)).standardised()


def recipe(scheme: Scheme, **training: object) -> Recipe:
    return Recipe(
        TARGET, scheme, Training(epochs=2, batch_size=20, **training), None, 0, 60.0, stack=2
    )  # type: ignore[arg-type]


def test_watched_training_ends_where_training_ends(dataset: Dataset) -> None:
    members = np.ones((2, 60), bool)
    seen = training_trajectory(recipe(GaussianMask(0.3)), dataset, members, [0, 6], "cpu")
    trained = train(recipe(GaussianMask(0.3)), dataset, members, [0, 1], "cpu")
    assert seen.steps == [0, 6]
    assert seen.losses.shape == (2, 6)
    for model in range(2):
        for name, values in trained[model].weights.items():
            np.testing.assert_array_equal(seen.weights[model][1][name], values)
            assert not np.array_equal(seen.weights[model][0][name], values)


def test_losses_are_those_of_the_weights_before_the_step(dataset: Dataset) -> None:
    plain_recipe = replace(
        recipe(Scheme(), loss="squared", schedule="constant", momentum=0.0), stack=1
    )
    plain_recipe = replace(plain_recipe, training=replace(plain_recipe.training, batch_size=60))
    seen = training_trajectory(plain_recipe, dataset, np.ones((1, 60), bool), [0, 1], "cpu")
    for step in (0, 1):
        model = TARGET(dataset.input_shape, 10)
        model.load_state_dict(
            {name: torch.from_numpy(value) for name, value in seen.weights[0][step].items()}
        )
        with torch.no_grad():
            outputs = model(torch.from_numpy(dataset.inputs)).double().numpy()
        expected = ((outputs - np.eye(10)[dataset.labels]) ** 2).sum(axis=1).mean() / 2
        assert seen.losses[0, step] == pytest.approx(expected, rel=1e-5)


def test_the_constant_rate_is_constant_and_the_cosine_is_not(dataset: Dataset) -> None:
    members = np.ones((1, 60), bool)

    def moved(schedule: str) -> float:
        settings = replace(recipe(Scheme(), schedule=schedule, momentum=0.0), stack=1)
        seen = training_trajectory(settings, dataset, members, [5, 6], "cpu")
        return float(
            np.abs(
                seen.weights[0][1]["layers.1.weight"] - seen.weights[0][0]["layers.1.weight"]
            ).max()
        )

    assert moved("constant") > 5 * moved("cosine")


def test_a_noise_node_is_kept_apart(dataset: Dataset) -> None:
    seen = training_trajectory(
        recipe(NoiseNodes(1.0)), dataset, np.ones((2, 60), bool), [0, 6], "cpu"
    )
    assert set(seen.weights[0][0]) == set(TARGET(dataset.input_shape, 10).state_dict())
    first, last = seen.nodes[0]
    assert first is not None
    assert last is not None
    assert first.shape == (6,)
    assert not np.array_equal(first, last)
    assert training_trajectory(
        recipe(Scheme()), dataset, np.ones((1, 60), bool), [0], "cpu"
    ).nodes == [[None]]


def test_what_cannot_be_watched_is_refused(dataset: Dataset) -> None:
    with pytest.raises(ValueError, match="without DP-SGD and without clients"):
        training_trajectory(
            recipe(Scheme(), clients=2), dataset, np.ones((1, 60), bool), [0], "cpu"
        )
    with pytest.raises(ValueError, match=r"steps must be some numbers >= 0, got \[-1\]"):
        training_trajectory(recipe(Scheme()), dataset, np.ones((1, 60), bool), [-1], "cpu")


def regression() -> Regression:
    generator = np.random.default_rng(0)
    return Regression(
        generator.normal(size=(30, 4)),
        generator.normal(size=30),
        generator.normal(size=(8, 4)),
        np.repeat([1.0, -1], 4),
    )


def test_regression_is_gradient_descent_on_half_the_sum_of_squares() -> None:
    problem = regression()
    weights = problem.weights.copy()
    for _ in range(5):
        before = problem.inputs @ weights.T
        errors = np.maximum(before, 0) @ problem.outer / np.sqrt(8) - problem.values
        gradient = (
            (errors[:, None] * (before > 0)) * problem.outer / np.sqrt(8)
        ).T @ problem.inputs
        weights -= 0.01 * gradient
    seen = regression_trajectory(problem, Scheme(), 0.01, [0, 5], seed=3)
    np.testing.assert_array_equal(seen[0], problem.weights)
    np.testing.assert_allclose(seen[1], weights, rtol=1e-12, atol=1e-14)


def test_clients_of_a_regression_step_along_the_whole_gradient() -> None:
    alone = regression_trajectory(regression(), Scheme(), 0.01, [7], seed=3)
    shared = regression_trajectory(regression(), Scheme(), 0.01, [7], seed=3, clients=5)
    np.testing.assert_allclose(shared, alone, rtol=1e-10)
    with pytest.raises(ValueError, match="clients must share 30 examples evenly, got 4"):
        regression_trajectory(regression(), Scheme(), 0.01, [7], seed=3, clients=4)
    apart = regression_trajectory(
        regression(), Scheme(), 0.01, [7], seed=3, clients=5, local_steps=3
    )
    assert np.abs(apart - alone).max() > 1e-6


def test_a_fixed_mask_is_the_same_for_one_trainer_and_for_clients() -> None:
    fixed = GaussianMask(0.5, fixed=True)
    alone = regression_trajectory(regression(), fixed, 0.01, [7], seed=3)
    shared = regression_trajectory(regression(), fixed, 0.01, [7], seed=3, clients=5)
    np.testing.assert_allclose(shared, alone, rtol=1e-10)
    assert (
        np.abs(alone - regression_trajectory(regression(), Scheme(), 0.01, [7], seed=3)).max()
        > 1e-3
    )
