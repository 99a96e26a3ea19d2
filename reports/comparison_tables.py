"""The tables of a study's comparisons; an empty table states the reason in its notes."""

from collections.abc import Mapping, Sequence

from mgaudit.reports.arrays import Arrays
from mgaudit.reports.families import is_dp_sgd
from mgaudit.reports.findings import (
    ANALYSED,
    PAIRED,
    SIGNIFICANT,
    TEST_ACCURACY,
    DPEquivalent,
    FrontPoint,
    Matched,
    SharedExposure,
    Tested,
)
from mgaudit.reports.plain_arm import plain_name, plain_training, the_plain_arm
from mgaudit.reports.results import AuditResult, MetricFacts, StudyResult
from mgaudit.reports.section import Section
from mgaudit.reports.table import Cell, Table, number, numbered
from mgaudit.reports.tables import check_all_have, headline, in_its_unit, rounded_up

MOST_REFERENCES = 5
STATUS = {"front": "on the front", "within error": "within error", "dominated": "dominated"}


def differences_table(study: StudyResult) -> Table:
    """Returns every arm's paired differences to the arm without noise, with corrected p-values."""
    metrics = ANALYSED[:2]
    rows = []
    if study.analysis.changes:
        for arm in study.arms:
            if not arm.is_plain:
                rows += _difference_rows(study, arm, metrics)
    tested = [change.metric for change in study.analysis.changes]
    counts = ", ".join(str(tested.count(metric)) for metric in (*metrics, TEST_ACCURACY))
    converged = "converged" if study.models_from == "training" else "were trained"
    notes = [
        f"Differences are paired by target and example. The mark † means p < {SIGNIFICANT} after "
        f"Holm's correction for all comparisons in the column ({counts} by column): the "
        f"probability that any dagger in a column is false is below {SIGNIFICANT * 100:g} %. "
        "Intervals are not corrected. A naive attack is compared with the same attack on "
        f"{the_plain_arm(study)}. The sign – means that too few models {converged} in both arms."
    ]
    headings = [f"Δ {study.metric(name).heading}" for name in metrics]
    columns = ["Arm", "Attack", *headings, "Δ test acc., % points"]
    caption = f"Differences to {plain_training(study)}"
    return _table("differences", caption, columns, rows, notes, study, "changes")


def _difference_rows(
    study: StudyResult, arm: AuditResult, metrics: Sequence[str]
) -> list[list[Cell]]:
    """Returns a row for each attack on an arm; the first has the change in test accuracy."""
    changes = {
        (change.attack, change.adversary, change.metric): change
        for change in study.analysis.changes
        if change.arm == arm.key
    }
    accuracy = _change(study, changes.get((None, None, TEST_ACCURACY)))
    rows = []
    for attack in arm.attacks:
        keys = [(attack.attack, attack.adversary, metric) for metric in metrics]
        cells = [_change(study, changes.get(key)) for key in keys]
        rows.append([Cell(arm.label), Cell(attack.name), *cells, accuracy])
        accuracy = Cell("")
    return rows


def _change(study: StudyResult, change: Tested | None) -> Cell:
    if change is None:
        return Cell("–")
    mark = "†" if change.stands else ""
    if change.metric == TEST_ACCURACY:
        return number(change.difference, 100, 1, signed=True, mark=mark)
    return in_its_unit(study.metric(change.metric), change.difference, signed=True, mark=mark)


def pairs_table(study: StudyResult) -> Table:
    """Returns the paired differences between all arms other than the plain one."""
    labels = _labels(study)
    by_arms = {(pair.arm, pair.other, pair.metric): pair for pair in study.analysis.pairs}
    metrics = [name for name in PAIRED if any(name == metric for *_, metric in by_arms)]
    rows = []
    for arm, other in dict.fromkeys((pair.arm, pair.other) for pair in study.analysis.pairs):
        cells = [_change(study, by_arms.get((arm, other, metric))) for metric in metrics]
        rows.append([Cell(labels[arm]), Cell(labels[other]), *cells])
    headings = [
        "Δ test acc., % points" if name == TEST_ACCURACY else f"Δ {study.metric(name).heading}"
        for name in metrics
    ]
    notes = [
        "Each number is that of the first arm minus that of the second, for the attack "
        f"{study.analysis.attack}, paired by target and example. A lower AUC or TPR is more "
        f"private. The mark † means p < {SIGNIFICANT} after Holm's correction for all pairs in the "
        "column; intervals are not corrected."
    ]
    return Table("pairs", "Differences between arms", ["Arm", "minus", *headings], rows, notes)


def front_table(study: StudyResult) -> Table:
    """Returns the status of each arm with regard to the Pareto front."""
    arms = {arm.key: arm for arm in study.arms}
    rows = [_front_row(point, arms) for point in study.analysis.front]
    notes = [
        "Arms are compared by mean test accuracy and by mean AUC of the attack "
        f"{study.analysis.attack}; a lower AUC is more private. An arm is on the front if no other "
        "arm is at least as accurate and at least as private, and better in one of the two. An arm "
        "is dominated if another arm is both more accurate and more private, and the 95 % "
        "intervals of both paired differences exclude 0. An arm is within error if another arm is "
        "better, but these intervals do not both exclude 0. The last two columns give the "
        "accuracy and the AUC of the better arm minus the accuracy and the AUC of this arm. These "
        "comparisons are not corrected for multiple testing."
    ]
    columns = ["Arm", "Test acc., %", "AUC", "Status", "Better arm", "Δ acc., % points", "Δ AUC"]
    return _table("front", "Pareto front", columns, rows, notes, study, "front")


def _front_row(point: FrontPoint, arms: Mapping[str, AuditResult]) -> list[Cell]:
    arm = arms[point.arm]
    beaten_by = "" if point.by is None else arms[point.by].label
    return [
        Cell(arm.label),
        number(arm.accuracy, 100, 1),
        number(arm.attacks[0].metrics["auc"]),
        Cell(STATUS[point.status]),
        Cell(beaten_by),
        Cell("") if point.accuracy is None else number(point.accuracy, 100, 1, signed=True),
        Cell("") if point.auc is None else number(point.auc, signed=True),
    ]


def matched_tables(study: StudyResult, metric: str) -> list[Table]:
    """Returns a metric of each family of schemes at the accuracy of reference arms.

    A table has a few reference arms.
    """
    references = _references(study)
    starts = range(0, max(len(references), 1), MOST_REFERENCES)
    parts = [references[start : start + MOST_REFERENCES] for start in starts]
    tables = [_matched_table(study, metric, part) for part in parts]
    return numbered(tables)


def _matched_table(study: StudyResult, metric: str, references: list[AuditResult]) -> Table:
    facts = study.metric(metric)
    matches = {(match.family, match.reference): match for match in study.analysis.matched}
    families = dict.fromkeys(match.family for match in study.analysis.matched)
    rows = []
    for family in families:
        of_references = [matches.get((family, arm.key)) for arm in references]
        rows.append([Cell(family), *(_matched(facts, match) for match in of_references)])
    headings = [f"at {arm.known_accuracy.value * 100:.1f} %: {arm.label}" for arm in references]
    notes = [
        f"Each cell gives the {facts.heading} of the attack {study.analysis.attack} against a "
        "scheme at the strongest noise at which the scheme has the test accuracy of the reference "
        "arm in the heading. It is interpolated linearly between the arms of the scheme, and the "
        "strength is in brackets. The 95 % interval includes the error of all accuracies. The mark "
        "† means that the value differs from the value of the reference at 95 % (paired, not "
        "corrected)."
    ]
    key, caption = f"matched-{metric.replace('@', '-')}", f"{facts.title} at matched accuracy"
    return _table(key, caption, ["Scheme", *headings], rows, notes, study, "matched")


def _references(study: StudyResult) -> list[AuditResult]:
    """Returns the arms of DP-SGD or, without DP-SGD, the middle arm of each family."""
    references = [arm for arm in study.arms if is_dp_sgd(arm)]
    if not references:
        families: dict[str, list[AuditResult]] = {}
        for arm in study.arms:
            if arm.strength is not None:
                families.setdefault(arm.strength.family, []).append(arm)
        references = [arms[len(arms) // 2] for arms in families.values()]
    return references


def _matched(facts: MetricFacts, match: Matched | None) -> Cell:
    if match is None:
        return Cell("–")
    if match.not_reached is not None:
        return Cell("not reached", f"({match.not_reached})")
    differs = match.differences[facts.name].sign != 0
    cell = in_its_unit(facts, match.metrics[facts.name], mark="†" if differs else "")
    strength = "" if match.strength is None else f" [{match.strength:.3g}]"
    return Cell(cell.text, cell.interval + strength, cell.mark, cell.value, cell.limits)


def dp_equivalent_table(study: StudyResult) -> Table:
    """Returns the epsilon of DP-SGD with the same attack success as each arm.

    Beside it stands the accuracy that DP-SGD has at that epsilon.
    """
    labels = _labels(study)
    epsilons = _finite_epsilons(study)
    rows = []
    for equivalent in study.analysis.dp_equivalent:
        accuracy, gain = equivalent.accuracy, equivalent.accuracy_difference
        accuracy_cell = Cell("–") if accuracy is None else number(accuracy, 100, 1)
        gain_cell = Cell("–") if gain is None else number(gain, 100, 1, signed=True)
        named = [Cell(labels[equivalent.arm]), Cell(equivalent.attack)]
        rows.append([*named, _epsilon(equivalent, epsilons), accuracy_cell, gain_cell])
    notes = [
        "DP-SGD's ε is the ε at which the attack has the same AUC on DP-SGD as on the arm, "
        "interpolated linearly in log ε between the arms of DP-SGD. Its interval contains all ε "
        "for which the paired test of equal AUC does not reject at 5 %. DP-SGD's acc. is the test "
        "accuracy of DP-SGD at this ε, and the arm's gain is the test accuracy of the arm minus "
        "this accuracy. Equal AUC under this attack does not mean equal privacy: the ε of DP-SGD "
        "is proved against every attack, but the equivalent ε of an arm is not. "
        f"DP-SGD's ε holds {_deltas(study)}."
    ]
    columns = ["Arm", "Attack", "DP-SGD's ε", "DP-SGD's acc., %", "Arm's gain, % points"]
    caption = "DP-equivalent ε"
    return _table("dp-equivalent", caption, columns, rows, notes, study, "dp_equivalent")


def _deltas(study: StudyResult) -> str:
    """Returns the deltas of DP-SGD's arms."""
    claims = [arm.claim for arm in study.arms if is_dp_sgd(arm) and arm.claim is not None]
    deltas = dict.fromkeys(rounded_up(claim.delta) for claim in claims)
    return f"at δ = {' or '.join(deltas)}"


def _finite_epsilons(study: StudyResult) -> list[float]:
    """Returns the finite epsilons of DP-SGD's arms in increasing order."""
    claims = [arm.claim for arm in study.arms if is_dp_sgd(arm) and arm.claim is not None]
    return sorted(claim.epsilon for claim in claims if claim.epsilon is not None)


def _epsilon(equivalent: DPEquivalent, epsilons: Sequence[float]) -> Cell:
    """Returns the equivalent epsilon with its bounds, or on which side of `epsilons` it lies.

    The interval is in words where it is open on a side.
    """
    smallest, largest = f"{epsilons[0]:.3g}", f"{epsilons[-1]:.3g}"
    low, high = (None if end is None else f"{end:.3g}" for end in (equivalent.low, equivalent.high))
    if equivalent.epsilon is not None:
        text = f"{equivalent.epsilon:.3g}"
    elif equivalent.beyond == "smallest":
        text = f"below {smallest}"
    else:
        text = f"above {largest}"
    if low is not None and high is not None:
        interval = f"[{low}, {high}]"
    elif low is not None:
        interval = f"(at least {low})"
    elif high is not None:
        interval = f"(at most {high})"
    else:
        interval = "(no limit within these arms)"
    limits = (equivalent.low, equivalent.high)
    return Cell(text, interval, value=equivalent.epsilon, limits=limits)


def ignorance_table(study: StudyResult) -> Table:
    """Returns the naive and the adaptive adversary side by side."""
    labels = _labels(study)
    rows = []
    for comparison in study.analysis.ignorance:
        aucs = (comparison.plain, comparison.naive, comparison.adaptive)
        gains = (comparison.apparent, comparison.real, comparison.gap)
        named = [Cell(labels[comparison.arm]), Cell(comparison.attack)]
        gain_cells = [number(gain, signed=True) for gain in gains]
        rows.append([*named, *map(number, aucs), *gain_cells])
    plain = plain_name(study)
    secret = "noise" if study.models_from == "training" else "training function"
    notes = [
        "All AUCs are means over the same targets. The apparent gain is the gain that a naive "
        f"evaluation reports ({plain} − naive). The real gain is the gain that remains against an "
        f"attacker who knows about the {secret} ({plain} − adaptive). Ignorance is the apparent "
        "gain minus the real gain (adaptive − naive). The 95 % intervals are paired and not "
        "corrected for multiple testing."
    ]
    columns = ["Arm", "Attack", plain[:1].upper() + plain[1:], "Naive", "Adaptive"]
    columns += ["Apparent gain", "Real gain", "Ignorance"]
    caption = "Adaptive and naive adversary"
    return _table("ignorance", caption, columns, rows, notes, study, "ignorance")


def through_noise_table(study: StudyResult) -> Table:
    """Returns the first attack with the plain query alone, and with queries through the noise."""
    labels = _labels(study)
    records = study.analysis.through_noise
    rows = []
    for record in records:
        facts = study.metric(record.metric)
        values = (record.direct, record.through, record.gain, record.plain, record.difference)
        signed = (False, False, True, False, True)
        cells = [
            number(value, facts.scale, facts.digits, sign)
            for value, sign in zip(values, signed, strict=True)
        ]
        rows.append([Cell(labels[record.arm]), Cell(facts.heading), *cells])
    plain = plain_name(study)
    draws = records[0].draws if records else 0
    note = (
        f"The attack is {study.analysis.attack}. The second query of an example is the mean of the "
        f"logits over {draws} draws of the noise that the arm puts on its inputs. "
    )
    if any(record.plain is not None for record in records):
        note += (
            f"The models of {the_plain_arm(study)} are attacked with the same two queries, so that "
            "both attacks have the same effort. "
        )
    notes = [f"{note}The 95 % intervals are paired and not corrected for multiple testing."]
    columns = ["Arm", "Metric", "One query", "Two queries", "Gain"]
    columns += [f"{plain[:1].upper()}{plain[1:]}, two queries", "Difference"]
    return Table("through-noise", "Queries through the noise", columns, rows, notes)


def shared_exposure_table(study: StudyResult) -> Table:
    """Returns the exposure, under each arm, of the examples most exposed without noise."""
    labels = _labels(study)
    comparisons = study.analysis.exposure
    rows = [_exposure_row(labels[comparison.arm], comparison) for comparison in comparisons]
    examples = comparisons[0].examples if comparisons else 0
    plain = the_plain_arm(study)
    notes = [
        f"The table follows the {examples} examples that are most exposed in one half of the "
        f"targets of {plain}. They are measured in the other half of the targets. "
        "Non-members below is the mean share of non-members with a lower score than the example, "
        "in targets that were trained on it, and the change is the difference to "
        f"{plain}, with 95 % intervals for other targets. Exposed too is the share of these "
        "examples that are also among the same number of most exposed examples of the arm. For "
        f"{plain}, this share is below 100 % by chance alone, because it compares two halves "
        "of the targets. By chance is the share that a random choice of examples would give. "
        f"As the examples were chosen by {plain}, other examples may be the most exposed ones of "
        "another arm; the verdict is about all examples."
    ]
    columns = ["Arm", "Non-members below, %", "Change, % points", "Exposed too, %", "By chance, %"]
    others = "schemes" if study.models_from == "training" else "training functions"
    caption = f"The same examples under other {others}"
    return _table("shared-exposure", caption, columns, rows, notes, study, "exposure")


def _exposure_row(label: str, comparison: SharedExposure) -> list[Cell]:
    also_exposed, by_chance = comparison.also_exposed * 100, comparison.by_chance * 100
    return [
        Cell(label),
        number(comparison.here, 100, 1),
        number(comparison.difference, 100, 1, signed=True),
        Cell(f"{also_exposed:.1f}", value=also_exposed),
        Cell(f"{by_chance:.1f}", value=by_chance),
    ]


def power_table(study: StudyResult) -> Table:
    """Returns the AUC of the first attack by the number of shadow models."""
    if "shadows" in headline(study.arms[0]).needs:
        check_all_have(study, "power")
    shadows = sorted({point.shadows for arm in study.arms for point in arm.power})
    rows = []
    for arm in study.arms:
        aucs = {point.shadows: number(point.metrics["auc"]) for point in arm.power}
        if aucs:
            rows.append([Cell(arm.label), *(aucs.get(count, Cell("–")) for count in shadows)])
    attack = study.analysis.attack
    note = f"The attack {attack} uses no shadow models."
    if rows:
        note = (
            f"Each column gives the AUC of the attack {attack} with this number of shadow models. "
            "Each set of shadow models is part of the next larger set. The last column is the AUC "
            "of the main table."
        )
    columns = ["Arm", *(f"{count} shadow models" for count in shadows)]
    return Table("power", "Attack power and shadow models", columns, rows, [note])


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
    """Returns the table; if it is empty, the notes give the reason."""
    shown_notes = notes if rows else [study.analysis.absent[part]]
    return Table(key, caption, list(columns), rows, shown_notes)


def differences_section(study: StudyResult, arrays: Arrays) -> Section | None:
    """Returns the section on the differences to training without noise."""
    if is_left_out(study, "changes"):
        return None
    return Section.of(f"Differences to {plain_training(study)}", differences_table(study))


def pairs_section(study: StudyResult, arrays: Arrays) -> Section | None:
    """Returns the section on differences between arms; None where no two are compared."""
    if not study.analysis.pairs:
        return None
    return Section.of("Differences between arms", pairs_table(study))


def through_noise_section(study: StudyResult, arrays: Arrays) -> Section | None:
    """Returns the section on queries through the noise; None if there were none."""
    if not study.analysis.through_noise:
        return None
    return Section.of("Queries through the noise", through_noise_table(study))


def front_section(study: StudyResult, arrays: Arrays) -> Section:
    """Returns the section on the Pareto front."""
    return Section.of("Pareto front", front_table(study))


def matched_section(study: StudyResult, arrays: Arrays) -> Section:
    """Returns the section on privacy at matched accuracy."""
    tables = [table for metric in ("auc", "tpr@0.001") for table in matched_tables(study, metric)]
    return Section.of("Privacy at matched accuracy", *tables)


def dp_equivalent_section(study: StudyResult, arrays: Arrays) -> Section:
    """Returns the section on the DP-equivalent epsilon."""
    return Section.of("DP-equivalent ε", dp_equivalent_table(study))


def is_left_out(study: StudyResult, part: str) -> bool:
    """Returns whether a study of models of the user says nothing about a part of the analysis.

    For models that mgaudit trained, the section states why there is no result.
    """
    return study.checks is not None and part in study.analysis.absent
