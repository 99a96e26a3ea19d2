"""Data for a search: examples that the audit does not use."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError
from mgaudit.settings.datasets import DatasetChoice
from mgaudit.targets.datasets import Dataset
from mgaudit.targets.datasets.contents import contents
from mgaudit.targets.seeds import numpy_generator

SHARE = 3  # a third of the examples is held out where the audit would use all
FEWEST = 100  # held-out examples
LEAST_AUDITED = 50  # examples that an audit needs
MOST_VALIDATED = 5000  # examples on which a trial is evaluated; more take time and decide nothing
TRAINED = 0.75  # largest share of the held-out examples on which a trial trains


@dataclass(frozen=True)
class SplitData:
    """The data of an audit, and the examples that are held out from it for a search.

    No held-out example equals one of `audited`. The test split of `audited` is not among them.
    """

    audited: Dataset
    held_out: Dataset


def split_data(choice: DatasetChoice, examples: int | None, seed: int) -> SplitData:
    """Returns the audit's data, and held-out examples.

    With a number of `examples`, the audit has the same data as without a search, and the search has
    the rest, at most as many. Without, a third of the examples is held out.

    Raises:
        UsageError: For too few held-out examples, and for data that cannot be read.
        OSError: For data that cannot be read.
    """
    whole = choice.load(None, numpy_generator(seed, "examples"))
    if examples is None:
        number_audited = len(whole.labels) - len(whole.labels) // SHARE
        audited = rows_of(whole, np.arange(number_audited))
        rest = np.arange(number_audited, len(whole.labels))
    else:
        audited = choice.load(examples, numpy_generator(seed, "examples"))
        rest = numpy_generator(seed, "held out").permutation(len(whole.labels))
    candidates = min(len(rest), len(whole.labels) - len(audited.labels))
    used = set(contents(audited.inputs))
    rows = contents(whole.inputs)
    rest = np.array([row for row in rest if rows[row] not in used], dtype=int)
    rest = rest[: len(audited.labels)]
    if len(rest) < FEWEST:
        rule = f"must leave at least {FEWEST} examples to the search, which the audit does not use"
        way_out = "use more data, or no search"
        if candidates >= FEWEST and len(audited.labels) >= FEWEST:
            way_out = "the others equal audited ones; use data with fewer copies, or no search"
        elif len(whole.labels) >= FEWEST + LEAST_AUDITED:
            way_out = f"use at most {len(whole.labels) - FEWEST} --examples, or no search"
        raise UsageError("tune", rule, f"{len(rest)} left by {len(audited.labels)}", way_out)
    return SplitData(audited, rows_of(whole, rest))


def rows_of(dataset: Dataset, rows: NDArray[np.int64]) -> Dataset:
    """Returns the dataset with some of its examples, and the whole test split."""
    return replace(
        dataset,
        inputs=dataset.inputs[rows],
        labels=dataset.labels[rows],
        origins=tuple(dataset.origins[row] for row in rows),
        indices=dataset.indices[rows],
    )


@dataclass(frozen=True)
class Fold:
    """The rows on which the model of a fold is trained (examples,), bool, and those it predicts."""

    trained: NDArray[np.bool_]
    validated: NDArray[np.int64]


def trained_examples(held_out: int, members: float) -> int:
    """Returns the number of examples on which a trial's model is trained.

    It is that of the audit's models, `members` on average, if there are enough.
    """
    return min(round(members), int(TRAINED * held_out))


def drawn_fold(held_out: int, trained: int, number: int, seed: int) -> Fold:
    """Returns fold `number`: `trained` examples drawn at random, and others to evaluate on."""
    order = numpy_generator(seed, "fold", number).permutation(held_out)
    mask = np.zeros(held_out, dtype=bool)
    mask[order[:trained]] = True
    return Fold(mask, order[trained : trained + MOST_VALIDATED])
