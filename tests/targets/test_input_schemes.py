"""The laws of the schemes that put noise on the inputs."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from mgaudit.targets.fitting.examples import Streams, TrainingExamples
from mgaudit.targets.schemes import Dropout, GaussianMask, GaussianNoise, Scheme
from mgaudit.targets.schemes.strength import equal_strength
from mgaudit.targets.seeds import torch_generator

LAWS = [GaussianMask(0.3), GaussianNoise(0.3), Dropout(0.2)]
named = pytest.mark.parametrize("scheme", LAWS, ids=lambda scheme: type(scheme).__name__)


def noise(scheme: Scheme, steps: int = 40, examples: int = 50, features: int = 20) -> torch.Tensor:
    """Returns what the scheme makes of ones, (steps, examples, features)."""
    generator, ones = torch_generator(0, "noise"), torch.ones(examples, features)
    return torch.stack([scheme.inputs(ones, generator) for _ in range(steps)]).double()


@pytest.mark.parametrize("scheme", LAWS[:2], ids=["multiplied", "added"])
def test_gaussian_noise_follows_its_law_and_the_test_can_tell_another(scheme: Scheme) -> None:
    sample = noise(scheme).flatten().numpy()
    assert stats.kstest(sample, "norm", (1, 0.3)).pvalue > 1e-3
    assert stats.kstest(sample, "norm", (1, 0.33)).pvalue < 1e-3
    assert stats.kstest(sample, "norm", (1.02, 0.3)).pvalue < 1e-3


def test_dropout_follows_its_law_and_the_test_can_tell_another() -> None:
    sample = noise(Dropout(0.2)).flatten().numpy()
    assert set(np.unique(sample.round(6))) == {0.0, 1.25}
    dropped = int((sample == 0).sum())
    assert stats.binomtest(dropped, sample.size, 0.2).pvalue > 1e-3
    assert stats.binomtest(dropped, sample.size, 0.22).pvalue < 1e-3
    assert sample.mean() == pytest.approx(1, abs=4 * 0.5 / math.sqrt(sample.size))


@named
@pytest.mark.parametrize("axis", [0, 1, 2], ids=["steps", "examples", "coordinates"])
def test_draws_are_independent_across(scheme: Scheme, axis: int) -> None:
    sample = noise(scheme).movedim(axis, 0)
    pairs = stats.pearsonr(sample[:-1].flatten().numpy(), sample[1:].flatten().numpy())
    assert abs(pairs.statistic) < 4 / math.sqrt(sample[1:].numel())


def test_masks_multiply_and_noise_adds() -> None:
    x, ones, zeros = torch.tensor([[2.0, -3.0, 0.0]]), torch.ones(1, 3), torch.zeros(1, 3)
    kept = x.clone()

    def drawn(scheme: Scheme, inputs: torch.Tensor) -> torch.Tensor:
        return scheme.inputs(inputs, torch_generator(0, "noise"))

    for scheme in (GaussianMask(0.5), Dropout(0.5)):
        assert torch.equal(drawn(scheme, x), x * drawn(scheme, ones))
    assert torch.equal(drawn(GaussianNoise(0.5), x), x + drawn(GaussianNoise(0.5), zeros))
    assert torch.equal(x, kept)


@pytest.mark.parametrize(
    "zero", [GaussianMask(0.0), GaussianNoise(0.0), Dropout(0.0), Scheme()], ids=repr
)
def test_strength_zero_is_the_identity_bit_for_bit_and_draws_nothing(zero: Scheme) -> None:
    x, generator = (
        torch.randn(64, 7, generator=torch_generator(0, "x")),
        torch_generator(0, "noise"),
    )
    before = generator.get_state()
    assert torch.equal(zero.inputs(x, generator), x)
    assert torch.equal(generator.get_state(), before)


@pytest.mark.parametrize("some", [GaussianMask(1e-3), GaussianNoise(1e-3), Dropout(1e-2)], ids=repr)
def test_anything_above_zero_is_not_the_identity(some: Scheme) -> None:
    x = torch.randn(64, 7, generator=torch_generator(0, "x"))
    assert not torch.equal(some.inputs(x, torch_generator(0, "noise")), x)


@pytest.mark.parametrize(
    "fixed",
    [GaussianMask(0.3, fixed=True), GaussianNoise(0.3, fixed=True), Dropout(0.3, fixed=True)],
    ids=repr,
)
def test_fixed_noise_is_each_examples_own_and_each_models_own(fixed: Scheme) -> None:
    inputs, labels = torch.ones(200, 5), torch.zeros(200, dtype=torch.int64)
    rows = (torch.arange(100), torch.arange(50, 200))
    streams = [Streams.of_model(0, index, "cpu") for index in (0, 1)]
    noisy = TrainingExamples(inputs, labels, rows).with_fixed_noise(fixed, 2, streams)
    first, second = (noisy.inputs[own] for own in noisy.rows)
    assert (len(first), len(second)) == (100, 150)
    # Examples 50..99 belong to both models, which draw for themselves.
    both = torch.stack([first[50:].flatten(), second[:50].flatten()])
    assert abs(torch.corrcoef(both)[0, 1]) < 4 / math.sqrt(both.shape[1])
    neighbours = torch.stack([first[:-1].flatten(), first[1:].flatten()])
    assert abs(torch.corrcoef(neighbours)[0, 1]) < 4 / math.sqrt(neighbours.shape[1])
    assert torch.equal(inputs, torch.ones(200, 5))
    again = TrainingExamples(inputs, labels, rows).with_fixed_noise(
        fixed, 2, [Streams.of_model(0, i, "cpu") for i in (0, 1)]
    )
    assert torch.equal(again.inputs, noisy.inputs)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: GaussianMask(-0.1), "kappa must be a finite number >= 0, got -0.1"),
        (lambda: GaussianMask(math.nan), "kappa must be a finite number >= 0, got nan"),
        (lambda: GaussianMask(math.inf), "kappa must be a finite number >= 0, got inf"),
        (lambda: GaussianNoise(-1.0), "sigma must be a finite number >= 0, got -1.0"),
        (lambda: Dropout(1.0), "rate must be a finite number >= 0 and < 1, got 1.0"),
    ],
)
def test_a_strength_out_of_range_is_refused(build: type[Scheme], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize("kappa", [0.0, 0.3, 1.0, 2.0])
def test_equal_strengths_give_noise_of_equal_variance(kappa: float) -> None:
    x = 3 * torch.randn(400, 500, generator=torch_generator(0, "x"))
    equal = equal_strength(kappa, mean_square=float(x.square().mean()))
    variances = [
        float((scheme.inputs(x, torch_generator(0, "noise")) - x).square().mean())
        for scheme in (equal.mask, equal.dropout, equal.noise)
    ]
    assert variances == pytest.approx([9 * kappa**2] * 3, rel=0.03, abs=1e-12)


def test_equal_strength_needs_inputs_that_are_not_all_zero() -> None:
    with pytest.raises(ValueError, match="mean_square must be > 0, got 0"):
        equal_strength(0.3, mean_square=0.0)
