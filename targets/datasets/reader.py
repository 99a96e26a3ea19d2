"""How a dataset is read. The readers are listed in `mgaudit.targets.datasets`."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mgaudit.targets.datasets.dataset import Dataset
from mgaudit.targets.datasets.overlap import checked_splits
from mgaudit.targets.datasets.published import PublishedDataset


@dataclass(frozen=True)
class Reader:
    """A dataset by `name`, with the function that reads it.

    `read` is called with the keywords `examples` (the number of examples, or None for all),
    `generator` (which draws them) and the options of the dataset. The options are its keyword-only
    parameters, with their types and ranges. If `takes_path`, it has a first parameter `path`. It
    downloads nothing. `published` are the files that can be downloaded, or None.
    """

    name: str
    read: Callable[..., Dataset]
    takes_path: bool = False
    published: PublishedDataset | None = None

    def load(
        self, examples: int | None, generator: np.random.Generator, **options: object
    ) -> Dataset:
        """Returns the dataset with its inputs as stored, that is, not standardised.

        `generator` draws `examples` of the training examples without replacement; None means all of
        them, in random order. The test split is complete. `indices` of the result says which
        examples were drawn; `Dataset.drawn` keeps it.

        Raises:
            UsageError: Where the data are missing or malformed (the message names the file), or
                where a test example is among the examples to audit.
        """
        dataset = self.read(examples=examples, generator=generator, **options)
        return checked_splits(dataset)
