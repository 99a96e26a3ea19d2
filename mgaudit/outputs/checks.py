"""Checks of outputs that mgaudit did not make: membership, sources, clipping and groups."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks import score_every_target
from mgaudit.attacks.blind import blind_scores, random_folds
from mgaudit.attacks.intervals import (
    resample_counts,
    resampled_metrics,
    two_way_interval,
    two_way_p_value,
)
from mgaudit.attacks.membership_layout import MembershipLayout
from mgaudit.attacks.references import ReferenceLimits
from mgaudit.attacks.roc import roc
from mgaudit.outputs.model_outputs import ModelOutputs
from mgaudit.outputs.resamples import with_members
from mgaudit.reports.input_checks import (
    BlindBaseline,
    ClipEffect,
    Clipping,
    GroupSuccess,
    MembershipCheck,
)
from mgaudit.reports.record import Estimate
from mgaudit.reports.results import AuditResult
from mgaudit.settings.choices import Choice
from mgaudit.study.attack import Audit
from mgaudit.study.audited import AuditedData
from mgaudit.targets.seeds import numpy_generator

OTHER_CLIPS = (1e-2, 1e-3, 1e-4, 1e-6, 1e-8, 1e-10)
# Targets of the blind baseline: more would take long, and say little more about the sources.
FEWEST_BLIND_TARGETS, MOST_BLIND_TARGETS = 2, 8
BLIND_ROWS = 40_000  # examples times targets
FEWEST_BLIND_EXAMPLES = 50


def membership_check(layout: MembershipLayout) -> MembershipCheck:
    """Returns the record of how membership was drawn."""
    limits = layout.limits
    return MembershipCheck(
        correlations=layout.correlations,
        independent=limits is None,
        references_in=None if limits is None else limits.references_in,
        references_out=None if limits is None else limits.references_out,
        reason=layout.reason,
    )


def blind_baseline(
    data: AuditedData,
    inputs: NDArray[np.floating] | None,
    groups: NDArray[np.int64] | None,
    targets: Sequence[int],
) -> BlindBaseline | None:
    """Returns the AUC of an attack on inputs and labels alone, over some of the targets.

    Returns None without inputs and labels, and with fewer than FEWEST_BLIND_EXAMPLES examples.
    """
    examples = data.membership.shape[1]
    if (inputs is None and data.labels is None) or examples < FEWEST_BLIND_EXAMPLES:
        return None
    count = min(max(BLIND_ROWS // examples, FEWEST_BLIND_TARGETS), MOST_BLIND_TARGETS)
    spaced = np.linspace(0, len(targets) - 1, min(len(targets), count))
    chosen = [targets[index] for index in spaced.round().astype(int)]
    membership = data.membership[chosen]
    kept_together = np.arange(examples) if groups is None else groups
    folds = random_folds(kept_together, numpy_generator(data.seed, "blind baseline"))
    scores = blind_scores(inputs, data.labels, membership, folds, data.seed)
    auc = resampled_metrics(scores, membership, data.example_resamples, names=["auc"])["auc"]
    interval = two_way_interval(auc, data.trials(chosen))
    return BlindBaseline(
        auc=Estimate(**interval._asdict()),
        p_value=two_way_p_value(auc.shifted(-0.5)),
        inputs=inputs is not None,
    )


def clipping(
    outputs: ModelOutputs,
    limits: ReferenceLimits | None,
    attack: Choice,
    arm: AuditResult,
    targets: Sequence[int],
) -> Clipping | None:
    """Returns how probabilities became logits; None if logits were given.

    `arm` is the result at the clip in use. The first attack is repeated with OTHER_CLIPS, and those
    with an AUC outside its interval are listed. `targets` are positions of models in the outputs.
    """
    if outputs.clipped is None:
        return None
    interval = arm.attacks[0].metrics["auc"]
    effects = []
    for clip in OTHER_CLIPS:
        if clip == outputs.clipped.clip:
            continue
        observations = outputs.at_clip(clip).observations(limits)
        scores = score_every_target(attack.built, observations, targets=targets)
        pairs = zip(scores, outputs.membership[list(targets)], strict=True)
        auc = float(np.mean([roc(*pair).auc() for pair in pairs]))
        if not interval.low <= auc <= interval.high:
            effects.append(ClipEffect(clip=clip, auc=auc))
    return Clipping(clip=outputs.clipped.clip, share=outputs.clipped.share, effects=effects)


def success_by_group(
    audits: Iterable[Audit], data: AuditedData, groups: NDArray[np.int64] | None
) -> list[GroupSuccess]:
    """Returns the success of each attack in finding groups of examples.

    The result is empty without groups, and where some examples of a group are members and others
    are not.
    """
    if groups is None:
        return []
    numbers, first_rows, group_of_example = np.unique(
        groups, return_index=True, return_inverse=True
    )
    by_group = data.membership[:, first_rows]
    if (by_group[:, group_of_example] != data.membership).any():
        return []
    resamples = resample_counts(len(numbers), numpy_generator(data.seed, "group resamples"))
    sizes = np.bincount(group_of_example)
    successes = []
    for audit in audits:
        for outcome in audit.outcomes:
            if outcome.adversary != "adaptive":
                continue
            sums = [np.bincount(group_of_example, weights=row) for row in outcome.scores]
            scores = np.stack(sums) / sizes
            membership = by_group[outcome.targets]
            trials = int(membership.sum(axis=1).min())
            usable = with_members(resamples, membership)
            metrics = resampled_metrics(scores, membership, usable, names=("auc", "tpr@0.01"))
            estimates = {
                name: Estimate(**two_way_interval(numbers, trials)._asdict())
                for name, numbers in metrics.items()
            }
            success = GroupSuccess(
                arm=audit.arm.key,
                attack=outcome.attack.text,
                groups=len(numbers),
                metrics=estimates,
            )
            successes.append(success)
    return successes
