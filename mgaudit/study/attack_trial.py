"""The trial of attacks of the user's own: they score made-up outputs before anything is trained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks import Attack, Observations, score_every_target
from mgaudit.attacks.power import numbers_of_shadows, scores_by_number
from mgaudit.errors import UsageError
from mgaudit.settings.choices import Choice
from mgaudit.study.design import Design
from mgaudit.study.extras import EXTRAS, extras_in
from mgaudit.targets.own_module import RAISED, error_line_with_place

MOST_LOGITS = 20_000_000  # with more, the trial has fewer examples than the audit
FEWEST_EXAMPLES = 1000
TOLERANCE = 1e-6  # of a difference, relative to the largest score
CHECK = "correct it; mgaudit.testing.check_attack checks it"


@dataclass(frozen=True)
class OutputShapes:
    """The shapes of the outputs that attacks will see.

    Args:
        models: Number of models.
        labels: Class numbers of the examples (examples,).
        population_labels: Class numbers of the population (population,), or None.
        queries: Number of queries of each example.
        classes: Number of classes.
        extras: By name, the shape of the extra of one example.
    """

    models: int
    labels: NDArray[np.int64]
    population_labels: NDArray[np.int64] | None
    queries: int
    classes: int
    extras: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @classmethod
    def of_design(cls, design: Design, queries: int) -> "OutputShapes":
        """Returns the shapes of the outputs of an arm of a study."""
        dataset = design.dataset
        extras = {name: extra.shape_of_example(dataset) for name, extra in EXTRAS.items()}
        models, classes = len(design.membership), len(dataset.classes)
        return cls(models, dataset.labels, dataset.test_labels, queries, classes, extras)

    def made_up(self, needs: frozenset[str]) -> Observations:
        """Returns made-up outputs of these shapes, with the extras among the needs of an attack."""
        of_example = self.models * self.queries * self.classes
        most = max(MOST_LOGITS // of_example, FEWEST_EXAMPLES)
        generator = np.random.default_rng(0)
        labels = self.labels[:most].copy()
        membership = generator.random((self.models, len(labels))) < 0.5
        membership[:, 0], membership[:, -1] = True, False
        logits = self._logits(labels, generator)
        logits[:, np.arange(len(labels)), :, labels] += 2 * membership.T[:, :, np.newaxis]
        others = None if self.population_labels is None else self.population_labels[:most].copy()
        extras, population_extras = {}, {}
        for extra in extras_in(needs):
            shape = self.extras.get(extra.name, ())
            extras[extra.name] = _positive((self.models, len(labels), *shape), generator)
            if extra.of_population and others is not None:
                size = (self.models, len(others), *shape)
                population_extras[extra.name] = _positive(size, generator)
        return Observations(
            logits,
            labels,
            membership,
            None if others is None else self._logits(others, generator),
            others,
            extras,
            population_extras,
        )

    def _logits(
        self, labels: NDArray[np.int64], generator: np.random.Generator
    ) -> NDArray[np.float32]:
        """Returns logits (models, examples, queries, classes) that favour the labels."""
        shape = (self.models, len(labels), self.queries, self.classes)
        logits = generator.standard_normal(shape, dtype=np.float32)
        logits[:, np.arange(len(labels)), :, labels] += 2
        return logits


def _positive(shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[np.float32]:
    """Returns random positive values, float32, of this shape."""
    return np.exp(generator.standard_normal(shape, dtype=np.float32))


_passed: set[tuple[object, ...]] = set()


def check_attacks(attacks: Sequence[Choice], shapes: OutputShapes) -> None:
    """Checks each attack that is not built in on made-up outputs of these shapes.

    The first target, the last one and the first one again are attacked in this order, and the first
    attack also with few shadow models, as in an audit. An attack that passed is not checked again
    in this process.

    Raises:
        UsageError: For an attack that fails, that returns scores other than finite float64
            (examples,), that changes the outputs, or whose scores of the first target differ.
    """
    for index, choice in enumerate(attacks):
        if choice.own_sha256 is None:
            continue
        sizes = (shapes.models, len(shapes.labels), shapes.queries, shapes.classes)
        key = (choice.text, choice.own_sha256, index == 0, *sizes)
        if key not in _passed:
            _check(choice, shapes, is_first=index == 0)
            _passed.add(key)


def _check(choice: Choice, shapes: OutputShapes, is_first: bool) -> None:
    key = f"attack {choice}"
    attack: Attack = choice.built
    try:
        observations = shapes.made_up(attack.needs)
    except UsageError as error:  # a need that is not known
        raise error.inside(key) from error
    try:
        scores = score_every_target(attack, observations, None, [0, observations.models - 1, 0])
        if is_first:
            _score_with_few(attack, observations)
    except UsageError as error:
        raise UsageError(key, error.rule, error.value, error.way_out) from error
    except RAISED as error:
        rule = f"must score the outputs of models, but fails: {error_line_with_place(error)}"
        way_out = f"{CHECK}, and the arrays of a view can be copied but not changed"
        raise UsageError(key, rule, None, way_out) from error
    if not observations.is_equal(shapes.made_up(attack.needs)):
        way_out = "change a copy, such as torch.tensor(array) in place of torch.from_numpy(array)"
        raise UsageError(key, "must not change the arrays that it reads", None, way_out)
    difference = float(np.abs(scores[0] - scores[2]).max())
    if difference > TOLERANCE * float(np.abs(scores).max()):
        rule = "must return identical scores for identical outputs"
        way_out = "draw from np.random.default_rng(SEED) in each call, and keep nothing between"
        raise UsageError(key, rule, f"a difference of {difference:.2g}", f"{way_out} calls")


def _score_with_few(attack: Attack, observations: Observations) -> None:
    """Attacks the first target with the smallest number of shadow models of an audit."""
    numbers = numbers_of_shadows(attack, observations.models)
    order = np.arange(1, observations.models)
    for shadows in numbers[:1]:
        scores_by_number(attack, observations, [shadows], {0: order})
