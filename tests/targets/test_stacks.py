"""A model comes out the same in every stack, by the way that an audit's models go."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from mgaudit.targets import CNN, MLP
from mgaudit.targets.datasets import Dataset
from mgaudit.targets.fitting.recipe import Recipe, Target, train
from mgaudit.targets.membership import fair_coins
from mgaudit.targets.schemes import (
    Dropout,
    GaussianMask,
    LabelNoise,
    NoiseNodes,
    Scheme,
    WeightNoise,
    compose,
)
from mgaudit.targets.training import Training

ALL_AT_ONCE = compose(
    (
        LabelNoise(0.2),
        GaussianMask(0.3, fixed=True),
        Dropout(0.1),
        NoiseNodes(0.5),
        WeightNoise(0.05, layerwise=True),
    )
)
# test_scheme_contract.py has each scheme alone.
SCHEMES = [Scheme(), ALL_AT_ONCE]
TARGETS = {"mlp": partial(MLP, hidden=(12, 8)), "cnn": partial(CNN, channels=(4, 5), hidden=6)}
MEMBERS = fair_coins(16, 60, seed=0)


def colour_images(dtype: str) -> Dataset:
    """60 colour images, because with one channel, channels-last memory cannot be distinguished."""
    generator = np.random.default_rng(0)
    inputs = generator.standard_normal((60, 3, 8, 8)).astype(np.float32)
    labels = generator.integers(0, 3, 60)
    data = Dataset("noise", inputs, labels, inputs[:20], labels[:20], ("a", "b", "c"))
    object.__setattr__(data, "inputs", inputs.astype(dtype))  # datasets hold no float64
    return data


def trained(
    target: Target, scheme: Scheme, models: Sequence[int], size: int, dtype: str, training: Training
) -> list[dict[str, NDArray[np.float32]]]:
    """Returns the weights of models that are trained in stacks of that size."""

    def build(input_shape: tuple[int, ...], classes: int) -> nn.Module:
        return target(input_shape, classes).to(getattr(torch, dtype))

    recipe = Recipe(build, scheme, scheme.training(training), None, 0, members=30, stack=size)
    starts = range(0, len(models), size)
    stacks = [models[start : start + size] for start in starts]
    data = colour_images(dtype)
    return [
        model.weights
        for stack in stacks
        for model in train(recipe, data, MEMBERS[list(stack)], list(stack), "cpu")
    ]


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize(
    "scheme", SCHEMES, ids=lambda scheme: "+".join(type(part).__name__ for part in scheme.parts)
)
@pytest.mark.parametrize("augment", ["none", "crops"])
def test_a_model_is_the_same_in_every_stack(name: str, scheme: Scheme, augment: str) -> None:
    training = Training(epochs=3, batch_size=8, augment=augment)  # type: ignore[arg-type]
    sizes = (1, 4, 16) if augment == "none" else (1, 3)
    chosen = range(sizes[-1])
    alone, *larger = (
        trained(TARGETS[name], scheme, chosen, size, "float64", training) for size in sizes
    )
    for other in larger:
        for ours, theirs in zip(alone, other, strict=True):
            for key in ours:
                assert np.allclose(ours[key], theirs[key], rtol=0, atol=1e-9), key
    assert not np.allclose(alone[0]["layers.1.weight" if name == "mlp" else "layers.0.weight"], 0)


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("scheme", [Scheme(), GaussianMask(0.3), WeightNoise(0.1)], ids=repr)
def test_the_first_gradient_agrees_in_float32(name: str, scheme: Scheme) -> None:
    one_step = Training(epochs=1, batch_size=30, learning_rate=1.0, momentum=0.0)
    alone, together = (
        trained(TARGETS[name], scheme, range(4), size, "float32", one_step) for size in (1, 4)
    )
    for ours, theirs in zip(alone, together, strict=True):
        for key in ours:
            assert np.allclose(ours[key], theirs[key], rtol=0, atol=1e-5), key


def test_a_scheme_draws_the_same_alone_and_beside_others() -> None:
    # A noise node of hardly any strength and weight noise as weak leave the masks of every step as
    # they were.
    mask, training = GaussianMask(0.5), Training(epochs=3, batch_size=8)
    beside = compose((mask, NoiseNodes(1e-30), WeightNoise(1e-30)))
    alone, together = (
        trained(TARGETS["mlp"], scheme, [0], 1, "float64", training) for scheme in (mask, beside)
    )
    for key in alone[0]:
        assert np.allclose(alone[0][key], together[0][key], rtol=0, atol=1e-12), key
