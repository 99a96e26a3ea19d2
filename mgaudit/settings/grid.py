"""A grid of studies: schemes × targets × datasets × seeds.

The grid is the content of a study file, and is checked as a whole before anything runs. A cell is
one study of the grid, with one target network, dataset and seed. An arm is one noise scheme; all
cells have the same arms.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from math import prod
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from mgaudit.errors import UsageError, did_you_mean
from mgaudit.limits import ARMS, STUDIES
from mgaudit.reports.search_record import SearchRecord
from mgaudit.settings import arguments
from mgaudit.settings.choices import Choice
from mgaudit.settings.datasets import DatasetChoice
from mgaudit.settings.named_code import scheme_parts
from mgaudit.settings.schemes import SchemeChoice, scheme_choice, scheme_entry
from mgaudit.settings.setting_errors import no_such_setting
from mgaudit.settings.study_settings import (
    ChosenCanaries,
    ChosenDataset,
    ChosenQueries,
    ChosenScheme,
    ChosenTarget,
    ChosenTraining,
    Device,
    Examples,
    Seed,
    SmallestChange,
    SmallestDifference,
    SomeAttacks,
    SomeDistinct,
    Stack,
    StudyModels,
    StudySettings,
    checked,
    without_absent,
)
from mgaudit.settings.tuning import SEARCH_AGAIN, refuse_other_search
from mgaudit.targets.datasets.duplicates import Duplicates
from mgaudit.targets.training import Training

# The settings that may be given as one value or as a list, and the names of the lists.
SEVERAL = {"dataset": "datasets", "target": "targets", "seed": "seeds"}


class GridSettings(BaseModel):
    """The settings of studies that differ only in target, dataset and seed.

    The smallest effects that matter in the verdict are those of `StudySettings`. `stack` is the
    number of models that are trained as one. `stacks` has this number for some studies by their
    `stack_place`, instead of `stack`. `notes` has texts about arms for the report, by scheme.
    `searches` has those of each study by its `study_name`; they, `held_out` and `canaries` are as
    those of `StudySettings`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = ""
    note: str = ""
    datasets: SomeDistinct[ChosenDataset] = Field(arguments.DATASETS.default, validate_default=True)
    targets: SomeDistinct[ChosenTarget] = Field(arguments.TARGETS.default, validate_default=True)
    seeds: SomeDistinct[Seed] = arguments.SEEDS.default
    attacks: SomeAttacks = Field(arguments.ATTACK.default, validate_default=True)
    queries: ChosenQueries = Field(arguments.QUERIES.default, validate_default=True)
    models: StudyModels = arguments.MODELS.default
    examples: Examples | None = None
    duplicates: Duplicates = arguments.DUPLICATES.default
    smallest_auc_difference: SmallestDifference = arguments.SMALLEST_AUC_DIFFERENCE.default
    smallest_tpr_change: SmallestChange = arguments.SMALLEST_TPR_CHANGE.default
    device: Device = arguments.DEVICE.default
    stack: Stack = arguments.STACK.default
    stacks: dict[str, Annotated[int, Field(strict=True, ge=1)]] = {}
    training: ChosenTraining = Training()
    schemes: SomeDistinct[ChosenScheme]
    notes: dict[ChosenScheme, str] = {}
    canaries: ChosenCanaries = None
    held_out: bool = False
    searches: dict[str, dict[ChosenScheme, SearchRecord]] = {}

    def cells(self) -> list[StudySettings]:
        """Returns the settings of each study, by dataset, target and seed; seeds vary fastest."""
        shared = {}
        for name in StudySettings.model_fields:
            if name in GridSettings.model_fields:
                shared[name] = getattr(self, name)
        cells = []
        for dataset, target, seed in product(self.datasets, self.targets, self.seeds):
            stack = self.stacks.get(stack_place(target, dataset), self.stack)
            varied = {"dataset": dataset, "target": target, "seed": seed, "stack": stack}
            searches = self.searches.get(study_name(target, dataset, seed), {})
            cells.append(StudySettings(**shared | varied | {"searches": searches}))
        return cells

    def as_dict(self) -> dict[str, Any]:
        """Returns plain values for JSON and TOML; `grid_settings` makes the same grid from them."""
        values = self.model_dump(mode="json", exclude={"training"})
        return without_absent({**values, "training": asdict(self.training)})

    @property
    def study_names(self) -> list[str]:
        """The keys that `searches` may have."""
        studies = product(self.datasets, self.targets, self.seeds)
        return [study_name(target, dataset, seed) for dataset, target, seed in studies]

    @property
    def stack_places(self) -> list[str]:
        """The keys that `stacks` may have."""
        pairs = product(self.datasets, self.targets)
        return [stack_place(target, dataset) for dataset, target in pairs]


def stack_place(target: Choice, dataset: DatasetChoice) -> str:
    """Returns the key in `stacks` of the studies of a network and dataset, for all seeds."""
    return f"{target} on {dataset}"


def study_name(target: Choice, dataset: DatasetChoice, seed: int) -> str:
    """Returns the name of one study of the grid, for reports, errors and `searches`."""
    return f"{stack_place(target, dataset)}, seed {seed}"


def grid_settings(values: dict[str, Any]) -> GridSettings:
    """Returns the grid for the values of a study file.

    The arms are either `schemes`, a list of texts, or `[[arms]]`, tables with a scheme and its
    options. A table with a list of values for an option makes one arm for each value.

    Raises:
        UsageError: For the first setting that is not valid, with its location.
    """
    grid = _grid(values)
    _refuse_unknown("notes", map(str, grid.notes), map(str, grid.schemes), "an arm")
    _refuse_unknown("stacks", grid.stacks, grid.stack_places, "a study")
    _refuse_unknown("searches", grid.searches, grid.study_names, "a study")
    return grid


def edited_grid(
    values: dict[str, Any],
    changes: Mapping[str, Any],
    training: Mapping[str, Any],
    searched: bool = False,
) -> GridSettings:
    """Returns the grid of `values` with the changes of the command line; None changes nothing.

    `changes` has settings of the grid by name, and `training` those of the table `[training]`.
    Notes, stack sizes and searches of arms and studies that are no longer in the grid are removed;
    all searches are if there will be new ones (`searched`).
    """
    changes = {key: value for key, value in changes.items() if value is not None}
    training = {key: value for key, value in training.items() if value is not None}
    if not values and "schemes" not in changes:
        way_out = (
            "give a study file, as in mgaudit compare studies/quick.toml, or --scheme, as in "
            "--scheme none --scheme gaussian-mask:kappa=0.3"
        )
        raise UsageError("arms", "must be given: there are none to compare", None, way_out)
    replaced = {key for key, several in SEVERAL.items() if several in changes}
    if "schemes" in changes:
        replaced |= {"arms"}
    if "stack" in changes:
        replaced |= {"stacks"}
    if searched:
        replaced |= {"held_out", "searches"}
    kept = {key: value for key, value in values.items() if key not in replaced}
    table = values.get("training", {})
    if not isinstance(table, dict):
        way_out = "write its settings under [training]"
        raise UsageError("training", "must be a table", repr(table), way_out)
    grid = _grid(kept | changes | {"training": table | training})
    if "schemes" in changes:
        notes = {arm: grid.notes[arm] for arm in grid.schemes if arm in grid.notes}
        grid = grid.model_copy(update={"notes": notes})
    _refuse_unknown("notes", map(str, grid.notes), map(str, grid.schemes), "an arm")
    known = grid.stack_places
    stacks = {study: size for study, size in grid.stacks.items() if study in known}
    if grid.searches:
        refuse_other_search("examples", values.get("examples"), grid.examples)
    return grid.model_copy(update={"stacks": stacks, "searches": _kept_searches(grid)})


def _kept_searches(grid: GridSettings) -> dict[str, dict[SchemeChoice, SearchRecord]]:
    """Returns the searches of the studies and arms in the grid.

    Raises UsageError if there are some, and none for a study.
    """
    if not grid.searches:
        return {}
    searches = {}
    for study in grid.study_names:
        if study not in grid.searches:
            rule = "must have one for each study, as the settings file has for others"
            raise UsageError("searches", rule, f"none for {study}", SEARCH_AGAIN)
        by_arm = grid.searches[study].items()
        searches[study] = {arm: record for arm, record in by_arm if arm in grid.schemes}
    return searches


def _grid(values: dict[str, Any]) -> GridSettings:
    """Returns the checked grid of a study file, except for the keys of `notes` and `stacks`."""
    known = ["title", "note", *SEVERAL, *SEVERAL.values(), "arms", *GridSettings.model_fields]
    for key in values:
        if key not in known:
            raise no_such_setting("", key, list(dict.fromkeys(known)))
    renamed = ("arms", "schemes", *SEVERAL)
    settings = {key: value for key, value in values.items() if key not in renamed}
    single = {}
    for key, several in SEVERAL.items():
        settings |= _listed(values, key, several)
        if key in values:
            single[several] = key
    arms = list(_arms(values))
    _refuse_twice(arms)
    notes = {arm.scheme: arm.note for arm in arms if arm.note}
    other_notes = settings.get("notes", {})
    if isinstance(other_notes, dict):
        settings["notes"] = other_notes | notes
    settings["schemes"] = [arm.scheme for arm in arms]
    grid = checked(GridSettings, settings, single)
    STUDIES.check("the study", len(grid.datasets) * len(grid.targets) * len(grid.seeds))
    return grid


@dataclass(frozen=True)
class _Arm:
    """An arm of the file: its scheme, its location such as `arms[0]`, and its note."""

    scheme: SchemeChoice
    location: str
    note: str


def _listed(values: Mapping[str, Any], key: str, several: str) -> dict[str, Any]:
    """Returns the setting `several`, from the values of that name or from a single value `key`.

    The result is empty if neither is given. Raises UsageError if both are.
    """
    if key in values and several in values:
        raise UsageError(f"{key} and {several}", "are both given", None, "give one of them")
    if key in values:
        value = values[key]
        if isinstance(value, list):
            way_out = f"a list of them is {several} = […]"
            raise UsageError(key, "must be a single value", repr(value), way_out)
        return {several: [value]}
    if several not in values:
        return {}
    items = values[several]
    if not isinstance(items, list | tuple):
        raise UsageError(several, "must be a list", repr(items), f"a single value is {key} = …")
    if not items:
        way_out = "name at least one, or leave it out"
        raise UsageError(
            several, "must not be empty: a grid needs at least one value", "[]", way_out
        )
    return {several: list(items)}


def _arms(values: Mapping[str, Any]) -> Iterator[_Arm]:
    """Yields the arms of a study file. Raises UsageError for the first one that is not valid."""
    if "arms" in values and "schemes" in values:
        rule = "are both given, and both name the arms"
        raise UsageError("arms and schemes", rule, None, "give one of them")
    key = "arms" if "arms" in values else "schemes"
    if key not in values:
        way_out = 'give [[arms]] with scheme = "none", or schemes = […]'
        raise UsageError("arms", "are missing, so the grid is empty", None, way_out)
    entries = values[key]
    if not isinstance(entries, list | tuple):
        raise UsageError(key, "must be a list", repr(entries))
    if not entries:
        rule = "must not be empty: a grid needs at least one value"
        raise UsageError(key, rule, "[]", "name at least one arm")
    ARMS.check(key, len(entries))
    for index, entry in enumerate(entries):
        location = f"{key}[{index}]"
        try:
            if key == "arms":
                yield from _expanded(location, entry)
            else:
                yield _Arm(scheme_choice(entry), location, "")
        except UsageError as error:
            raise error.inside(location) from error


def _expanded(location: str, entry: Any) -> Iterator[_Arm]:
    """Yields an arm for each combination of the values of a table; the last varies fastest."""
    if not isinstance(entry, dict):
        raise UsageError("", "must be a table with a scheme in it", repr(entry))
    if "scheme" not in entry:
        way_out = did_you_mean("scheme", entry).replace("did you mean", "did you mean scheme by")
        if not way_out:
            way_out = 'give one, as in scheme = "gaussian-mask"'
        raise UsageError("scheme", "is missing", None, way_out)
    note = entry.get("note", "")
    if not isinstance(note, str):
        raise UsageError("note", "must be text", repr(note))
    axes = {key: _axis(key, value) for key, value in entry.items() if key != "note"}
    ARMS.check("", prod(map(len, axes.values())))
    for values in product(*axes.values()):
        options = dict(zip(axes, values, strict=True))
        scheme = _scheme(options.pop("scheme"), options)
        yield _Arm(scheme, location, note)


def _axis(key: str, value: Any) -> list[Any]:
    """Returns the list of values of one option of a table; a single value is a list of one."""
    values = value if isinstance(value, list) else [value]
    if not values:
        rule = "must not be empty, or there is no such arm"
        raise UsageError(key, rule, "[]", "give a value, or remove the table")
    for item in values:
        if not isinstance(item, bool | int | float | str):
            raise UsageError(key, "must be a value or a list of values", repr(item))
        if key != "scheme" and isinstance(item, str) and re.search(r"[,=+:]", item):
            raise UsageError(key, "must be one value or a list of values", repr(item))
    return values


def _scheme(name: Any, options: Mapping[str, Any]) -> SchemeChoice:
    """Returns the scheme of a table. Raises UsageError with the key of the table that is wrong."""
    if not isinstance(name, str):
        raise UsageError("scheme", "must be text", repr(name))
    composed = len(scheme_parts(name)) > 1
    if options and composed:
        rule = f"is an option, and scheme {name!r} is a composition"
        way_out = (
            "write the options of its parts in the scheme, as in "
            "gaussian-mask:kappa=0.3+dp-sgd:epsilon=8"
        )
        raise UsageError(next(iter(options)), rule, None, way_out)
    try:
        if composed:
            return scheme_choice(name)
        entry, named_options = scheme_entry(name)
    except UsageError as error:
        raise error.inside("scheme") from error
    try:
        return SchemeChoice.of([entry.chosen({**named_options, **options})])
    except UsageError as error:
        if error.way_out or error.key not in options:
            raise
        way_out = did_you_mean(error.key, ("note", "scheme"))
        raise UsageError(error.key, error.rule, error.value, way_out) from error


def _refuse_twice(arms: Sequence[_Arm]) -> None:
    """Raises UsageError if two arms have the same scheme."""
    locations: dict[SchemeChoice, str] = {}
    for arm in arms:
        before = locations.get(arm.scheme)
        if before == arm.location:
            raise UsageError(arm.location, "may give each arm once", f"{arm.scheme} twice")
        if before is not None:
            both = f"{before} and {arm.location}"
            raise UsageError(both, "must be different arms", f"{arm.scheme} twice")
        locations[arm.scheme] = arm.location


def _refuse_unknown(setting: str, keys: Iterable[str], known: Iterable[str], what: str) -> None:
    """Raises UsageError for a key of the setting `notes` or `stacks` that is not known.

    `what` is the kind of the known names for the error, "an arm" or "a study".
    """
    names = list(known)
    for key in keys:
        if key not in names:
            rule = f"must name {what} of the grid"
            raise UsageError(setting, rule, repr(key), did_you_mean(key, names))
