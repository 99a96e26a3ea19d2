"""Joins several runs: arms that can be compared become one study. Needs no torch.

An arm is one noise scheme of a study, with its results. The plain arm is the arm without noise.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mgaudit.analysis.margins import Margins
from mgaudit.analysis.numbers import CHANGE, Quantity, accuracy_quantity
from mgaudit.analysis.samples import Samples, analyse_study
from mgaudit.errors import UsageError
from mgaudit.reports.arrays import Arrays, moved_arm
from mgaudit.reports.findings import ANALYSED
from mgaudit.reports.results import (
    AttackResult,
    AuditResult,
    Result,
    StudyResult,
    Times,
)
from mgaudit.storage.read_run import read_run
from mgaudit.storage.run_list import find_run

# Settings in which joined runs may differ; membership is compared itself, and the verdict on all
# arms has the smallest effects that matter of the first run. A search belongs to its arm.
NOT_COMPARED = (
    "schemes",
    "notes",
    "searches",
    "stack",
    "device",
    "duplicates",
    "smallest_auc_difference",
    "smallest_tpr_change",
)


@dataclass(frozen=True)
class NamedRun:
    """A run with its name, its result and the arrays of each of its studies."""

    name: str
    result: Result
    arrays: Sequence[Arrays]


def read_runs(texts: Sequence[str], out: Path) -> list[NamedRun]:
    """Returns the runs that `texts` name. A text is a path, or as in `find_run` a name in `out`.

    Raises:
        UsageError: For a text that is no run, or for a run that is named twice.
    """
    paths = [find_run(text, out) for text in texts]
    known_paths = set()
    for path in paths:
        resolved = path.resolve()
        if resolved in known_paths:
            raise UsageError("RUN", "may be given once", f"{str(path)!r} twice", "name another run")
        known_paths.add(resolved)
    return [NamedRun(path.resolve().name, *read_run(path)) for path in paths]


@dataclass(frozen=True)
class _NamedStudy:
    """A study and its arrays, with the name of its run."""

    name: str
    study: StudyResult
    arrays: Arrays


def joined(runs: Sequence[NamedRun], chapters: bool = False) -> tuple[Result, list[Arrays]]:
    """Returns the runs as one result, and the arrays of each of its studies.

    Studies of the same data, members and settings become one study with all their arms. With
    `chapters`, studies that cannot be compared stay separate studies of the result.

    Raises:
        UsageError: Without `chapters`, for runs that cannot be compared; the message names the
            reason. Also where the same arm has different numbers in two runs.
    """
    joined_studies: list[_NamedStudy] = []
    for run in runs:
        for study, arrays in zip(run.result.studies, run.arrays, strict=True):
            _add_study(joined_studies, _NamedStudy(run.name, study, arrays), chapters)
    names = [run.name for run in runs]
    option = " --chapters" if chapters else ""
    result = Result(
        title="",
        note=f"Joined from {', '.join(names)}.",
        command=f"mgaudit report {' '.join(names)}{option}",
        settings={run.name: run.result.settings for run in runs},
        studies=[named.study for named in joined_studies],
    )
    return result, [named.arrays for named in joined_studies]


def _add_study(studies: list[_NamedStudy], added: _NamedStudy, chapters: bool) -> None:
    """Merges a study into the first of `studies` that it can be compared with, or appends it."""
    for index, known in enumerate(studies):
        if _difference(known, added) is None:
            studies[index] = _merged(known, added)
            return
    if not chapters and studies and studies[0].name != added.name:
        key = f"{studies[0].name} and {added.name}"
        rule = f"cannot be compared: {_difference(studies[0], added)}"
        raise UsageError(key, rule, None, "give --chapters to show them one after the other")
    studies.append(added)


def joined_sha256(runs: Sequence[NamedRun]) -> str:
    """Returns the SHA-256 of the results of the runs, in their order."""
    text = "".join(run.result.model_dump_json() for run in runs)
    return hashlib.sha256(text.encode()).hexdigest()


def _difference(first: _NamedStudy, second: _NamedStudy) -> str | None:
    """Returns why two studies cannot be compared example by example, or None if they can."""
    first_settings = first.study.settings
    second_settings = second.study.settings
    for name in dict.fromkeys([*first_settings, *second_settings]):
        first_value = first_settings.get(name)
        second_value = second_settings.get(name)
        if name not in NOT_COMPARED and first_value != second_value:
            first_text = f"{_format_setting(first_value)} in {first.name}"
            second_text = f"{_format_setting(second_value)} in {second.name}"
            return f"{name} is {first_text} and {second_text}"
    if first.study.dataset.sha256 != second.study.dataset.sha256:
        return f"the content of {first.study.dataset.name} differs between the runs"
    if not np.array_equal(first.arrays["membership"], second.arrays["membership"]):
        return "their models trained on different examples"
    searches = {arm.key: arm.search for arm in first.study.arms}
    for arm in second.study.arms:
        if arm.key in searches and arm.search != searches[arm.key]:
            return f"a search changed the training of the arm {arm.label!r} in one of them"
    return None


def _format_setting(value: object) -> str:
    """Returns a setting as text for errors; a table as key=value without the values None."""
    if value is None:
        return "not given"
    if not isinstance(value, dict):
        return str(value)
    items = [(key, item) for key, item in value.items() if item is not None]
    return ", ".join(f"{key}={_format_setting(item)}" for key, item in items)


def _merged(first: _NamedStudy, second: _NamedStudy) -> _NamedStudy:
    """Returns one study with the arms of both; an arm that both have is included once.

    Raises UsageError where such an arm has different numbers.
    """
    arms = list(first.study.arms)
    arrays = dict(first.arrays)
    first_arms = {arm.key: arm for arm in arms}
    for index, arm in enumerate(second.study.arms):
        if arm.key in first_arms:
            _check_same(first, first_arms[arm.key], second, arm)
            arms[arms.index(first_arms[arm.key])] = _more_corrected(first_arms[arm.key], arm)
            continue
        arrays |= moved_arm(second.arrays, index, to=len(arms))
        arms.append(arm)
    arms = _with_differences(arms, arrays)
    lost = {arm.key: arm for arm in (*first.study.lost, *second.study.lost)}
    study = first.study.model_copy(
        update={
            "settings": _united_settings(first.study.settings, second.study.settings),
            "arms": arms,
            "lost": list(lost.values()),
            "analysis": analyse_study(arms, arrays, Margins.of(first.study.settings)),
            "times": _total_times(first.study.times, second.study.times),
        }
    )
    return _NamedStudy(f"{first.name} and {second.name}", study, arrays)


def _check_same(
    first: _NamedStudy, first_arm: AuditResult, second: _NamedStudy, second_arm: AuditResult
) -> None:
    """Raises UsageError where the numbers of an arm differ between two studies."""
    if _measured(first_arm) == _measured(second_arm):
        return
    first_auc, second_auc = _first_auc(first_arm), _first_auc(second_arm)
    raise UsageError(
        f"the arm {first_arm.label!r}",
        f"has different numbers in {first.name} and in {second.name} "
        f"(AUC {first_auc:.6f} and {second_auc:.6f}), because the runs used different code, "
        "versions or devices",
        way_out="run one of them again with --settings",
    )


def _measured(arm: AuditResult) -> AuditResult:
    """Returns an arm without its note, and without what depends on the other arms of its run."""
    attacks = [attack.model_copy(update={"alarm_bound": None}) for attack in arm.attacks]
    return arm.model_copy(update={"note": "", "attacks": attacks})


def _more_corrected(first: AuditResult, second: AuditResult) -> AuditResult:
    """Returns the arm whose alarm is corrected for more claims; the first if they are equal."""
    bounds = [arm.attacks[0].alarm_bound for arm in (first, second)]
    claims = [0 if bound is None else bound.claims for bound in bounds]
    if claims[1] <= claims[0]:
        return first
    corrected = first.attacks[0].model_copy(update={"alarm_bound": bounds[1]})
    return first.model_copy(update={"attacks": [corrected, *first.attacks[1:]]})


def _first_auc(arm: AuditResult) -> float:
    return arm.attacks[0].metrics["auc"].value


def _with_differences(arms: list[AuditResult], arrays: Arrays) -> list[AuditResult]:
    """Returns the arms, all with their differences to the plain arm if there is a plain arm.

    Arms of a run without the plain arm do not have the differences yet; they are computed here.
    """
    plain = next((index for index, arm in enumerate(arms) if arm.is_plain), None)
    if plain is None:
        return arms
    samples = Samples.of(arms, arrays)
    complete = []
    for index, arm in enumerate(arms):
        if index != plain and not arm.attacks[0].differences:
            arm = _arm_with_differences(samples, arm, index, plain)
        complete.append(arm)
    return complete


def _arm_with_differences(
    samples: Samples, arm: AuditResult, index: int, plain: int
) -> AuditResult:
    attacks = [_attack_with_differences(samples, attack, index, plain) for attack in arm.attacks]
    accuracy_terms = [(1.0, accuracy_quantity(index)), (-1.0, accuracy_quantity(plain))]
    accuracy_difference = samples.estimate(accuracy_terms, CHANGE)
    return arm.model_copy(update={"attacks": attacks, "accuracy_difference": accuracy_difference})


def _attack_with_differences(
    samples: Samples, attack: AttackResult, index: int, plain: int
) -> AttackResult:
    """Returns an attack with its metrics minus those of the same attack on the plain arm.

    `index` and `plain` are the indices of the attacked arm and of the plain arm. A metric with too
    few shared targets has no difference.
    """
    differences = {}
    for metric in ANALYSED:
        ours = Quantity(index, metric, attack.name)
        baseline = Quantity(plain, metric, attack.attack)
        estimate = samples.estimate([(1.0, ours), (-1.0, baseline)], CHANGE)
        if estimate is not None:
            differences[metric] = estimate
    return attack.model_copy(update={"differences": differences})


def _united_settings(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Returns the settings with the schemes, notes and searches of both; the first has priority."""
    schemes = dict.fromkeys([*first["schemes"], *second["schemes"]])
    notes = {**second.get("notes", {}), **first.get("notes", {})}
    searches = {**second.get("searches", {}), **first.get("searches", {})}
    united = {**first, "schemes": list(schemes), "notes": notes}
    return {**united, "searches": searches} if searches else united


def _total_times(first: Times, second: Times) -> Times:
    """Returns the earlier start, the sum of the seconds, and the training times of all arms."""
    return Times(
        started=min(first.started, second.started),
        seconds=first.seconds + second.seconds,
        training_seconds={**second.training_seconds, **first.training_seconds},
        models_reused={**second.models_reused, **first.models_reused},
    )
