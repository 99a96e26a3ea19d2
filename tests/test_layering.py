"""The arrows between the packages, and what none of them may do."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("mgaudit", "attacks", "targets", "reports")
SOURCES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_packages_import_only_what_the_house_allows(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    roots = {name.partition(".")[0] for name in imported(path)}
    if package != "mgaudit":
        assert roots & set(PACKAGES) <= {package}
    if package != "targets":
        assert not roots & {"torch", "opacus"}
    assert not roots & {"pickle", "random", "dill", "cloudpickle"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_seeds_a_global_random_state_for_good_and_only_the_cli_prints(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in ("np.random.seed", "numpy.random.seed", "torch.manual_seed", "random.seed")
            # The one place that seeds torch's generator does so inside fork_rng, and test_recipe.py looks after it.
            assert called != "torch.default_generator.manual_seed" or path.name == "recipe.py"
            assert called != "print" or path.name == "cli.py"


def test_the_report_path_is_reached_without_torch() -> None:
    seen: set[str] = set()
    todo = ["mgaudit.run_folder", "mgaudit.join", "mgaudit.side_by_side", "reports.render"]
    while todo:
        name = todo.pop()
        path = ROOT / (name.replace(".", "/") + ".py")
        if name in seen or not path.exists():
            continue
        seen.add(name)
        todo += [found for found in imported(path) if found.partition(".")[0] in PACKAGES]
    assert "reports.results" in seen
    assert not any(name.startswith("targets") for name in seen)
