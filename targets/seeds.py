"""Named random streams: each use of randomness has a generator of its seed, purpose and index."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

CPU = torch.device("cpu")


def stream(seed: int, purpose: str, index: int = 0) -> int:
    """Returns the 63-bit seed of one random stream.

    `purpose` names what is drawn, such as "batches", and `index` is, for example, the index of the
    model. A stream depends only on these three arguments. So model 7 has the same batches whether
    it is trained first, last, alone, together with others or on another machine.

    >>> stream(0, "batches", 7) == stream(0, "batches", 7)
    True
    >>> stream(0, "batches", 7) == stream(0, "noise", 7)
    False
    """
    name = f"{seed}/{purpose}/{index}"
    digest = hashlib.sha256(name.encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def numpy_generator(seed: int, purpose: str, index: int = 0) -> np.random.Generator:
    """Returns a fresh numpy generator at the start of the named stream."""
    return np.random.default_rng(stream(seed, purpose, index))


def torch_generator(
    seed: int, purpose: str, index: int = 0, device: torch.device | str = "cpu"
) -> torch.Generator:
    """Returns a fresh torch generator on `device` at the start of the named stream."""
    generator = torch.Generator(device=device)
    return generator.manual_seed(stream(seed, purpose, index))


@contextmanager
def default_generators_seeded(seed: int, device: torch.device = CPU) -> Iterator[None]:
    """Seeds torch's default generators of the CPU and of `device`, and restores them afterwards.

    Layers draw their initial weights from these generators, and layers such as dropout draw from
    them in training.
    """
    on_gpu = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if on_gpu else []):
        torch.default_generator.manual_seed(seed)
        if on_gpu:
            torch.cuda.manual_seed(seed)
        yield
