"""Attacks, schemes and networks of installed packages, by the names of their entry points."""

import sys
from pathlib import Path
from typing import Any

import pytest

from mgaudit.attacks import ATTACKS
from mgaudit.errors import UsageError
from mgaudit.settings.plugins import package, plugins
from mgaudit.settings.study_settings import attack_choice, scheme_choice, study_settings, target_choice
from mgaudit.study.plan import plan_study
from mgaudit.study.progress import Progress
from mgaudit.study.study import run_study

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


def install(folder: Path, distribution: str, module: str, groups: dict[str, dict[str, str]], code: str = CODE) -> None:
    """Makes what an installer leaves in site-packages."""
    metadata = folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    lines = [f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in e.items()) for group, e in groups.items()]
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


def test_an_installed_attack_scheme_and_network_are_audited_by_their_names(site: Path, small: dict[str, Any]) -> None:
    install(site, "extra-audits", "extra_audits", GOOD)
    values = {**small, "target": "tiny:width=4", "schemes": ["none", "shift:by=2"], "attacks": ["top", "top:sign=-1"]}
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
    with pytest.raises(ValueError, match=r"one of .*, top, module:Class.* got 'topp'; did you mean 'top'"):
        attack_choice("topp")
    assert attack_choice("top").text == "top"
    assert "extra_audits" in sys.modules


@pytest.mark.parametrize(
    ("entries", "code", "message"),
    [
        ({"lira": "extra_b:Top"}, CODE, "attack lira must have a name of its own, and both mgaudit and extra-b have"),
        ({"broken": "extra_b:Top"}, "1 / 0", "attack broken cannot be imported from extra_b:Top .ZeroDivisionError"),
        ({"broken": "extra_b:Absent"}, CODE, "attack broken cannot be imported from extra_b:Absent .AttributeError"),
        ({"broken": "extra_b:Shift"}, CODE, "attack broken must be a class that extends mgaudit.attacks.attack.Attack"),
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
    with pytest.raises(UsageError, match=r"both extra-[cd] and extra-[cd] have that name"):
        attack_choice("same")
