"""The first section of a report: answers, threat model and limits, and one figure."""

from mgaudit.reports.arm_verdict import ArmVerdict
from mgaudit.reports.figures.accuracy import first_accuracy_drawing
from mgaudit.reports.method import limits, threat_model
from mgaudit.reports.plain_arm import plain_training
from mgaudit.reports.results import AuditResult, StudyResult
from mgaudit.reports.section import Section, Words
from mgaudit.reports.smallest_leak import smallest_leak_sentences
from mgaudit.reports.table import Cell, Table, number
from mgaudit.reports.tables import headline

NOT_JUDGED = "no verdict"
MEASURED = (
    "Measured: membership inference. An attacker who has a record guesses whether a model was "
    "trained on it; an AUC of 0.5 is guessing, and 1 is certainty. Not measured: the inference of "
    "attributes, the reconstruction of training data, and several releases together."
)
RELATIVE = (
    " They compare the arm with {plain}: an arm protects if the attack succeeds less than there, "
    "which does not mean that the attack fails."
)


def answer_section(study: StudyResult) -> Section:
    """Returns the answer for each arm, in what setting it holds, and what it leaves open."""
    return Section.of(
        "Answer",
        answers(study),
        first_accuracy_drawing(study),
        Words([MEASURED, threat_model(study), limits(study), *_smallest_leaks(study)]),
    )


def _smallest_leaks(study: StudyResult) -> list[str]:
    """Returns a paragraph on the arms without a proven leak; none if there is no such arm."""
    labels = [arm.label for arm in study.arms]
    sentences = smallest_leak_sentences(study.smallest_leaks, labels)
    return [" ".join(["Smallest leaks:", *sentences])] if sentences else []


def answers(study: StudyResult) -> Table:
    """Returns accuracy, the AUC of the first attack and the verdict of each arm."""
    verdicts = {verdict.arm: verdict for verdict in study.analysis.verdicts}
    rows = [_row(arm, verdicts.get(arm.key), study) for arm in study.arms]
    note = f"The attack is {headline(study.arms[0]).name}, and intervals are at 95 %."
    if verdicts:
        note += " All verdicts hold together with probability 95 %."
    if any(verdict.against == "plain" for verdict in verdicts.values()):
        note += RELATIVE.format(plain=plain_training(study))
    columns = ["Arm", "Test acc., %", "AUC", "Verdict"]
    return Table("answers", "Accuracy, attack and verdict of each arm", columns, rows, [note])


def _row(arm: AuditResult, verdict: ArmVerdict | None, study: StudyResult) -> list[Cell]:
    outcome = NOT_JUDGED if verdict is None or verdict.outcome is None else verdict.outcome
    if verdict is None and arm is study.plain:
        outcome = "–"
    return [
        Cell(arm.label),
        number(arm.accuracy, 100, 1),
        number(headline(arm).metrics["auc"]),
        Cell(outcome, mark="!" if arm.alarm else ""),
    ]
