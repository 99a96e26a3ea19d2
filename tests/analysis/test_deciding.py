"""How many models or examples would decide an outcome."""

import math

import pytest
from scipy import stats

from mgaudit.analysis.deciding import (
    examples_that_decide,
    half_width,
    models_that_decide,
    needed_to_decide,
)
from mgaudit.analysis.numbers import VarianceParts


@pytest.mark.parametrize("level", [0.95, 0.99])
@pytest.mark.parametrize(("models", "of_models"), [(4, 1e-4), (16, 1e-5), (8, 3e-6)])
def test_the_number_of_models_is_the_smallest_that_decides(
    models: int, of_models: float, level: float
) -> None:
    reach, of_examples = 0.004, 5e-7
    parts = VarianceParts(models, of_models, of_examples)

    def half(total: int) -> float:
        student = stats.t.isf((1 - level) / 2, total - 1)
        normal = stats.norm.isf((1 - level) / 2)
        return math.hypot(
            student * math.sqrt(of_models * models / total), normal * math.sqrt(of_examples)
        )

    further = models_that_decide(reach, parts, level)
    assert further is not None
    assert half(models + further) < reach <= half(models + further - 1)
    assert half_width(parts, level, models) == pytest.approx(half(models))


def test_models_alone_do_not_decide_where_the_examples_part_is_too_large() -> None:
    normal = stats.norm.isf(0.025)
    parts = VarianceParts(8, 1e-6, 1e-4)  # the examples' part alone has this half-width:
    limit = normal * 1e-2
    assert models_that_decide(limit * 0.999, parts, 0.95) is None
    assert models_that_decide(limit * 1.01, parts, 0.95) is not None
    needed = needed_to_decide(limit / 2, parts, 0.95, examples=1000)
    assert needed is not None
    assert needed.models is None
    # With four times as many examples, this part has half the standard error, which is the limit.
    assert needed.examples == pytest.approx(4000, abs=1)


def test_one_model_says_nothing_about_further_models() -> None:
    assert models_that_decide(1.0, VarianceParts(1, 0.0, 1e-6), 0.95) is None
    assert examples_that_decide(0.5, VarianceParts(1, 0.0, 1e-6), 0.95, 100) == 1


def test_numbers_that_never_vary_from_zero_cannot_be_decided() -> None:
    assert needed_to_decide(0.0, VarianceParts(8, 0.0, 0.0), 0.95, 100) is None
