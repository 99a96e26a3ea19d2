import copy
import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from mgaudit.errors import UsageError
from mgaudit.targets import CNN, MLP
from mgaudit.targets.fitting import clipping
from mgaudit.targets.fitting.augmentation import AUGMENTATIONS
from mgaudit.targets.fitting.averaging import WeightAverage
from mgaudit.targets.fitting.clipping import OneBackward
from mgaudit.targets.fitting.dp_sgd import clipper_of, fit_privately
from mgaudit.targets.fitting.examples import Streams, TrainingExamples
from mgaudit.targets.fitting.ghost_clipping import GhostClipping
from mgaudit.targets.fitting.privacy_plan import PrivacyPlan, plan_privacy
from mgaudit.targets.networks import ResNet
from mgaudit.targets.schemes import DPSGD, GaussianMask, NoiseNodes, Scheme
from mgaudit.targets.seeds import torch_generator
from mgaudit.targets.training import Training

CLASSES, ROWS = 4, 12


class Positions(nn.Module):
    """Linear layers on tokens, with a LayerNorm: the weights act at several positions."""

    def __init__(self, wide: int = 9) -> None:
        super().__init__()
        self.embed = nn.Linear(4, wide)
        self.norm = nn.LayerNorm(wide)
        self.mix = nn.Linear(wide, 5)
        self.head = nn.Linear(5, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(1).unflatten(1, (-1, 4))
        mixed = torch.tanh(self.mix(self.norm(self.embed(tokens))))
        logits: Tensor = self.head(mixed.mean(dim=1))
        return logits


class Strided(nn.Module):
    """Convolutions of several kinds, norms over several axes, and changes in place."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 6, 3, padding=(2, 1), stride=(2, 1), dilation=(1, 2), bias=False)
        self.group = nn.GroupNorm(3, 6)
        self.second = nn.Conv2d(6, 5, (1, 3))
        self.norm = nn.LayerNorm((5, 4))
        self.head = nn.Linear(5 * 5 * 4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu_(self.group(torch.relu_(self.first(x))))
        logits: Tensor = self.head(self.norm(self.second(h)).flatten(1))
        return logits


class Frozen(nn.Module):
    """A layer without training, and one of whose weights only the bias is trained."""

    def __init__(self) -> None:
        super().__init__()
        self.fixed = nn.Linear(128, 10).requires_grad_(False)
        self.shifted = nn.Linear(10, 8)
        self.shifted.weight.requires_grad_(False)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.shifted(torch.relu(self.fixed(x.flatten(1)))))
        logits: Tensor = self.head(h)
        return logits


class OtherLayout(nn.Module):
    """A network that changes the layout of images in memory between its layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 4, 3), nn.Conv2d(4, CLASSES, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x).contiguous(memory_format=torch.channels_last)
        logits: Tensor = self.second(h.relu()).mean(dim=(2, 3))
        return logits


def build(kind: str) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        networks = {
            "mlp": lambda: MLP((2, 8, 8), CLASSES, (7,)),
            "cnn": lambda: CNN((2, 8, 8), CLASSES, (4, 6), 7, norm="group"),
            "cnn of one pixel": lambda: CNN((2, 8, 8), CLASSES, (4, 6, 5), 7),
            "resnet": lambda: ResNet((2, 8, 8), CLASSES, 1, 4),
            "positions": Positions,
            "strided": Strided,
            "frozen": Frozen,
            "other layout": OtherLayout,
        }
        model: nn.Module = networks[kind]().double()
    return model


KINDS = (
    "mlp",
    "cnn",
    "cnn of one pixel",
    "resnet",
    "positions",
    "strided",
    "frozen",
    "other layout",
)


def batch(rows: int = ROWS) -> tuple[Tensor, Tensor]:
    generator = torch_generator(0, "rows")
    x = torch.randn(rows, 2, 8, 8, generator=generator, dtype=torch.float64)
    # Rows of very different sizes, so that some gradients are clipped and others are not.
    x *= torch.linspace(0.05, 3, rows, dtype=torch.float64)[:, None, None, None]
    return x, torch.randint(CLASSES, (rows,), generator=generator)


def by_autograd(
    model: nn.Module, x: Tensor, y: Tensor, max_norm: float, views: int = 1
) -> tuple[list[Tensor], list[float]]:
    """Returns the sum of clipped gradients, each computed alone, and their norms."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    total = [torch.zeros_like(weight) for weight in weights]
    norms = []
    for own, label in zip(x.split(views), y.split(views), strict=True):
        gradients = torch.autograd.grad(cross_entropy(model(own), label), weights)
        norms.append(math.sqrt(sum(gradient.square().sum().item() for gradient in gradients)))
        factor = min(1.0, max_norm / (norms[-1] + clipping.SMALLEST_NORM))
        total = [sum_ + factor * gradient for sum_, gradient in zip(total, gradients, strict=True)]
    return total, norms


@pytest.mark.parametrize("views", [1, 3])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("kind", KINDS)
def test_the_sum_is_that_of_clipped_gradients_by_autograd(
    kind: str, layout: torch.memory_format, views: int
) -> None:
    model = build(kind).to(memory_format=layout)  # type: ignore[call-overload]
    x, y = batch()
    y = y[::views].repeat_interleave(views)
    _, norms = by_autograd(model, x, y, math.inf, views)
    max_norm = sorted(norms)[len(norms) // 2] * 1.01  # about half of the gradients are clipped
    expected, _ = by_autograd(model, x, y, max_norm, views)

    clipper = OneBackward.of_network(model, x)
    assert clipper is not None
    inputs = x.to(memory_format=layout)
    for part in (slice(0, 2 * views), slice(2 * views, None)):  # two parts add up
        losses = cross_entropy(clipper.logits(inputs[part]), y[part], reduction="none")
        clipper.backward(losses, max_norm, views)
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    for weight, sum_ in zip(trained, expected, strict=True):
        assert weight.grad is not None
        assert torch.allclose(weight.grad, sum_, rtol=1e-9, atol=1e-12)
    assert all(weight.grad is None for weight in model.parameters() if not weight.requires_grad)


@pytest.mark.parametrize("kind", KINDS)
def test_norms_are_those_of_gradients_by_autograd(kind: str) -> None:
    model = build(kind)
    x, y = batch()
    _, expected = by_autograd(model, x, y, math.inf)
    clipper = clipper_of(model, x)
    norms = clipper.norms(cross_entropy(clipper.logits(x), y, reduction="none"))
    assert norms.tolist() == pytest.approx(expected, rel=1e-9)
    assert isinstance(clipper, OneBackward)


@pytest.mark.parametrize("target", [MLP, CNN])
def test_whole_trainings_equal_those_by_opacus(
    target: type[nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    def trained(by_opacus: bool) -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(1)
            model = target((2, 8, 8), CLASSES).double()
        x, y = batch(60)
        plan = PrivacyPlan(0.8, 0.3, 0.25, 15, 15, delta=1e-3, epsilon=math.inf)
        own = TrainingExamples(x, y, (torch.arange(60),))
        with monkeypatch.context() as patch:
            if by_opacus:
                patch.setattr(OneBackward, "of_network", lambda *_: None)
            streams, noise = Streams.of_model(0, 0, "cpu"), torch_generator(0, "dp-noise")
            training = Training(epochs=4, batch_size=15, learning_rate=0.2)
            fit_privately(model, own, GaussianMask(0.3), training, plan, streams, noise)
        return model

    for ours, theirs in zip(trained(False).parameters(), trained(True).parameters(), strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("scheme", [Scheme(), NoiseNodes(1.0), GaussianMask(0.4)])
@pytest.mark.parametrize("views", [1, 3])
def test_parts_of_a_batch_give_the_same_training(
    scheme: Scheme, views: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Noise once for each step, whatever the number of parts.
    def trained(bytes_at_once: int) -> nn.Module:
        monkeypatch.setitem(clipping.BYTES_AT_ONCE, "cpu", bytes_at_once)
        with torch.random.fork_rng():
            torch.manual_seed(1)
            model = scheme.extend(MLP((2, 8, 8), CLASSES, (7,))).double()
        x, y = batch(40)
        plan = PrivacyPlan(
            0.8, 0.3, 0.3, 8, 12, delta=1e-3, epsilon=math.inf, views=views, averaging=0.5
        )
        own = TrainingExamples(x, y, (torch.arange(40),))
        streams, noise = Streams.of_model(0, 0, "cpu"), torch_generator(0, "dp-noise")
        training = Training(epochs=4, batch_size=12, learning_rate=0.2, augment="crops")
        assert fit_privately(model, own, scheme, training, plan, streams, noise).steps == 8
        return model

    for whole, parts in zip(trained(2**40).parameters(), trained(4000).parameters(), strict=True):
        assert torch.allclose(whole, parts, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("views", [1, 3])
def test_a_step_has_the_noise_and_the_batch_that_are_accounted(
    views: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(clipping.BYTES_AT_ONCE, "cpu", 20_000)  # several parts in a batch
    x, y = batch(40)
    multiplier, max_norm, expected_batch = 1.7, 0.3, 12
    training = Training(epochs=4, batch_size=12, learning_rate=1.0, momentum=0.0, augment="flips")

    def after_a_step(noise_multiplier: float) -> list[Tensor]:
        with torch.random.fork_rng():
            torch.manual_seed(1)
            model = MLP((2, 8, 8), CLASSES, (60,)).double()
        plan = PrivacyPlan(
            noise_multiplier, max_norm, 0.3, 1, expected_batch, 1e-3, math.inf, views=views
        )
        own = TrainingExamples(x, y, (torch.arange(40),))
        streams, noise = Streams.of_model(0, 0, "cpu"), torch_generator(0, "dp-noise")
        fit_privately(model, own, Scheme(), training, plan, streams, noise)
        return [weight.detach() for weight in model.parameters()]

    exact, noisy = after_a_step(0.0), after_a_step(multiplier)
    difference = torch.cat([(a - b).flatten() for a, b in zip(noisy, exact, strict=True)])
    sd = multiplier * max_norm / expected_batch
    assert difference.std().item() == pytest.approx(sd, rel=4 / math.sqrt(2 * len(difference)))
    assert abs(difference.mean().item()) < 4 * sd / math.sqrt(len(difference))

    # The examples of the step are those of independent coins, each with all its views.
    streams = Streams.of_model(0, 0, "cpu")
    drawn = torch.rand(40, generator=streams.batches) < 0.3
    rows = torch.nonzero(drawn).flatten().repeat_interleave(views)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = MLP((2, 8, 8), CLASSES, (60,)).double()
    augmented = AUGMENTATIONS["flips"](x[rows], streams.augmentation)
    sums, _ = by_autograd(model, augmented, y[rows], max_norm, views)
    for weight, after, total in zip(model.parameters(), exact, sums, strict=True):
        assert torch.allclose(after, weight.detach() - total / expected_batch, atol=1e-12)


def test_parts_hold_whole_examples_within_the_memory_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    x, _ = batch()
    model = build("cnn")
    monkeypatch.setitem(clipping.BYTES_AT_ONCE, "cpu", 2**20)
    clipper = OneBackward.of_network(model, x)
    assert clipper is not None
    # Inputs and patches (9 numbers of each channel and pixel), outputs, and per-example gradients.
    first = 128 + 64 * 18 + 64 * 4 + 4 * 18
    second = 4 * 16 + 16 * 36 + 16 * 6 + 6 * 36
    norms = 3 * (64 * 4 + 16 * 6)
    linear = 24 + (24 + 7) + 7 + (7 + 4)
    assert clipper.rows_at_once == 2**20 // (8 * (first + second + norms + linear))


class Twice(nn.Module):
    """A network that evaluates a layer twice."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(128, 128)
        self.head = nn.Linear(128, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.layer(torch.relu(self.layer(x.flatten(1)))))
        return logits


class Doubled(nn.Linear):
    """A layer whose outputs are not those of its base class."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


def shared() -> nn.Module:
    model = nn.Sequential(nn.Flatten(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 128))
    model[3].weight = model[1].weight
    return model


@pytest.mark.parametrize(
    "model",
    [
        Twice(),
        shared(),
        nn.Sequential(nn.Flatten(), Doubled(128, CLASSES)),
        nn.Sequential(nn.Conv2d(2, 4, 3, groups=2), nn.Flatten(), nn.Linear(144, CLASSES)),
        nn.Sequential(nn.Conv2d(2, 4, 3, padding="same"), nn.Flatten(), nn.Linear(256, CLASSES)),
        nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1, padding_mode="circular"),
            nn.Flatten(),
            nn.Linear(256, CLASSES),
        ),
        nn.Sequential(nn.Flatten(0, 0), nn.Conv1d(2, 3, 3)),
    ],
    ids=["twice", "shared", "subclass", "groups", "same", "circular", "kind"],
)
def test_networks_without_rules_are_left_to_opacus(model: nn.Module) -> None:
    x = torch.zeros(3, 2, 8, 8)
    if isinstance(model[-1] if isinstance(model, nn.Sequential) else model, nn.Conv1d):
        x = torch.zeros(3, 2, 8)
    assert OneBackward.of_network(copy.deepcopy(model), x) is None


def test_a_layer_with_a_hook_is_left_to_opacus() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(128, CLASSES))
    model[1].register_forward_hook(lambda layer, inputs, output: 2 * output)
    assert OneBackward.of_network(model, torch.zeros(3, 2, 8, 8)) is None
    assert isinstance(clipper_of(model, torch.zeros(3, 2, 8, 8)), GhostClipping)


@pytest.mark.filterwarnings("error:Full backward hook")
def test_opacus_clips_layers_that_we_do_not_know() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(2, 4, 3, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(144, CLASSES)
        ).double()
    x, y = batch()
    _, norms = by_autograd(model, x, y, math.inf)
    max_norm = sorted(norms)[ROWS // 2]
    expected, _ = by_autograd(model, x, y, max_norm)
    clipper = clipper_of(model, x)
    assert isinstance(clipper, GhostClipping)
    for part in (slice(0, 5), slice(5, None)):
        losses = cross_entropy(clipper.logits(x[part]), y[part], reduction="none")
        clipper.backward(losses, max_norm)
    with pytest.raises(ValueError, match="views must be 1"):
        clipper.backward(cross_entropy(clipper.logits(x), y, reduction="none"), max_norm, 2)
    clipper.close()
    for weight, sum_ in zip(model.parameters(), expected, strict=True):
        assert weight.grad is not None
        assert torch.allclose(weight.grad, sum_, rtol=1e-9, atol=1e-12)


def test_the_average_of_weights_is_that_of_its_definition() -> None:
    model = nn.Linear(1, 1, bias=False).double()
    with torch.no_grad():
        model.weight.fill_(5.0)
    average = WeightAverage(model, 0.5)
    expected = 5.0
    for step, value in enumerate((1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0), start=1):
        with torch.no_grad():
            model.weight.fill_(value)
        average.update()
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    average.copy_to_weights()
    assert model.weight.item() == pytest.approx(expected)

    unchanged = WeightAverage(model, 0.0)
    with torch.no_grad():
        model.weight.fill_(7.0)
    unchanged.update()
    unchanged.copy_to_weights()
    assert model.weight.item() == 7.0


class ByName(nn.Module):
    """A network that passes a layer its input by name, which hooks do not see."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(128, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(input=x.flatten(1))
        return logits


def test_a_layer_whose_input_is_given_by_name_has_no_rule() -> None:
    assert OneBackward.of_network(ByName(), torch.zeros(3, 2, 8, 8)) is None


class NeedsExamples(Scheme):
    """A scheme whose hook fails for an empty batch, as `view` does with -1."""

    def inputs(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return x.view(len(x), -1).view_as(x)


def test_a_scheme_never_sees_an_empty_batch() -> None:
    x, y = batch(40)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = MLP((2, 8, 8), CLASSES, (7,)).double()
    plan = PrivacyPlan(1.0, 0.3, 1e-9, 3, 1, delta=1e-3, epsilon=math.inf)
    own = TrainingExamples(x, y, (torch.arange(40),))
    streams, noise = Streams.of_model(0, 0, "cpu"), torch_generator(0, "dp-noise")
    assert fit_privately(model, own, NeedsExamples(), Training(), plan, streams, noise).steps == 3


def test_views_need_augmentation() -> None:
    training = Training(epochs=2, batch_size=16)
    with pytest.raises(UsageError, match="views must be 1 without augmentation"):
        plan_privacy(DPSGD(epsilon=8, views=4), training, n=500)
    augmented = Training(epochs=2, batch_size=16, augment="flips")
    several = plan_privacy(DPSGD(epsilon=8, views=4, averaging=0.9), augmented, n=500)
    alone = plan_privacy(DPSGD(epsilon=8), augmented, n=500)
    assert (several.views, several.averaging) == (4, 0.9)
    assert several.noise_multiplier == alone.noise_multiplier  # views cost no privacy
