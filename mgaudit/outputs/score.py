"""The plan of `mgaudit.score`: arguments of the user become checked outputs."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks import Observations
from mgaudit.errors import UsageError
from mgaudit.outputs.arrays import (
    as_labels,
    as_logits,
    as_membership,
    as_numbers,
    confidence_logits,
)
from mgaudit.outputs.copies import with_groups_of_copies
from mgaudit.outputs.logits import OutputsKind
from mgaudit.outputs.model_outputs import (
    ClippedProbabilities,
    ModelOutputs,
    ModelScores,
    OutputsArm,
)
from mgaudit.outputs.study import OutputsPlan, OutputsSettings, plan_outputs
from mgaudit.settings.arguments import CLIP, SEED
from mgaudit.settings.number_check import checked_argument
from mgaudit.storage.checksums import arrays_sha256
from mgaudit.study.attack_trial import OutputShapes, check_attacks
from mgaudit.targets.arrays.array_like import to_array

OUTPUT_KINDS = ("logits", "probabilities", "confidences")
AXES = ("model", "example", "query", "class")


@dataclass(frozen=True)
class ScoreArguments:
    """The arguments of `mgaudit.score` that hold arrays, as the user gave them."""

    logits: object = None
    labels: object = None
    membership: object = None
    population_logits: object = None
    population_labels: object = None
    scores: object = None
    inputs: object = None
    groups: object = None
    classes: Sequence[str] | None = None
    origins: Sequence[str] | None = None


def plan_score(
    source: ScoreArguments | Observations,
    *,
    attacks: Sequence[object] | None,
    targets: object,
    outputs: str,
    clip: float | None,
    seed: int | None,
    name: str,
) -> OutputsPlan:
    """Returns the plan of an audit of outputs that were made elsewhere.

    Args:
        source: The arrays, or the observations of an earlier run.
        attacks: The attacks; None mounts the default ones that the outputs allow.
        targets: The attacked models: a number, several, or None for each in turn.
        outputs: What `logits` holds: "logits", "probabilities" or "confidences".
        clip: The least probability; None is the default.
        seed: Random seed; None is the default.
        name: The models, for readers.

    Raises:
        UsageError: For arrays that are not what they should be, or do not fit together.
    """
    clip_value = float(checked_argument(CLIP, CLIP.default if clip is None else clip))
    seed_value = int(checked_argument(SEED, SEED.default if seed is None else seed))
    if outputs not in OUTPUT_KINDS:
        raise UsageError("outputs", f"must be one of {', '.join(OUTPUT_KINDS)}", repr(outputs))
    made: ModelOutputs | ModelScores
    if isinstance(source, Observations):
        made = _of_observations(source)
    elif source.scores is not None:
        made = _scores(source, attacks)
    else:
        made = _outputs(source, outputs, clip_value)
    made, notes_on_copies = with_groups_of_copies(made)
    models = len(made.membership)
    values: dict[str, Any] = {"outputs": outputs, "clip": clip_value}
    attacked = _targets(targets, models)
    if attacked is not None:
        values["targets"] = attacked
    settings = OutputsSettings(
        attacks=attacks,
        targets=attacked,
        seed=seed_value,
        models_from="outputs",
        model_name=name,
        data_name=f"{made.membership.shape[1]} examples",
        data_sha256=arrays_sha256(arrays_of(made)),
        own_coins=False,
        values=values,
        notes=notes_on_copies,
    )
    arm = OutputsArm("models", name, is_plain=False, outputs=made)
    plan = plan_outputs([arm], made.membership, settings)
    if isinstance(made, ModelOutputs):
        check_attacks(plan.attacks, _shapes(made))
    return plan


def _shapes(outputs: ModelOutputs) -> OutputShapes:
    models, _, queries, classes = outputs.logits.shape
    extras = {name: values.shape[2:] for name, values in outputs.extras.items()}
    return OutputShapes(models, outputs.labels, outputs.population_labels, queries, classes, extras)


def arrays_of(made: ModelOutputs | ModelScores) -> dict[str, NDArray[Any]]:
    """Returns the arrays of the outputs, with the names that a npz file of outputs has."""
    if isinstance(made, ModelScores):
        arrays: dict[str, Any] = {"scores": made.scores, "labels": made.true_labels}
    elif made.only_confidences:
        arrays = {"confidences": made.logits[..., 0], "labels": made.true_labels}
        if made.population_logits is not None:
            arrays["population_confidences"] = made.population_logits[..., 0]
    else:
        arrays = {
            "logits": made.logits,
            "labels": made.labels,
            "population_logits": made.population_logits,
            "population_labels": made.population_labels,
        }
    if isinstance(made, ModelOutputs) and made.clipped is not None and made.clipped.arrays:
        arrays |= {"logits": None, "population_logits": None, **made.clipped.arrays}
    arrays |= {"membership": made.membership, "inputs": made.inputs, "groups": made.groups}
    return {name: array for name, array in arrays.items() if array is not None}


def _of_observations(observed: Observations) -> ModelOutputs:
    """Returns the outputs in the observations of a run, with the extras that attacks may need."""
    examples = observed.logits.shape[1]
    return ModelOutputs(
        logits=observed.logits,
        labels=observed.labels,
        membership=observed.membership,
        population_logits=observed.population_logits,
        population_labels=observed.population_labels,
        true_labels=observed.labels,
        classes=_class_names(None, observed.logits.shape[-1]),
        origins=_origins(None, examples),
        extras=dict(observed.extras),
        population_extras=dict(observed.population_extras),
    )


def _scores(given: ScoreArguments, attacks: Sequence[object] | None) -> ModelScores:
    """Returns ready-made scores. Raises UsageError for arguments that do not fit them."""
    for name in ("logits", "population_logits", "population_labels"):
        if getattr(given, name) is not None:
            raise UsageError(name, "must not be given beside scores", None, "give one of the two")
    if attacks is not None:
        rule = "needs the outputs of the models, and scores are those of an attack already"
        raise UsageError("attacks", rule, None, "give logits, or leave attacks out")
    scores = as_numbers("scores", given.scores, axes=AXES[:2]).astype(np.float64)
    if scores.ndim == 1:
        scores = scores[np.newaxis]
    if scores.ndim != 2:
        rule = "must have the shape (models, examples), or (examples,) for one model"
        raise UsageError("scores", rule, f"shape {scores.shape}")
    models, examples = scores.shape
    labels = None
    names = given.classes
    if given.labels is not None:
        labels = as_labels("labels", given.labels, None if names is None else len(names))
        _check_length("labels", labels, examples)
    classes = 0 if labels is None else int(labels.max()) + 1
    return ModelScores(
        scores=scores,
        membership=_membership(given.membership, models, examples),
        true_labels=labels,
        classes=_class_names(names, classes),
        origins=_origins(given.origins, examples),
        inputs=_inputs(given.inputs, examples),
        groups=_groups(given.groups, examples),
    )


def _outputs(given: ScoreArguments, kind: str, clip: float) -> ModelOutputs:
    """Returns checked outputs of models."""
    if given.logits is None:
        rule = "must be given, with labels and membership"
        raise UsageError("logits", rule, None, "or give scores and membership")
    of_confidences = kind == "confidences"
    logits, clipped = _logits("logits", given.logits, kind, clip)
    models, examples, _, classes = logits.shape
    membership = _membership(given.membership, models, examples)
    labels = None
    if given.labels is not None:
        names = len(given.classes) if given.classes is not None else None
        labels = as_labels("labels", given.labels, names if of_confidences else classes)
        _check_length("labels", labels, examples)
    elif not of_confidences:
        raise UsageError("labels", "must be given: the class number of each example")
    population_logits, population_clipped = None, None
    if given.population_logits is not None:
        population_logits, population_clipped = _logits(
            "population_logits", given.population_logits, kind, clip
        )
        _check_population(population_logits, logits)
    population_labels = _population_labels(given, population_logits, of_confidences)
    number_of_classes = classes
    if of_confidences:
        number_of_classes = 0 if labels is None else int(labels.max()) + 1
    return ModelOutputs(
        logits=logits,
        labels=np.zeros(examples, np.int64) if of_confidences or labels is None else labels,
        membership=membership,
        population_logits=population_logits,
        population_labels=population_labels,
        true_labels=labels,
        classes=_class_names(given.classes, number_of_classes),
        origins=_origins(given.origins, examples),
        inputs=_inputs(given.inputs, examples),
        groups=_groups(given.groups, examples),
        clipped=_both_clipped(clipped, population_clipped),
        only_confidences=of_confidences,
    )


def _logits(
    key: str, values: object, kind: str, clip: float
) -> tuple[NDArray[np.floating], "_Clipped | None"]:
    """Returns logits (models, examples, queries, classes), and how they were clipped if at all."""
    if kind == "confidences":
        phi = as_numbers(key, values, axes=AXES[:3])
        shaped = _with_queries(key, phi, axes=3)
        return confidence_logits(shaped), None
    raw = to_array(key, values, AXES)
    logits = as_logits(key, raw, _output_kind(kind), clip)
    shaped = _with_queries(key, logits, axes=4)
    if kind == "logits":
        return shaped, None
    clipped = _Clipped(raw, clip, shaped.shape)
    return shaped, clipped


def _output_kind(kind: str) -> OutputsKind:
    return "probabilities" if kind == "probabilities" else "logits"


@dataclass(frozen=True)
class _Clipped:
    """Probabilities, the clip, and the shape of their logits."""

    probabilities: NDArray[Any]
    clip: float
    shape: tuple[int, ...]

    @property
    def share(self) -> float:
        """The share of the probabilities below the clip."""
        return float((self.probabilities < self.clip).mean())

    def at(self, clip: float) -> NDArray[np.floating]:
        """Returns the logits for another clip."""
        logits = as_logits("logits", self.probabilities, "probabilities", clip)
        return logits.reshape(self.shape)


def _both_clipped(
    clipped: _Clipped | None, population: _Clipped | None
) -> ClippedProbabilities | None:
    if clipped is None:
        return None
    arrays = {"probabilities": clipped.probabilities}
    if population is not None:
        arrays["population_probabilities"] = population.probabilities
    at = partial(_at, clipped=clipped, population=population)
    return ClippedProbabilities(clipped.clip, clipped.share, at, arrays)


def _at(
    clip: float, clipped: _Clipped, population: _Clipped | None
) -> tuple[NDArray[np.floating], NDArray[np.floating] | None]:
    return clipped.at(clip), None if population is None else population.at(clip)


def _with_queries(key: str, values: NDArray[np.floating], axes: int) -> NDArray[np.floating]:
    """Returns values with all axes: an axis of models and one of queries are added if absent.

    `axes` is the number of axes of the result: 4 for logits, 3 for confidences.
    """
    if values.ndim == axes - 2:  # one model
        values = values[np.newaxis]
    if values.ndim == axes - 1:
        values = np.expand_dims(values, 2)
    if values.ndim != axes:
        last = ", classes" if axes == 4 else ""
        rule = f"must have the shape (models, examples[, queries]{last})"
        raise UsageError(key, rule, f"shape {values.shape}")
    return values


def _check_population(population: NDArray[np.floating], logits: NDArray[np.floating]) -> None:
    models, _, queries, classes = logits.shape
    expected = (models, queries, classes)
    shape = population.shape
    if (shape[0], shape[2], shape[3]) != expected:
        rule = f"must have the {models} models, {queries} queries and {classes} classes of logits"
        raise UsageError("population_logits", rule, f"shape {shape}")


def _population_labels(
    given: ScoreArguments, population: NDArray[np.floating] | None, of_confidences: bool
) -> NDArray[np.int64] | None:
    if population is None:
        if given.population_labels is not None:
            rule = "must be given with population_logits"
            raise UsageError("population_labels", rule, None, "give both or none")
        return None
    points, classes = population.shape[1], population.shape[3]
    if of_confidences:
        return np.zeros(points, np.int64)
    if given.population_labels is None:
        rule = "must be given with population_logits"
        raise UsageError("population_labels", rule, None, "give both or none")
    labels = as_labels("population_labels", given.population_labels, classes)
    _check_length("population_labels", labels, points, "population_logits")
    return labels


def _membership(values: object, models: int, examples: int) -> NDArray[np.bool_]:
    if values is None:
        rule = "must be given: whether each model trained on each example, (models, examples)"
        raise UsageError("membership", rule)
    return as_membership("membership", values, models, examples)


def _check_length(key: str, values: NDArray[Any], count: int, of: str = "the outputs") -> None:
    if len(values) != count:
        rule = f"must have one value for each of the {count} examples of {of}"
        raise UsageError(key, rule, f"{len(values)} values")


def _inputs(values: object, examples: int) -> NDArray[np.floating] | None:
    if values is None:
        return None
    inputs = as_numbers("inputs", values, axes=("example",))
    _check_length("inputs", inputs, examples)
    return inputs


def _groups(values: object, examples: int) -> NDArray[np.int64] | None:
    """Returns the number of the group of each example, from names or numbers of any kind."""
    if values is None:
        return None
    names = to_array("groups", values, ("example",))
    if names.ndim != 1:
        rule = "must have one name or number for each example, (examples,)"
        raise UsageError("groups", rule, f"shape {names.shape}")
    _check_length("groups", names, examples)
    _, numbers = np.unique(names.astype(str), return_inverse=True)
    return np.asarray(numbers, dtype=np.int64)


def _targets(values: object, models: int) -> list[int] | None:
    """Returns the attacked models, ascending; None for each in turn."""
    if values is None:
        return None
    several = isinstance(values, Sequence | np.ndarray) and not isinstance(values, str)
    numbers = as_numbers("targets", values if several else [values], axes=("target",))
    targets = sorted(int(number) for number in numbers.ravel())
    is_whole = (numbers == np.floor(numbers)).all()
    if not is_whole or targets[0] < 0 or targets[-1] >= models:
        raise UsageError("targets", f"must be numbers of models, 0..{models - 1}", repr(values))
    if len(set(targets)) < len(targets):
        raise UsageError("targets", "may hold each model once", repr(values))
    return targets


def _class_names(names: Sequence[str] | None, classes: int) -> tuple[str, ...]:
    if names is not None:
        return tuple(names)
    return tuple(str(label) for label in range(classes))


def _origins(names: Sequence[str] | None, examples: int) -> tuple[str, ...]:
    if names is not None:
        return tuple(names)
    return tuple(f"example {index}" for index in range(examples))
