"""The same scheme has the same colour and mark in every figure of every report."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.colors import to_hex, to_rgb

from mgaudit.reports.families import strength
from mgaudit.reports.results import AuditResult

# Okabe and Ito's palette, then Tol's, both told apart by colour-blind readers; each scheme has a mark of its own, too.
LOOKS = {
    "none": ("#000000", "o"),
    "gaussian-mask": ("#0072B2", "s"),
    "dp-sgd": ("#D55E00", "D"),
    "dropout": ("#009E73", "^"),
    "gaussian-noise": ("#56B4E9", "v"),
    "weight-noise": ("#E69F00", "P"),
    "noise-nodes": ("#CC79A7", "X"),
    "label-noise": ("#882255", "<"),
    "weight-decay": ("#999933", ">"),
    "early-stop": ("#332288", "p"),
    "label-smoothing": ("#44AA99", "h"),
}
OTHERS = (("#AA4499", "*"), ("#117733", "d"), ("#661100", "H"), ("#6699CC", "8"))
LINES = ("-", "--", "-.", (0, (1, 1)))
PALEST = 0.55  # how far the weakest noise of a family is moved towards white
MEMBER, NON_MEMBER = "#D55E00", "#56B4E9"


@dataclass(frozen=True)
class Look:
    """How an arm is drawn."""

    colour: str
    mark: str
    line: str | tuple[int, tuple[int, ...]]


def kind(arm: AuditResult) -> str:
    """Returns the arm's schemes without their settings, as they are named in legends."""
    return " + ".join(part.partition(":")[0] for part in arm.scheme.split("+")) if arm.scheme != "none" else arm.label


def looks(arms: Sequence[AuditResult]) -> list[Look]:
    """Returns the look of each arm: a colour and a mark for its first scheme, paler for weaker noise of one family.

    Further families of a scheme, such as that of fixed noise, and compositions have other lines.
    """
    unknown: dict[str, tuple[str, str]] = {}
    families: dict[str, list[str]] = {}
    found = []
    for arm in arms:
        first = arm.scheme.partition("+")[0].partition(":")[0] if arm.scheme != "none" else "none"
        if first not in LOOKS:
            unknown.setdefault(first, OTHERS[len(unknown) % len(OTHERS)])
        colour, mark = LOOKS.get(first) or unknown[first]
        family = arm.scheme if arm.strength is None else arm.strength.family
        seen = families.setdefault(first, [])
        if family not in seen:
            seen.append(family)
        found.append(Look(_paler(colour, _rank(arm, arms)), mark, LINES[seen.index(family) % len(LINES)]))
    return found


def _rank(arm: AuditResult, arms: Sequence[AuditResult]) -> float:
    """Returns how weak the arm's noise is in its family, from 0 (the strongest) to 1."""
    if arm.strength is None:
        return 0.0
    peers = sorted(
        strength(one.strength) for one in arms if one.strength and one.strength.family == arm.strength.family
    )
    return 1 - peers.index(strength(arm.strength)) / (len(peers) - 1) if len(peers) > 1 else 0.0


def _paler(colour: str, share: float) -> str:
    red, green, blue = (part + (1 - part) * PALEST * share for part in to_rgb(colour))
    return to_hex((red, green, blue))
