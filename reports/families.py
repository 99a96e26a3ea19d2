"""Arms that differ in the strength of their noise alone, in its order."""

import math
from collections.abc import Sequence

from mgaudit.reports.results import AuditResult, Strength


def families(arms: Sequence[AuditResult]) -> dict[str, list[int]]:
    """Returns by family the numbers of its arms, the weakest noise first.

    The arm that is the family's origin, if the study has it, comes first of all: there the strength is zero.
    """
    grouped: dict[str, list[tuple[float, int]]] = {}
    for place, arm in enumerate(arms):
        if arm.strength is not None:
            grouped.setdefault(arm.strength.family, []).append((strength(arm.strength), place))
    found = {}
    for family, members in grouped.items():
        places = [place for _, place in sorted(members)]
        first = arms[places[0]].strength
        origin = [place for place, arm in enumerate(arms) if first is not None and arm.key == first.origin]
        found[family] = [*origin, *places]
    return found


def strength(one: Strength) -> float:
    """Returns a number that grows with the noise."""
    value = math.inf if one.value is None else one.value
    return -value if one.reversed else value


def is_dp_sgd(arm: AuditResult) -> bool:
    """Returns whether DP-SGD is all that there is of the arm's scheme; its strength is then epsilon."""
    return [part.name for part in arm.scheme] == ["dp-sgd"]
