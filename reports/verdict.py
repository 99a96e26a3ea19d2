"""The question and the verdict, in plain language built from the numbers."""

from reports.results import AuditResult, Estimate, StudyResult
from reports.tables import claimed, headline, number


def question(study: StudyResult) -> str:
    """Returns the question that the study answers."""
    audited = [arm.label for arm in study.arms if arm.scheme != study.baseline and arm.claim is None]
    model = f"a {study.target} on {study.dataset.name}"
    if audited:
        return (
            f"Does training {model} with {' or '.join(audited)} protect its training data, and what accuracy does it cost?"
        )
    return f"How much does {model} give away about its training data?"


def verdict(study: StudyResult) -> list[str]:
    """Returns one sentence for each arm that is compared with the baseline, or for each arm where there is none."""
    arms = {arm.scheme: arm for arm in study.arms}
    baseline = arms.get(study.baseline) if study.baseline is not None else None
    compared = [arm for arm in study.arms if arm is not baseline]
    if baseline is None or not compared:
        return [_alone(arm) for arm in study.arms]
    return [_compared(arm, baseline) for arm in compared]


def _alone(arm: AuditResult) -> str:
    attack = headline(arm)
    auc = attack.metrics["auc"]
    return (
        f"Trained with {arm.label}, the model reaches {_percent(arm.test_accuracy)} test accuracy, and the attack "
        f"{attack.attack} tells members from non-members with AUC {number(auc)}: {_against_guessing(auc)}."
    )


def _compared(arm: AuditResult, baseline: AuditResult) -> str:
    attack, plain = headline(arm), headline(baseline)
    auc, change = attack.metrics["auc"], attack.differences["auc"]
    verb = {-1: "lowered", 0: "did not measurably change", 1: "raised"}[change.sign]
    name = arm.label
    if arm.claim is not None:
        name += f" (proved: ε ≤ {claimed(arm)} at δ = {arm.claim.delta:.1e})"
    return (
        f"{name} {verb} the AUC of the attack {attack.attack}, from {number(plain.metrics['auc'])} to {number(auc)} "
        f"(paired difference {number(change, signed=True)}), so {_against_guessing(auc)}; "
        f"{_accuracy_change(arm, baseline)}."
    )


def _accuracy_change(arm: AuditResult, baseline: AuditResult) -> str:
    change = arm.test_accuracy_difference
    assert change is not None  # every arm beside a baseline has one
    verb = {-1: "fell", 0: "did not measurably change", 1: "rose"}[change.sign]
    points = number(change, scale=100, digits=1, signed=True)
    return (
        f"test accuracy {verb}, {_percent(baseline.test_accuracy)} without noise against {_percent(arm.test_accuracy)} "
        f"({points} points)"
    )


def _against_guessing(auc: Estimate) -> str:
    if auc.low > 0.5:
        return "members remain recognisable"
    if auc.high < 0.5:
        return "the attack does worse than guessing, which calls for a look at the set-up"
    return "this attack does no better than guessing"


def _percent(estimate: Estimate) -> str:
    cell = number(estimate, scale=100, digits=1)
    return f"{cell.text} % ({cell.interval})"
