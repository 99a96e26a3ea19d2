"""Every number of a result as one tidy table, a row per number."""

from collections.abc import Iterable, Iterator

from mgaudit.reports.arm_verdict import ArmVerdict, MetricVerdict
from mgaudit.reports.csv_text import CsvCell, csv_text
from mgaudit.reports.findings import (
    TEST_ACCURACY,
    Change,
    DPEquivalent,
    FrontPoint,
    Ignorance,
    Matched,
    PairDifference,
    SharedExposure,
    ThroughNoise,
)
from mgaudit.reports.formats.canary_rows import canary_rows
from mgaudit.reports.formats.risk_rows import risk_rows
from mgaudit.reports.record import Estimate
from mgaudit.reports.results import (
    AlarmBound,
    AttackResult,
    AuditResult,
    ClassExposure,
    ExposedExample,
    Result,
    StudyResult,
)
from mgaudit.reports.search_tables import settings_text
from mgaudit.reports.smallest_leak import SmallestLeak

COLUMNS = (
    "study",
    "target",
    "dataset",
    "seed",
    "arm",
    "label",
    "family",
    "parameter",
    "strength",
    "attack",
    "adversary",
    "what",
    "metric",
    "reference",
    "model",
    "shadows",
    "example",
    "class",
    "value",
    "low",
    "high",
    "p_value",
    "p_adjusted",
    "note",
)

NONE_FOUND = "no value is large enough"

CsvRow = dict[str, CsvCell]


def render_csv(result: Result) -> str:
    """Returns the table as CSV: fractions, nats and seconds as in result.json, at full precision.

    `study`, `arm`, `attack`, `adversary`, `metric`, `value`, `low` and `high` have the meaning and
    the names that they have in `to_frame()`. `study` counts the studies from 1; `what` says what a
    number is and `metric` of which metric; `reference` is the arm that it is compared with. An
    empty cell does not apply. A text that a spreadsheet would read as a formula gets an apostrophe
    in front.
    """
    rows: list[Iterable[CsvCell]] = [COLUMNS]
    for count, study in enumerate(result.studies, start=1):
        shared: CsvRow = {
            "study": count,
            "target": study.target.label,
            "dataset": study.dataset.name,
            "seed": study.settings["seed"],
        }
        for row in _study(study):
            cells = shared | row
            rows.append([cells.pop(name, None) for name in COLUMNS])
            assert not cells, f"no columns for {cells}"
    return csv_text(rows, line_end="\r\n")


def _study(study: StudyResult) -> Iterator[CsvRow]:
    for arm in study.arms:
        named = _named(arm)
        for row in _arm(arm, study):
            yield named | row
    for lost in study.lost:
        arm_columns: CsvRow = {"arm": lost.key, "label": lost.label}
        diverged: CsvRow = {"what": "models diverged", "value": len(lost.diverged)}
        yield arm_columns | diverged | {"note": "not audited"}
    yield from _comparisons(study)
    for leak in study.smallest_leaks:
        yield from _each(_named(study.arms[leak.arm]), _smallest_leak(leak))
    yield {"what": "seconds", "value": study.times.seconds}
    for key, seconds in study.times.training_seconds.items():
        yield {"arm": key, "what": "training seconds", "value": seconds}
    for key, models in study.times.models_reused.items():
        yield {"arm": key, "what": "models reused", "value": models}


def _smallest_leak(leak: SmallestLeak) -> Iterator[CsvRow]:
    what = f"smallest value found with {leak.power * 100:g} % power"
    of_leak: CsvRow = {"attack": leak.attack, "adversary": "adaptive", "what": what}
    note = f"at a level of {leak.level * 100:.4g} %"
    for metric, value in (("auc", leak.auc), (leak.tpr_metric, leak.tpr)):
        if metric is not None:
            yield of_leak | {
                "metric": metric,
                "value": value,
                "note": note if value else NONE_FOUND,
            }


def _named(arm: AuditResult) -> CsvRow:
    named: CsvRow = {"arm": arm.key, "label": arm.label}
    if arm.strength is None:
        return named
    value = arm.strength.value
    strength = float("inf") if value is None else value
    return named | {
        "family": arm.strength.family,
        "parameter": arm.strength.parameter,
        "strength": strength,
    }


def _trials(arm: AuditResult) -> Iterator[CsvRow]:
    """Yields the accuracy of each trial of the search for the arm's settings, on held-out data."""
    if arm.search is None:
        return
    for number, trial in enumerate(arm.search.trials):
        chosen = " (chosen)" if number == arm.search.chosen else ""
        words = settings_text(trial, private=arm.claim is not None)
        note = f"trial {number}{chosen}, folds: {len(trial.accuracies)}, {words}"
        yield {"what": "trial", "metric": "accuracy", "value": trial.accuracy, "note": note}


def _plain_key(study: StudyResult) -> str | None:
    return None if study.plain is None else study.plain.key


def _of(what: str, estimate: Estimate) -> CsvRow:
    return {"what": what, "value": estimate.value, "low": estimate.low, "high": estimate.high}


def _arm(arm: AuditResult, study: StudyResult) -> Iterator[CsvRow]:
    first = arm.attacks[0]
    mounted: CsvRow = {"attack": first.attack, "adversary": first.adversary}
    for metric, accuracy in (("train_accuracy", arm.train_accuracy), ("accuracy", arm.accuracy)):
        if accuracy is not None:
            yield {**_of("accuracy", accuracy), "metric": metric}
    if arm.accuracy_difference is not None:
        reference: CsvRow = {"metric": "accuracy", "reference": _plain_key(study)}
        yield _of("difference to no noise", arm.accuracy_difference) | reference
    yield from _trials(arm)
    if arm.learning_rate is not None:
        yield {"what": "learning rate", "value": arm.learning_rate}
    yield {"what": "models diverged", "value": len(arm.diverged)}
    yield from _claim(arm)
    for attack in arm.attacks:
        for row in _attack(attack, study):
            yield {"attack": attack.attack, "adversary": attack.adversary, **row}
    for point in arm.power:
        for metric, estimate in point.metrics.items():
            yield mounted | _of("power", estimate) | {"metric": metric, "shadows": point.shadows}
    for example in arm.most_exposed:
        yield from _each(mounted, _exposed(example))
    for within in arm.by_class:
        yield from _each(mounted, _class(within))
    if arm.risk is not None:
        yield from _each(mounted, risk_rows(arm.risk))
    yield from _each(mounted, canary_rows(arm.canaries))


def _exposed(example: ExposedExample) -> Iterator[CsvRow]:
    named: CsvRow = {"example": example.origin, "class": example.label}
    yield named | {"what": "mean score", "value": example.score}
    yield named | {"what": "targets", "value": example.targets}
    if example.rank_in is not None:
        yield named | _of("outranks, in", example.rank_in)
    if example.rank_out is not None:
        yield named | _of("outranks, out", example.rank_out)


def _class(within: ClassExposure) -> Iterator[CsvRow]:
    named: CsvRow = {"class": within.label}
    yield named | {"what": "examples", "value": within.examples}
    auc: CsvRow = {
        "metric": "auc",
        "what": "within class",
        "note": "too few members or non-members",
    }
    if within.auc is not None:
        auc = {"metric": "auc", **_of("within class", within.auc)}
    yield named | auc


def _claim(arm: AuditResult) -> Iterator[CsvRow]:
    if arm.delta is not None:
        yield {"what": "delta", "value": arm.delta}
        yield {"what": "guesses", "value": arm.guesses}
        yield {"what": "provable epsilon", "value": arm.epsilon_provable}
    claim = arm.claim
    if claim is None:
        return
    epsilon = float("inf") if claim.epsilon is None else claim.epsilon
    yield {
        "what": "claimed epsilon",
        "value": epsilon,
        "note": f"{claim.accountant} accountant, {claim.adjacency}",
    }
    for accountant, bound in (("PRV", claim.epsilon_prv), ("PLD", claim.epsilon_pld)):
        if bound is not None:
            yield {"what": f"epsilon by {accountant}", "value": bound}
    yield {"what": "claimed delta", "value": claim.delta}
    yield {"what": "noise multiplier", "value": claim.noise_multiplier}
    yield {"what": "gradient norm at most", "value": claim.max_grad_norm}
    yield {"what": "sample rate", "value": claim.sample_rate}
    yield {"what": "steps", "value": claim.steps}
    if claim.ceiling is not None:
        note = f"{claim.ceiling.accountant} accountant"
        for metric, value in claim.ceiling.metrics.items():
            yield {"what": "ceiling", "metric": metric, "value": value, "note": note}
    if claim.training is not None:
        training = claim.training
        yield {"what": "DP-SGD epochs", "value": training.epochs, "note": training.origin}
        yield {"what": "DP-SGD batch size", "value": training.batch_size}
        yield {"what": "DP-SGD learning rate", "value": training.learning_rate}
        if training.momentum is not None:
            yield {"what": "DP-SGD momentum", "value": training.momentum}
        yield {"what": "DP-SGD views", "value": training.views}
        yield {"what": "DP-SGD averaging", "value": training.averaging}


def _attack(attack: AttackResult, study: StudyResult) -> Iterator[CsvRow]:
    for metric, estimate in attack.metrics.items():
        yield _of("attack", estimate) | {"metric": metric}
    for metric, estimate in attack.differences.items():
        yield _of("difference to no noise", estimate) | {
            "metric": metric,
            "reference": _plain_key(study),
        }
    for metric, values in attack.per_target.items():
        for model, value in zip(attack.targets, values, strict=True):
            yield {"what": "attack on one model", "metric": metric, "model": model, "value": value}
    for metric, estimates in attack.single_targets.items():
        for model, estimate in zip(attack.targets, estimates, strict=True):
            yield _of("attack on one model, new examples", estimate) | {
                "metric": metric,
                "model": model,
            }
    if attack.epsilon_lower_bound is not None:
        for model, correct in zip(attack.targets, attack.correct_guesses, strict=True):
            yield {"what": "correct guesses", "model": model, "value": correct}
        bound: CsvRow = {"metric": "epsilon_lower_bound", "value": attack.epsilon_lower_bound}
        if attack.epsilon_proof is not None:
            bound["note"] = attack.epsilon_proof.rule
        yield bound | {"what": "attack"}
    if attack.alarm_bound is not None:
        yield _alarm_bound(attack.alarm_bound)
    for metric, allowed in attack.false_positives_allowed.items():
        yield {"what": "false positives allowed", "metric": metric, "value": allowed}
    yield {"what": "non-members", "value": attack.non_members}


def _alarm_bound(bound: AlarmBound) -> CsvRow:
    note = f"significance {bound.significance:g}, finite claims: {bound.claims}"
    return {"what": "attack", "metric": "alarm_bound", "value": bound.epsilon, "note": note}


def _comparisons(study: StudyResult) -> Iterator[CsvRow]:
    """Yields the comparisons of arms; the adversary is adaptive unless a row says naive."""
    analysis, named = study.analysis, {arm.key: _named(arm) for arm in study.arms}
    first: CsvRow = {"attack": analysis.attack, "adversary": "adaptive"}
    for change in analysis.changes:
        yield named[change.arm] | _change(change, _plain_key(study))
    for point in analysis.front:
        yield from _each(named[point.arm] | first, _front(point))
    for match in analysis.matched:
        scheme: CsvRow = {"arm": match.family, "family": match.family}
        yield from _each(scheme | first, _matched(match))
    for equivalent in analysis.dp_equivalent:
        mounted: CsvRow = {"attack": equivalent.attack, "adversary": "adaptive"}
        yield from _each(named[equivalent.arm] | mounted, _dp_equivalent(equivalent))
    for ignorance in analysis.ignorance:
        yield from _each(named[ignorance.arm], _ignorance(ignorance))
    for pair in analysis.pairs:
        yield named[pair.arm] | _pair(pair, analysis.attack)
    for through in analysis.through_noise:
        yield from _each(named[through.arm], _through_noise(through, _plain_key(study)))
    for found in analysis.verdicts:
        yield from _each(named[found.arm], verdict_rows(found, _plain_key(study)))
    for shared in analysis.exposure:
        reference: CsvRow = {"reference": _plain_key(study)}
        yield from _each(named[shared.arm] | first | reference, _exposure(shared))


def _each(columns: CsvRow, rows: Iterator[CsvRow]) -> Iterator[CsvRow]:
    """Yields the rows, each with the shared columns."""
    for row in rows:
        yield columns | row


def _change(change: Change, plain: str | None) -> CsvRow:
    attack: CsvRow = (
        {} if change.attack is None else {"attack": change.attack, "adversary": change.adversary}
    )
    tested: CsvRow = {
        "p_value": change.p_value,
        "p_adjusted": change.p_adjusted,
        "reference": plain,
    }
    difference = _of("difference to no noise, tested", change.difference)
    return attack | difference | {"metric": change.metric} | tested


def _pair(pair: PairDifference, attack: str) -> CsvRow:
    is_accuracy = pair.metric == TEST_ACCURACY
    by: CsvRow = {} if is_accuracy else {"attack": attack, "adversary": "adaptive"}
    tested: CsvRow = {
        "metric": pair.metric,
        "p_value": pair.p_value,
        "p_adjusted": pair.p_adjusted,
        "reference": pair.other,
    }
    return by | _of("difference to another arm, tested", pair.difference) | tested


def _front(point: FrontPoint) -> Iterator[CsvRow]:
    reference: CsvRow = {"reference": point.by}
    yield reference | {"what": "front", "note": point.status}
    if point.accuracy is not None:
        yield (
            reference | _of("front: the other has more", point.accuracy) | {"metric": "accuracy"}
        )
    if point.auc is not None:
        yield reference | _of("front: the other has more", point.auc) | {"metric": "auc"}


def _matched(match: Matched) -> Iterator[CsvRow]:
    reference: CsvRow = {"reference": match.reference}
    accuracy: CsvRow = {
        "what": "matched accuracy: accuracy",
        "metric": "accuracy",
        "value": match.accuracy,
    }
    yield reference | accuracy | {"note": match.not_reached}
    if match.strength is not None:
        yield reference | {"what": "matched accuracy: strength", "value": match.strength}
    for metric, estimate in match.metrics.items():
        yield reference | _of("matched accuracy", estimate) | {"metric": metric}
    for metric, estimate in match.differences.items():
        yield (
            reference
            | _of("matched accuracy: difference to reference", estimate)
            | {"metric": metric}
        )


def _dp_equivalent(equivalent: DPEquivalent) -> Iterator[CsvRow]:
    beyond = equivalent.beyond
    note = None if beyond is None else f"beyond the {beyond} epsilon of DP-SGD that was run"
    epsilon: CsvRow = {
        "value": equivalent.epsilon,
        "low": equivalent.low,
        "high": equivalent.high,
        "note": note,
    }
    yield {"what": "dp-equivalent epsilon", "metric": "auc", **epsilon}
    if equivalent.accuracy is not None:
        yield _of("dp-equivalent: accuracy of DP-SGD", equivalent.accuracy) | {"metric": "accuracy"}
    if equivalent.accuracy_difference is not None:
        lead = _of("dp-equivalent: accuracy less that of DP-SGD", equivalent.accuracy_difference)
        yield lead | {"metric": "accuracy"}


def _ignorance(ignorance: Ignorance) -> Iterator[CsvRow]:
    for what, estimate in (
        ("ignorance: no noise", ignorance.plain),
        ("ignorance: naive", ignorance.naive),
        ("ignorance: adaptive", ignorance.adaptive),
        ("ignorance: apparent gain", ignorance.apparent),
        ("ignorance: real gain", ignorance.real),
        ("ignorance", ignorance.gap),
    ):
        yield {"attack": ignorance.attack, **_of(what, estimate), "metric": "auc"}


def _through_noise(through: ThroughNoise, plain: str | None) -> Iterator[CsvRow]:
    columns: CsvRow = {
        "attack": through.attack,
        "adversary": "adaptive",
        "metric": through.metric,
        "note": f"second query: mean of the logits over {through.draws} draws of the noise",
    }
    yield columns | _of("through the noise: plain query alone", through.direct)
    yield columns | _of("through the noise", through.through)
    yield columns | _of("through the noise: gain", through.gain)
    if through.plain is not None:
        yield columns | _of("through the noise: plain arm", through.plain)
    if through.difference is not None:
        difference = _of("through the noise: difference", through.difference)
        yield columns | difference | {"reference": plain}


def _exposure(shared: SharedExposure) -> Iterator[CsvRow]:
    yield {"what": "shared exposure: examples", "value": shared.examples}
    yield _of("shared exposure: outrank without noise", shared.plain)
    yield _of("shared exposure: outrank", shared.here)
    yield _of("shared exposure: difference to no noise", shared.difference)
    yield {"what": "shared exposure: exposed too", "value": shared.also_exposed}
    yield {"what": "shared exposure: by chance", "value": shared.by_chance}


def verdict_rows(found: ArmVerdict, plain: str | None) -> Iterator[CsvRow]:
    """Yields the outcome on an arm, and the numbers with simultaneous intervals behind it."""
    adaptive: CsvRow = {"adversary": "adaptive"}
    first = adaptive | {"attack": found.attack}
    yield first | {"what": "verdict", "note": found.outcome or "no verdict"}
    yield first | {"what": "verdict: level of each interval", "value": found.level}
    for metric in (found.auc, found.tpr):
        if metric is not None:
            yield from _each(first, _metric_verdict(metric, plain))
    for other in found.contradictions:
        columns = adaptive | {"attack": other.attack, "metric": "auc", "note": other.outcome}
        yield columns | _of("verdict: contradiction", other.value)
        if other.difference is not None:
            difference = _of("verdict: difference of a contradiction", other.difference)
            yield columns | difference | {"reference": plain}


def _metric_verdict(found: MetricVerdict, plain: str | None) -> Iterator[CsvRow]:
    named: CsvRow = {"metric": found.metric, "note": found.outcome}
    yield named | _of("verdict: arm", found.value)
    if found.plain is not None:
        yield named | _of("verdict: plain arm", found.plain) | {"reference": plain}
    if found.difference is not None:
        yield named | _of("verdict: difference", found.difference) | {"reference": plain}
