"""Local SGD: clients with examples of their own train apart, and their weights are averaged every few steps."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace

import torch
from torch import nn

from mgaudit.targets.fitting.examples import Streams, TrainingExamples
from mgaudit.targets.fitting.loop import Fitted, Moment, Watch, fit
from mgaudit.targets.schemes import Scheme
from mgaudit.targets.training import Training


def client_streams(seed: int, index: int, clients: int, device: torch.device | str) -> list[Streams]:
    """Returns the streams of each client of model `index`: clients draw their batches and their noise apart."""
    return [Streams.of_model(seed, index, device, whose=f"client {client} ") for client in range(clients)]


def fit_federated(
    model: nn.Module,
    examples: TrainingExamples,
    scheme: Scheme,
    training: Training,
    members: float,
    stream: Streams,
    clients: Sequence[Streams],
    watch: Watch | None = None,
) -> Fitted:
    """Trains `model` in place by local SGD and returns whether its loss stayed finite, and the steps of a client.

    The model's examples are dealt out at random (by `stream`), as evenly as can be. An epoch has the steps that it has
    for one trainer, so that the clients' batches together have `batch_size` examples. From common weights each client
    makes `training.local_steps` steps on batches of its own, under noise of its own; then weights and momenta are
    averaged (Stich 2019; momenta: Yu, Jin and Yang 2019). With one local step and equal shares that is SGD on the
    clients' batches put together. Raises ValueError for fewer examples than clients.
    """
    (own,) = examples.rows
    if len(own) < len(clients):
        raise ValueError(f"clients must be <= {len(own)}, the examples that a model is trained on, got {len(clients)}")
    dealt = own[torch.randperm(len(own), generator=stream.batches).to(own.device)]
    shares = replace(examples, rows=torch.tensor_split(dealt, len(clients)))
    local = replace(training, clients=1, local_steps=1)
    steps = training.steps_per_epoch(members)

    def average_and_watch(moment: Moment) -> None:
        if moment.done and moment.done % training.local_steps == 0:
            _average(moment)
        if watch is not None:
            watch(moment)

    copies = [deepcopy(model) for _ in clients]
    fitted = fit(copies, shares, scheme, local, members / len(clients), clients, average_and_watch, steps)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.stack([dict(copy.named_parameters())[name] for copy in copies]).mean(dim=0))
    return Fitted([all(fitted.finite)], fitted.steps)


@torch.no_grad()
def _average(moment: Moment) -> None:
    """Replaces the weights and momenta of all clients by their means."""
    for weight in moment.stack.weights.values():
        momentum = moment.optimizer.state[weight].get("momentum_buffer")
        for tensor in (weight,) if momentum is None else (weight, momentum):
            tensor.copy_(tensor.mean(dim=0, keepdim=True).expand_as(tensor))
