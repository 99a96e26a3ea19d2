"""What a stack of models is trained on, and the randomness of each model."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from mgaudit.targets.schemes import Scheme, compose
from mgaudit.targets.schemes.scheme import overrides
from mgaudit.targets.seeds import torch_generator


@dataclass(frozen=True)
class Streams:
    """The generators of one model: `batches` draws the order of its examples, on the CPU whatever the device.

    The others live where the inputs are: `inputs`, `nodes` and `weights` draw the noise on these, the fixed ones and
    `labels` what is drawn once, and `augmentation` flips and shifts. So a scheme draws the same alone and in a
    composition with schemes that act elsewhere.
    """

    batches: Generator
    inputs: Generator
    nodes: Generator
    weights: Generator
    fixed_inputs: Generator
    fixed_nodes: Generator
    labels: Generator
    augmentation: Generator

    @classmethod
    def of_model(cls, seed: int, index: int, device: torch.device | str, whose: str = "") -> "Streams":
        """Returns the streams of model `index` at their start; `whose` tells its clients' own apart, if it has any."""
        return cls(
            torch_generator(seed, f"{whose}batches", index),
            *(
                torch_generator(seed, f"{whose}{purpose}", index, device)
                for purpose in (
                    "noise",
                    "node noise",
                    "weight noise",
                    "fixed noise",
                    "fixed node noise",
                    "label noise",
                    "augmentation",
                )
            ),
        )


@dataclass(frozen=True)
class TrainingExamples:
    """Examples in one tensor each, `inputs` (rows, *input_shape) and `labels` (rows,) int64.

    For regression, by the squared loss, `labels` are the values (rows, outputs) that the network should have. `rows`
    says for each model which of them are its own (examples,). `node_values` (rows,) is what a noise node holds where
    that is drawn once.
    """

    inputs: Tensor
    labels: Tensor
    rows: tuple[Tensor, ...]
    node_values: Tensor | None = None

    def with_fixed_noise(self, scheme: Scheme, classes: int, streams: Sequence[Streams]) -> "TrainingExamples":
        """Returns the examples with all that the scheme draws once, each model's on examples of its own."""
        once = fixed_part(scheme)
        if not any(overrides(once, hook) for hook in ("inputs", "labels", "node_values")):
            return self
        inputs, labels, nodes, rows, start = [], [], [], [], 0
        for own, stream in zip(self.rows, streams, strict=True):
            inputs.append(once.inputs(self.inputs[own], stream.fixed_inputs))
            labels.append(once.labels(self.labels[own], classes, stream.labels))
            values = once.node_values(inputs[-1], stream.fixed_nodes)
            nodes += [] if values is None else [values]
            rows.append(torch.arange(start, start + len(own), device=own.device))
            start += len(own)
        return TrainingExamples(torch.cat(inputs), torch.cat(labels), tuple(rows), torch.cat(nodes) if nodes else None)


def fixed_part(scheme: Scheme) -> Scheme:
    """Returns what of the scheme acts once, before training."""
    return compose(tuple(part for part in scheme.parts if part.fixed))


def fresh_part(scheme: Scheme) -> Scheme:
    """Returns what of the scheme acts anew on each batch."""
    return compose(tuple(part for part in scheme.parts if not part.fixed))
