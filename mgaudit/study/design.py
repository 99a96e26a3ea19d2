"""The design of a study: what all of its arms (noise schemes) share.

This is the data, the membership of each model, and the resamples behind the intervals.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.intervals import RESAMPLES, resample_counts
from mgaudit.errors import UsageError
from mgaudit.outputs.resamples import with_members
from mgaudit.settings.study_settings import StudySettings
from mgaudit.storage.checksums import arrays_sha256
from mgaudit.study.features import principal_components
from mgaudit.study.held_out import split_data
from mgaudit.targets.datasets import Dataset, Inputs
from mgaudit.targets.datasets.duplicates import CopyGroups, copy_groups
from mgaudit.targets.datasets.near_duplicates import near_duplicates, near_duplicates_note
from mgaudit.targets.datasets.pool_canaries import PoolCanaries, plant_in_pool
from mgaudit.targets.device import choose_device
from mgaudit.targets.free_memory import check_memory
from mgaudit.targets.membership import fair_coins, shared_coins
from mgaudit.targets.seeds import numpy_generator

# Bytes: a bool and two float32 for a coin, a uint16 and a float32 for a resample, and two float32
# for a value of the data.
MEMORY_OF_A_COIN, MEMORY_OF_A_RESAMPLE, MEMORY_OF_A_VALUE = 9, 6, 8
FEWEST_EXAMPLES = 20  # with fewer, a model may have no member, or no non-member


@dataclass(frozen=True)
class Design:
    """The data of a study and the random draws about them.

    Args:
        dataset: The standardised data.
        pictures: The examples as grey or colour images (examples, height, width[, 3]), uint8; None
            for other data.
        sha256: Checksum of the data before standardisation, names of classes included. Two runs
            have the same data if it is equal. The store uses checksums of its own, over the arrays
            that models are trained on.
        membership: Whether a model is trained on an example (models, examples), bool.
        coins: The examples whose membership is random, in words, such as "all".
        expected_members: Mean number of members of a model.
        example_resamples: How often each example is drawn (resamples, examples), uint16. All arms
            share the resamples, so that differences between arms are paired.
        test_resamples: The same for test examples (resamples, test examples), uint16.
        device: The device on which models are trained, such as "cpu".
        seed: Random seed from which all draws are made.
        copies: The groups of exact copies among the examples; None if they were not looked for.
        groups: The groups whose examples share one coin; None if each example has its own.
        units: The groups of copies and near-duplicates, which intervals resample as a whole; None
            if there are none.
        notes: What readers must know about the data, one sentence each.
        planted: The canaries among the examples; None if the study has none.
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
    copies: CopyGroups | None = None
    groups: CopyGroups | None = None
    units: CopyGroups | None = None
    notes: tuple[str, ...] = ()
    planted: PoolCanaries | None = None

    @cached_property
    def pool_sha256(self) -> str:
        """The SHA-256 of the standardised examples and their labels."""
        return arrays_sha256({"inputs": self.dataset.inputs, "labels": self.dataset.labels})

    @cached_property
    def test_sha256(self) -> str:
        """The SHA-256 of the standardised test split."""
        dataset = self.dataset
        return arrays_sha256({"inputs": dataset.test_inputs, "labels": dataset.test_labels})

    @cached_property
    def features(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The principal components of the examples and of the test split, for all arms."""
        return principal_components(self.dataset.inputs, self.dataset.test_inputs)


def draw_design(settings: StudySettings) -> Design:
    """Returns the design that the settings determine.

    Raises:
        UsageError: For data that do not fit the settings.
        OSError: For data that cannot be read.
    """
    seed = settings.seed
    device = choose_device(settings.device)
    natural = _audited_data(settings)
    raw, planted = natural, None
    if settings.canaries is not None:
        chosen = settings.canaries
        raw, planted = plant_in_pool(natural, chosen.kind, chosen.number, seed)
    examples, tests = len(raw.labels), len(raw.test_labels)
    copies = copy_groups(raw)
    groups = copies if settings.duplicates == "together" and copies.has_copies.any() else None
    units = examples if groups is None else len(groups.representatives)
    if units < FEWEST_EXAMPLES:
        what = "examples" if groups is None else "distinct examples"
        rule = f"must have at least {FEWEST_EXAMPLES} {what} to audit"
        raise UsageError(f"dataset {settings.dataset}", rule, str(units), "use more data")
    _check_memory(settings.models, raw)
    membership = fair_coins(settings.models, examples, seed)
    if groups is not None:
        membership = shared_coins(membership, groups.first)
    dataset = raw.standardised(natural.inputs)  # so that canaries change no other example
    near = near_duplicates(dataset.inputs, copies)
    resampled = near if near.has_copies.any() else None
    drawn = _resamples(examples, resampled, numpy_generator(seed, "example resamples"))
    return Design(
        dataset=dataset,
        pictures=_pictures(raw.inputs),
        sha256=raw.digest(),
        membership=membership,
        coins="all" if groups is None else "all, shared by exact copies",
        expected_members=examples / 2,
        example_resamples=_with_both(drawn, membership),
        test_resamples=resample_counts(tests, numpy_generator(seed, "test resamples")),
        device=device,
        seed=seed,
        copies=copies,
        groups=groups,
        units=resampled,
        notes=(
            *raw.notes,
            *copies.notes(settings.duplicates),
            *near_duplicates_note(near, copies),
        ),
        planted=planted,
    )


def _check_memory(models: int, data: Dataset) -> None:
    """Raises UsageError if the membership, resamples and standardised data exceed the memory."""
    examples, tests = len(data.labels), len(data.test_labels)
    values = data.inputs.size + data.test_inputs.size
    coins = MEMORY_OF_A_COIN * models * examples
    resamples = MEMORY_OF_A_RESAMPLE * RESAMPLES * (examples + tests)
    what = f"the membership of {examples:,} examples in {models:,} models"
    way_out = "use fewer --models or --examples"
    check_memory("models", coins + resamples + MEMORY_OF_A_VALUE * values, what, way_out)


def _audited_data(settings: StudySettings) -> Dataset:
    """Returns the data of the audit, without the examples that are held out for searches."""
    if settings.held_out:
        return split_data(settings.dataset, settings.examples, settings.seed).audited
    return settings.dataset.load(settings.examples, numpy_generator(settings.seed, "examples"))


def _resamples(
    examples: int, units: CopyGroups | None, generator: np.random.Generator
) -> NDArray[np.uint16]:
    """Returns how often each example is drawn (resamples, examples); units are drawn as a whole."""
    if units is None:
        return resample_counts(examples, generator)
    numbers = units.numbers
    return resample_counts(int(numbers.max()) + 1, generator)[:, numbers]


def _with_both(resamples: NDArray[np.uint16], membership: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """Returns resamples in which every model has members and non-members.

    Raises UsageError if a model has none in any resample, which happens with few examples only.
    """
    try:
        return with_members(resamples, membership)
    except ValueError as error:
        models, examples = membership.shape
        rule = f"must be so many that each of {models} models has members and non-members"
        way_out = "use more data, fewer --models or another --seed"
        raise UsageError("examples", rule, str(examples), way_out) from error


def _pictures(inputs: Inputs) -> NDArray[np.uint8] | None:
    """Returns images (examples, height, width[, 3]), uint8, of inputs (examples, channels, ...).

    Values other than bytes are scaled, so that the range of all inputs becomes 0..255. Returns None
    for inputs that are not images with 1 or 3 channels.
    """
    if inputs.ndim != 4:
        return None
    channels = inputs.shape[1]
    if channels not in (1, 3):
        return None
    if inputs.dtype != np.uint8:
        low, high = float(inputs.min()), float(inputs.max())
        shares = (inputs - low) / (high - low or 1.0)
        inputs = (shares * 255).astype(np.uint8)
    pictures: NDArray[np.uint8]
    pictures = inputs[:, 0] if channels == 1 else inputs.transpose(0, 2, 3, 1)
    return pictures
