"""The result of a run: every number with its interval, to and from JSON."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import tomli_w
from pydantic import Field, ValidationError

from mgaudit.errors import UsageError
from mgaudit.reports.arrays import RUN_AGAIN, Arrays, array_name, read_arrays
from mgaudit.reports.canaries import CanaryAttack
from mgaudit.reports.ceiling import Ceiling
from mgaudit.reports.checksums import read_checked
from mgaudit.reports.earlier_versions import OLDEST_VERSION, converted, converted_arrays
from mgaudit.reports.files import ARRAYS_FILE, RESULT_FILE
from mgaudit.reports.findings import Analysis
from mgaudit.reports.input_checks import InputChecks
from mgaudit.reports.limits import RESULT_BYTES
from mgaudit.reports.record import ChoiceRecord, Estimate, NamedChoice, Record
from mgaudit.reports.risk import Risk
from mgaudit.reports.search_record import SearchRecord
from mgaudit.reports.smallest_leak import SmallestLeak

SCHEMA_VERSION = 8
PLAIN = "none"  # the name of the scheme without noise


class EpsilonProof(Record):
    """How the guesses of an attack prove a lower bound on epsilon, at 95 %.

    `rule` describes the bound in words. It is the largest of several bounds whose significances add
    up to 5 %. The other fields describe the largest: the indices of its `targets` and of their
    `shadows`, and the number of `guesses` about each target, half of them in and half out, of which
    `correct` were right. With the `combination` "one run", the canaries of all targets are those of
    one run; with "Fisher", p-values of the targets are combined; "median" is the median of the
    targets' bounds. The bound is wrong with a probability of at most `significance`. `provable` is
    the epsilon (nats) that this rule would prove if all guesses were right.
    """

    rule: str
    combination: Literal["one run", "Fisher", "median"]
    targets: list[int]
    shadows: list[int]
    guesses: int
    correct: list[int]
    significance: float
    provable: float


class AlarmBound(Record):
    """The lower bound on epsilon (nats) that is compared with the claim of its arm.

    Its `significance` is 5 % divided by `claims`, the number of finite claims in the whole result,
    so that a result without a false claim has an alarm with at most 5 % probability.
    """

    epsilon: float
    significance: float
    claims: int


class AttackResult(Record):
    """One attack on one arm, with each of the models `targets` as the target in turn.

    `attack` is its name in settings and reports, `choice` its name and options. `metrics` holds the
    mean over targets of each metric by name (`auc`, `tpr@0.01`, …, all fractions), with an interval
    for new examples only if there is one target. `per_target` has the values of the targets,
    `single_targets` AUC and TPRs of each target with intervals for new examples only (DeLong; for a
    TPR, Clopper and Pearson at the threshold set by the non-members), and `differences` this arm
    minus the plain one, paired by target and example.

    An `adaptive` adversary trains the shadows under the arm's own scheme, a `naive` one without
    noise. `needs` lists the inputs of the attack beside the target's outputs. `correct_guesses` is
    the number of correct guesses about each target with all its shadows, of the arm's `guesses`.
    `epsilon_lower_bound` (nats, at the arm's `delta`) is the lower bound from all targets, at 95 %,
    and `epsilon_proof` how it is proved; both are None where the arm has no `delta`, and the proof
    in results of earlier versions, whose bound is the median of the targets' bounds. `alarm_bound`
    is None for attacks that are not the first one on an arm with a finite claim, and in results of
    earlier versions, which compare `epsilon_lower_bound` with the claim.
    `false_positives_allowed` is, for each TPR, the number of the `non_members` of one target that
    may pass its threshold.
    """

    attack: str
    choice: ChoiceRecord
    adversary: Literal["adaptive", "naive"]
    targets: list[int]
    source: str
    needs: list[str]
    metrics: dict[str, Estimate]
    per_target: dict[str, list[float]]
    single_targets: dict[str, list[Estimate]]
    differences: dict[str, Estimate]
    correct_guesses: list[int]
    epsilon_lower_bound: float | None
    false_positives_allowed: dict[str, int]
    non_members: int
    epsilon_proof: EpsilonProof | None = None
    alarm_bound: AlarmBound | None = None

    @property
    def compared_with_claim(self) -> float | None:
        """The lower bound on epsilon (nats) that is compared with a claim; None without one."""
        return self.epsilon_lower_bound if self.alarm_bound is None else self.alarm_bound.epsilon

    @property
    def name(self) -> str:
        """The attack and, for a naive one, the word naive; unique in an arm."""
        return self.attack if self.adversary == "adaptive" else f"{self.attack}, naive"


class NoiseQueries(Record):
    """The first attack with a second query: the mean logits over `draws` draws of the arm's noise.

    `attack` is its name in settings and reports. `targets` are the attacked models of the arm, and
    `plain_targets` those of the plain arm, which is attacked with the same queries; empty without
    a plain arm. Analysis.through_noise has the numbers.
    """

    attack: str
    draws: int
    targets: list[int]
    plain_targets: list[int]

    @property
    def name(self) -> str:
        """The name of the attack on the arm in the arrays of the study."""
        return f"{self.attack} with queries through the noise"

    @property
    def plain_name(self) -> str:
        """The name of the attack on the plain arm with the same queries."""
        return f"{self.name}, plain arm"


class ExposedExample(Record):
    """An example and its exposure to the first attack.

    `score` is its mean score over the `targets` that trained on it, `rank_in` the mean share of
    such a target's non-members with a lower score, and `rank_out` the same over targets that did
    not train on it (None if all did), each with an interval for new targets.
    """

    example: int
    origin: str
    label: str
    score: float
    rank_in: Estimate | None
    rank_out: Estimate | None
    targets: int


class ClassExposure(Record):
    """The AUC of the first attack within one class; None if a target has too few examples of it."""

    label: str
    examples: int
    auc: Estimate | None


class DPTraining(Record):
    """The settings that DP-SGD is tuned by; `origin` states in words where they come from.

    `batch_size` is the expected number of examples in a step, `momentum` that of SGD (None in
    results of versions that did not record it), `views` the number of augmented views of an example
    over which its gradient is averaged, and `averaging` the decay of the average of the weights
    over the steps, 0 for none.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float | None = None
    views: int
    averaging: float
    origin: str


class PrivacyClaim(Record):
    """The accountants' bound for a DP-SGD arm; `epsilon` (nats) is None without a finite bound.

    It is the least bound, that of `accountant`. `epsilon_prv` and `epsilon_pld` are the bounds by
    PRV and PLD; None where there is none, and in results of earlier versions, whose bound is by
    PRV. `training` and `ceiling` are None in results of versions that did not record them, and
    `ceiling` also without noise.
    """

    epsilon: float | None
    epsilon_prv: float | None = None
    epsilon_pld: float | None = None
    delta: float
    noise_multiplier: float
    max_grad_norm: float
    sample_rate: float
    steps: int
    accountant: str
    adjacency: str
    training: DPTraining | None = None
    ceiling: Ceiling | None = None


class Strength(Record):
    """The strength of an arm's noise, among arms that differ from it in one number only.

    `family` names the scheme without that number, which is the `value` of `parameter`; None is
    infinity. A larger value is stronger noise, or a smaller one if `reversed`. At strength zero the
    family equals, bit for bit, the arm with the key `origin`; None if that arm has no name.
    """

    family: str
    parameter: str
    value: float | None
    reversed: bool
    origin: str | None


class PowerPoint(Record):
    """The success of the first attack with that many shadows; metrics by name."""

    shadows: int
    metrics: dict[str, Estimate]


class AuditResult(Record):
    """One arm: one scheme or training function, and the models trained under it.

    Accuracies are fractions, None where predictions are not known; `accuracy` is that on the test
    examples. Each target is attacked in turn. Models that `diverged` are excluded from all other
    numbers, as targets and as shadows. Guesses about the members of the targets give a lower bound
    on epsilon at `delta`, which is None where membership was not drawn by independent fair coins,
    so that no bound is valid; `epsilon_provable` is that of the first attack if all guesses were
    right. `guesses` is the number of which `correct_guesses` of an attack were right. `power` is
    the first attack's success by the number of shadows; empty if it uses none. `note` comes from
    the study file. `key` is the arm's name in settings, unique in the study; `scheme` holds the
    parts of its scheme, and `sources` the papers behind them. `risk` is that of a released model
    under the first attack; None in results of earlier versions. `noise_queries` is None where the
    first attack does not also query through the noise of the arm. `search` is None where no search
    found the settings of training. `canaries` is None in a study without canaries.
    """

    key: str
    scheme: list[ChoiceRecord]
    sources: list[str]
    label: str
    note: str
    strength: Strength | None
    learning_rate: float | None
    diverged: list[int]
    train_accuracy: Estimate | None
    accuracy: Estimate | None
    accuracy_difference: Estimate | None
    claim: PrivacyClaim | None
    delta: float | None
    guesses: int
    epsilon_provable: float | None
    attacks: Annotated[list[AttackResult], Field(min_length=1)]
    power: list[PowerPoint]
    most_exposed: list[ExposedExample]
    by_class: list[ClassExposure]
    risk: Risk | None = None
    noise_queries: NoiseQueries | None = None
    search: SearchRecord | None = None
    canaries: CanaryAttack | None = None

    @property
    def known_accuracy(self) -> Estimate:
        """The test accuracy.

        Raises:
            ValueError: The accuracy is not known; see `accuracies_known`.
        """
        if self.accuracy is None:
            raise ValueError(f"{self.label}: the test accuracy is not known")
        return self.accuracy

    @property
    def is_plain(self) -> bool:
        """Whether this is the plain arm, which trains without noise."""
        return is_plain(self.scheme)

    def attack(self, name: str, adversary: str) -> AttackResult | None:
        """Returns the attack of that name and that adversary, or None."""
        for attack in self.attacks:
            if attack.attack == name and attack.adversary == adversary:
                return attack
        return None

    def metric(self, attack: str, metric: str) -> Estimate:
        """Returns a metric of an attack by an adaptive adversary.

        Raises:
            KeyError: The arm has no such attack or metric.
        """
        result = self.attack(attack, "adaptive")
        if result is None:
            raise KeyError(f"{self.label}: there is no attack {attack!r}")
        return result.metrics[metric]

    @property
    def alarm(self) -> bool:
        """Whether the first attack proves more privacy loss than the claimed bound.

        Only the first attack counts, because the maximum of several bounds is not a valid bound,
        and its bound is corrected for the number of claims in the result.
        """
        epsilon = None if self.claim is None else self.claim.epsilon
        proved = self.attacks[0].compared_with_claim
        return epsilon is not None and proved is not None and proved > epsilon


def accuracies_known(arms: Sequence[AuditResult]) -> bool:
    """Returns whether the test accuracy of every arm is known."""
    return all(arm.accuracy is not None for arm in arms)


class LostArm(Record):
    """An arm that could not be audited, because too many of its models `diverged`."""

    key: str
    scheme: list[ChoiceRecord]
    sources: list[str]
    label: str
    diverged: list[int]


def is_plain(scheme: Sequence[ChoiceRecord]) -> bool:
    """Returns whether a scheme is training without noise."""
    return [part.name for part in scheme] == [PLAIN]


class DatasetSummary(Record):
    """The data: `choice` as in the settings; `sha256` is over their content.

    `notes` say what was changed or left out when the data were read, and which copies there are.
    `shared_coins` is the number of examples that share their coin with others, because they are
    exact copies. `grouped` is the number of examples that intervals resample together with others,
    because they are exact copies or near-duplicates.
    """

    name: str
    choice: ChoiceRecord
    sha256: str
    examples: int
    test_examples: int
    input_shape: tuple[int, ...]
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()
    shared_coins: int = 0
    grouped: int = 0

    @property
    def short_name(self) -> str:
        """The name; of a path, only the last part."""
        path = self.choice.options.get("path")
        return self.name if path is None else f"{self.choice.name}:{Path(path).name}"


class Provenance(Record):
    """The software and hardware of a run; `code_sha256` is over the source of the training code."""

    versions: dict[str, str]
    code_sha256: str
    device: str
    processor: str


class Times(Record):
    """Times in seconds, the only part of a result that differs when a run is repeated."""

    started: str
    seconds: float
    training_seconds: dict[str, float]
    models_reused: dict[str, int]


class MetricFacts(Record):
    """The presentation of a metric: in its `unit` ("%" or none), with `digits` decimals.

    The metric is a fraction in `low`..`high`; `guessing` is its value for an attack that guesses.
    """

    name: str
    title: str
    unit: Literal["", "%"]
    digits: int
    low: float
    high: float
    guessing: float

    @property
    def heading(self) -> str:
        """The title with the unit."""
        return f"{self.title}, {self.unit}" if self.unit else self.title

    @property
    def scale(self) -> float:
        """The factor from a fraction to the unit."""
        return 100.0 if self.unit == "%" else 1.0


class StudyResult(Record):
    """Arms that share data, membership and seeds, so that they are comparable by example.

    There is at least one; too many models of the `lost` arms diverged. `extras` describes, in one
    sentence by name, each input that attacks needed beside the models' outputs, and `metric_facts`
    the presentation of the metrics. `models_from` says who trained the models: mgaudit
    ("training"), a function or estimator of the user ("function"), or the user beforehand: all of
    them ("outputs") or only the target ("checkpoint"). For models of the user, `checks` has what
    was checked about their outputs. `smallest_leaks` has those of the arms without a proven leak.
    They follow from the arrays, so they are computed for a report and are no part of the JSON.
    """

    settings: dict[str, Any]
    target: NamedChoice
    queries: NamedChoice
    dataset: DatasetSummary
    extras: dict[str, str]
    metric_facts: list[MetricFacts]
    arms: Annotated[list[AuditResult], Field(min_length=1)]
    lost: list[LostArm]
    analysis: Analysis
    provenance: Provenance
    times: Times
    models_from: Literal["training", "function", "outputs", "checkpoint"] = "training"
    checks: InputChecks | None = None
    smallest_leaks: list[SmallestLeak] = Field(default_factory=list, exclude=True)

    @property
    def plain(self) -> AuditResult | None:
        """The arm without noise, if there is one."""
        return next((arm for arm in self.arms if arm.is_plain), None)

    def metric(self, name: str) -> MetricFacts:
        """Returns the presentation of a metric.

        Raises:
            KeyError: There is no metric of that name.
        """
        for facts in self.metric_facts:
            if facts.name == name:
                return facts
        raise KeyError(name)

    @property
    def name(self) -> str:
        """The target and the data; of a path, only the last part."""
        return f"{self.target.label} on {self.dataset.short_name}"


class Result(Record):
    """The content of a run folder: one study, or several of a grid or of several runs.

    `command` repeats the run, with RUN as its folder; `title` and `note` come from the study file.
    """

    schema_version: Literal[8] = 8
    title: str
    note: str
    command: str
    settings: dict[str, Any]
    studies: Annotated[list[StudyResult], Field(min_length=1)]

    @property
    def settings_toml(self) -> str:
        """The settings as TOML."""
        return settings_toml(self.settings)


def settings_toml(settings: dict[str, Any]) -> str:
    """Returns settings as TOML without those that are None, because TOML has no null."""
    return tomli_w.dumps(_without_none(settings))


def _without_none(table: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_none(value) if isinstance(value, dict) else value
        for key, value in table.items()
        if value is not None
    }


def read_result(folder: Path) -> tuple[Result, list[Arrays]]:
    """Returns the result of a run folder and the arrays of each of its studies.

    Raises:
        UsageError: The folder is not a run folder, or its result or arrays cannot be read or were
            changed after the run.
    """
    path = folder / RESULT_FILE
    if not path.is_file():
        rule = f"must be the folder of a study, and there is no {RESULT_FILE} in it"
        raise UsageError(
            str(folder), rule, None, "`mgaudit run` and `mgaudit compare` make such folders"
        )
    RESULT_BYTES.check(str(path), path.stat().st_size)
    stored = read_checked(path)
    try:
        content = json.loads(stored.decode())
        earlier = _is_earlier(content)
        result = Result.model_validate(converted(content, SCHEMA_VERSION) if earlier else content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        rule = f"cannot be read: {key}: {first['msg']}"
        raise UsageError(str(path), rule, None, RUN_AGAIN) from error
    except UsageError as error:
        raise error.inside(str(path)) from error
    except (ValueError, RecursionError) as error:
        raise UsageError(str(path), f"cannot be read: {error}", None, RUN_AGAIN) from error
    studies = read_arrays(folder, len(result.studies))
    if earlier:
        studies = [converted_arrays(arrays) for arrays in studies]
    for study, arrays in zip(result.studies, studies, strict=True):
        misfit = _misfit(study, arrays)
        if misfit is not None:
            rule = f"must fit the result beside it: {misfit}"
            raise UsageError(str(folder / ARRAYS_FILE), rule, None, RUN_AGAIN)
    return result, studies


def _misfit(study: StudyResult, arrays: Arrays) -> str | None:
    """Returns what is missing or misshapen in a result or its arrays; None if they fit."""
    examples = study.dataset.examples
    membership = arrays.get("membership")
    if not isinstance(membership, np.ndarray) or membership.shape[1:] != (examples,):
        return f"membership must be (models, {examples})"
    if not all(isinstance(study.settings.get(name), int) for name in ("models", "seed")):
        return "its settings must have models and seed"
    metrics = {facts.name for facts in study.metric_facts} | {"auc"}
    for index, arm in enumerate(study.arms):
        samples = []
        if arm.accuracy is not None:
            samples.append(array_name(index, "accuracy", "per_target"))
        for attack in arm.attacks:
            if metrics - attack.metrics.keys() or len(metrics) != len(study.metric_facts):
                return f"the metrics of {attack.name} must be {', '.join(sorted(metrics))}"
            if not all(0 <= target < len(membership) for target in attack.targets):
                return f"the targets of {attack.name} must be models, 0..{len(membership) - 1}"
            scores = arrays.get(array_name(index, attack.name, "scores"))
            if not isinstance(scores, np.ndarray) or scores.shape != (
                len(attack.targets),
                examples,
            ):
                return f"the scores of {attack.name} must be ({len(attack.targets)}, {examples})"
            samples.append(array_name(index, attack.name, "auc", "per_target"))
        absent = [name for name in samples if name not in arrays]
        if absent:
            return f"the array {absent[0]} is missing"
    return None


def _is_earlier(content: Any) -> bool:
    """Returns whether a result has an earlier schema version, which must be converted.

    Raises:
        UsageError: The schema version is newer than this mgaudit, or too old to be converted.
    """
    version = content.get("schema_version") if isinstance(content, dict) else None
    if not isinstance(version, int):
        return False  # no version: the record refuses it
    if version > SCHEMA_VERSION:
        rule = f"has schema version {version}, and this mgaudit reads up to {SCHEMA_VERSION}"
        raise UsageError("", rule, None, "update mgaudit")
    if version < OLDEST_VERSION:
        rule = (
            f"has schema version {version} of an earlier mgaudit; "
            f"this one reads {OLDEST_VERSION} to {SCHEMA_VERSION}"
        )
        way_out = (
            "run it again with --settings (models that the cache still holds are not trained again)"
        )
        raise UsageError("", rule, None, way_out)
    return version < SCHEMA_VERSION
