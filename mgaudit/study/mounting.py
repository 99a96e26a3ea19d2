"""Mount attacks on the targets of an arm, in this process or in several.

An arm is one noise scheme or training function of a study, with its models. A target is a model
that is attacked. Every target is attacked on its own, so the results do not depend on the number of
processes.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from mgaudit.attacks import Observations
from mgaudit.attacks.disjoint_shadows import Side, scores_with_disjoint_shadows, sides_of
from mgaudit.attacks.flag_agreement import ScoresOfHalves
from mgaudit.attacks.intervals import Resampled, resampled_metrics
from mgaudit.attacks.jackknife import Jackknife, ModelGroups, number_of_groups
from mgaudit.attacks.power import numbers_of_shadows, scores_by_number
from mgaudit.attacks.rescoring import (
    Rescored,
    classes_with_jackknife,
    has_jackknife,
    rescored,
)
from mgaudit.compute.parallel import pool_of
from mgaudit.compute.pool import Future, Pool, Shared
from mgaudit.errors import UsageError
from mgaudit.reports.findings import ANALYSED
from mgaudit.settings.choices import Choice
from mgaudit.study.audited import AuditedData
from mgaudit.study.risk import scores_with_halves
from mgaudit.targets.own_module import RAISED, error_line_with_place
from mgaudit.targets.seeds import numpy_generator

POWER_RESAMPLES = 200  # fewer than of other metrics, because every number of shadows is resampled
SCORES_A_PROCESS = 5_000  # targets times examples; with fewer, a process is not worth its start

MetricsByName = dict[str, Resampled]


class Measured(NamedTuple):
    """The scores (targets, examples) of an attack, and its metrics by name.

    `independent` are scores (targets, examples) that are independent on each side of the targets;
    None where there are no sides.
    """

    scores: NDArray[np.float64]
    metrics: MetricsByName
    independent: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Mounted:
    """What the attacks measured on some targets.

    `attacks` is in the order of the attacks. The rest belongs to the first attack: `power` has its
    metrics by the number of shadow models, if that is fewer than all, `auc_by_class` the jackknife
    of the AUC within each class, and `halves` the scores with halves of the shadow models.
    """

    attacks: list[Measured]
    power: dict[int, MetricsByName]
    auc_by_class: dict[int, Jackknife]
    halves: ScoresOfHalves | None = None


@dataclass(frozen=True)
class Mounting:
    """The attacks of one adversary on targets of an arm.

    Args:
        attacks: The attacks.
        observations: The outputs of the arm's models.
        shadows: The outputs of the models that a naive adversary trained; None for an adaptive
            adversary, whose shadow models are the other observed models.
        rows: The positions of the targets among the observed models.
        models: The index in the study of each observed model.
        groups: For each attack, the groups of models of its jackknife; None without one.
        sides: For each attack, the sides on which scores of the targets are independent, as from
            `sides_of`; empty without any, or without bounds on epsilon.
        data: The data that all arms of the study share.
        in_detail: Whether the first attack is repeated with fewer shadow models, and measured
            within each class.
        classes: Whether an example is of a class (examples,), for the classes whose AUC has a
            jackknife.
    """

    attacks: tuple[Choice, ...]
    observations: Observations
    shadows: Observations | None
    rows: list[int]
    models: list[int]
    groups: tuple[ModelGroups | None, ...]
    sides: tuple[tuple[Side, ...], ...]
    data: AuditedData
    in_detail: bool
    classes: dict[int, NDArray[np.bool_]]

    @classmethod
    def of(
        cls,
        attacks: Sequence[Choice],
        observations: Observations,
        rows: list[int],
        models: list[int],
        data: AuditedData,
        shadows: Observations | None = None,
        in_detail: bool = False,
        has_bounds: bool = False,
    ) -> "Mounting":
        """Returns the attacks on targets; `has_bounds` says if bounds on epsilon are valid."""
        membership, groups = observations.membership[rows], []
        for choice in attacks:
            number = number_of_groups(len(data.membership), choice.built.is_slow)
            repeats = has_jackknife(choice.built, membership, data.splits)
            groups.append(ModelGroups.of(np.array(models), number) if repeats else None)
        classes: dict[int, NDArray[np.bool_]] = {}
        if in_detail and data.labels is not None:
            classes = classes_with_jackknife(data.labels, membership, data.splits)
        sides: list[tuple[Side, ...]] = [() for _ in attacks]
        if has_bounds:
            sides = [sides_of(choice.built, models, rows) for choice in attacks]
        return cls(
            attacks=tuple(attacks),
            observations=observations,
            shadows=shadows,
            rows=rows,
            models=models,
            groups=tuple(groups),
            sides=tuple(sides),
            data=replace(data, pictures=None),  # which no attack uses
            in_detail=in_detail,
            classes=classes,
        )

    @property
    def sides_by_index(self) -> list[list[Side]]:
        """For each attack, its sides with the indices of the models in the study."""

        def indices(positions: tuple[int, ...]) -> tuple[int, ...]:
            return tuple(self.models[position] for position in positions)

        return [
            [Side(indices(side.targets), indices(side.shadows)) for side in sides]
            for sides in self.sides
        ]

    @property
    def scores(self) -> int:
        """The number of scores of each attack: targets times examples."""
        return len(self.rows) * len(self.observations.labels)

    def parts(self, number: int) -> list[list[int]]:
        """Returns the positions of the targets, in at most `number` parts."""
        parts = np.array_split(np.array(self.rows), min(number, len(self.rows)))
        return [part.tolist() for part in parts]


class MountingTasks:
    """Attacks as tasks of a pool, which divide the targets among them.

    Attacks of the user's own run in this process, when they are submitted.
    """

    def __init__(self, mountings: Sequence[Mounting], pool: Pool, name: str) -> None:
        scores = sum(mounting.scores for mounting in mountings)
        parts = max(min(pool.workers, scores // SCORES_A_PROCESS), 1)
        self._mounted: list[list[Mounted | None]] = []
        self._waiting: dict[Future[Mounted], tuple[int, int]] = {}
        self._shared: list[Shared] = []
        for number, mounting in enumerate(mountings):
            if any(choice.own_sha256 for choice in mounting.attacks):
                self._mounted.append([mount_part(mounting, mounting.rows)])
                continue
            parts_of_rows = mounting.parts(parts)
            self._mounted.append([None] * len(parts_of_rows))
            shared = pool.share(mounting)
            self._shared.append(shared)
            for part, rows in enumerate(parts_of_rows):
                words = f"{name}: the attacks, part {part + 1}"
                self._waiting[pool.submit(mount_part, shared, rows, name=words)] = (number, part)

    @property
    def futures(self) -> list[Future[Mounted]]:
        """The futures of the tasks that are not complete."""
        return list(self._waiting)

    def keep(self, future: Future[Mounted]) -> None:
        """Keeps the outcome of a complete task. Raises what the task raised."""
        number, part = self._waiting.pop(future)
        self._mounted[number][part] = future.result()
        if not self._waiting:
            for shared in self._shared:
                shared.release()

    def joined(self) -> list[Mounted]:
        """Returns what the attacks measured, in the order of the mountings.

        Called when all tasks are complete.
        """
        assert not self._waiting
        return [_joined([part for part in parts if part is not None]) for parts in self._mounted]


def mount(mountings: Sequence[Mounting], jobs: int) -> list[Mounted]:
    """Returns what the attacks measured, in the order of `mountings`, in at most `jobs` processes.

    Raises:
        RuntimeError: If an attack of the user's own fails, with its name.
    """
    has_own = any(choice.own_sha256 for mounting in mountings for choice in mounting.attacks)
    scores = sum(mounting.scores for mounting in mountings)
    with pool_of(1 if has_own else max(min(jobs, scores // SCORES_A_PROCESS), 1)) as pool:
        tasks = MountingTasks(mountings, pool, "an audit")
        for future in pool.completed():
            tasks.keep(future)
    return tasks.joined()


def mount_part(of_arm: Mounting, rows: list[int]) -> Mounted:
    """Returns what the attacks measured on the targets at some positions; the work of one task."""
    mounting = replace(of_arm, rows=rows)
    # Sums of linear algebra depend on the number of threads by rounding.
    with threadpool_limits(limits=1):
        of_attacks = [_rescored(number, mounting) for number in range(len(mounting.attacks))]
        membership, data = mounting.observations.membership[mounting.rows], mounting.data
        measures = [
            measured(of.scores, membership, data, of.jackknife)._replace(
                independent=_independent(number, mounting, of.scores)
            )
            for number, of in enumerate(of_attacks)
        ]
        power = _power(mounting) if mounting.in_detail else {}
        halves = _halves(mounting, of_arm.rows) if mounting.in_detail else None
    return Mounted(measures, power, of_attacks[0].auc_by_class, halves)


def _joined(parts: Sequence[Mounted]) -> Mounted:
    """Returns what was measured on the targets of all parts, in their order."""
    of_attacks = [
        Measured(
            np.concatenate([part.scores for part in of_attack]),
            _joined_metrics([part.metrics for part in of_attack]),
            _joined_scores([part.independent for part in of_attack]),
        )
        for of_attack in zip(*(part.attacks for part in parts), strict=True)
    ]
    power = {
        shadows: _joined_metrics([part.power[shadows] for part in parts])
        for shadows in parts[0].power
    }
    by_class = {
        label: Jackknife.joined([part.auc_by_class[label] for part in parts])
        for label in parts[0].auc_by_class
    }
    halves = [part.halves for part in parts if part.halves is not None]
    return Mounted(of_attacks, power, by_class, _joined_halves(halves) if halves else None)


def _joined_halves(parts: Sequence[ScoresOfHalves]) -> ScoresOfHalves:
    return ScoresOfHalves(
        targets=[target for part in parts for target in part.targets],
        shadows=parts[0].shadows,
        first=np.concatenate([part.first for part in parts]),
        second=np.concatenate([part.second for part in parts]),
    )


def _joined_scores(parts: Sequence[NDArray[np.float64] | None]) -> NDArray[np.float64] | None:
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if known else None


def _joined_metrics(parts: Sequence[MetricsByName]) -> MetricsByName:
    return {name: Resampled.joined([part[name] for part in parts]) for name in parts[0]}


def _rescored(number: int, mounting: Mounting) -> Rescored:
    """Returns the scores of an attack, and the jackknife of its metrics."""
    choice, groups = mounting.attacks[number], mounting.groups[number]
    classes = mounting.classes if number == 0 else {}
    with named(choice):
        return rescored(
            choice.built,
            mounting.observations,
            mounting.shadows,
            mounting.rows,
            groups,
            mounting.data.splits,
            classes,
        )


def _independent(
    number: int, mounting: Mounting, scores: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Returns scores of an attack that are independent on each side; None without sides.

    `scores` (targets, examples) are those with all other models as shadows.
    """
    choice, sides = mounting.attacks[number], mounting.sides[number]
    if not sides:
        return None
    others = mounting.observations.models - 1
    is_alone = len(sides[0].targets) == 1 and len(sides[0].shadows) == others
    if not sides[0].shadows or (is_alone and len(sides) == 1):
        return scores
    with named(choice):
        return scores_with_disjoint_shadows(
            choice.built, mounting.observations, mounting.shadows, sides, mounting.rows
        )


def measured(
    scores: NDArray[np.float64],
    membership: NDArray[np.bool_],
    data: AuditedData,
    jackknife: dict[str, Jackknife] | None = None,
) -> Measured:
    """Returns scores with their metrics; both arguments are (targets, examples)."""
    resamples = data.example_resamples
    return Measured(
        scores, resampled_metrics(scores, membership, resamples, data.halves, jackknife)
    )


def _power(mounting: Mounting) -> dict[int, MetricsByName]:
    """Returns the metrics of the first attack by the number of shadow models: 2, 4, 8, …

    Slow attacks have fewer numbers. The result is empty for an attack without shadow models.
    """
    choice, observations, data = mounting.attacks[0], mounting.observations, mounting.data
    # Limits on references equalise the counts of all shadows, not those of some of them.
    if "shadows" not in choice.built.needs or observations.references is not None:
        return {}
    models = observations.models
    attack = choice.built.resolved(models - 1)
    orders = {target: _shadow_order(target, models, data.seed) for target in mounting.rows}
    with named(choice):
        numbers = numbers_of_shadows(attack, models)
        curve = scores_by_number(attack, observations, numbers, orders)
    membership = observations.membership[mounting.rows]
    resamples = data.example_resamples[:POWER_RESAMPLES]
    return {
        shadows: resampled_metrics(scores, membership, resamples, data.halves, names=ANALYSED)
        for shadows, scores in curve.items()
    }


def _halves(mounting: Mounting, targets: list[int]) -> ScoresOfHalves | None:
    """Returns the scores of the first attack with halves of the shadow models.

    `targets` are the positions of all targets of the arm, among them those of the mounting.
    """
    choice, data = mounting.attacks[0], mounting.data
    with named(choice):
        return scores_with_halves(
            choice.built, mounting.observations, targets, mounting.rows, data.seed
        )


def _shadow_order(target: int, models: int, seed: int) -> NDArray[np.int64]:
    """Returns the other models (models - 1,) in the random order in which they become shadows.

    `target` and the result are positions among the `models` observed models.
    """
    others = np.delete(np.arange(models), target)
    return numpy_generator(seed, "shadows", target).permutation(others)


@contextmanager
def named(attack: Choice) -> Iterator[None]:
    """Raises RuntimeError, with the name of the attack, where an attack of the user's own fails."""
    try:
        yield
    except UsageError:
        raise
    except RAISED as error:
        if attack.own_sha256 is None:
            raise
        reason = error_line_with_place(error)
        message = f"attack {attack} failed: {reason}; mgaudit.testing.check_attack checks it"
        raise RuntimeError(message) from error
