"""Interface to the measured quantities of a study: their sums, with the interval of each sum.

A target is a model that is attacked, and an arm is one noise scheme of the study.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from mgaudit.attacks.intervals import LEVEL
from mgaudit.reports.findings import TEST_ACCURACY
from mgaudit.reports.record import Estimate

RATE, CHANGE = (0.0, 1.0), (-1.0, 1.0)  # bounds of a rate or AUC, and of a difference of two


@dataclass(frozen=True)
class Quantity:
    """One measured quantity: a metric, such as "auc", of an attack on the arm with index `arm`.

    `attack` is the name of the attack in the arm, such as "lira" or "lira, naive". Without an
    attack, the quantity is the test accuracy of the arm.
    """

    arm: int
    metric: str
    attack: str | None = None


class VarianceParts(NamedTuple):
    """The parts of the variance of a mean over `models` targets.

    `of_models` shrinks in proportion to the number of models and is 0 for one model; `of_examples`
    shrinks in proportion to the number of examples only.
    """

    models: int
    of_models: float
    of_examples: float


# A weighted sum: the pairs (weight, quantity) of its terms.
Terms = Sequence[tuple[float, Quantity]]


class Numbers(Protocol):
    """The measured quantities of a study, in every target and every resample of the examples.

    All arms share targets and resamples, so a sum of quantities of several arms is paired. A sum is
    computed over the targets that all of its terms have, also the terms of weight 0. It is None
    with fewer than three such targets. To first order, a smooth function of quantities has the
    interval of the sum whose weights are the function's derivatives.
    """

    def estimate(
        self,
        terms: Terms,
        bounds: tuple[float, float],
        over: Sequence[Quantity] = (),
        level: float = LEVEL,
    ) -> Estimate | None:
        """Returns the mean of the weighted sum over targets with its interval within `bounds`.

        Only targets that also have the quantities `over` are used, so that several sums can share
        their targets. `level` is the two-sided confidence level. Returns None with fewer than three
        targets.
        """

    def p_value(self, terms: Terms) -> float | None:
        """Returns the two-sided p-value of the hypothesis that a weighted sum in [-1, 1] is 0.

        Returns None with fewer than three targets.
        """

    def own(self, quantity: Quantity, bounds: tuple[float, float], level: float) -> Estimate:
        """Returns the mean of a quantity over all its targets, with its interval.

        There may be fewer than three targets. With one, the interval is for new examples only.
        """

    def variance_parts(self, terms: Terms) -> VarianceParts:
        """Returns the parts of the variance of the mean of a weighted sum, over shared targets.

        There must be at least one such target.
        """


def accuracy_quantity(arm: int) -> Quantity:
    """Returns the test accuracy of the arm with this index, as a quantity."""
    return Quantity(arm, TEST_ACCURACY)
