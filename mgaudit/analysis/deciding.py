"""How many models or examples would decide an outcome that is undecided."""

import math

from scipy import special

from mgaudit.analysis.numbers import VarianceParts
from mgaudit.reports.arm_verdict import Needed

MOST_MODELS = 1_000_000  # more are as good as infinitely many


def needed_to_decide(
    reach: float, parts: VarianceParts, level: float, examples: int
) -> Needed | None:
    """Returns the further models that would decide, or that more examples are needed.

    Args:
        reach: The half-width below which the interval of the same value decides.
        parts: The parts of the variance with the present models and examples.
        level: Two-sided confidence level of the interval.
        examples: The present number of examples.

    Returns None where neither can be computed, because the numbers do not vary.
    """
    models = models_that_decide(reach, parts, level)
    if models is not None:
        return Needed(models=models, examples=None)
    if reach <= 0:
        return None
    return Needed(models=None, examples=examples_that_decide(reach, parts, level, examples))


def models_that_decide(reach: float, parts: VarianceParts, level: float) -> int | None:
    """Returns the smallest number of further models at which the half-width is below `reach`.

    The models' part of the variance shrinks in proportion to the number of models, and the
    examples' part does not. None: no number of models decides. One model says nothing about the
    variance over models, so the answer for it is None too.

    >>> models_that_decide(0.01, VarianceParts(models=16, of_models=4e-5, of_examples=0.0), 0.95)
    12
    """
    if parts.models < 2 or half_width(parts, level, MOST_MODELS) >= reach:
        return None
    too_few, enough = parts.models, MOST_MODELS
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if half_width(parts, level, middle) < reach:
            enough = middle
        else:
            too_few = middle
    return enough - parts.models


def examples_that_decide(reach: float, parts: VarianceParts, level: float, examples: int) -> int:
    """Returns the number of examples that must be exceeded for any number of models to decide.

    The examples' part of the variance shrinks in proportion to the number of examples.
    """
    normal = -float(special.ndtri((1 - level) / 2))
    return math.ceil(examples * parts.of_examples * (normal / reach) ** 2)


def half_width(parts: VarianceParts, level: float, models: int) -> float:
    """Returns half the width of the interval with another number of models, at least 2.

    As in `mgaudit.attacks.intervals.two_way_interval`, the models' part has Student's t quantile
    and the examples' part the normal one.
    """
    tail = (1 - level) / 2
    student, normal = -float(special.stdtrit(models - 1, tail)), -float(special.ndtri(tail))
    of_models = parts.of_models * parts.models / models
    return math.hypot(student * math.sqrt(of_models), normal * math.sqrt(parts.of_examples))
