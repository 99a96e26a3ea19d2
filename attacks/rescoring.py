"""The jackknife of every metric of an attack: each target is scored again without some shadows."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.attack import Attack, jackknife_scores
from mgaudit.attacks.jackknife import Jackknife, ModelGroups
from mgaudit.attacks.metrics import metrics_on_halves
from mgaudit.attacks.observations import Observations

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

NO_CLASSES: Mapping[int, Flags] = MappingProxyType({})


class Rescored(NamedTuple):
    """The scores (targets, examples) of an attack, and the jackknife of its metrics.

    `jackknife` has each metric by name, and `auc_by_class` the AUC within each class; both are
    empty without a jackknife.
    """

    scores: Floats
    jackknife: dict[str, Jackknife]
    auc_by_class: dict[int, Jackknife]


def has_jackknife(attack: Attack, membership: Flags, halves: Flags) -> bool:
    """Returns whether the attack's metrics have a jackknife.

    They have none for an attack without shadows, for one target, and if a target has no member or
    no non-member in one half of the examples. `membership` (targets, examples) is that of all
    targets, and `halves` as from `random_halves`.
    """
    return "shadows" in attack.needs and len(membership) > 1 and _both_kinds(membership, halves)


def classes_with_jackknife(
    labels: NDArray[np.int64], membership: Flags, halves: Flags
) -> dict[int, Flags]:
    """Returns whether an example is of a class (examples,), for the classes with a jackknife.

    Those have members and non-members of each target in each half. `labels` are (examples,); the
    other arguments are those of `has_jackknife`.
    """
    classes = {label: labels == label for label in np.unique(labels).tolist()}
    return {
        label: in_class
        for label, in_class in classes.items()
        if _both_kinds(membership[:, in_class], halves[:, in_class])
    }


def rescored(
    attack: Attack,
    observations: Observations,
    shadows: Observations | None,
    targets: Sequence[int],
    groups: ModelGroups | None,
    halves: Flags,
    classes: Mapping[int, Flags] = NO_CLASSES,
) -> Rescored:
    """Returns the scores of the targets, and the jackknife over models of each metric.

    Args:
        attack: The attack, with the settings that it has for the number of other models.
        observations: The outputs of all models.
        shadows: As that of `score_every_target`.
        targets: The numbers of the attacked models, or of some of them.
        groups: The groups of the observed models; None without a jackknife (`has_jackknife`).
        halves: Whether an example is in the first half, for each split (splits, examples), as from
            `random_halves`.
        classes: The classes whose AUC has a jackknife, as from `classes_with_jackknife`.

    Raises:
        ValueError, UsageError: As `score_every_target`.
    """
    membership = observations.membership[list(targets)]
    removed = [] if groups is None else groups.members()
    of_targets = jackknife_scores(attack, observations, shadows, targets, removed)
    rows, values = [], []
    of_classes: dict[int, list[Floats]] = {label: [] for label in classes}
    for of_target, members in zip(of_targets, membership, strict=True):
        rows.append(of_target.scores)
        if groups is None:
            continue
        values.append(metrics_on_halves(of_target.without, members, halves))
        for label, chosen in classes.items():
            without = of_target.without[:, chosen]
            by_name = metrics_on_halves(without, members[chosen], halves[:, chosen], names=["auc"])
            of_classes[label].append(by_name["auc"])
    if groups is None:
        return Rescored(np.stack(rows), {}, {})
    group_of_target = groups.of_model[list(targets)]

    def jackknife(of_metric: list[Floats]) -> Jackknife:
        return Jackknife(np.stack(of_metric, axis=-1), group_of_target)

    by_metric = {name: jackknife([of[name] for of in values]) for name in values[0]}
    by_class = {label: jackknife(of_class) for label, of_class in of_classes.items()}
    return Rescored(np.stack(rows), by_metric, by_class)


def _both_kinds(membership: Flags, halves: Flags) -> bool:
    """Returns whether each target has members and non-members in each half of the examples."""
    return all(
        bool(side[:, half].any(axis=1).all())
        for side in (membership, ~membership)
        for half in (*halves, *~halves)
    )
