"""Several runs as one: arms that can be compared become one study. Needs no torch."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

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
    read_result,
)
from mgaudit.storage.run_list import find_run

NOT_COMPARED = ("schemes", "notes", "stack", "device")


@dataclass(frozen=True)
class NamedRun:
    """A run by its name, with what its folder holds."""

    name: str
    result: Result
    arrays: Sequence[Arrays]


def read_runs(texts: Sequence[str], out: Path) -> list[NamedRun]:
    """Returns the runs that `texts` name, paths or names in `out`. Raises UsageError where one is named twice."""
    paths = [find_run(text, out) for text in texts]
    twice = [
        path
        for place, path in enumerate(paths)
        if path.resolve() in [one.resolve() for one in paths[:place]]
    ]
    if twice:
        raise UsageError("RUN", "may be given once", f"{str(twice[0])!r} twice", "name another run")
    return [NamedRun(path.resolve().name, *read_result(path)) for path in paths]


@dataclass(frozen=True)
class _Held:
    """A study and its arrays, and the name of the run that it came from."""

    name: str
    study: StudyResult
    arrays: Arrays


def joined(runs: Sequence[NamedRun], chapters: bool = False) -> tuple[Result, list[Arrays]]:
    """Returns the runs as one result: studies of the same data, members and settings become one, with all their arms.

    Other studies are chapters of their own where `chapters` are asked for. Raises UsageError where they are not, naming
    what keeps the runs from being compared, and where the same arm has other numbers in two runs.
    """
    held: list[_Held] = []
    for run in runs:
        for study, arrays in zip(run.result.studies, run.arrays, strict=True):
            one = _Held(run.name, study, arrays)
            place = next(
                (place for place, other in enumerate(held) if difference(other, one) is None), None
            )
            if place is not None:
                held[place] = _merged(held[place], one)
            elif chapters or not held or held[0].name == run.name:
                held.append(one)
            else:
                key = f"{held[0].name} and {run.name}"
                way_out = "give --chapters to show them one after the other"
                raise UsageError(
                    key, f"cannot be compared: {difference(held[0], one)}", None, way_out
                )
    names = [run.name for run in runs]
    return (
        Result(
            title="",
            note=f"Joined from {', '.join(names)}.",
            command=f"mgaudit report {' '.join(names)}{' --chapters' if chapters else ''}",
            settings={run.name: run.result.settings for run in runs},
            studies=[one.study for one in held],
        ),
        [one.arrays for one in held],
    )


def joined_sha256(runs: Sequence[NamedRun]) -> str:
    """Returns the hash of the results that are joined."""
    return hashlib.sha256(
        "".join(run.result.model_dump_json() for run in runs).encode()
    ).hexdigest()


def difference(one: _Held, other: _Held) -> str | None:
    """Returns what keeps the arms of two studies from being compared example by example; None: nothing."""
    ours, theirs = one.study.settings, other.study.settings
    for name in dict.fromkeys([*ours, *theirs]):
        if name not in NOT_COMPARED and ours.get(name) != theirs.get(name):
            return f"{name} is {_shown(ours.get(name))} in {one.name} and {_shown(theirs.get(name))} in {other.name}"
    if one.study.dataset.sha256 != other.study.dataset.sha256:
        return f"the content of {one.study.dataset.name} was another when each of them ran"
    if not np.array_equal(one.arrays["membership"], other.arrays["membership"]):
        return "their models trained on other examples"
    return None


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={_shown(item)}" for key, item in value.items() if item is not None)
    return "not given" if value is None else str(value)


def _merged(first: _Held, second: _Held) -> _Held:
    """Returns both studies as one; an arm that both have stands once."""
    known = {arm.key: arm for arm in first.study.arms}
    arms, arrays = list(first.study.arms), dict(first.arrays)
    for place, arm in enumerate(second.study.arms):
        if arm.key in known:
            _check_same(first, known[arm.key], second, arm)
            continue
        arrays |= moved_arm(second.arrays, place, to=len(arms))
        arms.append(arm)
    arms = _paired(arms, arrays)
    lost = {arm.key: arm for arm in (*first.study.lost, *second.study.lost)}
    study = first.study.model_copy(
        update={
            "settings": _united(first.study.settings, second.study.settings),
            "arms": arms,
            "lost": list(lost.values()),
            "analysis": analyse_study(arms, arrays),
            "times": _total(first.study.times, second.study.times),
        }
    )
    return _Held(f"{first.name} and {second.name}", study, arrays)


def _check_same(first: _Held, ours: AuditResult, second: _Held, theirs: AuditResult) -> None:
    if ours.model_copy(update={"note": ""}) != theirs.model_copy(update={"note": ""}):
        values = [arm.attacks[0].metrics["auc"].value for arm in (ours, theirs)]
        raise UsageError(
            f"the arm {ours.label!r}",
            f"has other numbers in {first.name} and in {second.name} (AUC {values[0]:.6f} and {values[1]:.6f}): other "
            "code, versions or another device trained it",
            way_out="run one of them again with --settings",
        )


def _paired(arms: list[AuditResult], arrays: Arrays) -> list[AuditResult]:
    """Returns the arms with differences to the plain one, where a run without that arm could not have them."""
    plain = next((place for place, arm in enumerate(arms) if arm.is_plain), None)
    if plain is None:
        return arms
    samples = Samples.of(arms, arrays)

    def differences(place: int, attack: AttackResult) -> AttackResult:
        found = {
            metric: samples.estimate(
                [
                    (1.0, Quantity(place, metric, attack.name)),
                    (-1.0, Quantity(plain, metric, attack.attack)),
                ],
                CHANGE,
            )
            for metric in ANALYSED
        }
        return attack.model_copy(
            update={"differences": {key: one for key, one in found.items() if one is not None}}
        )

    return [
        arm
        if place == plain or arm.attacks[0].differences
        else arm.model_copy(
            update={
                "attacks": [differences(place, attack) for attack in arm.attacks],
                "test_accuracy_difference": samples.estimate(
                    [(1.0, accuracy_quantity(place)), (-1.0, accuracy_quantity(plain))], CHANGE
                ),
            }
        )
        for place, arm in enumerate(arms)
    ]


def _united(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    return {
        **first,
        "schemes": list(dict.fromkeys([*first["schemes"], *second["schemes"]])),
        "notes": {**second.get("notes", {}), **first.get("notes", {})},
    }


def _total(first: Times, second: Times) -> Times:
    return Times(
        started=min(first.started, second.started),
        seconds=first.seconds + second.seconds,
        training_seconds={**second.training_seconds, **first.training_seconds},
        models_reused={**second.models_reused, **first.models_reused},
    )
