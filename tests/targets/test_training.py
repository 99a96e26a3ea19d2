import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from mgaudit.targets.fitting.batches import shuffled_order
from mgaudit.targets.fitting.examples import Streams, TrainingExamples
from mgaudit.targets.fitting.loop import fit
from mgaudit.targets.schemes import (
    Dropout,
    EarlyStop,
    GaussianMask,
    GaussianNoise,
    LabelNoise,
    LabelSmoothing,
    NoiseNodes,
    Scheme,
    WeightDecay,
    WeightNoise,
)
from mgaudit.targets.seeds import torch_generator
from mgaudit.targets.training import Training

THREE_CLASSES = 3


def data(examples: int = 50) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch_generator(0, "data")
    return torch.randn(examples, 6, generator=generator), torch.randint(
        3, (examples,), generator=generator
    )


def linear() -> nn.Linear:
    model = nn.Linear(6, 3)
    with torch.no_grad():
        model.weight.copy_(torch.linspace(-1, 1, 18).reshape(3, 6))
        model.bias.zero_()
    return model


def trained(training: Training, scheme: Scheme, index: int = 0) -> nn.Linear:
    model, inputs_and_labels = linear(), data()
    streams = [Streams.of_model(0, index, "cpu")]
    own = TrainingExamples(*inputs_and_labels, rows=(torch.arange(50),)).with_fixed_noise(
        scheme, THREE_CLASSES, streams
    )
    holder = nn.Sequential(model)
    fit([scheme.extend(holder)], own, scheme, scheme.training(training), 50, streams)
    return model


def test_sgd_equals_the_update_rule_written_out() -> None:
    training = Training(epochs=4, batch_size=16, learning_rate=0.1, momentum=0.9, weight_decay=0.01)
    model = trained(training, Scheme())
    inputs, labels = data()
    generator, steps = torch_generator(0, "batches"), 4 * math.ceil(50 / 16)
    weight, bias = (p.detach().clone().requires_grad_() for p in linear().parameters())
    velocity = [torch.zeros_like(weight), torch.zeros_like(bias)]
    for step, batch in enumerate(
        batch for _ in range(4) for batch in shuffled_order([50], 50, 4, [generator]).of_model(0)
    ):
        loss = cross_entropy(inputs[batch] @ weight.T + bias, labels[batch])
        rate = 0.1 * 0.5 * (1 + math.cos(math.pi * step / steps))
        for i, (parameter, gradient) in enumerate(
            zip((weight, bias), torch.autograd.grad(loss, (weight, bias)), strict=True)
        ):
            velocity[i] = 0.9 * velocity[i] + gradient + 0.01 * parameter.detach()
            parameter.data -= rate * velocity[i]
    assert torch.allclose(model.weight, weight, atol=1e-5)
    assert torch.allclose(model.bias, bias, atol=1e-5)


@pytest.mark.parametrize(
    "scheme", [GaussianMask(0.3), GaussianMask(0.3, fixed=True), NoiseNodes(1.0), WeightNoise(0.3)]
)
def test_models_draw_noise_of_their_own(scheme: Scheme) -> None:
    def noise_of(index: int) -> torch.Tensor:
        streams = Streams.of_model(0, index, "cpu")
        everyone = TrainingExamples(*data(), rows=(torch.arange(50),)).with_fixed_noise(
            scheme, THREE_CLASSES, [streams]
        )
        weights = {"weight": torch.zeros(50)}
        drawn = scheme.weight_noise(weights, 0, 0, streams.weights).get("weight")
        if drawn is None:
            drawn = scheme.node_values(everyone.inputs, streams.nodes)
        if drawn is None:
            drawn = (
                everyone.inputs if scheme.fixed else scheme.inputs(everyone.inputs, streams.inputs)
            ) / data()[0]
        return drawn.flatten()

    first, second = noise_of(0), noise_of(1)
    assert torch.equal(first, noise_of(0))
    correlation = torch.corrcoef(torch.stack([first, second]))[0, 1]
    assert abs(correlation) < 4 / math.sqrt(len(first))


def test_fixed_noise_stays_as_it_is_from_step_to_step() -> None:
    # One model on the same two examples in every step: its gradient sees the noisy examples and
    # nothing else.
    scheme, streams = GaussianNoise(5.0, fixed=True), [Streams.of_model(0, 0, "cpu")]
    inputs, labels = torch.zeros(2, 6), torch.tensor([0, 1])
    noisy = TrainingExamples(inputs, labels, (torch.arange(2),)).with_fixed_noise(
        scheme, THREE_CLASSES, streams
    )
    model, training = linear(), Training(epochs=3, batch_size=2, learning_rate=0.1, momentum=0.0)
    fit([model], noisy, scheme, training, 2, streams)
    plain = linear()
    fit([plain], noisy, Scheme(), training, 2, [Streams.of_model(0, 0, "cpu")])
    assert torch.equal(model.weight, plain.weight)
    assert not torch.equal(noisy.inputs, inputs)


def test_early_stop_ends_on_the_way_of_the_whole_schedule() -> None:
    seen: list[torch.Tensor] = []

    class Spy(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(self.weight.detach().clone())
            return super().forward(x)

    def run(scheme: Scheme) -> torch.Tensor:
        model = Spy(6, 3)
        model.load_state_dict(linear().state_dict())
        own = TrainingExamples(*data(), rows=(torch.arange(50),))
        fit(
            [model],
            own,
            scheme,
            scheme.training(Training(epochs=5, batch_size=10)),
            50,
            [Streams.of_model(0, 0, "cpu")],
        )
        return model.weight.detach()

    run(Scheme())
    assert torch.equal(run(EarlyStop(2)), seen[2 * 5])


def test_label_smoothing_is_torchs_own() -> None:
    model, (inputs, labels) = linear(), data()
    loss = cross_entropy(model(inputs), labels, label_smoothing=0.2)
    gradient = torch.autograd.grad(loss, model.weight)[0]
    training = Training(epochs=1, batch_size=50, learning_rate=1.0, momentum=0.0)
    after = trained(training, LabelSmoothing(0.2))
    assert torch.allclose(after.weight, model.weight - gradient, atol=1e-6)


@pytest.mark.parametrize(
    "scheme",
    [
        GaussianMask(0.5),
        GaussianNoise(0.5),
        Dropout(0.3),
        GaussianMask(0.5, fixed=True),
        LabelNoise(0.5),
    ],
    ids=repr,
)
def test_a_step_follows_the_gradient_on_what_the_scheme_makes_of_the_data(scheme: Scheme) -> None:
    model, (inputs, labels), streams = linear(), data(), Streams.of_model(0, 0, "cpu")
    order = torch.randperm(50, generator=streams.batches)
    x, y = inputs[order], labels[order]
    if scheme.fixed:
        x = scheme.inputs(inputs, streams.fixed_inputs)[order]
        y = scheme.labels(labels, THREE_CLASSES, streams.labels)[order]
    else:
        x = scheme.inputs(x, streams.inputs)
    # The mean over examples, one by one: the slow and obvious way.
    gradient = torch.stack(
        [
            torch.autograd.grad(cross_entropy(model(example[None]), label[None]), model.weight)[0]
            for example, label in zip(x, y, strict=True)
        ]
    ).mean(dim=0)
    after = trained(Training(epochs=1, batch_size=50, learning_rate=1.0, momentum=0.0), scheme)
    assert torch.allclose(after.weight, model.weight - gradient, atol=1e-6)
    plain = trained(Training(epochs=1, batch_size=50, learning_rate=1.0, momentum=0.0), Scheme())
    assert not torch.allclose(after.weight, plain.weight, atol=1e-3)


def test_weight_decay_adds_to_the_settings_own() -> None:
    assert WeightDecay(0.01).training(Training(weight_decay=0.02)).weight_decay == pytest.approx(
        0.03
    )


def test_label_smoothing_smooths_labels_that_the_settings_smooth_already() -> None:
    # The label keeps a share of 0.9 * 0.8.
    smoothed = LabelSmoothing(0.2).training(Training(label_smoothing=0.1))
    assert 1 - smoothed.label_smoothing == pytest.approx(0.9 * 0.8)


def test_adam_is_an_option() -> None:
    assert not torch.equal(trained(Training(optimizer="adam"), Scheme()).weight, linear().weight)


def test_every_model_takes_the_same_steps_however_many_members_it_has() -> None:
    streams = [Streams.of_model(0, 0, "cpu")]
    for members in (40, 50, 60):
        own = TrainingExamples(*data(60), rows=(torch.arange(members),))
        assert (
            fit([linear()], own, Scheme(), Training(epochs=2, batch_size=16), 50, streams).steps
            == 2 * 4
        )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs must be >= 1, got 0"),
        ({"batch_size": 0}, "batch_size must be >= 1, got 0"),
        ({"optimizer": "lion"}, "optimizer must be one of sgd, adam, got 'lion'"),
        ({"learning_rate": math.nan}, "learning_rate must be a finite number > 0, got nan"),
        ({"momentum": 1.0}, "momentum must be a finite number >= 0 and < 1, got 1.0"),
        ({"weight_decay": -1.0}, "weight_decay must be a finite number >= 0, got -1.0"),
        ({"label_smoothing": 1.0}, "label_smoothing must be a finite number >= 0 and < 1, got 1.0"),
        ({"stop_epoch": 0}, "stop_epoch must be >= 1, got 0"),
        ({"augment": "cutout"}, "augment must be one of none, flips, crops, got 'cutout'"),
        ({"precision": "fp8"}, "precision must be one of float32, tf32, bf16, got 'fp8'"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Training(**settings)  # type: ignore[arg-type]
