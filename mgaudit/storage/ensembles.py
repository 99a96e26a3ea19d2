"""Storage of trained ensembles, addressed by the hash of everything that determines them.

An ensemble has the models of one arm (noise scheme) of a study. Its folder in the cache has the
models and their outputs, that is, logits or other values that the models give for examples.
"""

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgaudit import targets
from mgaudit.errors import UsageError
from mgaudit.storage.checked_files import (
    DamagedFileError,
    arrays_in,
    content_of,
    load_arrays,
    locked_folder,
    map_arrays,
    save_arrays,
    set_damaged_aside,
    write_content,
)
from mgaudit.storage.checksums import arrays_sha256
from mgaudit.targets.cache import cache_folder

# The arrays of a model by name, and the outputs of an ensemble by split, such as "pool" and "test".
Tensors = dict[str, NDArray[Any]]
Outputs = dict[str, NDArray[np.float32]]
Layout = dict[str, tuple[str, tuple[int, ...]]]  # dtype and shape of each tensor

# The facts about the training that are stored with a model, and their types.
FACTS: dict[str, type] = {"steps": int, "seconds": float, "diverged": bool}

QUERYING_FOLDER = "querying"
DATA_FOLDER = "datasets"
# The folders in the cache.
INNER_FOLDERS = ("ensembles", "predictions", "attacks", "accountants", "figures", "datasets")


@cache
def training_code_sha256() -> str:
    """Returns the SHA-256 of the code that trains models, in the package `mgaudit.targets`.

    It is part of what identifies models, because other code trains other models. The code that
    queries trained models is not included. The dataset readers are not included either, because the
    arrays that they read are part of what identifies models.
    """
    return _source_sha256(lambda path: path.parts[0] not in (QUERYING_FOLDER, DATA_FOLDER))


@cache
def querying_code_sha256() -> str:
    """Returns the SHA-256 of the source of the code that queries trained models."""
    return _source_sha256(lambda path: path.parts[0] == QUERYING_FOLDER)


def _source_sha256(is_counted: Callable[[Path], bool]) -> str:
    """Returns the SHA-256 of those files of `mgaudit.targets` whose paths are counted."""
    root = Path(targets.__file__).parent
    sha = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        relative = path.relative_to(root)
        if is_counted(relative):
            sha.update(relative.as_posix().encode() + b"\0" + path.read_bytes())
    return sha.hexdigest()


@dataclass(frozen=True)
class KeptModel:
    """A stored model: its weights, their SHA-256, and the facts about its training.

    `facts` has the keys of `FACTS`. The weights of a diverged model are empty.
    """

    weights: Tensors
    weights_sha256: str
    facts: dict[str, Any]


@dataclass(frozen=True)
class ModelRecord:
    """The SHA-256 of the weights of a stored model, and the facts about its training."""

    weights_sha256: str
    facts: dict[str, Any]


@dataclass(frozen=True)
class OutputsKey:
    """What identifies outputs of an ensemble, besides its settings and the querying code.

    Args:
        what: The kind of the outputs and the queries, in words.
        models: The SHA-256 of the weights of each model, including diverged ones.
        inputs: The SHA-256 of the queried examples of each split.
    """

    what: str
    models: tuple[str, ...]
    inputs: tuple[str, ...]

    @property
    def text(self) -> str:
        """The key as JSON."""
        values = {**asdict(self), "querying code": querying_code_sha256()}
        return json.dumps(values, sort_keys=True)


@dataclass(frozen=True)
class EnsembleFolder:
    """The folder of an ensemble: `settings.json`, a file for each model, and the models' outputs.

    The name of the folder is the SHA-256 of `determined_by`, the JSON text of everything that
    determines the models. Model m does not depend on the number of models, so this number is not
    part of the text, and a larger ensemble trains only the models that a smaller one lacks. All
    files are written under the lock, and each is renamed into place when it is complete. Each file
    contains the SHA-256 of
    its content and of its name, which is checked whenever the file is read. A file that fails the
    check is renamed to `*.damaged` and never read again.
    """

    path: Path
    determined_by: str

    @classmethod
    def at(cls, determined_by: dict[str, Any]) -> "EnsembleFolder":
        """Returns the folder of the ensemble that these JSON values determine.

        The folder is created by `locked`.
        """
        text = json.dumps(determined_by, sort_keys=True, indent=2)
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        return cls(cache_folder() / "ensembles" / sha256, text)

    def locked(self, on_wait: Callable[[], None] = lambda: None) -> AbstractContextManager[None]:
        """Prevents other processes from writing to the folder, and deletes partial files.

        `on_wait` is called before waiting for another process that has the lock.
        """
        return locked_folder(self.path, self.determined_by, on_wait)

    def model_path(self, index: int) -> Path:
        """Returns the path of the file of model `index`."""
        return self.path / f"model-{index:05d}.safetensors"

    def save_model(self, index: int, weights: Tensors, facts: dict[str, Any]) -> None:
        """Stores a trained model and the facts about its training, which `FACTS` lists."""
        self.write_model(index, self.model_content(index, weights, facts))

    def model_content(self, index: int, weights: Tensors, facts: dict[str, Any]) -> bytes:
        """Returns the content of the file of a trained model, with its SHA-256."""
        return content_of(self.model_path(index), weights, json.dumps(facts, sort_keys=True))

    def write_model(self, index: int, content: bytes) -> None:
        """Stores a model whose file has this content, which has been checked."""
        write_content(self.model_path(index), content)

    def load_model(self, index: int, layout: Layout | None = None) -> KeptModel:
        """Returns a stored model.

        With a `layout`, a model that did not diverge must have exactly the tensors of the layout,
        with their dtypes and shapes. Without a layout, the tensors are not compared with anything.

        Raises:
            FileNotFoundError: Where the model is not stored.
            DamagedFileError: Where the file is damaged.
        """
        return self._model(index, load_arrays(self.model_path(index)), layout)

    def model_in(self, index: int, content: bytes, layout: Layout | None) -> KeptModel:
        """Returns the model whose file has this content, checked as by `load_model`."""
        path = self.model_path(index)
        return self._model(index, arrays_in(path, content), layout)

    def _model(self, index: int, stored: tuple[Tensors, str], layout: Layout | None) -> KeptModel:
        path, (weights, text) = self.model_path(index), stored
        try:
            facts = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DamagedFileError(path, f"its facts are not valid JSON: {error}") from error
        reason = _wrong_facts(facts)
        if reason is None and layout is not None:
            expected_layout = {} if facts["diverged"] else layout
            reason = _wrong_tensors(weights, expected_layout)
        if reason is not None:
            raise DamagedFileError(path, reason)
        return KeptModel(weights, arrays_sha256(weights), facts)

    def checked_models(self, models: int, layout: Layout) -> dict[int, ModelRecord]:
        """Returns records of the undamaged stored models among the first `models`, by index."""
        records, _ = self._checked(range(models), layout)
        return records

    def repaired_models(
        self, models: Iterable[int], layout: Layout, on_damage: Callable[[str], None]
    ) -> dict[int, ModelRecord]:
        """Returns records of the undamaged models of these indices; renames the damaged files.

        The caller must have the lock. `on_damage` is called with a message for each damaged model.
        """
        records, damaged = self._checked(models, layout)
        for error in damaged:
            set_damaged_aside(error, on_damage, "training this model again")
        return records

    def outputs_path(self, key: OutputsKey) -> Path:
        """Returns the path of the file of these outputs."""
        sha = hashlib.sha256(key.text.encode()).hexdigest()
        return self.path / f"outputs-{len(key.models):05d}-{sha[:16]}.safetensors"

    def save_outputs(self, key: OutputsKey, outputs: Outputs) -> None:
        """Stores outputs by split, each (models, examples, ...)."""
        save_arrays(self.outputs_path(key), outputs, key.text)

    def load_outputs(self, key: OutputsKey, on_damage: Callable[[str], None]) -> Outputs | None:
        """Returns the outputs by split, or None where they are not stored.

        Large outputs are read-only, and mapped into memory (`map_arrays`).
        A damaged file is set aside, and `on_damage` is called with a message.
        """
        path = self.outputs_path(key)
        try:
            outputs, text = map_arrays(path)
            if text != key.text:
                raise DamagedFileError(path, "it contains other outputs")
        except FileNotFoundError:
            return None
        except DamagedFileError as error:
            set_damaged_aside(error, on_damage, "querying the models again")
            return None
        return outputs

    def _checked(
        self, models: Iterable[int], layout: Layout
    ) -> tuple[dict[int, ModelRecord], list[DamagedFileError]]:
        """Returns the records of undamaged models by index, and the errors of the damaged ones."""
        records, damaged = {}, []
        for index in models:
            try:
                model = self.load_model(index, layout)
            except FileNotFoundError:
                continue
            except DamagedFileError as error:
                damaged.append(error)
                continue
            records[index] = ModelRecord(model.weights_sha256, model.facts)
        return records, damaged


def _wrong_facts(facts: object) -> str | None:
    """Returns what is wrong with the facts about a training; None if nothing is."""
    if not isinstance(facts, dict) or set(facts) != set(FACTS):
        return f"its facts must be {', '.join(FACTS)}"
    for name, kind in FACTS.items():
        if type(facts[name]) is not kind:
            return f"{name} must be {kind.__name__}, got {facts[name]!r}"
    steps, seconds = facts["steps"], facts["seconds"]
    if steps < 0 or not 0 <= seconds < math.inf:
        return f"steps and seconds must be finite and >= 0, got {steps} and {seconds}"
    return None


def _wrong_tensors(tensors: Tensors, layout: Layout) -> str | None:
    """Returns what is wrong with the first tensor that differs from the layout, or None."""
    for name in sorted(tensors.keys() | layout.keys()):
        if name not in layout:
            return f"the network has no tensor {name!r}"
        if name not in tensors:
            return f"the tensor {name!r} is missing"
        dtype, shape = str(tensors[name].dtype), tensors[name].shape
        if (dtype, shape) != layout[name]:
            expected = " ".join(map(str, layout[name]))
            return f"the tensor {name!r} must be {expected}, got {dtype} {shape}"
    return None


def check_cache_folder() -> None:
    """Checks that the cache folder can be used.

    Raises:
        UsageError: Where it cannot be created or written, or contains a file in place of a folder.
    """
    key = "the cache folder"
    folder = cache_folder()
    for name in INNER_FOLDERS:
        inner = folder / name
        if os.path.lexists(inner) and not inner.is_dir():
            way_out = f"delete {inner}, or name another folder in MGAUDIT_CACHE"
            raise UsageError(key, "must contain only folders", f"the file {inner}", way_out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        value = f"{str(folder)!r} ({error.strerror})"
        raise UsageError(
            key, "must be writable", value, "name another folder in MGAUDIT_CACHE"
        ) from error
