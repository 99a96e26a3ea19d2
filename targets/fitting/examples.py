"""The training examples of a stack of models, and the random streams of each model."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from mgaudit.targets.schemes import Scheme, compose
from mgaudit.targets.schemes.scheme import overrides
from mgaudit.targets.seeds import torch_generator


@dataclass(frozen=True)
class Streams:
    """The random generators of one model.

    `batches` draws the order of the examples, and `layers` seeds layers that draw random numbers,
    such as dropout; both are on the CPU. The other generators are on the device of the inputs.
    `inputs`, `nodes` and `weights` draw the noise on inputs, noise nodes and
    weights for each batch. `fixed_inputs`, `fixed_nodes` and `labels` draw noise that is drawn once
    before training, and `augmentation` draws flips and shifts. With separate streams, a scheme
    draws the same values alone and in a composition.
    """

    batches: Generator
    layers: Generator
    inputs: Generator
    nodes: Generator
    weights: Generator
    fixed_inputs: Generator
    fixed_nodes: Generator
    labels: Generator
    augmentation: Generator

    @classmethod
    def of_model(
        cls, seed: int, index: int, device: torch.device | str, whose: str = ""
    ) -> "Streams":
        """Returns the streams of model `index` at their start.

        `whose` is a prefix of the purposes that distinguishes the streams of the model's clients,
        if it has any.
        """
        batches = torch_generator(seed, f"{whose}batches", index)
        layers = torch_generator(seed, f"{whose}layers", index)
        purposes = (
            "noise",
            "node noise",
            "weight noise",
            "fixed noise",
            "fixed node noise",
            "label noise",
            "augmentation",
        )
        others = [torch_generator(seed, f"{whose}{purpose}", index, device) for purpose in purposes]
        return cls(batches, layers, *others)


@dataclass(frozen=True)
class TrainingExamples:
    """The examples of a stack (models trained together): inputs and labels of all models.

    `inputs` are standardised (rows, *input_shape), and `labels` (rows,) int64 or, for regression
    with the squared loss, target outputs (rows, outputs). `rows[m]` are the indices (examples,) of
    the examples on which model m trains. `node_values` (rows,) are the values of a noise node if
    they are drawn once, otherwise None.
    """

    inputs: Tensor
    labels: Tensor
    rows: tuple[Tensor, ...]
    node_values: Tensor | None = None

    def with_fixed_noise(
        self, scheme: Scheme, classes: int, streams: Sequence[Streams]
    ) -> "TrainingExamples":
        """Returns the examples with the noise that is drawn once, separately for each model.

        `streams[m]` draws the noise of model m. Models that share an example get copies of it with
        different noise. Without such noise, the same examples are returned.
        """
        once = fixed_part(scheme)
        changes_examples = any(
            overrides(once, hook) for hook in ("inputs", "labels", "node_values")
        )
        if not changes_examples:
            return self
        inputs, labels, nodes, rows = [], [], [], []
        start = 0
        for own, stream in zip(self.rows, streams, strict=True):
            inputs.append(once.inputs(self.inputs[own], stream.fixed_inputs))
            labels.append(once.labels(self.labels[own], classes, stream.labels))
            values = once.node_values(inputs[-1], stream.fixed_nodes)
            if values is not None:
                nodes.append(values)
            rows.append(torch.arange(start, start + len(own), device=own.device))
            start += len(own)
        node_values = torch.cat(nodes) if nodes else None
        return TrainingExamples(torch.cat(inputs), torch.cat(labels), tuple(rows), node_values)


def fixed_part(scheme: Scheme) -> Scheme:
    """Returns the parts of the scheme with `fixed`, whose noise is drawn once before training."""
    return compose(tuple(part for part in scheme.parts if part.fixed))


def fresh_part(scheme: Scheme) -> Scheme:
    """Returns the parts of the scheme without `fixed`, whose noise is drawn for each batch."""
    return compose(tuple(part for part in scheme.parts if not part.fixed))
