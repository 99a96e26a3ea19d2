"""The section on what was checked about outputs that mgaudit did not make."""

from mgaudit.reports.arrays import Arrays
from mgaudit.reports.input_checks import Clipping, InputChecks, MembershipCheck, ShadowMatch
from mgaudit.reports.results import StudyResult
from mgaudit.reports.section import Block, Section, Words
from mgaudit.reports.table import Cell, Table, number

SOURCES_DIFFER = (
    "An attack that sees no model, only {seen}, distinguishes members from non-members with AUC "
    "{auc}. Members and non-members come from different sources, so this audit measures the "
    "sources and not only what the models memorise."
)
DEPENDENT = (
    "Membership is not drawn by independent coins: the number of shadow models that trained on an "
    "example would reveal whether the target did. It is therefore made equal for all examples (see "
    "the section Checks)."
)


DEPENDENT_SCORES = (
    "Membership is not drawn by independent coins: the number of models that trained on an example "
    "would reveal whether the target did. Scores that were computed with such shadow models may "
    "contain this number, and then show more than what the model memorised."
)


def is_ready_made(study: StudyResult) -> bool:
    """Returns whether the scores are those of an attack that was mounted elsewhere."""
    return study.arms[0].attacks[0].choice.name == "scores"


def check_section(study: StudyResult, arrays: Arrays) -> Section | None:
    """Returns the section on the checks; None for models that mgaudit trained."""
    checks = study.checks
    if checks is None:
        return None
    blocks: list[Block] = [Words(_sentences(study, checks))]
    if checks.by_group:
        blocks.append(_group_table(study, checks))
    if checks.left_out:
        blocks.append(_left_out_table(checks))
    return Section.of("Checks", *blocks)


def warnings(study: StudyResult) -> list[str]:
    """Returns the sentences of the checks that belong to the verdict."""
    checks = study.checks
    if checks is None:
        return []
    sentences = []
    if checks.blind is not None and checks.blind.beats_chance:
        seen = "inputs and labels" if checks.blind.inputs else "labels"
        sentences.append(SOURCES_DIFFER.format(seen=seen, auc=number(checks.blind.auc)))
    if not checks.membership.independent:
        sentences.append(DEPENDENT_SCORES if is_ready_made(study) else DEPENDENT)
    if checks.clipping is not None and checks.clipping.effects:
        sentences.append(_clip_effects(checks.clipping))
    if checks.match is not None:
        sentences += mismatches(checks.match)
    return sentences


def _sentences(study: StudyResult, checks: InputChecks) -> list[str]:
    sentences = list(checks.notes)
    if checks.match is not None:
        sentences += _matches(checks.match)
    membership = checks.membership
    if membership.correlations and study.settings["models"] > 1:
        sentences.append(_dependence(membership, is_ready_made(study)))
    if membership.reason:
        sentences.append(f"There is no lower bound on ε, because {membership.reason}.")
    blind = checks.blind
    if blind is not None:
        seen = "inputs and labels" if blind.inputs else "labels"
        result = (
            "better than guessing"
            if blind.beats_chance
            else "not significantly better than guessing"
        )
        sentences.append(
            f"Blind baseline: an attack that sees only {seen}, no model, has AUC "
            f"{number(blind.auc)} (p = {blind.p_value:.2g}), which is {result}."
        )
    if checks.clipping is not None:
        sentences.append(_clip_effects(checks.clipping))
    if checks.allowed:
        sentences.append(f"Attacks that are also possible: {', '.join(checks.allowed)}.")
    return sentences


def mismatches(match: ShadowMatch) -> list[str]:
    """Returns a sentence for each way in which the shadow models do not resemble the target."""
    sentences = []
    if match.accuracy_differs:
        sentences.append(f"The shadow models match the target poorly: {_accuracies(match)}.")
    if match.losses_differ:
        sentences.append(f"The shadow models match the target poorly: {_distances(match)}.")
    if match.is_near_chance:
        sentences.append(
            f"The accuracy of the target is near that of guessing ({_percent(match.chance)}). Its "
            "inputs may differ from those that it was trained on: see the option inputs."
        )
    elif sentences:
        sentences.append(
            "Attacks that use shadow models can miss a leak of such a target. Check its inputs "
            "(the option inputs), and train the shadow models with the settings of the target."
        )
    return sentences


def _matches(match: ShadowMatch) -> list[str]:
    """Returns the comparison of the target with its shadow models, and what to conclude from it."""
    sentences = []
    if not match.accuracy_differs:
        sentences.append(f"The shadow models match the target: {_accuracies(match)}.")
    if not match.losses_differ:
        sentences.append(f"The shadow models match the target: {_distances(match)}.")
    return sentences + mismatches(match)


def _accuracies(match: ShadowMatch) -> str:
    accuracies, limits = match.shadow_accuracies, match.accuracy_limits
    return (
        f"its accuracy on {match.non_members} non-members is {_percent(match.accuracy)}, that of "
        f"the shadow models is {_percent(min(accuracies))} to {_percent(max(accuracies))}, and "
        f"with sampling error {_percent(limits.low)} to {_percent(limits.high)} is expected"
    )


def _distances(match: ShadowMatch) -> str:
    distances = match.shadow_loss_distances
    return (
        "the Kolmogorov–Smirnov distance of its losses on non-members from those of a shadow model "
        f"is {match.loss_distance:.3f} on average, that of two shadow models is "
        f"{min(distances):.3f} to {max(distances):.3f}, and at most "
        f"{match.loss_distance_limit:.3f} is expected"
    )


def _percent(share: float) -> str:
    return f"{share * 100:.1f} %"


def _dependence(membership: MembershipCheck, ready_made: bool) -> str:
    """Returns whether the membership of the targets depends on that of the other models."""
    extreme = max(membership.correlations, key=abs)
    measured = (
        "the correlation, over examples, of a target's membership with the number of other models "
        f"that trained on the example is {_signed(extreme)} for the target where it is largest"
    )
    if membership.independent:
        return f"Membership: {measured}, as independent coins would give."
    if ready_made:
        return f"{DEPENDENT_SCORES} Here {measured}."
    limits = f"{membership.references_in} models with it and {membership.references_out} without it"
    return (
        f"Membership is not drawn by independent coins: {measured}. The number of shadow models "
        "with an example would reveal whether the target trained on it, so every example is "
        f"compared with at most {limits}."
    )


def _clip_effects(clipping: Clipping) -> str:
    share = f"{clipping.share * 100:.3g} % of the probabilities were raised to {clipping.clip:g}"
    if not clipping.effects:
        return f"Clipping: {share}; other values do not move the AUC out of its interval."
    effects = ", ".join(f"{effect.auc:.3f} at {effect.clip:g}" for effect in clipping.effects)
    return f"Clipping: {share}. The AUC of the first attack depends on this value: {effects}."


def _signed(value: float) -> str:
    return f"{value + 0.0:.2f}".replace("-", "−")


def _group_table(study: StudyResult, checks: InputChecks) -> Table:
    labels = {arm.key: arm.label for arm in study.arms}
    rows = [
        [
            Cell(labels[success.arm]),
            Cell(success.attack),
            Cell(str(success.groups), value=success.groups),
            number(success.metrics["auc"]),
            number(success.metrics["tpr@0.01"], 100, 2),
        ]
        for success in checks.by_group
    ]
    notes = [
        "The score of a group is the mean score of its examples. Intervals are for other targets "
        "and other groups."
    ]
    columns = ["Arm", "Attack", "Groups", "AUC", "TPR at 1 % FPR, %"]
    return Table("by-group", "Attack on whole groups", columns, rows, notes)


def _left_out_table(checks: InputChecks) -> Table:
    rows = [[Cell(left_out.attack), Cell(left_out.reason)] for left_out in checks.left_out]
    return Table("left-out", "Attacks that these outputs do not allow", ["Attack", "Reason"], rows)
