"""Conditions whose arm or attack is not in an audit, which are refused before anything is trained.

The command line puts its conditions into a context (`checked_before_training`), because the names
of arms and attacks are known only when an audit is planned. Outside of such a context, nothing is
checked here.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mgaudit.errors import UsageError, did_you_mean
from mgaudit.reports.results import PLAIN

if TYPE_CHECKING:
    from mgaudit.conditions import Condition
    from mgaudit.settings.choices import Choice
    from mgaudit.settings.grid import GridSettings
    from mgaudit.settings.study_settings import StudySettings

MOST_NAMES = 20  # of arms, and of attacks, that an error lists
RULE = "must name an arm or an attack of this audit"
NAIVE = ", naive"  # ends the names of attacks by an adversary who does not know about the noise
SCORES = ("scores",)  # what results call scores that the user computed

_conditions: ContextVar[Sequence["Condition"]] = ContextVar("conditions", default=())


@dataclass(frozen=True)
class PlannedArm:
    """The names by which conditions may choose an arm and the attacks on it.

    `key` names the arm in results, and `scheme` is its scheme without options. `attacks` has the
    names of the attacks with and without their options.
    """

    key: str
    scheme: str
    attacks: tuple[str, ...]

    def is_chosen(self, arm: str | None, attack: str | None) -> bool:
        """Returns whether the arm has one of these names, and an attack of that name; None fits."""
        is_this_arm = arm is None or arm in (self.key, self.scheme)
        return is_this_arm and (attack is None or attack in self.attacks)


@contextmanager
def checked_before_training(conditions: Sequence["Condition"]) -> Iterator[None]:
    """Refuses conditions about arms and attacks that an audit within the context will not have."""
    token = _conditions.set(tuple(conditions))
    try:
        yield
    finally:
        _conditions.reset(token)


def check_settings(settings: "StudySettings | GridSettings") -> None:
    """Raises UsageError for a condition about an arm or attack that the studies will not have."""
    if _conditions.get():
        arms = []
        for scheme in settings.schemes:
            arms.append((scheme.text, "+".join(part.name for part in scheme.parts)))
        _check(planned_arms(arms, settings.attacks))


def check_arms(arms: Sequence[tuple[str, bool]], attacks: "Sequence[Choice]") -> None:
    """Raises UsageError for a condition about an arm or attack that is not one of these.

    An arm is its key and whether it is the plain one. Without attacks, the audit is one of scores
    that the user computed.
    """
    if _conditions.get():
        named = [(key, PLAIN if is_plain else key) for key, is_plain in arms]
        _check(planned_arms(named, attacks))


def planned_arms(arms: Sequence[tuple[str, str]], attacks: "Sequence[Choice]") -> list[PlannedArm]:
    """Returns the arms with their attacks; an arm is its key and its scheme without options."""
    adaptive = [name for attack in attacks for name in (attack.text, attack.name)]
    naive = [f"{attack.text}{NAIVE}" for attack in attacks if "shadows" in attack.built.needs]
    has_plain = any(scheme == PLAIN for _, scheme in arms)
    planned = []
    for key, scheme in arms:
        is_attacked_naively = has_plain and scheme != PLAIN
        names = [*adaptive, *naive] if is_attacked_naively else adaptive
        planned.append(PlannedArm(key, scheme, tuple(dict.fromkeys(names)) or SCORES))
    return planned


def _check(arms: Sequence[PlannedArm]) -> None:
    from mgaudit.conditions import scopes

    for condition in _conditions.get():
        pairs = scopes(condition.scope)
        if not any(arm.is_chosen(*pair) for arm in arms for pair in pairs):
            way_out = _way_out(condition.scope, arms)
            raise UsageError(condition.option, RULE, repr(condition.text), way_out)


def _way_out(scope: str | None, arms: Sequence[PlannedArm]) -> str:
    """Returns the names that there are, and the one that is most like the scope."""
    attacks = list(dict.fromkeys(name for arm in arms for name in arm.attacks))
    keys = [arm.key for arm in arms]
    # A comma is part of the names of naive attacks, which are those of others with one word more.
    adaptive = [name for name in attacks if not name.endswith(NAIVE)]
    listed = f"the arms are {_listed(keys)}, and the attacks {_listed(adaptive)}"
    question = did_you_mean(scope, [*keys, *attacks, *(arm.scheme for arm in arms)])
    return f"{listed}; {question}" if question else listed


def _listed(names: Sequence[str]) -> str:
    """Returns the names as text, and of many the first and how many more there are."""
    text = ", ".join(names[:MOST_NAMES])
    return f"{text} and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else text
