"""The record of how a dataset is read, listed in `mgaudit.targets.datasets`."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mgaudit.targets.datasets.dataset import Dataset
from mgaudit.targets.datasets.overlap import refuse_overlap
from mgaudit.targets.datasets.published import PublishedDataset


@dataclass(frozen=True)
class Reader:
    """A dataset by `name`, with the function that reads it.

    `read` is called as (examples, generator, **options) and downloads nothing. Its keyword-only
    parameters are the options of the dataset, with their types and ranges; if `takes_path`, it has
    a first parameter `path`. `published` are the files that can be downloaded, if there are any.
    """

    name: str
    read: Callable[..., Dataset]
    takes_path: bool = False
    published: PublishedDataset | None = None

    def load(
        self, examples: int | None, generator: np.random.Generator, **options: object
    ) -> Dataset:
        """Returns the dataset, its inputs as stored.

        `generator` draws `examples` of its training examples, or all of them for None. The test
        split is complete.

        Raises:
            UsageError: Where the data are missing or malformed (the message names the file), or
                where a test example is among the examples to audit.
        """
        dataset = self.read(examples=examples, generator=generator, **options)
        refuse_overlap(dataset)
        return dataset
