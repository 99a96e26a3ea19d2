"""Networks with BatchNorm, dropout and other layers with state, outside DP-SGD."""

import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from mgaudit.errors import UsageError
from mgaudit.settings.study_settings import study_settings
from mgaudit.storage.ensembles import EnsembleFolder
from mgaudit.study.plan import Plan, plan_study
from mgaudit.study.progress import Progress
from mgaudit.study.train import train_arm
from mgaudit.targets import ResNet
from mgaudit.targets.contract import check_target
from mgaudit.targets.datasets import Dataset
from mgaudit.targets.fitting.batches import shuffled_order
from mgaudit.targets.fitting.examples import Streams
from mgaudit.targets.fitting.recipe import Recipe, Target, initial_model, train
from mgaudit.targets.fitting.traits import Traits
from mgaudit.targets.querying.curvature import noisy_outputs, top_curvature
from mgaudit.targets.querying.ensemble import Ensemble, tensor_layout
from mgaudit.targets.querying.hessian import hessian_trace
from mgaudit.targets.querying.queries import Queries
from mgaudit.targets.schemes import NoiseNodes, Scheme, WeightNoise
from mgaudit.targets.seeds import stream, torch_generator
from mgaudit.targets.training import Training
from mgaudit.testing import check_network

SHAPE, CLASSES, EXAMPLES = (2, 8, 8), 3, 40
TRAINING = Training(epochs=3, batch_size=8, learning_rate=0.1)
WITH_BOTH = Traits(mixes_examples=True, keeps_state=True, draws=True, same_at_evaluation=False)


class Normed(nn.Module):
    """Convolution, BatchNorm, flattening, dropout and a linear layer."""

    def __init__(self, input_shape: tuple[int, ...], classes: int, rate: float = 0.3) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(input_shape[0], 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU()
        )
        self.dropout = nn.Dropout(rate)
        self.head = nn.Linear(3 * math.prod(input_shape[1:]), classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.dropout(self.features(x).flatten(1)))  # type: ignore[no-any-return]


class Viewed(Normed):
    """The same with `view`, which needs the channels first in memory."""

    def forward(self, x: Tensor) -> Tensor:
        features = self.features(x)
        return self.head(self.dropout(features.view(len(x), -1)))  # type: ignore[no-any-return]


class PlainView(nn.Module):
    """A network without state and with `view`."""

    def __init__(self, input_shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(input_shape[0], 3, 3, padding=1)
        self.head = nn.Linear(3 * math.prod(input_shape[1:]), classes)

    def forward(self, x: Tensor) -> Tensor:
        activations = self.convolution(x).relu()
        return self.head(activations.view(len(x), -1))  # type: ignore[no-any-return]


class Reshaped(PlainView):
    """The same with `flatten`, which accepts both layouts."""

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.convolution(x).relu().flatten(1))  # type: ignore[no-any-return]


def double(target: Target) -> Target:
    def build(input_shape: tuple[int, ...], classes: int) -> nn.Module:
        return target(input_shape, classes).double()

    return build


def images() -> Dataset:
    generator = np.random.default_rng(0)
    inputs = generator.standard_normal((EXAMPLES, *SHAPE))
    labels = generator.integers(0, CLASSES, EXAMPLES)
    data = Dataset(
        "noise",
        inputs.astype(np.float32),
        labels,
        inputs[:9].astype(np.float32),
        labels[:9],
        tuple("abc"),
    )
    object.__setattr__(data, "inputs", inputs)  # datasets hold no float64
    object.__setattr__(data, "test_inputs", inputs[:9])
    return data


def recipe(target: Target, traits: Traits, scheme: Scheme | None = None, stack: int = 1) -> Recipe:
    members = EXAMPLES / 2
    return Recipe(
        double(target), scheme or Scheme(), TRAINING, None, 0, members, stack=stack, traits=traits
    )


def members(models: int) -> NDArray[np.bool_]:
    return np.random.default_rng(1).random((models, EXAMPLES)) < 0.5


def weights_of(
    target: Target, traits: Traits, scheme: Scheme | None = None, models: int = 1, stack: int = 1
) -> list[dict[str, NDArray[Any]]]:
    told, data = recipe(target, traits, scheme, stack), images()
    rows = members(models)
    trained = []
    for start in range(0, models, stack):
        indices = range(start, start + stack)
        trained += train(told, data, rows[start : start + stack], indices, "cpu")
    assert not any(model.diverged for model in trained)
    return [model.weights for model in trained]


def by_a_plain_loop(index: int) -> nn.Module:
    """Returns model `index` as trained by torch alone, on the same batches and draws."""
    data, rows = images(), np.flatnonzero(members(index + 1)[index])
    model = initial_model(double(Normed), SHAPE, CLASSES, stream(0, "weights", index)).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    steps = TRAINING.steps_per_epoch(EXAMPLES / 2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=3 * steps)
    order, layers = torch_generator(0, "batches", index), torch_generator(0, "layers", index)
    for _ in range(TRAINING.epochs):
        for batch in shuffled_order([len(rows)], len(rows), steps, [order]).of_model(0):
            own = rows[batch.numpy()]
            torch.manual_seed(int(torch.randint(2**62, (), generator=layers)))
            logits = model(torch.from_numpy(data.inputs[own]))
            loss = cross_entropy(logits, torch.from_numpy(data.labels[own]))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return model


def test_a_model_is_that_of_a_plain_loop_and_is_queried_in_evaluation_mode() -> None:
    torch.manual_seed(5)  # the global state is neither used nor changed
    before = torch.get_rng_state()
    _, ours = weights_of(Normed, WITH_BOTH, models=2)
    assert torch.equal(torch.get_rng_state(), before)
    expected = by_a_plain_loop(1)
    for name, tensor in expected.state_dict().items():
        assert np.allclose(ours[name], tensor.numpy(), rtol=0, atol=1e-6), name
    assert ours["features.1.num_batches_tracked"] == 9
    assert not np.allclose(ours["features.1.running_var"], 1)
    ensemble = Ensemble(double(Normed)(SHAPE, CLASSES), [ours], WITH_BOTH)
    x = images().test_inputs
    logits = ensemble.logits(x, "cpu", Queries(), seed=0, batch_size=4)
    assert np.allclose(logits[0, :, 0], expected.eval()(torch.from_numpy(x)).detach(), atol=1e-6)
    assert not np.allclose(
        logits[0, :, 0], expected.train()(torch.from_numpy(x)).detach(), atol=1e-3
    )


def test_models_draw_dropout_of_their_own() -> None:
    # A second model in the same process changes no draw of the first.
    alone, (beside, _) = weights_of(Normed, WITH_BOTH)[0], weights_of(Normed, WITH_BOTH, models=2)
    assert all(np.array_equal(alone[name], beside[name]) for name in alone)
    without = weights_of(partial(Normed, rate=0.0), replace(WITH_BOTH, draws=False))[0]
    assert not np.allclose(alone["head.weight"], without["head.weight"], atol=1e-3)
    first, second = (Streams.of_model(0, index, "cpu").layers for index in (0, 1))
    assert first.initial_seed() != second.initial_seed()


def test_traits_are_measured() -> None:
    def traits(target: Target) -> Traits:
        return check_target("own", target, SHAPE, CLASSES)

    both = traits(Normed)
    assert replace(both, layers="") == WITH_BOTH
    assert both.layers == "BatchNorm2d at features.1 and Dropout at dropout"
    assert not traits(Viewed).channels_last
    assert traits(partial(Normed, rate=0.0)) == replace(
        WITH_BOTH, draws=False, layers="BatchNorm2d at features.1"
    )
    assert traits(PlainView) == Traits(channels_last=False)
    assert traits(Reshaped) == Traits()
    # Fewer channels than oneDNN needs for the gradient of a 1x1 convolution with a stride.
    assert not traits(partial(ResNet, width=8)).channels_last
    assert traits(partial(ResNet, width=16)) == Traits()
    check_network(Normed, SHAPE, CLASSES)


def test_a_network_with_view_trains_with_the_channels_first() -> None:
    first = Traits(channels_last=False)
    reference = weights_of(Reshaped, Traits(), models=2)
    for stack in (1, 2):
        viewed = weights_of(PlainView, first, models=2, stack=stack)
        for ours, expected in zip(viewed, reference, strict=True):
            for name, values in expected.items():
                assert np.allclose(ours[name], values, rtol=0, atol=1e-9), name
    with pytest.raises(RuntimeError, match="view size is not compatible"):
        weights_of(PlainView, Traits())


def test_lazy_layers_have_weights_that_the_seed_determines() -> None:
    def build(input_shape: tuple[int, ...], classes: int) -> nn.Module:
        return nn.Sequential(
            nn.LazyConv2d(3, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(classes)
        )

    assert check_target("lazy", build, SHAPE, CLASSES).keeps_state
    one, same, other = (initial_model(build, SHAPE, CLASSES, seed) for seed in (1, 1, 2))
    weights, equal, different = (model.state_dict() for model in (one, same, other))
    assert all(torch.equal(tensor, equal[name]) for name, tensor in weights.items())
    assert not torch.equal(weights["0.weight"], different["0.weight"])


@pytest.mark.parametrize("scheme", [NoiseNodes(1.0), WeightNoise(0.1)], ids=repr)
def test_noise_in_nodes_and_weights_works_with_state(scheme: Scheme) -> None:
    noisy, plain = (weights_of(Normed, WITH_BOTH, used)[0] for used in (scheme, Scheme()))
    layout = tensor_layout(double(Normed)(SHAPE, CLASSES))
    assert {name: (str(array.dtype), array.shape) for name, array in noisy.items()} == layout
    statistics = "features.1.running_mean"
    assert not np.allclose(noisy[statistics], plain[statistics], atol=1e-4)
    zero = type(scheme)(0.0)  # type: ignore[call-arg]
    again = weights_of(Normed, WITH_BOTH, zero)[0]
    assert all(np.array_equal(again[name], plain[name]) for name in plain)


def test_gradient_norms_are_those_of_evaluation() -> None:
    data, weights = images(), weights_of(Normed, WITH_BOTH)[0]
    ensemble = Ensemble(double(Normed)(SHAPE, CLASSES), [weights], WITH_BOTH)
    norms = ensemble.gradient_norms(data.inputs[:5], data.labels[:5], "cpu")
    model = double(Normed)(SHAPE, CLASSES).eval()
    model.load_state_dict({name: torch.from_numpy(values) for name, values in weights.items()})
    losses = cross_entropy(
        model(torch.from_numpy(data.inputs[:5])),
        torch.from_numpy(data.labels[:5]),
        reduction="none",
    )
    for loss, norm in zip(losses, norms[0], strict=True):
        gradients = torch.autograd.grad(loss, list(model.parameters()), retain_graph=True)
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        assert norm == pytest.approx(float(flat.norm()), rel=1e-9)
    kept = ensemble.model.state_dict()
    assert all(np.array_equal(kept[name].numpy(), values) for name, values in weights.items())


class Small(nn.Module):
    """A linear layer and BatchNorm, with few weights."""

    def __init__(self, input_shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        features = math.prod(input_shape)
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(features, 2),
            nn.BatchNorm1d(2),
            nn.Tanh(),
            nn.Linear(2, classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)  # type: ignore[no-any-return]


def test_curvature_is_that_of_evaluation() -> None:
    model = initial_model(double(Small), (3,), CLASSES, seed=0)
    generator = np.random.default_rng(0)
    x, y = generator.standard_normal((20, 3)), generator.integers(0, CLASSES, 20)
    inputs, labels = torch.from_numpy(x), torch.from_numpy(y)
    model.train()(inputs)
    weights = {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}
    estimate = hessian_trace(
        model,
        weights,
        x,
        y,
        Training(),
        probes=200,
        generator=generator,  # type: ignore[arg-type]
    )
    parameters = dict(model.named_parameters())
    logits = functional_call(model.eval(), parameters, (inputs,))
    loss, trace = cross_entropy(logits, labels), 0.0
    tensors = list(parameters.values())
    for tensor, gradient in zip(
        tensors, torch.autograd.grad(loss, tensors, create_graph=True), strict=True
    ):
        for place, slope in enumerate(gradient.flatten()):
            (second,) = torch.autograd.grad(slope, tensor, retain_graph=True)
            trace += float(second.flatten()[place])
    assert abs(estimate.value - trace) < 5 * estimate.standard_error


def test_outputs_with_node_noise_are_those_of_evaluation() -> None:
    data = images()
    object.__setattr__(data, "inputs", data.inputs.astype(np.float32))
    built = initial_model(Normed, SHAPE, CLASSES, seed=0)
    weights = {name: tensor.numpy().copy() for name, tensor in built.state_dict().items()}
    told = replace(recipe(Normed, WITH_BOTH, NoiseNodes(1.0)), target=Normed)
    silent = np.zeros(3, dtype=np.float32)
    outputs = noisy_outputs(told, data, weights, silent, 6)
    expected = built.eval()(torch.from_numpy(data.inputs[:6])).detach()
    assert np.allclose(outputs, expected, atol=1e-6)
    assert top_curvature(told, data, weights, silent, 6) > 0


@pytest.mark.parametrize(
    "changes",
    [
        {"stack": 2},
        {"training": replace(TRAINING, clients=2)},
    ],
)
def test_a_stack_and_clients_are_refused_before_training(changes: dict[str, Any]) -> None:
    told = replace(recipe(Normed, WITH_BOTH), **changes)
    with pytest.raises(ValueError, match=r"recipe must train one model at a time, .* with"):
        train(told, images(), members(2)[: told.stack], range(told.stack), "cpu")


OWN = """
from torch import nn

class Net(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU())
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(72, num_classes)

    def forward(self, x):
        x = self.features(x)
        return self.head(self.dropout(x.view(x.size(0), -1)))
"""


class Told(Progress):
    """Keeps the stages."""

    def __init__(self) -> None:
        self.stages: list[str] = []

    def stage(self, text: str) -> None:
        self.stages.append(text)


@pytest.fixture
def own(small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Settings with a network of the current folder that has BatchNorm, dropout and `view`."""
    (tmp_path / "with_state.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    return {**small, "target": "with_state:Net", "stack": "auto", "schemes": ["none"]}


def planned(values: dict[str, Any]) -> Plan:
    return plan_study(study_settings(values))


def test_models_are_the_same_after_a_kill(own: dict[str, Any]) -> None:
    plan, told = planned(own), Told()
    assert plan.settings.stack == 1
    (arm,) = plan.arms
    assert not arm.recipe.traits.channels_last
    first = train_arm(arm, plan.design, 1, told)
    assert "one by one, because the network has BatchNorm2d at features.1 and" in told.stages[0]
    folder: EnsembleFolder = first.folder
    for index in (1, 2):  # as if killed before these two were trained
        folder.model_path(index).unlink()
    torch.manual_seed(123)
    again = train_arm(arm, plan.design, 1, Progress())
    assert again.models_reused == 2
    assert [record.weights_sha256 for record in again.records] == [
        record.weights_sha256 for record in first.records
    ]
    assert "features.1.running_mean" in folder.load_model(1).weights


@pytest.mark.parametrize(
    ("changes", "key", "rule"),
    [
        ({"stack": 4}, "stack", "is trained one model at a time"),
        (
            {"training": {"epochs": 1, "batch_size": 32, "clients": 2}},
            "clients",
            "only weights of clients can be averaged",
        ),
        ({"training": {"epochs": 1, "batch_size": 1}}, "batch_size", "have 2 examples"),
        ({"schemes": ["none", "dp-sgd:epsilon=8"]}, "target with_state:Net", "for DP-SGD"),
        ({"target": "resnet18:width=2", "schemes": ["dp-sgd:epsilon=8"]}, "target resnet18", "DP"),
    ],
)
def test_what_state_does_not_allow_is_refused_in_the_plan(
    own: dict[str, Any], changes: dict[str, Any], key: str, rule: str
) -> None:
    with pytest.raises(UsageError) as caught:
        planned({**own, **changes})
    assert caught.value.key == key
    assert rule in caught.value.rule
    assert "BatchNorm2d at" in str(caught.value)
    assert caught.value.way_out
    assert ("--no-dp" in caught.value.way_out) == ("DP" in rule)
