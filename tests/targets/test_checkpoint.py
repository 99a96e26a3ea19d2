"""Files of weights that are read, and what is refused in one line."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from mgaudit.errors import UsageError
from mgaudit.settings.study_settings import target_choice
from mgaudit.targets import MLP
from mgaudit.targets.querying.checkpoint import (
    Checkpoint,
    check_class,
    checkpoint_of,
    fitted_weights,
    read_checkpoint,
    saved_weights,
)


def network() -> MLP:
    return MLP((3,), 2, hidden=(4,))


def fitted(checkpoint: Checkpoint) -> tuple[dict[str, Any], tuple[str, ...]]:
    return fitted_weights(checkpoint, network(), "mlp:hidden=4")


STATE = network().state_dict()
WRITERS: dict[str, Callable[[Path], None]] = {
    "a.safetensors": lambda path: safetensors.torch.save_file(STATE, path),
    "a.bin": lambda path: safetensors.torch.save_file(STATE, path),
    "a.pt": lambda path: torch.save(STATE, path),
    "old.pt": lambda path: torch.save(STATE, path, _use_new_zipfile_serialization=False),
    "nested.pt": lambda path: torch.save({"epoch": 3, "state_dict": STATE}, path),
    "model.pt": lambda path: torch.save({"model": STATE, "loss": torch.zeros(1)}, path),
    "wrapped.pt": lambda path: torch.save(
        {"model_state_dict": {f"_orig_mod.module.{key}": STATE[key] for key in STATE}}, path
    ),
    "lightning.ckpt": lambda path: torch.save(
        {"state_dict": {f"net.{key}": STATE[key] for key in STATE}}, path
    ),
}


def test_files_of_all_kinds_have_the_weights_of_the_model(tmp_path: Path) -> None:
    for name, write in WRITERS.items():
        write(tmp_path / name)
        weights, notes = fitted(read_checkpoint(tmp_path / name))
        assert list(weights) == list(STATE), name
        for key, values in weights.items():
            assert values.dtype == np.float32
            np.testing.assert_array_equal(values, STATE[key].numpy())
        changed = name.startswith(("nested", "model", "wrapped", "lightning"))
        assert bool(notes) == changed, (name, notes)
    assert "'net.'" in notes[-1]


def test_a_model_and_a_dict_are_checkpoints_and_saved_weights_are_read_again(
    tmp_path: Path,
) -> None:
    model = network()
    for content in (model, model.state_dict(), nn.DataParallel(model), {"model": STATE}):
        weights, _ = fitted(checkpoint_of(content))
        assert weights.keys() == STATE.keys()
    path = tmp_path / "again"
    path.write_bytes(saved_weights(weights))
    again, notes = fitted(read_checkpoint(path))
    assert not notes
    assert all((again[key] == values).all() for key, values in weights.items())


def test_other_floating_types_become_float32_with_a_note() -> None:
    for dtype, name in ((torch.float64, "float64"), (torch.bfloat16, "bfloat16")):
        weights, notes = fitted(checkpoint_of({key: STATE[key].to(dtype) for key in STATE}))
        assert name in notes[0]
        for key, values in weights.items():
            assert values.dtype == np.float32
            np.testing.assert_allclose(values, STATE[key].numpy(), rtol=0.01)


def whole_model(path: Path) -> None:
    torch.save(network(), path)


def script(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated
        torch.jit.trace(nn.Linear(3, 2), torch.zeros(1, 3)).save(path)


def truncated(path: Path) -> None:
    torch.save(STATE, path)
    path.write_bytes(path.read_bytes()[:-300])


def truncated_safetensors(path: Path) -> None:
    content = safetensors.torch.save(STATE)
    path.write_bytes(content[:-10])


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "model.pt": (whole_model, "a pickled model"),
    "script.pt": (script, "TorchScript"),
    "cut.pt": (truncated, "damaged"),
    "cut.safetensors": (truncated_safetensors, "not damaged"),
    "text.pt": (lambda path: path.write_text("weights"), "another kind"),
    "empty.pt": (lambda path: path.write_bytes(b""), "another kind"),
    "list.pt": (lambda path: torch.save([torch.zeros(2)], path), "got a list"),
    "number.pt": (lambda path: torch.save({"epoch": 3}, path), "a int under 'epoch'"),
    "mixed.pt": (lambda path: torch.save({"a": torch.zeros(2), "b": 1}, path), "under 'b'"),
    "none.pt": (lambda path: torch.save({}, path), "an empty dict"),
}


def test_other_files_are_refused_in_one_line_with_a_way_out(tmp_path: Path) -> None:
    for name, (write, text) in REFUSED.items():
        path = tmp_path / name
        write(path)
        with pytest.raises(UsageError) as caught:
            read_checkpoint(path)
        error = caught.value
        assert error.key == f"checkpoint {path}", name
        assert text in str(error), (name, str(error))
        assert "\n" not in str(error)
        assert "save" in error.way_out
    for wrong, words in ((tmp_path / "nosuch.pt", "cannot be read"), (tmp_path, "must be a file")):
        with pytest.raises(UsageError, match=words):
            read_checkpoint(wrong)
    with pytest.raises(UsageError, match="a float"):
        checkpoint_of(0.5)


def test_tensors_that_do_not_fit_the_network_are_named() -> None:
    first, second, *_ = STATE
    cases: list[tuple[dict[str, Any], str]] = [
        ({key: STATE[key] for key in STATE if key != first}, f"{first} missing"),
        ({**STATE, "extra": torch.zeros(1)}, "extra unexpected"),
        ({**STATE, first: torch.zeros(4, 5)}, f"{first} has the shape (4, 5), not (4, 3)"),
        ({**STATE, second: STATE[second].int()}, f"{second} is of type torch.int32, not float32"),
        ({**STATE, first: STATE[first] * np.nan}, f"NaN or infinity in {first}"),
        ({**STATE, second: STATE[second].double() + 1e300}, f"NaN or infinity in {second}"),
        ({f"layer{i}": torch.zeros(1) for i in range(9)}, "layer2 and 6 more unexpected"),
    ]
    for tensors, text in cases:
        with pytest.raises(UsageError) as caught:
            fitted(checkpoint_of(tensors))
        assert text in str(caught.value), str(caught.value)
        if "NaN" not in text:
            assert "mlp:hidden=4" in caught.value.rule


def test_a_model_of_another_class_is_refused() -> None:
    choice = target_choice("mlp")
    check_class(network(), choice)
    check_class(nn.DataParallel(network()), choice)
    check_class(STATE, choice)
    with pytest.raises(UsageError, match="class MLP of target mlp, got a Linear"):
        check_class(nn.Linear(3, 2), choice)
