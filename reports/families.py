"""Families: arms that differ only in the strength of their noise."""

import math
from collections.abc import Sequence

from mgaudit.reports.results import AuditResult, Strength


def families(arms: Sequence[AuditResult]) -> dict[str, list[int]]:
    """Returns the indices of the arms of each family, the weakest noise first.

    The arm that is the family's origin, at strength zero, comes before all others if the study has
    it.
    """
    members: dict[str, list[tuple[float, int]]] = {}
    for index, arm in enumerate(arms):
        if arm.strength is not None:
            members.setdefault(arm.strength.family, []).append((strength(arm.strength), index))
    ordered = {}
    for family, pairs in members.items():
        indices = [index for _, index in sorted(pairs)]
        ordered[family] = [*_origin(arms, arms[indices[0]].strength), *indices]
    return ordered


def _origin(arms: Sequence[AuditResult], member: Strength | None) -> list[int]:
    """Returns the index of the origin of a member's family; empty if the study lacks it."""
    if member is None:
        return []
    return [index for index, arm in enumerate(arms) if arm.key == member.origin]


def strength(member: Strength) -> float:
    """Returns a number that grows with the noise."""
    value = math.inf if member.value is None else member.value
    return -value if member.reversed else value


def is_dp_sgd(arm: AuditResult) -> bool:
    """Returns whether the arm's scheme is DP-SGD alone; its strength is then epsilon."""
    return [part.name for part in arm.scheme] == ["dp-sgd"]
