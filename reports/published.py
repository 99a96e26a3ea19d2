"""Published results beside a study's own.

Each file in published/ is a table of one source: its title, source and address, the `setting` that
its results share, and for each result its place in the source, the rest of its setting and the
numbers as printed.
"""

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from mgaudit.reports.arrays import Arrays
from mgaudit.reports.record import ChoiceRecord, Estimate, Record
from mgaudit.reports.results import AttackResult, AuditResult, StudyResult
from mgaudit.reports.section import Section
from mgaudit.reports.table import Cell, Table, number
from mgaudit.reports.tables import FEW_FALSE_POSITIVES

ACCURACIES = ("train_accuracy", "accuracy")
CIFAR10_CLASSES = {
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
}
CIFAR10_SHAPE = (3, 32, 32)
INPUTS = "standardised per channel"
THRESHOLD = "chosen on the other half of the examples"

Pair = tuple[str, object, object]


class Number(Record):
    """A number as `printed`, its `value` as a fraction, and the `unit` if the heading has one."""

    metric: str
    printed: str
    value: float
    unit: Literal["", "%"] = ""

    @model_validator(mode="after")
    def _is_what_is_printed(self) -> Self:
        digits = re.search(r"\d+(?:\.\d+)?", self.printed)
        scale = 100 if self.percent else 1
        if digits is None or not math.isclose(float(digits[0]) / scale, self.value):
            printed = f"{self.printed}{self.unit}"
            raise ValueError(
                f"value must be what is printed, {printed}, as a fraction, got {self.value}"
            )
        return self

    @property
    def percent(self) -> bool:
        """Whether it is printed in percent."""
        return "%" in self.printed + self.unit


class Setting(Record):
    """The setting of published numbers; None where the source does not state a value.

    `scheme` and `attack` have mgaudit's names, and `variant` says how the source's attack differs
    from mgaudit's attack of that name; accuracies have no attack. `training_examples` are those of
    one model, and `threshold` is that of the balanced accuracy.
    """

    dataset: str
    scheme: list[ChoiceRecord]
    attack: ChoiceRecord | None = None
    variant: str | None = None
    adversary: Literal["adaptive", "naive"] = "adaptive"
    network: str | None = None
    training_examples: int | None = None
    epochs: int | None = None
    optimizer: str | None = None
    augmentation: str | None = None
    inputs: str | None = None
    delta: float | None = None
    max_grad_norm: float | None = None
    accountant: str | None = None
    shadows: int | None = None
    queries: str | None = None
    threshold: str | None = None


class PublishedResult(Record):
    """One result that others published, and where they printed it."""

    title: str
    source: str
    address: str = Field(pattern="^https://")
    place: str
    setting: Setting
    numbers: list[Number] = Field(min_length=1)

    @model_validator(mode="after")
    def _accuracies_have_no_attack(self) -> Self:
        has_attack = self.setting.attack is not None
        for printed in self.numbers:
            is_accuracy = printed.metric in ACCURACIES
            if is_accuracy is has_attack:
                article = "no" if is_accuracy else "an"
                raise ValueError(f"{printed.metric} must go with {article} attack")
        return self


@dataclass(frozen=True)
class Comparison:
    """A published number and ours of the same data, scheme, attack and metric.

    `differences` lists what else differs.
    """

    published: PublishedResult
    number: Number
    arm: AuditResult
    attack: AttackResult | None
    here: Estimate
    differences: list[str]


@cache
def published_results() -> tuple[PublishedResult, ...]:
    """Returns every published result that comes with mgaudit."""
    results: list[PublishedResult] = []
    folder = files("mgaudit.reports") / "published"
    for file in sorted(folder.iterdir(), key=lambda path: path.name):
        table: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        for entry in table.pop("results"):
            setting = {**table["setting"], **entry.get("setting", {})}
            content = {**table, **entry, "setting": setting}
            results.append(PublishedResult.model_validate(content))
    return tuple(results)


def comparable(study: StudyResult, known: Iterable[PublishedResult]) -> list[Comparison]:
    """Returns the published numbers that are comparable with numbers of the study, arm by arm.

    Data, scheme with its strength, attack, the adversary and metric are the same. An
    image folder counts as CIFAR-10 if its classes and the shape of its images are CIFAR-10's; this
    is listed as a difference.
    """
    same_data = [result for result in known if result.setting.dataset == _dataset(study)]
    comparisons: list[Comparison] = []
    for arm in study.arms:
        for result in same_data:
            if _same_scheme(result.setting.scheme, arm.scheme):
                comparisons += _compare(study, arm, result)
    return comparisons


def _compare(study: StudyResult, arm: AuditResult, result: PublishedResult) -> list[Comparison]:
    """Returns the numbers of a published result beside those of an arm of the same scheme."""
    comparisons = []
    for attack in _attacks(result.setting, arm):
        for printed in result.numbers:
            ours = _ours(arm, attack, printed.metric)
            if ours is not None:
                differences = _differences(study, arm, attack, result.setting, printed.metric)
                comparisons.append(Comparison(result, printed, arm, attack, ours, differences))
    return comparisons


def published_table(study: StudyResult) -> Table:
    """Returns the published numbers beside ours, or a note that says why there are none."""
    comparisons = comparable(study, published_results())
    columns = ["Result", "Setting", "Number there", "Number here", "Differences"]
    rows = [_row(study, comparison) for comparison in comparisons]
    notes = [_why_none(study)]
    if comparisons:
        sources = [
            f"{result.source}: {result.title}, {result.address}"
            for result in (comparison.published for comparison in comparisons)
        ]
        notes = [
            "In each row, the data, the scheme and its strength, the attack and the metric are the "
            "same here as in the publication (there). The last column lists the other known "
            "differences, which can change a number by more than the width of its interval. "
            "Numbers there are given as they were printed.",
            *dict.fromkeys(sources),
        ]
    return Table("published", "Beside published figures", columns, rows, notes)


def _row(study: StudyResult, comparison: Comparison) -> list[Cell]:
    published, printed = comparison.published, comparison.number
    attack = [] if comparison.attack is None else [comparison.attack.name]
    setting = [comparison.arm.label, *attack, _words(study, printed.metric)]
    return [
        Cell(f"{published.source}, {published.place}"),
        Cell("; ".join(setting)),
        Cell(f"{printed.printed} {printed.unit}".strip()),
        _in_its_unit(comparison),
        Cell("; ".join(comparison.differences)),
    ]


def _dataset(study: StudyResult) -> str:
    data = study.dataset
    is_cifar10 = (
        data.choice.name == "folder"
        and set(data.classes) == CIFAR10_CLASSES
        and len(data.classes) == len(CIFAR10_CLASSES)
        and data.input_shape == CIFAR10_SHAPE
    )
    return "cifar10" if is_cifar10 else data.choice.name


def _same_scheme(there: list[ChoiceRecord], here: list[ChoiceRecord]) -> bool:
    """Returns whether the schemes are equal, apart from delta and clipping norm of DP-SGD."""
    if len(there) != len(here):
        return False
    return all(_same_part(*parts) for parts in zip(there, here, strict=True))


def _same_part(there: ChoiceRecord, here: ChoiceRecord) -> bool:
    theirs, ours = _strength_options(there), _strength_options(here)
    if there.name != here.name or theirs.keys() != ours.keys():
        return False
    return all(_equal(theirs[key], ours[key]) for key in ours)


def _strength_options(part: ChoiceRecord) -> dict[str, Any]:
    ignored = ("delta", "max_grad_norm")
    return {key: value for key, value in part.options.items() if key not in ignored}


def _equal(there: object, here: object) -> bool:
    if isinstance(there, int | float) and isinstance(here, int | float):
        return math.isclose(there, here, rel_tol=0, abs_tol=1e-9)
    return there == here


def _attacks(setting: Setting, arm: AuditResult) -> Sequence[AttackResult | None]:
    """Returns the arm's attacks of the setting's kind; [None] for a setting without an attack."""
    theirs = setting.attack
    if theirs is None:
        return [None]
    # Offline and online adversaries differ in what they know.
    online = theirs.options.get("online", True)
    return [
        attack
        for attack in arm.attacks
        if attack.choice.name == theirs.name
        and attack.choice.options.get("online", True) == online
        and attack.adversary == setting.adversary
    ]


def _ours(arm: AuditResult, attack: AttackResult | None, metric: str) -> Estimate | None:
    if attack is not None:
        return attack.metrics.get(metric)
    accuracies = {"train_accuracy": arm.train_accuracy, "accuracy": arm.accuracy}
    return accuracies.get(metric)


def _differences(
    study: StudyResult, arm: AuditResult, attack: AttackResult | None, there: Setting, metric: str
) -> list[str]:
    """Returns the known differences between the study and a published setting, as phrases."""
    phrases = []
    settings = _training(study, arm, there)  # triples of name, theirs, ours
    if study.dataset.choice.name != there.dataset:
        phrases.append(
            "data: CIFAR-10 there, here an image folder with its class names and image shape, "
            "which may contain other images"
        )
    if attack is not None:
        settings += _attacking(study, attack, there, metric)
        phrases += _attack_phrases(attack, there, metric)
    for word, theirs, ours in settings:
        if theirs is not None and theirs != ours:
            phrases.append(f"{word}: {_format(theirs)} there, {_format(ours)} here")
    unstated = [word for word, theirs, _ in settings if theirs is None]
    if unstated:
        phrases.append(f"the source does not state {', '.join(unstated)}")
    return phrases


def _attack_phrases(attack: AttackResult, there: Setting, metric: str) -> list[str]:
    """Returns how the attacks differ, and whether a TPR here is coarse."""
    phrases = []
    if there.variant is not None or there.attack != attack.choice:
        variant = f" ({there.variant})" if there.variant else ""
        phrases.append(f"attack: {there.attack}{variant} there, {attack.choice} here")
    allowed = attack.false_positives_allowed.get(metric, FEW_FALSE_POSITIVES)
    if allowed < FEW_FALSE_POSITIVES:
        phrases.append(
            f"coarse here: fewer than {FEW_FALSE_POSITIVES} of a target's {attack.non_members} or "
            "more non-members may pass the threshold"
        )
    return phrases


def _training(study: StudyResult, arm: AuditResult, there: Setting) -> list[Pair]:
    """Returns what may differ in training, as (name, value there, value here)."""
    training = study.settings["training"]
    epochs = min(training["epochs"], training.get("stop_epoch") or training["epochs"])
    # DP-SGD has one trainer, whatever the number of clients.
    clients = 1 if arm.claim is not None else training.get("clients", 1)
    pairs: list[Pair] = [
        ("network", there.network, study.target.label),
        ("training examples", there.training_examples, study.dataset.examples // 2),
        ("epochs", there.epochs, epochs),
        ("optimizer", there.optimizer, training["optimizer"]),
        ("augmentation", there.augmentation, training["augment"]),
        ("clients", 1, clients),
    ]
    if there.scheme[0].name in ("gaussian-mask", "gaussian-noise"):
        pairs.append(("inputs", there.inputs, INPUTS))
    if arm.claim is not None:
        pairs.append(("clipping norm", there.max_grad_norm, arm.claim.max_grad_norm))
        if "epsilon" in there.scheme[0].options:
            pairs += [
                ("δ", there.delta, arm.claim.delta),
                ("accountant", there.accountant, arm.claim.accountant),
            ]
    return pairs


def _attacking(study: StudyResult, attack: AttackResult, there: Setting, metric: str) -> list[Pair]:
    """Returns what may differ in the attack and in its measurement."""
    pairs: list[Pair] = [("queries", there.queries, study.queries.label)]
    if "shadows" in attack.needs:
        pairs.append(("shadow models", there.shadows, len(attack.targets) - 1))
    if metric == "balanced_accuracy":
        pairs.append(("threshold", there.threshold, THRESHOLD))
    return pairs


def _format(value: object) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.3g}"
    return str(value)


def _words(study: StudyResult, metric: str) -> str:
    if metric in ACCURACIES:
        return {"accuracy": "test accuracy", "train_accuracy": "train accuracy"}[metric]
    return study.metric(metric).title


def _in_its_unit(comparison: Comparison) -> Cell:
    """Returns our number in the unit of the printed one."""
    if not comparison.number.percent:
        return number(comparison.here)
    cell = number(comparison.here, scale=100, digits=2)
    return Cell(cell.text, f"{cell.interval} %")


def _why_none(study: StudyResult) -> str:
    """Returns the published figures that there are, for a study that matches none of them."""
    dataset = _dataset(study)
    name = dataset if dataset == "cifar10" else study.dataset.short_name
    settings = [result.setting for result in published_results()]
    same_data = [setting for setting in settings if setting.dataset == dataset]
    if not same_data:
        datasets = sorted({setting.dataset for setting in settings})
        return f"There is no published figure for {name}, only for {', '.join(datasets)}."
    schemes: dict[str, dict[str, None]] = {}
    for setting in same_data:
        scheme = " + ".join(map(str, setting.scheme))
        measured = "accuracy" if setting.attack is None else str(setting.attack)
        schemes.setdefault(scheme, {})[measured] = None
    figures = "; ".join(f"{scheme}: {', '.join(measured)}" for scheme, measured in schemes.items())
    return (
        f"No published figure for {name} has the same scheme, strength, attack and metric as an "
        f"arm of this study. There are figures for {figures}."
    )


def published_section(study: StudyResult, arrays: Arrays) -> Section:
    """Returns the section on published figures."""
    return Section.of("Beside published figures", published_table(study))
