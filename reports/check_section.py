"""The section on what was checked about outputs that mgaudit did not make."""

from mgaudit.reports.arrays import Arrays
from mgaudit.reports.input_checks import Clipping, InputChecks, MembershipCheck
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
        sentences.append(DEPENDENT)
    if checks.clipping is not None and checks.clipping.effects:
        sentences.append(_clip_effects(checks.clipping))
    return sentences


def _sentences(study: StudyResult, checks: InputChecks) -> list[str]:
    sentences = list(checks.notes)
    membership = checks.membership
    if membership.correlations and study.settings["models"] > 1:
        sentences.append(_dependence(membership))
    if membership.reason:
        sentences.append(f"There is no lower bound on ε, because {membership.reason}.")
    blind = checks.blind
    if blind is not None:
        seen = "inputs and labels" if blind.inputs else "labels"
        result = "better than guessing" if blind.beats_chance else "no better than guessing"
        sentences.append(
            f"Blind baseline: an attack that sees only {seen}, no model, has AUC "
            f"{number(blind.auc)}, which is {result}."
        )
    if checks.clipping is not None:
        sentences.append(_clip_effects(checks.clipping))
    if checks.allowed:
        sentences.append(f"Attacks that are also possible: {', '.join(checks.allowed)}.")
    return sentences


def _dependence(membership: MembershipCheck) -> str:
    """Returns whether the membership of the targets depends on that of the other models."""
    extreme = max(membership.correlations, key=abs)
    measured = (
        "the correlation, over examples, of a target's membership with the number of other models "
        f"that trained on the example is {_signed(extreme)} for the target where it is largest"
    )
    if membership.independent:
        return f"Membership: {measured}, as independent coins would give."
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
