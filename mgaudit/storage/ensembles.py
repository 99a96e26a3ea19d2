"""Trained ensembles under the hash of all that determines them."""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save

from mgaudit import targets
from mgaudit.storage.atomic import PARTIAL_SUFFIX, write_atomically
from mgaudit.targets.cache import cache_folder

Tensors = dict[str, NDArray[Any]]

QUERYING_FOLDER = "querying"
DATA_FOLDER = "datasets"


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


@dataclass(frozen=True)
class EnsembleFolder:
    """The folder of one ensemble: `settings.json`, a file for each model, and what they answered.

    Model m is the same however many models there are, so the number of models is not part of the key and a larger
    ensemble trains only what a smaller one lacks. All is written under the lock, and each file is renamed into place
    when it is whole: what is there is done, and what a kill cut short is not there.
    """

    path: Path

    determined_by: str

    @classmethod
    def at(cls, determined_by: dict[str, Any]) -> "EnsembleFolder":
        """Returns the folder of the ensemble that these JSON values determine; `locked` makes it."""
        text = json.dumps(determined_by, sort_keys=True, indent=2)
        return cls(cache_folder() / "ensembles" / hashlib.sha256(text.encode()).hexdigest(), text)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes from writing to the folder, and clears away what a killed one left."""
        self.path.mkdir(parents=True, exist_ok=True)
        with FileLock(self.path / ".lock"):
            for partial in self.path.glob(f".*{PARTIAL_SUFFIX}"):
                partial.unlink(missing_ok=True)
            write_atomically(self.path / "settings.json", self.determined_by.encode())
            yield

    def model_path(self, index: int) -> Path:
        """Returns the file of model `index`."""
        return self.path / f"model-{index:05d}.safetensors"

    def missing(self, models: int) -> list[int]:
        """Returns which of the first `models` models are still to be trained."""
        return [index for index in range(models) if not self.model_path(index).exists()]

    def save_model(self, index: int, weights: Tensors, facts: dict[str, Any]) -> None:
        """Keeps a trained model and JSON facts about its training."""
        metadata = {"facts": json.dumps(facts)}
        write_atomically(self.model_path(index), save(weights, metadata=metadata))

    def load_weights(self, index: int) -> Tensors:
        """Returns a model's weights. Raises ValueError, naming the file, where it is damaged."""
        with _naming(self.model_path(index)):
            return load_file(self.model_path(index))

    def load_facts(self, index: int) -> dict[str, Any]:
        """Returns what was noted of a model's training. Raises ValueError, naming the file, where it is damaged."""
        with _naming(self.model_path(index)), safe_open(self.model_path(index), framework="np") as file:
            facts: dict[str, Any] = json.loads(file.metadata()["facts"])
            return facts

    def outputs_path(self, what: str, models: int) -> Path:
        """Returns the file of what the first `models` models answer, `what` saying what they are asked."""
        sha = hashlib.sha256(f"{what}/{querying_code_sha256()}".encode()).hexdigest()
        return self.path / f"outputs-{models:05d}-{sha[:16]}.safetensors"

    def save_outputs(self, what: str, models: int, outputs: dict[str, NDArray[np.float32]]) -> None:
        """Keeps outputs by split, each (models, examples, ...)."""
        write_atomically(self.outputs_path(what, models), save(outputs, metadata={"what": what}))

    def load_outputs(self, what: str, models: int) -> dict[str, NDArray[np.float32]] | None:
        """Returns the outputs by split, or None where they have not been kept."""
        path = self.outputs_path(what, models)
        if not path.exists():
            return None
        with _naming(path):
            return load_file(path)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"the kept file {path} is damaged ({error}); delete it and run again") from error


def check_cache_folder() -> None:
    """Raises ValueError where the cache folder cannot be made or written."""
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(
            f"the cache folder must be one that can be written, got {str(folder)!r} ({error.strerror}); "
            "name another in MGAUDIT_CACHE"
        ) from error
