"""The question and the verdict in plain English, built from the numbers."""

from mgaudit.reports.check_section import warnings
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
UNNAMED = "models"  # the name of given models that the user has not named
WHAT_AN_ALARM_MEANS = (
    "The implementation or the accounting of DP-SGD is wrong, or it is a false alarm, which a "
    "correct implementation gives in at most 5 % of audits. To check this, run it again with "
    "another seed."
)


def question(study: StudyResult) -> str:
    """Returns the question that the study answers."""
    if study.models_from == "outputs":
        models = study.target.label
        whose = _whose(models) if models == UNNAMED else f"the models of {models}"
        return f"How much do {whose} reveal about their training data?"
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
    """Returns a sentence for each arm, then the diverged models and any alarm.

    Arms are compared with the plain one if there is one. Of many arms only those with the lowest
    AUC have a sentence.
    """
    plain = study.plain
    compared = [arm for arm in study.arms if arm is not plain]
    if plain is None or not compared:
        sentences = [_alone(arm, study) for arm in study.arms]
    elif len(compared) > MOST_NAMED:
        by_auc = sorted(compared, key=lambda arm: headline(arm).metrics["auc"].value)
        lowest = [_compared(arm, plain, study) for arm in by_auc[:MOST_NAMED]]
        sentences = [_counted(compared, study), *lowest]
    else:
        sentences = [_compared(arm, plain, study) for arm in compared]
    return sentences + warnings(study) + divergence(study) + _alarms(study)


def _counted(compared: list[AuditResult], study: StudyResult) -> str:
    """Returns how many arms lower or raise the first attack's AUC, corrected for their number."""
    attack = headline(compared[0]).attack
    signs = [
        change.stands
        for change in study.analysis.changes
        if change.attack == attack and change.adversary == "adaptive" and change.metric == "auc"
    ]
    lower, same, higher = (signs.count(sign) for sign in (-1, 0, 1))
    return (
        f"Of {len(compared)} arms, {lower} lower the AUC of the attack {attack}, {higher} raise "
        f"it, and {same} do not measurably change it (paired differences at 5 %, corrected for "
        f"their number by Holm's method). The next sentences describe the {MOST_NAMED} arms with "
        "the lowest AUC."
    )


def _is_dp_sgd_alone(arm: AuditResult) -> bool:
    return arm.claim is not None and len(arm.scheme) == 1


def _alarms(study: StudyResult) -> list[str]:
    """Returns a sentence for each arm whose proved privacy loss exceeds the claimed bound."""
    return [_alarm(arm) for arm in study.arms if arm.alarm]


def _alarm(arm: AuditResult) -> str:
    attack = headline(arm)
    proved = epsilon_at_least(attack.epsilon_lower_bound)
    return (
        f"Alarm: {arm.label} claims ε ≤ {claimed_epsilon(arm)}, but the attack {attack.name} "
        f"proves ε ≥ {proved} at the same δ. {WHAT_AN_ALARM_MEANS}"
    )


def _model(study: StudyResult) -> str:
    """Returns the network, with its article, and the data."""
    word = study.target.label.split()[0]
    is_acronym = word.isupper()  # pronounced letter by letter: an MLP, a CNN, but a ResNet
    vowel_sounds = "AEFHILMNORSX" if is_acronym else "AEIOUaeiou"
    article = "an" if word[:1] in vowel_sounds else "a"
    return f"{article} {study.target.label} on {study.dataset.name}"


def _alone(arm: AuditResult, study: StudyResult) -> str:
    attack = headline(arm)
    success = (
        f"the attack {attack.attack} distinguishes members from non-members with AUC "
        f"{number(attack.metrics['auc'])}: {_against_guessing(arm)}."
    )
    if arm.accuracy is None:
        return f"For {_whose(arm.label)}, {success}"
    accuracy = _percent(arm.accuracy)
    if study.models_from in ("outputs", "checkpoint"):
        return f"The test accuracy of {_whose(arm.label)} is {accuracy}, and {success}"
    if study.models_from == "function":
        return f"The models of {arm.label} reach a test accuracy of {accuracy}, and {success}"
    trained = _named(arm).removesuffix(",")  # the comma after the clause follows
    return f"Trained with {trained}, the model reaches a test accuracy of {accuracy}, and {success}"


def _whose(label: str) -> str:
    """Returns the name of models; for models without a name, "the models"."""
    return f"the {label}" if label == UNNAMED else label


def _compared(arm: AuditResult, plain: AuditResult, study: StudyResult) -> str:
    attack = headline(arm)
    change = attack.differences.get("auc")
    if change is None or arm.accuracy_difference is None:
        return (
            f"{_alone(arm, study)} Too few models {_converged(study)} both here and "
            f"{_for_plain(plain, study)}, so there is no paired comparison."
        )
    verb = {-1: "lowers", 0: "does not measurably change", 1: "raises"}[change.sign]
    auc, plain_auc = number(attack.metrics["auc"]), number(headline(plain).metrics["auc"])
    difference = number(change, signed=True)
    return (
        f"Training with {_named(arm)} {verb} the AUC of the attack {attack.attack}: {auc} against "
        f"{plain_auc} {_for_plain(plain, study)} (paired difference {difference}); "
        f"{_against_guessing(arm)}, and {_accuracy_change(arm, plain)}."
    )


def _converged(study: StudyResult) -> str:
    return "converged" if study.models_from == "training" else "were trained"


def _for_plain(plain: AuditResult, study: StudyResult) -> str:
    return "without noise" if study.models_from == "training" else f"for the arm {plain.label}"


def _accuracy_change(arm: AuditResult, plain: AuditResult) -> str:
    change = arm.accuracy_difference
    assert change is not None  # `_compared` checks it
    verb = {-1: "falls", 0: "does not measurably change", 1: "rises"}[change.sign]
    points = number(change, scale=100, digits=1, signed=True)
    now, before = _percent(arm.known_accuracy), _percent(plain.known_accuracy)
    return f"test accuracy {verb}: {now} against {before} ({points} percentage points)"


def _against_guessing(arm: AuditResult) -> str:
    auc = headline(arm).metrics["auc"]
    if auc.low > 0.5:
        return "members remain recognisable"
    if auc.high < 0.5:
        return "the attack does worse than guessing, so the set-up should be checked"
    better = [attack for attack in arm.attacks if attack.metrics["auc"].low > 0.5]
    text = "this attack does no better than guessing"
    if better:
        successes = [
            f"{attack.name} does (AUC {number(attack.metrics['auc'])})" for attack in better
        ]
        text += f", but {' and '.join(successes)}"
    return text


def _named(arm: AuditResult) -> str:
    """Returns the arm's label, with what is proved for it."""
    claim = arm.claim
    if claim is None:
        return arm.label
    if claim.epsilon is None:
        return f"{arm.label}, for which no finite ε is proved,"
    epsilon, delta = claimed_epsilon(arm), rounded_up(claim.delta)
    return f"{arm.label}, for which ε ≤ {epsilon} at δ = {delta} is proved,"


def _percent(estimate: Estimate) -> str:
    cell = number(estimate, scale=100, digits=1)
    if cell.interval.startswith("["):
        return f"{cell.text} % ({cell.interval})"
    return f"{cell} %"
