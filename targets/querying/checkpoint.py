"""Checkpoints: the weights of a model that was trained before, from a file, a dict or a model.

Files are read without running code that they contain: safetensors, or torch with `weights_only`.
"""

import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mgaudit.errors import UsageError
from mgaudit.targets.free_memory import check_memory
from mgaudit.targets.own_module import error_line
from mgaudit.targets.querying.ensemble import tensor_layout

NESTED = ("state_dict", "model_state_dict", "model")  # the keys under which files keep weights
WRAPPERS = ("module", "_orig_mod")  # what DataParallel and torch.compile put before each name
SAVE = "save the weights with torch.save(model.state_dict(), PATH)"
MOST_NAMED = 3
MEMORY_OF_A_BYTE = 3  # the content, its tensors, and the weights that are attacked
START = 16  # bytes of a file that tell its kind


class Network(Protocol):
    """What the weights must fit: a choice of the settings."""

    @property
    def text(self) -> str:
        """The name of the network with its options."""

    @property
    def build(self) -> Any:
        """The class or function of the network."""


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a checkpoint by name.

    `key` names it in errors, and `notes` are sentences about what was changed.
    """

    key: str
    tensors: dict[str, Tensor]
    notes: tuple[str, ...] = ()


def read_checkpoint(path: Path) -> Checkpoint:
    """Returns the checkpoint in a file: safetensors, or torch's format with nothing but weights.

    A dict that has a state dict under one of the keys in `NESTED` is accepted.

    Raises:
        UsageError: For a file that cannot be read, that is damaged, or that holds other objects.
    """
    key = f"checkpoint {path}"
    try:
        if path.exists() and not path.is_file():
            raise UsageError(key, "must be a file", "a directory, pipe or device", SAVE)
        size = path.stat().st_size
        check_memory(key, MEMORY_OF_A_BYTE * size, f"a file of {size:,} bytes", SAVE)
        with path.open("rb") as file:
            start = file.read(START)
        if path.suffix.lower() == ".safetensors" or start[8:9] == b"{":
            return Checkpoint(key, _read_safetensors(key, path))
        content = _read_torch(key, path, start)
    except OSError as error:
        rule = f"cannot be read: {error.strerror or error}"
        raise UsageError(key, rule, None, "give the path of a file with weights") from error
    return checkpoint_of(content, key)


def checkpoint_of(content: object, key: str = "checkpoint") -> Checkpoint:
    """Returns the checkpoint of a state dict, of a dict that has one, or of a model.

    Raises:
        UsageError: For another object, and for a dict of other things than tensors.
    """
    if isinstance(content, nn.Module):
        content = content.state_dict()
    notes = []
    if isinstance(content, Mapping) and not _are_tensors(content.values()):
        for name in NESTED:
            if isinstance(content.get(name), Mapping):
                content = content[name]
                notes.append(f"The weights of the checkpoint were read from its entry {name!r}.")
                break
    if not isinstance(content, Mapping) or not content:
        kind = "an empty dict" if isinstance(content, Mapping) else f"a {type(content).__name__}"
        raise UsageError(key, "must be a state dict, tensors by name", kind, SAVE)
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            rule = "must have nothing but tensors by name"
            kind = f"a {type(value).__name__} under {name!r}"
            raise UsageError(key, rule, kind, f"{SAVE}, or put it under 'state_dict'")
    return Checkpoint(key, dict(content), tuple(notes))


def check_class(model: object, network: Network) -> None:
    """Raises UsageError for a model that is not of the class of the network.

    Objects that are no model are not checked.
    """
    while isinstance(model, nn.Module):
        inner = next((getattr(model, name) for name in WRAPPERS if hasattr(model, name)), None)
        if inner is None:
            break
        model = inner
    if not isinstance(model, nn.Module) or not isinstance(network.build, type):
        return
    if not isinstance(model, network.build):
        rule = f"must be a model of the class {network.build.__name__} of target {network.text}"
        way_out = "give its class as target"
        raise UsageError("checkpoint", rule, f"a {type(model).__name__}", way_out)


def fitted_weights(
    checkpoint: Checkpoint, network: nn.Module, text: str
) -> tuple[dict[str, NDArray[Any]], tuple[str, ...]]:
    """Returns the weights in the dtypes of the network, by name, and sentences about changes.

    Prefixes that wrappers put before each name are removed.

    Args:
        checkpoint: The checkpoint.
        network: A network of the architecture; its own weights are ignored.
        text: The network as the user chose it, for errors.

    Raises:
        UsageError: For tensors that are missing, unexpected, misshapen or not finite.
    """
    layout = tensor_layout(network)
    tensors, prefix = _without_prefix(checkpoint.tensors, layout)
    problems = _misfits(tensors, layout)
    if problems:
        rule = f"must have the tensors of the network {text}: {'; '.join(problems)}"
        way_out = "give --target with the options that the model was built with"
        raise UsageError(checkpoint.key, rule, None, way_out)
    notes = list(checkpoint.notes)
    if prefix:
        notes.append(f"The prefix {prefix!r} was removed from the names of the checkpoint.")
    converted = sorted(
        {
            str(tensor.dtype).removeprefix("torch.")
            for tensor in tensors.values()
            if tensor.is_floating_point() and tensor.dtype != torch.float32
        }
    )
    if converted:
        kinds = " and ".join(converted)
        notes.append(f"Weights of type {kinds} were converted to float32.")
    weights = {
        name: _array(checkpoint.key, name, tensors[name], layout[name][0]) for name in layout
    }
    return weights, tuple(notes)


def saved_weights(weights: Mapping[str, NDArray[Any]]) -> bytes:
    """Returns the content of a safetensors file with these weights."""
    tensors = {
        name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in weights.items()
    }
    content: bytes = safetensors.torch.save(tensors)
    return content


def _read_safetensors(key: str, path: Path) -> dict[str, Tensor]:
    try:
        tensors: dict[str, Tensor] = safetensors.torch.load(path.read_bytes())
    except OSError:
        raise
    except Exception as error:  # safetensors raises several kinds of errors for damaged files
        rule = "must be a safetensors file that is not damaged"
        raise UsageError(key, rule, error_line(error), "save or copy it again") from error
    if not tensors:
        raise UsageError(key, "must have tensors", "none", SAVE)
    return tensors


def _read_torch(key: str, path: Path, start: bytes) -> object:
    """Returns what torch saved in a file, if these are weights in dicts; `start` are its bytes."""
    rule = "must have weights only, in safetensors or from torch.save"
    if start[:2] == b"PK" and _is_torchscript(path):
        raise UsageError(key, rule, "a TorchScript archive", SAVE)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # torch raises many kinds of errors for other and damaged files
        refused = type(error).__name__ == "UnpicklingError"
        if refused and start[:1] in (b"P", b"\x80"):
            value = "a pickled model or other Python objects, which may run code when they are read"
            raise UsageError(key, rule, value, SAVE) from error
        kind = (
            "a damaged file" if start[:2] == b"PK" else "a file of another kind, or a damaged one"
        )
        raise UsageError(key, rule, kind, f"{SAVE}, or copy the file again") from error


def _is_torchscript(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any("/code/" in name for name in archive.namelist())
    except zipfile.BadZipFile:
        return False


def _are_tensors(values: Iterable[object]) -> bool:
    return all(isinstance(value, Tensor) for value in values)


def _without_prefix(
    tensors: dict[str, Tensor], layout: Mapping[str, object]
) -> tuple[dict[str, Tensor], str]:
    """Returns the tensors without prefixes that all names have, and what was removed.

    Prefixes are those of wrappers, or the name of an attribute such as "model" if the rest are then
    exactly the names of the network.
    """
    removed = ""
    while tensors.keys() != layout.keys():
        firsts = {name.partition(".")[0] for name in tensors}
        rest = {name.partition(".")[2]: tensor for name, tensor in tensors.items()}
        if len(firsts) != 1 or "" in rest:
            break
        (first,) = firsts
        if first not in WRAPPERS and rest.keys() != layout.keys():
            break
        tensors, removed = rest, f"{removed}{first}."
    return tensors, removed


def _misfits(
    tensors: Mapping[str, Tensor], layout: Mapping[str, tuple[str, tuple[int, ...]]]
) -> list[str]:
    """Returns what does not fit the network: missing, unexpected and misshapen tensors."""
    missing = [name for name in layout if name not in tensors]
    unexpected = [name for name in tensors if name not in layout]
    misshapen = []
    for name, (dtype, shape) in layout.items():
        if name not in tensors:
            continue
        tensor = tensors[name]
        if tuple(tensor.shape) != shape:
            misshapen.append(f"{name} has the shape {tuple(tensor.shape)}, not {shape}")
        elif tensor.is_floating_point() != dtype.startswith("float"):
            misshapen.append(f"{name} is of type {tensor.dtype}, not {dtype}")
    problems = []
    if missing:
        problems.append(f"{_named(missing)} missing")
    if unexpected:
        problems.append(f"{_named(unexpected)} unexpected")
    if misshapen:
        problems.append(_named(misshapen))
    return problems


def _named(names: list[str]) -> str:
    """Returns the first names, and how many more there are."""
    more = len(names) - MOST_NAMED
    text = ", ".join(names[:MOST_NAMED])
    return f"{text} and {more} more" if more > 0 else text


def _array(key: str, name: str, tensor: Tensor, dtype: str) -> NDArray[Any]:
    """Returns a tensor as an array of this dtype. Raises UsageError unless it is finite."""
    dense = tensor.detach().cpu().to(getattr(torch, dtype)).contiguous()
    array: NDArray[Any] = dense.numpy().copy()
    if not np.isfinite(array).all():
        rule = "must have finite weights"
        raise UsageError(key, rule, f"NaN or infinity in {name}", "choose an earlier checkpoint")
    return array
