"""The table of the ceilings that DP-SGD puts on attacks, beside what attacks reached."""

import math

from mgaudit.reports.arrays import Arrays
from mgaudit.reports.ceiling import Ceiling
from mgaudit.reports.results import AttackResult, AuditResult, StudyResult
from mgaudit.reports.section import Section
from mgaudit.reports.table import Cell, Table
from mgaudit.reports.tables import metric_cell

METRICS = ("tpr@0.001", "tpr@0.01", "tpr@0.1", "advantage", "auc")
COLUMNS = ("Arm", "Metric", "Strongest attack", "Measured", "Ceiling")
NOTES = (
    "The ceiling is the largest value that any attack can reach, computed from the trade-off curve "
    "of the accountant ({accountants}). It assumes that the claim holds, and an adversary who sees "
    "the noisy sum of gradients of every step and who knows all other examples. The attacks see "
    "only the final model, so a gap does not show that the claim is loose. A ceiling is for one "
    "example that has no copies among the others.",
    "Measured is the attack that has the highest value of the metric, chosen after the results. A "
    "measured value can be above the ceiling by chance. At a coarse threshold (*), the real FPR is "
    "also above the level. No alarm follows from this table.",
)


def ceiling_of(arm: AuditResult) -> Ceiling | None:
    """Returns the ceilings of an arm; None without DP-SGD, and in results of earlier versions."""
    return None if arm.claim is None else arm.claim.ceiling


def ceiling_section(study: StudyResult, arrays: Arrays) -> Section | None:
    """Returns the section; None where no arm has ceilings."""
    if all(ceiling_of(arm) is None for arm in study.arms):
        return None
    table = ceiling_table(study)
    return Section.of(table.caption, table)


def ceiling_table(study: StudyResult) -> Table:
    """Returns the strongest attack beside the ceiling, by arm with DP-SGD and metric."""
    rows, accountants = [], []
    for arm in study.arms:
        ceiling = ceiling_of(arm)
        if ceiling is not None:
            rows += [_row(study, arm, ceiling, name) for name in METRICS]
            accountants.append(ceiling.accountant)
    names = ", ".join(dict.fromkeys(accountants))
    notes = [note.format(accountants=names) for note in NOTES]
    return Table("ceilings", "Ceilings of the accountant", list(COLUMNS), rows, notes)


def _row(study: StudyResult, arm: AuditResult, ceiling: Ceiling, name: str) -> list[Cell]:
    strongest = _strongest(arm, name)
    facts = study.metric(name)
    largest = ceiling.metrics[name] * facts.scale
    return [
        Cell(arm.label),
        Cell(facts.heading),
        Cell(strongest.name),
        metric_cell(study, strongest, name),
        Cell(f"≤ {rounded_up(largest, facts.digits)}", value=largest),
    ]


def rounded_up(value: float, digits: int) -> str:
    """Returns an upper bound with that many decimals, rounded up.

    >>> rounded_up(34.2401, 2), rounded_up(0.9, 3)
    ('34.25', '0.900')
    """
    unit = 10.0**digits
    return f"{math.ceil(value * unit - 1e-9) / unit:.{digits}f}"


def _strongest(arm: AuditResult, name: str) -> AttackResult:
    """Returns the attack with the highest value of a metric, the first of equal ones."""
    return max(arm.attacks, key=lambda attack: attack.metrics[name].value)
