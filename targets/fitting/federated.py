"""Local SGD: clients train on their own examples, and their weights are averaged."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace

import torch
from torch import nn

from mgaudit.targets.fitting.examples import Streams, TrainingExamples
from mgaudit.targets.fitting.loop import Fitted, Moment, Watch, fit
from mgaudit.targets.schemes import Scheme
from mgaudit.targets.training import Training


def client_streams(
    seed: int, index: int, clients: int, device: torch.device | str
) -> list[Streams]:
    """Returns the streams of each client of model `index`, for its own batches and noise."""
    return [
        Streams.of_model(seed, index, device, whose=f"client {client} ")
        for client in range(clients)
    ]


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
    """Trains `model` in place by local SGD.

    The model's examples are distributed among the clients at random, as evenly as possible. An
    epoch has as many steps as without clients, so that the clients' batches together have
    `batch_size` examples. From common weights, each client takes `training.local_steps` steps on
    its own batches with its own noise; then weights and momenta are averaged (Stich 2019; momenta:
    Yu, Jin and Yang 2019). With one local step and equal shares, this is SGD on the union of the
    clients' batches. At the end, the weights of `model` are the mean of the clients' weights.

    `examples` are those of this model alone, and `members` is the average number of a model. The
    `stream` of the model draws the clients' shares, and `clients` are the streams of the clients.
    `watch` is called as in `fit`, after an averaging, if any.

    Returns:
        Whether the losses of all clients stayed finite, and the number of steps of a client.

    Raises:
        ValueError: For fewer examples than clients.
    """
    (own,) = examples.rows
    if len(own) < len(clients):
        raise ValueError(
            f"clients must be <= {len(own)}, the examples that a model is trained on, "
            f"got {len(clients)}"
        )
    order = torch.randperm(len(own), generator=stream.batches)
    shuffled = own[order.to(own.device)]
    shares = replace(examples, rows=torch.tensor_split(shuffled, len(clients)))
    members_per_client = members / len(clients)
    local = replace(training, clients=1, local_steps=1)
    steps = training.steps_per_epoch(members)

    def average_and_watch(moment: Moment) -> None:
        if moment.done and moment.done % training.local_steps == 0:
            _average(moment)
        if watch is not None:
            watch(moment)

    copies = [deepcopy(model) for _ in clients]
    fitted = fit(
        copies, shares, scheme, local, members_per_client, clients, average_and_watch, steps
    )
    parameters_of_copies = [dict(copy.named_parameters()) for copy in copies]
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            stacked = torch.stack([parameters[name] for parameters in parameters_of_copies])
            parameter.copy_(stacked.mean(dim=0))
    return Fitted([all(fitted.finite)], fitted.steps)


@torch.no_grad()
def _average(moment: Moment) -> None:
    """Replaces the weights and momenta of each client by their means over all clients, in place."""
    for weight in moment.stack.weights.values():
        momentum = moment.optimizer.state[weight].get("momentum_buffer")
        for tensor in (weight,) if momentum is None else (weight, momentum):
            mean = tensor.mean(dim=0, keepdim=True)
            tensor.copy_(mean.expand_as(tensor))
