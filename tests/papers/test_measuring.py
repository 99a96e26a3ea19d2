"""Figures that need one process each are measured at once, with the same data."""

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from mgaudit.compute.pool import Pool
from mgaudit.compute.this_process import ThisProcess
from mgaudit.papers import measuring
from mgaudit.papers.claim import Data
from mgaudit.papers.measuring import measured, measured_at_once
from mgaudit.papers.paper import Paper, PaperFigure, Resources
from mgaudit.papers.registry import PAPERS
from mgaudit.settings.datasets import load
from mgaudit.study.progress import Progress
from mgaudit.targets.seeds import numpy_generator

FIGURES = [(key, figure) for key, paper in PAPERS.items() for figure in paper.figures]


@dataclass(frozen=True)
class Line:
    slope: float


calls: list[float] = []


def measure(settings: Line, resources: Resources) -> Data:
    calls.append(settings.slope)
    if settings.slope < 0:
        raise ValueError("the line must rise")
    return {"line": [{"x": float(x), "y": settings.slope * x} for x in range(3)]}


def line(key: str, slope: float, uses_resources: bool = False) -> PaperFigure:
    settings = Line(slope)
    return PaperFigure(
        key, key, "", settings, settings, measure, lambda data: Figure(), "", (), uses_resources
    )


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> None:
    """Tasks of workers run in this process, and are counted."""

    @contextmanager
    def pool_of(jobs: int) -> Iterator[Pool]:
        with ThisProcess() as pool:
            yield pool

    calls.clear()
    monkeypatch.setattr(measuring, "pool_of", pool_of)


def measure_all(figures: list[PaperFigure], jobs: int) -> list[Data]:
    paper = Paper("toy", "Lines", "arXiv 0", "Lines.", tuple(figures))
    resources = Resources(jobs, "cpu", Progress())
    settings = {figure.key: figure.quick for figure in figures}
    at_once = measured_at_once(paper, figures, settings, resources)
    return [measured(paper, figure, figure.quick, resources, at_once)[0] for figure in figures]


@pytest.mark.usefixtures("at_once")
def test_figures_that_use_no_resources_are_measured_at_once_and_then_read() -> None:
    figures = [line("a", 1.0), line("b", 2.0, uses_resources=True), line("c", 3.0)]
    data = measure_all(figures, jobs=2)
    assert calls == [1.0, 3.0, 2.0]
    assert [of_line["line"][2]["y"] for of_line in data] == [2.0, 4.0, 6.0]


@pytest.mark.usefixtures("at_once")
def test_one_process_measures_one_figure_after_the_other() -> None:
    measure_all([line("a", 1.0), line("b", 2.0)], jobs=1)
    assert calls == [1.0, 2.0]


@pytest.mark.usefixtures("at_once")
def test_an_error_is_that_of_the_figure_alone() -> None:
    figures = [line("a", 1.0), line("b", -1.0)]
    with pytest.raises(ValueError, match="the line must rise"):
        measure_all(figures, jobs=2)
    assert calls == [1.0, -1.0]


@pytest.mark.usefixtures("at_once")
def test_what_is_kept_is_not_measured_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = [line("a", 1.0), line("b", 2.0), line("c", 3.0)]
    data = measure_all(figures, jobs=2)
    monkeypatch.setattr(measuring, "pool_of", pytest.fail)  # no worker is started for one figure
    assert measure_all([*figures, line("d", 4.0)], jobs=2)[:3] == data
    assert calls == [1.0, 2.0, 3.0, 4.0]


@pytest.mark.usefixtures("at_once")
def test_a_cache_that_cannot_be_written_makes_no_figure_measured_twice(own_cache: Path) -> None:
    own_cache.write_text("no directory")
    data = measure_all([line("a", 1.0), line("b", 2.0)], jobs=2)
    assert calls == [1.0, 2.0]
    assert len(data) == 2


def write_images(path: Path, images: np.ndarray[Any, Any]) -> None:
    labels = np.arange(len(images)) % 2
    others = 1 - images[:10] / 2
    np.savez(path, x_train=images, y_train=labels, x_test=others, y_test=labels[:10])


@dataclass(frozen=True)
class Pictures:
    dataset: str
    examples: int


def brightness(settings: Pictures, resources: Resources) -> Data:
    generator = numpy_generator(0, "a draw of its own")
    images = load(settings.dataset, settings.examples, generator).inputs
    return {"mean": [{"x": float(images.mean())}]}


def test_kept_data_are_those_of_the_images_that_are_there(own_cache: Path, tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((60, 4, 4, 1)).astype(np.float32)
    settings = Pictures(f"npz:{tmp_path / 'images.npz'}", 20)
    figure = PaperFigure(
        "a", "a", "", settings, settings, brightness, lambda data: Figure(), "", (), False
    )
    paper = Paper("toy", "Pictures", "arXiv 0", "Pictures.", (figure,))
    seen = set()
    for changed in range(0, 60, 3):  # whichever images the figure draws
        images[changed : changed + 3] *= 0.5
        write_images(tmp_path / "images.npz", images)
        resources = Resources(1, "cpu", Progress())
        data, _ = measured(paper, figure, settings, resources, {})
        assert data == brightness(settings, resources)
        seen.add(data["mean"][0]["x"])
    assert len(seen) > 3


@pytest.mark.parametrize(
    "figure", [pytest.param(figure, id=f"{key}/{figure.key}") for key, figure in FIGURES]
)
def test_a_figure_uses_its_resources_or_says_that_it_does_not(figure: PaperFigure) -> None:
    measure = figure.measure.func if isinstance(figure.measure, partial) else figure.measure
    function = ast.parse(textwrap.dedent(inspect.getsource(measure))).body[0]
    assert isinstance(function, ast.FunctionDef)
    parameter = function.args.args[-1].arg
    used = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
    assert (parameter in used) == figure.uses_resources


@pytest.mark.slow
def test_workers_measure_the_bits_of_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paper = PAPERS["weight-noise"]
    alone = [figure for figure in paper.figures if not figure.uses_resources]
    settings = {figure.key: figure.quick for figure in alone}
    data = []
    for jobs in (1, 2):
        monkeypatch.setenv("MGAUDIT_CACHE", str(tmp_path / f"cache-{jobs}"))
        resources = Resources(jobs, "cpu", Progress())
        at_once = measured_at_once(paper, alone, settings, resources)
        assert len(at_once) == (len(alone) if jobs == 2 else 0)
        of_all = [
            measured(paper, figure, settings[figure.key], resources, at_once)[0] for figure in alone
        ]
        data.append(json.dumps(of_all, default=float))  # in which NaN equals NaN
    assert data[0] == data[1]
