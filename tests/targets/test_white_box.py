"""Directions of canaries, and the white-box adversary in mgaudit's own training."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mgaudit.errors import UsageError
from mgaudit.settings.datasets import dataset_choice
from mgaudit.targets import CNN, MLP
from mgaudit.targets.fitting import clipping
from mgaudit.targets.fitting.clipping import add_clipped
from mgaudit.targets.fitting.privacy_plan import plan_privacy
from mgaudit.targets.fitting.recipe import Recipe, train_at_once
from mgaudit.targets.schemes import DPSGD, Scheme
from mgaudit.targets.seeds import numpy_generator
from mgaudit.targets.training import Training
from mgaudit.targets.white_box import reference
from mgaudit.targets.white_box.directions import Directions
from mgaudit.targets.white_box.own_training import observed_training

SHAPES = [(12, 20), (12,), (6, 3, 3, 3), (3,)]
NUMBER = 5


def weights() -> list[Tensor]:
    """Weights of which the convolution's lie in channels-last order."""
    tensors = [torch.zeros(shape, dtype=torch.float64) for shape in SHAPES]
    tensors[2] = tensors[2].to(memory_format=torch.channels_last)
    return tensors


def directions() -> Directions:
    return Directions(weights(), NUMBER, np.random.default_rng(0))


def dense(own: Directions) -> Tensor:
    """The directions (number, weights), by adding each to zeros."""
    rows = []
    for number in range(NUMBER):
        vectors = weights()
        for vector, part in zip(vectors, own.rows(torch.eye(NUMBER)[number]), strict=True):
            part.add_to(vector, 1.0)
        rows.append(torch.cat([vector.reshape(-1) for vector in vectors]))
    return torch.stack(rows)


def test_directions_are_orthonormal_and_have_disjoint_supports() -> None:
    vectors = dense(directions())
    torch.testing.assert_close(vectors @ vectors.T, torch.eye(NUMBER, dtype=torch.float64))
    assert int(((vectors != 0).sum(dim=0)).max()) == 1


def test_every_direction_spans_the_tensors_that_have_enough_weights() -> None:
    vectors = dense(directions())
    parts = torch.split(vectors != 0, [240, 12, 162, 3], dim=1)
    assert [part.sum(dim=1).tolist() for part in parts[:3]] == [[8] * 5, [2] * 5, [8] * 5]
    assert sorted(parts[3].sum(dim=1).tolist()) == [0, 0, 1, 1, 1]


def test_all_forms_of_the_directions_are_the_same() -> None:
    own, vectors = directions(), dense(directions())
    amounts = torch.tensor([2.0, 0.0, -1.0, 0.5, 0.0], dtype=torch.float64)
    flat = torch.randn(3, 417, dtype=torch.float64)
    taken = flat.clone()
    products = own.take_out(taken, amounts.expand(3, -1))
    torch.testing.assert_close(products, flat @ vectors.T)
    torch.testing.assert_close(taken, flat - amounts @ vectors)
    chosen = amounts != 0
    rows = [torch.full((3, *shape), 7.0, dtype=torch.float64) for shape in SHAPES]
    own.write(chosen, 10.0, rows)
    torch.testing.assert_close(
        torch.cat([part.flatten(1) for part in rows], dim=1), 10 * vectors[chosen]
    )
    sparse = own.rows(amounts)
    squares = torch.stack([part.squared_norms() for part in sparse]).sum(dim=0)
    torch.testing.assert_close(squares, amounts.square())


def test_canaries_are_clipped_as_examples_are() -> None:
    tensors = [nn.Parameter(tensor) for tensor in weights()]
    for tensor in tensors:
        tensor.grad = torch.zeros_like(tensor)
    own = Directions([tensor.data for tensor in tensors], NUMBER, np.random.default_rng(0))
    coins = torch.tensor([1.0, 0.0, 1.0, 1.0, 0.0], dtype=torch.float64)
    add_clipped(list(zip(tensors, own.rows(20 * coins), strict=True)), 2.0)
    total = torch.cat([tensor.grad.reshape(-1) for tensor in tensors if tensor.grad is not None])
    torch.testing.assert_close(total, 2 * coins @ dense(own), atol=1e-6, rtol=0)


@pytest.mark.parametrize("number", [0, 241])
def test_more_directions_than_weights_are_refused(number: int) -> None:
    with pytest.raises(ValueError, match=f"between 1 and 240, .* got {number}"):
        Directions(weights(), number, np.random.default_rng(0))


# mgaudit's own training


DIGITS = dataset_choice("digits").load(200, numpy_generator(0, "examples")).standardised()
MEMBERS = np.ones((1, 200), dtype=bool)


class InDoublePrecision(nn.Module):
    """An MLP whose weights are double-precision numbers."""

    def __init__(self, input_shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        self.inner = MLP(input_shape, classes).double()

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.inner(x.double())
        return outputs


def recipe(network: Any, seed: int = 0, **scheme: Any) -> Recipe:
    options: dict[str, Any] = {"noise_multiplier": 1.5, "max_grad_norm": 0.5} | scheme
    training = Training(epochs=3, batch_size=20, learning_rate=0.1)
    plan = plan_privacy(DPSGD(**options), training, 200)
    return Recipe(network, Scheme(), training, plan, seed, 200)


@pytest.mark.parametrize("network", [MLP, CNN])
def test_the_record_of_a_step_is_what_the_step_released(network: Any) -> None:
    _, arrays = observed_training(recipe(network), DIGITS, MEMBERS, 16, "cpu")
    steps = 30
    assert arrays["scores"].shape == arrays["coins"].shape == (steps, 16)
    residuals = arrays["scores"] - arrays["coins"]
    assert abs(residuals.std() / 1.5 - 1) < 0.15  # 480 normal numbers
    per_weight = arrays["squares"].sum() / arrays["sizes"].sum() / steps
    assert per_weight**0.5 == pytest.approx(1.5, rel=0.01)
    kurtosis = arrays["fourth"].sum() / arrays["sizes"].sum() / steps / per_weight**2
    assert kurtosis == pytest.approx(3, abs=0.1)
    assert arrays["batch_sizes"].sum() == arrays["inclusions"].sum()
    checked = np.isfinite(arrays["along_sum"])
    assert list(np.flatnonzero(checked)) == [0, 1, 2, 3, 4]


def test_canaries_do_not_disturb_the_training() -> None:
    own = recipe(InDoublePrecision)  # nothing is lost where canaries are added and taken out again
    observed, _ = observed_training(own, DIGITS, MEMBERS, 16, "cpu")
    (plain,) = train_at_once(own, DIGITS, MEMBERS, [0], torch.device("cpu"))
    for name, values in plain.weights.items():
        np.testing.assert_allclose(observed.weights[name], values, rtol=0, atol=1e-6)


def test_the_second_clipped_sum_sees_a_fault_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    own = recipe(MLP, noise_multiplier=0.3)
    _, right = observed_training(own, DIGITS, MEMBERS, 16, "cpu")
    norms = clipping._norms
    monkeypatch.setattr(clipping, "_norms", lambda gradients: norms(gradients) / 2)
    _, wrong = observed_training(own, DIGITS, MEMBERS, 16, "cpu")
    assert np.nanmean(right["along_sum"]) < 0.5
    assert np.nanmean(wrong["along_sum"]) > 3
    coins = wrong["coins"]
    contribution = wrong["scores"][coins].mean() - wrong["scores"][~coins].mean()
    assert contribution == pytest.approx(2, abs=0.2)


def test_the_second_clipped_sum_is_that_of_autograd() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    x, labels = 4 * torch.randn(6, 2, 3, dtype=torch.float64), torch.tensor([0, 1, 2, 0, 1, 1])

    def losses(logits: Tensor, targets: Tensor) -> Tensor:
        return nn.functional.cross_entropy(logits, targets, reduction="none")

    sums = [torch.zeros_like(weight) for weight in model.parameters()]
    for first in (0, 2, 4):  # two views of an example
        rows = slice(first, first + 2)
        loss = losses(model(x[rows]), labels[rows]).mean()
        own = torch.autograd.grad(loss, list(model.parameters()))
        norm = torch.cat([part.flatten() for part in own]).norm()
        for total, part in zip(sums, own, strict=True):
            total += part * min(1.0, float(0.6 / norm))
    weights = {name: weight.detach() for name, weight in model.named_parameters()}
    found = reference.clipped_sum(model, weights, x, labels, losses, 2, 0.6)
    for part, total in zip(found, sums, strict=True):
        torch.testing.assert_close(part, total)


def test_an_empty_batch_has_no_sum() -> None:
    parts = [torch.zeros(0, 3, 2), torch.zeros(0, 4)]
    assert [part.shape for part in reference.clipped(parts, 1.0)] == [(3, 2), (4,)]


def test_too_many_directions_for_a_network_are_refused() -> None:
    with pytest.raises(UsageError, match=r"directions must be at most .* use \d+ or fewer"):
        observed_training(recipe(MLP), DIGITS, MEMBERS, 10**6, "cpu")
