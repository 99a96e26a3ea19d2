"""Scores of several targets that are independent of one another, given the shadow models.

Usually every model is a target once and a shadow of all other targets, so that the scores of two
targets depend on the membership of both. Here no target is a shadow of another target. Given the
shadows, the score of a target then depends on this target alone. So bounds on epsilon from several
targets can be combined like those from independent runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.attack import Attack, checked_scores
from mgaudit.attacks.observations import Observations

FEWEST_SHADOWS = 2  # of a side


@dataclass(frozen=True)
class Side:
    """Targets and the shadow models that all of them have, which are no targets of this side.

    Both are positions among the observed models, ascending. `shadows` is empty for an attack
    without shadow models.
    """

    targets: tuple[int, ...]
    shadows: tuple[int, ...]


def sides_of(attack: Attack, models: Sequence[int], targets: Sequence[int]) -> tuple[Side, ...]:
    """Returns the sides on which the attack's scores are independent, given the shadows.

    - Without shadow models, all targets are on one side.
    - A single target has all other models as shadows, and so have the targets where at least half
      of the models are no targets.
    - Otherwise there are two halves of the models, those of even and those of odd index in the
      study. The targets of each half have the models of the other half as shadows.

    Each side must have FEWEST_SHADOWS shadows, and as many as the attack needs. Sides depend on
    indices only, not on results.

    Args:
        attack: The attack.
        models: The index in the study of each observed model.
        targets: The positions of the targets among the observed models, ascending.

    Returns:
        One or two sides, which have all targets, or none where one has too few shadows.
    """
    if "shadows" not in attack.needs:
        return (Side(tuple(targets), ()),)
    everything = range(len(models))
    others = [model for model in everything if model not in targets]
    if len(targets) == 1 or 2 * len(others) >= len(models):
        candidates = [Side(tuple(targets), tuple(others))]
    else:
        halves = [[model for model in everything if models[model] % 2 == half] for half in (0, 1)]
        candidates = [
            Side(tuple(target for target in targets if target in half), tuple(other))
            for half, other in (halves, halves[::-1])
        ]
    sides = tuple(side for side in candidates if side.targets)
    fewest = max(FEWEST_SHADOWS, attack.fewest_shadows)
    return sides if all(len(side.shadows) >= fewest for side in sides) else ()


def scores_with_disjoint_shadows(
    attack: Attack,
    observations: Observations,
    shadows: Observations | None,
    sides: Sequence[Side],
    targets: Sequence[int],
) -> NDArray[np.float64]:
    """Returns scores (targets, examples) of targets whose shadows are those of their side only.

    The attack is resolved for the number of these shadows.

    Args:
        attack: An attack with shadow models.
        observations: The outputs of all models.
        shadows: As that of `score_every_target`.
        sides: The sides, as from `sides_of`.
        targets: Positions of some of the targets of these sides.

    Raises:
        ValueError: For `shadows` with other labels, membership, queries or classes.
        UsageError: For scores that are not finite float64 (examples,).
    """
    examples = observations.membership.shape[1]
    scores = np.empty((len(targets), examples))
    for side in sides:
        rows = [row for row, target in enumerate(targets) if target in side.targets]
        if rows:
            of_side = [targets[row] for row in rows]
            scores[rows] = _scores_of_side(attack, observations, shadows, side, of_side)
    return scores


def _scores_of_side(
    attack: Attack,
    observations: Observations,
    shadows: Observations | None,
    side: Side,
    targets: Sequence[int],
) -> NDArray[np.float64]:
    """Returns scores (targets, examples) of targets of a side."""
    resolved = attack.resolved(len(side.shadows))
    numbers = np.array(side.shadows)
    separate = observations.with_shadows_only(numbers, shadows)
    views = [separate.view(target, numbers=numbers) for target in targets]
    examples = observations.membership.shape[1]
    score = resolved.fitted(views[0])
    rows = []
    for view in views:
        if not resolved.learns_from_shadows_only:
            score = resolved.fitted(view)
        rows.append(checked_scores(resolved, score(view), examples))
    return np.stack(rows)
