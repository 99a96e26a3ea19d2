"""Own networks run, or are refused in one line before training, with the real reason.

Rows of the review: A2, A3, A14 to A17, A20, A21, A24, B16 to B19.
"""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from mgaudit.errors import UsageError
from mgaudit.settings.study_settings import study_settings, target_choice
from mgaudit.study.plan import plan_study
from mgaudit.study.progress import Progress
from mgaudit.study.study import run_study
from mgaudit.targets.contract import check_batch_sizes, check_device, check_stack, check_target
from mgaudit.targets.fitting.traits import Traits
from mgaudit.targets.global_random import refuse_global_draws
from mgaudit.targets.network_output import refuse_probabilities
from tests.cases.own_code import SMALL, passes, refused

# By name, the base class, what is added to it, and words of the line that refuses it.
REFUSED: dict[str, tuple[str, str, str]] = {
    "Softmax": (
        "def forward(self, x): return self.net(x).softmax(dim=1)",
        "must return logits, got probabilities that sum to 1; remove the softmax",
        "A3",
    ),
    "SoftmaxAtEvaluation": (
        "def forward(self, x):\n"
        "        z = self.net(x)\n"
        "        return z if self.training else z.softmax(dim=1)",
        "must return logits, got probabilities that sum to 1",
        "A3",
    ),
    "Sigmoid": (
        "def forward(self, x): return self.net(x).sigmoid()",
        "must return logits, got values between 0 and 1",
        "A3",
    ),
    "Frozen": (
        "def extra(self): self.requires_grad_(False)",
        "must have weights that can be trained, got none; give it a parameter",
        "B16",
    ),
    "NoParameters": (
        "def extra(self): self.net = nn.Identity()\n"
        "    def forward(self, x): return x.flatten(1)[:, :10]",
        "must have weights that can be trained, got none",
        "B16",
    ),
    "InPlaceActivation": (
        "def forward(self, x):\n"
        "        h = self.net[:3](x).sigmoid()\n"
        "        z = self.net[3](h)\n"
        "        h += 1\n"
        "        return z",
        "must be trained by gradients of its loss, but fails: RuntimeError: one of the variables",
        "B16",
    ),
    "InPlaceInputs": (
        "def forward(self, x):\n        x += 1\n        return self.net(x)",
        "must not change its inputs in place; write x = x + 1",
        "B16",
    ),
    "InPlaceWeights": (
        "def forward(self, x):\n        self.net[3].weight.mul_(0.9)\n        return self.net(x)",
        "must not change its weights in forward, got net.3.weight",
        "B16",
    ),
    "Detached": (
        "def forward(self, x): return self.net(x).detach()",
        "must compute its logits from its weights by operations with gradients",
        "B16",
    ),
    "WithoutGradients": (
        "@torch.no_grad()\n    def forward(self, x): return self.net(x)",
        "got no gradient of any weight; remove detach, no_grad",
        "B16",
    ),
    "Tied": (
        "def extra(self):\n"
        "        self.other = nn.Linear(8, 10)\n"
        "        self.other.weight = self.net[3].weight\n"
        "    def forward(self, x): return self.other(self.net[:3](x)) + self.net(x)",
        "one name for each weight, so that weights can be loaded by name, got net.3.weight and "
        "other.weight, which are tied",
        "A16",
    ),
    "OneLogitTooFew": (
        "def forward(self, x): return self.net(x)[:, 1:]",
        "must return 10 logits, one for each class of the data, got 9; build it from a parameter",
        "A20",
    ),
    "Squeezed": (
        "def forward(self, x): return self.net(x).squeeze()",
        "must return logits of shape (1, 10) for 1 example, got (10,)",
        "A20",
    ),
    "BrainFloat": (
        "def extra(self): self.to(torch.bfloat16)\n"
        "    def forward(self, x): return self.net(x.bfloat16()).float()",
        "must have weights and buffers that can be kept: TypeError: Got unsupported ScalarType "
        "BFloat16, got net.1.weight of dtype torch.bfloat16; build it with float32 weights",
        "B17",
    ),
    "ComplexWeights": (
        "def extra(self): self.other = nn.Parameter(torch.ones(10, dtype=torch.complex64))\n"
        "    def forward(self, x): return (self.net(x) * self.other).real",
        "must have weights that are real numbers, got other of dtype torch.complex64",
        "B17",
    ),
    "HalfLogits": (
        "def forward(self, x): return self.net(x).half()",
        "must return logits of dtype torch.float32, got torch.float16; build it with float32",
        "B17",
    ),
    "DoubleWeights": (
        "def extra(self): self.double()",
        "must accept a batch of shape (2, 1, 8, 8), but fails: RuntimeError",
        "B17",
    ),
    "CountsCalls": (
        "def extra(self): self.register_buffer('calls', torch.zeros(1))\n"
        "    def forward(self, x):\n"
        "        self.calls += 1\n"
        "        return self.net(x)",
        "must not change its buffers at evaluation, got calls; change buffers only if self.train",
        "B18",
    ),
    "NotANumber": (
        "def extra(self): self.net[3].weight.data[0, 0] = torch.nan",
        "must return finite logits for 2 examples of zeros, got NaN or infinity",
        "B16",
    ),
    "Tuple": (
        "def forward(self, x): return self.net(x), x",
        "must return a tensor of logits, got tuple; return the logits alone from forward",
        "A24",
    ),
    "Dict": (
        "def forward(self, x): return {'logits': self.net(x)}",
        "must return a tensor of logits, got dict",
        "A24",
    ),
    "Output": (
        "def forward(self, x): return SimpleNamespace(logits=self.net(x), loss=None)",
        "must return a tensor of logits, got SimpleNamespace; return output.logits from forward",
        "A24",
    ),
    "Nothing": (
        "def forward(self, x): self.net(x)",
        "must return a tensor of logits, got NoneType",
        "A24",
    ),
    "Classes": (
        "def forward(self, x): return self.net(x).argmax(dim=1)",
        "must return logits of shape (2, 10) for 2 examples of zeros, got (2,)",
        "A24",
    ),
    "Embedding": (
        "def extra(self): self.embed = nn.Embedding(10, 1)\n"
        "    def forward(self, x): return self.net(self.embed(x)[..., 0])",
        "Expected tensor for argument #1 'indices'",
        "B19",
    ),
    "RareDraw": (
        "def forward(self, x):\n"
        "        if self.training and random.random() < 1e-9: return self.net(-x)\n"
        "        return self.net(x)",
        "must draw random numbers from torch's generator and no other, got a draw from the global "
        "generator of random",
        "A24",
    ),
    "NumpyDraw": (
        "def forward(self, x): return self.net(x) + np.random.normal() * self.training",
        "got a draw from the global generator of numpy.random; use torch.rand",
        "A24",
    ),
    "TorchDraw": (
        "def forward(self, x): return self.net(x) + torch.randn(1)",
        "must return identical logits for identical inputs at evaluation",
        "A24",
    ),
    "Centred": (
        "def forward(self, x): return self.net(x - x.mean(dim=0))",
        "must return the same logits for an example alone and in a batch, at evaluation",
        "A24",
    ),
    "Raises": ("def extra(self): raise KeyError('x')", "classes=10: KeyError: 'x'", "A24"),
    "Exits": ("def extra(self): sys.exit(0)", "classes=10: SystemExit: 0", "A24"),
    "ExitsInForward": ("def forward(self, x): sys.exit(0)", "fails: SystemExit: 0", "A24"),
    "CreatesLayers": (
        "def forward(self, x):\n"
        "        if not hasattr(self, 'late'): self.late = nn.Linear(10, 10)\n"
        "        return self.late(self.net(x))",
        "must not create weights in forward, got late.weight; create them in __init__",
        "",
    ),
    "CreatesLayersAtEvaluation": (
        "def forward(self, x):\n"
        "        if not self.training: self.late = nn.Parameter(torch.ones(1))\n"
        "        return self.net(x)",
        "must not create weights in forward, got late",
        "",
    ),
    "SecondFails": (
        "built = 0\n"
        "    def extra(self):\n"
        "        SecondFails.built += 1\n"
        "        if SecondFails.built > 1: raise ValueError('too many')",
        "cannot be built for input_shape=(1, 8, 8) and classes=10: ValueError: too many",
        "",
    ),
    "LaterFails": (
        "built = 0\n"
        "    def extra(self):\n"
        "        LaterFails.built += 1\n"
        "        if LaterFails.built > 4: raise ValueError('too many')",
        "cannot be built for input_shape=(1, 8, 8) and classes=10: ValueError: too many",
        "",
    ),
    "SparseBag": (
        "def extra(self):\n"
        "        self.bag = nn.EmbeddingBag(3, 10, sparse=True)\n"
        "    def forward(self, x):\n"
        "        return self.net(x) + self.bag(x.flatten(1).long().clamp(0, 2))",
        "must have dense gradients, got a sparse gradient of bag.weight; use sparse=False",
        "",
    ),
    "SparseEmbedding": (
        "def extra(self):\n"
        "        self.embed = nn.Embedding(3, 10, sparse=True)\n"
        "    def forward(self, x):\n"
        "        return self.net(x) + self.embed(x[:, 0, 0, 0].long().clamp(0, 2))",
        "must have dense gradients, got a sparse gradient of embed.weight; use sparse=False",
        "",
    ),
    "FailsForQueries": (
        "def forward(self, x):\n"
        "        if len(x) > 40: raise IndexError('too large')\n"
        "        return self.net(x)",
        "of shape (60, 1, 8, 8), but fails: IndexError: too large; accept batches of any size",
        "",
    ),
    "FailsForTraining": (
        "def forward(self, x):\n"
        "        if self.training and len(x) > 10: raise IndexError('too large')\n"
        "        return self.net(x)",
        "must accept a batch of shape (16, 1, 8, 8), but fails: IndexError: too large",
        "",
    ),
    "DrawsForLargeBatches": (
        "def forward(self, x):\n"
        "        if self.training and len(x) > 10: x = x * np.random.rand()\n"
        "        return self.net(x)",
        "got a draw from the global generator of numpy.random",
        "",
    ),
    "NotANumberForLargeInputs": (
        "def forward(self, x):\n"
        "        return self.net(x) * (torch.nan if x.abs().max() > 4.5 else 1)",
        "must return finite logits for examples of twice the size, got NaN or infinity",
        "",
    ),
    "BatchSecond": (
        "def extra(self): self.lstm = nn.LSTM(8, 10)\n"
        "    def forward(self, x): return self.lstm(x[:, 0])[0][:, -1]",
        "or batch_first=True for recurrent layers",
        "",
    ),
    "DefaultDtype": (
        "def extra(self): torch.set_default_dtype(torch.float64)",
        "must not change torch's default dtype, got torch.float64; remove torch.set_default_dtype",
        "",
    ),
    "OnOtherDevice": (
        "def forward(self, x): return self.net(x.to('meta'))",
        "must accept a batch of shape (2, 1, 8, 8), but fails",
        "A24",
    ),
}
HEAD = """
import random
import sys
from types import SimpleNamespace

import numpy as np
import torch
from torch import nn


class Base(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.net = nn.Sequential(
            nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, num_classes)
        )
        self.extra()

    def extra(self):
        pass

    def forward(self, x):
        return self.net(x)
"""
BODIES = "".join(f"\n\nclass {name}(Base):\n    {body}\n" for name, (body, _, _) in REFUSED.items())
GOOD = """


class View(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 4, 3), nn.Linear(144, num_classes)

    def forward(self, x):
        x = self.conv(x).relu()
        return self.head(x.view(x.size(0), -1))


class TwoConvolutions(View):
    def __init__(self, num_classes=10):
        super().__init__(num_classes)
        self.second = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x):
        x = self.second(self.conv(x).relu())
        return self.head(x.view(len(x), 4, -1).view(len(x), 144))


class ZeroHead(Base):
    def extra(self):
        nn.init.zeros_(self.net[3].weight)
        nn.init.zeros_(self.net[3].bias)


class ConstantHead(ZeroHead):
    def extra(self):
        super().extra()
        nn.init.constant_(self.net[3].bias, 0.5)


class ReLUHead(Base):
    def forward(self, x):
        return self.net(x).relu()


class LogSoftmax(Base):
    def forward(self, x): return self.net(x).log_softmax(dim=1)


class Normalised(Base):
    def forward(self, x):
        return self.net(nn.functional.layer_norm(x, x.shape[1:]))


class FrozenPart(Base):
    def extra(self):
        self.net[1].weight.requires_grad_(False)


class Unused(Base):
    def extra(self):
        self.spare = nn.Linear(3, 3)


class FrozenUnused(Unused):
    def extra(self):
        super().extra()
        self.spare.requires_grad_(False)


class Twice(Base):
    def extra(self):
        self.middle = nn.Linear(8, 8)

    def forward(self, x):
        h = self.middle(self.net[:3](x)).relu()
        return self.net[3](self.middle(h))


class InPlaceReLU(Base):
    def extra(self):
        self.net[2] = nn.ReLU(inplace=True)

    def forward(self, x):
        z = self.net(x)
        z += z.detach()
        return z


class Spectral(Base):
    def extra(self):
        self.net[3] = nn.utils.parametrizations.spectral_norm(self.net[3])


class CountsSteps(Base):
    def extra(self):
        self.register_buffer("steps", torch.tensor(0))

    def forward(self, x):
        if self.training:
            self.steps += 1
        return self.net(x)


class WeightNorm(Base):
    def extra(self):
        self.net[3] = nn.utils.parametrizations.weight_norm(self.net[3])


class Half(Base):
    def extra(self):
        self.half()

    def forward(self, x):
        return self.net(x.half()).float()


class Double(Base):
    def extra(self):
        self.double()

    def forward(self, x):
        return self.net(x.double()).float()


class Recurrent(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.lstm, self.head = nn.LSTM(8, 8, batch_first=True), nn.Linear(8, num_classes)

    def forward(self, x):
        return self.head(self.lstm(x[:, 0])[0][:, -1])


class Attention(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.layer = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, num_classes)

    def forward(self, x):
        x = x[:, 0]
        return self.head(self.layer(x, x, x, need_weights=False)[0].mean(dim=1))


class Lazy(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.head = nn.LazyLinear(num_classes)

    def forward(self, x):
        return self.head(x.flatten(1))


class Dropped(Base):
    def extra(self):
        self.net[2] = nn.Sequential(nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.1))


class OneLogit(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.LazyLinear(1)

    def forward(self, x):
        return self.head(x.flatten(1))


class OneNumber(OneLogit):
    def forward(self, x):
        return super().forward(x).squeeze(1)


class WeightHook(Base):
    def extra(self):
        self.net[1].weight.register_hook(lambda gradient: 0.1 * gradient)


class AccumulationHook(Base):
    def extra(self):
        self.net[1].weight.register_post_accumulate_grad_hook(halve)


def halve(weight):
    weight.grad.mul_(0.5)


class ActivationHook(Base):
    def hook(self, gradient):
        return 0.1 * gradient

    def forward(self, x):
        h = self.net[:3](x)
        if h.requires_grad:
            h.register_hook(self.hook)
        return self.net[3](h)


class ClippingHook(ActivationHook):
    def hook(self, gradient):
        return gradient.clamp(-10, 10)


class ObservingHook(ActivationHook):
    def hook(self, gradient):
        return None


class ModuleHook(Base):
    def extra(self):
        self.net[3].register_full_backward_hook(lambda layer, inputs, outputs: (inputs[0] * 0.1,))


class KeywordOnly(Base):
    def __init__(self, *, num_classes):
        super().__init__(num_classes)


class KeywordDefault(Base):
    def __init__(self, *, num_classes=3):
        super().__init__(num_classes)


class KeywordShape(Base):
    def __init__(self, *, input_shape, classes, width=8):
        super().__init__(classes)


class SameStart(Base):
    def __init__(self, num_classes):
        torch.manual_seed(0)
        super().__init__(num_classes)


class DeepRecurrent(Recurrent):
    def __init__(self, num_classes):
        super().__init__(num_classes)
        self.lstm = nn.RNN(8, 8, batch_first=True)


class SignOfGradient(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        return x.clone()

    @staticmethod
    def backward(context, gradient):
        return gradient.sign()


class SignedGradients(Base):
    def forward(self, x):
        return self.net[3](SignOfGradient.apply(self.net[:3](x)))


def traced(num_classes):
    return torch.jit.trace(Base(num_classes), torch.zeros(2, 1, 8, 8))


def parallel(num_classes):
    return nn.DataParallel(Base(num_classes))


class ManyOptions(Base):
    def __init__(self, width=8, num_classes=1000, dropout: float = 0.0):
        super().__init__(num_classes)


class Channels(Base):
    def __init__(self, in_channels, num_classes):
        super().__init__(num_classes)
"""
SMALL_RUN = (*SMALL[:8], "--jobs", "1", "--quiet")  # with --stack auto, the default


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current directory with `nets.py`; the cache is `cache` in it."""
    (tmp_path / "nets.py").write_text(HEAD + BODIES + GOOD)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return tmp_path


def traits(name: str, classes: int = 10) -> Traits:
    return check_target(name, target_choice(f"nets:{name}").built, (1, 8, 8), classes)


def audited(name: str, small: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Trains and attacks models of a network without noise, and returns the arrays."""
    settings = {**small, "target": f"nets:{name}", "schemes": ["none"], "examples": 100}
    settings |= {"models": 3, "attacks": ["loss"], "stack": "auto", **changes}
    _, arrays = run_study(plan_study(study_settings(settings)), 1, Progress())
    return arrays


@pytest.mark.parametrize("name", REFUSED)
def test_a03_a16_a20_b16_b17_b18_a_network_is_refused_with_the_reason(name: str) -> None:
    _, words, _ = REFUSED[name]
    line = refused(("run", "--target", f"nets:{name}", "--no-dp", *SMALL_RUN), words)
    assert line.startswith(f"error: target nets:{name} ")


def test_every_command_refuses_a_network_before_training(workplace: Path) -> None:
    words = "target nets:Softmax must return logits, got probabilities"
    target = ("--target", "nets:Softmax")
    refused(("compare", "--scheme", "none", *target, *SMALL_RUN), words)
    refused(("audit-dp", *target, "--scheme", "none", "--canaries", "20", "--quiet"), words)
    torch.save(nn.Linear(64, 10).state_dict(), "model.pt")
    refused(("audit-checkpoint", "model.pt", "--members", "0:600", *target, "--quiet"), words)


@pytest.mark.parametrize("code", ["raise KeyError('x')", "import sys\nsys.exit(0)", "1 / 0", "x ="])
def test_a24_a_module_that_cannot_be_imported_is_named(workplace: Path, code: str) -> None:
    (workplace / "broken.py").write_text(code)
    arguments = ("run", "--target", "broken:Net", *SMALL_RUN)
    refused(arguments, "broken:Net cannot be imported (", f"correct {workplace / 'broken.py'}")


def test_a02_a_network_with_view_is_audited_to_the_report(blank_figures: None) -> None:
    assert not traits("View").channels_last
    passes(("run", "--target", "nets:View", *SMALL_RUN, "--no-dp"))


def test_a02_views_train_as_reshapes_do(small: dict[str, Any], workplace: Path) -> None:
    (workplace / "reshaped.py").write_text(
        (HEAD + GOOD).replace("x.view(x.size(0), -1)", "x.reshape(x.size(0), -1)")
    )
    viewed = audited("View", small)
    reshaped = audited("View", small, target="reshaped:View")
    for name, scores in viewed.items():
        if name.endswith("scores"):
            other = reshaped[name.replace("nets", "reshaped")]
            assert np.allclose(scores, other, atol=1e-4)
    assert not traits("TwoConvolutions").channels_last
    audited("TwoConvolutions", small)


@pytest.mark.parametrize(
    "name", ["ZeroHead", "ConstantHead", "ReLUHead", "Normalised", "LogSoftmax"]
)
@pytest.mark.parametrize("classes", [2, 10])
def test_a03_logits_are_not_taken_for_probabilities(name: str, classes: int) -> None:
    assert traits(name, classes).per_example


def test_a03_no_seed_makes_logits_look_like_probabilities(workplace: Path) -> None:
    target_choice("nets:Base")
    nets = import_module("nets")
    x = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    for name in ("Base", "Normalised"):
        for seed in range(200):
            with torch.random.fork_rng():
                torch.manual_seed(seed)
                model = getattr(nets, name)(2).eval()
            with torch.no_grad():
                refuse_probabilities(model, x, model(x))


@pytest.mark.parametrize("dp", [True, False])
def test_a14_frozen_weights_are_not_trained(small: dict[str, Any], dp: bool) -> None:
    scheme = "dp-sgd:noise_multiplier=1" if dp else "none"
    audited("FrozenPart", small, schemes=[scheme], stack=1)


def test_a15_a_layer_without_use_is_named_where_gradients_of_examples_are_needed(
    small: dict[str, Any],
) -> None:
    dp = ("--scheme", "dp-sgd:noise_multiplier=1", "--no-plain")
    words = "must use all its trainable weights, because DP-SGD and gradient attacks need them, got"
    names = "spare.weight, spare.bias without use; remove these layers"
    for options in (dp, ("--no-dp", "--attack", "gradient-norm")):
        refused(("run", "--target", "nets:Unused", *options, *SMALL_RUN), words, names)
    audited("Unused", small)


def test_a15_a_frozen_layer_without_use_is_allowed(small: dict[str, Any]) -> None:
    audited("FrozenUnused", small, schemes=["dp-sgd:noise_multiplier=1"], stack=1)


def test_a16_a_layer_that_is_used_twice_trains_without_dp(small: dict[str, Any]) -> None:
    arguments = ("--scheme", "dp-sgd:noise_multiplier=1", "--no-plain", *SMALL_RUN)
    refused(("run", "--target", "nets:Twice", *arguments), "cannot have per-example gradients")
    audited("Twice", small)


def test_a17_operations_in_place_that_gradients_allow_are_trained(small: dict[str, Any]) -> None:
    assert traits("InPlaceReLU").per_example
    audited("InPlaceReLU", small)


@pytest.mark.parametrize("name", ["OneLogit", "OneNumber"])
def test_a20_one_logit_for_two_classes_is_refused_with_the_way_out(name: str) -> None:
    x = np.random.default_rng(0).random((120, 3), dtype=np.float32)
    y = np.arange(60) % 2
    np.savez("two.npz", x_train=x[:60], y_train=y, x_test=x[60:], y_test=y)
    arguments = (
        "run",
        "--dataset",
        "npz:two.npz",
        "--target",
        f"nets:{name}",
        "--no-dp",
        "--quiet",
    )
    words = "must return 2 logits, one for each class of the data, got 1; build its last layer with"
    refused(arguments, words)


def test_a21_models_of_an_own_network_are_trained(small: dict[str, Any]) -> None:
    training = {"epochs": 40, "batch_size": 16, "learning_rate": 0.05}
    plan = {"examples": 300, "training": training, "models": 4}
    settings = {**small, "target": "nets:Base", "schemes": ["none"], **plan}
    study, _ = run_study(plan_study(study_settings(settings)), 1, Progress())
    accuracy = study.arms[0].accuracy
    assert accuracy is not None
    assert accuracy.value > 0.75


@pytest.mark.parametrize(
    "name", ["Recurrent", "Attention", "WeightNorm", "Lazy", "Half", "Double", "LogSoftmax"]
)
def test_b17_b19_networks_of_other_kinds_are_audited(name: str, small: dict[str, Any]) -> None:
    audited(name, small)


@pytest.mark.parametrize(
    ("name", "buffers"),
    [
        ("CountsSteps", "buffers that training changes (steps); keep no buffers"),
        ("Spectral", "buffers that training changes (net.3.parametrizations.weight.0._u, "),
        ("Dropped", "BatchNorm1d at net.2.0 and Dropout at net.2.2; use GroupNorm"),
    ],
)
def test_b18_state_is_trained_one_model_at_a_time_and_named_for_dp(
    name: str, buffers: str, small: dict[str, Any]
) -> None:
    assert traits(name).keeps_state
    arguments = ("--scheme", "dp-sgd:noise_multiplier=1", "--no-plain", *SMALL_RUN)
    words = "must compute each example by itself for DP-SGD, which clips its gradient, got "
    refused(("run", "--target", f"nets:{name}", *arguments), words + buffers)
    audited(name, small)


@pytest.mark.parametrize(
    "name", ["WeightHook", "AccumulationHook", "ActivationHook", "ClippingHook"]
)
def test_hooks_on_gradients_are_trained_one_model_at_a_time(
    name: str, small: dict[str, Any]
) -> None:
    assert traits(name).hooks_gradients
    words = f"because target nets:{name} has hooks that change gradients, and is trained one model"
    target = ("run", "--target", f"nets:{name}", *SMALL_RUN)
    refused((*target, "--no-dp", "--stack", "2"), words)
    refused((*target, "--no-dp", "--clients", "2"), words.partition(", and")[0])
    private = ("--scheme", "dp-sgd:noise_multiplier=1", "--no-plain")
    refused((*target, *private), "for DP-SGD", "got hooks that change gradients; remove register")
    alone = audited(name, small, stack=1)
    for key, values in audited(name, small).items():
        np.testing.assert_array_equal(values, alone[key])


@pytest.mark.parametrize("name", ["Base", "ObservingHook", "WeightNorm", "Unused"])
def test_networks_without_hooks_that_change_gradients_are_stacked(name: str) -> None:
    assert traits(name).per_example
    check_stack(name, target_choice(f"nets:{name}").built, (1, 8, 8), 10)
    assert traits("Half").per_example


def test_a_stack_with_other_gradients_is_refused() -> None:
    with pytest.raises(UsageError, match="must have the same gradients in a stack as alone"):
        check_stack("hook", target_choice("nets:ActivationHook").built, (1, 8, 8), 10)


def test_module_hooks_give_the_same_gradients_in_a_stack(small: dict[str, Any]) -> None:
    together, alone = (audited("ModuleHook", small, stack=stack) for stack in ("auto", 1))
    for key, values in alone.items():
        np.testing.assert_allclose(values, together[key], atol=1e-4)


@pytest.mark.parametrize(
    ("name", "kind"), [("traced", "TopLevelTracedModule"), ("parallel", "DataParallel")]
)
@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_compiled_and_wrapped_modules_are_refused(name: str, kind: str) -> None:
    words = f"must not be compiled or wrapped, got {kind}; return the plain module"
    refused(("run", "--target", f"nets:{name}", "--no-dp", *SMALL_RUN), words)


def test_dp_sgd_refuses_gradients_that_do_not_scale_with_the_loss(small: dict[str, Any]) -> None:
    arguments = ("--scheme", "dp-sgd:noise_multiplier=1", "--no-plain", *SMALL_RUN)
    words = "must have gradients in proportion to the loss, which DP-SGD scales to clip them"
    refused(("run", "--target", "nets:SignedGradients", *arguments), words)


def test_dp_sgd_names_layers_that_opacus_does_not_support() -> None:
    arguments = ("--scheme", "dp-sgd:noise_multiplier=1", "--no-plain", *SMALL_RUN)
    words = ("RNN at lstm", "use other layers, or leave DP-SGD out with --no-dp")
    line = refused(("run", "--target", "nets:DeepRecurrent", *arguments), *words)
    assert "_norm_sample" not in line


def test_the_reason_for_training_one_by_one_is_one_short_sentence() -> None:
    with pytest.raises(UsageError, match="cannot be trained in a stack") as caught:
        check_stack("rnn", target_choice("nets:DeepRecurrent").built, (1, 8, 8), 10)
    assert len(caught.value.rule) < 200
    assert ". " not in caught.value.rule


def test_equal_initial_weights_of_all_models_are_reported(small: dict[str, Any]) -> None:
    stages: dict[str, list[str]] = {"Base": [], "SameStart": []}
    for name, lines in stages.items():
        settings = {**small, "target": f"nets:{name}", "schemes": ["none"], "attacks": ["loss"]}
        plan = plan_study(study_settings({**settings, "examples": 60}))
        progress = Progress()
        progress.stage = lines.append  # type: ignore[method-assign]
        run_study(plan, 1, progress)
    words = "all models start from the same weights"
    assert not any(words in line for line in stages["Base"])
    assert sum(words in line for line in stages["SameStart"]) == 1


def test_an_error_of_a_query_names_the_network_and_the_exception(
    small: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mgaudit.study.network_check.check_batch_sizes", lambda *_: None)
    with pytest.raises(RuntimeError, match=r"nets:FailsForQueries failed: IndexError: too large"):
        audited("FailsForQueries", small)


def test_trial_batches_are_limited_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []

    class Sizes(nn.Sequential):
        def forward(self, x: Any) -> Any:
            sizes.append(len(x))
            return super().forward(x)

    monkeypatch.setattr("mgaudit.targets.contract.MOST_VALUES", 64 * 20)

    def network(shape: tuple[int, ...], classes: int) -> nn.Module:
        return Sizes(nn.Flatten(), nn.Linear(64, classes))

    check_batch_sizes("net", network, (1, 8, 8), 10, 16, 1000)
    assert sizes == [16, 20]
    sizes.clear()
    monkeypatch.setattr("mgaudit.targets.contract.MOST_SECONDS", 0.0)
    check_batch_sizes("net", network, (1, 8, 8), 10, 1000, 1000)
    assert sizes == [20]


@pytest.mark.parametrize("name", ["KeywordOnly", "KeywordDefault", "KeywordShape"])
def test_parameters_that_must_be_keywords_are_passed_as_keywords(name: str) -> None:
    assert target_choice(f"nets:{name}").built((1, 8, 8), 10).net[3].out_features == 10


def test_a24_the_signature_says_what_a_network_is_built_from() -> None:
    assert target_choice("nets:ManyOptions").built((1, 8, 8), 10).net[3].out_features == 10
    words = "needs in_channels; write nets:Channels:in_channels=VALUE, or name the parameter"
    refused(("run", "--target", "nets:Channels", *SMALL_RUN), words)


def test_b19_inputs_are_numbers_and_the_error_says_so() -> None:
    words = "its inputs are standardised numbers, float32"
    refused(("run", "--target", "nets:Embedding", "--no-dp", *SMALL_RUN), words)


def test_a_network_is_tried_on_the_device_of_the_training() -> None:
    def with_constant(shape: tuple[int, ...], classes: int) -> nn.Module:
        class Constant(nn.Sequential):
            def forward(self, x: Any) -> Any:
                return super().forward(x) + torch.ones(classes)

        return Constant(nn.Flatten(), nn.Linear(64, classes))

    check_device("base", target_choice("nets:Base").built, (1, 8, 8), 10, "meta")
    check_device("constant", with_constant, (1, 8, 8), 10, "cpu")
    with pytest.raises(UsageError, match=r"target constant must be trained .*, on meta; register"):
        check_device("constant", with_constant, (1, 8, 8), 10, "meta")


def test_global_states_are_restored_after_a_draw() -> None:
    import random

    def states() -> tuple[Any, ...]:
        numpy_state = np.random.get_state()[1].tolist()  # noqa: NPY002
        return random.getstate(), numpy_state, torch.get_rng_state().tolist()

    before = states()
    draws = (random.random, np.random.rand, lambda: torch.manual_seed(0), lambda: torch.rand(1))
    for draw in draws:
        with (
            pytest.raises(UsageError, match=r"rule, got a draw from the global generator of "),
            refuse_global_draws("rule", "way out", torch.device("cpu")),
        ):
            draw()
        assert states() == before
    with refuse_global_draws("rule", "way out"):
        torch.rand(1)  # allowed without a device
