"""Checks of the arrays that attacks read: shapes, class numbers, finite values, no overlap."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.ensemble import Extras, Labels, Logits

COINCIDENCES = 0.01  # share of the population that may equal audited examples by chance
COARSE = 0.1  # share of distinct values among logits, below which they coincide by chance
FEWEST_OF_COARSE = 5  # points with the coarse logits of an example that are no coincidence


def check_logits(logits: Logits) -> None:
    """Raises ValueError unless `logits` are (models, examples, queries, classes) and not empty."""
    if logits.ndim != 4:
        raise ValueError(
            "logits must have the shape (models, examples, queries, classes), "
            f"got {logits.ndim} axes: {logits.shape}"
        )
    models, _, queries, classes = logits.shape
    if models < 1:
        raise ValueError("logits must hold at least 1 model (axis 0), got 0")
    if queries < 1 or classes < 2:
        raise ValueError(
            "logits must hold at least 1 query and 2 classes, "
            f"got {queries} and {classes} (axes 2 and 3)"
        )


def check_labels(name: str, labels: Labels, axis: str, count: int, classes: int) -> None:
    """Raises ValueError unless `labels` are (count,) integers in 0..classes - 1.

    `name` and `axis` are the names of the labels and of their axis in the message.
    """
    if labels.shape != (count,):
        raise ValueError(f"{name} must have the shape ({count},) of the {axis}, got {labels.shape}")
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"{name} must be whole class numbers, got {labels.dtype}")
    if not count:
        return
    lowest, highest = labels.min(), labels.max()
    if not (lowest >= 0 and highest < classes):
        raise ValueError(f"{name} must lie in 0..{classes - 1}, got {lowest}..{highest}")


def check_extras(name: str, extras: Extras, axis: str, models: int, count: int) -> None:
    """Raises ValueError unless every extra is finite and (models, count, ...).

    `name` and `axis` are the names of the extras and of their second axis in the message.
    """
    for key, values in extras.items():
        entry = f"{name}[{key!r}]"
        if values.shape[:2] != (models, count):
            raise ValueError(
                f"{entry} must have the shape (models, {axis}, ...) = ({models}, {count}, ...), "
                f"got {values.shape}"
            )
        for model in range(models):
            refuse_infinite(entry, values[model], model)


def refuse_infinite(name: str, values: NDArray[np.floating], model: int) -> None:
    """Raises ValueError for a NaN or infinity in one model's `values` (examples, ...)."""
    axes_of_an_example = tuple(range(1, values.ndim))
    finite = np.isfinite(values).all(axis=axes_of_an_example)
    if not finite.all():
        example = int(np.flatnonzero(~finite)[0])
        raise ValueError(
            f"{name} must be finite, got NaN or infinity for model {model}, example {example}"
        )


def refuse_overlap(
    logits: Logits, labels: Labels, population_logits: Logits, population_labels: Labels
) -> None:
    """Raises ValueError where points of the population repeat audited examples.

    A point repeats an example if it has the same label and, for every model, the same logits.
    Coarse or saturated logits and logits of models with dead units coincide by chance. So only
    contents that occur once among the audited examples and once in the population count, and an
    overlap is an error only if it exceeds both three times the rate of coincidences among the
    audited examples, and COINCIDENCES. Of coarse logits, such as the votes of three neighbours, a
    few points are no evidence.
    """
    audited = _contents(logits, labels)
    population = _contents(population_logits.astype(logits.dtype, copy=False), population_labels)
    times = Counter([*audited, *population])
    example_of = dict(zip(audited, range(len(audited)), strict=True))
    overlap = [
        (point, example_of[content])
        for point, content in enumerate(population)
        if content in example_of and times[content] == 2
    ]
    if not overlap:
        return
    by_chance = 1 - len(example_of) / len(audited)
    share = len(overlap) / len(population)
    if share > max(3 * by_chance, COINCIDENCES):
        are_coarse = len(np.unique(logits)) < COARSE * logits.size
        if are_coarse and len(overlap) < FEWEST_OF_COARSE:
            return
        point, example = overlap[0]
        raise ValueError(
            "the population must not overlap the audited examples, "
            f"but {len(overlap)} of its points have label and logits of one of them "
            f"under every model (point {point}: example {example}); leave them out"
        )


def _contents(logits: Logits, labels: Labels) -> list[int]:
    """Returns, for each example, a hash of its label and of all models' logits for it.

    `logits` are (models, examples, queries, classes) and `labels` (examples,).
    """
    return [
        hash((int(label), logits[:, example].tobytes())) for example, label in enumerate(labels)
    ]
