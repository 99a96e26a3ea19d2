"""The table of the attack on canaries, beside the attack on all other examples."""

from mgaudit.reports.arrays import Arrays
from mgaudit.reports.canaries import CanaryAttack, GroupAttack
from mgaudit.reports.results import AuditResult, StudyResult
from mgaudit.reports.section import Section
from mgaudit.reports.table import Cell, Table, number

KINDS = {
    "mislabelled": "examples with a wrong label",
    "blank": "examples that are empty but for one value, with a random label",
    "noise": "examples of noise with a random label",
}


def canary_section(study: StudyResult, arrays: Arrays) -> Section | None:
    """Returns the section; None for a study without canaries."""
    arms = _arms(study)
    return None if not arms else Section.of("Canaries", canary_table(study))


def canary_table(study: StudyResult) -> Table:
    """Returns the attack on the canaries and on all other examples, two rows for each arm."""
    arms = _arms(study)
    first = arms[0][1]
    columns = ["Arm", "Examples", "Number", "Pairs of non-members", "AUC"]
    if first.level is not None:
        columns.append(f"TPR at {first.level * 100:g} % FPR, %")
    rows = []
    for arm, attack in arms:
        rows.append(_row(arm.label, f"{attack.kind} canaries", attack.canaries, len(columns)))
        rows.append(_row(arm.label, "all others", attack.others, len(columns)))
    return Table("canaries", "Canaries", columns, rows, _notes(first, arms))


def _arms(study: StudyResult) -> list[tuple[AuditResult, CanaryAttack]]:
    return [(arm, arm.canaries) for arm in study.arms if arm.canaries is not None]


def _row(label: str, name: str, group: GroupAttack, columns: int) -> list[Cell]:
    cells = [
        Cell(label),
        Cell(name),
        Cell(str(group.examples), value=group.examples),
        Cell(str(group.non_members), value=group.non_members),
        number(group.auc),
        number(group.tpr, 100, 2),
    ]
    return cells[:columns]


def _notes(first: CanaryAttack, arms: list[tuple[AuditResult, CanaryAttack]]) -> list[str]:
    notes = [
        f"Canaries are {KINDS[first.kind]}. They are in the pool of every arm, with coins "
        "like those of all examples. A model can fit them only by memorising them, so they show "
        "the risk of the most exposed examples. An average over all examples hides this risk "
        "(Aerni et al. 2024): a defence can look private on average and still reveal its outliers.",
        f"The attack is {first.attack}, with one threshold for all targets: a pair is a target and "
        "an example. Intervals are 95 % intervals for other targets and other examples of the "
        "same kind.",
    ]
    levels = {attack.level for _, attack in arms}
    if first.level is None:
        notes.append(
            "There is no TPR, because fewer than 10 false positives are expected at 10 % FPR. Use "
            "more canaries or models."
        )
    else:
        notes.append(
            "The FPR is the lowest of 0.1, 1 and 10 % at which at least 10 of the canaries' "
            "non-members are expected to be false positives."
        )
    if len(levels) > 1:
        others = "; ".join(f"{arm.label}: {_level(attack)}" for arm, attack in arms)
        notes.append(f"Arms have different levels, because models diverged ({others}).")
    return notes


def _level(attack: CanaryAttack) -> str:
    return "no TPR" if attack.level is None else f"{attack.level * 100:g} %"
