"""The jackknife of every metric of an attack: each target is scored again without some shadows."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.attack import Attack, jackknife_scores
from mgaudit.attacks.jackknife import Jackknife, ModelGroups
from mgaudit.attacks.metrics import metrics_on_halves
from mgaudit.attacks.observations import Observations

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def has_jackknife(attack: Attack, membership: Flags, halves: Flags) -> bool:
    """Returns whether the attack's metrics have a jackknife.

    They have none for an attack without shadows, for one target, and if a target has no member or
    no non-member in one half of the examples. `membership` (targets, examples) is that of all
    targets, and `halves` as from `random_halves`.
    """
    return "shadows" in attack.needs and len(membership) > 1 and _both_kinds(membership, halves)


def scores_and_jackknife(
    attack: Attack,
    observations: Observations,
    shadows: Observations | None,
    targets: Sequence[int],
    groups: ModelGroups | None,
    halves: Flags,
) -> tuple[Floats, dict[str, Jackknife]]:
    """Returns the scores (targets, examples), and the jackknife of each metric by name.

    Args:
        attack: The attack, with the settings that it has for the number of other models.
        observations: The outputs of all models.
        shadows: As that of `score_every_target`.
        targets: The numbers of the attacked models, or of some of them.
        groups: The groups of the observed models; None without a jackknife (`has_jackknife`).
        halves: Whether an example is in the first half, for each split (splits, examples), as from
            `random_halves`.

    Raises:
        ValueError, UsageError: As `score_every_target`.
    """
    membership = observations.membership[list(targets)]
    removed = [] if groups is None else groups.members()
    of_targets = jackknife_scores(attack, observations, shadows, targets, removed)
    rows, values = [], []
    for of_target, members in zip(of_targets, membership, strict=True):
        rows.append(of_target.scores)
        if groups is not None:
            values.append(metrics_on_halves(of_target.without, members, halves))
    if groups is None:
        return np.stack(rows), {}
    group_of_target = groups.of_model[list(targets)]
    jackknife = {}
    for name in values[0]:
        of_metric = np.stack([of_target[name] for of_target in values], axis=-1)
        jackknife[name] = Jackknife(of_metric, group_of_target)
    return np.stack(rows), jackknife


def _both_kinds(membership: Flags, halves: Flags) -> bool:
    """Returns whether each target has members and non-members in each half of the examples."""
    return all(
        bool(side[:, half].any(axis=1).all())
        for side in (membership, ~membership)
        for half in (*halves, *~halves)
    )
