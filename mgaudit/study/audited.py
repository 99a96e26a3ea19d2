"""What the attacks on an arm need to know, wherever its models come from.

An arm is one noise scheme or one training function of a study, with its models. A target is a model
that is attacked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgaudit.reports.record import ChoiceRecord
from mgaudit.reports.results import PLAIN, PrivacyClaim, Strength
from mgaudit.reports.search_record import SearchRecord
from mgaudit.targets.datasets.pool_canaries import PoolCanaries


@dataclass(frozen=True)
class AuditedData:
    """The audited examples, and what all arms of a study share.

    Args:
        labels: Class numbers (examples,), int64; None if they are not known.
        classes: The names of the classes.
        origins: Where each example comes from, such as a file or a row.
        membership: Whether a model is trained on an example (models, examples), bool.
        expected_members: Mean number of members of a model.
        example_resamples: How often each example is drawn (resamples, examples), uint16.
        test_resamples: The same for test examples (resamples, test examples), uint16; None without
            test examples.
        splits: Whether an example is in the first half, for each split into halves (splits,
            examples), bool; used by the jackknife over models.
        pictures: The examples as images (examples, height, width[, 3]), uint8; None for other data.
        seed: Random seed of the guesses and of the order of shadow models.
        is_grouped: Whether the resamples are of groups of examples.
        halves: The examples on which the threshold of the advantage is chosen for the other ones,
            and the reverse (examples,), bool; None for the examples of even index.
        units: The first example of each group (groups,); None without groups.
        canaries: The examples whose coins no other example shares, ascending (canaries,), about
            which guesses are made; None are all examples.
        planted: The examples that were planted as canaries; None if there are none.
        claims: The number of finite claims of epsilon in the whole result, which may have several
            studies. It is known before any model is attacked, and alarms are corrected for it.
    """

    labels: NDArray[np.int64] | None
    classes: Sequence[str]
    origins: Sequence[str]
    membership: NDArray[np.bool_]
    expected_members: float
    example_resamples: NDArray[np.uint16]
    test_resamples: NDArray[np.uint16] | None
    splits: NDArray[np.bool_]
    pictures: NDArray[np.uint8] | None
    seed: int
    is_grouped: bool = False
    halves: NDArray[np.bool_] | None = None
    units: NDArray[np.int64] | None = None
    canaries: NDArray[np.int64] | None = None
    planted: PoolCanaries | None = None
    claims: int = 1

    @property
    def number_of_canaries(self) -> int:
        """The number of examples about which guesses are made."""
        return self.membership.shape[1] if self.canaries is None else len(self.canaries)

    def of_canaries(self, values: NDArray[Any]) -> NDArray[Any]:
        """Returns the columns of `values` (targets, examples) about which guesses are made."""
        return values if self.canaries is None else values[:, self.canaries]

    def trials(self, targets: list[int]) -> int:
        """Returns the smallest number of members of a target, counted in groups if there are."""
        membership = self.membership if self.units is None else self.membership[:, self.units]
        return max(int(membership[targets].sum(axis=1).min()), 1)

    def label_of(self, example: int) -> str:
        """Returns the name of the class of an example; "" if labels are not known."""
        return "" if self.labels is None else self.classes[self.labels[example]]


@dataclass(frozen=True)
class AuditedArm:
    """An arm whose models are attacked, as its result describes it.

    Args:
        key: The name of the arm, unique in the study.
        label: The name for readers.
        scheme: The parts of its noise scheme.
        sources: The papers behind the parts.
        note: A sentence of the study file about the arm; "" without one.
        strength: The strength of the noise; None if it has no such number.
        learning_rate: Initial learning rate; None if it is not known.
        claim: The privacy that is proved; None for an arm without DP-SGD.
        delta: The delta of lower bounds on epsilon; None if no bound is valid, because membership
            was not drawn by independent fair coins.
        diverged: Indices of models that diverged, and are left out.
        models: Indices of the models whose outputs are known, ascending.
        targets: Indices of those that are attacked; the others are only shadow models.
        search: The search that found the settings of training; None without one.
    """

    key: str
    label: str
    scheme: list[ChoiceRecord]
    sources: list[str]
    note: str
    strength: Strength | None
    learning_rate: float | None
    claim: PrivacyClaim | None
    delta: float | None
    diverged: list[int]
    models: list[int]
    targets: list[int]
    search: SearchRecord | None = None

    @property
    def has_finite_claim(self) -> bool:
        """Whether a finite epsilon is claimed for the arm."""
        return self.claim is not None and self.claim.epsilon is not None

    @property
    def is_plain(self) -> bool:
        """Whether the arm trains without noise."""
        return [part.name for part in self.scheme] == [PLAIN]

    @property
    def target_rows(self) -> list[int]:
        """The positions of the targets among `models`."""
        return [self.models.index(target) for target in self.targets]


@dataclass(frozen=True)
class Answers:
    """Which predictions of the models of an arm are correct, bool.

    `examples` is (models, examples), and `tests` (models, test examples) or None without test
    examples.
    """

    examples: NDArray[np.bool_]
    tests: NDArray[np.bool_] | None
