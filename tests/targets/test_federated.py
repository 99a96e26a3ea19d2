"""Local SGD: what averaging must and must not change."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from mgaudit.targets.fitting.examples import Streams, TrainingExamples
from mgaudit.targets.fitting.federated import client_streams, fit_federated
from mgaudit.targets.fitting.loop import Fitted, Moment, fit
from mgaudit.targets.schemes import GaussianMask, NoiseNodes, Scheme
from mgaudit.targets.training import Training

N, CLASSES = 60, 3


def network(seed: int = 0) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, CLASSES)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return model


def examples() -> TrainingExamples:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(N, 5, generator=generator, dtype=torch.float64)
    return TrainingExamples(
        x, torch.randint(CLASSES, (N,), generator=generator), (torch.arange(N),)
    )


def weights(model: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


PLAIN_SCHEME = Scheme()


def federated(
    training: Training, scheme: Scheme = PLAIN_SCHEME, watch: Callable[..., None] | None = None
) -> nn.Module:
    model = scheme.extend(network())
    streams = client_streams(0, 0, training.clients, "cpu")
    done = fit_federated(
        model, examples(), scheme, training, N, Streams.of_model(0, 0, "cpu"), streams, watch
    )
    assert isinstance(done, Fitted)
    return model


def test_one_local_step_with_full_shares_is_training_by_one() -> None:
    shared = {"epochs": 7, "batch_size": N, "learning_rate": 0.1, "momentum": 0.9}
    alone = network()
    fit([alone], examples(), Scheme(), Training(**shared), N, [Streams.of_model(0, 0, "cpu")])
    torch.testing.assert_close(
        weights(federated(Training(**shared, clients=4))), weights(alone), rtol=1e-12, atol=0
    )


def test_several_local_steps_are_not() -> None:
    shared = {"epochs": 8, "batch_size": N, "learning_rate": 0.1, "momentum": 0.0}
    single, four = (
        weights(federated(Training(**shared, clients=4, local_steps=steps))) for steps in (1, 4)
    )
    assert float((single - four).abs().max()) > 1e-3


def test_a_round_is_the_mean_of_what_clients_do_alone() -> None:
    training = Training(
        epochs=3, batch_size=N, learning_rate=0.1, momentum=0.9, clients=3, local_steps=3
    )
    together = weights(federated(training))
    own = examples()
    dealt = torch.randperm(N, generator=Streams.of_model(0, 0, "cpu").batches)
    alone = []
    for share in torch.tensor_split(dealt, 3):
        model = network()
        share_examples = TrainingExamples(own.inputs, own.labels, (share,))
        streams = [Streams.of_model(9, 9, "cpu")]  # whole batches: their order does not matter
        fit(
            [model],
            share_examples,
            Scheme(),
            Training(epochs=3, batch_size=20, learning_rate=0.1),
            20,
            streams,
        )
        alone.append(weights(model))
    torch.testing.assert_close(together, torch.stack(alone).mean(dim=0), rtol=1e-12, atol=1e-14)


def test_clients_agree_after_every_averaging_and_differ_between() -> None:
    spread = []

    def watch(moment: object) -> None:
        weight = moment.stack.weights["0.weight"].detach()  # type: ignore[attr-defined]
        spread.append(float((weight - weight[0]).abs().max()))

    federated(
        Training(epochs=6, batch_size=N, learning_rate=0.1, clients=3, local_steps=3), watch=watch
    )
    assert [value < 1e-14 for value in spread] == [True, False, False, True, False, False, True]


def test_momenta_agree_after_every_averaging_and_differ_between() -> None:
    spread = []

    def watch(moment: Moment) -> None:
        if moment.done:
            momentum = moment.optimizer.state[moment.stack.weights["0.weight"]]["momentum_buffer"]
            spread.append(float((momentum - momentum[0]).abs().max()))

    federated(
        Training(epochs=6, batch_size=N, learning_rate=0.1, clients=3, local_steps=3), watch=watch
    )
    assert [value < 1e-14 for value in spread] == [False, False, True, False, False, True]


def test_no_example_is_lost_or_shared_and_shares_are_even(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Tensor, ...]] = []

    def noted(models: list[nn.Module], shares: TrainingExamples, *rest: object) -> Fitted:
        seen.append(shares.rows)
        return Fitted([True] * len(models), 0)

    monkeypatch.setattr("mgaudit.targets.fitting.federated.fit", noted)
    federated(Training(epochs=1, batch_size=8, clients=7))
    (rows,) = seen
    assert sorted(torch.cat(rows).tolist()) == list(range(N))
    assert {len(row) for row in rows} == {8, 9}


def test_clients_draw_masks_of_their_own_and_no_mask_draws_nothing() -> None:
    training = Training(epochs=2, batch_size=N, learning_rate=0.1, clients=2)
    plain = weights(federated(training))
    assert torch.equal(weights(federated(training, GaussianMask(0.0))), plain)
    assert not torch.equal(weights(federated(training, GaussianMask(0.5))), plain)
    first, second = client_streams(0, 0, 2, "cpu")
    x = torch.ones(3, 4)
    assert not torch.equal(
        GaussianMask(0.5).inputs(x, first.inputs), GaussianMask(0.5).inputs(x, second.inputs)
    )


def test_the_weights_of_a_noise_node_are_averaged_too() -> None:
    spread = []

    def watch(moment: object) -> None:
        weight = moment.stack.weights["0.node.weight"].detach()  # type: ignore[attr-defined]
        spread.append(float((weight - weight[0]).abs().max()))

    federated(
        Training(epochs=2, batch_size=N, learning_rate=0.1, clients=2, local_steps=2),
        NoiseNodes(0.5),
        watch,
    )
    assert [value < 1e-14 for value in spread] == [True, False, True]


@pytest.mark.parametrize(("batch_size", "clients"), [(N, 4), (16, 7), (10, 10), (15, 10), (9, 4)])
def test_an_epoch_has_the_steps_of_one_trainer(batch_size: int, clients: int) -> None:
    moments: list[int] = []
    training = Training(epochs=2, batch_size=batch_size, learning_rate=0.1, clients=clients)
    federated(training, watch=lambda moment: moments.append(moment.done))
    assert moments[-1] == 2 * training.steps_per_epoch(N)


def test_more_clients_than_examples_are_refused() -> None:
    training = Training(epochs=1, batch_size=100, clients=61)
    with pytest.raises(
        ValueError, match="clients must be <= 60, the examples that a model is trained on, got 61"
    ):
        federated(training)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"clients": 0}, "clients must be >= 1, got 0"),
        ({"clients": 2, "local_steps": 0}, "local_steps must be >= 1, got 0"),
        ({"local_steps": 5}, "local_steps must be 1 with 1 client, .*, got 5; use --clients 10"),
        ({"clients": 65}, "clients must be <= 64, the batch size, which they share, got 65"),
        (
            {"clients": 2, "optimizer": "adam"},
            "optimizer must be sgd with several clients, .*, got 'adam'",
        ),
        ({"loss": "hinge"}, "loss must be one of cross-entropy, squared, got 'hinge'"),
        ({"schedule": "linear"}, "schedule must be one of cosine, constant, got 'linear'"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Training(**settings)  # type: ignore[arg-type]
