"""Choices of datasets: by name with options or a path, a function of the user's own, or arrays."""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from mgaudit.errors import UsageError, did_you_mean
from mgaudit.settings.choices import Choice, Entry, parse
from mgaudit.settings.named_code import OWN, check_code
from mgaudit.settings.path_text import LABEL, path_text, split_path
from mgaudit.settings.plugin_code import plugin_reader
from mgaudit.settings.plugins import plugins, refuse_taken
from mgaudit.targets import datasets
from mgaudit.targets.datasets import DATASETS, Dataset, Reader
from mgaudit.targets.datasets.in_memory import from_object
from mgaudit.targets.datasets.overlap import checked_splits
from mgaudit.targets.home import with_home
from mgaudit.targets.own_module import error_line

SUPPLIED = ("examples", "generator")
PATH = "path"
IN_MEMORY = "arrays"


@dataclass(frozen=True)
class DatasetChoice(Choice):
    """A dataset with its options. A path is the first option, `path`, and is absolute."""

    @property
    def text(self) -> str:
        """The canonical text: `name:PATH` with options, or as for every choice."""
        if PATH in self.options:
            options = dict(self.options)
            path = options.pop(PATH)
            return f"{self.name}:{path_text(path, options)}"
        return super().text

    def load(self, examples: int | None, generator: np.random.Generator) -> Dataset:
        """Returns the data with `examples` drawn examples, or with all of them if that is None.

        Raises:
            UsageError: For data that do not fit into memory, and as `Reader.load`.
            OSError: For data that cannot be read.
        """
        try:
            dataset: Dataset = self.built(examples, generator)
        except MemoryError as error:
            rule = f"must fit into memory: {error_line(error)}"
            way_out = "make it smaller, or use another machine"
            raise UsageError(f"dataset {self.text}", rule, None, way_out) from error
        if PATH in self.options:  # the same file with other options is another dataset
            return replace(dataset, name=self.text)
        return dataset


def dataset_choice(value: object) -> DatasetChoice:
    """Returns the choice of a dataset from a text or an object; a choice is returned unchanged.

    Args:
        value: A text, or an object in memory as for `from_object`, such as the arrays (x_train,
            y_train, x_test, y_test).

    Raises:
        UsageError: As `parse`.
    """
    if isinstance(value, DatasetChoice):
        return value
    if not isinstance(value, str):
        return _of_object(value)
    name, _, _ = value.strip().partition(":")
    installed = plugins("dataset", DATASETS)
    refuse_taken("dataset", name, DATASETS)
    reader = DATASETS.get(name)
    if reader is None and name in installed:
        reader = plugin_reader(installed[name])
    if reader is None:
        return _of_own_function(value, name, installed)
    if reader.takes_path:
        path = value.lstrip().removeprefix(name).removeprefix(":")
        return _of_path(reader, path)
    choice = parse("dataset", {name: reader.read}, value, partial(Entry, supplied=SUPPLIED))
    load_reader = partial(reader.load, **choice.options)
    return DatasetChoice(name, choice.options, reader.read, load_reader)


def _of_own_function(text: str, name: str, installed: Iterable[str]) -> DatasetChoice:
    """Returns the choice of a function `module:function` of the user's own.

    `name` is the text up to the first colon, and `installed` are the names of plug-ins.
    """
    if name == IN_MEMORY:
        rule = "was given to a Python function as arrays, which its settings do not contain"
        way_out = "give the arrays again, or save them and give npz:PATH"
        raise UsageError("", rule, repr(text), way_out)
    match = OWN.fullmatch(text.strip())
    if match is None or match["options"] is not None:
        known = ", ".join([*_built_in_forms(), *installed])
        rule = f"must be one of {known} or {datasets.OWN_DATASET.name} of your own"
        way_out = did_you_mean(name, [*DATASETS, *installed])
        raise UsageError("", rule, repr(text), way_out)
    check_code("dataset", match.string)
    own = partial(datasets.OWN_DATASET.load, module=match["module"], function=match["name"])
    return DatasetChoice(match.string, {}, datasets.OWN_DATASET.read, own)


def _built_in_forms() -> list[str]:
    """Returns the names of the built-in datasets, with `:PATH` if they take a path."""
    forms = []
    for reader in DATASETS.values():
        forms.append(f"{reader.name}:PATH" if reader.takes_path else reader.name)
    return forms


def _of_object(value: object) -> DatasetChoice:
    """Returns the choice of data in memory; its option is the SHA-256 of the arrays.

    Raises:
        UsageError: For data that break a rule; the key is the array, such as `x_train`, or "".
    """
    try:
        dataset = checked_splits(_from_arrays(value))
    except UsageError as error:
        _, _, array = error.key.partition(": ")  # without the name of the dataset
        raise UsageError(array, error.rule, error.value, error.way_out) from error
    digest = hashlib.sha256()
    for values in (dataset.inputs, dataset.labels, dataset.test_inputs, dataset.test_labels):
        digest.update(f"{values.dtype} {values.shape}".encode())
        digest.update(np.ascontiguousarray(values).data)
    options = {"sha256": digest.hexdigest()[:16]}
    return DatasetChoice(IN_MEMORY, options, dataset.drawn, dataset.drawn)


def _from_arrays(value: object) -> Dataset:
    """Returns the dataset of an object in memory. Raises UsageError for what is none."""
    if value is None or isinstance(value, bool | int | float | os.PathLike):
        rule = "must be the name of a dataset with options, or data in memory"
        raise UsageError("", rule, type(value).__name__, "use npz:PATH and its like for a file")
    return from_object(IN_MEMORY, value)


def _of_path(reader: Reader, text: str) -> DatasetChoice:
    """Returns the choice of a dataset in a file or directory. The path becomes absolute.

    `text` is the path with options, as for `split_path`.
    """
    entry = Entry(reader.name, reader.read, (PATH, *SUPPLIED))
    try:
        path, texts = split_path(text, LABEL in entry.parameters)
        options = entry.chosen(texts).options
    except UsageError as error:
        raise error.inside(reader.name) from error
    if not path:
        raise UsageError(reader.name, "needs a path", None, f"write {reader.name}:PATH")
    try:
        absolute = str(with_home(path, reader.name).absolute())
        absolute.encode()  # settings are UTF-8
    except UnicodeEncodeError as error:
        rule = f"must have a path in UTF-8 that can be found ({error})"
        raise UsageError(reader.name, rule, repr(path)) from error
    load_path = partial(reader.load, path=absolute, **options)
    choice = DatasetChoice(reader.name, {PATH: absolute, **options}, reader.read, load_path)
    _refuse_ambiguous(choice, LABEL in entry.parameters)
    return choice


def _refuse_ambiguous(choice: DatasetChoice, takes_label: bool) -> None:
    """Raises UsageError where another file has the name `PATH#COLUMN`, which means that file."""
    path = str(choice.options[PATH])
    _, _, text = choice.text.partition(":")
    other, _ = split_path(text, takes_label)
    if Path(path).exists() and other != path:
        rule = "must not be ambiguous"
        value = f"the files {path!r} and {other!r}"
        raise UsageError(choice.name, rule, value, "rename one of the two")


def dataset_of_option(text: str) -> DatasetChoice:
    """Returns the dataset that the option --dataset names. Raises UsageError with that key."""
    try:
        return dataset_choice(text)
    except UsageError as error:
        raise error.inside("dataset") from error


def load(text: str, examples: int | None, generator: np.random.Generator) -> Dataset:
    """Returns the dataset that a text names, as `DatasetChoice.load` does."""
    return dataset_of_option(text).load(examples, generator)
