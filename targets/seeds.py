"""Named random streams: each use of randomness owns a generator that its seed, purpose and index name."""

import hashlib

import numpy as np
import torch


def stream(seed: int, purpose: str, index: int = 0) -> int:
    """Returns the 63-bit seed of one use of randomness.

    A stream depends on nothing but these three arguments, so model 7 gets the same batches whether it is
    trained first, last, alone, in a stack or on another machine.

    >>> stream(0, "batches", 7) == stream(0, "batches", 7)
    True
    >>> stream(0, "batches", 7) == stream(0, "noise", 7)
    False
    """
    digest = hashlib.sha256(f"{seed}/{purpose}/{index}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def numpy_generator(seed: int, purpose: str, index: int = 0) -> np.random.Generator:
    """Returns a fresh numpy generator at the start of the named stream."""
    return np.random.default_rng(stream(seed, purpose, index))


def torch_generator(seed: int, purpose: str, index: int = 0, device: torch.device | str = "cpu") -> torch.Generator:
    """Returns a fresh torch generator on `device` at the start of the named stream."""
    return torch.Generator(device=device).manual_seed(stream(seed, purpose, index))
