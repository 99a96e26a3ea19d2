import numpy as np
import pytest
import torch

from targets import MLP
from targets.datasets import Dataset
from targets.ensemble import Ensemble
from targets.membership import fair_coins
from targets.queries import NoiseDraws, Queries
from targets.recipe import Recipe, initial_model, train
from targets.schemes import GaussianMask, Scheme
from targets.seeds import torch_generator
from targets.training import Training


def dataset() -> Dataset:
    generator = np.random.default_rng(0)
    inputs = generator.standard_normal((80, 1, 8, 8)).astype(np.float32)
    labels = generator.integers(0, 3, 80)
    return Dataset("noise", inputs, labels, inputs[:20], labels[:20], ("a", "b", "c"))


def streams(query: int) -> torch.Generator:
    return torch_generator(0, "queries", query)


def recipe(scheme: Scheme | None = None, seed: int = 0, rate: float | None = None) -> Recipe:
    return Recipe(MLP, scheme or Scheme(), Training(epochs=2, learning_rate=rate), None, seed)


def test_a_model_is_determined_by_seed_and_index_and_nothing_else() -> None:
    members = fair_coins(2, 80, seed=0)
    first = train(recipe(), dataset(), members[0], 0, "cpu")
    train(recipe(), dataset(), members[1], 1, "cpu")
    torch.rand(7)
    again = train(recipe(), dataset(), members[0], 0, "cpu")
    for name, values in first.weights.items():
        assert np.array_equal(values, again.weights[name])
    for other in (recipe(seed=1), recipe(GaussianMask(0.1))):
        changed = train(other, dataset(), members[0], 0, "cpu")
        assert not np.array_equal(first.weights["layers.1.weight"], changed.weights["layers.1.weight"])
    assert not np.array_equal(
        first.weights["layers.1.weight"], train(recipe(), dataset(), members[0], 1, "cpu").weights["layers.1.weight"]
    )


def test_only_members_are_trained_on() -> None:
    data, members = dataset(), fair_coins(1, 80, seed=0)[0]
    poisoned = data.inputs.copy()
    poisoned[~members] = 1e9
    spoilt = Dataset("noise", poisoned, data.labels, data.test_inputs, data.test_labels, data.classes)
    ours, theirs = (train(recipe(), each, members, 0, "cpu") for each in (data, spoilt))
    assert all(np.array_equal(ours.weights[name], theirs.weights[name]) for name in ours.weights)


def test_building_a_network_leaves_the_global_random_state_alone() -> None:
    state = torch.get_rng_state()
    first, again, other = (initial_model(MLP, (4,), 2, seed) for seed in (1, 1, 2))
    assert torch.equal(state, torch.get_rng_state())
    weights = [next(model.parameters()) for model in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_model_that_diverges_is_an_error_that_names_it() -> None:
    with pytest.raises(FloatingPointError, match="model 3 diverged"):
        train(recipe(rate=1e30), dataset(), np.ones(80, dtype=bool), 3, "cpu")


def test_an_ensembles_logits_are_each_models_own_at_evaluation() -> None:
    data = dataset()
    trained = [train(recipe(GaussianMask(0.5)), data, row, i, "cpu") for i, row in enumerate(fair_coins(3, 80, 0))]
    ensemble = Ensemble(initial_model(MLP, (1, 8, 8), 3, seed=0), [model.weights for model in trained])
    queries = NoiseDraws(2, GaussianMask(0.5))
    plain = ensemble.logits(data.inputs, "cpu", Queries(), 0, batch_size=7)
    masked = ensemble.logits(data.inputs, "cpu", queries, 0, batch_size=7)
    assert plain.shape == (3, 80, 1, 3)
    assert masked.shape == (3, 80, 2, 3)
    inputs = torch.from_numpy(data.inputs)
    for index, model in enumerate(trained):
        alone = initial_model(MLP, (1, 8, 8), 3, seed=9)
        alone.load_state_dict({name: torch.from_numpy(values) for name, values in model.weights.items()})
        assert np.allclose(plain[index, :, 0], alone(inputs).detach().numpy(), atol=1e-5)
        for query in (0, 1):  # the same draw for every model
            asked = queries.ask(inputs, query, streams(query))
            assert np.allclose(masked[index, :, query], alone(asked).detach().numpy(), atol=1e-5)
