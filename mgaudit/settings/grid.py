"""A grid of studies, schemes × targets × datasets × seeds: the study file, checked as a whole before anything runs."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from mgaudit.errors import UsageError, did_you_mean
from mgaudit.settings.choices import Choice
from mgaudit.settings.datasets import DatasetChoice
from mgaudit.settings.schemes import SchemeChoice, scheme_choice, scheme_entry, scheme_parts
from mgaudit.settings.study_settings import (
    ChosenAttack,
    ChosenDataset,
    ChosenQueries,
    ChosenScheme,
    ChosenTarget,
    ChosenTraining,
    Device,
    Examples,
    Seed,
    SomeDistinct,
    Stack,
    StudyModels,
    StudySettings,
    checked,
    no_such_setting,
)
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
    datasets: SomeDistinct[ChosenDataset] = Field(("digits",), validate_default=True)
    targets: SomeDistinct[ChosenTarget] = Field(("cnn",), validate_default=True)
    seeds: SomeDistinct[Seed] = (0,)
    attacks: SomeDistinct[ChosenAttack] = Field(("lira", "loss"), validate_default=True)
    queries: ChosenQueries = Field("plain", validate_default=True)
    models: StudyModels = 16
    examples: Examples | None = None
    device: Device = "auto"
    stack: Stack = "auto"
    stacks: dict[str, Annotated[int, Field(strict=True, ge=1)]] = {}
    training: ChosenTraining = Training()
    schemes: SomeDistinct[ChosenScheme]
    notes: dict[ChosenScheme, str] = {}

    def cells(self) -> list[StudySettings]:
        """Returns the settings of each study: of each dataset, target and seed, the seed changing fastest."""
        shared = {
            name: getattr(self, name)
            for name in StudySettings.model_fields
            if name in GridSettings.model_fields
        }
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

    @property
    def stack_places(self) -> list[str]:
        """The keys that `stacks` may have."""
        return [
            stack_place(target, dataset) for dataset, target in product(self.datasets, self.targets)
        ]


def stack_place(target: Choice, dataset: DatasetChoice) -> str:
    """Returns the key of a study in `stacks`."""
    return f"{target} on {dataset}"


def grid_settings(values: dict[str, Any]) -> GridSettings:
    """Returns the grid that a study file says.

    Arms are `[[arms]]`, each with a scheme and its options, a list of values being one arm for each; or `schemes`, a
    list of texts. Raises UsageError, naming the place, for the first thing that is wrong.
    """
    grid = _grid(values)
    _refuse_loose_ends("notes", map(str, grid.notes), map(str, grid.schemes), "an arm")
    _refuse_loose_ends("stacks", grid.stacks, grid.stack_places, "a study")
    return grid


def edited_grid(
    values: dict[str, Any], changes: Mapping[str, Any], training: Mapping[str, Any]
) -> GridSettings:
    """Returns the grid of `values` with the changes of the command line; what it does not say (None) stays.

    Notes and stack sizes of what is no longer in the grid go with it.
    """
    changes = {key: value for key, value in changes.items() if value is not None}
    training = {key: value for key, value in training.items() if value is not None}
    if not values and "schemes" not in changes:
        raise UsageError(
            "arms",
            "must be given to be compared",
            None,
            "give a study file, as in mgaudit compare studies/quick.toml, or --scheme, as in --scheme none "
            "--scheme gaussian-mask:kappa=0.3",
        )
    replaced = {key for key, several in SEVERAL.items() if several in changes}
    if "schemes" in changes:
        replaced |= {"arms"}
    if "stack" in changes:
        replaced |= {"stacks"}
    kept = {key: value for key, value in values.items() if key not in replaced}
    table = values.get("training", {})
    if not isinstance(table, dict):
        raise UsageError(
            "training", "must be a table", repr(table), "write its settings under [training]"
        )
    grid = _grid(kept | changes | {"training": table | training})
    if "schemes" in changes:
        grid = grid.model_copy(
            update={"notes": {arm: grid.notes[arm] for arm in grid.schemes if arm in grid.notes}}
        )
    _refuse_loose_ends("notes", map(str, grid.notes), map(str, grid.schemes), "an arm")
    places = grid.stack_places
    return grid.model_copy(
        update={"stacks": {place: size for place, size in grid.stacks.items() if place in places}}
    )


def _grid(values: dict[str, Any]) -> GridSettings:
    known = ["title", "note", *SEVERAL, *SEVERAL.values(), "arms", *GridSettings.model_fields]
    for key in values:
        if key not in known:
            raise no_such_setting("", key, list(dict.fromkeys(known)))
    settings = {
        key: value for key, value in values.items() if key not in ("arms", "schemes", *SEVERAL)
    }
    single = {}
    for key, several in SEVERAL.items():
        settings |= _listed(values, key, several)
        if key in values:
            single[several] = key
    arms = list(_arms(values))
    _refuse_twice(arms)
    notes = {arm.scheme: arm.note for arm in arms if arm.note}
    if isinstance(settings.get("notes", {}), dict):
        settings["notes"] = settings.get("notes", {}) | notes
    return checked(GridSettings, settings | {"schemes": [arm.scheme for arm in arms]}, single)


@dataclass(frozen=True)
class _Arm:
    """An arm of the file: its scheme, the place where it stands, and the words on it."""

    scheme: SchemeChoice
    place: str
    note: str


def _listed(values: Mapping[str, Any], key: str, several: str) -> dict[str, Any]:
    """Returns `several` as a list, given under that name or as `key`; nothing where neither is given."""
    if key in values and several in values:
        raise UsageError(f"{key} and {several}", "are both given", None, "give one of them")
    if key in values:
        if isinstance(values[key], list):
            raise UsageError(
                key,
                "must be a single value",
                repr(values[key]),
                f"a list of them is {several} = […]",
            )
        return {several: [values[key]]}
    if several not in values:
        return {}
    if not isinstance(values[several], list | tuple):
        raise UsageError(
            several, "must be a list", repr(values[several]), f"a single value is {key} = …"
        )
    if not values[several]:
        raise UsageError(
            several,
            "must not be empty, or the grid is empty",
            "[]",
            "name at least one, or leave it out",
        )
    return {several: list(values[several])}


def _arms(values: Mapping[str, Any]) -> Iterator[_Arm]:
    if "arms" in values and "schemes" in values:
        raise UsageError(
            "arms and schemes", "are both given, and both name the arms", None, "give one of them"
        )
    key = "arms" if "arms" in values else "schemes"
    if key not in values:
        raise UsageError(
            "arms",
            "are missing, so the grid is empty",
            None,
            'give [[arms]] with scheme = "none", or schemes = […]',
        )
    if not isinstance(values[key], list | tuple):
        raise UsageError(key, "must be a list", repr(values[key]))
    if not values[key]:
        raise UsageError(
            key, "must not be empty, or the grid is empty", "[]", "name at least one arm"
        )
    for index, entry in enumerate(values[key]):
        place = f"{key}[{index}]"
        try:
            if key == "arms":
                yield from _expanded(place, entry)
            else:
                yield _Arm(scheme_choice(entry), place, "")
        except UsageError as error:
            raise error.inside(place) from error


def _expanded(place: str, entry: Any) -> Iterator[_Arm]:
    """Yields the arms of one table: one for each scheme and each value of each option, the last changing fastest."""
    if not isinstance(entry, dict):
        raise UsageError("", "must be a table with a scheme in it", repr(entry))
    if "scheme" not in entry:
        way_out = did_you_mean("scheme", entry).replace("did you mean", "did you mean scheme by")
        raise UsageError(
            "scheme", "is missing", None, way_out or 'give one, as in scheme = "gaussian-mask"'
        )
    note = entry.get("note", "")
    if not isinstance(note, str):
        raise UsageError("note", "must be text", repr(note))
    axes = {key: _axis(key, value) for key, value in entry.items() if key != "note"}
    for values in product(*axes.values()):
        options = dict(zip(axes, values, strict=True))
        yield _Arm(_scheme(options.pop("scheme"), options), place, note)


def _axis(key: str, value: Any) -> list[Any]:
    values = value if isinstance(value, list) else [value]
    if not values:
        raise UsageError(
            key,
            "must not be empty, or there is no such arm",
            "[]",
            "give a value, or take the table out",
        )
    for item in values:
        if not isinstance(item, bool | int | float | str):
            raise UsageError(key, "must be a value or a list of values", repr(item))
        if key != "scheme" and isinstance(item, str) and re.search(r"[,=+:]", item):
            raise UsageError(key, "must be one value or a list of values", repr(item))
    return values


def _scheme(name: Any, options: Mapping[str, Any]) -> SchemeChoice:
    """Returns the scheme of a table. Raises UsageError whose key is the one at fault in the table."""
    if not isinstance(name, str):
        raise UsageError("scheme", "must be text", repr(name))
    if options and len(scheme_parts(name)) > 1:
        raise UsageError(
            next(iter(options)),
            f"is an option, and scheme {name!r} is a composition",
            None,
            "write the options of its parts with them, as in gaussian-mask:kappa=0.3+dp-sgd:epsilon=8",
        )
    try:
        if len(scheme_parts(name)) > 1:
            return scheme_choice(name)
        entry, named_options = scheme_entry(name)
    except UsageError as error:
        raise error.inside("scheme") from error
    try:
        return SchemeChoice.of([entry.chosen({**named_options, **options})])
    except UsageError as error:
        if error.way_out or error.key not in options:
            raise
        raise UsageError(
            error.key, error.rule, error.value, did_you_mean(error.key, ("note", "scheme"))
        ) from error


def _refuse_twice(arms: Sequence[_Arm]) -> None:
    places: dict[SchemeChoice, str] = {}
    for arm in arms:
        before = places.get(arm.scheme)
        if before == arm.place:
            raise UsageError(arm.place, "may give each arm once", f"{arm.scheme} twice")
        if before is not None:
            raise UsageError(
                f"{before} and {arm.place}", "must be different arms", f"{arm.scheme} twice"
            )
        places[arm.scheme] = arm.place


def _refuse_loose_ends(setting: str, keys: Iterable[str], known: Iterable[str], what: str) -> None:
    names = list(known)
    for key in keys:
        if key not in names:
            raise UsageError(
                setting, f"must name {what} of the grid", repr(key), did_you_mean(key, names)
            )
