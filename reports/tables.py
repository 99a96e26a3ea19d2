"""The tables of a report."""

import math
from collections.abc import Sequence
from decimal import ROUND_CEILING, Context, Decimal

from mgaudit.errors import UsageError
from mgaudit.reports.arrays import Arrays
from mgaudit.reports.record import Estimate
from mgaudit.reports.results import AttackResult, AuditResult, ClassExposure, MetricFacts, StudyResult
from mgaudit.reports.section import Section
from mgaudit.reports.table import Cell, Table, number

FEW_FALSE_POSITIVES = 10
SHOWN_EXAMPLES = 5
MOST_CLASSES = 12
MOST_COLUMNS = 5
TPR = "tpr_at_"


def accuracy_vs_privacy(study: StudyResult) -> Table:
    """Returns the main table: a row for each arm and attack."""
    shown = ("auc", "tpr_at_0.01_fpr", "tpr_at_0.001_fpr")
    columns = [
        "Arm",
        "Train acc., %",
        "Test acc., %",
        "Attack",
        *_headings(study, shown),
        "ε at least",
        "ε claimed",
    ]
    rows = [
        [
            Cell(arm.label),
            number(arm.train_accuracy, scale=100, digits=1),
            number(arm.test_accuracy, scale=100, digits=1),
            Cell(attack.name),
            *(_metric(study, attack, name) for name in shown),
            Cell(
                epsilon_at_least(attack.epsilon_lower_bound),
                mark="!" if arm.alarm and attack is headline(arm) else "",
                value=attack.epsilon_lower_bound,
            ),
            Cell(claimed_epsilon(arm), value=None if arm.claim is None else arm.claim.epsilon),
        ]
        for arm in study.arms
        for attack in arm.attacks
    ]
    notes = ["Each number is the mean over targets with its 95 % interval for new targets and new examples."]
    if any(attack.knowledge == "naive" for arm in study.arms for attack in arm.attacks):
        notes.append("A naive adversary's shadows are trained without noise; all others' as the target was.")
    notes.append(
        "ε at least: what the attack's guesses prove of the arm's training (audit in one run), each at 95 %, 0 being "
        "nothing. If all guesses were right they would prove "
        + "; ".join(
            dict.fromkeys(
                f"{epsilon_at_least(arm.epsilon_provable)} at δ = {rounded_up(arm.delta)}" for arm in study.arms
            )
        )
        + "."
    )
    notes += divergence(study)
    if any(arm.alarm for arm in study.arms):
        notes.append("! More than the accountant's bound allows: see the verdict.")
    proofs = [f"{arm.label}: {proof(arm)}" for arm in study.arms if arm.claim is not None]
    notes += [f"{arm.label}: {arm.note}" for arm in study.arms if arm.note]
    return Table(
        "accuracy-vs-privacy", "Accuracy against privacy", columns, rows, [*notes, *_guessing(study, shown), *proofs]
    )


def divergence(study: StudyResult) -> list[str]:
    """Returns one sentence for each arm in which models diverged."""
    models = study.settings["models"]
    audited = [
        f"{arm.label}: {len(arm.diverged)} of {models} models diverged and are left out, as targets and as shadows."
        for arm in study.arms
        if arm.diverged
    ]
    lost = [
        f"{arm.label}: {len(arm.diverged)} of {models} models diverged; too few are left for an audit."
        for arm in study.lost
    ]
    return audited + lost


def epsilon_at_least(epsilon: float) -> str:
    """Returns a lower bound on epsilon, rounded down.

    >>> epsilon_at_least(1.239)
    '1.23'
    """
    return f"{math.floor(epsilon * 100 + 1e-9) / 100:.2f}"


def epsilon_at_most(epsilon: float) -> str:
    """Returns an upper bound on epsilon, rounded up.

    >>> epsilon_at_most(7.991)
    '8.00'
    """
    return f"{math.ceil(epsilon * 100 - 1e-9) / 100:.2f}"


def claimed_epsilon(arm: AuditResult) -> str:
    """Returns the epsilon that is proved for the arm, rounded up as an upper bound is, or that none is."""
    if arm.claim is None:
        return "none"
    return "∞" if arm.claim.epsilon is None else epsilon_at_most(arm.claim.epsilon)


def proof(arm: AuditResult) -> str:
    """Returns the terms of a DP-SGD arm's claim in one sentence."""
    claim = arm.claim
    if claim is None or claim.epsilon is None:
        return "no finite ε is proved."
    return (
        f"ε = {claimed_epsilon(arm)} at δ = {rounded_up(claim.delta)} for each single model "
        f"({claim.accountant} accountant, {claim.adjacency} adjacency, Poisson sampling at rate "
        f"{claim.sample_rate:.4f}, {claim.steps} steps, noise multiplier "
        f"{claim.noise_multiplier:.3f}, gradient norms clipped at {claim.max_grad_norm:g})."
    )


def rounded_up(value: float) -> str:
    """Returns a small number with three digits, never less than it is.

    >>> rounded_up(8.8071e-4)
    '8.81e-04'
    """
    mantissa, exponent = f"{Decimal(value).normalize(Context(prec=3, rounding=ROUND_CEILING)):.2e}".split("e")
    return f"{mantissa}e{int(exponent):+03d}"


def all_metrics(study: StudyResult) -> Table:
    """Returns every metric of every arm and attack, and its paired difference to the plain arm."""
    columns = ["Arm", "Attack", "Metric", "Value", "Difference to no noise"]
    rows = [
        [
            Cell(arm.label),
            Cell(attack.name),
            Cell(study.metric(name).heading),
            _metric(study, attack, name),
            _difference(study, attack, name),
        ]
        for arm in study.arms
        for attack in arm.attacks
        for name in attack.metrics
    ]
    return Table("all-metrics", "All metrics", columns, rows, _guessing(study, list(headline(study.arms[0]).metrics)))


def single_targets(study: StudyResult) -> Table:
    """Returns the least, the middling and the most vulnerable target of each arm under the first attack."""
    shown = ("tpr_at_0.1_fpr", "tpr_at_0.01_fpr")
    rows = []
    for arm in study.arms:
        attack = headline(arm)
        order = sorted(range(len(attack.per_target["auc"])), key=attack.per_target["auc"].__getitem__)
        for word, place in (("least", 0), ("middle", len(order) // 2), ("most", len(order) - 1)):
            found = attack.single_targets
            target = order[place]
            rows.append(
                [
                    Cell(arm.label),
                    Cell(f"{word}: model {attack.targets[target]}"),
                    number(found["auc"][target]),
                    *(in_its_unit(study.metric(name), found[name][target], mark=_mark(attack, name)) for name in shown),
                ]
            )
    notes = [
        f"The attack {headline(study.arms[0]).attack} on single models, as one who releases a model faces it. "
        "Intervals are for new examples alone: DeLong's for AUC; for a TPR, Clopper and Pearson's for the threshold "
        "that the target's non-members set. The least and the most vulnerable look more extreme than they are."
    ]
    return Table(
        "single-targets",
        "Single targets",
        ["Arm", "Target", "AUC", *_headings(study, shown)],
        rows,
        notes,
    )


def most_exposed(study: StudyResult) -> Table:
    """Returns the most exposed examples of each arm."""
    check_all_have(study, "most_exposed")
    columns = ["Arm", "Example", "Class", "Mean score", "Outranks, % (in)", "Outranks, % (out)", "Targets"]
    rows = [
        [
            Cell(arm.label),
            Cell(one.origin),
            Cell(one.label),
            Cell(f"{one.score:.2f}".replace("-", "−"), value=one.score),
            *(Cell("–") if rank is None else number(rank, 100, 1) for rank in (one.rank_in, one.rank_out)),
            Cell(str(one.targets), value=one.targets),
        ]
        for arm in study.arms
        for one in arm.most_exposed[:SHOWN_EXAMPLES]
    ]
    notes = [
        f"By the attack {headline(study.arms[0]).attack}: mean score over the targets that trained on the example, and "
        "the mean share of a target's non-members that it outranks, for targets that trained on it (in) and others "
        "(out), with 95 % intervals for new targets. Ordered by how much higher the mean score is in than out, in "
        "standard errors. The intervals are each example's own: the worst of many look worse than they are."
    ]
    return Table("most-exposed", "Most exposed examples", columns, rows, notes)


def by_class(study: StudyResult) -> Table:
    """Returns the AUC of the first attack within each class, the class that the first arm exposes most first."""
    check_all_have(study, "by_class")
    arms = study.arms[:MOST_COLUMNS]
    order = sorted(range(len(arms[0].by_class)), key=lambda place: -_auc_or_zero(arms[0].by_class[place]))
    notes = [f"AUC of the attack {headline(study.arms[0]).attack} among the examples of one class."]
    if len(order) > MOST_CLASSES:
        order = order[: MOST_CLASSES // 2] + order[-(MOST_CLASSES // 2) :]
        notes.append(f"The {MOST_CLASSES // 2} most and least exposed classes; all are in result.json.")
    if len(study.arms) > MOST_COLUMNS:
        notes.append(f"The first {MOST_COLUMNS} arms; all are in result.json.")
    rows = [
        [
            Cell(arms[0].by_class[place].label),
            Cell(str(arms[0].by_class[place].examples), value=arms[0].by_class[place].examples),
            *(Cell("too few") if auc is None else number(auc) for auc in (arm.by_class[place].auc for arm in arms)),
        ]
        for place in order
    ]
    return Table("by-class", "Exposure by class", ["Class", "Examples", *(arm.label for arm in arms)], rows, notes)


def check_all_have(study: StudyResult, part: str) -> None:
    """Raises UsageError where an arm lacks a part of the result: a table must not leave it out in silence."""
    for arm in study.arms:
        if not getattr(arm, part):
            raise UsageError(
                f"the arm {arm.label}", f"has no {part} in the result: its run is not whole", None, "run it again"
            )


def _auc_or_zero(one: ClassExposure) -> float:
    return 0.0 if one.auc is None else one.auc.value


def _headings(study: StudyResult, names: Sequence[str]) -> list[str]:
    return [study.metric(name).heading for name in names]


def _difference(study: StudyResult, attack: AttackResult, name: str) -> Cell:
    if name not in attack.differences:
        return Cell("–")
    return in_its_unit(study.metric(name), attack.differences[name], signed=True)


def _metric(study: StudyResult, attack: AttackResult, name: str) -> Cell:
    return in_its_unit(study.metric(name), attack.metrics[name], mark=_mark(attack, name))


def _mark(attack: AttackResult, name: str) -> str:
    """Returns a star for a TPR at a threshold that few non-members may pass."""
    return "*" if attack.false_positives_allowed.get(name, FEW_FALSE_POSITIVES) < FEW_FALSE_POSITIVES else ""


def in_its_unit(metric: MetricFacts, estimate: Estimate, signed: bool = False, mark: str = "") -> Cell:
    """Returns a metric in its unit, with its digits."""
    return number(estimate, metric.scale, metric.digits, signed, mark)


def _guessing(study: StudyResult, shown: Sequence[str]) -> list[str]:
    """Returns what guessing gets, and, where few non-members may pass a threshold, what that does to the TPR."""
    attack = headline(study.arms[0])
    lines = [f"Guessing gets {_guessed(study, shown)}."]
    few = [
        name for name in shown if attack.false_positives_allowed.get(name, FEW_FALSE_POSITIVES) < FEW_FALSE_POSITIVES
    ]
    if few:
        coarse = ", ".join(
            f"{(attack.false_positives_allowed[name] + 1) / (attack.non_members + 1) * 100:.2f} % "
            f"at {_fpr(name) * 100:g} % FPR"
            for name in few
        )
        lines.append(
            f"* Fewer than {FEW_FALSE_POSITIVES} of a target's {attack.non_members} or more non-members may pass this "
            f"threshold. The number is coarse and depends on how many there are (guessing gets {coarse}); compare it "
            "between arms only."
        )
    return lines


def _guessed(study: StudyResult, shown: Sequence[str]) -> str:
    """Returns what guessing gets in each metric; all TPRs, whose levels are in their titles, are said in one."""
    facts = [study.metric(name) for name in shown]
    numbers = [
        f"{fact.title} {fact.guessing * fact.scale:g}{' %' if fact.unit else ''}"
        for fact in facts
        if not fact.name.startswith(TPR)
    ]
    return ", ".join(numbers + ["a TPR equal to the FPR"] * any(fact.name.startswith(TPR) for fact in facts))


def _fpr(name: str) -> float:
    return float(name.removeprefix(TPR).removesuffix("_fpr"))


def headline(arm: AuditResult) -> AttackResult:
    """Returns the attack that the verdict speaks of: the first that was asked for, whatever it found."""
    return arm.attacks[0]


def main_section(study: StudyResult, arrays: Arrays) -> Section:
    """Returns the main table."""
    table = accuracy_vs_privacy(study)
    return Section.of(table.caption, table)


def single_targets_section(study: StudyResult, arrays: Arrays) -> Section:
    """Returns how single targets fare."""
    return Section.of("Single targets", single_targets(study))


def all_metrics_section(study: StudyResult, arrays: Arrays) -> Section:
    """Returns every metric of every attack."""
    table = all_metrics(study)
    return Section.of(table.caption, table)
