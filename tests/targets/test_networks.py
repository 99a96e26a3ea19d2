from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load, save
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.functional import cross_entropy

from mgaudit.targets import (
    CNN,
    MLP,
    NETWORKS,
    ResNet,
    ResNet18,
    TwoLayer,
    WideCNN,
    WideResNet,
)
from mgaudit.targets.contract import check_per_example_gradients, check_target
from mgaudit.targets.fitting.recipe import initial_model
from mgaudit.targets.fitting.traits import PER_EXAMPLE
from mgaudit.targets.networks.cnn import group_norm
from mgaudit.targets.networks.wide_resnet import PreactivationBlock
from mgaudit.targets.querying.gradients import gradient_norms, gradient_norms_one_by_one

IMAGES = [(1, 8, 8), (3, 32, 32), (1, 28, 28), (2, 9, 13)]


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def norms_by_autograd(model: nn.Module, inputs: Tensor, labels: Tensor) -> list[float]:
    norms = []
    for x, y in zip(inputs, labels, strict=True):
        gradients = torch.autograd.grad(
            cross_entropy(model(x[None]), y[None]), list(model.parameters())
        )
        norms.append(sum(float(gradient.square().sum()) for gradient in gradients) ** 0.5)
    return norms


def test_the_mlp_has_the_layers_that_were_asked_for() -> None:
    widths = [
        tuple(layer.weight.shape)
        for layer in MLP((3, 32, 32), 10).modules()
        if isinstance(layer, nn.Linear)
    ]
    assert widths == [(512, 3072), (256, 512), (10, 256)]
    widths = [
        tuple(layer.weight.shape)
        for layer in MLP((5,), 3, hidden=()).modules()
        if isinstance(layer, nn.Linear)
    ]
    assert widths == [(3, 5)]


@pytest.mark.parametrize("norm", ["none", "group"])
def test_the_cnns_normalise_where_they_are_asked_to(norm: Any) -> None:
    for network in (CNN((1, 8, 8), 4, norm=norm), WideCNN((1, 8, 8), 4, norm=norm)):
        assert any(isinstance(layer, nn.GroupNorm) for layer in network.modules()) == (
            norm == "group"
        )


@pytest.mark.parametrize(
    ("channels", "groups"), [(64, 8), (16, 8), (8, 4), (12, 2), (6, 1), (5, 1), (2, 1), (1, 1)]
)
def test_the_groups_of_a_norm_are_of_equal_size_and_of_two_channels_or_more(
    channels: int, groups: int
) -> None:
    assert group_norm(channels).num_groups == groups
    assert channels // groups * groups == channels


def conv(inputs: int, outputs: int, side: int = 3, bias: bool = True) -> int:
    return inputs * outputs * side**2 + bias * outputs


def linear(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def norm(channels: int) -> int:
    return 2 * channels


def block(inputs: int, outputs: int) -> int:
    shortcut = 0 if inputs == outputs else conv(inputs, outputs, side=1, bias=False) + norm(outputs)
    return (
        conv(inputs, outputs, bias=False)
        + conv(outputs, outputs, bias=False)
        + 2 * norm(outputs)
        + shortcut
    )


WIDE = (
    conv(3, 32)
    + conv(32, 64)
    + conv(64, 128)
    + conv(128, 128)
    + norm(32 + 64 + 128 + 128)
    + linear(128, 10)
)


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (MLP((3, 32, 32), 10), linear(3072, 512) + linear(512, 256) + linear(256, 10)),
        (
            CNN((1, 28, 28), 10),
            conv(1, 32) + conv(32, 64) + linear(64 * 7 * 7, 128) + linear(128, 10),
        ),
        (
            CNN((1, 8, 8), 3, (4, 5), 6, pools=1),
            conv(1, 4) + conv(4, 5) + linear(5 * 4 * 4, 6) + linear(6, 3),
        ),
        (TwoLayer((3, 32, 32), 10, width=7), 3072 * 7),
        (WideCNN((3, 32, 32), 10), WIDE + linear(128 * 4 * 4, 128)),
        (WideCNN((3, 28, 28), 10), WIDE + linear(128 * 3 * 3, 128)),
        (WideCNN((3, 8, 8), 10), WIDE + linear(128, 128)),
        (
            ResNet((3, 32, 32), 10),
            conv(3, 16, bias=False)
            + norm(16)
            + block(16, 16)
            + block(16, 32)
            + block(32, 64)
            + linear(64, 10),
        ),
        (
            ResNet((1, 9, 13), 4, blocks=2, width=3),
            conv(1, 3, bias=False)
            + norm(3)
            + (block(3, 3) + block(3, 3))
            + (block(3, 6) + block(6, 6))
            + (block(6, 12) + block(12, 12))
            + linear(12, 4),
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_number_of_parameters_is_the_one_worked_out_by_hand(
    network: nn.Module, expected: int
) -> None:
    assert parameters(network) == expected


@pytest.mark.parametrize(
    ("network", "published"), [(ResNet18, 11_173_962), (WideResNet, 1_467_610)]
)
def test_the_networks_of_the_papers_have_the_published_number_of_parameters(
    network: Any, published: int
) -> None:
    # kuangliu/pytorch-cifar and FixMatch (Sohn et al. 2020): CIFAR-10, 3 channels and 10 classes.
    assert parameters(network((3, 32, 32), 10)) == published


def test_the_networks_of_the_papers_halve_images_where_the_papers_do() -> None:
    for network, sides in (
        (ResNet18((1, 16, 24), 3, width=2), [16, 16, 16, 8, 8, 4, 4, 2, 2]),
        (WideResNet((1, 16, 24), 3, width=2), [16] * 5 + [8] * 4 + [4] * 4),
    ):
        x = network.stem(torch.zeros(2, 1, 16, 24))
        heights = [x.shape[2]]
        for stage in network.stages:
            x = stage(x)
            heights.append(x.shape[2])
            assert 2 * x.shape[3] == 3 * x.shape[2]
        assert heights == sides


def test_a_preactivation_block_passes_its_input_where_the_residual_is_zero() -> None:
    same, halving = (PreactivationBlock(4, outputs, outputs // 4) for outputs in (4, 8))
    for block in (same, halving):
        nn.init.zeros_(block.residual[-1].weight)  # type: ignore[index, union-attr, arg-type]
    x = drawn(2, 4, 8, 8)
    assert torch.equal(same(x), x)
    assert torch.equal(halving(x), halving.shortcut(halving.activation(x)))  # type: ignore[misc]


def test_the_two_layer_network_is_the_formula() -> None:
    model = initial_model(TwoLayer, (2, 3, 3), 4, seed=0).double()
    x = drawn(5, 2, 3, 3).double()
    w, a = model.state_dict()["hidden.weight"].numpy(), model.state_dict()["outer"].numpy()
    expected = np.zeros((5, 4))
    for example in range(5):
        for label in range(4):
            for r in range(512):
                z = sum(w[r] * x[example].numpy().ravel())
                expected[example, label] += a[label, r] * max(z, 0) / np.sqrt(512)
    assert np.allclose(model(x).detach().numpy(), expected, atol=1e-6)


def test_the_outer_weights_are_fixed_fair_signs_of_each_model_and_the_others_standard_normal() -> (
    None
):
    def build(seed: int) -> nn.Module:
        return initial_model(TwoLayer, (1, 8, 8), 10, seed)

    weights, again, other = (build(seed).state_dict() for seed in (1, 1, 2))
    assert [name for name, _ in build(1).named_parameters()] == ["hidden.weight"]
    assert set(weights) == {"hidden.weight", "outer"}
    assert all(torch.equal(weights[name], again[name]) for name in weights)
    assert set(weights["outer"].unique().tolist()) == {-1.0, 1.0}
    # 5,120 fair coins, and 32,768 normal draws: each within five standard errors.
    assert abs(float(weights["outer"].mean())) < 5 / 5120**0.5
    assert abs(float((weights["outer"] * other["outer"]).mean())) < 5 / 5120**0.5
    assert abs(float((weights["outer"][0] * weights["outer"][1]).mean())) < 5 / 512**0.5
    assert abs(float(weights["hidden.weight"].mean())) < 5 / 32768**0.5
    assert abs(float(weights["hidden.weight"].std()) - 1) < 5 / 65536**0.5


def test_training_leaves_the_outer_weights_as_they_are() -> None:
    model = TwoLayer((4,), 3, width=8)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    cross_entropy(model(drawn(6, 4)), torch.arange(6) % 3).backward()
    torch.optim.SGD(model.parameters(), lr=1.0, weight_decay=0.1).step()
    assert torch.equal(model.outer, before["outer"])
    assert not model.outer.requires_grad
    assert not torch.equal(model.hidden.weight, before["hidden.weight"])


def test_a_residual_block_whose_residual_is_zero_passes_what_is_positive() -> None:
    model = ResNet((3, 8, 8), 4, width=4)
    same, halving = model.stages[0], model.stages[1]
    for network in (same, halving):
        nn.init.zeros_(network.residual[-1].weight)  # type: ignore[index, union-attr, arg-type]
    x = drawn(2, 4, 8, 8)
    assert torch.equal(same(x), x.relu())
    assert halving(x).shape == (2, 8, 4, 4)
    assert torch.equal(halving(x), halving.shortcut(x).relu())  # type: ignore[operator]


def test_the_resnet_says_the_same_of_an_image_and_of_its_neighbour_a_stride_away() -> None:
    # Its logits are a mean over all pixels of what convolutions make, so moving what is far from
    # the border by the product of the strides moves every activation and changes nothing else.
    model = ResNet((1, 64, 64), 4, width=4).eval().double()
    x = torch.zeros(1, 1, 64, 64, dtype=torch.float64)
    x[:, :, 28:36, 28:36] = drawn(8, 8)
    with torch.no_grad():
        assert torch.allclose(model(x), model(x.roll((4, 8), dims=(2, 3))), atol=1e-12)
        assert not torch.allclose(model(x), model(x.roll(1, dims=3)), atol=1e-6)


@pytest.mark.parametrize("name", [name for name, network in NETWORKS.items() if network.images])
@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((30,), r"needs images of shape .* got examples of shape \(30,\)"),
        ((1, 7, 8), "at least 8x8 pixels, got 7x8"),
    ],
)
def test_what_is_no_image_or_too_small_is_refused(
    name: str, shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=f"target {name} .*{message}"):
        check_target(name, NETWORKS[name], shape, 4)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: CNN((1, 8, 8), 4, channels=(2, 2, 2, 2)), "at least 16x16 pixels, got 8x8"),
        (
            lambda: CNN((1, 8, 8), 4, channels=(2, 2), pools=3),
            "pools must be between 0 and 2, .* got 3",
        ),
        (lambda: CNN((1, 8, 8), 4, pools=-1), "pools must be between 0 and 2, .* got -1"),
        (lambda: CNN((1, 8, 8), 4, hidden=0), "channels and hidden must be >= 1, got .* and 0"),
        (lambda: MLP((4,), 4, hidden=(3, 0)), r"hidden must hold widths >= 1, got \(3, 0\)"),
        (lambda: TwoLayer((4,), 4, width=0), "width must be >= 1, got 0"),
        (lambda: ResNet((1, 8, 8), 4, blocks=0), "blocks and width must be >= 1, got 0 and 16"),
        (lambda: ResNet((1, 8, 8), 4, width=0), "blocks and width must be >= 1, got 1 and 0"),
        (lambda: ResNet18((1, 8, 8), 4, width=0), "width must be >= 1, got 0"),
        (lambda: WideResNet((1, 8, 8), 4, blocks=0), "blocks and width must be >= 1, got 0 and 32"),
        (lambda: WideResNet((1, 8, 8), 4, width=0), "blocks and width must be >= 1, got 4 and 0"),
    ],
)
def test_options_out_of_range_are_refused(build: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize("name", NETWORKS)
class TestEveryTarget:
    def test_gives_logits_for_any_image_from_8_by_8(self, name: str) -> None:
        for shape in IMAGES:
            assert NETWORKS[name](shape, 4)(torch.zeros(2, *shape)).shape == (2, 4)

    def test_keeps_the_contract(self, name: str) -> None:
        network = NETWORKS[name]
        traits = check_target(name, network, (1, 8, 8), 10)
        assert traits.channels_last
        assert traits.per_example == network.per_example
        if network.per_example:
            assert traits == PER_EXAMPLE
            check_per_example_gradients(name, network, (1, 8, 8), 10)
        else:
            assert "BatchNorm2d at" in traits.layers
            assert traits.mixes_examples
            assert traits.keeps_state

    def test_lets_an_answer_depend_on_the_rest_of_the_batch_only_with_batchnorm(
        self, name: str
    ) -> None:
        network = NETWORKS[name]
        small = network((1, 8, 8), 10, **network.small)
        model, x = small.double().train(), drawn(5, 1, 8, 8).double()
        assert torch.allclose(model(x)[:2], model(x[:2])) == network.per_example
        model.eval()
        assert torch.allclose(model(x)[:1], model(x[:1]))

    def test_answers_in_a_stack_as_one_by_one(self, name: str) -> None:
        # In float64: in float32 a ReLU may fall on either side of 0.
        small = partial(NETWORKS[name], **NETWORKS[name].small)
        models = [initial_model(small, (2, 9, 9), 4, seed).double().eval() for seed in range(3)]
        x = drawn(3, 5, 2, 9, 9).double()
        state = stack_module_state(models)  # type: ignore[arg-type]
        stacked = vmap(lambda weights, batch: functional_call(models[0], weights, (batch,)))(
            state, x
        )
        for model, answer, batch in zip(models, stacked, x, strict=True):
            assert torch.allclose(answer, model(batch), atol=1e-9)

    def test_is_the_same_with_the_channels_last(self, name: str) -> None:
        model, x = (
            initial_model(NETWORKS[name], (3, 9, 9), 4, 0).double(),
            drawn(5, 3, 9, 9).double(),
        )
        plain = model(x)
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        assert torch.allclose(model(x.to(memory_format=torch.channels_last)), plain, atol=1e-9)

    def test_comes_back_from_safetensors_into_a_model_of_another_seed(self, name: str) -> None:
        model, other = (initial_model(NETWORKS[name], (1, 8, 8), 4, seed) for seed in (0, 1))
        x = drawn(5, 1, 8, 8)
        assert not torch.allclose(model(x), other(x))
        kept = load(save({name: tensor.numpy() for name, tensor in model.state_dict().items()}))
        state = {name: torch.from_numpy(values) for name, values in kept.items()}
        assert torch.equal(functional_call(other, state, (x,)), model(x))
        other.load_state_dict(state)
        assert torch.equal(other(x), model(x))

    @pytest.mark.parametrize("channels", [1, 3])
    def test_has_the_gradient_norms_of_autograd_by_opacus(self, name: str, channels: int) -> None:
        model = initial_model(
            partial(NETWORKS[name], **NETWORKS[name].small), (channels, 9, 9), 4, seed=0
        ).double()
        # The channels last in memory, which Opacus would misread; grey images pass for contiguous
        # all the same.
        inputs = drawn(6, 9, 9, channels).double().permute(0, 3, 1, 2)
        labels = torch.arange(6) % 4
        model.eval()
        expected = norms_by_autograd(model, inputs, labels)
        opacus = NETWORKS[name].per_example
        compute = gradient_norms if opacus else gradient_norms_one_by_one
        norms = compute(model, inputs.numpy(), labels.numpy(), "cpu")  # type: ignore[operator]
        assert np.allclose(norms, expected, rtol=1e-9)

    def test_has_its_facts(self, name: str) -> None:
        network = NETWORKS[name]
        assert network.name == name
        assert {"name", "small"} <= vars(network).keys()
        if not network.images:
            assert network((30,), 4)(torch.zeros(2, 30)).shape == (2, 4)

    def test_is_small_where_it_says_so(self, name: str) -> None:
        assert parameters(NETWORKS[name]((1, 8, 8), 4, **NETWORKS[name].small)) < 20_000
