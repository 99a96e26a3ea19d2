from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from mgaudit.targets import CNN, MLP
from mgaudit.targets.fitting.recipe import Target, initial_model
from mgaudit.targets.querying.ensemble import Ensemble


def weights_of(model: nn.Module) -> dict[str, np.ndarray]:
    return {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize(
    "target", [MLP, CNN, partial(CNN, norm="group")], ids=["MLP", "CNN", "CNN-group"]
)
def test_the_norms_are_those_of_autograd_one_example_at_a_time(target: Target) -> None:
    generator = np.random.default_rng(0)
    # Images with their channels last in memory, on which Opacus' norms would be wrong if nothing
    # were done.
    inputs = generator.standard_normal((12, 9, 9, 3)).astype(np.float32).transpose(0, 3, 1, 2)
    labels = generator.integers(0, 4, 12)
    models = [initial_model(target, (3, 9, 9), 4, seed) for seed in (1, 2)]
    expected = []
    for model in models:
        norms = []
        for x, y in zip(torch.from_numpy(inputs), torch.from_numpy(labels), strict=True):
            gradients = torch.autograd.grad(
                cross_entropy(model(x[None]), y[None]), list(model.parameters())
            )
            norms.append(sum(float(gradient.square().sum()) for gradient in gradients) ** 0.5)
        expected.append(norms)
    ensemble = Ensemble(
        initial_model(target, (3, 9, 9), 4, 0), [weights_of(model) for model in models]
    )
    computed = ensemble.gradient_norms(inputs, labels, "cpu")
    assert computed.shape == (2, 12)
    assert np.allclose(computed, expected, rtol=1e-4)


def test_weights_that_are_not_the_networks_are_refused() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    weights = weights_of(model)
    Ensemble(model, [weights])
    renamed = {name.replace("1.", "2."): values for name, values in weights.items()}
    others = [
        renamed,
        {},
        {**weights, "1.bias": weights["1.bias"][:2]},
        {**weights, "1.bias": weights["1.bias"] * 1.0j},
    ]
    for other in others:
        with pytest.raises(ValueError, match=r"weights\[1\] must hold the tensors of the network"):
            Ensemble(model, [weights, other])
