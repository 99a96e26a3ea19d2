"""The arrows between the packages, and what none of them may do."""

import ast
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("attacks", "targets", "reports", "studies")
ALONE = tuple(f"mgaudit.{folder}" for folder in ("attacks", "targets", "reports"))
ERRORS = "mgaudit.errors"


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    inside = parts if parts[0] == "mgaudit" else ("mgaudit", *parts)
    return ".".join(inside).removesuffix(".__init__")


SOURCES = {
    module_name(path): path
    for folder in ("mgaudit", *FOLDERS)
    for path in sorted((ROOT / folder).rglob("*.py"))
    if folder != "mgaudit" or path.relative_to(ROOT).parts[1] not in FOLDERS  # links
}


@cache
def nodes(module: str) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(SOURCES[module].read_text(encoding="utf-8"))))


@cache
def imported(module: str) -> frozenset[str]:
    """Returns every module that a module imports, lazily and for its types too."""
    names: set[str] = set()
    for node in nodes(module):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            submodules = {f"{node.module}.{alias.name}" for alias in node.names} & SOURCES.keys()
            plain_names = len(submodules) < len(node.names)
            names |= submodules | ({node.module or ""} if plain_names else set())
    return frozenset(names)


def package(module: str) -> str:
    return ".".join(module.split(".")[:2])


def calls(module: str) -> Iterator[str]:
    yield from (ast.unparse(node.func) for node in nodes(module) if isinstance(node, ast.Call))


def test_attacks_targets_and_reports_stand_alone() -> None:
    for module in SOURCES:
        if package(module) in ALONE:
            ours = {name for name in imported(module) if name.partition(".")[0] == "mgaudit"}
            others = {name for name in ours if package(name) != package(module) and name != ERRORS}
            assert not others, f"{module} imports {sorted(others)}"


def test_only_targets_import_torch() -> None:
    for module in SOURCES:
        roots = {name.partition(".")[0] for name in imported(module)}
        assert package(module) == "mgaudit.targets" or not roots & {
            "torch",
            "opacus",
            "dp_accounting",
        }, module
        # global_random reads the state of Python's generator, to find own code that draws from it.
        # Messages between a run and its workers are pickled, and no file is.
        is_messages = module == "mgaudit.compute.messages"
        forbidden = set() if is_messages else {"pickle", "dill", "cloudpickle"}
        if module != "mgaudit.targets.global_random":
            forbidden.add("random")
        assert not roots & forbidden, module


def test_nothing_imports_the_command_line() -> None:
    for module in SOURCES:
        below = package(module) != "mgaudit.cli" and module != "mgaudit.__main__"
        assert not below or not any(package(name) == "mgaudit.cli" for name in imported(module)), (
            module
        )


def test_there_is_no_import_circle() -> None:
    graph = {module: (imported(module) & SOURCES.keys()) - {module} for module in SOURCES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(f"import circle: {' -> '.join(error.args[1])}") from error


def test_nothing_seeds_a_global_random_state_for_good_and_only_the_command_line_prints() -> None:
    for module in SOURCES:
        for call in calls(module):
            assert call not in (
                "np.random.seed",
                "numpy.random.seed",
                "torch.manual_seed",
                "random.seed",
            ), module
            # The one call that seeds torch's generator is inside fork_rng; test_recipe.py tests
            # that.
            seeds_inside_a_fork = module == "mgaudit.targets.seeds"
            assert call != "torch.default_generator.manual_seed" or seeds_inside_a_fork, module
            assert call != "print" or package(module) == "mgaudit.cli", module


def test_reports_are_rendered_without_torch() -> None:
    modules = (
        "storage.run_folder",
        "storage.join",
        "storage.side_by_side",
        "reports.formats.render",
    )
    assert not imported_by(modules, ["torch"])


def test_a_worker_imports_torch_and_little_else() -> None:
    packages = ["torch", "opacus", "dp_accounting", "scipy", "sklearn", "pandas", "matplotlib"]
    assert imported_by(["study.worker"], packages) == ["torch"]
    assert not imported_by(["functions.worker"], packages)


def imported_by(modules: Sequence[str], packages: Sequence[str]) -> list[str]:
    """Returns those of the packages that are loaded once these modules of mgaudit are imported."""
    imports = "".join(f"import mgaudit.{module}\n" for module in modules)
    code = f"import sys\n{imports}print(*({set(packages)!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return done.stdout.split()
