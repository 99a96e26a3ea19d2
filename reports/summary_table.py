"""The table at the end of a run: one row for each arm, narrow enough for a terminal."""

from mgaudit.reports.results import StudyResult
from mgaudit.reports.table import Cell, Table, number
from mgaudit.reports.tables import at_delta, epsilon_at_least, headline

COLUMNS = ("Arm", "Test acc., %", "AUC", "TPR at 1 % FPR, %", "ε ≥")
TPR = "tpr@0.01"


def summary_table(study: StudyResult) -> Table:
    """Returns accuracy and the first attack's success for each arm, with 95 % intervals."""
    rows = []
    for arm in study.arms:
        attack = headline(arm)
        accuracy = number(arm.accuracy, scale=100, digits=1)
        auc = number(attack.metrics["auc"], digits=3)
        tpr = number(attack.metrics[TPR], scale=100, digits=2)
        bound = Cell(epsilon_at_least(attack.epsilon_lower_bound), mark="!" if arm.alarm else "")
        rows.append([Cell(arm.label), accuracy, auc, tpr, bound])
    notes = [f"The attack is {headline(study.arms[0]).name}. Intervals are at 95 %."]
    if delta := at_delta(study):
        notes[0] += f" ε ≥ is the proved lower bound on ε {delta}."
    return Table("summary", study.name, list(COLUMNS), rows, notes)
