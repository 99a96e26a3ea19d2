"""What holds for every figure of every paper, and for the digest of the plans that draw them."""

import importlib
import pkgutil
import re
import shutil
from collections import Counter
from dataclasses import is_dataclass
from pathlib import Path

import pytest

from mgaudit.papers import reproduction
from mgaudit.papers.registry import PAPERS
from mgaudit.papers.reproduction import plan_papers

KEY = re.compile(r"[a-z0-9.]+(-[a-z0-9.]+)*")
FIGURES = [(key, figure) for key, paper in PAPERS.items() for figure in paper.figures]


def repeated(keys: list[str]) -> list[str]:
    return [key for key, count in Counter(keys).items() if count > 1]


def test_every_figure_file_is_in_its_paper_once() -> None:
    for key, paper in PAPERS.items():
        package = importlib.import_module(f"mgaudit.papers.{key.replace('-', '_')}")
        names = [
            f"{package.__name__}.{module.name}" for module in pkgutil.iter_modules(package.__path__)
        ]
        modules = [importlib.import_module(name) for name in names]
        in_files = [module.FIGURE.key for module in modules if hasattr(module, "FIGURE")]
        assert sorted(in_files) == sorted(figure.key for figure in paper.figures), key
        assert repeated(in_files) == [], key
        assert key == paper.key
        assert paper.title, key
        assert paper.source, key
        assert paper.about, key


def test_every_figure_says_what_it_is() -> None:
    for paper, figure in FIGURES:
        name = f"{paper}/{figure.key}"
        assert KEY.fullmatch(figure.key), name
        for text in (figure.title, figure.about, figure.description):
            assert text, name
            assert text == text.strip(), name
        assert callable(figure.measure), name
        assert callable(figure.draw), name


def test_quick_and_full_settings_are_of_one_frozen_dataclass() -> None:
    for paper, figure in FIGURES:
        name = f"{paper}/{figure.key}"
        assert is_dataclass(figure.quick), name
        assert type(figure.quick) is type(figure.full), name
        assert type(figure.quick).__dataclass_params__.frozen, name  # type: ignore[attr-defined]
        assert figure.quick != figure.full, name


def test_every_claim_says_what_and_where() -> None:
    for paper, figure in FIGURES:
        assert figure.claims, f"{paper}/{figure.key}"
        for claim in figure.claims:
            name = f"{paper}/{figure.key}/{claim.key}"
            assert KEY.fullmatch(claim.key), name
            assert claim.statement.endswith("."), name
            assert claim.place.strip(), name
            assert callable(claim.check), name
    for key, content in PAPERS.items():  # the summary of a paper names claims by their keys alone
        assert (
            repeated([claim.key for figure in content.figures for claim in figure.claims]) == []
        ), key


def test_coverage_names_the_figures_of_its_paper() -> None:
    for key, paper in PAPERS.items():
        known = {figure.key for figure in paper.figures}
        named = {name for one in paper.coverage for name in one.figures}
        assert named <= known, key
        assert repeated([one.item for one in paper.coverage]) == [], key


def test_the_digest_of_a_plan_changes_with_every_file_of_figures_and_theory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (plan,) = plan_papers(["gaussian-masking/fig1a"], full=False, dataset=None)
    for folder in ("papers", "theory"):
        shutil.copytree(
            reproduction.CODE / folder,
            tmp_path / folder,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    original = plan.sha256
    monkeypatch.setattr(reproduction, "CODE", tmp_path)
    assert plan.sha256 == original
    for path in sorted(tmp_path.rglob("*.py")):
        code = path.read_bytes()
        path.write_bytes(code + b"#")
        assert plan.sha256 != original, path
        path.write_bytes(code)
    assert plan.sha256 == original
    (tmp_path / "theory" / "more.py").touch()
    assert plan.sha256 != original
