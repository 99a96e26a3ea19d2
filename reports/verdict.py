"""The question and the verdict, in plain language built from the numbers."""

from mgaudit.reports.record import Estimate
from mgaudit.reports.results import AuditResult, StudyResult
from mgaudit.reports.table import number
from mgaudit.reports.tables import (
    claimed_epsilon,
    divergence,
    epsilon_at_least,
    headline,
    rounded_up,
)

MOST_NAMED = 5
WHAT_AN_ALARM_MEANS = (
    "Either the implementation of DP-SGD or its accounting is wrong, or the small chance of error has struck; run it "
    "again with another seed."
)


def question(study: StudyResult) -> str:
    """Returns the question that the study answers."""
    audited = [arm.label for arm in study.arms if not arm.is_plain and not _is_dp_sgd_alone(arm)]
    if audited:
        noise = (
            " or ".join(audited)
            if len(audited) <= MOST_NAMED
            else f"each of {len(audited)} schemes"
        )
        return f"Does training with {noise} protect the training data of {_model(study)}, and what accuracy does it cost?"
    return f"How much does {_model(study)} give away about its training data?"


def verdict(study: StudyResult) -> list[str]:
    """Returns one sentence for each arm that is compared with the plain one, or for each arm, and then any alarm."""
    plain = study.plain
    compared = [arm for arm in study.arms if arm is not plain]
    if plain is None or not compared:
        return [_alone(arm) for arm in study.arms] + divergence(study) + _alarms(study)
    if len(compared) > MOST_NAMED:
        lowest = sorted(compared, key=lambda arm: headline(arm).metrics["auc"].value)[:MOST_NAMED]
        told = [_counted(compared, study), *(_compared(arm, plain) for arm in lowest)]
    else:
        told = [_compared(arm, plain) for arm in compared]
    return told + divergence(study) + _alarms(study)


def _counted(compared: list[AuditResult], study: StudyResult) -> str:
    """Returns how many arms lower or raise the AUC of the first attack, corrected for their number."""
    attack = headline(compared[0]).attack
    changes = [
        one
        for one in study.analysis.changes
        if one.attack == attack and one.knowledge == "adaptive" and one.metric == "auc"
    ]
    signs = [one.stands for one in changes]
    lower, same, higher = (signs.count(sign) for sign in (-1, 0, 1))
    return (
        f"Of {len(compared)} arms, {lower} lower the AUC of the attack {attack}, {higher} raise it, and {same} do "
        "not measurably change it (paired differences at 5 %, corrected for their number by Holm's method). The "
        f"{MOST_NAMED} with the lowest AUC:"
    )


def _is_dp_sgd_alone(arm: AuditResult) -> bool:
    return arm.claim is not None and len(arm.scheme) == 1


def _alarms(study: StudyResult) -> list[str]:
    """Returns one sentence for each arm whose proven privacy loss is more than is claimed possible."""
    return [
        f"Alarm: {arm.label} claims ε ≤ {claimed_epsilon(arm)}, but the attack {headline(arm).name} proves "
        f"ε ≥ {epsilon_at_least(headline(arm).epsilon_lower_bound)} at the same δ. {WHAT_AN_ALARM_MEANS}"
        for arm in study.arms
        if arm.alarm
    ]


def _model(study: StudyResult) -> str:
    word = study.target.label.split()[0]
    spelt = word.isupper()  # an MLP, a CNN, a ResNet
    article = "an" if word[:1] in ("AEFHILMNORSX" if spelt else "AEIOUaeiou") else "a"
    return f"{article} {study.target.label} on {study.dataset.name}"


def _alone(arm: AuditResult) -> str:
    attack = headline(arm)
    auc = attack.metrics["auc"]
    return (
        f"Trained with {_named(arm)}, the model reaches a test accuracy of {_percent(arm.test_accuracy)}, and the "
        f"attack {attack.attack} tells members from non-members with AUC {number(auc)}: {_against_guessing(arm)}."
    )


def _compared(arm: AuditResult, plain: AuditResult) -> str:
    attack, without_noise = headline(arm), headline(plain)
    auc, change = attack.metrics["auc"], attack.differences.get("auc")
    if change is None or arm.test_accuracy_difference is None:
        return f"{_alone(arm)} Too few models converged both here and without noise for a paired comparison."
    verb = {-1: "lowers", 0: "does not measurably change", 1: "raises"}[change.sign]
    return (
        f"Training with {_named(arm)} {verb} the AUC of the attack {attack.attack}: {number(auc)} against "
        f"{number(without_noise.metrics['auc'])} without noise (paired difference {number(change, signed=True)}); "
        f"{_against_guessing(arm)}, and {_accuracy_change(arm, plain)}."
    )


def _accuracy_change(arm: AuditResult, plain: AuditResult) -> str:
    change = arm.test_accuracy_difference
    assert change is not None  # every arm beside the plain one has one
    verb = {-1: "falls", 0: "does not measurably change", 1: "rises"}[change.sign]
    points = number(change, scale=100, digits=1, signed=True)
    now, before = _percent(arm.test_accuracy), _percent(plain.test_accuracy)
    return f"test accuracy {verb}: {now} against {before} ({points} points)"


def _against_guessing(arm: AuditResult) -> str:
    auc = headline(arm).metrics["auc"]
    if auc.low > 0.5:
        return "members remain recognisable"
    if auc.high < 0.5:
        return "the attack does worse than guessing, which calls for a look at the set-up"
    better = [
        f"{attack.name} does (AUC {number(attack.metrics['auc'])})"
        for attack in arm.attacks
        if attack.metrics["auc"].low > 0.5
    ]
    return "this attack does no better than guessing" + (
        f", but {' and '.join(better)}" if better else ""
    )


def _named(arm: AuditResult) -> str:
    if arm.claim is None:
        return arm.label
    if arm.claim.epsilon is None:
        return f"{arm.label}, for which no finite ε is proved,"
    return f"{arm.label}, for which ε ≤ {claimed_epsilon(arm)} at δ = {rounded_up(arm.claim.delta)} is proved,"


def _percent(estimate: Estimate) -> str:
    cell = number(estimate, scale=100, digits=1)
    return f"{cell.text} % ({cell.interval})" if cell.interval.startswith("[") else f"{cell} %"
