"""The verdict on one arm in words: a sentence to quote, then what qualifies it.

The difference to the plain arm has its simultaneous interval; all other intervals are those of the
tables, at 95 %.
"""

from collections.abc import Mapping

from mgaudit.reports.arm_verdict import ArmVerdict, Combined, MetricVerdict, Needed, OtherAnswer
from mgaudit.reports.metric_names import fpr_of
from mgaudit.reports.record import Estimate
from mgaudit.reports.results import AttackResult, AuditResult, StudyResult
from mgaudit.reports.table import number
from mgaudit.reports.tables import claimed_epsilon, epsilon_at_least, headline, rounded_up

UNNAMED = "models"  # the name of given models that the user has not named
NO_VERDICT = "For {subject}, there is no verdict"
LEADS: Mapping[Combined, str] = {
    "nothing to protect": "{Training} has nothing to protect",
    "no difference that matters": "{Training} makes no difference that matters",
    "protects": "{Training} protects the training data",
    "protects, by an uncertain amount": (
        "{Training} protects the training data, by an uncertain amount"
    ),
    "protects on average": "{Training} protects the training data on average",
    "protects the most exposed examples": "{Training} protects the most exposed examples",
    "exposes more": "{Training} exposes the training data more",
    "exposes more, by an uncertain amount": (
        "{Training} exposes the training data more, by an uncertain amount"
    ),
    "exposes more on average": "{Training} exposes the training data more on average",
    "exposes the most exposed examples more": (
        "{Training} exposes the most exposed examples even more"
    ),
    "mixed: lower average risk, higher risk of the most exposed examples": (
        "{Training} lowers the average risk and raises that of the most exposed examples"
    ),
    "mixed: higher average risk, lower risk of the most exposed examples": (
        "{Training} raises the average risk and lowers that of the most exposed examples"
    ),
    "leaks": "Training data leak from {subject}",
    "leaks, by an uncertain amount": "Training data leak from {subject}, by an uncertain amount",
    "no leak that matters": "To this adversary, no leak from {subject} matters",
}
# Outcomes of one metric alone, which may be by an uncertain amount.
BY_AUC_ALONE: tuple[Combined, ...] = ("protects on average", "exposes more on average")
BY_TPR_ALONE: tuple[Combined, ...] = (
    "protects the most exposed examples",
    "exposes the most exposed examples more",
)
UNCERTAIN = ", by an uncertain amount"
UNDECIDED = {
    "plain": "Whether {training} protects the training data is undecided",
    "chance": "Whether training data leak from {subject} is undecided",
}
TOO_COARSE = (
    "The TPR has no outcome, because fewer than 10 false positives per target are expected at "
    "every FPR that is measured, or because tied scores leave no threshold near such an FPR."
)
WORSE_THAN_GUESSING = (
    "The attack does worse than guessing, so the set-up should be checked: the scores or the "
    "membership may be reversed."
)


def arm_sentences(arm: AuditResult, verdict: ArmVerdict | None, study: StudyResult) -> str:
    """Returns the sentence on an arm and then, in the same paragraph, what qualifies it.

    `verdict` is None for a result of an earlier version whose arrays do not give one.
    """
    if verdict is None:
        numbers = _numbers(arm, None, study)
        return f"{_filled(NO_VERDICT, arm, study)}; its result is incomplete: {numbers}."
    if verdict.outcome is None:
        sentences = [_without_outcome(arm, verdict, study)]
    else:
        sentences = [_outcome(arm, verdict, verdict.outcome, study), *_qualifications(verdict)]
    if verdict.against == "plain" and study.plain and (arm.diverged or study.plain.diverged):
        sentences.append("The differences are over the models that both arms have.")
    if verdict.against == "chance" and study.plain is not None and study.plain is not arm:
        sentences.append(
            f"Too few models {_converged(study)} both here and {for_plain(study)}, so there is no "
            "paired comparison."
        )
    return " ".join(sentences)


def _outcome(arm: AuditResult, verdict: ArmVerdict, outcome: Combined, study: StudyResult) -> str:
    """Returns the sentence to quote: outcome, adversary, AUC, TPR, accuracy and ε."""
    lead = UNDECIDED[verdict.against] if outcome == "undecided" else LEADS[outcome]
    metric = verdict.auc if outcome in BY_AUC_ALONE else verdict.tpr
    if outcome in BY_AUC_ALONE + BY_TPR_ALONE and metric and UNCERTAIN in metric.outcome:
        lead += UNCERTAIN
    return f"{_filled(lead, arm, study)}: {_numbers(arm, verdict, study)}."


def _without_outcome(arm: AuditResult, verdict: ArmVerdict, study: StudyResult) -> str:
    """Returns the caution about models that may have learned nothing, with what was measured."""
    untrained = next(other for other in study.arms if other.key == verdict.learned_nothing)
    assert verdict.chance_accuracy is not None  # it is known where it was compared
    where = "their" if untrained is arm else f"{for_plain(study)}, the"
    return (
        f"{_filled(NO_VERDICT, arm, study)}, because {where} test accuracy of "
        f"{_percent(untrained.known_accuracy, 1)} cannot be distinguished from that of a constant "
        f"guess, {verdict.chance_accuracy * 100:.1f} %: {_numbers(arm, verdict, study)}."
    )


def _filled(lead: str, arm: AuditResult, study: StudyResult) -> str:
    """Returns the beginning of a sentence with the name of the arm."""
    training = f"training with {arm.label}"
    subject = f"models trained with {arm.label}"
    if study.models_from in ("outputs", "checkpoint"):
        subject = training = whose(arm.label)
    elif study.models_from == "function":
        subject = f"models of {arm.label}"
    return lead.format(training=training, Training=_capital(training), subject=subject)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def whose(label: str) -> str:
    """Returns the name of models; for models without a name, "the models"."""
    return f"the {label}" if label == UNNAMED else label


def for_plain(study: StudyResult) -> str:
    """Returns the plain arm as an adverbial, such as "without noise"."""
    if study.models_from == "training" or study.plain is None:
        return "without noise"
    return f"for the arm {study.plain.label}"


def _converged(study: StudyResult) -> str:
    return "converged" if study.models_from == "training" else "were trained"


def _numbers(arm: AuditResult, verdict: ArmVerdict | None, study: StudyResult) -> str:
    """Returns adversary, AUC, TPR, accuracy and ε of an arm as one clause."""
    attack = headline(arm)
    plain = study.plain
    if plain is None or verdict is None or verdict.against == "chance":
        plain = None
    success = [f"{_adversary(arm, study)} has AUC {_auc(attack, plain, verdict, study)}"]
    if verdict is not None and verdict.tpr is not None:
        success.append(f"TPR {_tpr(attack, plain, verdict.tpr)}")
    clauses = [" and ".join(success)]
    if arm.accuracy is not None:
        clauses.append(_accuracy(arm, plain))
    epsilon = _epsilon(arm)
    return "; ".join([*clauses, *([epsilon] if epsilon else [])])


def _adversary(arm: AuditResult, study: StudyResult) -> str:
    attack = headline(arm)
    if attack.choice.name == "scores":
        return "the adversary whose scores were given"
    if "shadows" not in attack.needs:
        return f"an adversary with the attack {attack.attack}"
    shadows = number_of_shadows(arm, study)
    models = "shadow model" if shadows == 1 else "shadow models"
    like = "" if study.models_from == "outputs" else " trained like the target"
    return f"an adversary with the attack {attack.attack} and {shadows} {models}{like}"


def number_of_shadows(arm: AuditResult, study: StudyResult) -> int:
    """Returns the number of shadow models of the first attack on an arm."""
    if study.models_from == "outputs":
        return int(study.settings["models"]) - 1
    if study.models_from == "checkpoint":
        return int(study.settings["models"]) - len(arm.diverged)
    return len(headline(arm).targets) - 1


def _auc(
    attack: AttackResult,
    plain: AuditResult | None,
    verdict: ArmVerdict | None,
    study: StudyResult,
) -> str:
    auc = str(number(attack.metrics["auc"]))
    if plain is None or verdict is None or verdict.auc.difference is None:
        return f"{auc} (guessing: 0.5)"
    before = number(headline(plain).metrics["auc"])
    difference = _with_limits(verdict.auc.difference)
    return f"{auc} instead of {before} {for_plain(study)} (difference {difference})"


def _tpr(attack: AttackResult, plain: AuditResult | None, verdict: MetricVerdict) -> str:
    tpr = _percent(attack.metrics[verdict.metric], 2)
    at = f"at {_level(verdict)} FPR"
    if plain is None:
        return f"{tpr} {at} (guessing: {verdict.chance * 100:.2f} %)"
    before = _percent(headline(plain).metrics[verdict.metric], 2)
    return f"{tpr} instead of {before} {at}"


def _level(verdict: MetricVerdict) -> str:
    return f"{fpr_of(verdict.metric) * 100:g} %"


def _with_limits(estimate: Estimate) -> str:
    """Returns a signed number and the limits of its interval."""
    cell = number(estimate, signed=True)
    limits = [number(Estimate(value=end, low=end, high=end), signed=True).text for end in
              (estimate.low, estimate.high)]  # fmt: skip
    return f"{cell.text}, simultaneous interval [{', '.join(limits)}]"


def _accuracy(arm: AuditResult, plain: AuditResult | None) -> str:
    accuracy = f"test accuracy is {_percent(arm.known_accuracy, 1)}"
    change = arm.accuracy_difference
    if plain is None or change is None:
        return accuracy
    before = _percent(plain.known_accuracy, 1)
    points = number(change, scale=100, digits=1, signed=True)
    return f"{accuracy} instead of {before} ({points} percentage points)"


def _epsilon(arm: AuditResult) -> str:
    """Returns which ε is claimed and which is proved; "" if neither."""
    proved = headline(arm).epsilon_lower_bound
    parts = []
    if arm.claim is not None:
        parts.append(
            "no finite ε is claimed"
            if arm.claim.epsilon is None
            else f"ε ≤ {claimed_epsilon(arm)} is claimed"
        )
    if proved is not None and proved > 0:
        parts.append(f"the attack proves ε ≥ {epsilon_at_least(proved)}")
    delta = arm.delta if arm.claim is None else arm.claim.delta
    if not parts or delta is None:
        return ""
    return f"{' and '.join(parts)} at δ = {rounded_up(delta)}"


def _percent(estimate: Estimate, digits: int) -> str:
    cell = number(estimate, scale=100, digits=digits)
    if cell.interval.startswith("["):
        return f"{cell.text} % {cell.interval}"
    return f"{cell} %"


def _qualifications(verdict: ArmVerdict) -> list[str]:
    """Returns the sentences that qualify the first one."""
    sentences = []
    auc, tpr = verdict.auc, verdict.tpr
    if tpr is not None and (auc.outcome != tpr.outcome or _remark(auc) or _remark(tpr)):
        sentences.append(
            f"By the AUC: {auc.outcome}{_remark(auc)}. By the TPR at {_level(tpr)} FPR: "
            f"{tpr.outcome}{_remark(tpr)}."
        )
    elif tpr is None and _remark(auc):
        sentences.append(f"By the AUC: {auc.outcome}{_remark(auc)}.")
    if tpr is None:
        sentences.append(TOO_COARSE)
    if auc.value.high < auc.chance:
        sentences.append(WORSE_THAN_GUESSING)
    sentences += [_what_decides(metric) for metric in (auc, tpr) if metric and metric.needed]
    sentences += [_contradiction(other) for other in verdict.contradictions]
    return sentences


def _remark(verdict: MetricVerdict) -> str:
    """Returns on which side a difference that does not matter is, if it is significant."""
    if verdict.outcome == "no difference that matters" and verdict.sign:
        side = "higher" if verdict.sign > 0 else "lower"
        return f" (significantly {side}, by less than {_margin(verdict)})"
    if verdict.outcome == "no leak that matters" and verdict.sign > 0:
        return f" (significantly above guessing, by less than {_margin(verdict)})"
    return ""


def _margin(verdict: MetricVerdict) -> str:
    return f"{verdict.margin:g}" if verdict.metric == "auc" else f"{verdict.margin * 100:g} %"


def _what_decides(verdict: MetricVerdict) -> str:
    metric = "AUC" if verdict.metric == "auc" else "TPR"
    needed = verdict.needed
    assert needed is not None
    return f"For the {metric}, {_amount(needed)} would decide, if the measured value stays."


def _amount(needed: Needed) -> str:
    if needed.models is not None:
        return f"about {_rounded(needed.models)} more {_models(needed.models)}"
    return f"no number of further models, but only more than {_rounded(needed.examples or 0)} " \
        "examples"  # fmt: skip


def _models(count: int) -> str:
    return "model" if count == 1 else "models"


def _rounded(count: int) -> str:
    """Returns a whole number, rounded up to two digits from 100 on.

    >>> _rounded(7), _rounded(1234)
    ('7', '1,300')
    """
    unit = 1
    while count > 99 * unit:
        unit *= 10
    return f"{-(-count // unit) * unit:,}"


def _contradiction(other: OtherAnswer) -> str:
    if other.difference is None:
        measured = f"AUC {number(other.value)}"
    else:
        measured = f"AUC {number(other.value)}, difference {_with_limits(other.difference)}"
    has_direction = other.outcome.startswith(("protects", "exposes", "leaks"))
    verb = "contradicts this" if has_direction else "does not confirm this"
    return (
        f"The attack {other.attack} {verb}: {other.outcome} ({measured}; corrected for the number "
        "of other attacks and arms)."
    )
