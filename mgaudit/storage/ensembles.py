"""Trained ensembles under the hash of all that determines them."""

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from mgaudit import targets
from mgaudit.errors import UsageError
from mgaudit.storage.atomic import set_aside, sweep_partial, write_atomically
from mgaudit.storage.checksums import arrays_sha256
from mgaudit.targets.cache import cache_folder

Tensors = dict[str, NDArray[Any]]
Outputs = dict[str, NDArray[np.float32]]
Layout = dict[str, tuple[str, tuple[int, ...]]]  # dtype and shape of each tensor

# The facts about a training that are kept with a model, and their types.
FACTS: dict[str, type] = {"steps": int, "seconds": float, "diverged": bool}

# One key, because safetensors writes several in random order and the same model shall give the same file.
METADATA_KEY = "mgaudit"

PATIENCE_SECONDS = 1.0  # how long a lock may be taken before waiting for it is announced

QUERYING_FOLDER = "querying"
DATA_FOLDER = "datasets"
INNER_FOLDERS = ("ensembles", "stacks", "datasets")  # of the cache folder


@cache
def training_code_sha256() -> str:
    """Returns the SHA-256 over the source of `targets`: models trained by other code are other models.

    The code that queries trained models is left out, and so are the dataset readers: data enter a key by their arrays.
    """
    return _source_sha256(lambda path: path.parts[0] not in (QUERYING_FOLDER, DATA_FOLDER))


@cache
def querying_code_sha256() -> str:
    """Returns the SHA-256 over the source of the code that queries trained models."""
    return _source_sha256(lambda path: path.parts[0] == QUERYING_FOLDER)


def _source_sha256(is_counted: Callable[[Path], bool]) -> str:
    """Returns the SHA-256 over the files of `targets` whose paths, relative to it, are counted."""
    root = Path(targets.__file__).parent
    sha = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        relative = path.relative_to(root)
        if is_counted(relative):
            sha.update(relative.as_posix().encode() + b"\0" + path.read_bytes())
    return sha.hexdigest()


class DamagedFileError(Exception):
    """A kept file that does not hold what was written to it."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"the kept file {path} is damaged ({reason})")


@dataclass(frozen=True)
class KeptModel:
    """A model's weights, their SHA-256, and the facts about its training. A diverged model has no weights."""

    weights: Tensors
    weights_sha256: str
    facts: dict[str, Any]


@dataclass(frozen=True)
class ModelRecord:
    """What is known of a kept model that was checked: the SHA-256 of its weights, and the facts about its training."""

    weights_sha256: str
    facts: dict[str, Any]


@dataclass(frozen=True)
class OutputsKey:
    """All that determines outputs of an ensemble, next to its settings and the querying code.

    Args:
        what: What the models were asked.
        models: The SHA-256 of the weights of each model, the diverged ones included.
        inputs: The SHA-256 of the queried examples of each split.
    """

    what: str
    models: tuple[str, ...]
    inputs: tuple[str, ...]

    @property
    def text(self) -> str:
        """The key as JSON."""
        return json.dumps({**asdict(self), "querying code": querying_code_sha256()}, sort_keys=True)


@dataclass(frozen=True)
class EnsembleFolder:
    """The folder of one ensemble: `settings.json`, a file for each model, and what they answered.

    Model m is the same however many models there are, so the number of models is not part of the key and a larger
    ensemble trains only what a smaller one lacks. All is written under the lock, and each file is renamed into place
    when it is whole. Each file carries a SHA-256 of what it holds and of where it belongs, which is checked whenever
    the file is read. A file that fails is renamed to `*.damaged` and never read again.
    """

    path: Path

    determined_by: str

    @classmethod
    def at(cls, determined_by: dict[str, Any]) -> "EnsembleFolder":
        """Returns the folder of the ensemble that these JSON values determine; `locked` makes it."""
        text = json.dumps(determined_by, sort_keys=True, indent=2)
        return cls(cache_folder() / "ensembles" / hashlib.sha256(text.encode()).hexdigest(), text)

    @contextmanager
    def locked(self, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Keeps other processes from writing to the folder, and clears away what a killed one left.

        `on_wait` is called where another process has the lock, before waiting for it.
        """
        if os.path.lexists(self.path) and not self.path.is_dir():
            set_aside(self.path)
        self.path.mkdir(parents=True, exist_ok=True)
        if (self.path / ".lock").is_dir():
            set_aside(self.path / ".lock")
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=PATIENCE_SECONDS)
        except Timeout:
            on_wait()
            lock.acquire()
        try:
            sweep_partial(self.path)
            settings = self.path / "settings.json"
            if settings.is_dir():
                set_aside(settings)
            write_atomically(settings, self.determined_by.encode())
            yield
        finally:
            sweep_partial(self.path)  # of workers that an interruption killed
            lock.release()

    def model_path(self, index: int) -> Path:
        """Returns the file of model `index`."""
        return self.path / f"model-{index:05d}.safetensors"

    def save_model(self, index: int, weights: Tensors, facts: dict[str, Any]) -> None:
        """Keeps a trained model and the facts about its training, as `FACTS` lists them."""
        self._save(self.model_path(index), weights, json.dumps(facts, sort_keys=True))

    def load_model(self, index: int, layout: Layout | None = None) -> KeptModel:
        """Returns a kept model. Raises FileNotFoundError where it was not kept, DamagedFileError where it is damaged.

        With a `layout`, a model that did not diverge must hold exactly these tensors.
        """
        path = self.model_path(index)
        weights, text = self._load(path)
        try:
            facts = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DamagedFileError(path, f"its facts are no JSON: {error}") from error
        trouble = _wrong_facts(facts)
        if trouble is None and layout is not None:
            trouble = _wrong_tensors(weights, {} if facts["diverged"] else layout)
        if trouble is not None:
            raise DamagedFileError(path, trouble)
        return KeptModel(weights, arrays_sha256(weights), facts)

    def checked_models(self, models: int, layout: Layout) -> dict[int, ModelRecord]:
        """Returns a record of those of the first `models` models that are kept and whole, by their number."""
        records, _ = self._checked(models, layout)
        return records

    def repaired_models(
        self, models: int, layout: Layout, on_damage: Callable[[str], None]
    ) -> dict[int, ModelRecord]:
        """Does the same under the lock, sets damaged models aside, and tells `on_damage` of each."""
        records, damaged = self._checked(models, layout)
        for error in damaged:
            _set_aside(error, on_damage, "training this model again")
        return records

    def outputs_path(self, key: OutputsKey) -> Path:
        """Returns the file of these outputs."""
        sha = hashlib.sha256(key.text.encode()).hexdigest()
        return self.path / f"outputs-{len(key.models):05d}-{sha[:16]}.safetensors"

    def save_outputs(self, key: OutputsKey, outputs: Outputs) -> None:
        """Keeps outputs by split, each (models, examples, ...)."""
        self._save(self.outputs_path(key), outputs, key.text)

    def load_outputs(self, key: OutputsKey, on_damage: Callable[[str], None]) -> Outputs | None:
        """Returns the outputs by split, or None where they have not been kept.

        Damaged ones are set aside, and `on_damage` is told.
        """
        path = self.outputs_path(key)
        try:
            outputs, text = self._load(path)
            if text != key.text:
                raise DamagedFileError(path, "it holds other outputs")
        except FileNotFoundError:
            return None
        except DamagedFileError as error:
            _set_aside(error, on_damage, "querying the models again")
            return None
        return outputs

    def _checked(
        self, models: int, layout: Layout
    ) -> tuple[dict[int, ModelRecord], list[DamagedFileError]]:
        records, damaged = {}, []
        for index in range(models):
            try:
                model = self.load_model(index, layout)
            except FileNotFoundError:
                continue
            except DamagedFileError as error:
                damaged.append(error)
                continue
            records[index] = ModelRecord(model.weights_sha256, model.facts)
        return records, damaged

    def _save(self, path: Path, tensors: Tensors, text: str) -> None:
        metadata = {"text": text, "sha256": self._sha256(path, tensors, text)}
        if path.is_dir():
            set_aside(path)
        write_atomically(path, save(tensors, metadata={METADATA_KEY: json.dumps(metadata)}))

    def _load(self, path: Path) -> tuple[Tensors, str]:
        """Returns the tensors and the text that were saved. The file is read once, and what was read is checked."""
        if path.exists() and not path.is_file():
            raise DamagedFileError(path, "it is no file")
        content = path.read_bytes()
        try:
            tensors = load(content)
            header_length = int.from_bytes(content[:8], "little")
            header = json.loads(content[8 : 8 + header_length])
            metadata = json.loads(header["__metadata__"][METADATA_KEY])
            text, sha256 = metadata["text"], metadata["sha256"]
        except (
            SafetensorError,
            ValueError,
            KeyError,
            TypeError,
            RecursionError,
            OverflowError,
        ) as error:
            raise DamagedFileError(
                path, " ".join(f"{type(error).__name__}: {error}".split())
            ) from error
        if not isinstance(text, str) or sha256 != self._sha256(path, tensors, text):
            raise DamagedFileError(path, "its SHA-256 is not the one that was written with it")
        return tensors, text

    def _sha256(self, path: Path, tensors: Tensors, text: str) -> str:
        """Returns the checksum of a file: of its tensors, of the text kept with them, and of where they belong."""
        parts = [self.path.name, path.name, arrays_sha256(tensors), text]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _set_aside(error: DamagedFileError, on_damage: Callable[[str], None], repair: str) -> None:
    aside = set_aside(error.path)
    on_damage(f"{error}; set aside as {aside.name}, {repair}")


def _wrong_facts(facts: object) -> str | None:
    """Returns what is wrong with the facts about a training, if anything is."""
    if not isinstance(facts, dict) or set(facts) != set(FACTS):
        return f"its facts must be {', '.join(FACTS)}"
    for name, kind in FACTS.items():
        if type(facts[name]) is not kind:
            return f"{name} must be {kind.__name__}, got {facts[name]!r}"
    if facts["steps"] < 0 or not 0 <= facts["seconds"] < math.inf:
        return f"steps and seconds must be finite and >= 0, got {facts['steps']} and {facts['seconds']}"
    return None


def _wrong_tensors(tensors: Tensors, layout: Layout) -> str | None:
    """Returns the first tensor that is not as the layout has it, if there is one."""
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
    """Raises UsageError where the cache folder cannot be made or written, or holds a file in place of a folder."""
    folder = cache_folder()
    for inner in (folder / name for name in INNER_FOLDERS):
        if os.path.lexists(inner) and not inner.is_dir():
            way_out = f"delete {inner}, or name another folder in MGAUDIT_CACHE"
            raise UsageError("the cache folder", "must hold folders", f"the file {inner}", way_out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        value = f"{str(folder)!r} ({error.strerror})"
        way_out = "name another in MGAUDIT_CACHE"
        raise UsageError(
            "the cache folder", "must be one that can be written", value, way_out
        ) from error
