"""How much of an apparent gain in privacy is the attacker's ignorance of the noise."""

from collections.abc import Sequence

from mgaudit.analysis.numbers import CHANGE, RATE, Numbers, Quantity
from mgaudit.reports.findings import Ignorance
from mgaudit.reports.results import AuditResult


def ignorance(arms: Sequence[AuditResult], plain: int, numbers: Numbers) -> list[Ignorance]:
    """Returns, for each arm and attack that a naive adversary mounts too, the AUCs of both and what lies between.

    `plain` is the number of the arm without noise.
    """
    found = []
    for place, arm in enumerate(arms):
        for mounted in (one for one in arm.attacks if one.knowledge == "naive"):
            attack = mounted.attack
            without, adaptive, naive = (
                Quantity(number, "auc", name)
                for number, name in ((plain, attack), (place, attack), (place, mounted.name))
            )
            shared = [(0.0, one) for one in (without, adaptive, naive)]
            levels = [numbers.estimate([(1.0, one), *shared], RATE) for one in (without, naive, adaptive)]
            gaps = [
                numbers.estimate([(1.0, one), (-1.0, other), *shared], CHANGE)
                for one, other in ((without, naive), (without, adaptive), (adaptive, naive))
            ]
            names = ("plain", "naive", "adaptive", "apparent", "real", "gap")
            values = dict(zip(names, (*levels, *gaps), strict=True))
            if all(value is not None for value in values.values()):
                found.append(Ignorance.model_validate({"arm": arm.key, "attack": attack, **values}))
    return found
