from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from mgaudit.targets import MLP
from mgaudit.targets.datasets import Dataset
from mgaudit.targets.fitting.loop import Fitted, fit
from mgaudit.targets.fitting.recipe import Recipe, TrainedModel, initial_model, train
from mgaudit.targets.membership import fair_coins
from mgaudit.targets.querying.ensemble import Ensemble
from mgaudit.targets.querying.queries import NoiseDraws, Queries
from mgaudit.targets.schemes import GaussianMask, NoiseNodes, Scheme
from mgaudit.targets.seeds import torch_generator
from mgaudit.targets.training import Training


def dataset() -> Dataset:
    generator = np.random.default_rng(0)
    inputs = generator.standard_normal((80, 1, 8, 8)).astype(np.float32)
    labels = generator.integers(0, 3, 80)
    return Dataset("noise", inputs, labels, inputs[:20], labels[:20], ("a", "b", "c"))


def streams(query: int) -> torch.Generator:
    return torch_generator(0, "queries", query)


def recipe(scheme: Scheme | None = None, seed: int = 0, rate: float | None = None) -> Recipe:
    return Recipe(
        MLP, scheme or Scheme(), Training(epochs=2, learning_rate=rate), None, seed, members=40
    )


def alone(chosen: Recipe, data: Dataset, members: np.ndarray, index: int) -> TrainedModel:
    (trained,) = train(chosen, data, members[np.newaxis], [index], "cpu")
    return trained


def test_a_model_is_determined_by_seed_and_index_and_nothing_else() -> None:
    members = fair_coins(2, 80, seed=0)
    first = alone(recipe(), dataset(), members[0], 0)
    alone(recipe(), dataset(), members[1], 1)
    torch.rand(7)
    again = alone(recipe(), dataset(), members[0], 0)
    for name, values in first.weights.items():
        assert np.array_equal(values, again.weights[name])
    for other in (recipe(seed=1), recipe(GaussianMask(0.1))):
        changed = alone(other, dataset(), members[0], 0)
        assert not np.array_equal(
            first.weights["layers.1.weight"], changed.weights["layers.1.weight"]
        )
    assert not np.array_equal(
        first.weights["layers.1.weight"],
        alone(recipe(), dataset(), members[0], 1).weights["layers.1.weight"],
    )


def test_only_members_are_trained_on() -> None:
    data, members = dataset(), fair_coins(1, 80, seed=0)[0]
    poisoned = data.inputs.copy()
    poisoned[~members] = 1e9
    spoilt = Dataset(
        "noise", poisoned, data.labels, data.test_inputs, data.test_labels, data.classes
    )
    ours, theirs = (alone(recipe(), each, members, 0) for each in (data, spoilt))
    assert all(np.array_equal(ours.weights[name], theirs.weights[name]) for name in ours.weights)


def test_building_a_network_leaves_the_global_random_state_alone() -> None:
    state = torch.get_rng_state()
    first, again, other = (initial_model(MLP, (4,), 2, seed) for seed in (1, 1, 2))
    assert torch.equal(state, torch.get_rng_state())
    weights = [next(model.parameters()) for model in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_model_that_diverges_is_marked_and_has_no_weights() -> None:
    everyone = np.ones(80, dtype=bool)
    diverged = alone(recipe(rate=1e30), dataset(), everyone, 3)
    assert diverged.diverged
    assert diverged.weights == {}
    assert not alone(recipe(), dataset(), everyone, 3).diverged


def test_one_model_that_diverges_leaves_its_stack_alone() -> None:
    data, members = dataset(), fair_coins(4, 80, seed=0)
    members[2] = False
    members[2, :40] = True
    spoilt = replace(data, inputs=data.inputs.copy())
    spoilt.inputs[:40][members[[0, 1, 3], :40].sum(axis=0) == 0] = 1e25  # seen by model 2 alone
    together = train(replace(recipe(), stack=4), spoilt, members, range(4), "cpu")
    assert [model.diverged for model in together] == [False, False, True, False]
    for index in (0, 1, 3):
        single = alone(recipe(), spoilt, members[index], index)
        for name, values in single.weights.items():
            assert np.allclose(values, together[index].weights[name], atol=1e-4)


def test_a_model_is_the_same_bit_for_bit_whatever_else_is_in_its_stack() -> None:
    data, members = dataset(), fair_coins(4, 80, seed=0)
    stacked = replace(recipe(GaussianMask(0.3)), stack=4)
    together = train(stacked, data, members, range(4), "cpu")
    for index in range(4):
        (single,) = train(stacked, data, members[index : index + 1], [index], "cpu")
        for name, values in together[index].weights.items():
            assert np.array_equal(values, single.weights[name])


def test_a_stack_that_does_not_fit_into_memory_is_cut_in_half(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data, members = dataset(), fair_coins(8, 80, seed=0)
    sizes: list[int] = []

    def cramped(models: list[nn.Module], *rest: Any, **options: Any) -> Fitted:
        sizes.append(len(models))
        if len(models) > 2:
            raise torch.OutOfMemoryError("no room for more than two")
        return fit(models, *rest, **options)

    monkeypatch.setattr("mgaudit.targets.fitting.recipe.fit", cramped)
    trained = train(replace(recipe(), stack=8), data, members, range(8), "cpu")
    assert sizes == [8, 4, 2, 2, 4, 2, 2]
    monkeypatch.undo()
    pairs = train(replace(recipe(), stack=2), data, members[4:6], [4, 5], "cpu")
    for name, values in pairs[1].weights.items():
        assert np.array_equal(values, trained[5].weights[name])


def test_one_model_that_does_not_fit_into_memory_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def cramped(*_: Any, **__: Any) -> Fitted:
        raise torch.OutOfMemoryError("no room at all")

    monkeypatch.setattr("mgaudit.targets.fitting.recipe.fit", cramped)
    with pytest.raises(torch.OutOfMemoryError, match="no room at all"):
        alone(recipe(), dataset(), np.ones(80, dtype=bool), 0)


def test_the_noise_node_is_no_part_of_what_is_kept() -> None:
    kept = alone(recipe(NoiseNodes(sigma=1.0)), dataset(), np.ones(80, dtype=bool), 0)
    assert list(kept.weights) == list(MLP((1, 8, 8), 3).state_dict())


def test_an_ensembles_logits_are_each_models_own_at_evaluation() -> None:
    data = dataset()
    trained = [
        train(recipe(GaussianMask(0.5)), data, row[None], [i], "cpu")[0]
        for i, row in enumerate(fair_coins(3, 80, 0))
    ]
    ensemble = Ensemble(
        initial_model(MLP, (1, 8, 8), 3, seed=0), [model.weights for model in trained]
    )
    queries = NoiseDraws(2, GaussianMask(0.5))
    plain = ensemble.logits(data.inputs, "cpu", Queries(), 0, batch_size=7)
    masked = ensemble.logits(data.inputs, "cpu", queries, 0, batch_size=7)
    assert plain.shape == (3, 80, 1, 3)
    assert masked.shape == (3, 80, 2, 3)
    inputs = torch.from_numpy(data.inputs)
    for index, model in enumerate(trained):
        single = initial_model(MLP, (1, 8, 8), 3, seed=9)
        single.load_state_dict(
            {name: torch.from_numpy(values) for name, values in model.weights.items()}
        )
        assert np.allclose(plain[index, :, 0], single(inputs).detach().numpy(), atol=1e-5)
        for query in (0, 1):  # the same draw for every model
            asked = queries.ask(inputs, query, streams(query))
            assert np.allclose(masked[index, :, query], single(asked).detach().numpy(), atol=1e-5)
