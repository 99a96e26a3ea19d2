import math

import pytest
import torch
from scipy import stats

from targets.schemes import GaussianMask, Scheme
from targets.seeds import torch_generator


def masks(kappa: float, steps: int = 40, examples: int = 50, features: int = 20) -> torch.Tensor:
    generator = torch_generator(0, "noise")
    ones = torch.ones(examples, features)
    return torch.stack([GaussianMask(kappa).inputs(ones, generator) for _ in range(steps)]).double()


def test_the_mask_follows_its_law_and_the_test_can_tell_another() -> None:
    sample = masks(0.3).flatten().numpy()
    assert stats.kstest(sample, "norm", (1, 0.3)).pvalue > 1e-3
    assert stats.kstest(sample, "norm", (1, 0.33)).pvalue < 1e-3
    assert stats.kstest(sample, "norm", (1.02, 0.3)).pvalue < 1e-3


@pytest.mark.parametrize("axis", [0, 1, 2], ids=["steps", "examples", "coordinates"])
def test_draws_are_independent_across(axis: int) -> None:
    sample = masks(0.3).movedim(axis, 0)
    pairs = stats.pearsonr(sample[:-1].flatten().numpy(), sample[1:].flatten().numpy())
    assert abs(pairs.statistic) < 4 / math.sqrt(sample[1:].numel())


def test_it_multiplies_the_input_and_leaves_it_as_it_was() -> None:
    x = torch.tensor([[2.0, -3.0, 0.0]])
    kept = x.clone()
    masked = GaussianMask(0.5).inputs(x, torch_generator(0, "noise"))
    mask = GaussianMask(0.5).inputs(torch.ones(1, 3), torch_generator(0, "noise"))
    assert torch.equal(masked, x * mask)
    assert torch.equal(x, kept)


def test_kappa_zero_is_the_identity_bit_for_bit_and_anything_above_is_not() -> None:
    x = torch.randn(64, 7, generator=torch_generator(0, "x"))
    assert torch.equal(GaussianMask(0.0).inputs(x, torch_generator(0, "noise")), x)
    assert torch.equal(Scheme().inputs(x, torch_generator(0, "noise")), x)
    assert not torch.equal(GaussianMask(1e-3).inputs(x, torch_generator(0, "noise")), x)


@pytest.mark.parametrize("kappa", [-0.1, math.nan, math.inf])
def test_a_kappa_that_is_no_strength_is_refused(kappa: float) -> None:
    with pytest.raises(ValueError, match=r"kappa must be a finite number >= 0, got"):
        GaussianMask(kappa)
