"""What to audit: settings from TOML, the command line or Python, checked before anything runs."""

from collections.abc import Callable, Mapping, Sized
from dataclasses import asdict, fields
from functools import partial
from types import FunctionType
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationError,
)

from mgaudit.attacks import ATTACKS, Attack
from mgaudit.errors import Limit, UsageError, did_you_mean
from mgaudit.limits import ARMS, STACK
from mgaudit.limits import ATTACKS as ATTACKS_LIMIT
from mgaudit.reports.dp_audit import Adversary
from mgaudit.reports.search_record import SearchRecord
from mgaudit.settings import arguments
from mgaudit.settings.arguments import Argument, plain_type
from mgaudit.settings.canaries import CanariesChoice, canaries_choice, canaries_text
from mgaudit.settings.choices import Choice, Entry, parse
from mgaudit.settings.datasets import DatasetChoice, dataset_choice
from mgaudit.settings.network_entry import NetworkEntry
from mgaudit.settings.number_check import checked_number
from mgaudit.settings.objects import class_choice, object_choice
from mgaudit.settings.own_code import is_own, own_rule
from mgaudit.settings.schemes import DEFAULT_DP, PLAIN, SchemeChoice, scheme_choice
from mgaudit.settings.setting_errors import usage_error
from mgaudit.targets import NETWORKS, QUERIES
from mgaudit.targets.contract import NETWORK
from mgaudit.targets.datasets.canaries import CanaryKind
from mgaudit.targets.datasets.duplicates import Duplicates
from mgaudit.targets.querying.queries import Queries
from mgaudit.targets.ranges import range_in
from mgaudit.targets.training import Training

ARTICLES = {"attack": "an ", "queries": ""}
DEFAULT_SCHEMES = (PLAIN, f"gaussian-mask:kappa={arguments.KAPPA.default:g}", DEFAULT_DP)


Settings = TypeVar("Settings", bound=BaseModel)
Value = TypeVar("Value")


def target_choice(value: object) -> Choice:
    """Returns the choice of the network that a text, a class or a function names.

    A choice is returned unchanged. Its `built` is called with the input shape and the number of
    classes. Raises UsageError as `parse` does.
    """
    if isinstance(value, type | partial | FunctionType):
        return _network_choice(value)
    if isinstance(value, NETWORK):
        kind = type(value).__name__
        rule = "must be what builds a network, because each model has weights of its own"
        raise UsageError("", rule, f"a {kind}", f"pass the class {kind}, or a function")
    return _chosen(value, "target", NETWORKS, NetworkEntry.of, NETWORK)


def attack_choice(value: object) -> Choice:
    """Returns the choice of an attack from its text or object; a choice is returned unchanged.

    Raises UsageError as `parse` does.
    """
    if isinstance(value, Attack):
        choice = object_choice(ATTACKS, value)
    else:
        choice = _chosen(value, "attack", ATTACKS, own=Attack)
    _check_facts(choice.name, choice.built)
    return choice


def _check_facts(name: str, attack: Attack) -> None:
    """Raises UsageError unless the class variables of an attack have their types."""
    needs, fewest = attack.needs, attack.fewest_shadows
    if not isinstance(needs, frozenset) or not all(isinstance(need, str) for need in needs):
        way_out = "write needs = frozenset({'shadows'})"
        raise UsageError(name, "must have a frozenset of texts for its needs", repr(needs), way_out)
    for fact in ("cost", "source"):
        text: object = getattr(attack, fact)
        if not isinstance(text, str):
            raise UsageError(name, f"must have a text for its {fact}", repr(text))
    if type(fewest) is not int or fewest < 1:
        rule = "must have a whole number >= 1 for its fewest_shadows"
        raise UsageError(name, rule, repr(fewest))


def queries_choice(value: object) -> Choice:
    """Returns the choice of queries from their text or object; a choice is returned unchanged.

    Raises UsageError as `parse` does.
    """
    if isinstance(value, Queries):
        return object_choice(QUERIES, value)
    return _chosen(value, "queries", QUERIES)


def _network_choice(value: Callable[..., Any]) -> Choice:
    """Returns the choice of a network's class or function, or of a `functools.partial` of one."""
    build = value.func if isinstance(value, partial) else value
    if not is_own(build, "target", NETWORK):
        raise UsageError("", own_rule("target", NETWORK), repr(build))
    return class_choice(NETWORKS, value, NetworkEntry.of)


def _chosen(
    value: object,
    kind: str,
    registry: Mapping[str, Callable[..., Any]],
    entry_type: Callable[[str, Callable[..., Any]], Entry] = Entry,
    own: type | None = None,
) -> Choice:
    if isinstance(value, Choice):
        return value
    if not isinstance(value, str):
        rule = f"must be the name of {ARTICLES.get(kind, 'a ')}{kind} with options, or an object"
        way_out = f"write {value.__name__}(...)" if isinstance(value, type) else ""
        raise UsageError("", rule, f"{type(value).__name__}: {value!r}", way_out)
    return parse(kind, registry, value, entry_type, own)


def _distinct(values: tuple[Value, ...]) -> tuple[Value, ...]:
    """Returns the values unchanged. Raises UsageError if a value occurs more than once."""
    seen: set[str] = set()
    for value in values:
        if str(value) in seen and values.count(value) > 1:
            raise UsageError("", "may hold each value once", f"{value} twice")
        seen.add(str(value))
    return values


def _at_most(limit: Limit) -> BeforeValidator:
    """Returns the check of the length of a list, before any of its values is read."""

    def check(values: object) -> object:
        if isinstance(values, Sized) and not isinstance(values, str):
            limit.check("", len(values))
        return values

    return BeforeValidator(check)


def _stack(value: object) -> object:
    """Returns "auto" or the stack size as an int. Raises UsageError for other values.

    This is checked here, so that the error states one rule and not one for each type.
    """
    if value == "auto":
        return value
    if isinstance(value, str) and value.isdecimal() and len(value) < 10:
        value = int(value)
    if type(value) is int and value >= 1:
        STACK.check("", value)
        return value
    way_out = did_you_mean(value, ["auto"])
    rule = f"must be 'auto' or a whole number from 1 to {STACK.most}"
    raise UsageError("", rule, repr(value), way_out)


def _number_of(argument: Argument) -> BeforeValidator:
    """Returns the check of a number against its argument's type and range."""
    is_whole = argument.kind is int
    return BeforeValidator(lambda value: checked_number(value, is_whole, argument.limits))


def _training(value: object) -> object:
    """Returns the training settings with numbers of Python. Raises UsageError for others."""
    if not isinstance(value, dict):
        return value
    values = dict(value)
    for field in fields(Training):
        number = values.get(field.name)
        if range_in(field.type) is None or number is None:
            continue
        is_whole = plain_type(field.type) is int
        try:
            values[field.name] = checked_number(number, is_whole, None)
        except UsageError as error:
            raise error.inside(field.name) from error
    return values


AS_TEXT = PlainSerializer(str, return_type=str)
ChosenDataset = Annotated[DatasetChoice, PlainValidator(dataset_choice), AS_TEXT]
ChosenTarget = Annotated[Choice, PlainValidator(target_choice), AS_TEXT]
ChosenScheme = Annotated[SchemeChoice, PlainValidator(scheme_choice), AS_TEXT]
ChosenQueries = Annotated[Choice, PlainValidator(queries_choice), AS_TEXT]
ChosenAttack = Annotated[Choice, PlainValidator(attack_choice), AS_TEXT]
ChosenCanaries = Annotated[
    CanariesChoice | None,
    PlainValidator(canaries_choice),
    PlainSerializer(canaries_text, return_type=str | None),
]
Stack = Annotated[Literal["auto"] | int, BeforeValidator(_stack)]
ChosenTraining = Annotated[Training, BeforeValidator(_training)]
Seed = Annotated[int, _number_of(arguments.SEED)]
Examples = Annotated[int, _number_of(arguments.EXAMPLES)]
Device = Literal["auto", "cpu", "cuda"]
CheckpointInputs = Literal["standardised", "raw"]
StudyModels = Annotated[int, _number_of(arguments.MODELS)]
SmallestDifference = Annotated[float, _number_of(arguments.SMALLEST_AUC_DIFFERENCE)]
SmallestChange = Annotated[float, _number_of(arguments.SMALLEST_TPR_CHANGE)]
Significance = Annotated[float, _number_of(arguments.SIGNIFICANCE)]
SomeModels = Annotated[int, _number_of(arguments.TRAINING_RUNS)]
SomeDistinct = Annotated[
    tuple[Value, ...], _at_most(ARMS), Field(min_length=1), AfterValidator(_distinct)
]
SomeAttacks = Annotated[SomeDistinct[ChosenAttack], _at_most(ATTACKS_LIMIT)]


def _default(text: object) -> Any:
    """Returns the field whose default is a text, which is parsed as if the user had given it."""
    return Field(default=text, validate_default=True)


class _Trained(BaseModel):
    """What models are trained on and how, except for the noise."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: ChosenDataset = _default(arguments.DATASET.default)
    target: ChosenTarget = _default(arguments.TARGET.default)
    models: SomeModels = arguments.TRAINING_RUNS.default
    examples: Examples | None = arguments.EXAMPLES.default
    seed: Seed = arguments.SEED.default
    device: Device = arguments.DEVICE.default
    stack: Stack = arguments.STACK.default
    training: ChosenTraining = Training()

    def as_dict(self) -> dict[str, Any]:
        """Returns plain values, as they go to JSON and TOML."""
        shared = self.model_dump(mode="json", exclude={"training"})
        return {**shared, "training": asdict(self.training)}

    def values(self) -> dict[str, Any]:
        """Returns the settings by name, to be changed and checked again. Choices stay objects."""
        return {**dict(self), "training": asdict(self.training)}


class _Settings(_Trained):
    """What all arms (noise schemes) of a study share."""

    attacks: SomeAttacks = _default(arguments.ATTACK.default)
    queries: ChosenQueries = _default(arguments.QUERIES.default)
    models: SomeModels = arguments.MODELS.default
    duplicates: Duplicates = arguments.DUPLICATES.default


class AuditSettings(_Settings):
    """One arm: the models that are trained under one noise scheme, and the attacks on them."""

    scheme: ChosenScheme

    @property
    def label(self) -> str:
        """The arm's name in reports."""
        return self.scheme.label()

    @property
    def trained_choices(self) -> tuple[Choice, ...]:
        """The choices that affect the training: the network and the parts of the scheme."""
        return (self.target, *self.scheme.parts)


def without_absent(values: dict[str, Any]) -> dict[str, Any]:
    """Returns the settings without those of searches and canaries where there are none."""
    optional = ("canaries", "held_out", "searches")
    return {name: value for name, value in values.items() if value or name not in optional}


class StudySettings(_Settings):
    """The arms of a study, which differ only in their noise scheme.

    All arms are compared with the plain arm (no noise), if there is one. Smaller effects than
    `smallest_auc_difference`, and than the fraction `smallest_tpr_change` of the plain arm's TPR,
    do not matter in the verdict. `notes` are remarks on arms for the report, by scheme. `canaries`
    replace examples in the pool of every arm.

    With `held_out`, a third of the examples is not audited, but left to `searches`: by scheme, what
    a search on these examples tried and chose for the training of an arm.
    """

    models: StudyModels = arguments.MODELS.default
    smallest_auc_difference: SmallestDifference = arguments.SMALLEST_AUC_DIFFERENCE.default
    smallest_tpr_change: SmallestChange = arguments.SMALLEST_TPR_CHANGE.default
    schemes: SomeDistinct[ChosenScheme] = _default(DEFAULT_SCHEMES)
    notes: dict[ChosenScheme, str] = {}
    canaries: ChosenCanaries = None
    held_out: bool = False
    searches: dict[ChosenScheme, SearchRecord] = {}

    def as_dict(self) -> dict[str, Any]:
        """Returns plain values for JSON and TOML; searches and canaries only if there are some."""
        return without_absent(super().as_dict())

    def arms(self) -> list[AuditSettings]:
        """Returns the settings of each arm."""
        shared = {name: getattr(self, name) for name in _Settings.model_fields}
        return [AuditSettings(scheme=scheme, **shared) for scheme in self.schemes]


class DPAuditSettings(_Trained):
    """An audit of one scheme's epsilon with canaries, in one training run or a few.

    For the adversary of one run, canaries are examples whose membership is decided by fair coins.
    `guesses` is the fraction of the canaries that are guessed to be members, and the same fraction
    is guessed not to be. For the white-box adversary, a canary is a gradient that is added to a
    step of one training run, in one of so many `directions`. Repeated are `runs` trainings with a
    canary and as many without. `significance` is the probability that a bound is wrong.
    `last_iterate` adds a heuristic, which is not a bound, to the result.
    """

    scheme: ChosenScheme = _default(arguments.AUDITED.default)
    adversary: Adversary = arguments.ADVERSARY.default
    directions: Annotated[int, _number_of(arguments.DIRECTIONS)] = arguments.DIRECTIONS.default
    runs: Annotated[int, _number_of(arguments.REPEATED_RUNS)] = arguments.REPEATED_RUNS.default
    canaries: Annotated[int, _number_of(arguments.CANARIES)] = arguments.CANARIES.default
    kind: CanaryKind = arguments.KIND.default
    guesses: Annotated[float, _number_of(arguments.GUESSES)] = arguments.GUESSES.default
    significance: Significance = arguments.SIGNIFICANCE.default
    last_iterate: bool = arguments.LAST_ITERATE.default


class CheckpointSettings(_Settings):
    """An audit of a model that was trained before, with `models` shadow models that are trained.

    `scheme` is the noise under which the shadow models are trained. `inputs` says which inputs the
    checkpoint is queried with: those that the shadow models are trained on ("standardised"), or the
    data as they are stored ("raw").
    """

    models: StudyModels = arguments.SHADOW_MODELS.default
    scheme: ChosenScheme = _default(PLAIN)
    inputs: CheckpointInputs = arguments.CHECKPOINT_INPUTS.default

    def study(self) -> StudySettings:
        """Returns the settings of the study that trains the shadow models."""
        shared = {name: getattr(self, name) for name in _Settings.model_fields}
        return StudySettings(schemes=(self.scheme,), **shared)


def study_settings(values: dict[str, Any]) -> StudySettings:
    """Returns checked settings. Raises UsageError for the first thing that is wrong."""
    return checked(StudySettings, values)


def dp_audit_settings(values: dict[str, Any]) -> DPAuditSettings:
    """Returns checked settings. Raises UsageError for the first thing that is wrong."""
    return checked(DPAuditSettings, values)


def checkpoint_settings(values: dict[str, Any]) -> CheckpointSettings:
    """Returns checked settings. Raises UsageError for the first thing that is wrong."""
    return checked(CheckpointSettings, values)


def checked(
    kind: type[Settings], values: dict[str, Any], single: Mapping[str, str] | None = None
) -> Settings:
    """Returns the settings. Raises UsageError for the first thing that is wrong.

    `single` has the lists that a file gives as a single value: the name of the list, and the name
    under which the file has the value.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise usage_error(error, list(kind.model_fields), single or {}) from error
