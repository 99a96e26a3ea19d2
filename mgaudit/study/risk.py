"""The risk of a released model under the first attack: flagged records and their reliability."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks import Observations
from mgaudit.attacks.attack import Attack
from mgaudit.attacks.flag_agreement import (
    HalvesAgreement,
    ScoresOfHalves,
    SharedFlags,
    agreement_of_halves,
    scores_of_halves,
    shared_flags,
)
from mgaudit.attacks.flagged import Flagged, flagged_in_one, flagged_records
from mgaudit.attacks.pseudo_targets import pseudo_target_scores
from mgaudit.targets.seeds import numpy_generator

# The largest numbers of models that are attacked again, fewer with a slow attack.
MOST_HALVED, MOST_HALVED_IF_SLOW = 8, 4
MOST_PSEUDO_TARGETS, MOST_PSEUDO_TARGETS_IF_SLOW = 16, 4

ONE_TARGET_OF_SCORES = (
    "no records are flagged: there is one target, and no shadow models whose known non-members "
    "calibrate its scores"
)
ONE_TARGET = "there is only one target"


@dataclass(frozen=True)
class RiskOfArm:
    """Flagged records of the targets of an arm, and how reliable the lists are.

    A part that is missing is None, and a clause in `without_...` says why; it is "" otherwise.

    Args:
        flagged: The flagged records of each target.
        pseudo_targets: The number of models whose non-members calibrate the p-values of a target.
        shared: Agreement between targets that were trained on the same record.
        halves: Agreement between two halves of the shadow models.
    """

    flagged: Flagged | None
    pseudo_targets: int
    without_flagged: str
    shared: SharedFlags | None
    without_shared: str
    halves: HalvesAgreement | None
    without_halves: str


def risk_of_scores(
    scores: NDArray[np.float64],
    membership: NDArray[np.bool_],
    without_halves: str = "the outputs of the models are not known",
    halves: HalvesAgreement | None = None,
) -> RiskOfArm:
    """Returns the risk by scores and membership (targets, examples) of models attacked in turn."""
    targets = len(scores)
    if targets == 1:
        return _without_list(ONE_TARGET_OF_SCORES)
    flagged = flagged_records(scores, membership)
    return _with_list(flagged, targets - 1, halves, without_halves)


def risk_of_arm(
    attack: Attack,
    observations: Observations,
    rows: Sequence[int],
    scores: NDArray[np.float64],
    halves: ScoresOfHalves | None,
) -> RiskOfArm:
    """Returns the risk of an arm whose models have these outputs.

    With several targets, the others are the pseudo-targets of each. With one target, shadow models
    are attacked as pseudo-targets.

    Args:
        attack: The first attack.
        observations: The outputs of the arm's models.
        rows: The positions of the targets among the observed models.
        scores: The attack's scores of the targets (targets, examples).
        halves: The scores of the first targets with halves of the shadow models, as from
            `scores_with_halves`; None where there are none.
    """
    attack = attack.resolved(observations.models - 1)
    if len(rows) == 1:
        return _risk_of_one(attack, observations, rows[0], scores)
    reason, agreement = _why_no_halves(attack, observations), None
    if halves is not None:
        agreement = agreement_of_halves(halves, observations.membership[halves.targets])
    return risk_of_scores(scores, observations.membership[list(rows)], reason, agreement)


def _risk_of_one(
    attack: Attack, observations: Observations, row: int, scores: NDArray[np.float64]
) -> RiskOfArm:
    """Returns the risk of a single target, by its shadow models as pseudo-targets."""
    shadows = observations.models - 1
    if shadows == 0:
        return _without_list(ONE_TARGET_OF_SCORES)
    fewest = attack.fewest_shadows if "shadows" in attack.needs else 0
    if shadows - 1 < fewest or attack.resolved(shadows - 1) != attack:
        return _without_list(
            f"no records are flagged: with {_models(shadows)}, none can be attacked like the "
            "target with the others as its shadow models"
        )
    most = MOST_PSEUDO_TARGETS_IF_SLOW if attack.is_slow else MOST_PSEUDO_TARGETS
    view = observations.view(row)
    pseudo_scores, pseudo_membership = pseudo_target_scores(attack, view, most)
    membership = observations.membership[[row]]
    flagged = flagged_in_one(scores, membership, pseudo_scores, pseudo_membership)
    return _with_list(flagged, len(pseudo_scores), None, ONE_TARGET)


def _why_no_halves(attack: Attack, observations: Observations) -> str:
    """Returns why the attack cannot be repeated with halves of the shadow models; "" if it can."""
    half = (observations.models - 1) // 2
    if "shadows" not in attack.needs:
        return "the attack uses no shadow models"
    if observations.references is not None:
        return "the number of shadow models of each example is limited, which halves would change"
    if half < attack.fewest_shadows or attack.resolved(half) != attack:
        return f"half of the shadow models ({half}) are too few for the attack"
    return ""


def scores_with_halves(
    attack: Attack,
    observations: Observations,
    targets: Sequence[int],
    rows: Sequence[int],
    seed: int,
) -> ScoresOfHalves | None:
    """Returns the scores with two halves of the shadow models; None where there are none.

    Only the first targets are attacked again. `targets` are the positions of all targets among the
    observed models, and `rows` those of the targets whose scores are returned. `seed` draws the
    halves.
    """
    attack = attack.resolved(observations.models - 1)
    chosen = [row for row in targets[: most_halved(attack)] if row in rows]
    if len(targets) == 1 or not chosen or _why_no_halves(attack, observations):
        return None
    orders = {}
    for row in chosen:
        others = np.delete(np.arange(observations.models), row)
        generator = numpy_generator(seed, "halves of the shadows", row)
        orders[row] = generator.permutation(others)
    return scores_of_halves(attack, observations, orders)


def most_halved(attack: Attack) -> int:
    """Returns how many targets are attacked again with halves of the shadow models, at most."""
    return MOST_HALVED_IF_SLOW if attack.is_slow else MOST_HALVED


def _with_list(
    flagged: Flagged, pseudo_targets: int, halves: HalvesAgreement | None, without_halves: str
) -> RiskOfArm:
    """Returns the risk with a list of flagged records of each target."""
    has_shared = bool((flagged.membership.sum(axis=0) >= 2).any())
    without_shared = "" if has_shared else "no record is in the training data of two targets"
    return RiskOfArm(
        flagged=flagged,
        pseudo_targets=pseudo_targets,
        without_flagged="",
        shared=shared_flags(flagged) if has_shared else None,
        without_shared=ONE_TARGET if len(flagged.flagged) == 1 else without_shared,
        halves=halves,
        without_halves=without_halves,
    )


def _without_list(reason: str) -> RiskOfArm:
    """Returns the risk where no record is flagged, for a reason."""
    return RiskOfArm(None, 0, reason, None, reason, None, reason)


def _models(shadows: int) -> str:
    return "one shadow model" if shadows == 1 else f"{shadows} shadow models"
