import math

import pytest
import torch
from scipy import stats

from mgaudit.targets.schemes import LabelNoise
from mgaudit.targets.seeds import torch_generator

LABELS = torch.arange(4000) % 5


def noisy(rate: float, purpose: str = "noise") -> torch.Tensor:
    return LabelNoise(rate).labels(LABELS, 5, torch_generator(0, purpose))


def test_the_share_of_wrong_labels_is_the_rate_and_the_test_can_tell_another() -> None:
    wrong = int((noisy(0.3) != LABELS).sum())
    assert stats.binomtest(wrong, 4000, 0.3).pvalue > 1e-3
    assert stats.binomtest(wrong, 4000, 0.36).pvalue < 1e-3


def test_all_other_classes_are_equally_likely() -> None:
    shifts = torch.bincount((noisy(1.0) - LABELS) % 5, minlength=5)
    assert shifts[0] == 0
    assert stats.chisquare(shifts[1:].numpy()).pvalue > 1e-3


def test_labels_are_drawn_one_by_one_and_by_the_generator() -> None:
    wrong = (noisy(0.3) != LABELS).double()
    assert abs(torch.corrcoef(torch.stack([wrong[:-1], wrong[1:]]))[0, 1]) < 4 / math.sqrt(3999)
    other = (noisy(0.3, "other") != LABELS).double()
    assert abs(torch.corrcoef(torch.stack([wrong, other]))[0, 1]) < 4 / math.sqrt(4000)


def test_rate_zero_keeps_every_label() -> None:
    assert torch.equal(noisy(0.0), LABELS)


@pytest.mark.parametrize("rate", [-0.1, 1.1, math.nan])
def test_a_rate_that_is_no_probability_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="rate must be a finite number >= 0 and <= 1, got"):
        LabelNoise(rate)
