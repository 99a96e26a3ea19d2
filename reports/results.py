"""The result of a study: every number with its interval, to and from JSON; arrays beside it in npz."""

import io
import json
import zlib
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np
import tomli_w
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

SCHEMA_VERSION = 3
RESULT_FILE = "result.json"
ARRAYS_FILE = "arrays.npz"

Arrays = dict[str, NDArray[Any]]


class Record(BaseModel):
    """A part of a result: unchanging, of finite numbers, without unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Estimate(Record):
    """A number and its two-sided 95 % confidence interval, for new targets and new examples."""

    value: float
    low: float
    high: float

    @property
    def sign(self) -> Literal[-1, 0, 1]:
        """Says on which side of 0 the whole interval lies; 0 when it covers 0."""
        if self.low > 0:
            return 1
        return -1 if self.high < 0 else 0


class AttackResult(Record):
    """One attack on one arm, whose models number `targets` were each the target in turn.

    `metrics` holds the mean over targets of each metric by name (`auc`, `tpr_at_0.01_fpr`, …, all fractions),
    `per_target` the single values, `single_targets` AUC and TPRs of each target with intervals for new examples alone
    (DeLong; the TPR of the threshold that the non-members set, Clopper and Pearson), `differences` this arm less the
    baseline, paired by target and example.
    An `adaptive` adversary trains the shadows under the arm's own scheme, a `naive` one without noise. `needs` is what
    the attack reads beside the target's outputs. `correct_guesses` says how many of the arm's `guesses` about each
    target were right, and `epsilon_lower_bound` (nats, at the arm's `delta`) what that proves of the mechanism, at 95 %
    for all targets together. `false_positives_allowed` says, for each TPR, how few of the `non_members` of one target
    may pass its threshold.
    """

    attack: str
    knowledge: Literal["adaptive", "naive"]
    targets: list[int]
    source: str
    needs: list[str]
    metrics: dict[str, Estimate]
    per_target: dict[str, list[float]]
    single_targets: dict[str, list[Estimate]]
    differences: dict[str, Estimate]
    correct_guesses: list[int]
    epsilon_lower_bound: float
    false_positives_allowed: dict[str, int]
    non_members: int

    @property
    def name(self) -> str:
        """The attack and, where it is naive, that it is; unique in an arm."""
        return self.attack if self.knowledge == "adaptive" else f"{self.attack}, naive"


class ExposedExample(Record):
    """An example and what the first attack finds of it.

    `score` is its mean score over the `targets` that trained on it, `rank_in` the mean share of such a target's
    non-members that it outranks, and `rank_out` the same over targets that did not train on it (None where all did),
    each with an interval for new targets.
    """

    example: int
    origin: str
    label: str
    score: float
    rank_in: Estimate | None
    rank_out: Estimate | None
    targets: int


class ClassExposure(Record):
    """The AUC of the first attack within one class; None where some target has too few members or non-members."""

    label: str
    examples: int
    auc: Estimate | None


class PrivacyClaim(Record):
    """What the accountant proves for a DP-SGD arm; `epsilon` (nats) is None where there is no finite bound."""

    epsilon: float | None
    delta: float
    noise_multiplier: float
    max_grad_norm: float
    sample_rate: float
    steps: int
    accountant: str
    adjacency: str


class AuditResult(Record):
    """One arm: one scheme, an ensemble trained under it, each model attacked in turn. Accuracies are fractions.

    Models that `diverged` are in nothing that follows, neither as targets nor as shadows.
    `guesses` about the members of each target bound epsilon from below at `delta`; `epsilon_provable` is what they
    would prove if all were right.
    """

    scheme: str
    label: str
    learning_rate: float
    diverged: list[int]
    train_accuracy: Estimate
    test_accuracy: Estimate
    test_accuracy_difference: Estimate | None
    claim: PrivacyClaim | None
    delta: float
    guesses: int
    epsilon_provable: float
    attacks: list[AttackResult]
    most_exposed: list[ExposedExample]
    by_class: list[ClassExposure]

    def attack(self, name: str, knowledge: str) -> AttackResult | None:
        """Returns the attack of that name by an adversary of that knowledge, if there is one."""
        return next((one for one in self.attacks if one.attack == name and one.knowledge == knowledge), None)

    @property
    def alarm(self) -> bool:
        """Whether the first attack proves more privacy loss than is claimed possible.

        The first alone: the largest of many bounds at 95 % would be too high too often.
        """
        epsilon = None if self.claim is None else self.claim.epsilon
        return epsilon is not None and self.attacks[0].epsilon_lower_bound > epsilon


class LostArm(Record):
    """An arm that could not be audited: too many of its models `diverged`."""

    scheme: str
    label: str
    diverged: list[int]


class DatasetSummary(Record):
    """The data that were audited; `sha256` is over their content."""

    name: str
    sha256: str
    examples: int
    test_examples: int
    input_shape: tuple[int, ...]
    classes: tuple[str, ...]


class Provenance(Record):
    """What ran it; `code_sha256` is over the source of the training code."""

    versions: dict[str, str]
    code_sha256: str
    device: str
    processor: str


class Times(Record):
    """The only part of a result that differs when the same run is repeated. Seconds."""

    started: str
    seconds: float
    training_seconds: dict[str, float]
    models_reused: dict[str, int]


class StudyResult(Record):
    """Arms that share data, membership and seeds, so that they can be compared example by example.

    There is at least one; `lost` are those that training did not survive.
    """

    schema_version: Literal[3] = 3
    settings: dict[str, Any]
    target: str
    dataset: DatasetSummary
    arms: list[AuditResult]
    lost: list[LostArm]
    baseline: str | None
    provenance: Provenance
    times: Times

    @property
    def settings_toml(self) -> str:
        """The settings as a file that `mgaudit run --settings` takes."""
        return settings_toml(self.settings)


def settings_toml(settings: dict[str, Any]) -> str:
    """Returns settings as TOML; what is None is left out, as TOML has no null."""
    return tomli_w.dumps(_without_none(settings))


def _without_none(table: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_none(value) if isinstance(value, dict) else value
        for key, value in table.items()
        if value is not None
    }


def arrays_to_bytes(arrays: Arrays) -> bytes:
    """Returns the arrays as a compressed npz archive."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def read_study(folder: Path) -> tuple[StudyResult, Arrays]:
    """Returns the result and arrays of a run folder.

    Raises FileNotFoundError where it is not one, ValueError where its result cannot be read.
    """
    path = folder / RESULT_FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder} is not the folder of a study: there is no {RESULT_FILE} in it; `mgaudit run` makes such folders"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content.get("schema_version") if isinstance(content, dict) else None
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise ValueError(
                f"it has schema version {version} and this mgaudit reads up to {SCHEMA_VERSION}; update mgaudit"
            )
        if isinstance(version, int) and version < SCHEMA_VERSION:
            raise ValueError(
                f"it has schema version {version} of an earlier mgaudit, and this one reads {SCHEMA_VERSION}; run it "
                "again with --settings (models that the cache still holds are not trained again)"
            )
        study = StudyResult.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{path} cannot be read: {place}: {first['msg']}") from error
    except ValueError as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    arrays_path = folder / ARRAYS_FILE
    if not arrays_path.is_file():
        raise FileNotFoundError(f"{folder} is not complete: {ARRAYS_FILE} is missing; run it again")
    try:
        with arrays_path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            return study, {name: archive[name] for name in archive.files}
    except (ValueError, AttributeError, EOFError, BadZipFile, zlib.error) as error:
        raise ValueError(f"{arrays_path} cannot be read: {error}; run it again") from error
