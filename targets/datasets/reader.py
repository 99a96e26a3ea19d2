"""How a dataset is read: one record for each, in the list of `mgaudit.targets.datasets`."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mgaudit.targets.datasets.dataset import Dataset
from mgaudit.targets.datasets.overlap import refuse_overlap
from mgaudit.targets.datasets.published import PublishedDataset


@dataclass(frozen=True)
class Reader:
    """A dataset by `name`. `read` is called as (examples, generator, **options); nothing is ever downloaded.

    Its keyword-only parameters are the options of the dataset, with their types and ranges; one that `takes_path` has a
    `path` before all others. `published` are the files that can be fetched, if there are any.
    """

    name: str
    read: Callable[..., Dataset]
    takes_path: bool = False
    published: PublishedDataset | None = None

    def load(
        self, examples: int | None, generator: np.random.Generator, **options: object
    ) -> Dataset:
        """Returns the dataset, its inputs as stored.

        `examples` of its training examples are drawn by `generator`, all of them for None; the test split is whole.
        Raises UsageError, naming the file, where the data are missing or malformed, or where a test example is among
        the examples to audit.
        """
        dataset = self.read(examples=examples, generator=generator, **options)
        refuse_overlap(dataset)
        return dataset
