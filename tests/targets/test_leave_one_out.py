"""The contribution of an example to the clipped sum of a batch, by leaving it out."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from mgaudit.attacks.white_box_checks import ROUNDING
from mgaudit.settings.datasets import dataset_choice
from mgaudit.targets import CNN, MLP
from mgaudit.targets.fitting import dp_sgd
from mgaudit.targets.fitting.clipping import Clipper, OneBackward
from mgaudit.targets.fitting.dp_sgd import clipper_of
from mgaudit.targets.fitting.ghost_clipping import GhostClipping
from mgaudit.targets.fitting.privacy_plan import plan_privacy
from mgaudit.targets.fitting.recipe import Recipe, train_at_once
from mgaudit.targets.schemes import DPSGD, Scheme
from mgaudit.targets.seeds import numpy_generator
from mgaudit.targets.training import Training
from mgaudit.targets.white_box.leave_one_out import Batch, largest_contribution
from mgaudit.targets.white_box.own_training import observed_training

SEEDS = range(20)
NORM = 0.05  # below that of the gradients, and not 1, so that a missing factor shows
OPACUS = 1.268  # excess of the clipped gradients that a version of Opacus had in a batch
CLASSES, EXAMPLES = 10, 12

Network = Callable[[tuple[int, ...], int], nn.Module]


class Normalised(nn.Module):
    """Convolutions with GroupNorm."""

    def __init__(self, input_shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(input_shape[0], 8, 3, padding=1)
        self.norm = nn.GroupNorm(4, 8)
        self.second = nn.Conv2d(8, 8, 3, stride=2)
        self.head = nn.Linear(72, classes)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.second(torch.relu(self.norm(self.first(x)))))
        logits: Tensor = self.head(h.flatten(1))
        return logits


class Grouped(Normalised):
    """Has a layer that mgaudit has no rule for, so that Opacus clips."""

    def __init__(self, input_shape: tuple[int, ...], classes: int) -> None:
        super().__init__(input_shape, classes)
        self.second = nn.Conv2d(8, 8, 3, stride=2, groups=2)


class Coupled(nn.Module):
    """Subtracts the mean over the batch from its inputs, as BatchNorm does."""

    def __init__(self, input_shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        self.inner = MLP(input_shape, classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.inner(x - x.mean(dim=0))
        return logits


class InDoublePrecision(nn.Module):
    """A network whose weights are double-precision numbers."""

    def __init__(self, network: Network, input_shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        self.inner = network(input_shape, classes).double()

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.inner(x.double())
        return logits


class TooLongInABatch(OneBackward):
    """Clips to a norm that is too large, unless an example is alone; canaries are clipped well."""

    def backward(self, losses: Tensor, max_norm: float, views: int = 1) -> None:
        alone = len(losses) == views
        super().backward(losses, max_norm if alone else OPACUS * max_norm, views)


def losses_of(logits: Tensor, labels: Tensor) -> Tensor:
    return cross_entropy(logits, labels, reduction="none")


def random_batch(views: int = 1) -> Batch:
    """Returns random images in channels-last order."""
    x = torch.randn(EXAMPLES * views, 2, 8, 8).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, CLASSES, (EXAMPLES,)).repeat_interleave(views)
    return Batch(x, labels, losses_of, views)


def built(network: Network) -> nn.Module:
    model = network((2, 8, 8), CLASSES)
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def largest(
    network: Network,
    seed: int,
    views: int = 1,
    clipper_by: Callable[[nn.Module, Tensor], Clipper] = clipper_of,
    rows_at_once: int | None = None,
) -> float:
    """Returns the largest contribution in a random batch."""
    torch.manual_seed(seed)
    model, batch = built(network), random_batch(views)
    clipper = clipper_by(model, batch.x)
    if rows_at_once is not None:
        clipper.rows_at_once = rows_at_once
    return largest_contribution(clipper, list(model.parameters()), batch, NORM, EXAMPLES)


# The measure itself


class Given:
    """A clipper that adds the numbers in the rows, in units of its norm; views are averaged."""

    def __init__(self, weight: nn.Parameter, rows_at_once: int = 100) -> None:
        self.rows_at_once = rows_at_once
        self.batches: list[list[float]] = []
        self._weight = weight
        self._x = torch.zeros(0)

    def logits(self, x: Tensor) -> Tensor:
        self._x = x
        self.batches.append(x[:, 0].tolist())
        return x

    def backward(self, losses: Tensor, max_norm: float, views: int = 1) -> None:
        own = self._x.unflatten(0, (-1, views)).mean(dim=1)
        assert self._weight.grad is not None
        self._weight.grad += max_norm * own.sum(dim=0)

    def add(self, gradients: Any, max_norm: float) -> None:
        raise NotImplementedError

    def norms(self, losses: Tensor) -> Tensor:
        raise NotImplementedError

    def close(self) -> None:
        pass


def of_numbers(
    rows: list[list[float]], views: int = 1, left_out: int = 100, at_once: int = 100
) -> tuple[float, Given]:
    weight = nn.Parameter(torch.zeros(2))
    gradient = weight.grad = torch.tensor([5.0, 7.0])
    clipper, x = Given(weight, at_once), torch.tensor(rows)
    batch = Batch(x, torch.zeros(len(x)), lambda logits, _: logits.sum(dim=1), views)
    value = largest_contribution(clipper, [weight], batch, 0.5, left_out)
    assert weight.grad is gradient
    assert gradient.tolist() == [5, 7]
    return value, clipper


def test_the_largest_norm_is_in_units_of_the_clip_norm() -> None:
    assert of_numbers([[0.6, 0.0], [0.0, -2.0], [0.9, 1.2]])[0] == pytest.approx(2)
    assert of_numbers([[3.0, -4.0]])[0] == pytest.approx(5)  # nothing is left without it


def test_an_example_is_left_out_with_all_its_views() -> None:
    value, clipper = of_numbers([[1.0, 0.0], [3.0, 0.0], [4.0, 0.0], [6.0, 0.0]], views=2)
    assert value == pytest.approx(5)
    assert clipper.batches == [[1, 3, 4, 6], [4, 6], [1, 3]]


def test_a_batch_is_clipped_in_the_parts_of_the_training() -> None:
    rows = [[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]]
    value, clipper = of_numbers(rows, at_once=2)
    assert value == pytest.approx(3)
    assert clipper.batches[:4] == [[1, 2], [3], [2, 3], [1, 3]]


@pytest.mark.parametrize(("left_out", "expected"), [(1, [0]), (2, [0, 4]), (3, [0, 2, 4])])
def test_examples_that_are_left_out_are_spaced_evenly(left_out: int, expected: list[int]) -> None:
    _, clipper = of_numbers([[float(row), 0.0] for row in range(5)], left_out=left_out)
    missing = [set(range(5)) - set(batch) for batch in clipper.batches[1:]]
    assert missing == [{row} for row in expected]


# Correct clippers, and faults


@pytest.mark.parametrize(
    ("network", "kind", "options"),
    [
        (MLP, OneBackward, {}),
        (CNN, OneBackward, {}),
        pytest.param(CNN, OneBackward, {"rows_at_once": 5}, marks=pytest.mark.slow),
        pytest.param(CNN, OneBackward, {"views": 3}, marks=pytest.mark.slow),
        (Normalised, OneBackward, {}),
        (Grouped, GhostClipping, {}),
    ],
)
def test_an_example_contributes_the_clip_norm(
    network: Network, kind: type[Clipper], options: dict[str, int]
) -> None:
    assert isinstance(clipper_of(built(network), random_batch().x), kind)
    for seed in SEEDS:
        assert largest(network, seed, **options) == pytest.approx(1, abs=ROUNDING)


def test_a_gradient_below_the_clip_norm_contributes_its_norm() -> None:
    torch.manual_seed(0)
    model, batch = built(CNN), random_batch()
    norms = []
    for row in range(EXAMPLES):
        loss = losses_of(model(batch.x[row : row + 1]), batch.labels[row : row + 1]).sum()
        own = torch.autograd.grad(loss, list(model.parameters()))
        norms.append(float(torch.cat([part.flatten() for part in own]).norm()))
    value = largest_contribution(
        clipper_of(model, batch.x), list(model.parameters()), batch, 1000.0, EXAMPLES
    )
    assert value == pytest.approx(max(norms) / 1000, rel=1e-4)


def too_long_in_a_batch(model: nn.Module, x: Tensor) -> Clipper:
    clipper = TooLongInABatch.of_network(model, x)
    assert clipper is not None
    return clipper


@pytest.mark.parametrize("views", [1, 3])
@pytest.mark.parametrize("network", [MLP, CNN, Normalised])
def test_a_clip_norm_that_is_too_large_in_a_batch_is_measured(network: Network, views: int) -> None:
    for seed in SEEDS:
        value = largest(network, seed, views, too_long_in_a_batch)
        assert value == pytest.approx(OPACUS, abs=ROUNDING)


def test_examples_that_change_each_others_gradients_are_seen() -> None:
    assert min(largest(Coupled, seed) for seed in SEEDS) > 1 + 100 * ROUNDING


class WithoutCopies(GhostClipping):
    """Lets Opacus see inputs in channels-last order, for which its norms are wrong."""

    def logits(self, x: Tensor) -> Tensor:
        logits: Tensor = self._wrapped(x)
        return logits


def test_opacus_norms_of_channels_last_inputs_are_seen() -> None:
    def clipper_by(model: nn.Module, _: Tensor) -> Clipper:
        clipper = WithoutCopies(model)
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return clipper

    values = [largest(CNN, seed, clipper_by=clipper_by) for seed in SEEDS]
    assert min(values) > 1 + 100 * ROUNDING


# In a training


DIGITS = dataset_choice("digits").load(100, numpy_generator(0, "examples")).standardised()
MEMBERS = np.ones((1, 100), dtype=bool)


def recipe(network: Any, views: int = 1) -> Recipe:
    scheme = DPSGD(noise_multiplier=1.5, max_grad_norm=NORM, views=views)
    augment = "crops" if views > 1 else "none"
    training = Training(epochs=2, batch_size=20, learning_rate=0.1, augment=augment)
    return Recipe(network, Scheme(), training, plan_privacy(scheme, training, 100), 0, 100)


@pytest.mark.parametrize(
    ("network", "views"), [(MLP, 1), (CNN, 1), (CNN, 2), (Normalised, 1), (Grouped, 1)]
)
def test_a_training_records_the_largest_contribution(network: Network, views: int) -> None:
    _, arrays = observed_training(recipe(network, views), DIGITS, MEMBERS, 16, "cpu")
    assert arrays["largest_contribution"] == pytest.approx(1, abs=ROUNDING)


def test_a_training_with_a_fault_records_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dp_sgd, "clipper_of", too_long_in_a_batch)
    _, arrays = observed_training(recipe(CNN), DIGITS, MEMBERS, 16, "cpu")
    assert arrays["largest_contribution"] == pytest.approx(OPACUS, abs=ROUNDING)


@pytest.mark.parametrize(("network", "views"), [(CNN, 2), (Grouped, 1)])
def test_the_measure_does_not_change_the_training(network: Network, views: int) -> None:
    own = recipe(partial(InDoublePrecision, network), views)
    observed, _ = observed_training(own, DIGITS, MEMBERS, 16, "cpu")
    (plain,) = train_at_once(own, DIGITS, MEMBERS, [0], torch.device("cpu"))
    for name, values in plain.weights.items():
        np.testing.assert_allclose(observed.weights[name], values, rtol=0, atol=1e-6)


def test_tf32_is_not_exact_enough() -> None:
    own = recipe(MLP)
    own = replace(own, training=replace(own.training, precision="tf32"))
    _, arrays = observed_training(own, DIGITS, MEMBERS, 16, "cpu")
    assert np.isnan(arrays["largest_contribution"])
