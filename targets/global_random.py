"""Whether code draws from the global random generators of Python, numpy and torch."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from mgaudit.errors import UsageError


@contextmanager
def refuse_global_draws(
    rule: str, way_out: str, torch_device: torch.device | None = None
) -> Iterator[None]:
    """Raises UsageError at the end if a global generator was used or seeded in the context.

    The generators are those of the modules `random` and `numpy.random` and, with `torch_device`,
    torch's default generators of the CPU and of this device. Their states are restored.

    Args:
        rule: The rule of the error, such as "must draw from the given generator".
        way_out: How to fix it.
        torch_device: The device of torch's generators, or None to allow these.
    """
    python_state = random.getstate()
    numpy_state = np.random.get_state(legacy=True)  # noqa: NPY002 - what own code may use
    before = _states(torch_device)
    devices = [torch_device] if torch_device is not None and torch_device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=devices, enabled=torch_device is not None):
            yield
            after = _states(torch_device)
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
    for name, state in after.items():
        if state != before[name]:
            raise UsageError("", rule, f"a draw from the global generator of {name}", way_out)


def _states(torch_device: torch.device | None) -> dict[str, object]:
    """Returns the state of each global generator, by the name of its module."""
    kind, key, *rest = np.random.get_state(legacy=True)  # noqa: NPY002
    states: dict[str, object] = {
        "random": random.getstate(),
        "numpy.random": (kind, np.asarray(key).tobytes(), *rest),
    }
    if torch_device is not None:
        states["torch"] = torch.get_rng_state().numpy().tobytes()
        if torch_device.type == "cuda":
            states["torch.cuda"] = torch.cuda.get_rng_state(torch_device).numpy().tobytes()
    return states
