"""Interface to the measured quantities of a study: their sums, with the interval of each sum."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mgaudit.reports.findings import TEST_ACCURACY
from mgaudit.reports.record import Estimate

RATE, CHANGE = (0.0, 1.0), (-1.0, 1.0)


@dataclass(frozen=True)
class Quantity:
    """A metric of an attack (by its name in the arm) on the arm with index `arm`.

    Without an attack, it is the test accuracy of the arm.
    """

    arm: int
    metric: str
    attack: str | None = None


Terms = Sequence[tuple[float, Quantity]]


class Numbers(Protocol):
    """The measured quantities of a study, in every target and every resample of the examples.

    All arms share targets and resamples, so a sum of quantities of several arms is paired. It is
    taken over the targets that all its terms have, whatever their weights; it is None with fewer
    than three of them. A smooth function of quantities has, to first order, the interval of the sum
    with the function's derivatives for weights.
    """

    def estimate(
        self, terms: Terms, bounds: tuple[float, float], over: Sequence[Quantity] = ()
    ) -> Estimate | None:
        """Returns the weighted sum with its 95 % interval, clipped to `bounds`.

        Only targets that the quantities `over` have too are used, so that several sums can share
        their targets.
        """

    def p_value(self, terms: Terms) -> float | None:
        """Returns the two-sided p-value of a weighted sum of 0, for sums in [-1, 1]."""


def accuracy_quantity(arm: int) -> Quantity:
    """Returns the test accuracy of an arm."""
    return Quantity(arm, TEST_ACCURACY)
