import pytest
import torch

from mgaudit.targets.schemes import (
    DPSGD,
    Composition,
    Dropout,
    EarlyStop,
    GaussianMask,
    GaussianNoise,
    LabelSmoothing,
    NoiseNodes,
    Scheme,
    WeightDecay,
    WeightNoise,
    compose,
    dp_sgd_in,
)
from mgaudit.targets.seeds import torch_generator
from mgaudit.targets.training import Training

ONES = torch.ones(4, 3)


def test_the_first_acts_first() -> None:
    generator = torch_generator(0, "noise")
    expected = GaussianNoise(1.0).inputs(GaussianMask(0.5).inputs(ONES, generator), generator)
    composed = compose((GaussianMask(0.5), GaussianNoise(1.0))).inputs(
        ONES, torch_generator(0, "noise")
    )
    assert torch.equal(composed, expected)
    swapped = compose((GaussianNoise(1.0), GaussianMask(0.5))).inputs(
        ONES, torch_generator(0, "noise")
    )
    assert not torch.allclose(composed, swapped)


def test_every_hook_reaches_its_part() -> None:
    composed = compose(
        (WeightNoise(0.1), NoiseNodes(1.0), WeightDecay(0.1), EarlyStop(2), LabelSmoothing(0.3))
    )
    generator = torch_generator(0, "noise")
    assert composed.node_values(ONES, generator) is not None
    assert set(composed.weight_noise({"w": ONES}, 0, 0, generator)) == {"w"}
    training = composed.training(Training())
    assert (training.weight_decay, training.stop_epoch, training.label_smoothing) == (0.1, 2, 0.3)


def test_one_alone_is_itself_and_none_is_plain_training() -> None:
    assert compose((GaussianMask(0.3),)) == GaussianMask(0.3)
    assert compose(()) == Scheme()


def test_dp_sgd_is_found_among_others() -> None:
    private = DPSGD(epsilon=8)
    assert dp_sgd_in(compose((GaussianMask(0.3), private))) == private
    assert dp_sgd_in(private) == private
    assert dp_sgd_in(GaussianMask(0.3)) is None


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((GaussianMask(0.3), Scheme()), "none cannot be composed with another scheme"),
        ((Dropout(0.1), Dropout(0.2)), "dropout cannot be composed with itself; give it once"),
        (
            (GaussianMask(0.3), GaussianNoise(0.1, fixed=True)),
            "gaussian-noise with fixed=true cannot come after gaussian-mask: .* put it first",
        ),
        ((GaussianMask(0.3),), "at least 2 schemes, got 1"),
    ],
)
def test_what_cannot_be_composed_is_refused(parts: tuple[Scheme, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Composition(parts)


def test_fixed_noise_may_come_first() -> None:
    composed = compose((GaussianNoise(0.1, fixed=True), GaussianMask(0.3), WeightNoise(0.1)))
    assert [type(part) for part in composed.parts] == [GaussianNoise, GaussianMask, WeightNoise]
