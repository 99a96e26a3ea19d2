"""What a stack of models is trained on, and the randomness of each model."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from targets.schemes import Scheme, compose
from targets.schemes.scheme import overrides
from targets.seeds import torch_generator


@dataclass(frozen=True)
class Streams:
    """The generators of one model: `batches` draws the order of its examples, on the CPU whatever the device.

    `noise` draws the scheme's noise, `fixed_noise` what of it is drawn once, and `augmentation` flips and shifts; they
    live where the inputs are.
    """

    batches: Generator
    noise: Generator
    fixed_noise: Generator
    augmentation: Generator

    @classmethod
    def of_model(cls, seed: int, index: int, device: torch.device | str) -> "Streams":
        """Returns the streams of model `index` at their start."""
        return cls(
            torch_generator(seed, "batches", index),
            torch_generator(seed, "noise", index, device),
            torch_generator(seed, "fixed-noise", index, device),
            torch_generator(seed, "augmentation", index, device),
        )


@dataclass(frozen=True)
class Examples:
    """Examples in one tensor each, `inputs` (rows, *input_shape) and `labels` (rows,) int64.

    `rows` says for each model which of them are its own (examples,). `node_values` (rows,) is what a noise node holds
    where that is drawn once.
    """

    inputs: Tensor
    labels: Tensor
    rows: tuple[Tensor, ...]
    node_values: Tensor | None = None

    def with_fixed_noise(self, scheme: Scheme, classes: int, streams: Sequence[Streams]) -> "Examples":
        """Returns the examples with all that the scheme draws once, each model's on examples of its own."""
        once = fixed_part(scheme)
        if not any(overrides(once, hook) for hook in ("inputs", "labels", "node_values")):
            return self
        inputs, labels, nodes, rows, start = [], [], [], [], 0
        for own, stream in zip(self.rows, streams, strict=True):
            inputs.append(once.inputs(self.inputs[own], stream.fixed_noise))
            labels.append(once.labels(self.labels[own], classes, stream.fixed_noise))
            values = once.node_values(inputs[-1], stream.fixed_noise)
            nodes += [] if values is None else [values]
            rows.append(torch.arange(start, start + len(own), device=own.device))
            start += len(own)
        return Examples(torch.cat(inputs), torch.cat(labels), tuple(rows), torch.cat(nodes) if nodes else None)


def fixed_part(scheme: Scheme) -> Scheme:
    """Returns what of the scheme acts once, before training."""
    return compose(tuple(part for part in scheme.parts if part.fixed))


def fresh_part(scheme: Scheme) -> Scheme:
    """Returns what of the scheme acts anew on each batch."""
    return compose(tuple(part for part in scheme.parts if not part.fixed))
