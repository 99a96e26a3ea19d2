"""The store of predictions of a user's models, addressed by all that determines the models."""

import hashlib
import json
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgaudit.storage.checked_files import (
    DamagedFileError,
    content_of,
    load_arrays,
    locked_folder,
    save_arrays,
    set_damaged_aside,
    write_content,
)
from mgaudit.targets.cache import cache_folder

# Predictions (rows, classes) by split: "examples", and "test" where there are test examples.
Predictions = dict[str, NDArray[np.floating]]
Shapes = dict[str, tuple[int, ...]]

TRIAL_FILE = "trial.safetensors"
FACTS: dict[str, type] = {"seconds": float, "printed": str, "warning": str}


@dataclass(frozen=True)
class ModelFacts:
    """Facts about a fit: its seconds, and the first line that it printed or warned of, or ""."""

    seconds: float
    printed: str
    warning: str


def model_name(members: NDArray[np.bool_], seed: int) -> str:
    """Returns the name of a model in its folder, from its row of membership and its seed."""
    row = hashlib.sha256(np.packbits(members).tobytes()).hexdigest()
    return hashlib.sha256(json.dumps([len(members), row, seed]).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class PredictionFolder:
    """The folder with the predictions of the models of one training function on the same data.

    Its name is the SHA-256 of `determined_by`, the JSON text of everything that determines the
    models except their members and seeds. Each file has the SHA-256 of its content and name.
    """

    path: Path
    determined_by: str

    @classmethod
    def at(cls, determined_by: dict[str, Any]) -> "PredictionFolder":
        """Returns the folder in the cache for these JSON values; `locked` creates it."""
        text = json.dumps(determined_by, sort_keys=True, indent=2)
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        return cls(cache_folder() / "predictions" / sha256, text)

    def locked(self, on_wait: Callable[[], None]) -> AbstractContextManager[None]:
        """Prevents other processes from writing to the folder; `on_wait` announces a wait."""
        return locked_folder(self.path, self.determined_by, on_wait)

    def model_path(self, name: str) -> Path:
        """Returns the path of the predictions of a model."""
        return self.path / f"model-{name}.safetensors"

    def save_model(self, name: str, predictions: Predictions, facts: ModelFacts) -> None:
        """Stores the predictions of a model and the facts about its fit."""
        self.write_model(name, self.model_content(name, predictions, facts))

    def model_content(self, name: str, predictions: Predictions, facts: ModelFacts) -> bytes:
        """Returns the content of the file of a model, with its SHA-256."""
        text = json.dumps(asdict(facts), sort_keys=True)
        return content_of(self.model_path(name), predictions, text)

    def write_model(self, name: str, content: bytes) -> None:
        """Stores a model whose file has this content."""
        write_content(self.model_path(name), content)

    def load_model(
        self, name: str, shapes: Shapes, on_damage: Callable[[str], None]
    ) -> tuple[Predictions, ModelFacts] | None:
        """Returns what is stored of a model, or None where nothing is.

        A damaged file is set aside, and `on_damage` is called with a message.
        """
        path = self.model_path(name)
        try:
            predictions, text = load_arrays(path)
            return predictions, _facts(path, text, predictions, shapes)
        except FileNotFoundError:
            return None
        except DamagedFileError as error:
            set_damaged_aside(error, on_damage, "fitting this model again")
            return None

    def save_trial(self, notes: list[str]) -> None:
        """Stores the notes of the trial fit."""
        save_arrays(self.path / TRIAL_FILE, {}, json.dumps(notes))

    def load_trial(self, on_damage: Callable[[str], None]) -> list[str] | None:
        """Returns the notes of the trial fit, or None where it was not made."""
        path = self.path / TRIAL_FILE
        try:
            _, text = load_arrays(path)
            notes = json.loads(text)
        except FileNotFoundError:
            return None
        except (DamagedFileError, ValueError) as error:
            damage = error if isinstance(error, DamagedFileError) else None
            damage = damage or DamagedFileError(path, "it is not valid JSON")
            set_damaged_aside(damage, on_damage, "making the trial fit again")
            return None
        return [str(note) for note in notes]


def _facts(path: Path, text: str, predictions: Predictions, shapes: Shapes) -> ModelFacts:
    """Returns the stored facts. Raises DamagedFileError if they or the predictions are wrong."""
    try:
        facts = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(path, f"its facts are not valid JSON: {error}") from error
    if not isinstance(facts, dict) or {name: type(facts[name]) for name in facts} != FACTS:
        raise DamagedFileError(path, f"its facts must be {', '.join(FACTS)}")
    if not 0 <= facts["seconds"] < math.inf:
        raise DamagedFileError(path, "its seconds must be finite and >= 0")
    stored = {split: values.shape for split, values in predictions.items()}
    if stored != shapes:
        raise DamagedFileError(path, f"its predictions must have the shapes {shapes}, got {stored}")
    if not all(
        values.dtype.kind == "f" and np.isfinite(values).all() for values in predictions.values()
    ):
        raise DamagedFileError(path, "its predictions must be finite numbers")
    return ModelFacts(**facts)
