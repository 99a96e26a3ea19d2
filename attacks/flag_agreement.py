"""Agreement on flagged records: between two halves of the shadow models, and between targets."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.attack import Attack, score_view
from mgaudit.attacks.flagged import Flagged, flagged_records
from mgaudit.attacks.observations import Observations

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class HalvesAgreement:
    """The records that an attack flags with one half of the shadow models and with the other.

    Args:
        targets: Indices of the attacked models.
        shadows: The number of shadow models in a half.
        in_first: The number of records flagged with the first half, summed over targets.
        in_second: The same with the second half.
        in_both: The number of records flagged with both halves.
        in_any: The number of records flagged with one half or both.
    """

    targets: list[int]
    shadows: int
    in_first: int
    in_second: int
    in_both: int
    in_any: int


def agreement_of_halves(
    attack: Attack, observations: Observations, orders: Mapping[int, Indices]
) -> HalvesAgreement:
    """Returns how far the records flagged with two disjoint halves of the shadow models agree.

    The attack is repeated on each target with the first half of its shadow models and with the
    second. Records are flagged within each half, by the scores of the other targets in this half.
    The drift of classes, where an attack subtracts it, is estimated from all models.

    Args:
        attack: The attack, with settings that are resolved for all shadow models.
        observations: The outputs of all models.
        orders: By target, at least two, the indices of its shadow models in a random order
            (shadows,). With an odd number, the last is left out.
    """
    half = len(next(iter(orders.values()))) // 2
    first = {target: order[:half] for target, order in orders.items()}
    second = {target: order[half : 2 * half] for target, order in orders.items()}
    in_first = _flagged_with(attack, observations, first)
    in_second = _flagged_with(attack, observations, second)
    return HalvesAgreement(
        targets=list(orders),
        shadows=half,
        in_first=int(in_first.sum()),
        in_second=int(in_second.sum()),
        in_both=int((in_first & in_second).sum()),
        in_any=int((in_first | in_second).sum()),
    )


def _flagged_with(
    attack: Attack, observations: Observations, shadows: Mapping[int, Indices]
) -> NDArray[np.bool_]:
    """Returns which records are flagged (targets, examples) with these shadow models."""
    examples = len(observations.labels)
    rows = []
    for target, numbers in shadows.items():
        view = observations.view(target, numbers=numbers)
        rows.append(score_view(attack, view, examples))
    return flagged_records(np.stack(rows), observations.membership[list(shadows)]).flagged


@dataclass(frozen=True)
class SharedFlags:
    """Flagged records of which two or more targets are trained on.

    Args:
        in_any: The number of records that one or more of these targets flag.
        in_all: The number of records that all targets that were trained on them flag.
        again: How often another target that was trained on a flagged record flags it too: the share
            of pairs of such targets, in [0, 1]. None if there is no such pair.
    """

    in_any: int
    in_all: int
    again: float | None


def shared_flags(flagged: Flagged) -> SharedFlags:
    """Returns how far targets that were trained on the same record agree in flagging it.

    Over examples that n targets were trained on, of which f flag it,

        again = sum f (f - 1) / sum f (n - 1).
    """
    trained = flagged.membership.sum(axis=0)
    times = flagged.times
    shared = trained >= 2
    pairs = int((times * (trained - 1))[shared].sum())
    agreeing = int((times * (times - 1))[shared].sum())
    return SharedFlags(
        in_any=int(((times > 0) & shared).sum()),
        in_all=int(((times == trained) & shared).sum()),
        again=agreeing / pairs if pairs > 0 else None,
    )
