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


def scores_and_jackknife(
    attack: Attack,
    observations: Observations,
    shadows: Observations | None,
    targets: Sequence[int],
    groups: ModelGroups,
    halves: Flags,
) -> tuple[Floats, dict[str, Jackknife]]:
    """Returns the scores (targets, examples), and the jackknife of each metric by name.

    The dictionary is empty for an attack without shadows, for one target, and if a target has no
    member or no non-member in one half of the examples.

    Args:
        attack: The attack, with the settings that it has for the number of other models.
        observations: The outputs of all models.
        shadows: As that of `score_every_target`.
        targets: The numbers of the attacked models.
        groups: The groups of the observed models.
        halves: Whether an example is in the first half, for each split (splits, examples), as from
            `random_halves`.

    Raises:
        ValueError, UsageError: As `score_every_target`.
    """
    membership = observations.membership[list(targets)]
    can_repeat = "shadows" in attack.needs and len(targets) > 1 and _both_kinds(membership, halves)
    removed = groups.members() if can_repeat else []
    of_targets = jackknife_scores(attack, observations, shadows, targets, removed)
    rows, values = [], []
    for of_target, members in zip(of_targets, membership, strict=True):
        rows.append(of_target.scores)
        if can_repeat:
            values.append(metrics_on_halves(of_target.without, members, halves))
    group_of_target = groups.of_model[list(targets)]
    jackknife = {}
    for name in values[0] if values else ():
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
