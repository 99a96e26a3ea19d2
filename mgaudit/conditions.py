"""Conditions on the numbers of a result, such as "auc>0.55", for continuous integration.

An arm is one noise scheme or training function of a study. The plain arm is trained without noise.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mgaudit.attacks.metrics import METRICS
from mgaudit.errors import UsageError, did_you_mean
from mgaudit.reports.metric_names import tpr_name
from mgaudit.reports.record import Estimate
from mgaudit.reports.results import (
    AttackResult,
    AuditResult,
    LostArm,
    Result,
    StudyResult,
    is_plain,
)

FORM = re.compile(
    r"\s*(?:(?P<scope>\S.*):)?\s*(?P<metric>[^:<>=]*[^:<>=\s])\s*"
    r"(?P<operator>[<>]=?)\s*(?P<limit>[^<>=]*[^<>=\s])\s*"
)
RULE = "must be METRIC>NUMBER, with >, >=, < or <="
WAY_OUT = 'write it as in "auc>0.55", "tpr@0.01>5%" or "lira:auc>0.55"'
FAIL_IF, FAIL_UNLESS = "--fail-if", "--fail-unless"  # options of the command line
EPSILON, ACCURACIES = "epsilon", ("accuracy", "train_accuracy")
SYNONYMS = {"epsilon_lower_bound": EPSILON}
# The least and the largest value of each metric that a condition may name.
RANGES = {metric.name: metric.range for metric in METRICS}
RANGES |= dict.fromkeys(ACCURACIES, (0.0, 1.0)) | {EPSILON: (0.0, math.inf)}


@dataclass(frozen=True)
class Condition:
    """A condition on a metric of some arms and attacks.

    With ">" and ">=", it is met where the lower limit of the metric's 95 % interval passes `limit`,
    with "<" and "<=" where the upper limit does. `limit` is a fraction, or nats for `epsilon`,
    whose value is its lower bound. `scope` is an arm, an attack, or both as "ARM/ATTACK"; None is
    the first attack on every arm but the plain one, or on the plain arm if it is the only one. It
    is a failure if the condition is met, or, with `must_hold`, if it is not.
    """

    text: str
    scope: str | None
    metric: str
    operator: str
    limit: float
    in_percent: bool = False
    must_hold: bool = False

    @property
    def option(self) -> str:
        """The option of the command line that such a condition is given with."""
        return FAIL_UNLESS if self.must_hold else FAIL_IF

    def is_met(self, estimate: Estimate) -> bool:
        """Returns whether the interval lies beyond the limit.

        >>> auc = Estimate(value=0.60, low=0.56, high=0.64)
        >>> parse_condition("auc>0.55").is_met(auc), parse_condition("auc>58%").is_met(auc)
        (True, False)
        """
        if self.operator == ">":
            return estimate.low > self.limit
        if self.operator == ">=":
            return estimate.low >= self.limit
        if self.operator == "<":
            return estimate.high < self.limit
        return estimate.high <= self.limit


@dataclass(frozen=True)
class Outcome:
    """What a condition says of an arm of a study; the text is one line.

    `study` is the name of the study with its seed, and `arm` the key of the arm; both are "" for a
    condition about an arm or attack that the result does not have. `attack` is None for accuracies.
    `estimate` is None where the condition cannot be checked, which is never a pass; `reason` says
    why.
    """

    condition: Condition
    study: str
    arm: str
    attack: str | None
    estimate: Estimate | None
    reason: str = ""

    @property
    def is_failure(self) -> bool:
        """Whether the condition is met and must not be, or the reverse, or cannot be checked."""
        if self.estimate is None:
            return True
        return self.condition.is_met(self.estimate) != self.condition.must_hold

    def __str__(self) -> str:
        condition, estimate = self.condition, self.estimate
        where = ", ".join(filter(None, [self.study, self.arm, self.attack]))
        if estimate is None:
            subject = f" for {where}" if where else ""
            return f"{condition.text} cannot be checked{subject}: {self.reason}"
        scale, unit = (100, " %") if condition.in_percent else (1, "")
        value, low, high = (
            f"{scale * number:.4g}" for number in (estimate.value, estimate.low, estimate.high)
        )
        verb = "is met by" if condition.is_met(estimate) else "is not met by"
        if condition.metric == EPSILON:
            return f"{condition.text} {verb} {where}: epsilon at least {value}"
        interval = f"[{low}, {high}]"
        return f"{condition.text} {verb} {where}: {condition.metric} {value}{unit} {interval}"


def parse_condition(text: str, must_hold: bool = False) -> Condition:
    """Returns the condition of a text such as "auc>0.55", "tpr@0.01>5%" or "lira:auc>0.55".

    With `must_hold`, it is a failure if the condition is not met.

    Raises:
        UsageError: The text has another form, the metric does not exist, or no value or every value
            of the metric meets the condition.
    """
    match = FORM.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise UsageError("condition", RULE, repr(text), WAY_OUT)
    metric = SYNONYMS.get(match["metric"], _with_fraction(match["metric"]))
    if metric not in RANGES:
        rule = f"must name one of {', '.join(RANGES)}"
        raise UsageError("condition", rule, repr(text), did_you_mean(metric, RANGES))
    operator = match["operator"]
    if metric == EPSILON and operator.startswith("<"):
        way_out = f"use {operator.replace('<', '>')}"
        rule = "must use > or >= for epsilon, of which only a lower bound is known"
        raise UsageError("condition", rule, repr(text), way_out)
    in_percent = match["limit"].endswith("%")
    limit = _checked_limit(match["limit"], metric, operator, text)
    scope = None if match["scope"] is None else match["scope"].strip()
    return Condition(text.strip(), scope, metric, operator, limit, in_percent, must_hold)


def _with_fraction(metric: str) -> str:
    """Returns the name of a TPR whose FPR is given in percent.

    >>> _with_fraction("tpr@1%"), _with_fraction("auc")
    ('tpr@0.01', 'auc')
    """
    percent = re.fullmatch(r"tpr@([0-9.]+)\s*%", metric)
    try:
        return metric if percent is None else tpr_name(float(percent[1]) / 100)
    except ValueError:
        return metric


def _checked_limit(limit: str, metric: str, operator: str, text: str) -> float:
    """Returns the limit as a fraction, or in nats for epsilon."""
    number = limit.removesuffix("%")
    try:
        value = float(number)
    except ValueError:
        rule = "must compare with a number"
        raise UsageError("condition", rule, repr(text), WAY_OUT) from None
    if limit != number:
        if metric == EPSILON:
            rule = "must compare epsilon with a number, not with a percentage"
            raise UsageError("condition", rule, repr(text), f"write {number.strip()}")
        value /= 100
    low, high = RANGES[metric]
    if operator.startswith(">"):
        is_possible, limits = low <= value < high, f">= {low:g} and < {high:g}"
    else:
        is_possible, limits = low < value <= high, f"> {low:g} and <= {high:g}"
    if not is_possible:
        way_out = f"write {value:g}% for percent" if 1 < value <= 100 and high == 1 else ""
        rule = f"must compare {metric} with a number {limits}"
        raise UsageError("condition", rule, repr(text), way_out)
    return value


def conditions_record(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Returns what the conditions say of a result as plain values for `conditions.json`.

    `passed` states whether no condition fails. Each outcome has `value`, `low` and `high`, the
    number and the interval that decided; all three are None where the number is not known, and the
    lower bound for epsilon.
    """
    is_failed = any(outcome.is_failure for outcome in outcomes)
    return {"passed": not is_failed, "outcomes": [_values(outcome) for outcome in outcomes]}


def _values(outcome: Outcome) -> dict[str, Any]:
    condition, estimate = outcome.condition, outcome.estimate
    names = {"study": outcome.study, "arm": outcome.arm, "attack": outcome.attack}
    numbers: dict[str, float | None] = dict.fromkeys(("value", "low", "high"))
    if estimate is not None:
        numbers = {"value": estimate.value, "low": estimate.low, "high": estimate.high}
    return {
        "option": condition.option,
        "condition": condition.text,
        "failed": outcome.is_failure,
        "met": None if estimate is None else condition.is_met(estimate),
        **names,
        "metric": condition.metric,
        "limit": condition.limit,
        **numbers,
        "text": str(outcome),
    }


def failures(result: Result, conditions: Sequence[Condition]) -> list[Outcome]:
    """Returns each arm and attack that fails a condition, or for which it cannot be checked."""
    return [outcome for outcome in check(result, conditions) if outcome.is_failure]


def check(result: Result, conditions: Sequence[Condition]) -> list[Outcome]:
    """Returns what each condition says of each arm and attack that it is about."""
    return [outcome for condition in conditions for outcome in _outcomes(result, condition)]


def _outcomes(result: Result, condition: Condition) -> Iterator[Outcome]:
    is_found = False
    for study in result.studies:
        name = f"{study.name}, seed {study.settings['seed']}" if len(result.studies) > 1 else ""
        for arm, attack in _chosen(study, condition):
            is_found = True
            yield _outcome(condition, name, arm, attack)
    if not is_found:
        yield Outcome(condition, "", "", None, None, _unknown_scope(result, condition))


def _outcome(
    condition: Condition, study: str, arm: AuditResult | LostArm, attack: AttackResult | None
) -> Outcome:
    """Returns the condition with the number of the arm under the attack, or why there is none."""
    name = None if attack is None else attack.name
    if isinstance(arm, LostArm):
        reason = f"too many of its models diverged ({len(arm.diverged)})"
        return Outcome(condition, study, arm.key, name, None, reason)
    estimate = _estimate(condition.metric, arm, attack)
    if estimate is None:
        return Outcome(condition, study, arm.key, name, None, _why_unknown(condition.metric))
    return Outcome(condition, study, arm.key, name, estimate)


def _estimate(metric: str, arm: AuditResult, attack: AttackResult | None) -> Estimate | None:
    """Returns the metric with its interval; that of a lower bound on epsilon has no width."""
    if metric == "accuracy":
        return arm.accuracy
    if metric == "train_accuracy":
        return arm.train_accuracy
    assert attack is not None
    if metric == EPSILON:
        bound = attack.epsilon_lower_bound
        return None if bound is None else Estimate(value=bound, low=bound, high=bound)
    return attack.metrics.get(metric)


def _why_unknown(metric: str) -> str:
    if metric == EPSILON:
        return "there is no valid lower bound, because membership was not drawn by fair coins"
    if metric in ACCURACIES:
        return "the predictions of its models are not known"
    return "the result does not have this metric"


def _chosen(
    study: StudyResult, condition: Condition
) -> Iterator[tuple[AuditResult | LostArm, AttackResult | None]]:
    """Yields the arms and attacks of the condition; None for accuracies and for lost arms."""
    for arm_name, attack_name in scopes(condition.scope):
        for arm in _arms(study, arm_name):
            if isinstance(arm, LostArm):
                if any(_attacks(other, attack_name) for other in study.arms):
                    yield arm, None
                continue
            for attack in _attacks(arm, attack_name):
                if condition.metric in ACCURACIES:
                    yield arm, None
                    break
                yield arm, attack


def scopes(scope: str | None) -> list[tuple[str | None, str | None]]:
    """Returns the pairs of arm and attack that a scope may mean; None is the default of either.

    >>> scopes("none/lira")
    [('none/lira', None), (None, 'none/lira'), ('none', 'lira')]
    """
    if scope is None:
        return [(None, None)]
    parts = scope.split("/")
    pairs = [("/".join(parts[:cut]), "/".join(parts[cut:])) for cut in range(1, len(parts))]
    return [(scope, None), (None, scope), *pairs]


def _arms(study: StudyResult, name: str | None) -> list[AuditResult | LostArm]:
    """Returns the arms with this key or scheme, also lost ones.

    Without a name, these are all arms but the plain one, or the plain one if it is the only arm.
    """
    arms: list[AuditResult | LostArm] = [*study.arms, *study.lost]
    if name is None:
        return [arm for arm in arms if not is_plain(arm.scheme)] or arms
    return [arm for arm in arms if name in (arm.key, _scheme_name(arm))]


def _attacks(arm: AuditResult, name: str | None) -> list[AttackResult]:
    """Returns the attacks with this name, with or without options; without a name, the first."""
    if name is None:
        return arm.attacks[:1]
    return [attack for attack in arm.attacks if name in (attack.name, attack.choice.name)]


def _scheme_name(arm: AuditResult | LostArm) -> str:
    """Returns the names of the parts of the scheme, without their options."""
    return "+".join(part.name for part in arm.scheme)


def _unknown_scope(result: Result, condition: Condition) -> str:
    """Returns that no arm and no attack has the name in the condition, and which there are."""
    arms, attacks = [], []
    for study in result.studies:
        arms += [arm.key for arm in study.arms] + [arm.key for arm in study.lost]
        attacks += [attack.name for arm in study.arms for attack in arm.attacks]
    names = list(dict.fromkeys([*arms, *attacks]))
    known = f"{condition.scope!r} is no arm and no attack of the result; those are "
    known += ", ".join(names)
    question = did_you_mean(condition.scope, names)
    return f"{known}; {question}" if question else known
