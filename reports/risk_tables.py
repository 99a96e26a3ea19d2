"""The tables on the risk of a released model."""

from collections.abc import Iterator, Sequence

from mgaudit.reports.arrays import Arrays
from mgaudit.reports.results import AuditResult, StudyResult
from mgaudit.reports.risk import FlaggedExample, FlaggedRecords, PredictiveValues, Risk
from mgaudit.reports.section import Section
from mgaudit.reports.table import Cell, Table, number
from mgaudit.reports.tables import has_one_target, is_by_group

SHOWN_FLAGGED = 5  # of the examples of an arm that are flagged most often


def risk_section(study: StudyResult, arrays: Arrays) -> Section | None:
    """Returns the section; None for a result of an earlier version, which has no risk."""
    if not _arms(study):
        return None
    return Section.of(
        "Risk of a released model",
        predictive_values(study),
        flagged_records(study),
        most_flagged(study),
    )


def predictive_values(study: StudyResult) -> Table:
    """Returns the PPV of the first attack: a row for each arm and FPR level, by prior."""
    arms = _arms(study)
    priors = [value.prior for value in arms[0][1].predictive_values[0].values]
    columns = ["Arm", "FPR at most, %", "FPR, %", "TPR, %"]
    columns += [f"PPV at prior {prior * 100:.10g} %, %" for prior in priors]
    rows = [_predictive_row(arm, values) for arm, risk in arms for values in risk.predictive_values]
    others = "groups" if is_by_group(study) else "examples"
    covered = f"this model and other {others}"
    if not has_one_target(study):
        covered = f"other targets and other {others}"
    notes = [
        "The positive predictive value (PPV) is the share of members among the records that the "
        f"attack {arms[0][1].attack} accepts, when the prior is the share of members among the "
        "records that the adversary asks about: prior · TPR / (prior · TPR + (1 − prior) · FPR). "
        "In this audit the prior is 50 %; an adversary who asks about records from a large "
        "population has a lower one. mgaudit report RUN --prior P adds the PPV at another prior.",
        "FPR is the probability that a new non-member is accepted, (accepted + 1) / (non-members + "
        "1): the share of the target's own non-members that are accepted is too low, because they "
        "set the threshold. With few non-members it is above the level. Intervals are 95 % "
        f"intervals for {covered}.",
    ]
    return Table("ppv", "Positive predictive value by prior", columns, rows, notes)


def _predictive_row(arm: AuditResult, values: PredictiveValues) -> list[Cell]:
    return [
        Cell(arm.label),
        Cell(f"{values.level * 100:g}", value=values.level * 100),
        Cell(f"{values.fpr * 100:.2f}", value=values.fpr * 100),
        number(values.tpr, 100, 2),
        *(number(value.ppv, 100, 1) for value in values.values),
    ]


def flagged_records(study: StudyResult) -> Table:
    """Returns the numbers of flagged records, the realised FDR and the agreement, by arm."""
    columns = ["Arm", "Flagged per target", "FDR, %", "Oracle per target"]
    columns += ["Halves agree, %", "Flagged again, %", "By any target", "By all targets"]
    arms = _arms(study)
    rows = [_flagged_row(arm, risk) for arm, risk in arms]
    notes = []
    levels = [risk.flagged.level for _, risk in arms if risk.flagged is not None]
    if levels:
        notes = _flagged_notes(levels[0])
    notes += _reasons(arms)
    return Table("flagged-records", "Flagged records", columns, rows, notes)


def _flagged_notes(level: float) -> list[str]:
    """Returns what the columns of the table of flagged records mean."""
    return [
        "Flagged records are those that the attack declares members. Their expected share of "
        f"non-members, the false discovery rate (FDR), is controlled at {level * 100:g} % by "
        "conformal p-values against the known non-members of other models that are attacked like "
        "the target (pseudo-targets), and the procedure of Benjamini and Hochberg. FDR is the "
        "realised share of non-members, the mean over targets; it is known here. The oracle is the "
        "longest list of records with the highest scores whose share of non-members is at most "
        f"{level * 100:g} %; it reads the membership, which no attack can.",
        "Halves agree: share of the records flagged with one of two disjoint halves of the shadow "
        "models that are flagged with both. Flagged again: share of cases in which a record that "
        "one target flags is flagged by another target that was trained on it. By any target and "
        "by all targets: number of records flagged by one or more, and by all, of the two or more "
        "targets that were trained on them.",
    ]


def _flagged_row(arm: AuditResult, risk: Risk) -> list[Cell]:
    cells = [Cell("–")] * 3 if risk.flagged is None else _list_cells(risk.flagged)
    halves = None if risk.over_halves is None else risk.over_halves.share
    agreement = [_percent(halves), Cell("–"), Cell("–"), Cell("–")]
    targets = risk.over_targets
    if targets is not None:
        counts = [Cell(str(count), value=count) for count in (targets.in_any, targets.in_all)]
        agreement[1:] = [_percent(targets.again), *counts]
    return [Cell(arm.label), *cells, *agreement]


def _list_cells(flagged: FlaggedRecords) -> list[Cell]:
    """Returns the mean number of flagged records, the FDR and the oracle's mean number."""
    return [
        _mean(flagged.flagged),
        _percent(flagged.false_discovery_rate if any(flagged.flagged) else None),
        _mean(flagged.oracle),
    ]


def _reasons(arms: Sequence[tuple[AuditResult, Risk]]) -> list[str]:
    """Returns why cells are empty: each reason once, with the arms that it applies to."""
    by_reason: dict[str, list[str]] = {}
    for arm, risk in arms:
        for reason in _reasons_of(risk):
            by_reason.setdefault(reason, []).append(arm.label)
    notes = []
    for reason, labels in by_reason.items():
        if len(labels) == len(arms):
            notes.append(f"{reason[0].upper()}{reason[1:]}.")
        else:
            notes.append(f"{', '.join(labels)}: {reason}.")
    return notes


def _reasons_of(risk: Risk) -> Iterator[str]:
    if risk.flagged is None:
        yield risk.without_flagged
        return
    if not any(risk.flagged.flagged):
        yield (
            "no record is flagged in any target, so that there is no FDR and no agreement: the "
            f"scores do not single out records whose FDR is {risk.flagged.level * 100:g} % or less"
        )
    if risk.over_targets is None:
        yield f"no agreement between targets: {risk.without_over_targets}"
    if risk.over_halves is None:
        yield f"no agreement between halves of the shadow models: {risk.without_over_halves}"
    elif risk.over_halves.share is None and any(risk.flagged.flagged):
        yield "no record is flagged with half of the shadow models, so that halves cannot agree"


def most_flagged(study: StudyResult) -> Table | None:
    """Returns the examples that are flagged most often; None where none is flagged correctly."""
    rows = [
        _example_row(arm, example)
        for arm, risk in _arms(study)
        if risk.flagged is not None
        for example in risk.flagged.most_flagged[:SHOWN_FLAGGED]
    ]
    if not rows:
        return None
    columns = ["Arm", "Example", "Class", "Flagged (in)", "Targets (in)"]
    columns += ["Flagged (out)", "Targets (out)"]
    notes = [
        "The examples that most of the targets trained on them (in) flag as members, and how many "
        "of the other targets (out) flag them wrongly. A record that one target alone flags can be "
        "there by chance. All examples are in the arrays of the run (flagged, flagged_out)."
    ]
    return Table("most-flagged", "Records flagged most often", columns, rows, notes)


def _example_row(arm: AuditResult, example: FlaggedExample) -> list[Cell]:
    counts = (example.flagged, example.targets, example.flagged_out, example.targets_out)
    cells = [Cell(str(count), value=count) for count in counts]
    return [Cell(arm.label), Cell(example.origin), Cell(example.label), *cells]


def _arms(study: StudyResult) -> list[tuple[AuditResult, Risk]]:
    """Returns the arms that have a risk; in results of earlier versions there is none."""
    return [(arm, arm.risk) for arm in study.arms if arm.risk is not None]


def _percent(share: float | None) -> Cell:
    return Cell("–") if share is None else Cell(f"{share * 100:.1f}", value=share * 100)


def _mean(counts: Sequence[int]) -> Cell:
    mean = sum(counts) / len(counts)
    return Cell(f"{mean:.1f}", value=mean)
