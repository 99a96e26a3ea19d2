import copy
import math

import numpy as np
import pytest
import torch
from opacus import GradSampleModule
from opacus.accountants import PRVAccountant
from opacus.optimizers import DPOptimizer
from torch import nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import CosineAnnealingLR

from mgaudit.targets import CNN, MLP
from mgaudit.targets.datasets import Dataset
from mgaudit.targets.fitting.accountants import privacy_bounds
from mgaudit.targets.fitting.batches import poisson_batches
from mgaudit.targets.fitting.dp_sgd import fit_privately
from mgaudit.targets.fitting.examples import Streams, TrainingExamples
from mgaudit.targets.fitting.optimisation import build_optimizer
from mgaudit.targets.fitting.privacy_plan import PrivacyPlan, epsilon_spent, plan_privacy
from mgaudit.targets.fitting.recipe import Recipe, initial_model, train
from mgaudit.targets.schemes import (
    DPSGD,
    EarlyStop,
    GaussianMask,
    LabelSmoothing,
    NoiseNodes,
    Scheme,
    WeightNoise,
    compose,
)
from mgaudit.targets.schemes.noise_nodes import node_in
from mgaudit.targets.seeds import stream, torch_generator
from mgaudit.targets.training import Training

TRAINING = Training(epochs=2, batch_size=16, learning_rate=0.1)


def data(examples: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch_generator(0, "data")
    return torch.randn(examples, 1, 8, 8, generator=generator), torch.randint(
        4, (examples,), generator=generator
    )


def network(target: type[nn.Module]) -> nn.Module:
    return initial_model(target, (1, 8, 8), 4, seed=0)


def fitted(model: nn.Module, plan: PrivacyPlan, examples: int = 60) -> int:
    own = TrainingExamples(*data(examples), rows=(torch.arange(examples),))
    streams = Streams.of_model(0, 0, "cpu")
    return fit_privately(
        model, own, Scheme(), TRAINING, plan, streams, torch_generator(0, "dp-noise")
    ).steps


@pytest.mark.parametrize("target", [MLP, CNN])
def test_without_noise_and_clipping_it_is_plain_poisson_sampled_sgd(
    target: type[nn.Module],
) -> None:
    plan = PrivacyPlan(
        0.0,
        max_grad_norm=1e6,
        sample_rate=0.25,
        steps=12,
        batch_size=16,
        delta=1e-3,
        epsilon=math.inf,
    )
    model = network(target)
    assert fitted(model, plan) == 12

    plain = network(target)
    inputs, labels = data()
    optimizer = build_optimizer(TRAINING, plain.parameters())
    schedule = CosineAnnealingLR(optimizer, T_max=12)
    for batch in poisson_batches(60, 0.25, 12, torch_generator(0, "batches")):
        optimizer.zero_grad()
        (cross_entropy(plain(inputs[batch]), labels[batch], reduction="sum") / 16).backward()
        optimizer.step()
        schedule.step()
    for ours, theirs in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("target", [MLP, CNN])
def test_ghost_clipping_equals_per_example_gradients_by_hooks(target: type[nn.Module]) -> None:
    plan = PrivacyPlan(
        0.7,
        max_grad_norm=0.5,
        sample_rate=0.25,
        steps=12,
        batch_size=16,
        delta=1e-3,
        epsilon=math.inf,
    )
    model = network(target)
    fitted(model, plan)

    hooked = GradSampleModule(network(target))
    optimizer = DPOptimizer(
        build_optimizer(TRAINING, hooked.parameters()),
        noise_multiplier=0.7,
        max_grad_norm=0.5,
        expected_batch_size=16,
        generator=torch_generator(0, "dp-noise"),
    )
    schedule = CosineAnnealingLR(optimizer.original_optimizer, T_max=12)
    inputs, labels = data()
    for batch in poisson_batches(60, 0.25, 12, torch_generator(0, "batches")):
        optimizer.zero_grad()
        cross_entropy(hooked(inputs[batch].requires_grad_()), labels[batch]).backward()
        optimizer.step()
        schedule.step()
    for ours, theirs in zip(model.parameters(), hooked.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("target", [MLP, CNN])
def test_a_step_is_the_sum_of_clipped_per_example_gradients(target: type[nn.Module]) -> None:
    # The whole way that an audit's models go, against autograd example by example: Opacus' own
    # clipping is wrong for convolutions whose input has the channels last, and comparing it with
    # itself would not show it.
    generator = np.random.default_rng(0)
    inputs = generator.standard_normal((24, 3, 12, 12)).astype(np.float32)
    labels = generator.integers(0, 4, 24)
    dataset = Dataset("noise", inputs, labels, inputs, labels, ("a", "b", "c", "d"))
    clip = 0.5
    plan = PrivacyPlan(
        0.0, clip, sample_rate=1.0, steps=1, batch_size=16, delta=1e-3, epsilon=math.inf
    )
    training = Training(epochs=1, batch_size=16, learning_rate=1.0, momentum=0.0)
    recipe = Recipe(target, Scheme(), training, plan, seed=0, members=24)
    after = train(recipe, dataset, np.ones((1, 24), dtype=bool), [0], "cpu")[0].weights

    model = initial_model(target, (3, 12, 12), 4, stream(0, "weights", 0))
    expected = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    norms = []
    for x, y in zip(torch.from_numpy(inputs), torch.from_numpy(labels), strict=True):
        gradients = torch.autograd.grad(
            cross_entropy(model(x[None]), y[None]), list(model.parameters())
        )
        norms.append(math.sqrt(sum(gradient.square().sum().item() for gradient in gradients)))
        for name, gradient in zip(expected, gradients, strict=True):
            expected[name] -= gradient * min(1, clip / norms[-1]) / 16
    assert sum(norm > clip for norm in norms) > 12  # or nothing would be clipped
    for name, values in expected.items():
        assert np.allclose(after[name], values, atol=1e-5), name


@pytest.mark.parametrize(
    "scheme",
    [
        GaussianMask(0.5),
        NoiseNodes(2.0),
        WeightNoise(0.5),
        compose(
            (
                GaussianMask(0.5),
                NoiseNodes(2.0, layer=1),
                WeightNoise(0.3, layerwise=True),
                LabelSmoothing(0.2),
            )
        ),
    ],
    ids=lambda scheme: "+".join(type(part).__name__ for part in scheme.parts),
)
def test_noise_beside_dp_sgd_is_in_every_per_example_gradient(scheme: Scheme) -> None:
    examples, clip = 24, 0.5
    plan = PrivacyPlan(
        0.0, clip, sample_rate=1.0, steps=2, batch_size=16, delta=1e-3, epsilon=math.inf
    )
    training = scheme.training(Training(epochs=2, batch_size=24, learning_rate=0.5, momentum=0.0))
    inputs, labels = data(examples)
    model = initial_model(
        lambda shape, classes: scheme.extend(MLP(shape, classes, (12,))), (1, 8, 8), 4, seed=0
    )
    reference = copy.deepcopy(model)
    own = TrainingExamples(inputs, labels, (torch.arange(examples),))
    fit_privately(
        model,
        own,
        scheme,
        training,
        plan,
        Streams.of_model(0, 0, "cpu"),
        torch_generator(0, "dp-noise"),
    )

    streams, node = Streams.of_model(0, 0, "cpu"), node_in(reference)
    parameters = dict(reference.named_parameters())
    for step, rate in enumerate((0.5, 0.25)):  # the cosine
        x = scheme.inputs(inputs, streams.inputs)
        values = scheme.node_values(x, streams.nodes)
        noise = scheme.weight_noise(parameters, step, step, streams.weights)  # type: ignore[arg-type]
        at = {
            name: (value + noise.get(name, 0)).detach().requires_grad_()
            for name, value in parameters.items()
        }
        update = {name: torch.zeros_like(value) for name, value in at.items()}
        for index in range(examples):
            if node is not None and values is not None:
                node.values = values[index : index + 1]
            logits = functional_call(reference, at, (x[index : index + 1],))
            smoothed = cross_entropy(
                logits, labels[index : index + 1], label_smoothing=training.label_smoothing
            )
            gradients = torch.autograd.grad(smoothed, list(at.values()))
            norm = math.sqrt(sum(gradient.square().sum().item() for gradient in gradients))
            for name, gradient in zip(update, gradients, strict=True):
                update[name] += gradient * min(1, clip / norm) / 16
        with torch.no_grad():
            for name, value in parameters.items():
                value -= rate * update[name]
    for (name, ours), theirs in zip(model.named_parameters(), reference.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5), name


def test_stopping_early_is_in_the_claim() -> None:
    whole, stopped = (
        Training(epochs=20, batch_size=16),
        EarlyStop(5).training(Training(epochs=20, batch_size=16)),
    )
    plans = [
        plan_privacy(DPSGD(noise_multiplier=1.0), training, n=500) for training in (whole, stopped)
    ]
    assert [plan.steps for plan in plans] == [round(20 * 500 / 16), round(5 * 500 / 16)]
    assert plans[1].epsilon == epsilon_spent(1.0, 16 / 500, plans[1].steps, plans[1].delta)
    assert plans[1].epsilon < plans[0].epsilon


def test_the_learning_rate_of_a_stopped_training_falls_as_if_it_went_on() -> None:
    training = EarlyStop(2).training(
        Training(epochs=4, batch_size=60, learning_rate=1.0, momentum=0.0)
    )
    plan = PrivacyPlan(
        0.0,
        max_grad_norm=1e6,
        sample_rate=1.0,
        steps=2,
        batch_size=60,
        delta=1e-3,
        epsilon=math.inf,
    )
    model, plain = network(MLP), network(MLP)
    inputs, labels = data()
    own, streams = (
        TrainingExamples(inputs, labels, rows=(torch.arange(60),)),
        Streams.of_model(0, 0, "cpu"),
    )
    fit_privately(model, own, Scheme(), training, plan, streams, torch_generator(0, "dp-noise"))
    for rate in (1.0, (1 + math.cos(math.pi / 4)) / 2):
        gradients = torch.autograd.grad(
            cross_entropy(plain(inputs), labels), list(plain.parameters())
        )
        with torch.no_grad():
            for parameter, gradient in zip(plain.parameters(), gradients, strict=True):
                parameter -= rate * gradient
    for ours, theirs in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)


def test_an_empty_batch_takes_a_noisy_step() -> None:
    plan = PrivacyPlan(
        1.0,
        max_grad_norm=1.0,
        sample_rate=1e-9,
        steps=3,
        batch_size=1,
        delta=1e-3,
        epsilon=math.inf,
    )
    before, model = network(MLP), network(MLP)
    assert fitted(model, plan) == 3
    assert not torch.equal(next(before.parameters()), next(model.parameters()))


def test_poisson_batches_take_each_example_by_its_own_coin() -> None:
    batches = list(poisson_batches(200, 0.1, 400, torch_generator(0, "batches")))
    sizes = torch.tensor([float(len(batch)) for batch in batches])
    assert abs(sizes.mean() - 20) < 4 * math.sqrt(18 / 400)
    assert 0.8 < sizes.var() / 18 < 1.25
    assert all(len(batch.unique()) == len(batch) for batch in batches)


def test_the_plan_follows_from_the_expected_members_and_keeps_within_epsilon() -> None:
    plan = plan_privacy(DPSGD(epsilon=8), TRAINING, n=500)
    assert plan.sample_rate == 16 / 500
    assert plan.steps == round(2 * 500 / 16)
    assert plan.delta == pytest.approx(500**-1.1)
    assert plan.epsilon == epsilon_spent(
        plan.noise_multiplier, plan.sample_rate, plan.steps, plan.delta
    )
    assert 7.98 < plan.epsilon <= 8
    assert plan_privacy(DPSGD(noise_multiplier=0), TRAINING, n=500).epsilon == math.inf


@pytest.mark.filterwarnings("ignore:Optimal order is the largest alpha")
def test_epsilon_is_at_most_that_of_opacus_own_accountant_step_by_step() -> None:
    accountant = PRVAccountant()
    for _ in range(40):
        accountant.step(noise_multiplier=1.3, sample_rate=0.05)
    by_opacus = accountant.get_epsilon(1e-4)
    assert by_opacus - 0.02 < epsilon_spent(1.3, 0.05, 40, 1e-4) < by_opacus
    prv = privacy_bounds(1.3, 0.05, 40, 1e-4).by_accountant["PRV"]
    assert prv == pytest.approx(by_opacus, abs=1e-6)
    assert epsilon_spent(0.0, 0.05, 40, 1e-4) == math.inf


def test_more_noise_and_fewer_steps_spend_less() -> None:
    assert (
        epsilon_spent(2.0, 0.05, 40, 1e-4)
        < epsilon_spent(1.0, 0.05, 40, 1e-4)
        < epsilon_spent(1.0, 0.05, 80, 1e-4)
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "exactly one of epsilon and noise_multiplier"),
        ({"epsilon": 1.0, "noise_multiplier": 1.0}, "exactly one of epsilon and noise_multiplier"),
        ({"epsilon": 0.0}, "epsilon must be a finite number > 0 and <= 50, got 0.0"),
        ({"epsilon": 51.0}, "epsilon must be a finite number > 0 and <= 50, got 51.0"),
        ({"epsilon": math.nan}, "epsilon must be a finite number > 0 and <= 50, got nan"),
        (
            {"noise_multiplier": -1.0},
            "noise_multiplier must be a finite number >= 0 and <= 1e\\+06, got -1.0",
        ),
        ({"noise_multiplier": 0.1}, r"noise_multiplier must be 0 .* or >= 0.3, got 0.1"),
        (
            {"noise_multiplier": math.inf},
            "noise_multiplier must be a finite number >= 0 and <= 1e\\+06, got inf",
        ),
        (
            {"epsilon": 1.0, "max_grad_norm": 0.0},
            "max_grad_norm must be a finite number > 0, got 0.0",
        ),
        ({"epsilon": 1.0, "delta": 1.0}, "delta must be a finite number > 0 and < 1, got 1.0"),
    ],
)
def test_a_scheme_out_of_range_is_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DPSGD(**options)


def test_a_delta_that_would_let_one_example_out_is_refused() -> None:
    with pytest.raises(ValueError, match=r"delta must be < 1/n = 0.002 .* got 0.002"):
        plan_privacy(DPSGD(epsilon=8, delta=0.002), TRAINING, n=500)
    plan_privacy(DPSGD(noise_multiplier=1, delta=0.00199), TRAINING, n=500)


def test_a_batch_larger_than_the_training_set_is_refused() -> None:
    with pytest.raises(ValueError, match="batch_size must be <= 10"):
        plan_privacy(DPSGD(epsilon=8), TRAINING, n=10)
