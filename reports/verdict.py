"""The question and the verdict in plain English, built from the numbers."""

from collections import Counter

from mgaudit.reports.arm_sentences import UNNAMED, arm_sentences, whose
from mgaudit.reports.check_section import warnings
from mgaudit.reports.results import AuditResult, StudyResult
from mgaudit.reports.tables import (
    claimed_epsilon,
    divergence,
    epsilon_at_least,
    headline,
    rounded_up,
)

MOST_NAMED = 5
WHAT_AN_ALARM_MEANS = (
    "The implementation or the accounting of DP-SGD is wrong, or it is a false alarm, which a "
    "correct implementation gives in at most 5 % of audits. To check this, run it again with "
    "another seed."
)


def question(study: StudyResult) -> str:
    """Returns the question that the study answers."""
    if study.models_from == "outputs":
        models = study.target.label
        owner = whose(models) if models == UNNAMED else f"the models of {models}"
        return f"How much do {owner} reveal about their training data?"
    if study.models_from == "function":
        return _question_on_functions(study)
    model = _model(study)
    if study.models_from == "checkpoint":
        name = study.arms[0].label
        return f"How much does {name}, {model}, reveal about its training data?"
    audited = [arm for arm in study.arms if not arm.is_plain and not _is_dp_sgd_alone(arm)]
    if not audited:
        return f"How much does {model} reveal about its training data?"
    noise = f"each of {len(audited)} schemes"
    if len(audited) <= MOST_NAMED:
        noise = " or ".join(arm.label for arm in audited)
    return (
        f"Does training with {noise} protect the training data of {model}, and what accuracy "
        "does it cost?"
    )


def _question_on_functions(study: StudyResult) -> str:
    """Returns the question about training functions, of which one may be the plain arm."""
    plain, data = study.plain, study.dataset.name
    compared = [arm for arm in study.arms if not arm.is_plain]
    if plain is None or not compared:
        models = f"models of {study.arms[0].label}"
        if len(study.arms) > 1:
            models = f"models of each of {len(study.arms)} training functions"
            if len(study.arms) <= MOST_NAMED:
                models = f"models of {' and of '.join(arm.label for arm in study.arms)}"
        return f"How much do {models} on {data} reveal about their training data?"
    others = f"each of {len(compared)} training functions"
    if len(compared) <= MOST_NAMED:
        others = " or ".join(arm.label for arm in compared)
    return (
        f"Does {others} protect the training data better than {plain.label} on {data}, and what "
        "accuracy does it cost?"
    )


def verdict(study: StudyResult) -> list[str]:
    """Returns a paragraph for each arm, then the diverged models and any alarm.

    Of many arms, the first sentence counts the outcomes, and only a few arms have a paragraph:
    those with the lowest AUC if arms are compared with the plain one, and else those with the
    highest.
    """
    verdicts = {arm_verdict.arm: arm_verdict for arm_verdict in study.analysis.verdicts}
    judged = [arm for arm in study.arms if arm is not study.plain] or study.arms
    texts = []
    if len(judged) > MOST_NAMED:
        compared = study.plain is not None
        if verdicts:
            texts.append(_counted(study, judged, "lowest" if compared else "highest"))
        judged = sorted(judged, key=_first_auc, reverse=not compared)[:MOST_NAMED]
    texts += [arm_sentences(arm, verdicts.get(arm.key), study) for arm in judged]
    return texts + warnings(study) + divergence(study) + _alarms(study)


def _first_auc(arm: AuditResult) -> float:
    return headline(arm).metrics["auc"].value


def _counted(study: StudyResult, judged: list[AuditResult], described: str) -> str:
    """Returns the number of arms with each outcome, the most frequent first."""
    outcomes = [found.outcome or "no verdict" for found in study.analysis.verdicts]
    counts = Counter(outcomes).most_common()
    listed = ", ".join(f"{count} × {outcome}" for outcome, count in counts)
    return (
        f"Outcomes of {len(judged)} arms: {listed}. All intervals hold together at 95 %. The next "
        f"paragraphs describe the {MOST_NAMED} arms with the {described} AUC."
    )


def _is_dp_sgd_alone(arm: AuditResult) -> bool:
    return arm.claim is not None and len(arm.scheme) == 1


def _alarms(study: StudyResult) -> list[str]:
    """Returns a sentence for each arm whose proved privacy loss exceeds the claimed bound."""
    return [_alarm(arm) for arm in study.arms if arm.alarm]


def _alarm(arm: AuditResult) -> str:
    attack = headline(arm)
    proved = epsilon_at_least(attack.compared_with_claim)
    delta = "" if arm.claim is None else f", both at δ = {rounded_up(arm.claim.delta)}"
    bound, corrected = attack.alarm_bound, ""
    if bound is not None and bound.claims > 1:
        corrected = f", at 95 % for all {bound.claims} claims of the run together"
    return (
        f"Alarm: {arm.label} claims ε ≤ {claimed_epsilon(arm)}, but the attack "
        f"{attack.name} proves ε ≥ {proved}{delta}{corrected}. {WHAT_AN_ALARM_MEANS}"
    )


def _model(study: StudyResult) -> str:
    """Returns the network, with its article, and the data."""
    word = study.target.label.split()[0]
    is_acronym = word.isupper()  # pronounced letter by letter: an MLP, a CNN, but a ResNet
    vowel_sounds = "AEFHILMNORSX" if is_acronym else "AEIOUaeiou"
    article = "an" if word[:1] in vowel_sounds else "a"
    return f"{article} {study.target.label} on {study.dataset.name}"
