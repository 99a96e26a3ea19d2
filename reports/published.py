"""What others have published, beside what a study found.

Each file in published/ is a table that others printed: its title, source and address, the `setting` that its results
share, and for each result its place, what its setting adds to the shared one, and the numbers as they are printed.
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

ACCURACIES = ("train_accuracy", "test_accuracy")
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
    """A number as it is `printed`, and its `value`, a fraction; `unit` is the heading's, where it gives one."""

    metric: str
    printed: str
    value: float
    unit: Literal["", "%"] = ""

    @model_validator(mode="after")
    def _is_what_is_printed(self) -> Self:
        digits = re.search(r"\d+(?:\.\d+)?", self.printed)
        if digits is None or not math.isclose(
            float(digits[0]) / (100 if self.percent else 1), self.value
        ):
            raise ValueError(
                f"value must be what is printed, {self.printed}{self.unit} as a fraction, got {self.value}"
            )
        return self

    @property
    def percent(self) -> bool:
        """Whether it is printed in percent."""
        return "%" in self.printed + self.unit


class Setting(Record):
    """What the numbers are of. None is what the source does not state.

    `scheme` and `attack` are named as mgaudit names them, and `variant` says how their attack differs from ours of
    that name; accuracies have no attack. `training_examples` are those of one model, and `threshold` is that of the
    balanced accuracy.
    """

    dataset: str
    scheme: list[ChoiceRecord]
    attack: ChoiceRecord | None = None
    variant: str | None = None
    knowledge: Literal["adaptive", "naive"] = "adaptive"
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
        for one in self.numbers:
            if (one.metric in ACCURACIES) is not (self.setting.attack is None):
                raise ValueError(
                    f"{one.metric} must go with {'no' if self.setting.attack else 'an'} attack"
                )
        return self


@dataclass(frozen=True)
class Comparison:
    """A published number and ours of the same data, scheme, attack and metric, with what else is different."""

    published: PublishedResult
    number: Number
    arm: AuditResult
    attack: AttackResult | None
    here: Estimate
    differences: list[str]


@cache
def published_results() -> tuple[PublishedResult, ...]:
    """Returns every published result that comes with mgaudit."""
    found: list[PublishedResult] = []
    for file in sorted(
        (files("mgaudit.reports") / "published").iterdir(), key=lambda one: one.name
    ):
        table: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        for result in table.pop("results"):
            setting = {**table["setting"], **result.get("setting", {})}
            found.append(PublishedResult.model_validate({**table, **result, "setting": setting}))
    return tuple(found)


def comparable(study: StudyResult, known: Iterable[PublishedResult]) -> list[Comparison]:
    """Returns the known numbers that may stand beside numbers of the study, arm by arm.

    Data, scheme with its strength, attack, what the adversary knows, and metric are the same. A folder of pictures is
    taken for CIFAR-10 where its classes and the shape of its pictures are CIFAR-10's, and that is told as a difference.
    """
    here = [one for one in known if one.setting.dataset == _dataset(study)]
    return [
        Comparison(
            one,
            printed,
            arm,
            attack,
            ours,
            _differences(study, arm, attack, one.setting, printed.metric),
        )
        for arm in study.arms
        for one in here
        if _same_scheme(one.setting.scheme, arm.scheme)
        for attack in _attacks(one.setting, arm)
        for printed in one.numbers
        if (ours := _ours(arm, attack, printed.metric)) is not None
    ]


def published_table(study: StudyResult) -> Table:
    """Returns the published numbers beside ours, or a note that says why there are none."""
    found = comparable(study, published_results())
    columns = ["Result", "Setting", "Number there", "Number here", "Differences"]
    rows = [
        [
            Cell(f"{one.published.source}, {one.published.place}"),
            Cell(
                "; ".join(
                    [
                        one.arm.label,
                        *([one.attack.name] if one.attack else []),
                        _words(study, one.number.metric),
                    ]
                )
            ),
            Cell(f"{one.number.printed} {one.number.unit}".strip()),
            _in_its_unit(one),
            Cell("; ".join(one.differences)),
        ]
        for one in found
    ]
    notes = [_why_none(study)]
    if found:
        notes = [
            "Data, scheme and its strength, attack and metric are the same; what else is known to differ is named, and "
            "can move a number by more than either interval. Numbers there are as printed.",
            *dict.fromkeys(
                f"{one.published.source}: {one.published.title}, {one.published.address}"
                for one in found
            ),
        ]
    return Table("published", "Beside published figures", columns, rows, notes)


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
    """Returns whether the schemes are equal but for what DP-SGD's epsilon takes into account."""
    return len(there) == len(here) and all(
        _same_part(*parts) for parts in zip(there, here, strict=True)
    )


def _same_part(there: ChoiceRecord, here: ChoiceRecord) -> bool:
    theirs, ours = (
        {key: value for key, value in part.options.items() if key not in ("delta", "max_grad_norm")}
        for part in (there, here)
    )
    return (
        there.name == here.name
        and theirs.keys() == ours.keys()
        and all(_equal(theirs[key], ours[key]) for key in ours)
    )


def _equal(there: object, here: object) -> bool:
    if isinstance(there, int | float) and isinstance(here, int | float):
        return math.isclose(there, here, rel_tol=0, abs_tol=1e-9)
    return there == here


def _attacks(setting: Setting, arm: AuditResult) -> Sequence[AttackResult | None]:
    """Returns the arm's attacks that are the setting's, whatever they are tuned to; [None] where it has no attack."""
    theirs = setting.attack
    if theirs is None:
        return [None]
    # Offline and online adversaries do not know the same.
    return [
        attack
        for attack in arm.attacks
        if attack.choice.name == theirs.name
        and attack.choice.options.get("online", True) == theirs.options.get("online", True)
        and attack.knowledge == setting.knowledge
    ]


def _ours(arm: AuditResult, attack: AttackResult | None, metric: str) -> Estimate | None:
    if attack is not None:
        return attack.metrics.get(metric)
    return {"train_accuracy": arm.train_accuracy, "test_accuracy": arm.test_accuracy}.get(metric)


def _differences(
    study: StudyResult, arm: AuditResult, attack: AttackResult | None, there: Setting, metric: str
) -> list[str]:
    said, pairs = [], _training(study, arm, there)
    if study.dataset.choice.name != there.dataset:
        said.append(
            "data: CIFAR-10 there, here a folder with its class names and picture shape, which cannot be known to be it"
        )
    if attack is not None:
        pairs += _attacking(study, attack, there, metric)
        if there.variant is not None or there.attack != attack.choice:
            variant = f" ({there.variant})" if there.variant else ""
            said.append(f"attack: {there.attack}{variant} there, {attack.choice} here")
        if attack.false_positives_allowed.get(metric, FEW_FALSE_POSITIVES) < FEW_FALSE_POSITIVES:
            said.append(
                f"coarse here: fewer than {FEW_FALSE_POSITIVES} of a target's {attack.non_members} or more non-members "
                "may pass the threshold"
            )
    said += [
        f"{word}: {_shown(theirs)} there, {_shown(ours)} here"
        for word, theirs, ours in pairs
        if theirs is not None and theirs != ours
    ]
    unsaid = [word for word, theirs, _ in pairs if theirs is None]
    return said + ([f"the source does not state {', '.join(unsaid)}"] if unsaid else [])


def _training(study: StudyResult, arm: AuditResult, there: Setting) -> list[Pair]:
    """Returns what may differ in the training of the targets: the word for it, what it is there and here."""
    training = study.settings["training"]
    epochs = min(training["epochs"], training.get("stop_epoch") or training["epochs"])
    pairs: list[Pair] = [
        ("network", there.network, study.target.label),
        ("training examples", there.training_examples, study.dataset.examples // 2),
        ("epochs", there.epochs, epochs),
        ("optimizer", there.optimizer, training["optimizer"]),
        ("augmentation", there.augmentation, training["augment"]),
        ("clients", 1, 1 if arm.claim is not None else training.get("clients", 1)),
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
    """Returns what may differ in the attack and how it is measured."""
    pairs: list[Pair] = [("queries", there.queries, study.queries.label)]
    if "shadows" in attack.needs:
        pairs.append(("shadows", there.shadows, len(attack.targets) - 1))
    if metric == "balanced_accuracy":
        pairs.append(("threshold", there.threshold, THRESHOLD))
    return pairs


def _shown(value: object) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _setting(study: StudyResult, one: Comparison) -> list[str]:
    attacks = [one.attack.name] if one.attack else []
    return [one.arm.label, *attacks, _words(study, one.number.metric)]


def _words(study: StudyResult, metric: str) -> str:
    return metric.replace("_", " ") if metric in ACCURACIES else study.metric(metric).title


def _in_its_unit(one: Comparison) -> Cell:
    """Returns our number in the unit of the printed one."""
    if not one.number.percent:
        return number(one.here)
    cell = number(one.here, scale=100, digits=2)
    return Cell(cell.text, f"{cell.interval} %")


def _why_none(study: StudyResult) -> str:
    name, everything = _dataset(study), published_results()
    shown = name if name == "cifar10" else study.dataset.short_name
    here = [one.setting for one in everything if one.setting.dataset == name]
    if not here:
        return (
            f"No published figure is known for {shown}; known are "
            f"{', '.join(sorted({one.setting.dataset for one in everything}))}."
        )
    schemes: dict[str, dict[str, None]] = {}
    for setting in here:
        scheme = " + ".join(map(str, setting.scheme))
        schemes.setdefault(scheme, {})[
            "accuracy" if setting.attack is None else str(setting.attack)
        ] = None
    known = "; ".join(f"{scheme}: {', '.join(attacks)}" for scheme, attacks in schemes.items())
    return (
        f"No published figure for {shown} has a scheme, its strength, an attack and a metric of this study; known are "
        f"{known}."
    )


def published_section(study: StudyResult, arrays: Arrays) -> Section:
    """Returns published figures beside the study's own."""
    return Section.of("Beside published figures", published_table(study))
