"""What all arms of a study share: the data, who trains on what, and the resamples behind the intervals."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attacks.intervals import resample_counts
from mgaudit.settings import StudySettings
from targets.datasets import Dataset, load
from targets.device import choose_device
from targets.membership import fair_coins
from targets.seeds import numpy_generator


@dataclass(frozen=True)
class Design:
    """Data and coins. `dataset` is standardised; `membership` is (models, examples); resamples are counts.

    `example_resamples` (resamples, examples) and `test_resamples` (resamples, test examples) are the same in every arm,
    which is what makes differences between arms paired.
    """

    dataset: Dataset
    sha256: str
    membership: NDArray[np.bool_]
    example_resamples: NDArray[np.uint16]
    test_resamples: NDArray[np.uint16]
    device: str


def draw_design(settings: StudySettings) -> Design:
    """Returns the design that the settings determine. Raises ValueError or OSError where the data cannot be had."""
    device = choose_device(settings.device)
    raw = load(settings.dataset, settings.examples, numpy_generator(settings.seed, "examples"))
    examples, tests = len(raw.labels), len(raw.test_labels)
    return Design(
        dataset=raw.standardised(),
        sha256=raw.digest(),
        membership=fair_coins(settings.models, examples, settings.seed),
        example_resamples=resample_counts(examples, numpy_generator(settings.seed, "example resamples")),
        test_resamples=resample_counts(tests, numpy_generator(settings.seed, "test resamples")),
        device=device,
    )
