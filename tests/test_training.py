import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from targets.schemes import GaussianMask, Scheme
from targets.seeds import torch_generator
from targets.training import Training, fit, shuffled_batches


def data(examples: int = 50) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch_generator(0, "data")
    return torch.randn(examples, 6, generator=generator), torch.randint(3, (examples,), generator=generator)


def linear() -> nn.Linear:
    model = nn.Linear(6, 3)
    with torch.no_grad():
        model.weight.copy_(torch.linspace(-1, 1, 18).reshape(3, 6))
        model.bias.zero_()
    return model


def trained(training: Training, scheme: Scheme, noise: str = "noise") -> nn.Linear:
    model = linear()
    fit(model, *data(), scheme, training, torch_generator(0, "batches"), torch_generator(0, noise))
    return model


def test_an_epoch_holds_every_example_once_in_a_fresh_order() -> None:
    batches = list(shuffled_batches(10, 4, 3, torch_generator(0, "batches")))
    assert [len(batch) for batch in batches] == [4, 4, 2] * 3
    epochs = [torch.cat(batches[start : start + 3]).tolist() for start in (0, 3, 6)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_sgd_equals_the_update_rule_written_out() -> None:
    training = Training(epochs=4, batch_size=16, learning_rate=0.1, momentum=0.9, weight_decay=0.01)
    model = linear()
    steps = fit(model, *data(), Scheme(), training, torch_generator(0, "batches"), torch_generator(0, "noise"))
    assert steps == 4 * math.ceil(50 / 16)

    inputs, labels = data()
    weight, bias = (p.detach().clone().requires_grad_() for p in linear().parameters())
    velocity = [torch.zeros_like(weight), torch.zeros_like(bias)]
    for step, batch in enumerate(shuffled_batches(50, 16, 4, torch_generator(0, "batches"))):
        loss = cross_entropy(inputs[batch] @ weight.T + bias, labels[batch])
        rate = 0.1 * 0.5 * (1 + math.cos(math.pi * step / steps))
        for i, (parameter, gradient) in enumerate(
            zip((weight, bias), torch.autograd.grad(loss, (weight, bias)), strict=True)
        ):
            velocity[i] = 0.9 * velocity[i] + gradient + 0.01 * parameter.detach()
            parameter.data -= rate * velocity[i]
    assert torch.allclose(model.weight, weight, atol=1e-5)
    assert torch.allclose(model.bias, bias, atol=1e-5)


def test_kappa_zero_trains_the_very_weights_of_no_noise() -> None:
    plain, masked = trained(Training(epochs=3), Scheme()), trained(Training(epochs=3), GaussianMask(0.0))
    assert torch.equal(plain.weight, masked.weight)
    assert not torch.equal(plain.weight, trained(Training(epochs=3), GaussianMask(0.01)).weight)


def test_noise_comes_from_its_own_stream() -> None:
    first, second = (trained(Training(epochs=2), GaussianMask(0.3), noise) for noise in ("noise", "other"))
    assert not torch.equal(first.weight, second.weight)


def test_adam_is_an_option() -> None:
    assert not torch.equal(trained(Training(optimizer="adam"), Scheme()).weight, linear().weight)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs must be >= 1, got 0"),
        ({"batch_size": 0}, "batch_size must be >= 1, got 0"),
        ({"optimizer": "lion"}, "optimizer must be sgd or adam, got 'lion'"),
        ({"learning_rate": math.nan}, "learning_rate must be a finite number > 0, got nan"),
        ({"momentum": 1.0}, "momentum must be >= 0 and < 1, got 1.0"),
        ({"weight_decay": -1.0}, "weight_decay must be a finite number >= 0, got -1.0"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Training(**settings)  # type: ignore[arg-type]
