"""Compares two runs by their settings and by their numbers. Needs no torch.

An arm is one noise scheme of a study, with its results; it has the same key in both runs.
"""

from collections.abc import Iterator

import numpy as np

from mgaudit.analysis.numbers import CHANGE, Quantity, accuracy_quantity
from mgaudit.analysis.samples import Samples
from mgaudit.errors import UsageError
from mgaudit.reports.arrays import Arrays, moved_arm
from mgaudit.reports.record import Estimate
from mgaudit.reports.results import AuditResult, StudyResult, accuracies_known
from mgaudit.reports.table import Cell, Table, number
from mgaudit.storage.join import NamedRun

MINUS = "−"

Side = tuple[StudyResult, Arrays]  # a study of one of the runs
ArmOfSide = tuple[Side, int]  # a study, and the index of an arm in it


def settings_apart(first: NamedRun, second: NamedRun) -> Table:
    """Returns a table of the settings that differ between the runs, one row for each."""
    first_settings = dict(_flat(first.result.settings))
    second_settings = dict(_flat(second.result.settings))
    rows = []
    for name in dict.fromkeys([*first_settings, *second_settings]):
        if first_settings.get(name) != second_settings.get(name):
            first_cell = Cell(first_settings.get(name, "–"))
            second_cell = Cell(second_settings.get(name, "–"))
            rows.append([Cell(name), first_cell, second_cell])
    notes = [] if rows else ["All settings are the same."]
    return Table("settings", "Settings", ["Setting", first.name, second.name], rows, notes)


def _flat(settings: dict[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yields each setting with its dotted name and its value as text, without absent values."""
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
            for index, table in enumerate(value):  # the trials of a search
                texts = (f"{key}={text}" for key, text in _flat(table))
                yield f"{prefix}{name}[{index}]", ", ".join(texts)
        elif isinstance(value, list | tuple):
            yield prefix + name, ", ".join(map(str, value))
        elif value is not None:
            yield prefix + name, str(value)


def numbers_apart(first: NamedRun, second: NamedRun) -> Table:
    """Returns a table with the test accuracy and the AUC of each arm and attack in both runs.

    The difference is the number of the second run minus that of the first. It is paired and has a
    95 % interval if the models of both runs trained on the same examples. Arms are matched by their
    scheme and, in runs of several studies, by target, data and seed.

    Raises:
        UsageError: Where no arm is in both runs.
    """
    rows: list[list[Cell]] = []
    paired = False
    for first_side, second_side in _pairs(first, second):
        index_in_second = {arm.key: index for index, arm in enumerate(second_side[0].arms)}
        for index, arm in enumerate(first_side[0].arms):
            if arm.key not in index_in_second:
                continue
            first_arm = first_side, index
            second_arm = second_side, index_in_second[arm.key]
            samples = _samples(first_arm, second_arm)
            paired = paired or samples is not None
            rows += _arm_rows(first_arm, second_arm, samples)
    if not rows:
        key = f"{first.name} and {second.name}"
        raise UsageError(key, "have no arm in common", None, "see `mgaudit runs show RUN`")
    if paired:
        note = "Paired by target and example, with 95 % intervals for new targets and new examples."
    else:
        note = (
            "The models of the runs trained on different examples, "
            "so the differences are not paired and have no interval."
        )
    columns = ["Arm", "Number", first.name, second.name, "Difference"]
    return Table("runs", "Numbers", columns, rows, [note])


def _arm_rows(
    first_arm: ArmOfSide, second_arm: ArmOfSide, samples: Samples | None
) -> list[list[Cell]]:
    """Returns the rows of an arm that both runs have."""
    first_result, second_result = _result(first_arm), _result(second_arm)
    label = Cell(first_result.label)
    rows = []
    if accuracies_known([first_result, second_result]):
        accuracies = first_result.known_accuracy, second_result.known_accuracy
        accuracy_cells = _row(*accuracies, _change(samples, None), scale=100.0, digits=1)
        rows.append([label, Cell("test accuracy, %"), *accuracy_cells])
    for attack in first_result.attacks:
        counterpart = second_result.attack(attack.attack, attack.adversary)
        if counterpart is None:
            continue
        aucs = attack.metrics["auc"], counterpart.metrics["auc"]
        auc_cells = _row(*aucs, _change(samples, attack.name), scale=1.0, digits=3)
        rows.append([label, Cell(f"AUC, {attack.name}"), *auc_cells])
    return rows


def _result(arm: ArmOfSide) -> AuditResult:
    """Returns the result of the arm in its study."""
    (study, _), index = arm
    return study.arms[index]


def _pairs(first: NamedRun, second: NamedRun) -> list[tuple[Side, Side]]:
    """Returns the pairs of studies, one of each run, that are compared with each other.

    They have the same target, data and seed. Two runs of a single study are compared in any case.
    """
    first_sides = list(zip(first.result.studies, first.arrays, strict=True))
    second_sides = list(zip(second.result.studies, second.arrays, strict=True))
    if len(first_sides) == len(second_sides) == 1:
        return [(first_sides[0], second_sides[0])]
    pairs = []
    for first_side in first_sides:
        for second_side in second_sides:
            if _study_key(first_side) == _study_key(second_side):
                pairs.append((first_side, second_side))
    return pairs


def _study_key(side: Side) -> tuple[str, str, int]:
    study, _ = side
    return study.target.label, study.dataset.name, study.settings["seed"]


def _samples(first_arm: ArmOfSide, second_arm: ArmOfSide) -> Samples | None:
    """Returns the quantities of two arms of two studies, as if they were arms 0 and 1 of one study.

    Returns None if they cannot be paired, because the data or the members differ.
    """
    (first_study, first_arrays), first_index = first_arm
    (second_study, second_arrays), second_index = second_arm
    if first_study.dataset.sha256 != second_study.dataset.sha256:
        return None
    membership = first_arrays["membership"]
    if not np.array_equal(membership, second_arrays["membership"]):
        return None
    arrays: Arrays = {"membership": membership}
    arrays |= moved_arm(first_arrays, first_index, to=0)
    arrays |= moved_arm(second_arrays, second_index, to=1)
    return Samples.of([_result(first_arm), _result(second_arm)], arrays)


def _change(samples: Samples | None, attack: str | None) -> Estimate | None:
    """Returns the AUC of an attack in the second run minus the first, with its 95 % interval.

    `attack` None means the test accuracy. Returns None if the runs are not paired.
    """
    if samples is None:
        return None
    quantities = []
    for arm in (0, 1):
        quantity = accuracy_quantity(arm) if attack is None else Quantity(arm, "auc", attack)
        quantities.append(quantity)
    first, second = quantities
    return samples.estimate([(1.0, second), (-1.0, first)], CHANGE)


def _row(
    first: Estimate, second: Estimate, change: Estimate | None, scale: float, digits: int
) -> list[Cell]:
    """Returns the cells of both numbers and of their difference, times `scale`.

    Without a paired `change`, the difference is that of the two values, without an interval.
    """
    if change is not None:
        difference = number(change, scale, digits, signed=True)
    else:
        value = (second.value - first.value) * scale
        difference = Cell(f"{value:+.{digits}f}".replace("-", MINUS))
    return [number(first, scale, digits), number(second, scale, digits), difference]
