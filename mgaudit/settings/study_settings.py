"""What to audit: settings from TOML or the command line, checked as a whole before anything runs."""

import inspect
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from mgaudit.analysis.samples import FEWEST_MODELS
from mgaudit.attacks import ATTACKS, Attack
from mgaudit.settings.choices import Choice, parse
from mgaudit.targets import QUERIES, SCHEMES, TARGETS
from mgaudit.targets.contract import NETWORK
from mgaudit.targets.datasets import TAKES_PATH
from mgaudit.targets.datasets.canaries import Kind
from mgaudit.targets.schemes import Scheme, compose
from mgaudit.targets.training import Training

FEWEST_EXAMPLES = 50
FEWEST_CANARIES = 20
DEFAULT_DP = "dp-sgd:epsilon=8"
DEFAULT_AUDITED = "dp-sgd:epsilon=2"  # 100 guesses about 500 canaries can prove more than that
OF_STUDIES = ("title", "note", "datasets", "targets", "seeds", "arms", "stacks")
TRAINED = tuple(field.name for field in fields(Training))


Settings = TypeVar("Settings", bound=BaseModel)
Value = TypeVar("Value", str, int)


def target_choice(text: str) -> Choice:
    """Returns the target network that `text` spells."""
    return parse("target", TARGETS, text, supplied=("input_shape", "classes"), own=NETWORK)


@dataclass(frozen=True)
class SchemeChoice:
    """The schemes of a composition in their order; most often there is one."""

    parts: tuple[Choice, ...]

    @property
    def text(self) -> str:
        """The choice spelt canonically."""
        return "+".join(part.text for part in self.parts)

    def label(self) -> str:
        """Returns the choice as a reader sees it."""
        return " + ".join(part.label() for part in self.parts)

    def build(self) -> Scheme:
        """Returns the scheme. Raises ValueError for values out of range and for what cannot be composed."""
        return compose(tuple(_scheme_part(part) for part in self.parts))

    def is_only(self, name: str) -> bool:
        """Returns whether the scheme of that name is all there is."""
        return [part.name for part in self.parts] == [name]


def _scheme_part(choice: Choice) -> Scheme:
    try:
        scheme: Scheme = choice.built()
    except ValueError as error:
        raise ValueError(f"scheme {choice.name}: {error}") from error
    if {field.name for field in fields(scheme)} != set(inspect.signature(choice.build).parameters):
        raise ValueError(
            f"scheme {choice.name} must be a frozen dataclass whose fields are its options, so that they can be "
            "checked, compared and kept"
        )
    return scheme


def scheme_choice(text: str) -> SchemeChoice:
    """Returns the noise scheme that `text` spells, parts joined by "+"; it has been checked by building it."""
    choice = SchemeChoice(tuple(parse("scheme", SCHEMES, part, own=Scheme) for part in scheme_parts(text)))
    choice.build()
    return choice


def scheme_parts(text: str) -> list[str]:
    """Returns the spellings that "+" joins to a composition; most often there is one.

    >>> scheme_parts("gaussian-mask:kappa=1e+2+dp-sgd:epsilon=8")
    ['gaussian-mask:kappa=1e+2', 'dp-sgd:epsilon=8']
    """
    # A plus sign within a number does not stand before a letter.
    return re.split(r"\+(?=\s*[A-Za-z])", text)


def attack_choice(text: str) -> Choice:
    """Returns the attack that `text` spells; its values have been checked by building it."""
    choice = parse("attack", ATTACKS, text, own=Attack)
    choice.built()
    return choice


def queries_choice(text: str) -> Choice:
    """Returns the queries that `text` spells; their values have been checked by building them."""
    choice = parse("queries", QUERIES, text)
    choice.build(**choice.options)
    return choice


def _distinct(values: tuple[Value, ...]) -> tuple[Value, ...]:
    twice = [value for value in values if values.count(value) > 1]
    if twice:
        raise ValueError(f"each may be given once, got {twice[0]!r} twice")
    return values


def _stack(value: object) -> object:
    """Returns a number for its text, so that errors tell of one rule instead of two."""
    if value == "auto" or (type(value) is int and value >= 1):
        return value
    if isinstance(value, str) and value.isdecimal() and int(value) >= 1:
        return int(value)
    raise ValueError(f"stack must be auto or a whole number >= 1, got {value!r}")


def absolute(dataset: str) -> str:
    """Returns the dataset with its path made absolute, so that the settings mean the same from any folder."""
    name, _, path = dataset.partition(":")
    return f"{name}:{Path(path).expanduser().absolute()}" if name in TAKES_PATH and path else dataset


DatasetText = Annotated[str, AfterValidator(absolute)]
TargetText = Annotated[str, AfterValidator(lambda text: target_choice(text).text)]
Stack = Annotated[Literal["auto"] | int, BeforeValidator(_stack)]
SchemeText = Annotated[str, AfterValidator(lambda text: scheme_choice(text).text)]
QueriesText = Annotated[str, AfterValidator(lambda text: queries_choice(text).text)]
AttackText = Annotated[str, AfterValidator(lambda text: attack_choice(text).text)]
Seed = Annotated[int, Field(ge=0)]
Examples = Annotated[int, Field(ge=FEWEST_EXAMPLES)]
Device = Literal["auto", "cpu", "cuda"]
StudyModels = Annotated[int, Field(ge=FEWEST_MODELS)]
SomeDistinct = Annotated[tuple[Value, ...], Field(min_length=1), AfterValidator(_distinct)]


class _Trained(BaseModel):
    """What models are trained on and how, but for the noise."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: DatasetText = "digits"
    target: TargetText = "cnn"
    models: Annotated[int, Field(ge=1)] = 1
    examples: Examples | None = None
    seed: Seed = 0
    device: Device = "auto"
    stack: Stack = "auto"
    training: Training = Training()

    def as_dict(self) -> dict[str, Any]:
        """Returns plain values, as they go to JSON and TOML."""
        shared = self.model_dump(mode="json", exclude={"training"})
        return {**shared, "training": asdict(self.training)}


class _Settings(_Trained):
    """What all arms of a study share."""

    attacks: SomeDistinct[AttackText] = ("lira", "loss")
    queries: QueriesText = "plain"
    models: Annotated[int, Field(ge=1)] = 16


class AuditSettings(_Settings):
    """One arm: an ensemble trained under one scheme, and attacked."""

    scheme: SchemeText

    @property
    def choice(self) -> SchemeChoice:
        """The scheme as it was chosen."""
        return scheme_choice(self.scheme)

    @property
    def label(self) -> str:
        """The arm's name in reports."""
        return "no noise" if self.scheme == "none" else self.choice.label()


class StudySettings(_Settings):
    """Arms that differ in their scheme alone. The arm "none", if there is one, is the baseline of the others.

    `notes` are words on arms, by their scheme, for the report.
    """

    models: StudyModels = 16
    schemes: SomeDistinct[SchemeText] = ("none", "gaussian-mask:kappa=0.3", DEFAULT_DP)
    notes: dict[SchemeText, str] = {}

    @property
    def baseline(self) -> str | None:
        """The noise-free arm, if the study has one."""
        return "none" if "none" in self.schemes else None

    def arms(self) -> list[AuditSettings]:
        """Returns the settings of each arm."""
        shared = {name: getattr(self, name) for name in _Settings.model_fields}
        return [AuditSettings(scheme=scheme, **shared) for scheme in self.schemes]


class DPAuditSettings(_Trained):
    """An audit of one scheme's epsilon with canaries, in one run or a few.

    `guesses` is the share of the canaries that is guessed in, and the share that is guessed out.
    """

    scheme: SchemeText = DEFAULT_AUDITED
    canaries: Annotated[int, Field(ge=FEWEST_CANARIES)] = 500
    kind: Kind = "mislabelled"
    guesses: Annotated[float, Field(gt=0, le=0.5)] = 0.1
    significance: Annotated[float, Field(gt=0, lt=0.5)] = 0.05


def edited_schemes(
    schemes: Sequence[str],
    audited: str | None = None,
    baseline: bool | None = None,
    dp: bool | None = None,
    epsilon: float | None = None,
    delta: float | None = None,
) -> list[str]:
    """Returns the arms with what the command line says of them put in; what it does not say (None) stays.

    `audited` takes the place of every arm that is neither "none" nor DP-SGD; `baseline` and `dp` add or remove those
    two; `epsilon` and `delta` change the DP-SGD arms, or add one.
    """
    choices = [scheme_choice(text) for text in schemes]
    plain = [choice for choice in choices if choice.is_only("none")]
    private = [choice for choice in choices if choice.is_only("dp-sgd")]
    noisy = [choice for choice in choices if choice not in plain and choice not in private]
    if baseline is not None:
        plain = [scheme_choice("none")] if baseline else []
    if audited is not None:
        noisy = [scheme_choice(audited)]
    if dp is False:
        if epsilon is not None or delta is not None:
            raise ValueError("--epsilon and --delta are settings of the DP-SGD arm, which --no-dp leaves out")
        private = []
    elif not private and (dp or epsilon is not None or delta is not None):
        private = [scheme_choice(DEFAULT_DP)]
    changes = {key: value for key, value in (("epsilon", epsilon), ("delta", delta)) if value is not None}
    for place, choice in enumerate(private):
        options = choice.parts[0].options | changes
        if epsilon is not None:
            options.pop("noise_multiplier", None)
        private[place] = SchemeChoice((replace(choice.parts[0], options=options),))
    return list(dict.fromkeys(choice.text for choice in (*plain, *noisy, *private)))


def study_settings(values: dict[str, Any]) -> StudySettings:
    """Returns checked settings. Raises ValueError with one line for the first thing that is wrong."""
    return checked(StudySettings, values)


def dp_audit_settings(values: dict[str, Any]) -> DPAuditSettings:
    """Returns checked settings. Raises ValueError with one line for the first thing that is wrong."""
    return checked(DPAuditSettings, values)


def checked(kind: type[Settings], values: dict[str, Any], single: Mapping[str, str] | None = None) -> Settings:
    """Returns the settings. Raises ValueError with one line for the first thing that is wrong.

    For the values of a file `single` holds the lists of one that it gives as a single value, and the names there; the
    line then says where in the file. Other values may come from options, which the line names itself.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise ValueError(_one_line(error, list(kind.model_fields), single)) from error


def read_settings(path: Path) -> dict[str, Any]:
    """Returns the values in a settings file. Raises ValueError, naming file and line, where it is not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"cannot read the settings file {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"the settings file {path} is not TOML: {error}") from error


def no_such_setting(place: str, known: Sequence[str]) -> str:
    """Returns the line about a setting that does not exist, the nearest of those that do at its end."""
    table, _, key = place.rpartition(".")
    near = [f"{table}.{one}" if table else one for one in get_close_matches(key, known, n=1)]
    if not table and key in TRAINED:
        near = [f"training.{key}"]
    line = f"there is no setting {place!r}; the settings are {', '.join(known)}"
    if key in OF_STUDIES and not table:
        return f"{line}; a study file is run by mgaudit compare"
    return f"{line}; did you mean {near[0]!r}?" if near else line


def _one_line(error: ValidationError, known: Sequence[str], single: Mapping[str, str] | None) -> str:
    first = error.errors()[0]
    loc = first["loc"]
    if single and loc[0] in single:
        loc = (single[str(loc[0])], *loc[2:])
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")
    if first["type"] == "value_error":
        message = str(first["ctx"]["error"])
        named = (place,) if single is not None else (place, "scheme", "target", "attack", "queries", "stack")
        return message if message.startswith(named) else f"{place}: {message}"
    if first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return no_such_setting(place, TRAINED if place.startswith("training.") else known)
    if first["type"] == "too_short":
        return f"{place} must have at least {first['ctx']['min_length']} item, got {first['input']!r}"
    rule = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return f"{place} must be {rule}, got {first['input']!r}"
