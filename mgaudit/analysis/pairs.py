"""The differences between all arms other than the plain one, corrected for their number."""

from collections.abc import Sequence
from itertools import combinations

from mgaudit.analysis.numbers import CHANGE, Numbers, Quantity, accuracy_quantity
from mgaudit.analysis.significance import holm
from mgaudit.reports.findings import PAIRED, TEST_ACCURACY, PairDifference
from mgaudit.reports.results import AuditResult, accuracies_known

MOST_ARMS = 10  # of which all pairs are compared; more pairs leave little after the correction


def pair_differences(
    arms: Sequence[AuditResult], plain: int | None, numbers: Numbers
) -> list[PairDifference]:
    """Returns the first attack's metrics and the test accuracy of each arm minus each later one.

    The arm with index `plain` is left out, as `changes` compares with it; with None, no arm is.
    P-values are adjusted by Holm over all pairs with the same metric. A difference is left out if
    fewer than three targets are shared, and accuracies where one is not known. There are none with
    fewer than 2 or more than 10 arms.
    """
    indices = [index for index in range(len(arms)) if index != plain]
    if len(indices) > MOST_ARMS:
        return []
    attack = arms[0].attacks[0].attack
    differences = []
    for metric in PAIRED:
        if metric == TEST_ACCURACY and not accuracies_known(arms):
            continue
        tested = []
        for one, other in combinations(indices, 2):
            terms = [
                (1.0, _quantity(one, metric, attack)),
                (-1.0, _quantity(other, metric, attack)),
            ]
            difference, p_value = numbers.estimate(terms, CHANGE), numbers.p_value(terms)
            if difference is not None and p_value is not None:
                tested.append((arms[one].key, arms[other].key, difference, p_value))
        adjusted = holm([p_value for *_, p_value in tested])
        for (one_key, other_key, difference, p_value), p_adjusted in zip(
            tested, adjusted, strict=True
        ):
            differences.append(
                PairDifference(
                    arm=one_key,
                    other=other_key,
                    metric=metric,
                    difference=difference,
                    p_value=p_value,
                    p_adjusted=p_adjusted,
                )
            )
    return differences


def _quantity(index: int, metric: str, attack: str) -> Quantity:
    if metric == TEST_ACCURACY:
        return accuracy_quantity(index)
    return Quantity(index, metric, attack)
