"""Attacks, schemes, networks and datasets of installed packages, by their entry points."""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from mgaudit.attacks import ATTACKS
from mgaudit.cli.app import app
from mgaudit.errors import UsageError
from mgaudit.settings.datasets import dataset_choice, load
from mgaudit.settings.plugins import package, plugins
from mgaudit.settings.study_settings import (
    attack_choice,
    scheme_choice,
    study_settings,
    target_choice,
)
from mgaudit.study.plan import plan_study
from mgaudit.study.progress import Progress
from mgaudit.study.study import run_study
from mgaudit.study.train import ensemble_folder
from mgaudit.targets.seeds import numpy_generator
from mgaudit.testing import check_network

CODE = """
from dataclasses import dataclass
from mgaudit.attacks import Attack
from mgaudit.targets.networks.mlp import MLP
from mgaudit.targets.schemes import Scheme

@dataclass(frozen=True)
class Top(Attack):
    sign: int = 1

    def score(self, view):
        return self.sign * view.target_logits[:, 0].max(axis=-1).astype(float)

@dataclass(frozen=True)
class Shift(Scheme):
    by: float = 1.0

    def inputs(self, x, generator):
        return x + self.by

class Net(MLP):
    def __init__(self, shape, n, width: int = 3):
        super().__init__(shape, n, (width,))
"""

DATA = """
import sys
import numpy as np
from mgaudit.targets.datasets import Dataset, Reader

def arrays():
    inputs = np.random.default_rng(0).random((90, 3)).astype(np.float32)
    return inputs[:60], np.arange(60) % 2, inputs[60:], np.arange(30) % 2

def read(examples, generator, *, scale: float = 1.0):
    x, y, test, test_y = arrays()
    x = (x * scale).astype(np.float32)
    return Dataset("scaled", x, y, test, test_y, ("even", "odd")).drawn(examples, generator)

def read_path(path, examples, generator):
    return read(examples, generator, scale=float(np.loadtxt(path)))

def leaves():
    sys.exit(0)

def nothing(examples, generator):
    return None

scaled, by_path = Reader("scaled", read), Reader("by-path", read_path, takes_path=True)
empty, number = Reader("empty", nothing), 3
"""


def install(
    folder: Path,
    distribution: str,
    module: str,
    groups: dict[str, dict[str, str]],
    code: str = CODE,
) -> None:
    """Makes what an installer leaves in site-packages."""
    metadata = folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
    )
    lines = [
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in e.items())
        for group, e in groups.items()
    ]
    (metadata / "entry_points.txt").write_text("\n".join(lines))
    (folder / f"{module}.py").write_text(code)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return folder


GOOD = {
    "mgaudit.attacks": {"top": "extra_audits:Top"},
    "mgaudit.schemes": {"shift": "extra_audits:Shift"},
    "mgaudit.networks": {"tiny": "extra_audits:Net"},
}


def test_an_installed_attack_scheme_and_network_are_audited_by_their_names(
    site: Path, small: dict[str, Any]
) -> None:
    install(site, "extra-audits", "extra_audits", GOOD)
    values = {
        **small,
        "target": "tiny:width=4",
        "schemes": ["none", "shift:by=2"],
        "attacks": ["top", "top:sign=-1"],
    }
    study, _ = run_study(plan_study(study_settings(values)), 1, Progress())
    assert [arm.label for arm in study.arms] == ["no noise", "shift (by=2)"]
    assert [attack.source for attack in study.arms[0].attacks] == ["own attack"] * 2
    first, second = (attack.metrics["auc"].value for attack in study.arms[0].attacks)
    assert first == pytest.approx(1 - second)
    for choice in (target_choice("tiny"), attack_choice("top"), scheme_choice("shift").parts[0]):
        assert choice.own_sha256 is not None
    assert attack_choice("lira").own_sha256 is None


def test_entry_points_are_listed_with_their_package_and_imported_when_chosen(site: Path) -> None:
    install(site, "extra-audits", "extra_audits", GOOD)
    listed = plugins("attack", ATTACKS)
    assert {name: package(entry) for name, entry in listed.items()} == {"top": "extra-audits"}
    assert attack_choice("lira").name == "lira"
    assert "extra_audits" not in sys.modules
    with pytest.raises(
        ValueError, match=r"one of .*, top, module:Class.* got 'topp'; did you mean 'top'"
    ):
        attack_choice("topp")
    assert attack_choice("top").text == "top"
    assert "extra_audits" in sys.modules


@pytest.mark.parametrize(
    ("entries", "code", "message"),
    [
        (
            {"broken": "extra_b:Top"},
            "1 / 0",
            "attack broken cannot be imported from extra_b:Top .ZeroDivisionError",
        ),
        (
            {"broken": "extra_b:Absent"},
            CODE,
            "attack broken cannot be imported from extra_b:Absent .AttributeError",
        ),
        (
            {"broken": "extra_b:Shift"},
            CODE,
            "attack broken must be a class that extends mgaudit.attacks.attack.Attack",
        ),
    ],
)
def test_an_entry_point_that_cannot_be_used_is_refused_in_one_line(
    site: Path, entries: dict[str, str], code: str, message: str
) -> None:
    install(site, "extra-b", "extra_b", {"mgaudit.attacks": entries}, code)
    (name,) = entries
    with pytest.raises(UsageError, match=message) as caught:
        attack_choice(name)
    assert "uninstall" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_packages_with_one_name_are_refused(site: Path) -> None:
    install(site, "extra-c", "extra_c", {"mgaudit.attacks": {"same": "extra_c:Top"}})
    install(site, "extra-d", "extra_d", {"mgaudit.attacks": {"same": "extra_d:Top"}})
    with pytest.raises(UsageError, match=r", and extra-[cd] and extra-[cd] have that name"):
        attack_choice("same")
    assert "same" not in plugins("attack", ATTACKS)
    listed = json.loads(CliRunner().invoke(app, ["list", "attacks", "--json"]).stdout)["attacks"]
    assert "extra-c" in next(entry["summary"] for entry in listed if entry["name"] == "(same)")
    assert attack_choice("loss").name == "loss"


def test_an_entry_point_with_the_name_of_a_built_in_attack_changes_nothing(site: Path) -> None:
    install(
        site,
        "extra-b",
        "extra_b",
        {"mgaudit.attacks": {"lira": "extra_b:Top", "bad:name": "extra_b:Top"}},
    )
    assert attack_choice("lira").own_sha256 is None
    names = [choice.name for choice in study_settings({}).attacks]
    assert names == ["stacked", "rmia", "lira", "loss"]
    listed = json.loads(CliRunner().invoke(app, ["list", "attacks", "--json"]).stdout)["attacks"]
    summaries = {entry["name"]: entry["summary"] for entry in listed}
    assert "mgaudit and extra-b have that name" in summaries["(lira)"]
    assert "cannot be chosen" in summaries["(bad:name)"]


def edited(site: Path, module: str, before: str, after: str) -> None:
    """Edits the module of a package, as installing another version does."""
    path = site / f"{module}.py"
    path.write_text(path.read_text().replace(before, after))
    sys.modules.pop(module)
    importlib.invalidate_caches()


def ensembles(values: dict[str, Any]) -> list[str]:
    plan = plan_study(study_settings(values))
    return [ensemble_folder(arm, plan.design).path.name for arm in plan.arms]


def test_editing_the_source_of_a_plugin_changes_the_key_of_its_models(
    site: Path, small: dict[str, Any]
) -> None:
    install(
        site, "extra-keys", "extra_keys", {group: {**entries} for group, entries in KEYED.items()}
    )
    values = {**small, "schemes": ["none", "shift:by=2"], "attacks": ["top"], "stack": 1}
    network = {**values, "target": "tiny:width=4"}
    plan = plan_study(study_settings(values)).sha256
    before, before_network = ensembles(values), ensembles(network)
    assert ensembles(values) == before
    edited(site, "extra_keys", "x + self.by", "x - self.by")
    after, after_network = ensembles(values), ensembles(network)
    assert after[0] == before[0]  # a network of mgaudit without noise
    assert after[1] != before[1]
    assert not set(after_network) & set(before_network)
    assert plan_study(study_settings(values)).sha256 != plan


KEYED = {
    group: {name: value.replace("extra_audits", "extra_keys") for name, value in e.items()}
    for group, e in GOOD.items()
}


DATASETS_OF_A_PACKAGE = {
    name: f"extra_data:{entry}"
    for name, entry in (
        ("four", "arrays"),
        ("scaled-data", "scaled"),
        ("from-path", "by_path"),
        ("leaving", "leaves"),
        ("empty", "empty"),
        ("number", "number"),
    )
}


def test_datasets_of_a_package_are_readers_or_functions(site: Path, tmp_path: Path) -> None:
    install(site, "extra-data", "extra_data", {"mgaudit.datasets": DATASETS_OF_A_PACKAGE}, DATA)
    assert dataset_choice("digits").name == "digits"
    assert "extra_data" not in sys.modules
    four = load("four", None, numpy_generator(0, "examples"))
    assert (four.name, four.inputs.shape) == ("four", (60, 3))
    assert load("four", 50, numpy_generator(0, "examples")).inputs.shape == (50, 3)
    choice = dataset_choice("scaled-data:scale=2.50")
    assert choice.text == "scaled-data:scale=2.5"
    doubled = load("scaled-data:2", None, numpy_generator(0, "examples"))
    assert np.allclose(doubled.inputs, 2 * four.inputs)
    (tmp_path / "scale").write_text("2")
    of_path = load(f"from-path:{tmp_path / 'scale'}", None, numpy_generator(0, "examples"))
    assert of_path.digest() == doubled.digest()
    for text, message in (
        ("four:size=3", "dataset.four.size is not an option of 'four'"),
        ("scaled-data:scale=far", "dataset.scaled-data.scale must be a valid number"),
        ("from-path:/nowhere", "dataset from-path failed: FileNotFoundError"),
        ("leaving", "dataset leaving failed: SystemExit: 0"),
        ("empty", "dataset empty must be a .*Dataset, the arrays .*, got NoneType"),
        ("number", "dataset number must be a .*Reader, or a function"),
        ("fuor", "must be one of .*, four, scaled-data, .*; did you mean 'four'"),
    ):
        with pytest.raises(UsageError, match=message):
            load(text, None, numpy_generator(0, "examples"))


def test_a_dataset_that_is_built_in_cannot_be_replaced(site: Path) -> None:
    install(site, "extra-e", "extra_e", {"mgaudit.datasets": {"digits": "extra_e:arrays"}}, DATA)
    assert dataset_choice("digits").load(None, numpy_generator(0, "examples")).inputs.shape[1:] == (
        1,
        8,
        8,
    )


def test_list_shows_what_packages_add_and_imports_none_of_it(site: Path) -> None:
    groups = {**{group: dict.fromkeys(e, "extra_listed:X") for group, e in GOOD.items()}}
    install(
        site,
        "extra-listed",
        "extra_listed",
        {**groups, "mgaudit.datasets": {"mine": "extra_listed:x"}},
        "1 / 0",
    )
    listed = json.loads(CliRunner().invoke(app, ["list", "--json"]).stdout)
    for kind, name in (
        ("attacks", "top"),
        ("schemes", "shift"),
        ("targets", "tiny"),
        ("datasets", "mine"),
    ):
        (entry,) = (entry for entry in listed[kind] if entry["name"] == name)
        assert "extra-listed" in entry["summary"]
    assert "extra_listed" not in sys.modules


def test_the_contract_of_networks_holds_for_those_of_packages(site: Path) -> None:
    drops = CODE.replace(
        "super().__init__(shape, n, (width,))", "super().__init__(shape, n, (width,)); DROP"
    ).replace(
        "DROP",
        "self.layers.append(__import__('torch').nn.BatchNorm1d(n, track_running_stats=False))",
    )
    install(site, "extra-f", "extra_f", {"mgaudit.networks": {"good": "extra_f:Net"}})
    install(site, "extra-g", "extra_g", {"mgaudit.networks": {"dropping": "extra_g:Net"}}, drops)
    check_network(target_choice("good:width=4").built)
    with pytest.raises(AssertionError, match="must return the same logits for an example alone"):
        check_network(target_choice("dropping").built)
    settings = study_settings(
        {"target": "dropping", "models": 4, "examples": 60, "schemes": ["none"]}
    )
    with pytest.raises(UsageError, match="target dropping must return the same logits"):
        plan_study(settings)
