"""The risk of a released model as rows of the tidy table of all numbers."""

from collections.abc import Iterator

from mgaudit.reports.metric_names import tpr_name
from mgaudit.reports.risk import FlaggedExample, FlaggedRecords, PredictiveValues, Risk

RiskRow = dict[str, str | int | float | None]


def risk_rows(risk: Risk) -> Iterator[RiskRow]:
    """Yields a row for each number of the risk of an arm; a missing part is a row with a note."""
    for values in risk.predictive_values:
        yield from _predictive_rows(values)
    if risk.flagged is None:
        yield {"what": "flagged records", "note": risk.without_flagged}
    else:
        yield from _flagged_rows(risk.flagged)
    targets, halves = risk.over_targets, risk.over_halves
    if targets is None:
        yield {"what": "flagged again", "note": risk.without_over_targets}
    else:
        note = "no record is flagged" if targets.again is None else None
        yield {"what": "flagged again", "value": targets.again, "note": note}
        yield {"what": "flagged by any target", "value": targets.in_any}
        yield {"what": "flagged by all targets", "value": targets.in_all}
    if halves is None:
        yield {"what": "flagged with both halves", "note": risk.without_over_halves}
        return
    shadows: RiskRow = {"shadows": halves.shadows}
    yield shadows | {"what": "flagged with both halves", "value": halves.in_both}
    yield shadows | {"what": "flagged with any half", "value": halves.in_any}
    yield shadows | {"what": "flagged with the first half", "value": halves.in_first}
    yield shadows | {"what": "flagged with the second half", "value": halves.in_second}


def _predictive_rows(values: PredictiveValues) -> Iterator[RiskRow]:
    metric: RiskRow = {"metric": tpr_name(values.level)}
    yield metric | {"what": "FPR of a new non-member", "value": values.fpr}
    yield metric | {"what": "realised FPR", "value": values.realised_fpr}
    for value in values.values:
        ppv = value.ppv
        numbers: RiskRow = {"value": ppv.value, "low": ppv.low, "high": ppv.high}
        yield metric | {"what": f"PPV at prior {value.prior:.10g}"} | numbers


def _flagged_rows(flagged: FlaggedRecords) -> Iterator[RiskRow]:
    yield {"what": "FDR of flagged records", "value": flagged.false_discovery_rate}
    yield {"what": "pseudo-targets", "value": flagged.pseudo_targets}
    columns = (flagged.targets, flagged.flagged, flagged.false, flagged.oracle)
    for model, number, false, oracle in zip(*columns, strict=True):
        yield {"what": "flagged records", "model": model, "value": number}
        yield {"what": "flagged non-members", "model": model, "value": false}
        yield {"what": "records of the oracle's list", "model": model, "value": oracle}
    for example in flagged.most_flagged:
        yield from _example_rows(example)


def _example_rows(example: FlaggedExample) -> Iterator[RiskRow]:
    named: RiskRow = {"example": example.origin, "class": example.label}
    yield named | {"what": "flagged, in", "value": example.flagged}
    yield named | {"what": "targets, in", "value": example.targets}
    yield named | {"what": "flagged, out", "value": example.flagged_out}
    yield named | {"what": "targets, out", "value": example.targets_out}
