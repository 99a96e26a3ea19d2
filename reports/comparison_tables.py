"""The tables of a study's comparisons; where there is nothing to compare, the reason stands in place of the rows."""

from collections.abc import Sequence

from mgaudit.reports.arrays import Arrays
from mgaudit.reports.families import is_dp_sgd
from mgaudit.reports.findings import ANALYSED, SIGNIFICANT, TEST_ACCURACY, Change, DPEquivalent, Matched
from mgaudit.reports.results import AuditResult, StudyResult
from mgaudit.reports.section import Section
from mgaudit.reports.table import Cell, Table, number
from mgaudit.reports.tables import check_all_have, headline, in_its_unit

MOST_REFERENCES = 5
STATUS = {"front": "on the front", "within error": "within error", "dominated": "dominated"}


def differences_table(study: StudyResult) -> Table:
    """Returns every arm's paired differences to the arm without noise, with corrected p-values."""
    found = {(one.arm, one.attack, one.knowledge, one.metric): one for one in study.analysis.changes}
    shown = ANALYSED[:2]
    columns = ["Arm", "Attack", *(f"Δ {study.metric(name).heading}" for name in shown), "Δ test acc., points"]
    rows = []
    for arm in study.arms if found else []:
        for place, attack in enumerate(arm.attacks if not arm.is_plain else []):
            ours = [found.get((arm.key, attack.attack, attack.knowledge, name)) for name in shown]
            accuracy = Cell("") if place else _change(study, found.get((arm.key, None, None, TEST_ACCURACY)))
            rows.append([Cell(arm.label), Cell(attack.name), *(_change(study, change) for change in ours), accuracy])
    tests = {metric: sum(one.metric == metric for one in study.analysis.changes) for metric in (*shown, TEST_ACCURACY)}
    notes = [
        f"Paired by target and example. † p < {SIGNIFICANT} after Holm's correction for all that stands in the "
        f"column ({', '.join(str(tests[metric]) for metric in (*shown, TEST_ACCURACY))} comparisons): the chance "
        f"that any of its daggers is false is below {SIGNIFICANT * 100:g} %. Intervals are each for itself. A naive "
        "attack is compared with the same attack on the arm without noise. –: too few models converged in both arms."
    ]
    return _table("differences", "Differences to training without noise", columns, rows, notes, study, "changes")


def _change(study: StudyResult, one: Change | None) -> Cell:
    if one is None:
        return Cell("–")
    mark = "†" if one.stands else ""
    if one.metric == TEST_ACCURACY:
        return number(one.difference, 100, 1, signed=True, mark=mark)
    return in_its_unit(study.metric(one.metric), one.difference, signed=True, mark=mark)


def front_table(study: StudyResult) -> Table:
    """Returns where each arm stands with regard to the Pareto front."""
    labels = _labels(study)
    rows = []
    for one in study.analysis.front:
        arm = study.arms[list(labels).index(one.arm)]
        auc = arm.attacks[0].metrics["auc"]
        rows.append(
            [
                Cell(arm.label),
                number(arm.test_accuracy, 100, 1),
                number(auc),
                Cell(STATUS[one.status]),
                Cell("" if one.by is None else labels[one.by]),
                Cell("") if one.accuracy is None else number(one.accuracy, 100, 1, signed=True),
                Cell("") if one.auc is None else number(one.auc, signed=True),
            ]
        )
    notes = [
        f"By mean test accuracy and mean AUC of the attack {study.analysis.attack}. On the front: no other arm is at "
        "least as accurate and at least as private, and better in one of them. Dominated: another arm is both more "
        "accurate and more private, and the 95 % intervals of both paired differences leave 0 out; within error: "
        "not so clearly. The last columns say how much more accuracy and AUC the arm that beats it has. These "
        "comparisons are not corrected for their number."
    ]
    columns = ["Arm", "Test acc., %", "AUC", "Status", "Beaten by", "Δ acc., points", "Δ AUC"]
    return _table("front", "Pareto front", columns, rows, notes, study, "front")


def matched_table(study: StudyResult, metric: str) -> Table:
    """Returns a metric of each family of schemes at the accuracy of a few reference arms."""
    references = _references(study)
    found = {(one.family, one.reference): one for one in study.analysis.matched}
    families = list(dict.fromkeys(one.family for one in study.analysis.matched))
    rows = [
        [Cell(family), *(_matched(study, found.get((family, arm.key)), metric) for arm in references)]
        for family in families
    ]
    columns = [
        "Scheme",
        *(f"at {arm.test_accuracy.value * 100:.1f} %: {arm.label}" for arm in references),
    ]
    notes = [
        f"{study.metric(metric).heading} of the attack {study.analysis.attack} against each scheme at the strongest "
        "noise at which it has the test accuracy of the arm named above, interpolated on straight lines between its "
        "arms; [strength]. The 95 % interval counts the error of all accuracies too. † differs from the reference's "
        "own at 95 % (paired, each for itself). All pairs of schemes and references are in result.json."
    ]
    return _table(
        f"matched-{metric.replace('_', '-')}",
        f"{study.metric(metric).title} at matched accuracy",
        columns if references else ["Scheme"],
        rows,
        notes,
        study,
        "matched",
    )


def _references(study: StudyResult) -> list[AuditResult]:
    """Returns the arms of DP-SGD, or where there is none the middle one of each family: the first few."""
    private = [arm for arm in study.arms if is_dp_sgd(arm)]
    if not private:
        grouped: dict[str, list[AuditResult]] = {}
        for arm in study.arms:
            if arm.strength is not None:
                grouped.setdefault(arm.strength.family, []).append(arm)
        private = [arms[len(arms) // 2] for arms in grouped.values()]
    return private[:MOST_REFERENCES]


def _matched(study: StudyResult, one: Matched | None, metric: str) -> Cell:
    if one is None:
        return Cell("–")
    if one.not_reached is not None:
        return Cell("not reached", f"({one.not_reached})")
    shown = in_its_unit(study.metric(metric), one.metrics[metric], mark="†" if one.differences[metric].sign else "")
    strength = "" if one.strength is None else f" [{one.strength:.3g}]"
    return Cell(shown.text, shown.interval + strength, shown.mark, shown.value)


def dp_equivalent_table(study: StudyResult) -> Table:
    """Returns for each arm the epsilon of DP-SGD with the same attack success, and the accuracy DP-SGD has there."""
    labels = _labels(study)
    rows = [
        [
            Cell(labels[one.arm]),
            Cell(one.attack),
            _epsilon(one, study),
            Cell("–") if one.accuracy is None else number(one.accuracy, 100, 1),
            Cell("–") if one.accuracy_difference is None else number(one.accuracy_difference, 100, 1, signed=True),
        ]
        for one in study.analysis.dp_equivalent
    ]
    notes = [
        "The ε of DP-SGD at which the attack has the same AUC, between DP-SGD's arms on straight lines in log ε, "
        "with the 95 % set of all ε whose paired difference in AUC covers 0; the test accuracy that DP-SGD has "
        "there, and how much more the arm has. Equal under this attack is not equal in privacy: DP-SGD's ε is "
        "proved against every attack, and the arm's is not."
    ]
    columns = ["Arm", "Attack", "DP-SGD's ε", "DP-SGD's acc., %", "Arm's gain, points"]
    return _table("dp-equivalent", "DP-equivalent ε", columns, rows, notes, study, "dp_equivalent")


def _epsilon(one: DPEquivalent, study: StudyResult) -> Cell:
    epsilons = [arm.claim.epsilon for arm in study.arms if is_dp_sgd(arm) and arm.claim is not None]
    finite = sorted(epsilon for epsilon in epsilons if epsilon is not None)
    low = f"below {finite[0]:.3g}" if one.low is None else f"{one.low:.3g}"
    high = f"above {finite[-1]:.3g}" if one.high is None else f"{one.high:.3g}"
    if one.epsilon is None:
        text = f"below {finite[0]:.3g}" if one.beyond == "smallest" else f"above {finite[-1]:.3g}"
    else:
        text = f"{one.epsilon:.3g}"
    return Cell(text, f"[{low}, {high}]", value=one.epsilon)


def ignorance_table(study: StudyResult) -> Table:
    """Returns the naive and the adaptive adversary side by side."""
    labels = _labels(study)
    rows = [
        [
            Cell(labels[one.arm]),
            Cell(one.attack),
            *(number(level) for level in (one.plain, one.naive, one.adaptive)),
            *(number(gap, signed=True) for gap in (one.apparent, one.real, one.gap)),
        ]
        for one in study.analysis.ignorance
    ]
    notes = [
        "AUCs over the same targets. The apparent gain is what a naive evaluation reports (no noise − naive), the "
        "real one what an attacker leaves who knows of the noise (no noise − adaptive); ignorance is their "
        "difference (adaptive − naive). Paired 95 % intervals, each for itself."
    ]
    columns = ["Arm", "Attack", "No noise", "Naive", "Adaptive", "Apparent gain", "Real gain", "Ignorance"]
    return _table("ignorance", "Adaptive and naive adversary", columns, rows, notes, study, "ignorance")


def shared_exposure_table(study: StudyResult) -> Table:
    """Returns what becomes of the most exposed examples of the arm without noise."""
    labels = _labels(study)
    found = study.analysis.exposure
    rows = [
        [
            Cell(labels[one.arm]),
            number(one.here, 100, 1),
            number(one.difference, 100, 1, signed=True),
            Cell(f"{one.also_exposed * 100:.1f}", value=one.also_exposed * 100),
            Cell(f"{one.by_chance * 100:.1f}", value=one.by_chance * 100),
        ]
        for one in found
    ]
    number_of = found[0].examples if found else 0
    notes = [
        f"The {number_of} examples that half of the noise-free targets find most exposed, looked at in the other "
        "half: the share of a target's non-members that they outrank where it trained on them, and the change to no "
        "noise, with 95 % intervals for new targets. Exposed too: the share of them that is among as many most "
        "exposed ones of the arm; in the arm without noise this is what chance leaves of a perfect match between "
        "two halves."
    ]
    columns = ["Arm", "Outrank, %", "Change, points", "Exposed too, %", "By chance, %"]
    return _table("shared-exposure", "The same examples under other schemes", columns, rows, notes, study, "exposure")


def power_table(study: StudyResult) -> Table:
    """Returns the AUC of the first attack by the number of shadows."""
    if "shadows" in headline(study.arms[0]).needs:
        check_all_have(study, "power")
    shadows = sorted({point.shadows for arm in study.arms for point in arm.power})
    rows = []
    for arm in study.arms:
        by_number = {point.shadows: point.metrics["auc"] for point in arm.power}
        if by_number:
            rows.append(
                [Cell(arm.label), *(number(by_number[one]) if one in by_number else Cell("–") for one in shadows)]
            )
    notes = [
        f"AUC of the attack {study.analysis.attack} with that many shadows, fewer being part of more; the last "
        "column is the main table's."
        if rows
        else f"The attack {study.analysis.attack} uses no shadows."
    ]
    return Table(
        "power", "Attack power and shadow models", ["Arm", *(f"{one} shadows" for one in shadows)], rows, notes
    )


def _labels(study: StudyResult) -> dict[str, str]:
    return {arm.key: arm.label for arm in study.arms}


def _table(
    key: str,
    caption: str,
    columns: Sequence[str],
    rows: list[list[Cell]],
    notes: list[str],
    study: StudyResult,
    part: str,
) -> Table:
    """Returns the table, or in place of its notes the reason why it is empty."""
    return Table(key, caption, list(columns), rows, notes if rows else [study.analysis.absent[part]])


def differences_section(study: StudyResult, arrays: Arrays) -> Section:
    """Returns the differences to training without noise."""
    return Section.of("Differences to training without noise", differences_table(study))


def front_section(study: StudyResult, arrays: Arrays) -> Section:
    """Returns the Pareto front."""
    return Section.of("Pareto front", front_table(study))


def matched_section(study: StudyResult, arrays: Arrays) -> Section:
    """Returns privacy at matched accuracy."""
    return Section.of(
        "Privacy at matched accuracy", matched_table(study, "auc"), matched_table(study, "tpr_at_0.001_fpr")
    )


def dp_equivalent_section(study: StudyResult, arrays: Arrays) -> Section:
    """Returns the DP-equivalent epsilon."""
    return Section.of("DP-equivalent ε", dp_equivalent_table(study))
