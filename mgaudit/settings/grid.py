"""A grid of studies, schemes × targets × datasets × seeds: the study file, checked as a whole before anything runs."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from itertools import product
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from mgaudit.settings.choices import OWN, spelt
from mgaudit.settings.study_settings import (
    AttackText,
    DatasetText,
    Device,
    Examples,
    QueriesText,
    SchemeText,
    Seed,
    SomeDistinct,
    Stack,
    StudyModels,
    StudySettings,
    TargetText,
    checked,
    no_such_setting,
    scheme_choice,
    scheme_parts,
)
from mgaudit.targets import SCHEMES
from mgaudit.targets.training import Training

SEVERAL = {"dataset": "datasets", "target": "targets", "seed": "seeds"}


class GridSettings(BaseModel):
    """Studies that differ in target, dataset and seed, each with the same arms; all else they share.

    `stacks` are the stack sizes of some studies, by `stack_place`; the others have `stack`. `notes` are words on arms,
    by their scheme, for the report.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = ""
    note: str = ""
    datasets: SomeDistinct[DatasetText] = ("digits",)
    targets: SomeDistinct[TargetText] = ("cnn",)
    seeds: SomeDistinct[Seed] = (0,)
    attacks: SomeDistinct[AttackText] = ("lira", "loss")
    queries: QueriesText = "plain"
    models: StudyModels = 16
    examples: Examples | None = None
    device: Device = "auto"
    stack: Stack = "auto"
    stacks: dict[str, Annotated[int, Field(ge=1)]] = {}
    training: Training = Training()
    schemes: SomeDistinct[SchemeText]
    notes: dict[SchemeText, str] = {}

    def cells(self) -> list[StudySettings]:
        """Returns the settings of each study: of each dataset, target and seed, the seed changing fastest."""
        shared = {name: getattr(self, name) for name in StudySettings.model_fields if name in GridSettings.model_fields}
        return [
            StudySettings(
                **shared
                | {
                    "dataset": dataset,
                    "target": target,
                    "seed": seed,
                    "stack": self.stacks.get(stack_place(target, dataset), self.stack),
                }
            )
            for dataset, target, seed in product(self.datasets, self.targets, self.seeds)
        ]

    def as_dict(self) -> dict[str, Any]:
        """Returns plain values, as they go to JSON and TOML; `grid_settings` makes the same grid of them."""
        values = self.model_dump(mode="json", exclude={"training"})
        return {**values, "training": asdict(self.training)}


def stack_place(target: str, dataset: str) -> str:
    """Returns the key of a study in `stacks`."""
    return f"{target} on {dataset}"


def grid_settings(values: dict[str, Any]) -> GridSettings:
    """Returns the grid that a study file says.

    Arms are `[[arms]]`, each with a scheme and its options, a list of values being one arm for each; or `schemes`, a
    list of spellings. Raises ValueError with one line, naming the place, for the first thing that is wrong.
    """
    known = ["title", "note", *SEVERAL, *SEVERAL.values(), "arms", *GridSettings.model_fields]
    for key in values:
        if key not in known:
            raise ValueError(no_such_setting(key, list(dict.fromkeys(known))))
    rest = {key: value for key, value in values.items() if key not in ("arms", "schemes", *SEVERAL)}
    single = {}
    for one, several in SEVERAL.items():
        rest |= _listed(values, one, several)
        if one in values:
            single[several] = one
    arms = list(_arms(values))
    _refuse_twice(arms)
    notes = {arm.scheme: arm.note for arm in arms if arm.note}
    if isinstance(rest.get("notes", {}), dict):
        rest["notes"] = rest.get("notes", {}) | notes
    grid = checked(GridSettings, rest | {"schemes": [arm.scheme for arm in arms]}, single)
    _refuse_loose_ends("notes", grid.notes, grid.schemes, "arm")
    places = [stack_place(target, dataset) for dataset, target in product(grid.datasets, grid.targets)]
    _refuse_loose_ends("stacks", grid.stacks, places, "study")
    return grid


def edited_grid(values: dict[str, Any], changes: Mapping[str, Any], training: Mapping[str, Any]) -> GridSettings:
    """Returns the grid of `values` with what the command line says put in; what it does not say (None) stays.

    Notes and stack sizes of what is no longer in the grid go with it.
    """
    given = {key: value for key, value in changes.items() if value is not None}
    trained = {key: value for key, value in training.items() if value is not None}
    if not values and "schemes" not in given:
        raise ValueError(
            "a comparison needs arms: give a study file, as in mgaudit compare studies/quick.toml, or --scheme, as in "
            "--scheme none --scheme gaussian-mask:kappa=0.3"
        )
    if "schemes" in given:
        values = {key: value for key, value in values.items() if key != "arms"} | {"schemes": []}
    for one, several in SEVERAL.items():
        if several in given:
            values = {key: value for key, value in values.items() if key != one}
    settings = values | given | {"training": values.get("training", {}) | trained}
    if "schemes" in given and "notes" in values:
        kept = {scheme_choice(text).text for text in given["schemes"]}
        settings["notes"] = {text: note for text, note in values["notes"].items() if text in kept}
    if "stack" in given:
        settings.pop("stacks", None)
    elif "stacks" in values:
        plain = grid_settings({key: value for key, value in settings.items() if key != "stacks"})
        places = {stack_place(target, dataset) for dataset, target in product(plain.datasets, plain.targets)}
        settings["stacks"] = {place: size for place, size in values["stacks"].items() if place in places}
    return grid_settings(settings)


@dataclass(frozen=True)
class _Arm:
    """An arm of the file: its scheme spelt canonically, the place where it stands, and the words on it."""

    scheme: str
    place: str
    note: str


def _listed(values: Mapping[str, Any], one: str, several: str) -> dict[str, Any]:
    """Returns `several` as a list, given under that name or as `one`; nothing where neither is given."""
    if one in values and several in values:
        raise ValueError(f"{one} and {several} are both given; give one of them")
    if one in values:
        if isinstance(values[one], list):
            raise ValueError(f"{one} must be a single one, got {values[one]!r}; a list of them is {several} = […]")
        return {several: [values[one]]}
    if several not in values:
        return {}
    if not isinstance(values[several], list | tuple):
        raise ValueError(f"{several} must be a list, got {values[several]!r}; a single one is {one} = …")
    if not values[several]:
        raise ValueError(f"{several}: the list is empty, so the grid is empty; name at least one, or leave it out")
    return {several: list(values[several])}


def _arms(values: Mapping[str, Any]) -> Iterator[_Arm]:
    if "arms" in values and "schemes" in values:
        raise ValueError("arms and schemes are both given, and both name the arms; give one of them")
    key = "arms" if "arms" in values else "schemes"
    if key not in values:
        raise ValueError(
            'there are no arms, so the grid is empty; give [[arms]] with scheme = "none", or schemes = […]'
        )
    if not isinstance(values[key], list | tuple):
        raise ValueError(f"{key} must be a list, got {values[key]!r}")
    if not values[key]:
        raise ValueError(f"{key}: the list is empty, so the grid is empty; name at least one arm")
    for index, entry in enumerate(values[key]):
        place = f"{key}[{index}]"
        if key == "arms":
            yield from _expanded(place, entry)
        elif isinstance(entry, str):
            yield _Arm(_scheme(place, entry, {}), place, "")
        else:
            raise ValueError(f"{place} must be a scheme spelt as in gaussian-mask:kappa=0.3, got {entry!r}")


def _expanded(place: str, entry: Any) -> Iterator[_Arm]:
    """Yields the arms of one table: one for each scheme and each value of each option, the last changing fastest."""
    if not isinstance(entry, dict):
        raise ValueError(f"{place} must be a table with a scheme in it, got {entry!r}")
    if "scheme" not in entry:
        near = get_close_matches("scheme", list(entry), n=1)
        hint = f"; did you mean scheme by {near[0]!r}?" if near else ""
        raise ValueError(f'{place} has no scheme; give it one, as in scheme = "gaussian-mask"{hint}')
    note = entry.get("note", "")
    if not isinstance(note, str):
        raise ValueError(f"{place}.note must be text, got {note!r}")
    axes = {key: _axis(f"{place}.{key}", value) for key, value in entry.items() if key != "note"}
    for values in product(*axes.values()):
        options = dict(zip(axes, values, strict=True))
        scheme = options.pop("scheme")
        if not isinstance(scheme, str):
            raise ValueError(f"{place}.scheme must be text, got {scheme!r}")
        yield _Arm(_scheme(place, scheme, options), place, note)


def _axis(place: str, value: Any) -> list[Any]:
    values = value if isinstance(value, list) else [value]
    if not values:
        raise ValueError(f"{place}: the list is empty, so these arms are none; give a value, or take the table out")
    for one in values:
        if not isinstance(one, bool | int | float | str):
            raise ValueError(f"{place} must be a value or a list of values, got {one!r}")
    return values


def _scheme(place: str, scheme: str, options: Mapping[str, Any]) -> str:
    """Returns the scheme with these options spelt canonically. Raises ValueError that says where in the file."""
    if options and len(scheme_parts(scheme)) > 1:
        key = next(iter(options))
        raise ValueError(
            f"{place}.{key}: {scheme!r} is a composition, and the options of its parts belong into its spelling, as in "
            "gaussian-mask:kappa=0.3+dp-sgd:epsilon=8"
        )
    text = scheme
    for key, value in options.items():
        if isinstance(value, str) and re.search(r"[,=+:]", value):
            raise ValueError(f"{place}.{key} must be one value or a list of values, got {value!r}")
        text += f"{',' if _has_options(text) else ':'}{key}={spelt(value)}"
    try:
        return scheme_choice(text).text
    except ValueError as error:
        raise ValueError(f"{_blamed(place, options, str(error))}: {error}{_meant(options, str(error))}") from error


def _has_options(text: str) -> bool:
    own = OWN.fullmatch(text)
    if own is not None and own["module"] not in SCHEMES:
        return bool(own["options"])
    return ":" in text


def _blamed(place: str, options: Mapping[str, Any], message: str) -> str:
    """Returns the place with the one option that the message speaks of, if it is one."""
    if message.startswith("scheme must"):
        return f"{place}.scheme" if place.startswith("arms") else place
    rule = message.partition(", got ")[0]
    named = [key for key in options if f"no option {key!r}" in message] or [
        key for key in options if re.search(rf"\b{re.escape(key)}\b", rule)
    ]
    return f"{place}.{named[0]}" if len(named) == 1 else place


def _meant(options: Mapping[str, Any], message: str) -> str:
    """Returns a question after a key of the table itself that was mistaken for an option."""
    unknown = [key for key in options if f"no option {key!r}" in message and "did you mean" not in message]
    near = [one for key in unknown for one in get_close_matches(key, ("note", "scheme"), n=1)]
    return f"; did you mean {near[0]!r}?" if near else ""


def _refuse_twice(arms: Sequence[_Arm]) -> None:
    seen: dict[str, str] = {}
    for arm in arms:
        before = seen.setdefault(arm.scheme, arm.place) if arm.scheme in seen else None
        if before == arm.place:
            raise ValueError(f"{arm.place} is {arm.scheme} twice; each arm may be given once")
        if before is not None:
            raise ValueError(f"{before} and {arm.place} are both {arm.scheme}; each arm may be given once")
        seen[arm.scheme] = arm.place


def _refuse_loose_ends(setting: str, given: Mapping[str, Any], known: Sequence[str], what: str) -> None:
    for key in given:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"{setting}: the grid has no {what} {key!r}{hint}")
