"""What networks see at each step: their own examples, with noise of their own streams."""

from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch
from torch import Generator, Tensor

from mgaudit.targets.fitting import drawn_batches as module
from mgaudit.targets.fitting.augmentation import AUGMENTATIONS
from mgaudit.targets.fitting.batches import shuffled_order
from mgaudit.targets.fitting.drawn_batches import Batch, drawn_batches, steps_at_once
from mgaudit.targets.fitting.examples import Streams, TrainingExamples
from mgaudit.targets.schemes import GaussianMask, GaussianNoise, NoiseNodes, Scheme, compose
from mgaudit.targets.seeds import torch_generator
from mgaudit.targets.training import Training

SHAPE, STEPS, SIZES = (1, 4, 4), 5, (37, 50, 3)
ROWS = tuple(torch.arange(size) + 10 * model for model, size in enumerate(SIZES))
MASK_AND_NODE = compose((GaussianMask(0.3), NoiseNodes(1.0)))


def examples() -> TrainingExamples:
    inputs = torch.randn(70, *SHAPE, generator=torch_generator(0, "examples"))
    return TrainingExamples(inputs, torch.arange(70), ROWS)


def batches(
    models: list[int], scheme: Scheme = MASK_AND_NODE, augment: str = "none", at_once: int = 2
) -> list[Batch]:
    """Returns two epochs of batches of some of the models, trained together."""
    streams = [Streams.of_model(0, model, "cpu") for model in models]
    own = replace(examples(), rows=tuple(ROWS[model] for model in models))
    sizes = [SIZES[model] for model in models]
    drawn = []
    for _ in range(2):
        epoch = shuffled_order(sizes, 30, STEPS, [stream.batches for stream in streams])
        training = Training(augment=augment)
        drawn += list(drawn_batches(own, epoch, at_once, scheme, training, streams))
    return drawn


def without_padding(batch: Batch, model: int) -> tuple[Tensor, ...]:
    """Returns inputs, labels and node values of the examples of a model."""
    counted = batch.counted[model] > 0
    values = batch.node_values
    assert values is not None
    return batch.inputs[model][counted], batch.labels[model][counted], values[model][counted]


@pytest.mark.parametrize("augment", list(AUGMENTATIONS))
@pytest.mark.parametrize("at_once", [1, 2, 5, 100])
def test_a_model_sees_the_same_alone_and_with_others(augment: str, at_once: int) -> None:
    together = batches([0, 1, 2], augment=augment, at_once=at_once)
    assert len(together) == 2 * STEPS
    for model in range(3):
        for step, alone in zip(
            together, batches([model], augment=augment, at_once=at_once), strict=True
        ):
            pairs = zip(without_padding(step, model), without_padding(alone, 0), strict=True)
            assert all(torch.equal(first, second) for first, second in pairs)


def test_two_epochs_at_once_are_two_epochs() -> None:
    streams = [Streams.of_model(0, model, "cpu") for model in range(3)]
    generators = [stream.batches for stream in streams]
    together = shuffled_order(SIZES, 30, STEPS, generators, epochs=2)
    apart = [
        shuffled_order(SIZES, 30, STEPS, [stream.batches for stream in again])
        for again in [[Streams.of_model(0, model, "cpu") for model in range(3)]]
        for _ in range(2)
    ]
    assert together.sizes == apart[0].sizes + apart[1].sizes
    assert together.length == apart[0].length
    for model in range(3):
        joined = apart[0].of_model(model) + apart[1].of_model(model)
        pairs = zip(together.of_model(model), joined, strict=True)
        assert all(torch.equal(one, other) for one, other in pairs)


@pytest.mark.parametrize("models", [[0], [1], [0, 1, 2]])
def test_an_epoch_shows_each_example_of_each_model_once(models: list[int]) -> None:
    epoch = batches(models, Scheme())[:STEPS]
    for place, model in enumerate(models):
        seen = [batch.labels[place][batch.counted[place] > 0] for batch in epoch]
        assert sorted(torch.cat(seen).tolist()) == ROWS[model].tolist()
        for batch in epoch:
            expected = examples().inputs[batch.labels[place]]
            assert torch.equal(batch.inputs[place], expected)


def test_padding_repeats_an_example_of_the_batch() -> None:
    for batch in batches([0, 1], Scheme()):
        for place in range(2):
            counted = batch.counted[place] > 0
            assert set(batch.labels[place].tolist()) == set(batch.labels[place][counted].tolist())


def test_batches_without_any_example_are_padding() -> None:
    for batch in batches([2, 2], at_once=1)[3:5]:  # 3 examples in 5 steps
        assert not batch.counted.any()
        assert batch.inputs.isfinite().all()


def test_noise_of_several_steps_is_that_of_each_step() -> None:
    """A mask on 16 numbers takes as many draws as its numbers, however many are drawn at once."""
    steps = batches([0], GaussianMask(0.3), at_once=1)
    for one, several in zip(steps, batches([0], GaussianMask(0.3), at_once=4), strict=True):
        assert torch.equal(one.inputs, several.inputs)


@dataclass(frozen=True)
class Centred(Scheme):
    """Subtracts the mean of the batch, so an example depends on the others."""

    name: ClassVar[str] = "centred"
    law: ClassVar[str] = "x - mean"

    def inputs(self, x: Tensor, generator: Generator) -> Tensor:
        return x - x.mean(dim=0)


def test_a_scheme_that_may_mix_examples_gets_one_batch_at_a_time() -> None:
    inputs, training = examples().inputs, Training()
    assert steps_at_once(Centred(), training, inputs, 8) == 1
    many = 1000  # examples of a batch
    most = module.BYTES_AT_ONCE // (many * 16 * 4)
    assert 1 < steps_at_once(GaussianMask(0.3), training, inputs, many) == most
    assert steps_at_once(Scheme(), training, inputs, many) == most
    assert steps_at_once(Scheme(), training, inputs, 1) == module.STEPS_AT_ONCE
    for batch in batches([0], Centred(), at_once=1):
        assert torch.allclose(batch.inputs[0].mean(dim=0), torch.zeros(SHAPE), atol=1e-6)


def test_inputs_that_are_larger_than_the_limit_are_drawn_step_by_step() -> None:
    inputs = torch.zeros(1, 2**22).expand(3, -1)
    assert steps_at_once(GaussianMask(0.3), Training(), inputs, 64) == 1


@pytest.mark.parametrize(
    ("scheme", "augment"),
    [
        (GaussianMask(0.3), "crops"),
        (NoiseNodes(1.0), "none"),
        (compose((GaussianMask(0.3), GaussianNoise(0.1))), "none"),
    ],
)
def test_draws_that_alternate_in_one_stream_are_made_step_by_step(
    scheme: Scheme, augment: str
) -> None:
    inputs = examples().inputs
    assert steps_at_once(scheme, Training(augment=augment), inputs, 8) == 1
    assert steps_at_once(GaussianMask(0.3), Training(augment="flips"), inputs, 8) > 1
