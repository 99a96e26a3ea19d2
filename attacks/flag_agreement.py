"""Agreement on flagged records: between two halves of the shadow models, and between targets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.attack import Attack, score_view
from mgaudit.attacks.flagged import Flagged, flagged_records
from mgaudit.attacks.observations import Observations

Floats = NDArray[np.float64]
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


class ScoresOfHalves(NamedTuple):
    """The scores of targets with one half of the shadow models, and with the other.

    Args:
        targets: Indices of the attacked models.
        shadows: The number of shadow models in a half.
        first: Scores (targets, examples) with the first half.
        second: The same with the second half.
    """

    targets: list[int]
    shadows: int
    first: Floats
    second: Floats


def scores_of_halves(
    attack: Attack, observations: Observations, orders: Mapping[int, Indices]
) -> ScoresOfHalves:
    """Returns the scores of targets with two disjoint halves of the shadow models.

    The drift of classes, where an attack subtracts it, is estimated from all models.

    Args:
        attack: The attack, with settings that are resolved for all shadow models.
        observations: The outputs of all models.
        orders: By target, the indices of its shadow models in a random order (shadows,). With an
            odd number, the last is left out.
    """
    half = len(next(iter(orders.values()))) // 2
    examples = len(observations.labels)

    def scores(start: int) -> Floats:
        rows = []
        for target, order in orders.items():
            view = observations.view(target, numbers=order[start : start + half])
            rows.append(score_view(attack, view, examples))
        return np.stack(rows)

    return ScoresOfHalves(list(orders), half, scores(0), scores(half))


def agreement_of_halves(scores: ScoresOfHalves, membership: NDArray[np.bool_]) -> HalvesAgreement:
    """Returns how far the records agree that are flagged by the scores of both halves.

    Records are flagged within each half, by the scores of the other targets in this half. There are
    at least two targets. `membership` (targets, examples) is that of the targets.
    """
    in_first = flagged_records(scores.first, membership).flagged
    in_second = flagged_records(scores.second, membership).flagged
    return HalvesAgreement(
        targets=scores.targets,
        shadows=scores.shadows,
        in_first=int(in_first.sum()),
        in_second=int(in_second.sum()),
        in_both=int((in_first & in_second).sum()),
        in_any=int((in_first | in_second).sum()),
    )


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
