"""The base class of attacks, and the scores of an attack with each model as the target once."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.adversary_view import AdversaryView
from mgaudit.attacks.observations import Observations
from mgaudit.errors import UsageError

OBSERVED = frozenset({"shadows", "population", "queries"})  # needs that are not extras


class Attack(ABC):
    """A membership inference attack: a frozen dataclass whose fields are its public settings.

    The *target* is the attacked model. *Shadows* are models that the adversary trains like the
    target, on known members. The *population* is data on which no model trained.

    A subclass must define only `score`. `needs` names the inputs that the attack uses beside the
    target's logits for one query: "shadows" (at least `fewest_shadows`), "population", "queries"
    (two or more of each example), and extras by name, such as "gradient_norm" and "features".
    `cost` describes the cost for one target in a few words; `source` is the paper in which the
    attack was published. An attack `is_slow` if the curve of attack power repeats it with one
    number of shadows only. Where numbers of references are limited, an attack gives up
    `fewer_references` of each kind. `learns_from_shadows_only` says that what `fitted` learns does
    not depend on the target, so that it can score every target with the same shadows.
    `mgaudit.testing.check_attack` checks this contract.

    Before anything is trained, each attack that is not built in scores made-up outputs of several
    targets, the first of them twice. The scores must be finite, float64 (examples,) and the same
    for the same target.
    """

    needs: ClassVar[frozenset[str]] = frozenset()
    fewest_shadows: ClassVar[int] = 1
    cost: ClassVar[str] = "not stated"
    source: ClassVar[str] = "own attack"
    is_slow: ClassVar[bool] = False
    fewer_references: ClassVar[int] = 0
    learns_from_shadows_only: ClassVar[bool] = False

    @classmethod
    def examples(cls) -> "tuple[Attack, ...]":
        """Returns instances of the attack with which `check_attack` tests it."""
        return (cls(),)

    @property
    def planted_auc(self) -> float:
        """The AUC that the attack must exceed on the planted data of `mgaudit.testing`.

        In these data, phi (`signals.logit_confidence`) is the difficulty of the example plus noise,
        and higher by 1.5 for members. An attack that knows the difficulty of each example can reach
        an AUC of 0.933, and an attack that does not know it can reach 0.635.
        """
        return 0.5

    @property
    def uses_references_in(self) -> bool:
        """Whether the attack uses shadows that trained on the example, not only the others."""
        return "shadows" in self.needs

    @property
    def uses_all_classes(self) -> bool:
        """Whether the attack uses more of the logits than the probability of the label."""
        return False

    def resolved(self, shadows: int) -> "Attack":
        """Returns the attack with the settings that it has for this number of shadows.

        Settings that depend on the number are resolved once, before the first target is attacked.
        So they stay the same where the attack is repeated with fewer shadows.
        """
        return self

    def fitted(self, view: AdversaryView) -> "Callable[[AdversaryView], NDArray[np.float64]]":
        """Returns a function that scores a view of the same target.

        It is called with `view` and, for the jackknife over models, with views that lack some of
        the shadows. An attack that learns can learn once, from `view`. By default it is `score`.
        """
        return self.score

    @abstractmethod
    def score(self, view: AdversaryView) -> NDArray[np.float64]:
        """Returns a score for every example (examples,), float64, finite; higher means member."""


def score_every_target(
    attack: Attack,
    observations: Observations,
    shadows: Observations | None = None,
    targets: Sequence[int] | None = None,
) -> NDArray[np.float64]:
    """Returns scores (targets, examples): each target in turn, with the other models as shadows.

    Args:
        attack: The attack, with the settings that it has for the number of other models.
        observations: The outputs of all models.
        shadows: For the naive adversary, who does not know about the noise: the outputs of models
            that were trained without the noise on the same subsets. They are the shadows instead.
        targets: The numbers of the attacked models; None attacks every model.

    Raises:
        ValueError: Where the observations lack what the attack needs; the message names what to
            add.
        UsageError: For scores that are not finite float64 (examples,).
    """
    attack = _ready(attack, observations, shadows)
    examples = observations.membership.shape[1]
    rows = []
    for target in range(observations.models) if targets is None else targets:
        rows.append(score_view(attack, observations.view(target, shadows), examples))
    return np.stack(rows)


class Scores(NamedTuple):
    """The scores of one target (examples,), and those without each group (groups, examples)."""

    scores: NDArray[np.float64]
    without: NDArray[np.float64]


def jackknife_scores(
    attack: Attack,
    observations: Observations,
    shadows: Observations | None,
    targets: Sequence[int],
    groups: Sequence[NDArray[np.int64]],
) -> Iterator[Scores]:
    """Yields the scores of each target, and its scores without each group of models as shadows.

    The attack has the settings for the number of all shadows also without a group. The arguments
    and errors are those of `score_every_target`; `groups` are numbers of models.
    """
    attack = _ready(attack, observations, shadows)
    examples = observations.membership.shape[1]
    for target in targets:
        view = observations.view(target, shadows)
        score = attack.fitted(view)
        scores = checked_scores(attack, score(view), examples)
        without = np.empty((len(groups), examples))
        for group, models in enumerate(groups):
            without[group] = checked_scores(attack, score(view.without(models)), examples)
        yield Scores(scores, without)


def _ready(attack: Attack, observations: Observations, shadows: Observations | None) -> Attack:
    """Returns the attack with its settings for the number of shadows, after checking its needs."""
    shadow_models = observations if shadows is None else shadows
    _check_needs(attack, observations, shadow_models)
    return attack.resolved(shadow_models.models - 1)


def score_view(attack: Attack, view: AdversaryView, examples: int) -> NDArray[np.float64]:
    """Returns a copy of the attack's scores (examples,), which a later call cannot change.

    Raises:
        UsageError: For scores that are not finite float64 (examples,).
    """
    return checked_scores(attack, attack.score(view), examples)


def checked_scores(attack: Attack, scores: object, examples: int) -> NDArray[np.float64]:
    """Returns a copy of scores; raises UsageError unless they are finite float64 (examples,)."""
    key = f"attack {type(attack).__name__}"
    way_out = "see mgaudit.testing.check_attack"
    rule = f"must return float64 scores of shape ({examples},), one for each example"
    if not isinstance(scores, np.ndarray) or isinstance(scores, np.ma.MaskedArray):
        raise UsageError(key, rule, type(scores).__name__, way_out)
    if scores.dtype != np.float64 or scores.shape != (examples,):
        raise UsageError(key, rule, f"{scores.dtype} of shape {scores.shape}", way_out)
    finite = np.isfinite(scores)
    if not finite.all():
        example = int(np.flatnonzero(~finite)[0])
        rule = "must return a finite score for every example"
        raise UsageError(key, rule, f"{scores[example]} for example {example}", way_out)
    return np.array(scores)


def _check_needs(attack: Attack, observations: Observations, shadows: Observations) -> None:
    """Raises ValueError where an input that the attack needs is missing.

    `observations` contains the targets and `shadows` the shadow models; without a naive adversary
    both are the same.
    """
    name = type(attack).__name__
    if "population" in attack.needs and observations.population_logits is None:
        raise ValueError(f"{name} needs a population: give population_logits and population_labels")
    if "queries" in attack.needs and observations.queries < 2:
        raise ValueError(
            f"{name} needs several queries of each example, got 1: "
            "add queries (axis 2 of the logits)"
        )
    available = shadows.models - 1
    if "shadows" in attack.needs and available < attack.fewest_shadows:
        raise ValueError(
            f"{name} needs at least {attack.fewest_shadows} shadows, got {available}: add models"
        )
    for extra in sorted(attack.needs - OBSERVED):
        if extra not in observations.extras:
            raise ValueError(
                f"{name} needs the extra {extra!r}: "
                f"give extras={{{extra!r}: (models, examples, ...)}}"
            )
        if "population" in attack.needs and extra not in observations.population_extras:
            raise ValueError(
                f"{name} needs the extra {extra!r} of the population: "
                f"give population_extras={{{extra!r}: (models, population, ...)}}"
            )
