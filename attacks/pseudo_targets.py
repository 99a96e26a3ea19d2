"""Scores of shadow models that are attacked in turn like the target: pseudo-targets."""

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.adversary_view import AdversaryView
from mgaudit.attacks.attack import Attack, score_view
from mgaudit.attacks.references import content_order
from mgaudit.attacks.signals import logit_confidence


def pseudo_target_scores(
    attack: Attack, view: AdversaryView, most: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Returns scores and membership (pseudo-targets, examples) of at most `most` shadow models.

    The other shadow models are the shadow models of a pseudo-target, one fewer than the target has.
    The target is not among them, so that neither its outputs nor its membership are used. Which
    shadow models are chosen depends on their content, not on their order.

    Args:
        attack: The attack, with settings that are resolved for the target.
        view: What the adversary of the target sees, with at least one shadow model.
        most: The largest number of pseudo-targets.
    """
    chosen = content_order(view.shadow_signal(logit_confidence))[:most]
    scores, membership = [], []
    for shadow in chosen.tolist():
        pseudo_view, members = view.pseudo_target(shadow)
        scores.append(score_view(attack, pseudo_view, len(view.labels)))
        membership.append(members)
    return np.stack(scores), np.stack(membership)
