"""The tables of a report."""

import math
import shlex
from collections.abc import Sequence
from decimal import ROUND_CEILING, Context, Decimal

from mgaudit.errors import UsageError
from mgaudit.reports.arrays import Arrays
from mgaudit.reports.metric_names import fpr_of, is_tpr
from mgaudit.reports.plain_arm import plain_name, plainly
from mgaudit.reports.record import Estimate
from mgaudit.reports.results import (
    AttackResult,
    AuditResult,
    ClassExposure,
    ExposedExample,
    MetricFacts,
    PrivacyClaim,
    StudyResult,
)
from mgaudit.reports.section import Section
from mgaudit.reports.table import Cell, Table, number, numbered

FEW_FALSE_POSITIVES = 10
SHOWN_EXAMPLES = 5
MOST_CLASSES = 12
MOST_COLUMNS = 5
MAIN_METRICS = ("auc", "tpr@0.01", "tpr@0.001")
SINGLE_METRICS = ("tpr@0.1", "tpr@0.01")


SEVERAL_TARGETS = (
    "Each number is the mean over targets, with its 95 % interval for other targets and other "
    "{others}."
)
ONE_TARGET = "There is one target. The 95 % intervals are for this model and other {others}."

NO_ALARM = (
    "A lower bound above ε claimed without a mark is no alarm. Only the first attack raises one, "
    "and only if its bound is above the claim at a significance of 5 % divided by the number of "
    "claims in the run."
)
FAR_BELOW = (
    "Why ε at least is far below ε claimed: the attacks see only the final models, and their "
    "guesses prove ε ≥ {most} at most. This does not mean that the claim is loose."
)
PROVES_MORE = (
    " An adversary who sees every step proves more: mgaudit audit-dp --adversary white-box "
    "--scheme {scheme}, with the same dataset and network."
)
NOT_COVERED = "ε is for this training alone, not for a search for its settings."
NOT_WHITE_BOX = "noise-nodes"  # a scheme that this audit does not support


def has_one_target(study: StudyResult) -> bool:
    """Returns whether every attack is on one model."""
    return all(len(attack.targets) == 1 for arm in study.arms for attack in arm.attacks)


def accuracy_vs_privacy(study: StudyResult) -> Table:
    """Returns the main table: a row for each arm and attack."""
    columns = ["Arm", "Train acc., %", "Test acc., %", "Attack"]
    columns += [*_headings(study, MAIN_METRICS), "ε at least", "ε claimed"]
    rows = [_main_row(study, arm, attack) for arm in study.arms for attack in arm.attacks]
    return Table(
        "accuracy-vs-privacy", "Accuracy against privacy", columns, rows, _main_notes(study)
    )


def _main_row(study: StudyResult, arm: AuditResult, attack: AttackResult) -> list[Cell]:
    alarmed = arm.alarm and attack is headline(arm)
    epsilon = attack.epsilon_lower_bound
    metrics = [metric_cell(study, attack, name) for name in MAIN_METRICS]
    return [
        Cell(arm.label),
        number(arm.train_accuracy, scale=100, digits=1),
        number(arm.accuracy, scale=100, digits=1),
        Cell(attack.name),
        *metrics,
        Cell(epsilon_at_least(epsilon), mark="!" if alarmed else "", value=epsilon),
        Cell(claimed_epsilon(arm), value=None if arm.claim is None else arm.claim.epsilon),
    ]


def _main_notes(study: StudyResult) -> list[str]:
    others = "groups" if is_by_group(study) else "examples"
    targets = ONE_TARGET if has_one_target(study) else SEVERAL_TARGETS
    notes = [targets.format(others=others)]
    if any(attack.adversary == "naive" for arm in study.arms for attack in arm.attacks):
        notes.append(
            f"A naive adversary's shadow models are trained {plainly(study)}. All other shadow "
            "models are trained like the target."
        )
    provable = _provable(study)
    if provable:
        notes.append(
            "ε at least is the lower bound on ε that the attack's guesses about all targets prove; "
            "each bound holds at 95 %, and a bound of 0 proves nothing. The section on method says "
            "how targets are combined. ε claimed is the upper bound that is proved for DP-SGD. If "
            f"all guesses were correct, they would prove ε ≥ {provable}."
        )
    notes += divergence(study)
    notes += _on_claims(study)
    notes += [f"{arm.label}: {arm.note}" for arm in study.arms if arm.note]
    notes += _guessing(study, MAIN_METRICS)
    notes += [f"{arm.label}: {proof(arm)}" for arm in study.arms if arm.claim is not None]
    return notes


def _on_claims(study: StudyResult) -> list[str]:
    """Returns notes on bounds above a claim, and on why bounds are far below one."""
    notes = []
    if any(arm.alarm for arm in study.arms):
        notes.append("! The lower bound is above the ε that is claimed: see the verdict.")
    claimed = [arm for arm in study.arms if arm.claim is not None and not arm.alarm]
    if any(_exceeds_without_alarm(arm) for arm in claimed):
        notes.append(NO_ALARM)
    below = [arm for arm in claimed if _is_far_below(arm)]
    if below:
        provable = [arm.epsilon_provable for arm in below if arm.epsilon_provable is not None]
        most = epsilon_at_least(max(provable))
        notes.append(FAR_BELOW.format(most=most) + _proves_more(below))
    return notes


def _proves_more(arms: list[AuditResult]) -> str:
    """Returns the audit that proves more about the first arm that it supports; "" if none."""
    for arm in arms:
        if all(part.name != NOT_WHITE_BOX for part in arm.scheme):
            return PROVES_MORE.format(scheme=shlex.quote(arm.key))
    return ""


def _exceeds_without_alarm(arm: AuditResult) -> bool:
    """Returns whether a bound is above the claim of an arm that has no alarm."""
    if arm.claim is None or arm.claim.epsilon is None:
        return False
    bounds = [attack.epsilon_lower_bound for attack in arm.attacks]
    return any(bound is not None and bound > arm.claim.epsilon for bound in bounds)


def _is_far_below(arm: AuditResult) -> bool:
    """Returns whether all bounds of an arm are at most half of its finite claim."""
    if arm.claim is None or arm.claim.epsilon is None or arm.epsilon_provable is None:
        return False
    bounds = [attack.epsilon_lower_bound or 0.0 for attack in arm.attacks]
    return max(bounds) <= arm.claim.epsilon / 2


def is_by_group(study: StudyResult) -> bool:
    """Returns whether examples are grouped, so that intervals are for other groups."""
    if study.checks is None:
        return max(study.dataset.shared_coins, study.dataset.grouped) > 0
    return study.checks.is_grouped


def _provable(study: StudyResult) -> str:
    """Returns the lower bounds that only correct guesses would prove, each once; "" if none."""
    bounds = [
        f"{epsilon_at_least(arm.epsilon_provable)} at δ = {rounded_up(arm.delta)}"
        for arm in study.arms
        if arm.delta is not None
    ]
    return "; ".join(dict.fromkeys(bounds))


def divergence(study: StudyResult) -> list[str]:
    """Returns one sentence for each arm in which models diverged."""
    models = study.settings["models"]
    diverged = "could not be trained" if study.models_from == "function" else "diverged"
    sentences = []
    for arm in study.arms:
        if arm.diverged:
            sentences.append(
                f"{arm.label}: {len(arm.diverged)} of {models} models {diverged} and are left "
                "out, as targets and as shadow models."
            )
    for lost in study.lost:
        sentences.append(
            f"{lost.label}: {len(lost.diverged)} of {models} models {diverged}; too few are "
            "left for an audit."
        )
    return sentences


def epsilon_at_least(epsilon: float | None) -> str:
    """Returns a lower bound on epsilon, rounded down; "–" where no bound is valid.

    >>> epsilon_at_least(1.239)
    '1.23'
    """
    return "–" if epsilon is None else f"{math.floor(epsilon * 100 + 1e-9) / 100:.2f}"


def epsilon_at_most(epsilon: float) -> str:
    """Returns an upper bound on epsilon, rounded up.

    >>> epsilon_at_most(7.991)
    '8.00'
    """
    return f"{math.ceil(epsilon * 100 - 1e-9) / 100:.2f}"


def claimed_epsilon(arm: AuditResult) -> str:
    """Returns the upper bound on epsilon proved for the arm, rounded up, or "none"."""
    if arm.claim is None:
        return "none"
    return "∞" if arm.claim.epsilon is None else epsilon_at_most(arm.claim.epsilon)


def proof(arm: AuditResult) -> str:
    """Returns the terms of a DP-SGD arm's claim in one sentence."""
    claim = arm.claim
    if claim is None or claim.epsilon is None:
        return "no finite ε is proved."
    accountant = accounting(claim.accountant, claim.epsilon_prv, claim.epsilon_pld)
    return (
        f"ε = {claimed_epsilon(arm)} at δ = {rounded_up(claim.delta)} for each single model "
        f"({accountant}, {claim.adjacency} adjacency, Poisson sampling at rate "
        f"{claim.sample_rate:.4f}, {claim.steps} steps, noise multiplier "
        f"{claim.noise_multiplier:.3f}, gradient norms clipped at {claim.max_grad_norm:g})."
        f"{_dp_training(claim)} {NOT_COVERED}"
    )


def _dp_training(claim: PrivacyClaim) -> str:
    """Returns a sentence about the settings that DP-SGD is tuned by; "" where they are unknown."""
    training = claim.training
    if training is None:
        return ""
    settings = [
        f"{training.epochs} epoch{'s' * (training.epochs != 1)}",
        f"batches of {training.batch_size} examples on average",
        f"learning rate {training.learning_rate:g}",
    ]
    if training.momentum is not None:
        settings.append(f"momentum {training.momentum:g}")
    if training.views > 1:
        settings.append(f"{training.views} augmented views of an example")
    if training.averaging:
        settings.append(f"weights averaged with decay {training.averaging:g}")
    return f" Training: {', '.join(settings)} ({training.origin})."


def accounting(accountant: str, prv: float | None, pld: float | None) -> str:
    """Returns which accountant proves a claim, with both bounds where two were compared.

    >>> accounting("PLD", 8.004, 7.993), accounting("PRV", 7.98, None)
    ('the smaller of two valid upper bounds, PRV 8.01 and PLD 8.00', 'PRV accountant')
    """
    if prv is None or pld is None:
        return f"{accountant} accountant"
    bounds = f"PRV {epsilon_at_most(prv)} and PLD {epsilon_at_most(pld)}"
    return f"the smaller of two valid upper bounds, {bounds}"


def at_delta(study: StudyResult) -> str:
    """Returns delta, or each delta with the labels of its arms; "" if there is none.

    >>> from types import SimpleNamespace as Namespace
    >>> arms = [Namespace(label="none", delta=1e-4), Namespace(label="dp-sgd", delta=1e-5)]
    >>> at_delta(Namespace(arms=arms[:1]))
    'at δ = 1.00e-04'
    >>> at_delta(Namespace(arms=arms))
    'at δ = 1.00e-04 (none), at δ = 1.00e-05 (dp-sgd)'
    """
    labels: dict[str, list[str]] = {}
    for arm in study.arms:
        if arm.delta is not None:
            labels.setdefault(rounded_up(arm.delta), []).append(arm.label)
    if len(labels) == 1:
        return f"at δ = {next(iter(labels))}"
    return ", ".join(f"at δ = {delta} ({', '.join(arms)})" for delta, arms in labels.items())


def rounded_up(value: float) -> str:
    """Returns a small number with three digits, rounded up.

    >>> rounded_up(8.8071e-4), rounded_up(1e-5)
    ('8.81e-04', '1.00e-05')
    """
    context = Context(prec=3, rounding=ROUND_CEILING)
    mantissa, exponent = f"{Decimal(str(value)).normalize(context):.2e}".split("e")
    return f"{mantissa}e{int(exponent):+03d}"


def all_metrics(study: StudyResult) -> Table:
    """Returns every metric of every arm and attack, and its paired difference to the plain arm."""
    columns = ["Arm", "Attack", "Metric", "Value"]
    has_differences = study.models_from == "training" or study.plain is not None
    if has_differences:
        columns.append(f"Difference to {plain_name(study)}")
    rows = []
    for arm in study.arms:
        for attack in arm.attacks:
            for names in _same_metrics(attack):
                rows.append(_metric_row(study, arm, attack, names)[: len(columns)])
    notes = _guessing(study, list(headline(study.arms[0]).metrics))
    return Table("all-metrics", "All metrics", columns, rows, notes)


def _same_metrics(attack: AttackResult) -> list[list[str]]:
    """Returns the names of metrics; TPRs that are the same number are together.

    Two TPRs are, if targets have too few non-members for different thresholds.
    """
    groups: list[list[str]] = []
    for name in attack.metrics:
        last = groups[-1] if groups else []
        if is_tpr(name) and last and _is_same(attack, name, last[0]):
            last.append(name)
        else:
            groups.append([name])
    return groups


def _is_same(attack: AttackResult, name: str, other: str) -> bool:
    parts = (attack.metrics, attack.differences)
    return is_tpr(other) and all(part.get(name) == part.get(other) for part in parts)


def _metric_row(
    study: StudyResult, arm: AuditResult, attack: AttackResult, names: list[str]
) -> list[Cell]:
    name, *others = names
    heading = study.metric(name).heading
    if others:
        levels = " and ".join(f"{fpr_of(one) * 100:g}" for one in names)
        heading = f"TPR @ {levels} % FPR, %"
    return [
        Cell(arm.label),
        Cell(attack.name),
        Cell(heading),
        metric_cell(study, attack, name),
        _difference(study, attack, name),
    ]


def single_targets(study: StudyResult) -> Table:
    """Returns the least, the median and the most vulnerable target of each arm.

    The attack is the first.
    """
    rows = []
    for arm in study.arms:
        aucs = headline(arm).per_target["auc"]
        order = sorted(range(len(aucs)), key=aucs.__getitem__)
        chosen = (("least", order[0]), ("middle", order[len(order) // 2]), ("most", order[-1]))
        rows += [_target_row(study, arm, word, target) for word, target in chosen]
    notes = [
        f"The table shows the attack {headline(study.arms[0]).attack} on individual models, which "
        f"is the risk to someone who releases one model. {_of_single_targets(study)} The least and "
        "the most vulnerable target look more extreme than they are, because they were selected."
    ]
    columns = ["Arm", "Target", "AUC", *_headings(study, SINGLE_METRICS)]
    return Table("single-targets", "Single targets", columns, rows, notes)


def _of_single_targets(study: StudyResult) -> str:
    if is_by_group(study):
        return "Intervals are for other groups only, from bootstrap resamples of the groups."
    return (
        "Intervals are for other examples only. The AUC has DeLong's interval, and a TPR has the "
        "Clopper-Pearson interval at the threshold that the target's non-members determine."
    )


def _target_row(study: StudyResult, arm: AuditResult, word: str, target: int) -> list[Cell]:
    attack = headline(arm)
    estimates = {name: of_targets[target] for name, of_targets in attack.single_targets.items()}
    rates = [
        in_its_unit(study.metric(name), estimates[name], mark=_mark(attack, name))
        for name in SINGLE_METRICS
    ]
    model = Cell(f"{word}: model {attack.targets[target]}")
    return [Cell(arm.label), model, number(estimates["auc"]), *rates]


def most_exposed(study: StudyResult) -> Table:
    """Returns the most exposed examples of each arm."""
    check_all_have(study, "most_exposed")
    columns = ["Arm", "Example", "Class", "Mean score"]
    columns += ["Non-members below, % (in)", "Non-members below, % (out)", "Targets"]
    rows = [
        _exposed_row(arm, example)
        for arm in study.arms
        for example in arm.most_exposed[:SHOWN_EXAMPLES]
    ]
    notes = [
        f"Exposure is measured with the attack {headline(study.arms[0]).attack}. The mean score is "
        "over the targets that were trained on the example. Non-members below is the mean share of "
        "a target's non-members that have a lower score than the example, for targets that were "
        "trained on it (in) and for the other targets (out), with 95 % intervals for other "
        "targets. Targets is the number of targets that were trained on the example. Examples are "
        "ordered by the difference of the mean scores in and out, in standard errors. "
        "Intervals are not corrected for the selection: the most exposed of many examples look "
        "more exposed than they are."
    ]
    return Table("most-exposed", "Most exposed examples", columns, rows, notes)


def _exposed_row(arm: AuditResult, example: ExposedExample) -> list[Cell]:
    score = f"{example.score:.2f}".replace("-", "−")
    return [
        Cell(arm.label),
        Cell(example.origin),
        Cell(example.label),
        Cell(score, value=example.score),
        _rank_cell(example.rank_in),
        _rank_cell(example.rank_out),
        Cell(str(example.targets), value=example.targets),
    ]


def _rank_cell(rank: Estimate | None) -> Cell:
    return Cell("–") if rank is None else number(rank, 100, 1)


def by_class(study: StudyResult) -> list[Table]:
    """Returns the AUC of the first attack within each class, the most exposed class first.

    The first arm determines the order. A table has a few arms.
    """
    check_all_have(study, "by_class")
    starts = range(0, len(study.arms), MOST_COLUMNS)
    return numbered([_by_class(study, study.arms[a : a + MOST_COLUMNS]) for a in starts])


def _by_class(study: StudyResult, arms: Sequence[AuditResult]) -> Table:
    first = study.arms[0].by_class
    order = sorted(range(len(first)), key=lambda index: -_auc_or_zero(first[index]))
    attack = headline(study.arms[0]).attack
    notes = [f"Each AUC is for the attack {attack} on the examples of one class."]
    if len(order) > MOST_CLASSES:
        half = MOST_CLASSES // 2
        order = order[:half] + order[-half:]
        notes.append(
            f"The table shows the {half} most and least exposed classes; all are in result.json."
        )
    rows = [_class_row(arms, index) for index in order]
    columns = ["Class", "Examples", *(arm.label for arm in arms)]
    return Table("by-class", "AUC by class", columns, rows, notes)


def _class_row(arms: Sequence[AuditResult], index: int) -> list[Cell]:
    first = arms[0].by_class[index]
    aucs = [arm.by_class[index].auc for arm in arms]
    auc_cells = [Cell("too few") if auc is None else number(auc) for auc in aucs]
    return [Cell(first.label), Cell(str(first.examples), value=first.examples), *auc_cells]


def check_all_have(study: StudyResult, part: str) -> None:
    """Checks that every arm has a part of the result, so that no table omits an arm silently.

    Raises:
        UsageError: An arm lacks the part.
    """
    for arm in study.arms:
        if not getattr(arm, part):
            rule = f"has no {part} in the result: its run is not complete"
            raise UsageError(f"the arm {arm.label}", rule, None, "run it again")


def _auc_or_zero(exposure: ClassExposure) -> float:
    return 0.0 if exposure.auc is None else exposure.auc.value


def _headings(study: StudyResult, names: Sequence[str]) -> list[str]:
    return [study.metric(name).heading for name in names]


def _difference(study: StudyResult, attack: AttackResult, name: str) -> Cell:
    if name not in attack.differences:
        return Cell("–")
    return in_its_unit(study.metric(name), attack.differences[name], signed=True)


def metric_cell(study: StudyResult, attack: AttackResult, name: str) -> Cell:
    """Returns a metric of an attack, with a star for a TPR that few non-members determine."""
    return in_its_unit(study.metric(name), attack.metrics[name], mark=_mark(attack, name))


def _mark(attack: AttackResult, name: str) -> str:
    """Returns a star for a TPR at a threshold that few non-members may pass."""
    return "*" if _is_coarse(attack, name) else ""


def _is_coarse(attack: AttackResult, name: str) -> bool:
    allowed = attack.false_positives_allowed.get(name, FEW_FALSE_POSITIVES)
    return allowed < FEW_FALSE_POSITIVES


def in_its_unit(
    metric: MetricFacts, estimate: Estimate, signed: bool = False, mark: str = ""
) -> Cell:
    """Returns a metric in its unit, with its number of digits."""
    return number(estimate, metric.scale, metric.digits, signed, mark)


def _guessing(study: StudyResult, names: Sequence[str]) -> list[str]:
    """Returns the values of guessing and a note on TPRs at thresholds that few non-members pass."""
    attack = headline(study.arms[0])
    lines = [f"Guessing gives {_guessed(study, names)}."]
    coarse = [name for name in names if _is_coarse(attack, name)]
    if coarse:
        guessed = ", ".join(_guessed_rate(attack, name) for name in coarse)
        lines.append(
            f"* Fewer than {FEW_FALSE_POSITIVES} of a target's {attack.non_members} or more "
            "non-members may pass the threshold. The TPR is then coarse and depends on the number "
            f"of non-members (guessing gives {guessed}); compare such TPRs between arms only."
        )
    return lines


def _guessed_rate(attack: AttackResult, name: str) -> str:
    """Returns the TPR of guessing where few of N non-members may pass: (allowed + 1) / (N + 1)."""
    rate = (attack.false_positives_allowed[name] + 1) / (attack.non_members + 1)
    return f"{rate * 100:.2f} % at {fpr_of(name) * 100:g} % FPR"


def _guessed(study: StudyResult, names: Sequence[str]) -> str:
    """Returns the value of guessing in each metric, with one phrase for all TPRs."""
    phrases = []
    for name in names:
        if not is_tpr(name):
            facts = study.metric(name)
            unit = " %" if facts.unit else ""
            phrases.append(f"{facts.title} {facts.guessing * facts.scale:g}{unit}")
    if any(is_tpr(name) for name in names):
        phrases.append("a TPR equal to the FPR")
    return ", ".join(phrases)


def headline(arm: AuditResult) -> AttackResult:
    """Returns the attack that the verdict is about: the first, whatever its result."""
    return arm.attacks[0]


def main_section(study: StudyResult, arrays: Arrays) -> Section:
    """Returns the section with the main table."""
    table = accuracy_vs_privacy(study)
    return Section.of(table.caption, table)


def single_targets_section(study: StudyResult, arrays: Arrays) -> Section | None:
    """Returns the section on single targets; None where there is only one."""
    if has_one_target(study):
        return None
    return Section.of("Single targets", single_targets(study))


def all_metrics_section(study: StudyResult, arrays: Arrays) -> Section:
    """Returns the section with every metric of every attack."""
    table = all_metrics(study)
    return Section.of(table.caption, table)
