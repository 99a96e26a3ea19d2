"""The contents of a build, and the installed package in any folder, with others beside it."""

import json
import os
import runpy
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("attacks", "reports", "studies", "targets")
SMALL = (
    "--models",
    "3",
    "--examples",
    "120",
    "--epochs",
    "1",
    "--batch-size",
    "16",
    "--no-dp",
    "--stack",
    "1",
)

BUILD = """
import sys
from setuptools import build_meta
getattr(build_meta, sys.argv[1])(sys.argv[2])
"""

IMPORT_EACH = """
import importlib
import sys
print(*(importlib.import_module(name).__file__ for name in sys.argv[1:]), sep="\\n")
"""

OWN_ATTACK = """
from dataclasses import dataclass

import numpy as np

from mgaudit.attacks import Attack

@dataclass(frozen=True)
class Mine(Attack):
    cost = "nothing"
    source = "this test"

    def score(self, view):
        return np.full(len(view.labels), 0.25)
"""

OWN_NETWORK = """
import math

from torch import nn

class Net(nn.Sequential):
    def __init__(self, input_shape, classes):
        super().__init__(nn.Flatten(), nn.Linear(math.prod(input_shape), classes))
"""


def run(*command: str | Path, cwd: Path, environment: Mapping[str, str] | None = None) -> str:
    """Returns the output of a command that must succeed, run without this process's paths."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=inherited | dict(environment or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tracked_files() -> list[str]:
    """Returns the files of the working tree that git does not ignore."""
    listed = run(
        "git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT
    ).splitlines()
    return [name for name in listed if os.path.lexists(ROOT / name)]


def copy_tree(to: Path, symlinks: bool) -> Path:
    """Copies the tracked files as `git clone` writes them with `core.symlinks` true or false."""
    for name in tracked_files():
        source, target = ROOT / name, to / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink() and symlinks:
            target.symlink_to(os.readlink(source))
        elif source.is_symlink():
            target.write_text(os.readlink(source), encoding="utf-8")
        else:
            shutil.copy(source, target)
    return to


def build(kind: str, tree: Path) -> Path:
    """Builds a "wheel" or "sdist" of the tree and returns its path."""
    folder = tree.parent / f"{tree.name}-{kind}"
    folder.mkdir()
    run(sys.executable, "-c", BUILD, f"build_{kind}", folder, cwd=tree)
    (archive,) = folder.iterdir()
    return archive


def wheel_files(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def sdist_files(sdist: Path) -> set[str]:
    with tarfile.open(sdist) as archive:
        return {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}


def shipped(name: str) -> bool:
    """Whether a file of the tree belongs to a package."""
    return name.split("/")[0] in ("mgaudit", *FOLDERS) and not (ROOT / name).is_symlink()


def name_in_wheel(name: str) -> str:
    return name if name.startswith("mgaudit/") else f"mgaudit/{name}"


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of the working tree."""
    return build("wheel", copy_tree(tmp_path_factory.mktemp("build") / "tree", symlinks=True))


@dataclass(frozen=True)
class Installed:
    """The wheel's files in a folder, and a script as pip writes it for the command."""

    site: Path
    script: Path

    def command(self, *arguments: str, cwd: Path, cache: Path) -> str:
        environment = {
            "PYTHONPATH": str(self.site),
            "MGAUDIT_CACHE": str(cache),
            "OMP_NUM_THREADS": "1",
        }
        return run(sys.executable, self.script, *arguments, cwd=cwd, environment=environment)

    def python(self, *arguments: str, cwd: Path) -> str:
        return run(sys.executable, *arguments, cwd=cwd, environment={"PYTHONPATH": str(self.site)})


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    (entry_points,) = (folder / "site").glob("*.dist-info/entry_points.txt")
    (line,) = [
        line
        for line in entry_points.read_text(encoding="utf-8").splitlines()
        if line.startswith("mgaudit =")
    ]
    module, _, function = line.partition("=")[2].strip().partition(":")
    (folder / "bin").mkdir()
    script = folder / "bin" / "mgaudit"
    code = (
        f"import sys\nfrom {module} import {function}\n"
        f"if __name__ == '__main__':\n    sys.exit({function}())\n"
    )
    script.write_text(code, encoding="utf-8")
    return Installed(folder / "site", script)


def write_own_packages(folder: Path) -> None:
    """Writes a user's own `attacks/`, `targets.py` and `reports/`."""
    for package in ("attacks", "reports"):
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").touch()
    (folder / "attacks" / "own.py").write_text(OWN_ATTACK, encoding="utf-8")
    (folder / "targets.py").write_text(OWN_NETWORK, encoding="utf-8")


def test_setup_names_every_folder_with_code_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    passed: dict[str, Any] = {}
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("setuptools.setup", lambda **keywords: passed.update(keywords))
    runpy.run_path(str(ROOT / "setup.py"))
    code = [name for name in tracked_files() if shipped(name) and name.endswith(".py")]
    folders = {str(Path(name_in_wheel(name)).parent) for name in code}
    for folder in folders:
        assert f"{folder}/__init__.py" in map(name_in_wheel, code), f"{folder} has no __init__.py"
    assert sorted(passed["packages"]) == sorted(folder.replace("/", ".") for folder in folders)
    assert passed["package_dir"] == {f"mgaudit.{folder}": folder for folder in FOLDERS}


def test_the_links_lead_to_the_folders() -> None:
    for folder in FOLDERS:
        link = ROOT / "mgaudit" / folder
        target = os.readlink(link) if link.is_symlink() else link.read_text(encoding="utf-8")
        assert target == f"../{folder}"


def test_a_wheel_holds_every_file_of_the_packages_and_no_other(wheel: Path) -> None:
    files = wheel_files(wheel)
    information = {name for name in files if name.split("/")[0].endswith(".dist-info")}
    assert files - information == {name_in_wheel(name) for name in tracked_files() if shipped(name)}
    assert {
        "mgaudit/py.typed",
        "mgaudit/reports/formats/templates/references.bib",
        "mgaudit/studies/quick.toml",
    } < files
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "version"
    ]
    assert {name.split("/")[0] for name in files} == {"mgaudit", f"mgaudit-{version}.dist-info"}


def test_builds_of_trees_with_and_without_links_are_equal(wheel: Path, tmp_path: Path) -> None:
    with_links, without = (
        copy_tree(tmp_path / "links", symlinks=True),
        copy_tree(tmp_path / "plain", symlinks=False),
    )
    assert wheel_files(build("wheel", without)) == wheel_files(wheel)
    sdists = [build("sdist", tree) for tree in (with_links, without)]
    files = sdist_files(sdists[0])
    assert sdist_files(sdists[1]) == files
    assert {"setup.py", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"} < files
    assert "examples/01-first-audit.ipynb" in files
    assert not {name.split("/")[0] for name in files} & {"tests", "docs", "benchmarks"}
    with tarfile.open(sdists[0]) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (tree,) = (tmp_path / "unpacked").iterdir()
    assert wheel_files(build("wheel", tree)) == wheel_files(wheel)


def test_own_code_is_used_in_a_folder_whose_files_are_named_like_modules(
    installed: Installed, tmp_path: Path, own_cache: Path
) -> None:
    write_own_packages(tmp_path)
    for name in (
        "random",
        "copy",
        "queue",
        "string",
        "numpy",
        "platform",
        "logging/__init__",
        "mgaudit/__init__",
    ):
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            f"raise ImportError('{name} of the current folder was imported')", encoding="utf-8"
        )
    own = ("--target", "targets:Net", "--attack", "attacks.own:Mine", "--jobs", "2")
    printed = installed.command("run", *SMALL, *own, "--json", cwd=tmp_path, cache=own_cache)
    (study,) = json.loads(printed)["result"]["studies"]
    assert "targets:Net" in json.dumps(study["settings"])
    audits = [audit for arm in study["arms"] for audit in arm["attacks"]]
    assert len(audits) >= len(study["arms"]) == 2
    for audit in audits:
        assert audit["source"] == "this test"
        assert audit["metrics"]["auc"] == {"value": 0.5, "low": 0.5, "high": 0.5}


def test_python_imports_mgaudit_in_a_folder_with_packages_of_the_same_names(
    installed: Installed, tmp_path: Path
) -> None:
    write_own_packages(tmp_path)
    code = (
        "import mgaudit.attacks, mgaudit.reports, mgaudit.targets, attacks.own, targets; "
        "print(attacks.own.Mine())"
    )
    assert installed.python("-c", code, cwd=tmp_path) == "Mine()\n"
    assert installed.python("-m", "mgaudit", "--version", cwd=tmp_path).startswith("mgaudit ")


def make_venv(folder: Path) -> Path:
    """Makes an environment with the dependencies, but without packages of the tests' environment.

    Only the `.pth` files of the environment itself are read, so an editable mgaudit beside the
    dependencies is unseen.
    """
    venv.create(folder, with_pip=False)
    (site,) = folder.glob("lib/python*/site-packages")
    paths = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    (site / "dependencies.pth").write_text("\n".join(sorted(paths)), encoding="utf-8")
    return folder


def pip_install(environment: Path, *arguments: str | Path) -> None:
    pip = (sys.executable, "-m", "pip", "--python", environment / "bin" / "python")
    run(*pip, "install", "--quiet", "--no-deps", *arguments, cwd=environment)


@pytest.mark.slow
def test_an_installed_wheel_adds_one_package_and_survives_the_reports_of_the_index(
    wheel: Path, tmp_path: Path
) -> None:
    environment = make_venv(tmp_path / "venv")
    (site,) = environment.glob("lib/python*/site-packages")
    before = set(site.iterdir())
    pip_install(environment, "--no-index", wheel)
    added = {path.name for path in set(site.iterdir()) - before}
    assert added == {"mgaudit", "-".join(wheel.name.split("-")[:2]) + ".dist-info"}
    try:
        pip_install(environment, "reports")
    except AssertionError as error:
        pytest.skip(f"the package reports could not be installed: {str(error).splitlines()[-1]}")
    assert (site / "reports" / "__init__.py").exists()
    quiet = {"MGAUDIT_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    command = environment / "bin" / "mgaudit"
    assert run(command, "--version", cwd=tmp_path, environment=quiet).startswith("mgaudit ")
    run(
        environment / "bin" / "python",
        "-c",
        "import mgaudit.reports",
        cwd=tmp_path,
        environment=quiet,
    )
    run(
        command,
        "run",
        *SMALL,
        "--target",
        "mlp:hidden=8",
        "--jobs",
        "2",
        cwd=tmp_path,
        environment=quiet,
    )
    (report,) = tmp_path.glob("runs/*/report.pdf")
    assert report.stat().st_size > 0


@pytest.mark.slow
@pytest.mark.parametrize("symlinks", [True, False])
def test_an_editable_install_imports_every_module(
    wheel: Path, tmp_path: Path, symlinks: bool
) -> None:
    tree = copy_tree(tmp_path / "tree", symlinks)
    environment = make_venv(tmp_path / "venv")
    pip_install(environment, "--no-index", "--no-build-isolation", "--editable", tree)
    files = [name.removesuffix(".py") for name in wheel_files(wheel) if name.endswith(".py")]
    modules = {name.removesuffix("/__init__").replace("/", ".") for name in files} - {
        "mgaudit.__main__"
    }
    (tmp_path / "elsewhere").mkdir()
    for folder in (tmp_path / "elsewhere", tree):
        printed = run(
            environment / "bin" / "python", "-c", IMPORT_EACH, *sorted(modules), cwd=folder
        )
        assert all(Path(path).is_relative_to(tree) for path in printed.splitlines())
