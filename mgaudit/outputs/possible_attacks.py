"""The attacks that outputs allow, and why they do not allow the others."""

from collections.abc import Sequence

import numpy as np

from mgaudit.attacks import ATTACKS, Attack
from mgaudit.attacks.attack import OBSERVED
from mgaudit.attacks.references import ReferenceLimits
from mgaudit.errors import UsageError
from mgaudit.outputs.model_outputs import ModelOutputs
from mgaudit.reports.input_checks import LeftOutAttack
from mgaudit.settings.arguments import ATTACK
from mgaudit.settings.choices import Choice
from mgaudit.settings.study_settings import attack_choice


def checked_attacks(attacks: Sequence[object] | None, models: int) -> tuple[Choice, ...]:
    """Returns the attacks on models that will be trained, of which there will be `models`.

    There will be a population and one query of each example. Raises UsageError as
    `mounted_attacks`, before anything is trained.
    """
    logits = np.zeros((models, 1, 1, 2))
    labels = np.zeros(1, np.int64)
    membership = np.zeros((models, 1), dtype=bool)
    expected = ModelOutputs(logits, labels, membership, logits, labels, labels, (), ())
    return mounted_attacks(attacks, expected, None)


def mounted_attacks(
    attacks: Sequence[object] | None, outputs: ModelOutputs, limits: ReferenceLimits | None
) -> tuple[Choice, ...]:
    """Returns the attacks to mount: those that were asked for, or the default ones that fit.

    Raises:
        UsageError: For an attack that was asked for and that the outputs do not allow.
    """
    if attacks is None:
        defaults = [attack_choice(text) for text in ATTACK.default]
        fitting = [choice for choice in defaults if not missing(choice.built, outputs, limits)]
        return tuple(fitting)
    choices = []
    for attack in attacks:
        try:
            choice = attack_choice(attack)
        except UsageError as error:
            raise error.inside("attack") from error
        reason = missing(choice.built, outputs, limits)
        if reason:
            possible = ", ".join(possible_attacks(outputs, limits))
            raise UsageError(f"attack {choice}", reason, None, f"these are possible: {possible}")
        if choice in choices:
            raise UsageError("attack", "may hold each attack once", f"{choice} twice")
        choices.append(choice)
    if not choices:
        raise UsageError("attack", "must name at least one attack", None, "leave it out")
    return tuple(choices)


def possible_attacks(outputs: ModelOutputs, limits: ReferenceLimits | None) -> list[str]:
    """Returns the names of the built-in attacks that the outputs allow with default settings."""
    return [name for name, build in ATTACKS.items() if not missing(build(), outputs, limits)]


def left_out_attacks(outputs: ModelOutputs, limits: ReferenceLimits | None) -> list[LeftOutAttack]:
    """Returns the built-in attacks that the outputs do not allow, with the reasons."""
    left_out = []
    for name, build in ATTACKS.items():
        reason = missing(build(), outputs, limits)
        if reason:
            left_out.append(LeftOutAttack(attack=name, reason=reason))
    return left_out


def missing(attack: Attack, outputs: ModelOutputs, limits: ReferenceLimits | None) -> str:
    """Returns what the attack needs and the outputs lack; "" if they allow it."""
    shadows, queries = len(outputs.logits) - 1, outputs.logits.shape[2]
    if "shadows" in attack.needs:
        if shadows < attack.fewest_shadows:
            number = f"{attack.fewest_shadows} shadow model{'s' * (attack.fewest_shadows > 1)}"
            return f"needs at least {number} beside the target, and there are {shadows}"
        reason = _missing_references(attack, limits)
        if reason:
            return reason
    if "population" in attack.needs and outputs.population_logits is None:
        return "needs a population, data on which no model trained"
    if "queries" in attack.needs and queries < 2:
        return "needs several queries of each example, and there is one"
    if attack.uses_all_classes and outputs.only_confidences:
        return "needs the logits of all classes, and there is only the confidence of the label"
    for extra in sorted(attack.needs - OBSERVED):
        has_population = extra in outputs.population_extras or "population" not in attack.needs
        if extra not in outputs.extras or not has_population:
            return f"needs the extra {extra!r} of the models"
    return ""


def _missing_references(attack: Attack, limits: ReferenceLimits | None) -> str:
    """Returns why too few references are left; "" if there are enough."""
    if limits is None:
        return ""
    layout = "in this membership, their number reveals whether the target trained on the example"
    if limits.references_out <= attack.fewer_references:
        return f"needs shadow models without the example, and {layout}"
    if limits.references_in <= attack.fewer_references and attack.uses_references_in:
        return f"needs shadow models with the example, and {layout}"
    return ""
