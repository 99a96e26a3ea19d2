"""The same scheme has the same colour and mark in every figure of every report."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

from matplotlib.colors import to_hex, to_rgb

from mgaudit.reports.families import strength
from mgaudit.reports.results import AuditResult

# Okabe and Ito's palette, then Tol's: colour-blind readers can distinguish both. Marks differ, too.
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
OTHER_COLOURS, OTHER_MARKS = ("#AA4499", "#117733", "#661100", "#6699CC"), ("*", "d", "H", ">")
OTHERS = tuple((colour, mark) for mark, colour in product(OTHER_MARKS, OTHER_COLOURS))
LINES = ("-", "--", "-.", (0, (1, 1)))
PALEST = 0.55  # how far the weakest noise of a family is moved towards white
MEMBER, NON_MEMBER = "#D55E00", "#0072B2"


@dataclass(frozen=True)
class Look:
    """How an arm is drawn."""

    colour: str
    mark: str
    line: str | tuple[int, tuple[int, ...]]


def kind(arm: AuditResult) -> str:
    """Returns the arm's schemes without their settings, as they are named in legends."""
    return arm.label if arm.is_plain else " + ".join(part.name for part in arm.scheme)


def looks(arms: Sequence[AuditResult]) -> list[Look]:
    """Returns the look of each arm: colour and mark of its first scheme, paler for weaker noise.

    Other families of the same scheme, such as fixed noise or compositions, have other lines.
    """
    own = _looks_of_own([arm.scheme[0].name for arm in arms])
    families: dict[str, list[str]] = {}
    arm_looks = []
    for arm in arms:
        first = arm.scheme[0].name
        colour, mark = LOOKS.get(first) or own[first]
        family = arm.key if arm.strength is None else arm.strength.family
        seen = families.setdefault(first, [])
        if family not in seen:
            seen.append(family)
        line = LINES[seen.index(family) % len(LINES)]
        arm_looks.append(Look(_paler(colour, _weakness(arm, arms)), mark, line))
    return arm_looks


def _looks_of_own(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Returns the looks of a user's own schemes: chosen by a hash of the name, the next if taken.

    Up to four schemes have different colours, too.

    >>> len({colour for colour, _ in _looks_of_own(["a", "b", "mixup", "smooth+wd"]).values()})
    4
    """
    own: dict[str, tuple[str, str]] = {}
    for name in sorted(set(names) - LOOKS.keys()):
        digest = hashlib.sha256(name.encode()).digest()
        first = int.from_bytes(digest[:4]) % len(OTHERS)
        candidates = [*OTHERS[first:], *OTHERS[:first]]
        colours = {colour for colour, _ in own.values()}
        free = [look for look in candidates if look[0] not in colours]
        free = free or [look for look in candidates if look not in own.values()]
        own[name] = free[0] if free else candidates[0]
    return own


def _weakness(arm: AuditResult, arms: Sequence[AuditResult]) -> float:
    """Returns how weak the arm's noise is in its family, from 0 (the strongest) to 1."""
    if arm.strength is None:
        return 0.0
    strengths = [peer.strength for peer in arms if peer.strength is not None]
    family = arm.strength.family
    peers = sorted(strength(peer) for peer in strengths if peer.family == family)
    if len(peers) == 1:
        return 0.0
    return 1 - peers.index(strength(arm.strength)) / (len(peers) - 1)


def _paler(colour: str, share: float) -> str:
    red, green, blue = (part + (1 - part) * PALEST * share for part in to_rgb(colour))
    return to_hex((red, green, blue))
