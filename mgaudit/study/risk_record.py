"""Summarise the risk of a released model as the record of a result."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.flagged import FDR_LEVEL, Flagged
from mgaudit.attacks.intervals import Interval
from mgaudit.attacks.metrics import tpr_name
from mgaudit.attacks.positive_predictive_value import (
    PPV_LEVELS,
    PRIORS,
    OperatingPoint,
    ppv_interval,
)
from mgaudit.reports.record import Estimate
from mgaudit.reports.results import AttackResult
from mgaudit.reports.risk import (
    AgreementOfHalves,
    AgreementOfTargets,
    FlaggedExample,
    FlaggedRecords,
    PredictiveValues,
    PriorValue,
    Risk,
)
from mgaudit.study.audited import AuditedData
from mgaudit.study.risk import RiskOfArm

MOST_FLAGGED = 20  # examples in the list of those that are flagged most often


def risk_record(
    risk: RiskOfArm, attack: AttackResult, scores: NDArray[np.float64], data: AuditedData
) -> Risk:
    """Returns the record of the risk of an arm.

    Args:
        risk: Flagged records and their agreement.
        attack: The result of the first attack, whose TPRs have intervals.
        scores: Its scores of the targets (targets, examples).
        data: The audited data.
    """
    membership = data.membership[attack.targets]
    effective = 1.0
    if data.units is not None:
        others = ~membership
        effective = float(others[:, data.units].sum() / others.sum())
    values = [
        _predictive_values(level, attack, scores, membership, effective) for level in PPV_LEVELS
    ]
    flagged = None
    if risk.flagged is not None:
        flagged = _flagged_records(risk.flagged, risk.pseudo_targets, attack.targets, data)
    halves = None
    if risk.halves is not None:
        first_targets = attack.targets[: len(risk.halves.targets)]
        halves = AgreementOfHalves(**{**asdict(risk.halves), "targets": first_targets})
    shared = None if risk.shared is None else AgreementOfTargets(**asdict(risk.shared))
    return Risk(
        attack=attack.attack,
        predictive_values=values,
        flagged=flagged,
        without_flagged=risk.without_flagged,
        over_targets=shared,
        without_over_targets=risk.without_shared,
        over_halves=halves,
        without_over_halves=risk.without_halves,
    )


def _predictive_values(
    level: float,
    attack: AttackResult,
    scores: NDArray[np.float64],
    membership: NDArray[np.bool_],
    effective: float,
) -> PredictiveValues:
    """Returns the PPVs at one FPR level, with intervals for other targets and other examples.

    With several targets, the TPR's interval is that of its mean, and the expected FPR is known.
    With one target, both are those of its threshold. `effective` is the number of independent
    non-members as a share of all.
    """
    pairs = zip(scores, membership, strict=True)
    points = [OperatingPoint.of(*pair, level) for pair in pairs]
    tpr = attack.metrics[tpr_name(level)]
    rate = float(np.mean([point.fpr for point in points]))
    fpr = Interval(rate, rate, rate)
    if len(points) == 1:
        fpr = points[0].fpr_interval(effective)
    values = []
    for prior in PRIORS:
        interval = ppv_interval(Interval(tpr.value, tpr.low, tpr.high), fpr, prior)
        ppv = Estimate(value=interval.value, low=interval.low, high=interval.high)
        values.append(PriorValue(prior=prior, ppv=ppv))
    realised = float(np.mean([point.realised_fpr for point in points]))
    return PredictiveValues(level=level, realised_fpr=realised, fpr=rate, tpr=tpr, values=values)


def _flagged_records(
    flagged: Flagged, pseudo_targets: int, targets: Sequence[int], data: AuditedData
) -> FlaggedRecords:
    """Returns the counts of flagged records, and the examples that are flagged most often."""
    return FlaggedRecords(
        level=FDR_LEVEL,
        targets=list(targets),
        flagged=flagged.numbers.tolist(),
        false=flagged.false.tolist(),
        oracle=flagged.oracle.tolist(),
        false_discovery_rate=flagged.false_discovery_rate,
        pseudo_targets=pseudo_targets,
        most_flagged=_most_flagged(flagged, data),
    )


def _most_flagged(flagged: Flagged, data: AuditedData) -> list[FlaggedExample]:
    """Returns the MOST_FLAGGED examples that most of the targets trained on them flag.

    Examples are ordered by the number of these targets, and then by their share. Examples that no
    target trained on them flags are left out.
    """
    trained = flagged.membership.sum(axis=0)
    share = flagged.times / np.maximum(trained, 1)
    order = np.lexsort((-share, -flagged.times))
    chosen = order[flagged.times[order] > 0][:MOST_FLAGGED]
    targets = len(flagged.flagged)
    return [
        FlaggedExample(
            example=example,
            origin=data.origins[example],
            label=data.label_of(example),
            flagged=int(flagged.times[example]),
            targets=int(trained[example]),
            flagged_out=int(flagged.times_false[example]),
            targets_out=targets - int(trained[example]),
        )
        for example in chosen.tolist()
    ]
