"""The question and the verdict, in plain language built from the numbers."""

from reports.results import AuditResult, Estimate, StudyResult
from reports.tables import claimed, divergence, epsilon_at_least, headline, number, rounded_up

WHAT_AN_ALARM_MEANS = (
    "Either the implementation of DP-SGD or its accounting is wrong, or the small chance of error has struck; run it "
    "again with another seed."
)


def question(study: StudyResult) -> str:
    """Returns the question that the study answers."""
    audited = [arm.label for arm in study.arms if arm.scheme != study.baseline and arm.claim is None]
    if audited:
        noise = " or ".join(audited)
        return (
            f"Does training with {noise} protect the training data of {_model(study)}, and what accuracy does it cost?"
        )
    return f"How much does {_model(study)} give away about its training data?"


def verdict(study: StudyResult) -> list[str]:
    """Returns one sentence for each arm that is compared with the baseline, or for each arm, and then any alarm."""
    baseline = next((arm for arm in study.arms if arm.scheme == study.baseline), None)
    compared = [arm for arm in study.arms if arm is not baseline]
    if baseline is None or not compared:
        return [_alone(arm) for arm in study.arms] + divergence(study) + _alarms(study)
    return [_compared(arm, baseline) for arm in compared] + divergence(study) + _alarms(study)


def _alarms(study: StudyResult) -> list[str]:
    """Returns one sentence for each arm whose proven privacy loss is more than is claimed possible."""
    return [
        f"Alarm: {arm.label} claims ε ≤ {claimed(arm)}, but the attack {headline(arm).name} proves "
        f"ε ≥ {epsilon_at_least(headline(arm).epsilon_lower_bound)} at the same δ. {WHAT_AN_ALARM_MEANS}"
        for arm in study.arms
        if arm.alarm
    ]


def _model(study: StudyResult) -> str:
    article = "an" if study.target[:1] in "AEFHILMNORSX" else "a"  # an MLP, a CNN
    return f"{article} {study.target} on {study.dataset.name}"


def _alone(arm: AuditResult) -> str:
    attack = headline(arm)
    auc = attack.metrics["auc"]
    return (
        f"Trained with {_named(arm)}, the model reaches a test accuracy of {_percent(arm.test_accuracy)}, and the "
        f"attack {attack.attack} tells members from non-members with AUC {number(auc)}: {_against_guessing(arm)}."
    )


def _compared(arm: AuditResult, baseline: AuditResult) -> str:
    attack, plain = headline(arm), headline(baseline)
    auc, change = attack.metrics["auc"], attack.differences.get("auc")
    if change is None or arm.test_accuracy_difference is None:
        return f"{_alone(arm)} Too few models converged both here and without noise for a paired comparison."
    verb = {-1: "lowers", 0: "does not measurably change", 1: "raises"}[change.sign]
    return (
        f"Training with {_named(arm)} {verb} the AUC of the attack {attack.attack}: {number(auc)} against "
        f"{number(plain.metrics['auc'])} without noise (paired difference {number(change, signed=True)}); "
        f"{_against_guessing(arm)}, and {_accuracy_change(arm, baseline)}."
    )


def _accuracy_change(arm: AuditResult, baseline: AuditResult) -> str:
    change = arm.test_accuracy_difference
    assert change is not None  # every arm beside a baseline has one
    verb = {-1: "falls", 0: "does not measurably change", 1: "rises"}[change.sign]
    points = number(change, scale=100, digits=1, signed=True)
    now, before = _percent(arm.test_accuracy), _percent(baseline.test_accuracy)
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
    return "this attack does no better than guessing" + (f", but {' and '.join(better)}" if better else "")


def _named(arm: AuditResult) -> str:
    if arm.claim is None:
        return arm.label
    if arm.claim.epsilon is None:
        return f"{arm.label}, for which no finite ε is proved,"
    return f"{arm.label}, for which ε ≤ {claimed(arm)} at δ = {rounded_up(arm.claim.delta)} is proved,"


def _percent(estimate: Estimate) -> str:
    cell = number(estimate, scale=100, digits=1)
    return f"{cell.text} % ({cell.interval})" if cell.interval.startswith("[") else f"{cell} %"
