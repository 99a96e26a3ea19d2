"""What an attack is."""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.observations import AdversaryView, Observations
from mgaudit.errors import UsageError

OBSERVED = frozenset({"shadows", "population", "queries"})  # what an attack may need that is no extra


class Attack(ABC):
    """A membership inference attack: a frozen dataclass whose fields are its public settings.

    Only `score` must be defined. `needs` names what it reads beside the target's logits for one query: "shadows" (and
    `fewest_shadows` how many), "population", "queries" (two or more of each example), and extras by name, such as
    "gradient_norm" and "features". `cost` says in a few words what it takes beside that, for one target; `source` is
    the paper behind it. `mgaudit.testing.check_attack` checks what is promised here.
    """

    needs: ClassVar[frozenset[str]] = frozenset()
    fewest_shadows: ClassVar[int] = 1
    cost: ClassVar[str] = "not stated"
    source: ClassVar[str] = "own attack"

    @classmethod
    def examples(cls) -> "tuple[Attack, ...]":
        """Returns the attack in the settings in which the contract is checked."""
        return (cls(),)

    @property
    def planted_auc(self) -> float:
        """The AUC that it must exceed on the planted data of `mgaudit.testing`: members' phi is 1.5 higher.

        There an attack that knows how difficult each example is can reach 0.933, and one that does not 0.635.
        """
        return 0.5

    @abstractmethod
    def score(self, view: AdversaryView) -> NDArray[np.float64]:
        """Returns a finite score for every example (examples,); higher always means member."""


def score_every_target(
    attack: Attack, observations: Observations, shadows: Observations | None = None
) -> NDArray[np.float64]:
    """Returns scores (models, examples): every model is the target in turn, the others are its shadows.

    With `shadows` the shadows are the other models of that ensemble: the naive adversary. Raises ValueError, naming
    what to add, where the observations lack what the attack needs, and UsageError for scores that are not finite
    float64 (examples,).
    """
    _check_needs(attack, observations, observations if shadows is None else shadows)
    return np.stack(
        [
            _checked(attack, attack.score(observations.view(target, shadows)), observations)
            for target in range(observations.models)
        ]
    )


def _checked(attack: Attack, scores: object, observations: Observations) -> NDArray[np.float64]:
    examples = observations.membership.shape[1]
    name, check = type(attack).__name__, "see mgaudit.testing.check_attack"
    if not isinstance(scores, np.ndarray) or scores.dtype != np.float64 or scores.shape != (examples,):
        got = f"{scores.dtype} of shape {scores.shape}" if isinstance(scores, np.ndarray) else type(scores).__name__
        rule = f"must return float64 scores of shape ({examples},), one for each example"
        raise UsageError(f"attack {name}", rule, got, check)
    if not np.isfinite(scores).all():
        example = int(np.flatnonzero(~np.isfinite(scores))[0])
        rule = "must give every example a finite score"
        raise UsageError(f"attack {name}", rule, f"{scores[example]} for example {example}", check)
    return scores


def _check_needs(attack: Attack, observations: Observations, shadows: Observations) -> None:
    name = type(attack).__name__
    if "population" in attack.needs and observations.population_logits is None:
        raise ValueError(f"{name} needs a population: give population_logits and population_labels")
    if "queries" in attack.needs and observations.queries < 2:
        raise ValueError(f"{name} needs several queries of each example, got 1: add queries (axis 2 of the logits)")
    if "shadows" in attack.needs and shadows.models - 1 < attack.fewest_shadows:
        raise ValueError(f"{name} needs at least {attack.fewest_shadows} shadows, got {shadows.models - 1}: add models")
    for extra in sorted(attack.needs - OBSERVED):
        if extra not in observations.extras:
            raise ValueError(f"{name} needs the extra {extra!r}: give extras={{{extra!r}: (models, examples, ...)}}")
        if "population" in attack.needs and extra not in observations.population_extras:
            raise ValueError(
                f"{name} needs the extra {extra!r} of the population: "
                f"give population_extras={{{extra!r}: (models, population, ...)}}"
            )
