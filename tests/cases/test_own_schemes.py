"""Own schemes run, or are refused in one line before training.

Row of the review: B23.
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
from mgaudit.settings.schemes import scheme_choice
from mgaudit.settings.study_settings import study_settings
from mgaudit.study.plan import plan_study
from mgaudit.study.progress import Progress
from mgaudit.study.study import run_study
from mgaudit.targets.scheme_hooks import HookTrial, check_hooks
from mgaudit.targets.schemes import DPSGD, SCHEMES, Scheme, compose
from mgaudit.targets.training import Training
from mgaudit.testing import check_scheme
from tests.cases.own_code import SMALL, nothing_is_trained, passes, refused

HEAD = """
import os
import random
import sys
import time
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from mgaudit.targets.schemes import Scheme
from mgaudit.targets.schemes.noise_nodes import NoiseNode


def normal(like, generator):
    return torch.empty_like(like).normal_(generator=generator)
"""
DRAWS = "must draw from the given generator and from nothing else, got "
OTHER_VALUES = f"{DRAWS}other values from a generator in the same state"

# By name, the hook with its body, and words of the line that refuses it.
INPUTS = {
    "TorchDraws": (
        "return x + torch.randn_like(x)",
        f"{DRAWS}a draw from the global gen",
    ),
    "TorchSeeds": ("torch.manual_seed(0); return x + torch.randn_like(x)", f"{DRAWS}a draw from"),
    "NumpyDraws": (
        "return x + np.random.normal()",
        f"{DRAWS}a draw from the global gen",
    ),
    "PythonDraws": ("return x + random.random()", f"{DRAWS}a draw from the global gen"),
    "RareDraws": ("random.random(); return x + 1", f"{DRAWS}a draw from the global gen"),
    "OwnGenerator": ("return x + float(np.random.default_rng().normal())", OTHER_VALUES),
    "SystemDraws": ("return x + int.from_bytes(os.urandom(4), 'big') / 2**32", OTHER_VALUES),
    "OwnSeed": (
        "return x + torch.randn(x.shape, generator=torch.Generator().manual_seed(0))",
        f"{DRAWS}the same noise from generators in other states",
    ),
    "RewoundGenerator": (
        "generator.manual_seed(0); return x + normal(x, generator)",
        f"{DRAWS}the same noise from generators in other states",
    ),
    "SeededNumpy": (
        "return x + torch.from_numpy(np.random.default_rng(1).normal(size=x.shape)).float()",
        f"{DRAWS}the same noise from generators in other states",
    ),
    "Clock": ("return x + time.perf_counter_ns() % 1000003", OTHER_VALUES),
    "Shape": (
        "return x.flatten(1)",
        "must return torch.float32 of shape (16, 1, 8, 8) on cpu, got",
    ),
    "OneExample": ("return x[:1]", "got torch.float32 of shape (1, 1, 8, 8) on cpu"),
    "Dtype": ("return x.double()", "got torch.float64 of shape (16, 1, 8, 8) on cpu"),
    "Device": ("return x.to('meta')", "on cpu, got torch.float32 of shape (16, 1, 8, 8) on meta"),
    "NotANumber": ("return x / (x - x)", "must return finite values, got NaN or infinity"),
    "Infinite": ("return x + torch.inf", "must return finite values, got NaN or infinity"),
    "InPlace": ("x += 1; return x", "must not change its argument in place; return a new tensor"),
    "InPlaceUnseen": ("x.mul_(0); return x.clone() + 1", "must not change its argument in place"),
    "Nothing": ("x + 1", "must return a tensor, got NoneType"),
    "Numpy": ("return x.numpy() + 1", "must return a tensor, got ndarray"),
    "Raises": ("return {}['k']", "fails: KeyError: 'k' (own.py, line"),
    "Exits": ("sys.exit(0)", "fails: SystemExit: 0"),
}
LABELS = {
    "NextLabels": ("return y + 1", "must return class numbers in 0..9, got"),
    "NegativeLabels": ("return y - 20", "must return class numbers in 0..9, got -20"),
    "FloatLabels": (
        "return y.float()",
        "must return torch.int64 of shape (60,) on cpu",
    ),
    "FewLabels": ("return y[:9]", "got torch.int64 of shape (9,) on cpu"),
    "OneHotLabels": (
        "return nn.functional.one_hot(y, classes)",
        "of shape (60, 10)",
    ),
    "InPlaceLabels": ("y[:] = 0; return y", "must not change its argument in place"),
    "DrawnLabels": ("return torch.randint(classes, y.shape)", f"{DRAWS}a draw from"),
    "RareLabels": ("random.random(); return y.clone()", f"{DRAWS}a draw from"),
}
WEIGHTS = {
    "UnknownWeight": (
        "return {'x': torch.zeros(3)}",
        "must return noise for names of weights",
    ),
    "WeightShape": (
        "return {name: torch.zeros(3) for name in weights}",
        "must return torch.float32 of shape (8, 64) on cpu, got torch.float32 of shape (3,)",
    ),
    "NoWeights": ("pass", "must return a dict of tensors by name, got NoneType"),
    "WeightsInPlace": (
        "[weight.data.mul_(0.9) for weight in weights.values()]; return {}",
        "must not change the weights, got layers.1.weight",
    ),
    "DrawnWeights": (
        "return {name: torch.randn_like(weight) for name, weight in weights.items()}",
        f"{DRAWS}a draw from the global generator of torch",
    ),
    "InfiniteWeights": (
        "return {name: torch.full_like(weight, torch.inf) for name, weight in weights.items()}",
        "must return finite values",
    ),
    "OwnSeedOfWeights": (
        "g = torch.Generator().manual_seed(0); "
        "return {name: normal(weight, g) for name, weight in weights.items()}",
        f"{DRAWS}the same noise from generators in other states",
    ),
    "LateDraws": (
        "return {} if step == 0 else {name: torch.randn_like(w) for name, w in weights.items()}",
        f"{DRAWS}a draw from",
    ),
}
HOOKS = {
    "inputs": ("x, generator", INPUTS),
    "labels": ("y, classes, generator", LABELS),
    "weight_noise": ("weights, step, epoch, generator", WEIGHTS),
}
CASES = [
    (hook, name, words) for hook, (_, cases) in HOOKS.items() for name, (_, words) in cases.items()
]
BODIES = "".join(
    f"""

@dataclass(frozen=True)
class {name}(Scheme):
    def {hook}(self, {arguments}):
        {body}
"""
    for hook, (arguments, cases) in HOOKS.items()
    for name, (body, _) in cases.items()
)
OTHERS = """

@dataclass(frozen=True)
class Noise(Scheme):
    sigma: float = 0.1
    def inputs(self, x, generator):
        return x + self.sigma * normal(x, generator)

class PlainClass(Scheme):
    def inputs(self, x, generator):
        return x + 0.1 * normal(x, generator)

@dataclass(frozen=True)
class Flips(Scheme):
    def labels(self, y, classes, generator):
        drawn = torch.randint(classes, y.shape, generator=generator, device=y.device)
        return torch.where(torch.rand(y.shape, generator=generator) < 0.1, drawn, y)

@dataclass(frozen=True)
class Weights(Scheme):
    def weight_noise(self, weights, step, epoch, generator):
        return {name: 0.01 * normal(weight, generator) for name, weight in weights.items()}

@dataclass(frozen=True)
class Node(Scheme):
    def extend(self, model):
        name, layer = next(
            (name, m) for name, m in model.named_modules() if isinstance(m, nn.Linear)
        )
        model.set_submodule(name, NoiseNode(layer))
        return model

    def node_values(self, x, generator):
        return normal(x[:, 0, 0, 0], generator)

@dataclass(frozen=True)
class Fixed(Noise):
    fixed: bool = True

@dataclass(frozen=True)
class NodeOfTwoAxes(Node):
    def node_values(self, x, generator):
        return torch.zeros(len(x), 1)

@dataclass(frozen=True)
class NodeWithoutLayer(Scheme):
    def node_values(self, x, generator):
        return torch.zeros(len(x))

@dataclass(frozen=True)
class NodeRaises(Node):
    def node_values(self, x, generator):
        raise KeyError("k")

@dataclass(frozen=True)
class NodeSeeds(Scheme):
    def node_values(self, x, generator):
        torch.manual_seed(0)
        return None

@dataclass(frozen=True)
class NodeByNumpy(Node):
    def extend(self, model):
        model = super().extend(model)
        for module in model.modules():
            if isinstance(module, NoiseNode):
                nn.init.constant_(module.node.weight, float(np.random.default_rng().normal()))
        return model

@dataclass(frozen=True)
class RandomTraining(Scheme):
    def training(self, training):
        return replace(training, momentum=float(np.random.default_rng().random()))

@dataclass(frozen=True)
class Shuffled(Scheme):
    def inputs(self, x, generator):
        return x[torch.randperm(len(x), generator=generator)]

@dataclass(frozen=True)
class Standardised(Scheme):
    def inputs(self, x, generator):
        return x - x.mean(dim=0)

@dataclass(frozen=True)
class SaysAlone(Standardised):
    acts_on_each_example = True

@dataclass(frozen=True)
class ShuffledLabels(Scheme):
    def labels(self, y, classes, generator):
        return y[torch.randperm(len(y), generator=generator)]

@dataclass(frozen=True)
class Typo(Scheme):
    def input(self, x, generator):
        return x * 2


class NoHook(Scheme):
    pass


class NoSource(Noise):
    source = None

@dataclass(frozen=True)
class OtherOption(Noise):
    smaller_is_stronger = "kappa"

@dataclass(frozen=True)
class OddDefault(Noise):
    odd: object = frozenset({1})

class WithInit(Scheme):
    def __init__(self, k=3):
        object.__setattr__(self, "k", k)
"""
GOOD = ("Noise:sigma=0.3", "PlainClass", "Flips", "Weights", "Node", "Fixed")
OF_FACTS = [
    ("Typo", "own:Typo must override a hook; inputs, labels; got none; did you mean 'inputs'?"),
    ("NoHook", "own:NoHook must override a hook (training, extend, inputs"),
    ("NodeOfTwoAxes", "node_values must return torch.float32 of shape (16,) on cpu, got"),
    ("NodeWithoutLayer", "node_values must return None without a NoiseNode; override extend"),
    ("NodeRaises", "node_values must act on a batch of training, but fails: KeyError"),
    ("NodeSeeds", "node_values must draw from the given generator and from nothing else"),
    ("NodeByNumpy", "extend must add the same layers and weights for a seed"),
    ("RandomTraining", "training must return the same settings at each call"),
    ("NoSource", "own:NoSource must have a text for its source, got None"),
    ("OtherOption", "own:OtherOption must name an option in smaller_is_stronger, got 'kappa'"),
    ("OddDefault", "own:OddDefault.odd must be a number, a text, a truth value or a tuple of"),
    ("WithInit", "own:WithInit must be a frozen dataclass whose fields are its options"),
]
TINY = ("--target", "mlp:hidden=8", *SMALL)


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current directory with `own.py`; the cache is `cache` in it."""
    (tmp_path / "own.py").write_text(HEAD + BODIES + OTHERS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return tmp_path


def own(name: str) -> Any:
    """Returns a class of `own.py`."""
    scheme_choice("own:Noise")  # the import finds the current directory
    return getattr(import_module("own"), name)


@pytest.mark.parametrize(("hook", "name", "words"), CASES)
def test_b23_a_hook_that_breaks_a_rule_is_refused_before_training(
    hook: str, name: str, words: str
) -> None:
    line = refused(("run", "--scheme", f"own:{name}", "--no-dp", *TINY), words)
    assert line.startswith(f"error: scheme own:{name}: {hook} must ")


@pytest.mark.parametrize(("name", "words"), OF_FACTS)
def test_b23_other_faults_of_a_scheme_are_refused(name: str, words: str) -> None:
    refused(("run", "--scheme", f"own:{name}", "--no-dp", *TINY), *words.split("; "))


def test_b23_a_refusal_does_not_depend_on_earlier_ones() -> None:
    arguments = ("run", "--scheme", "own:TorchSeeds", "--no-dp", *TINY)
    assert refused(arguments, DRAWS) == refused(arguments, DRAWS)


def test_b23_every_command_and_objects_are_refused(workplace: Path) -> None:
    words = "scheme own:TorchDraws: inputs must draw from the given generator"
    refused(("compare", "--scheme", "none", "--scheme", "own:TorchDraws", *TINY), words)
    private = "own:TorchDraws+dp-sgd:noise_multiplier=1"
    refused(("audit-dp", "--scheme", private, "--canaries", "20", *TINY[:2], "--quiet"), words)
    import mgaudit

    with pytest.raises(UsageError, match=words):
        mgaudit.run(
            scheme=own("TorchDraws")(), target="mlp:hidden=8", dp=False, models=4, examples=60,
            batch_size=16, stack=1, jobs=1, quiet=True,
        )  # fmt: skip
    assert nothing_is_trained()


def test_b23_a_scheme_that_keeps_the_rules_is_audited_to_the_report(blank_figures: None) -> None:
    schemes = [word for name in GOOD for word in ("--scheme", f"own:{name}")]
    passes(("compare", "--scheme", "none", *schemes, *TINY))


def test_b23_two_runs_with_an_own_scheme_are_equal(
    small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {**small, "examples": 100, "schemes": ["own:Noise", "own:Flips"], "models": 3}
    settings["attacks"] = ["loss"]
    results = []
    for run in ("first", "second"):
        monkeypatch.setenv("MGAUDIT_CACHE", str(tmp_path / run))
        _, arrays = run_study(plan_study(study_settings(settings)), 1, Progress())
        results.append(arrays)
    first, second = results
    for name, values in first.items():
        assert np.array_equal(values, second[name], equal_nan=values.dtype.kind == "f"), name


@pytest.mark.parametrize("name", ["Shuffled", "Standardised", "ShuffledLabels"])
def test_examples_must_not_depend_on_one_another_with_dp_sgd(
    name: str, small: dict[str, Any]
) -> None:
    hook = "labels" if name == "ShuffledLabels" else "inputs"
    words = f"scheme own:{name}: {hook} must treat each example by itself with DP-SGD, which clips"
    for scheme in (
        f"own:{name}+dp-sgd:noise_multiplier=1",
        f"dp-sgd:noise_multiplier=1+own:{name}",
    ):
        refused(("run", "--scheme", scheme, "--no-plain", "--no-dp", *TINY), words)
    plan_study(study_settings({**small, "schemes": [f"own:{name}"]}))


def test_a_scheme_that_says_so_must_treat_each_example_by_itself() -> None:
    words = (
        "scheme own:SaysAlone: inputs must treat each example by itself where acts_on_each_example "
        "is true, got noise that depends on the other examples of the batch"
    )
    refused(("run", "--scheme", "own:SaysAlone", "--no-plain", "--no-dp", *TINY), words)


@pytest.mark.parametrize("name", ["Noise", "PlainClass", "Flips", "Weights", "Node", "Fixed"])
def test_noise_of_each_example_is_composed_with_dp_sgd(name: str, small: dict[str, Any]) -> None:
    plan_study(study_settings({**small, "schemes": [f"own:{name}+dp-sgd:noise_multiplier=1"]}))


def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("kind", SCHEMES.values())
def test_the_hooks_of_built_in_schemes_keep_the_rules(kind: type[Scheme], private: bool) -> None:
    inputs = torch.randn(8, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    trial = HookTrial(inputs, torch.arange(8) % 3, 3, network, Training(), private)
    zero, strengths = kind.examples()
    for scheme in (*strengths, *([] if zero is None else [zero])):
        try:
            compose((scheme, DPSGD(epsilon=8.0)))
        except ValueError:
            if private:
                continue  # this scheme is not composed with DP-SGD
        check_hooks(scheme, trial)


def test_check_scheme_names_a_change_in_place() -> None:
    class InPlace(own("Noise")):  # type: ignore[misc]
        name, law = "in-place", "x + 1"

        @classmethod
        def examples(cls) -> Any:
            return None, (cls(0.1),)

        def inputs(self, x: Any, generator: Any) -> Any:
            x += self.sigma
            return x

    from dataclasses import dataclass

    with pytest.raises(AssertionError, match="inputs must not change its argument in place"):
        check_scheme(dataclass(frozen=True)(InPlace))
