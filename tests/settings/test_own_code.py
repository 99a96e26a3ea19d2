"""Networks, schemes and attacks of the user's own."""

import json
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from mgaudit.cli.app import app
from mgaudit.errors import UsageError
from mgaudit.settings.choices import own_code
from mgaudit.settings.schemes import scheme_choice
from mgaudit.settings.study_settings import attack_choice, study_settings, target_choice
from mgaudit.storage.ensembles import EnsembleFolder
from mgaudit.study.design import draw_design
from mgaudit.study.plan import plan_arm, plan_study
from mgaudit.study.progress import Progress
from mgaudit.study.study import run_study
from mgaudit.study.train import determined_by, model_layout, train_arm
from mgaudit.study.worker import PackedMembership, StackTask, train_stack
from mgaudit.targets.own_module import load_module

NETWORKS = """
import math
import random

import numpy as np
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, shape, n, width=3, scale: float = 1.0):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(math.prod(shape), width),
            self.middle(width),
            nn.Linear(width, n),
        )
        self.scale = scale

    def middle(self, width):
        return nn.ReLU()

    def forward(self, x):
        return self.layers(x) * self.scale

class WithBatchNorm(Net):
    def middle(self, width):
        return nn.BatchNorm1d(width)

class WithDropout(Net):
    def middle(self, width):
        return nn.Dropout(0.5)

class WithRunningStatistics(Net):
    def middle(self, width):
        return nn.Sequential(
            nn.Unflatten(1, (1, width)),
            nn.InstanceNorm1d(1, track_running_stats=True),
            nn.Flatten(),
            nn.ReLU(),
        )

class Both(Net):
    def middle(self, width):
        return nn.Sequential(nn.BatchNorm1d(width), nn.Dropout(0.5))

class AlwaysDropping(Net):
    def forward(self, x):
        return super().forward(nn.functional.dropout(x))

class WithoutStatistics(Net):
    def middle(self, width):
        return nn.BatchNorm1d(width, track_running_stats=False)

class DropsByNumpy(Net):
    def forward(self, x):
        return super().forward(x) * float(np.random.default_rng().random())

class Counting(Net):
    def __init__(self, shape, n):
        super().__init__(shape, n)
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x):
        self.calls += 1
        return super().forward(x)

class Growing(Net):
    def __init__(self, shape, n):
        super().__init__(shape, n)
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x):
        if self.training:
            self.seen = torch.cat([self.seen, x.flatten()[:1]])
        return super().forward(x)

class Hidden(Net):
    def __init__(self, shape, n):
        super().__init__(shape, n)
        self.register_buffer("mean", torch.zeros(1), persistent=False)

    def forward(self, x):
        if self.training:
            self.mean = self.mean / 2 + x.mean()
        return super().forward(x) + torch.arange(10) * self.mean

class FiveClasses(Net):
    def __init__(self):
        super().__init__((64,), 5)

class Unknown(Net):
    def __init__(self, k):
        super().__init__((64,), 10, k)

def text():
    return "a network"

def by_function(num_classes, width=3):
    return Net((64,), num_classes, width)

class OfClasses(Net):
    def __init__(self, width=3, num_classes=1000):
        super().__init__((64,), num_classes, width)

class OfNothing(Net):
    def __init__(self):
        super().__init__((64,), 10)

class OfChannels(Net):
    def __init__(self, in_channels, num_classes):
        super().__init__((64 * in_channels,), num_classes)

kept = OfNothing()

def shared():
    return kept

class Centred(Net):
    def forward(self, x):
        logits = self.layers(x)
        return logits - logits.mean(dim=0) if self.training else logits

class Mean(Net):
    def forward(self, x):
        return super().forward(x).mean(dim=1)

class Double(Net):
    def forward(self, x):
        return super().forward(x).double()

class Pair(Net):
    def forward(self, x):
        return super().forward(x), x

class Unit(Net):
    def forward(self, x):
        return super().forward(x / x.flatten(1).norm())

class Loud(Net):
    def __init__(self, shape, n):
        raise RuntimeError("out of\\nmind")

class Narrow(Net):
    def forward(self, x):
        return super().forward(x[:, :, 1:])

class ByNumpy(Net):
    def __init__(self, shape, n):
        super().__init__(shape, n)
        self.scale = nn.Parameter(torch.tensor(float(np.random.default_rng().normal())))

class Forgetful(Net):
    def __init__(self, shape, n):
        super().__init__(shape, n)
        self.signs = torch.randn(n)

    def forward(self, x):
        return super().forward(x) * self.signs

class Shared(Net):
    def forward(self, x):
        first, last = self.layers[1], self.layers[3]
        return last(first(x.flatten(1)).relu()) + last(first(-x.flatten(1)))

class NoArguments(nn.Module):
    def __init__(self, *, width=3):
        super().__init__()

not_a_class = 3

class NotANetwork:
    pass
"""


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with `networks.py`."""
    (tmp_path / "networks.py").write_text(NETWORKS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return tmp_path


def forget(*names: str) -> None:
    for name in names:
        sys.modules.pop(name, None)


def mgaudit(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize(
    ("text", "canonical", "label"),
    [
        ("networks:Net", "networks:Net", "networks:Net"),
        (" networks:Net:width=4 ", "networks:Net:width=4", "networks:Net (width=4)"),
        ("networks:Net:scale=2.50,width=3", "networks:Net:scale=2.5", "networks:Net (scale=2.5)"),
        (
            "networks:Net:4,scale=2",
            "networks:Net:width=4,scale=2",
            "networks:Net (width=4, scale=2)",
        ),
    ],
)
def test_a_class_of_ones_own_is_spelt_like_any_other_choice(
    text: str, canonical: str, label: str
) -> None:
    choice = target_choice(text)
    assert choice.text == canonical
    assert choice.label() == label
    assert target_choice(canonical).text == canonical
    assert choice.build((2, 2), 3, **choice.options).layers[3].weight.shape == (
        3,
        choice.options.get("width", 3),
    )


@pytest.mark.parametrize(
    ("text", "canonical", "width"),
    [
        ("networks:by_function", "networks:by_function", 3),
        ("networks:by_function:4", "networks:by_function:width=4", 4),
        ("networks:OfClasses", "networks:OfClasses", 3),
        ("networks:OfClasses:width=4", "networks:OfClasses:width=4", 4),
        ("networks:OfNothing", "networks:OfNothing", 3),
        ("networks:OfChannels:in_channels=1", "networks:OfChannels:in_channels=1", 3),
        ("networks:Unknown:k=5", "networks:Unknown:k=5", 5),
    ],
)
def test_a_network_is_built_from_what_its_signature_names(
    text: str, canonical: str, width: int
) -> None:
    choice = target_choice(text)
    assert choice.text == canonical
    network = choice.built((1, 8, 8), 10)
    assert network.layers[3].weight.shape == (10, width)
    assert own_code([choice]).keys() == {choice.name}


def test_networks_may_be_python_objects(workplace: Path) -> None:
    networks = load_module("networks")
    function = partial(networks.by_function, width=4)
    assert target_choice(function) == target_choice("networks:by_function:width=4")
    assert target_choice(networks.OfNothing) == target_choice("networks:OfNothing")
    for wrong, message in (
        (networks.kept, "must be what builds a network, .*, got a OfNothing; pass the class"),
        (lambda: networks.kept, "must be a class or a function at the top level of its module"),
        (partial(networks.by_function, 4), "must have options by name"),
        (networks.NotANetwork, "or a function that returns one"),
    ):
        with pytest.raises(UsageError, match=message):
            target_choice(wrong)


def test_an_edited_function_is_another_network(workplace: Path) -> None:
    before = target_choice("networks:by_function").own_sha256
    (workplace / "networks.py").write_text(NETWORKS + "\n")
    forget("networks")
    assert target_choice("networks:by_function").own_sha256 not in (None, before)


def test_a_module_may_lie_in_a_package(workplace: Path) -> None:
    (workplace / "package").mkdir()
    (workplace / "package" / "nets.py").write_text(NETWORKS)
    assert target_choice("package.nets:Net:5").text == "package.nets:Net:width=5"


def test_what_python_already_finds_is_not_replaced_by_a_file_in_the_current_folder(
    workplace: Path,
) -> None:
    (workplace / "decimal.py").write_text("class Net: pass")
    with pytest.raises(
        ValueError, match=r"must be a class in decimal \(.*decimal\.py\), and there is no Net"
    ):
        target_choice("decimal:Net")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (
            "nowhere:Net",
            (
                "target.nowhere:Net cannot be imported (ModuleNotFoundError: No module named "
                "'nowhere')"
            ),
        ),
        (
            "broken:Net",
            (
                "target.broken:Net cannot be imported (SyntaxError: invalid syntax (broken.py, "
                "line 1))"
            ),
        ),
        ("networks:Absent", "target.networks:Absent must be a class in networks ("),
        (
            "networks:NotANetwork",
            (
                "networks:NotANetwork must be a class that extends torch.nn.modules.module.Module, "
                "or a function that returns one, got"
            ),
        ),
        (
            "networks:not_a_class",
            "must be a class that extends torch.nn.modules.module.Module, or a function that "
            "returns one, got 3",
        ),
        (
            "networks:Net:depth=3",
            "target.networks:Net.depth is not an option of 'networks:Net', which takes width",
        ),
        ("networks:Net:width=big", "target.networks:Net.width must be a valid integer"),
        (
            "networks:NoArguments",
            "networks:NoArguments must have weights that can be trained, got none",
        ),
        ("networks", "module:Class of your own, got 'networks'"),
        (
            "networks:Loud",
            "cannot be built for input_shape=(1, 8, 8) and classes=10: RuntimeError: out of mind",
        ),
        (
            "networks:Narrow",
            (
                "networks:Narrow must accept a batch of shape (2, 1, 8, 8), but fails: "
                "RuntimeError: mat1"
            ),
        ),
        (
            "networks:Mean",
            "networks:Mean must return logits of shape (2, 10) for 2 examples of zeros, got (2,)",
        ),
        ("networks:Pair", "networks:Pair must return a tensor of logits, got tuple"),
        (
            "networks:Double",
            "networks:Double must return logits of dtype torch.float32, got torch.float64",
        ),
        (
            "networks:Unit",
            "networks:Unit must return finite logits for 2 examples of zeros, got NaN or infinity",
        ),
        (
            "networks:WithBatchNorm",
            (
                "networks:WithBatchNorm must compute each example by itself for DP-SGD, which "
                "clips its gradient, got BatchNorm1d at layers.2; use GroupNorm in place of "
                "BatchNorm, or leave DP-SGD out (--no-dp, or"
            ),
        ),
        (
            "networks:WithDropout",
            "for DP-SGD, which clips its gradient, got Dropout at layers.2; remove dropout, or",
        ),
        ("networks:WithRunningStatistics", "got InstanceNorm1d at layers.2.1; use GroupNorm"),
        ("networks:Centred", "got logits that depend on the rest of the batch; use GroupNorm"),
        (
            "networks:AlwaysDropping",
            "must return identical logits for identical inputs at evaluation; turn dropout off",
        ),
        (
            "networks:WithoutStatistics",
            "must return the same logits for an example alone and in a batch, at evaluation",
        ),
        (
            "networks:DropsByNumpy",
            "must return identical logits for identical inputs and seeds in training mode",
        ),
        ("networks:Counting", "must not change its buffers at evaluation"),
        ("networks:Growing", "must keep the shapes and dtypes of its buffers in training"),
        ("networks:Hidden", "must be the same model after its state_dict was saved and loaded"),
        (
            "networks:FiveClasses",
            "networks:FiveClasses must return 10 logits, one for each class of the data, got 5;",
        ),
        ("networks:Unknown", "networks:Unknown needs k; write networks:Unknown:k=VALUE, or name"),
        ("networks:text", "target networks:text must return a torch.nn.Module, got str"),
        ("networks:shared", "networks:shared must have weights of its own in each model"),
        ("networks:ByNumpy", "networks:ByNumpy must have weights that the seed determines"),
        ("networks:Forgetful", "must be the same model after its state_dict was saved and loaded"),
        (
            "networks:Shared",
            "cannot have per-example gradients, which DP-SGD and gradient attacks need",
        ),
    ],
)
def test_a_network_that_cannot_be_audited_is_refused_in_one_line_before_any_training(
    workplace: Path, target: str, message: str
) -> None:
    (workplace / "broken.py").write_text("class")
    small = [
        "--examples",
        "100",
        "--batch-size",
        "8",
        "--scheme",
        "dp-sgd:noise_multiplier=1",
        "--no-plain",
    ]
    result = mgaudit("run", "--target", target, *small, "--quiet", "--out", "runs")
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (workplace / "runs").exists()


@pytest.mark.slow
def test_workers_train_the_same_stacks_of_a_network_of_the_current_folder_bit_for_bit(
    small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schemes = [
        "none",
        "gaussian-mask:kappa=0.3,fixed=true",
        "weight-noise:sigma=0.01+noise-nodes:sigma=1",
    ]
    values = {**small, "target": "networks:Net:width=8", "stack": 2, "schemes": schemes}
    results, weights, trained_with_state = [], [], []
    for jobs in (1, 2):
        monkeypatch.setenv("MGAUDIT_CACHE", str(tmp_path / f"cache-{jobs}"))
        study, _ = run_study(plan_study(study_settings(values)), jobs, Progress())
        assert study.target.label == "Net (width=8)"
        assert study.settings["target"] == "networks:Net:width=8"
        results.append(json.loads(study.model_dump_json(exclude={"times"})))
        folders = sorted((tmp_path / f"cache-{jobs}" / "ensembles").iterdir())
        weights.append(
            {folder.name: EnsembleFolder(folder, "").load_model(3).weights for folder in folders}
        )
        with_state = plan_study(study_settings({**values, "target": "networks:Both", "stack": 1}))
        records = train_arm(with_state.arms[0], with_state.design, jobs, Progress()).records
        trained_with_state.append([record.weights_sha256 for record in records])
    assert trained_with_state[0] == trained_with_state[1]
    assert results[0] == results[1]
    assert len(weights[0]) == len(schemes)
    assert weights[0].keys() == weights[1].keys()
    for name, model in weights[0].items():
        assert model["layers.1.weight"].shape == (8, 64)
        assert all(
            np.array_equal(values, weights[1][name][layer]) for layer, values in model.items()
        )


def key(values: dict[str, Any]) -> Path:
    settings = study_settings(values)
    design = draw_design(settings)
    (arm,) = settings.arms()
    return EnsembleFolder.at(determined_by(arm, plan_arm(arm, design).recipe, design)).path


def test_an_edited_network_is_another_network(small: dict[str, Any], workplace: Path) -> None:
    values = {**small, "target": "networks:Net", "schemes": ["none"]}
    sha256 = plan_study(study_settings(values)).sha256
    first = key(values)
    (workplace / "networks.py").write_text(NETWORKS.replace("* self.scale", "* self.scale * 2"))
    assert key(values) == first  # what runs is what was imported
    forget("networks")
    assert key(values) != first
    assert plan_study(study_settings(values)).sha256 != sha256
    (workplace / "networks.py").write_text(NETWORKS)
    forget("networks")
    assert key(values) == first


def test_an_edited_parent_in_another_file_is_another_network_too(workplace: Path) -> None:
    (workplace / "ours.py").write_text("import networks\nclass Ours(networks.Net): pass\n")
    before = target_choice("ours:Ours").own_sha256
    (workplace / "networks.py").write_text(NETWORKS + "\n")
    forget("ours", "networks")
    assert target_choice("ours:Ours").own_sha256 != before


def test_a_worker_that_has_imported_an_edited_file_trains_nothing(
    small: dict[str, Any], own_cache: Path
) -> None:
    settings = study_settings({**small, "target": "networks:Net", "schemes": ["none"]})
    design = draw_design(settings)
    arm = plan_arm(settings.arms()[0], design)
    folder = EnsembleFolder.at(determined_by(arm.settings, arm.recipe, design))
    choices = arm.settings.trained_choices
    assert own_code(choices).keys() == {"networks:Net"}
    stale = {"networks:Net": "0" * 64}
    rows = PackedMembership.of(design.membership[:1])
    task = StackTask(folder, arm.recipe, rows, [0], "cpu", (), choices, stale)
    with pytest.raises(
        RuntimeError, match="the source of networks:Net was edited during the run; run again"
    ):
        train_stack(task, design.dataset)
    assert not own_cache.exists()


def test_a_class_of_the_started_script_is_not_imported_again(small: dict[str, Any]) -> None:
    # A worker receives such a class with its code, and has another __main__.
    settings = study_settings({**small, "target": "networks:Net", "schemes": ["none"]})
    design = draw_design(settings)
    arm = plan_arm(settings.arms()[0], design)
    folder = EnsembleFolder.at(determined_by(arm.settings, arm.recipe, design))
    choices = (replace(settings.target, name="__main__:Net"),)
    sent = {"__main__:Net": "0" * 64}
    row = PackedMembership.of(design.membership[:1])
    task = StackTask(folder, arm.recipe, row, [0], "cpu", (), choices, sent)
    (model,) = train_stack(task, design.dataset)
    layout = model_layout(arm, design)
    assert folder.model_in(0, model.content, layout).weights.keys() == layout.keys()


SCHEME_AND_ATTACK = """
from dataclasses import dataclass
from typing import ClassVar

from mgaudit.attacks import Attack
from mgaudit.targets.schemes import Scheme

@dataclass(frozen=True)
class Shift(Scheme):
    by: float = 1.0

    def __post_init__(self):
        if self.by < 0:
            raise ValueError(f"by must be >= 0, got {self.by}")
        if self.by > 9:
            raise RuntimeError("too far")

    def inputs(self, x, generator):
        return x + self.by

@dataclass(frozen=True)
class TrueLogit(Attack):
    sign: int = 1
    cost: ClassVar[str] = "nothing"
    source: ClassVar[str] = "us"

    def score(self, view):
        return self.sign * view.target_logits[range(len(view.labels)), 0, view.labels].astype(float)
"""


def test_schemes_and_attacks_of_ones_own_are_audited_and_told_by_their_names(
    small: dict[str, Any], workplace: Path
) -> None:
    (workplace / "ours.py").write_text(SCHEME_AND_ATTACK)
    values = {**small, "schemes": ["none", "ours:Shift:by=0", "ours:Shift:by=2"]}
    study, arrays = run_study(
        plan_study(
            study_settings({**values, "attacks": ["ours:TrueLogit", "ours:TrueLogit:sign=-1"]})
        ),
        1,
        Progress(),
    )
    plain, zero, shifted = (arrays[f"arm{arm}/ours:TrueLogit/scores"] for arm in range(3))
    assert np.array_equal(plain, zero)
    assert not np.allclose(plain, shifted)
    assert np.array_equal(-plain, arrays["arm0/ours:TrueLogit:sign=-1/scores"])
    assert [arm.label for arm in study.arms] == [
        "no noise",
        "ours:Shift (by=0)",
        "ours:Shift (by=2)",
    ]


FAILING = """
from dataclasses import dataclass

import numpy as np
from mgaudit.attacks import Attack
from mgaudit.targets.schemes import Scheme

@dataclass(frozen=True)
class Halves(Scheme):
    def inputs(self, x, generator):
        return x[:, :, :1]

@dataclass(frozen=True)
class Raises(Attack):
    def score(self, view):
        return {}["scores"]

@dataclass(frozen=True)
class InfiniteFirst(Attack):
    def score(self, view):
        return np.where(np.arange(len(view.labels)) == 0, np.inf, 0.0)

@dataclass(frozen=True)
class TwoAxes(Attack):
    def score(self, view):
        return np.zeros((len(view.labels), 1))
"""


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"schemes": ["failing:Halves"]},
            UsageError,
            r"scheme failing:Halves: inputs must return torch.float32 of shape .* got .*1, 1, 8\)",
        ),
        (
            {"attacks": ["loss", "failing:Raises"]},
            UsageError,
            r"attack failing:Raises must score .* fails: KeyError.*line 1[67]",
        ),
        (
            {"attacks": ["failing:InfiniteFirst"]},
            UsageError,
            "must return a finite score .*, got inf for example 0",
        ),
        (
            {"attacks": ["failing:TwoAxes"]},
            UsageError,
            r"must return .* shape \(200,\).* got .*1\)",
        ),
    ],
)
def test_own_code_that_fails_in_a_run_is_named(
    small: dict[str, Any],
    workplace: Path,
    changes: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    (workplace / "failing.py").write_text(FAILING)
    values = {**small, "schemes": ["none"], **changes}
    with pytest.raises(error, match=message):
        run_study(plan_study(study_settings(values)), 1, Progress())


def test_schemes_and_attacks_that_cannot_be_built_are_refused(workplace: Path) -> None:
    (workplace / "ours.py").write_text(SCHEME_AND_ATTACK)
    with pytest.raises(ValueError, match="by must be >= 0, got -1"):
        scheme_choice("ours:Shift:by=-1")
    with pytest.raises(ValueError, match="ours:Shift cannot be built: RuntimeError: too far"):
        scheme_choice("ours:Shift:by=10")
    with pytest.raises(
        ValueError,
        match=r"ours:Shift must be a class that extends mgaudit\.attacks\.attack\.Attack",
    ):
        attack_choice("ours:Shift")


def test_only_the_users_own_code_is_in_the_key(small: dict[str, Any]) -> None:
    choices = [
        target_choice("cnn"),
        *scheme_choice("none").parts,
        attack_choice("lira"),
        target_choice("networks:Net"),
    ]
    assert list(own_code(choices)) == ["networks:Net"]
