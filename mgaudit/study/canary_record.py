"""The record of the attack on the canaries of a study."""

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.intervals import Interval
from mgaudit.attacks.pooled import lowest_level, pooled
from mgaudit.reports.canaries import CanaryAttack, GroupAttack
from mgaudit.reports.record import Estimate
from mgaudit.study.attack import AttackOutcome
from mgaudit.study.audited import AuditedData
from mgaudit.targets.seeds import numpy_generator


def canary_record(outcome: AttackOutcome, data: AuditedData) -> CanaryAttack | None:
    """Returns the record of an attack on the canaries and on the others; None without canaries."""
    if data.planted is None:
        return None
    indices = data.planted.indices
    others = np.setdiff1d(np.arange(data.membership.shape[1]), indices)
    membership = data.membership[outcome.targets]
    level = lowest_level(membership[:, indices])
    of_canaries = _group(outcome, data, indices, level, None)
    of_others = _group(outcome, data, others, level, data.example_resamples[:, others])
    return CanaryAttack(
        attack=outcome.attack.text,
        kind=data.planted.kind,
        level=level,
        canaries=of_canaries,
        others=of_others,
        indices=indices.tolist(),
    )


def _group(
    outcome: AttackOutcome,
    data: AuditedData,
    examples: NDArray[np.int64],
    level: float | None,
    resamples: NDArray[np.uint16] | None,
) -> GroupAttack:
    """Returns the attack on some of the examples; without `resamples`, they are drawn."""
    scores = outcome.scores[:, examples]
    membership = data.membership[outcome.targets][:, examples]
    generator = numpy_generator(data.seed, "canary resamples")
    numbers = pooled(scores, membership, level, generator, resamples)
    return GroupAttack(
        examples=len(examples),
        non_members=numbers.non_members,
        auc=_estimate(numbers.auc),
        tpr=_estimate(numbers.tpr),
    )


def _estimate(interval: Interval | None) -> Estimate | None:
    if interval is None:
        return None
    return Estimate(value=interval.value, low=interval.low, high=interval.high)
