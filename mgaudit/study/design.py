"""What all arms of a study share: the data, who trains on what, and the resamples behind the intervals."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.intervals import resample_counts
from mgaudit.settings.study_settings import StudySettings
from mgaudit.storage.checksums import arrays_sha256
from mgaudit.targets.datasets import Dataset, Inputs
from mgaudit.targets.device import choose_device
from mgaudit.targets.membership import fair_coins
from mgaudit.targets.seeds import numpy_generator


@dataclass(frozen=True)
class Design:
    """Data and coins. `dataset` is standardised; `membership` is (models, examples); resamples are counts.

    `sha256` is over the content of the data before standardisation, names of classes included: the data of two runs
    are the same where it is the same. The store has hashes of its own, over the arrays that models see.

    `coins` says in words for whom coins were tossed, and `expected_members` how many members a model has on average.

    `example_resamples` (resamples, examples) and `test_resamples` (resamples, test examples) are the same in every arm,
    which is what makes differences between arms paired. `pictures` (examples, height, width[, 3]) uint8 are the
    examples as one looks at them, if they are grey or colour images.
    """

    dataset: Dataset
    pictures: NDArray[np.uint8] | None
    sha256: str
    membership: NDArray[np.bool_]
    coins: str
    expected_members: float
    example_resamples: NDArray[np.uint16]
    test_resamples: NDArray[np.uint16]
    device: str
    seed: int

    @cached_property
    def pool_sha256(self) -> str:
        """The SHA-256 of the examples that models are trained on: the standardised arrays and their labels."""
        return arrays_sha256({"inputs": self.dataset.inputs, "labels": self.dataset.labels})

    @cached_property
    def test_sha256(self) -> str:
        """The SHA-256 of the standardised test split."""
        return arrays_sha256(
            {"inputs": self.dataset.test_inputs, "labels": self.dataset.test_labels}
        )


def draw_design(settings: StudySettings) -> Design:
    """Returns the design that the settings determine. Raises UsageError or OSError where the data cannot be had."""
    device = choose_device(settings.device)
    raw = settings.dataset.load(settings.examples, numpy_generator(settings.seed, "examples"))
    examples, tests = len(raw.labels), len(raw.test_labels)
    return Design(
        dataset=raw.standardised(),
        pictures=_pictures(raw.inputs),
        sha256=raw.digest(),
        membership=fair_coins(settings.models, examples, settings.seed),
        coins="all",
        expected_members=examples / 2,
        example_resamples=resample_counts(
            examples, numpy_generator(settings.seed, "example resamples")
        ),
        test_resamples=resample_counts(tests, numpy_generator(settings.seed, "test resamples")),
        device=device,
        seed=settings.seed,
    )


def _pictures(inputs: Inputs) -> NDArray[np.uint8] | None:
    """Returns the inputs as pictures: bytes as they are, other values stretched from black to white."""
    if inputs.ndim != 4 or inputs.shape[1] not in (1, 3):
        return None
    if inputs.dtype != np.uint8:
        low, high = float(inputs.min()), float(inputs.max())
        inputs = ((inputs - low) / (high - low or 1.0) * 255).astype(np.uint8)
    pictures: NDArray[np.uint8] = (
        inputs[:, 0] if inputs.shape[1] == 1 else inputs.transpose(0, 2, 3, 1)
    )
    return pictures
