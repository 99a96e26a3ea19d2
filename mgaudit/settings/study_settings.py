"""What to audit: settings from TOML, the command line or Python, checked before anything runs."""

import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from functools import partial
from numbers import Integral, Real
from pathlib import Path
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
from mgaudit.errors import UsageError, did_you_mean
from mgaudit.settings import arguments
from mgaudit.settings.arguments import Argument, plain_type
from mgaudit.settings.choices import Choice, first_parameters, parse
from mgaudit.settings.datasets import DatasetChoice, dataset_choice
from mgaudit.settings.objects import class_choice, object_choice
from mgaudit.settings.schemes import DEFAULT_DP, PLAIN, SchemeChoice, scheme_choice
from mgaudit.targets import NETWORKS, QUERIES
from mgaudit.targets.contract import NETWORK
from mgaudit.targets.datasets.canaries import CanaryKind
from mgaudit.targets.querying.queries import Queries
from mgaudit.targets.ranges import Range, fits_64_bits, range_in
from mgaudit.targets.training import Training

SUPPLIED = ("input_shape", "classes")  # to a network, by mgaudit
MOST_BYTES = 1_000_000  # of a settings file
NOT_TOML = "repair it, or see `mgaudit list studies` for files that are right"
DEFAULT_SCHEMES = (PLAIN, f"gaussian-mask:kappa={arguments.KAPPA.default:g}", DEFAULT_DP)
OF_STUDIES = ("title", "note", "datasets", "targets", "seeds", "arms", "stacks")
TRAINED = tuple(field.name for field in fields(Training))


Settings = TypeVar("Settings", bound=BaseModel)
Value = TypeVar("Value")


def target_choice(value: object) -> Choice:
    """Returns the network that a text or a class names.

    `built` is called with the input shape and the classes.
    """
    if isinstance(value, type | partial):
        return _network_choice(value)
    return _chosen(value, "target", NETWORKS, SUPPLIED, NETWORK)


def attack_choice(value: object) -> Choice:
    """Returns the attack that a text names or an object is; a choice stays as it is.

    Raises UsageError as `parse` does.
    """
    if isinstance(value, Attack):
        choice = object_choice(ATTACKS, value)
    else:
        choice = _chosen(value, "attack", ATTACKS, own=Attack)
    if not isinstance(choice.built.needs, frozenset):
        raise UsageError(
            choice.name, "must have a frozenset for its needs", repr(choice.built.needs)
        )
    return choice


def queries_choice(value: object) -> Choice:
    """Returns the queries that a text names or an object is; a choice stays as it is.

    Raises UsageError as `parse` does.
    """
    if isinstance(value, Queries):
        return object_choice(QUERIES, value)
    return _chosen(value, "queries", QUERIES)


def _network_choice(value: type | partial[Any]) -> Choice:
    build = value.func if isinstance(value, partial) else value
    if not (isinstance(build, type) and issubclass(build, NETWORK)):
        rule = f"must be a class that extends {NETWORK.__module__}.{NETWORK.__qualname__}"
        raise UsageError("", rule, repr(build))
    return class_choice(NETWORKS, value, first_parameters(build.__name__, build, SUPPLIED))


def _chosen(
    value: object,
    kind: str,
    registry: Mapping[str, Callable[..., Any]],
    supplied: tuple[str, ...] = (),
    own: type | None = None,
) -> Choice:
    if isinstance(value, Choice):
        return value
    if not isinstance(value, str):
        article = "an" if kind == "attack" else "a"
        rule = f"must be the text of {article} {kind}, or an object"
        raise UsageError("", rule, f"{type(value).__name__}: {value!r}")
    return parse(kind, registry, value, supplied, own)


def _distinct(values: tuple[Value, ...]) -> tuple[Value, ...]:
    twice = [value for value in values if values.count(value) > 1]
    if twice:
        raise UsageError("", "may hold each value once", f"{twice[0]} twice")
    return values


def _stack(value: object) -> object:
    """Returns a number for its text, so that errors tell of one rule instead of two."""
    if value == "auto" or (type(value) is int and value >= 1):
        return value
    if isinstance(value, str) and value.isdecimal() and len(value) < 10 and int(value) >= 1:
        return int(value)
    raise UsageError("", "must be auto or a whole number >= 1", repr(value))


def _number(value: object, is_whole: bool, limits: Range | None) -> int | float:
    """Returns a number of Python or numpy. Raises UsageError for another type or out of range."""
    kind = "a whole number" if is_whole else "a number"
    rule = f"must be {kind}" if limits is None else f"must be {kind} {limits}"
    number_type = Integral if is_whole else Real
    if isinstance(value, bool) or not isinstance(value, number_type):
        raise UsageError("", rule, f"{type(value).__name__}: {value!r}")
    number = int(value) if isinstance(value, Integral) else float(value)
    if not fits_64_bits(number):
        bits = int(number).bit_length()
        raise UsageError("", "must be a whole number of at most 64 bits", f"one of {bits} bits")
    if limits is not None and number not in limits:
        raise UsageError("", rule, str(number))
    return number


def _number_of(argument: Argument) -> BeforeValidator:
    """Returns the check of a number against its argument's type and range."""
    is_whole = argument.kind is int
    return BeforeValidator(lambda value: _number(value, is_whole, argument.limits))


def _training(value: object) -> object:
    """Returns the numbers among training settings as those of Python. Raises as `_number` does."""
    if not isinstance(value, dict):
        return value
    values = dict(value)
    for field in fields(Training):
        number = values.get(field.name)
        if range_in(field.type) is None or number is None:
            continue
        is_whole = plain_type(field.type) is int
        try:
            values[field.name] = _number(number, is_whole, None)
        except UsageError as error:
            raise error.inside(field.name) from error
    return values


AS_TEXT = PlainSerializer(str, return_type=str)
ChosenDataset = Annotated[DatasetChoice, PlainValidator(dataset_choice), AS_TEXT]
ChosenTarget = Annotated[Choice, PlainValidator(target_choice), AS_TEXT]
ChosenScheme = Annotated[SchemeChoice, PlainValidator(scheme_choice), AS_TEXT]
ChosenQueries = Annotated[Choice, PlainValidator(queries_choice), AS_TEXT]
ChosenAttack = Annotated[Choice, PlainValidator(attack_choice), AS_TEXT]
Stack = Annotated[Literal["auto"] | int, BeforeValidator(_stack)]
ChosenTraining = Annotated[Training, BeforeValidator(_training)]
Seed = Annotated[int, _number_of(arguments.SEED)]
Examples = Annotated[int, _number_of(arguments.EXAMPLES)]
Device = Literal["auto", "cpu", "cuda"]
StudyModels = Annotated[int, _number_of(arguments.MODELS)]
Significance = Annotated[float, _number_of(arguments.SIGNIFICANCE)]
SomeModels = Annotated[int, _number_of(arguments.TRAINING_RUNS)]
SomeDistinct = Annotated[tuple[Value, ...], Field(min_length=1), AfterValidator(_distinct)]


def _default(text: object) -> Any:
    """Returns the field whose default is a text, which is parsed as if the user had given it."""
    return Field(default=text, validate_default=True)


class _Trained(BaseModel):
    """What models are trained on and how, but for the noise."""

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
        """Returns the settings by name, to change some and check all again; choices stay objects."""
        return {**dict(self), "training": asdict(self.training)}


class _Settings(_Trained):
    """What all arms of a study share."""

    attacks: SomeDistinct[ChosenAttack] = _default(arguments.ATTACK.default)
    queries: ChosenQueries = _default(arguments.QUERIES.default)
    models: SomeModels = arguments.MODELS.default


class AuditSettings(_Settings):
    """One arm: an ensemble trained under one scheme, and attacked."""

    scheme: ChosenScheme

    @property
    def label(self) -> str:
        """The arm's name in reports."""
        return self.scheme.label()

    @property
    def trained_choices(self) -> tuple[Choice, ...]:
        """What is chosen for the training of the arm's models: the network and the schemes."""
        return (self.target, *self.scheme.parts)


class StudySettings(_Settings):
    """Arms that differ in their scheme alone. The plain arm, if there is one, is what the others are compared with.

    `notes` are words on arms, by their scheme, for the report.
    """

    models: StudyModels = arguments.MODELS.default
    schemes: SomeDistinct[ChosenScheme] = _default(DEFAULT_SCHEMES)
    notes: dict[ChosenScheme, str] = {}

    def arms(self) -> list[AuditSettings]:
        """Returns the settings of each arm."""
        shared = {name: getattr(self, name) for name in _Settings.model_fields}
        return [AuditSettings(scheme=scheme, **shared) for scheme in self.schemes]


class DPAuditSettings(_Trained):
    """An audit of one scheme's epsilon with canaries, in one run or a few.

    `guesses` is the share of the canaries that is guessed in, and the share that is guessed out.
    """

    scheme: ChosenScheme = _default(arguments.AUDITED.default)
    canaries: Annotated[int, _number_of(arguments.CANARIES)] = arguments.CANARIES.default
    kind: CanaryKind = arguments.KIND.default
    guesses: Annotated[float, _number_of(arguments.GUESSES)] = arguments.GUESSES.default
    significance: Significance = arguments.SIGNIFICANCE.default


def study_settings(values: dict[str, Any]) -> StudySettings:
    """Returns checked settings. Raises UsageError for the first thing that is wrong."""
    return checked(StudySettings, values)


def dp_audit_settings(values: dict[str, Any]) -> DPAuditSettings:
    """Returns checked settings. Raises UsageError for the first thing that is wrong."""
    return checked(DPAuditSettings, values)


def checked(
    kind: type[Settings], values: dict[str, Any], single: Mapping[str, str] | None = None
) -> Settings:
    """Returns the settings. Raises UsageError for the first thing that is wrong.

    `single` holds the names of the lists that a file gives as a single value, and the names there.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise _usage_error(error, list(kind.model_fields), single or {}) from error


def read_settings(path: Path) -> dict[str, Any]:
    """Returns the values in a settings file. Raises UsageError, naming file and line, where it is not TOML."""
    key = f"the settings file {path}"
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(
            key, f"cannot be read: {error.strerror}", None, "give the path of a TOML file"
        ) from error
    if len(content) > MOST_BYTES:
        raise UsageError(
            key, f"must have at most {MOST_BYTES:,} bytes", "more", "give a TOML file of settings"
        )
    try:
        values = tomllib.loads(content.decode("utf-8-sig"))
    except RecursionError as error:
        raise UsageError(
            key, "is not TOML of settings: it is nested too deeply", None, NOT_TOML
        ) from error
    except ValueError as error:  # bytes that are no text among them
        raise UsageError(key, f"is not TOML: {error}", None, NOT_TOML) from error
    if not all(map(fits_64_bits, _numbers(values))):
        raise UsageError(
            key, "is not TOML: a whole number must have at most 64 bits", None, NOT_TOML
        )
    return values


def _numbers(value: object) -> Iterator[object]:
    """Yields all values in nested tables and lists."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _numbers(item)
    else:
        yield value


def no_such_setting(table: str, key: str, known: Sequence[str]) -> UsageError:
    """Returns the error of a setting that does not exist in the table, "" for the top, with the nearest that does."""
    way_out = (
        did_you_mean(f"{table}.{key}", [f"{table}.{name}" for name in known])
        if table
        else did_you_mean(key, known)
    )
    if not table and key in TRAINED:
        way_out = f"did you mean 'training.{key}'?"
    if not table and key in OF_STUDIES:
        way_out = "a study file is run by mgaudit compare"
    error = UsageError(key, f"is not a setting; the settings are {', '.join(known)}", None, way_out)
    return error.inside(table) if table else error


def _usage_error(
    error: ValidationError, known: Sequence[str], single: Mapping[str, str]
) -> UsageError:
    first = error.errors()[0]
    location = [part for part in first["loc"] if part != "[key]"]
    if location[0] in single:
        location = [single[str(location[0])], *location[2:]]
    *tables, last = location
    if first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        table = _joined(tables)
        return no_such_setting(table, str(last), TRAINED if table == "training" else known)
    place = _joined(location)
    if first["type"] == "value_error":
        cause = first["ctx"]["error"]
        return (
            cause.inside(place)
            if isinstance(cause, UsageError)
            else UsageError(f"{place}:", str(cause))
        )
    if first["type"] == "too_short":
        return UsageError(
            place, f"must have at least {first['ctx']['min_length']} item", repr(first["input"])
        )
    rule = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return UsageError(place, f"must be {rule}", repr(first["input"]))


def _joined(location: Sequence[str | int]) -> str:
    """Returns a place in the settings.

    >>> _joined(["attacks", 1]), _joined(["training", "epochs"])
    ('attacks[1]', 'training.epochs')
    """
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return "".join(parts).removeprefix(".")
