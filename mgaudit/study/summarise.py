"""Summarise the audits of a study: from outcomes to the records of its result.

An audit has the measurements of one arm (noise scheme or training function), and an outcome those
of one attack on it. The plain arm is the arm without noise. Below, `trials` is the smallest number
of members of a target (attacked model); it limits how narrow an interval at 0 or 1 is.
"""

import math
from collections.abc import Sequence
from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from mgaudit.analysis.limits import FEWEST_MODELS
from mgaudit.analysis.numbers import CHANGE, RATE
from mgaudit.analysis.samples import Samples
from mgaudit.analysis.through_noise import METRICS as THROUGH_NOISE
from mgaudit.attacks.exposure import Exposure
from mgaudit.attacks.intervals import Interval, Resampled, two_way_interval
from mgaudit.attacks.metrics import FPR_LEVELS, METRICS, Metric, tpr_name
from mgaudit.attacks.roc import false_positives_allowed
from mgaudit.attacks.single_target import delong_interval, tpr_interval
from mgaudit.reports.arrays import Arrays, array_name
from mgaudit.reports.findings import ANALYSED, STORED, TEST_ACCURACY
from mgaudit.reports.record import Estimate
from mgaudit.reports.results import (
    AttackResult,
    AuditResult,
    ClassExposure,
    ExposedExample,
    MetricFacts,
    NoiseQueries,
    PowerPoint,
)
from mgaudit.study.attack import (
    ROC_GRID,
    AttackOutcome,
    Audit,
)
from mgaudit.study.audited import AuditedArm, AuditedData
from mgaudit.study.canary_record import canary_record
from mgaudit.study.epsilon_bound import GUESSED_SHARE, guesses_a_side
from mgaudit.study.risk_record import risk_record

MOST_EXPOSED = 20  # examples in the list of an arm's most exposed ones


def audit_results(audits: Sequence[Audit], data: AuditedData) -> list[AuditResult]:
    """Returns the result of each audited arm, in the order of `audits`.

    It has the differences to the plain arm, if there is one.
    """
    plain = next((audit for audit in audits if audit.arm.is_plain), None)
    results = []
    for audit in audits:
        compared = None if audit is plain else plain
        results.append(_audit_result(audit, compared, data))
    return results


def _audit_result(audit: Audit, plain: Audit | None, data: AuditedData) -> AuditResult:
    """Returns the result of an arm; `plain` is the audit that it is compared with, if any."""
    arm = audit.arm
    trials = data.trials(arm.targets)
    tests = _number_of_tests(arm, data)
    canaries = data.number_of_canaries
    guesses = 0 if arm.delta is None else 2 * guesses_a_side(GUESSED_SHARE, canaries)
    proof = audit.outcomes[0].epsilon_proof
    attacks = _attack_results(audit, plain, trials, data)
    return AuditResult(
        key=arm.key,
        scheme=arm.scheme,
        sources=arm.sources,
        label=arm.label,
        note=arm.note,
        strength=arm.strength,
        learning_rate=arm.learning_rate,
        train_accuracy=_optional_rate(audit.train_accuracy, trials),
        accuracy=_optional_rate(audit.test_accuracy, tests),
        accuracy_difference=_test_accuracy_difference(audit, plain, tests),
        diverged=arm.diverged,
        claim=arm.claim,
        delta=arm.delta,
        guesses=guesses,
        epsilon_provable=None if proof is None else proof.provable,
        attacks=attacks,
        power=[_power_point(shadows, metrics, trials) for shadows, metrics in audit.power.items()],
        most_exposed=_most_exposed(audit.exposure, data),
        by_class=_by_class(audit.auc_by_class, data),
        risk=risk_record(audit.risk, attacks[0], audit.outcomes[0].scores, data),
        noise_queries=_noise_queries(audit),
        search=arm.search,
        canaries=canary_record(audit.outcomes[0], data),
    )


def _noise_queries(audit: Audit) -> NoiseQueries | None:
    """Returns the record of the queries through the arm's noise; None without any."""
    through = audit.through_noise
    if through is None:
        return None
    return NoiseQueries(
        attack=through.attack.text,
        draws=through.draws,
        targets=audit.arm.targets,
        plain_targets=through.plain_targets,
    )


def _number_of_tests(arm: AuditedArm, data: AuditedData) -> int:
    """Returns the number of examples that the test accuracy is computed from."""
    if data.test_resamples is not None:
        return int(data.test_resamples.shape[1])
    members = data.membership[arm.targets].sum(axis=1)
    return int(data.membership.shape[1] - members.max())


def _test_accuracy_difference(audit: Audit, plain: Audit | None, tests: int) -> Estimate | None:
    """Returns the test accuracy minus that of the plain arm, over models that converged in both.

    Returns None for the plain arm itself, for unknown accuracies, and with fewer than FEWEST_MODELS
    such models. `tests` is the number of test examples.
    """
    if plain is None or audit.test_accuracy is None or plain.test_accuracy is None:
        return None
    return _paired(
        audit.test_accuracy,
        audit.arm.targets,
        plain.test_accuracy,
        plain.arm.targets,
        tests,
    )


def _attack_results(
    audit: Audit, plain: Audit | None, trials: int, data: AuditedData
) -> list[AttackResult]:
    """Returns the results of the attacks on an arm, adaptive ones first.

    On the plain arm both adversaries are the same, so both are compared with its adaptive attack.
    """
    results = []
    for outcome in audit.outcomes:
        compared = None if plain is None else plain.outcome(outcome.attack)
        results.append(_attack_result(outcome, compared, trials, data))
    return results


def _power_point(shadows: int, metrics: dict[str, Resampled], trials: int) -> PowerPoint:
    """Returns the metrics of the first attack with that many shadow models, with intervals."""
    estimates = {name: _rate(metrics[name], trials) for name in ANALYSED}
    return PowerPoint(shadows=shadows, metrics=estimates)


def metric_facts() -> list[MetricFacts]:
    """Returns the title, unit, digits, range and chance level of each metric."""
    return [_facts_of(metric) for metric in METRICS]


def _facts_of(metric: Metric) -> MetricFacts:
    low, high = metric.range
    return MetricFacts(
        name=metric.name,
        title=metric.title,
        unit=metric.unit,
        digits=metric.digits,
        low=low,
        high=high,
        guessing=metric.guessing,
    )


def _most_exposed(exposure: Exposure, data: AuditedData) -> list[ExposedExample]:
    """Returns the MOST_EXPOSED most exposed examples, the most exposed first."""
    examples = exposure.most_exposed()[:MOST_EXPOSED].tolist()
    return [_exposed_example(example, exposure, data) for example in examples]


def _exposed_example(example: int, exposure: Exposure, data: AuditedData) -> ExposedExample:
    return ExposedExample(
        example=example,
        origin=data.origins[example],
        label=data.label_of(example),
        score=float(exposure.score_in[example]),
        rank_in=_rank(exposure.rank_in, exposure.low_in, exposure.high_in, example),
        rank_out=_rank(exposure.rank_out, exposure.low_out, exposure.high_out, example),
        targets=int(exposure.targets_in[example]),
    )


def _rank(
    ranks: NDArray[np.float64],
    lows: NDArray[np.float64],
    highs: NDArray[np.float64],
    example: int,
) -> Estimate | None:
    """Returns the mean rank of an example with its 95 % interval; None if no target has a rank."""
    rank = float(ranks[example])
    if math.isnan(rank):
        return None
    return Estimate(value=rank, low=float(lows[example]), high=float(highs[example]))


def _by_class(auc_by_class: dict[int, Interval | None], data: AuditedData) -> list[ClassExposure]:
    """Returns the AUC within each class; None for a class with too few members or non-members."""
    exposures = []
    for label, interval in auc_by_class.items():
        examples = int(np.sum(data.labels == label))
        auc = None if interval is None else _estimate(interval)
        name = data.classes[label]
        exposures.append(ClassExposure(label=name, examples=examples, auc=auc))
    return exposures


def _attack_result(
    outcome: AttackOutcome, paired: AttackOutcome | None, trials: int, data: AuditedData
) -> AttackResult:
    """Returns the result of an attack; `paired` is the same attack on the plain arm, if any."""
    membership = data.membership[outcome.targets]
    non_members = int((~membership).sum(axis=1).min())
    if data.is_grouped:
        single_targets = _single_targets_by_group(outcome, trials)
    else:
        single_targets = _single_targets(outcome, membership)
    return AttackResult(
        attack=outcome.attack.text,
        choice=outcome.attack.choice,
        adversary=outcome.adversary,
        targets=outcome.targets,
        source=outcome.attack.source,
        needs=sorted(outcome.attack.needs),
        metrics=_metric_estimates(outcome, trials, single_targets),
        per_target={key: numbers.per_target.tolist() for key, numbers in outcome.metrics.items()},
        single_targets=single_targets,
        differences={} if paired is None else _differences(outcome, paired, trials),
        correct_guesses=outcome.correct_guesses,
        epsilon_lower_bound=outcome.epsilon_lower_bound,
        epsilon_proof=outcome.epsilon_proof,
        alarm_bound=outcome.alarm_bound,
        false_positives_allowed=_allowed_by_level(non_members),
        non_members=non_members,
    )


def _metric_estimates(
    outcome: AttackOutcome, trials: int, single_targets: dict[str, list[Estimate]]
) -> dict[str, Estimate]:
    """Returns each metric by name, the mean over targets with its 95 % interval.

    With one target, the interval is for new examples only: that of `single_targets` where there is
    one, and else that of the resamples.
    """
    estimates = {}
    for metric in METRICS:
        interval = two_way_interval(outcome.metrics[metric.name], trials, metric.range)
        estimates[metric.name] = _estimate(interval)
    if len(outcome.targets) == 1:
        estimates |= {name: values[0] for name, values in single_targets.items()}
    return estimates


def _differences(outcome: AttackOutcome, paired: AttackOutcome, trials: int) -> dict[str, Estimate]:
    """Returns each metric minus that of the same attack on the plain arm, by name.

    The dictionary is empty if fewer than FEWEST_MODELS targets are shared.
    """
    differences = {}
    for key, numbers in outcome.metrics.items():
        plain_numbers = paired.metrics[key]
        change = _paired(numbers, outcome.targets, plain_numbers, paired.targets, trials)
        if change is not None:
            differences[key] = change
    return differences


def _allowed_by_level(non_members: int) -> dict[str, int]:
    """Returns how many of the non-members may be false positives, by name of the TPR metric."""
    return {
        tpr_name(level): int(false_positives_allowed(level, non_members)) for level in FPR_LEVELS
    }


def _paired(
    ours: Resampled, targets: list[int], theirs: Resampled, their_targets: list[int], trials: int
) -> Estimate | None:
    """Returns the difference ours - theirs with its 95 % interval, over the targets of both.

    `targets` and `their_targets` are the indices of the models in the rows of both. Returns None if
    fewer than FEWEST_MODELS are shared.
    """
    both = [target for target in targets if target in their_targets]
    if len(both) < FEWEST_MODELS:
        return None
    first = ours.at([targets.index(target) for target in both])
    second = theirs.at([their_targets.index(target) for target in both])
    return _estimate(two_way_interval(first - second, trials, CHANGE))


def _single_targets(
    outcome: AttackOutcome, membership: NDArray[np.bool_]
) -> dict[str, list[Estimate]]:
    """Returns by name each metric of each target, with its 95 % interval for new examples.

    `membership` is (targets, examples), in the order of the outcome's targets.
    """
    pairs = list(zip(outcome.scores, membership, strict=True))
    estimates = {"auc": [_estimate(delong_interval(*pair)) for pair in pairs]}
    for level in FPR_LEVELS:
        intervals = [tpr_interval(*pair, level) for pair in pairs]
        estimates[tpr_name(level)] = [_estimate(interval) for interval in intervals]
    return estimates


def _optional_rate(numbers: Resampled | None, trials: int) -> Estimate | None:
    """Returns the mean over targets of a rate in [0, 1]; None if it is not known."""
    return None if numbers is None else _rate(numbers, trials)


def _single_targets_by_group(outcome: AttackOutcome, trials: int) -> dict[str, list[Estimate]]:
    """Returns the same as `_single_targets`, with intervals for new groups of examples."""
    estimates = {}
    for name in ("auc", *(tpr_name(level) for level in FPR_LEVELS)):
        numbers = outcome.metrics[name]
        rows = range(len(outcome.targets))
        estimates[name] = [_rate(numbers.at([row]), trials) for row in rows]
    return estimates


def _rate(numbers: Resampled, trials: int) -> Estimate:
    """Returns the mean over targets of a rate in [0, 1] with its 95 % interval."""
    return _estimate(two_way_interval(numbers, trials, RATE))


def _estimate(interval: Interval) -> Estimate:
    return Estimate(value=interval.value, low=interval.low, high=interval.high)


def study_arrays(arms: Sequence[AuditResult], audits: Sequence[Audit], data: AuditedData) -> Arrays:
    """Returns the arrays that the result was computed from, by name.

    `membership`, `labels` and `roc_fpr` are shared; the other names contain the arm and the attack.
    """
    arrays: Arrays = {"membership": data.membership, "roc_fpr": ROC_GRID}
    if data.labels is not None:
        arrays["labels"] = data.labels
    for index, (arm, audit) in enumerate(zip(arms, audits, strict=True)):
        arrays |= _arm_arrays(index, arm, audit, data)
    return arrays


def _arm_arrays(index: int, arm: AuditResult, audit: Audit, data: AuditedData) -> Arrays:
    arrays: Arrays = {}
    if audit.test_accuracy is not None:
        arrays |= Samples.arrays(index, None, TEST_ACCURACY, audit.test_accuracy)
    arrays[array_name(index, "ranks")] = audit.ranks.astype(np.float32)
    for result, outcome in zip(arm.attacks, audit.outcomes, strict=True):
        arrays[array_name(index, result.name, "scores")] = outcome.scores
        arrays[array_name(index, result.name, "roc_tpr")] = np.asarray(outcome.mean_roc)
        for metric in STORED:
            arrays |= Samples.arrays(index, result.name, metric, outcome.metrics[metric])
    if arm.noise_queries is not None and audit.through_noise is not None:
        through, names = audit.through_noise, arm.noise_queries
        for metric in THROUGH_NOISE:
            arrays |= Samples.arrays(index, names.name, metric, through.metrics[metric])
            if through.plain_metrics:
                plain = through.plain_metrics[metric]
                arrays |= Samples.arrays(index, names.plain_name, metric, plain)
    for field in fields(audit.exposure):
        values = getattr(audit.exposure, field.name)
        arrays[array_name(index, "exposure", field.name)] = values
    if audit.risk.flagged is not None:
        arrays[array_name(index, "flagged")] = audit.risk.flagged.times
        arrays[array_name(index, "flagged_out")] = audit.risk.flagged.times_false
    if data.pictures is not None:
        examples = [exposed.example for exposed in arm.most_exposed]
        arrays[array_name(index, "most_exposed_pictures")] = data.pictures[examples]
    return arrays
