"""Two runs set against each other: what was set otherwise, and what came out otherwise. Needs no torch."""

from collections.abc import Iterator

import numpy as np

from mgaudit.analysis.numbers import CHANGE, Quantity, accuracy_quantity
from mgaudit.analysis.samples import Samples
from mgaudit.errors import UsageError
from mgaudit.reports.arrays import Arrays, moved_arm
from mgaudit.reports.record import Estimate
from mgaudit.reports.results import AuditResult, StudyResult
from mgaudit.reports.table import Cell, Table, number
from mgaudit.storage.join import NamedRun

Side = tuple[StudyResult, Arrays]


def settings_apart(first: NamedRun, second: NamedRun) -> Table:
    """Returns the settings that are not the same in both runs."""
    one, other = (dict(_flat(run.result.settings)) for run in (first, second))
    rows = [
        [Cell(name), Cell(one.get(name, "–")), Cell(other.get(name, "–"))]
        for name in dict.fromkeys([*one, *other])
        if one.get(name) != other.get(name)
    ]
    notes = [] if rows else ["All settings are the same."]
    return Table("settings", "Settings", ["Setting", first.name, second.name], rows, notes)


def _flat(settings: dict[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        elif value is not None:
            yield (
                prefix + name,
                ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value),
            )


def numbers_apart(first: NamedRun, second: NamedRun) -> Table:
    """Returns test accuracy and AUC of each arm and attack in both runs, the second less the first.

    The difference is paired, and has an interval, where the models of both runs trained on the same examples. Arms are
    matched by their scheme and, in runs of several studies, by target, data and seed. Raises UsageError where no arm
    is in both.
    """
    rows = []
    paired = False
    for one, other in _pairs(first, second):
        theirs = {arm.key: place for place, arm in enumerate(other[0].arms)}
        for place, arm in enumerate(one[0].arms):
            if arm.key not in theirs:
                continue
            arms = arm, other[0].arms[theirs[arm.key]]
            samples = _samples(one, place, other, theirs[arm.key])
            paired = paired or samples is not None
            labels = [Cell(arm.label), Cell("test accuracy, %")]
            accuracies = arms[0].test_accuracy, arms[1].test_accuracy
            rows.append([*labels, *_row(*accuracies, _change(samples, None), 100.0, 1)])
            for attack in arm.attacks:
                met = arms[1].attack(attack.attack, attack.knowledge)
                if met is not None:
                    aucs = attack.metrics["auc"], met.metrics["auc"]
                    change = _change(samples, attack.name)
                    rows.append(
                        [Cell(arm.label), Cell(f"AUC, {attack.name}"), *_row(*aucs, change, 1.0, 3)]
                    )
    if not rows:
        raise UsageError(
            f"{first.name} and {second.name}",
            "have no arm in common",
            None,
            "see `mgaudit runs show RUN`",
        )
    note = (
        "Paired by target and example, with 95 % intervals for new targets and new examples."
        if paired
        else "Their models trained on other examples, so that differences are not paired and have no interval."
    )
    return Table(
        "runs", "Numbers", ["Arm", "Number", first.name, second.name, "Difference"], rows, [note]
    )


def _pairs(first: NamedRun, second: NamedRun) -> list[tuple[Side, Side]]:
    ours, theirs = (
        list(zip(run.result.studies, run.arrays, strict=True)) for run in (first, second)
    )
    if len(ours) == len(theirs) == 1:
        return [(ours[0], theirs[0])]

    def key(side: Side) -> tuple[str, str, int]:
        return side[0].target.label, side[0].dataset.name, side[0].settings["seed"]

    return [(one, other) for one in ours for other in theirs if key(one) == key(other)]


def _samples(one: Side, place: int, other: Side, their_place: int) -> Samples | None:
    """Returns the numbers of two arms of two studies as if they were arms 0 and 1 of one, if they can be paired."""
    if one[0].dataset.sha256 != other[0].dataset.sha256:
        return None
    if not np.array_equal(one[1]["membership"], other[1]["membership"]):
        return None
    arms: list[AuditResult] = [one[0].arms[place], other[0].arms[their_place]]
    arrays: Arrays = {"membership": one[1]["membership"]}
    arrays |= moved_arm(one[1], place, to=0)
    arrays |= moved_arm(other[1], their_place, to=1)
    return Samples.of(arms, arrays)


def _change(samples: Samples | None, attack: str | None) -> Estimate | None:
    if samples is None:
        return None
    first, second = (
        accuracy_quantity(arm) if attack is None else Quantity(arm, "auc", attack) for arm in (0, 1)
    )
    return samples.estimate([(1.0, second), (-1.0, first)], CHANGE)


def _row(
    one: Estimate, other: Estimate, change: Estimate | None, scale: float, digits: int
) -> list[Cell]:
    difference = (
        number(change, scale, digits, signed=True)
        if change is not None
        else Cell(f"{(other.value - one.value) * scale:+.{digits}f}".replace("-", "−"))
    )
    return [number(one, scale, digits), number(other, scale, digits), difference]
