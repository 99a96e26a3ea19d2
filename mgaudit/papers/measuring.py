"""Measure figures: their data are read where they are kept, and some are measured at once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from threadpoolctl import threadpool_limits

from mgaudit.compute.parallel import pool_of
from mgaudit.compute.pool import Future
from mgaudit.papers.claim import Data
from mgaudit.papers.kept import has_data, kept_data
from mgaudit.papers.paper import Paper, PaperFigure, Resources
from mgaudit.settings.datasets import load
from mgaudit.study.progress import Progress
from mgaudit.targets.seeds import numpy_generator

Measured = tuple[Data, float]  # the data of a figure, and the seconds that measuring took
AtOnce = Mapping[str, Future[Measured]]


def measured(
    paper: Paper, figure: PaperFigure, settings: Any, resources: Resources, at_once: AtOnce
) -> Measured:
    """Returns the data of a figure, kept or measured now, and the seconds that measuring took.

    Args:
        paper: The paper of the figure.
        figure: The figure.
        settings: Its settings.
        resources: The resources to measure it with.
        at_once: What `measured_at_once` returned for the paper.

    Raises:
        ValueError, OSError: If its images cannot be loaded.
        Exception: What measuring raises.
    """
    if figure.key in at_once:
        return at_once[figure.key].result()

    def measure() -> Data:
        if figure.uses_resources:
            return figure.measure(settings, resources)
        with threadpool_limits(1):  # as in a worker
            return figure.measure(settings, resources)

    return kept_data(determined_by(paper, figure, settings, resources), resources.device, measure)


def measured_at_once(
    paper: Paper,
    figures: Sequence[PaperFigure],
    settings: Mapping[str, Any],
    resources: Resources,
) -> AtOnce:
    """Measures the figures that use no resources and are not kept, in worker processes.

    Returns a completed future for each of them by its key; none if there is only one, or one
    process. `settings` are those of each figure by its key.
    """
    alone: dict[str, dict[str, Any]] = {}
    for figure in figures:
        if not figure.uses_resources:
            with suppress(ValueError, OSError):  # of images; `measured` raises it again
                depends_on = determined_by(paper, figure, settings[figure.key], resources)
                if not has_data(depends_on, resources.device):
                    alone[figure.key] = depends_on
    if resources.jobs == 1 or len(alone) < 2:
        return {}
    resources.progress.stage(f"{paper.key}: measuring at once {', '.join(alone)}")
    futures: dict[str, Future[Measured]] = {}
    with pool_of(resources.jobs) as pool:
        for figure in figures:
            if figure.key in alone:
                arguments = (settings[figure.key], alone[figure.key], resources.device)
                task = (_measured, figure.measure, *arguments)
                futures[figure.key] = pool.submit(*task, name=figure.key)
        for _ in pool.completed():
            pass
    return futures


def _measured(
    measure: Callable[[Any, Resources], Data],
    settings: Any,
    depends_on: dict[str, Any],
    device: str,
) -> Measured:
    """Measures a figure in this worker, and keeps its data."""
    unused = Resources(jobs=1, device=device, progress=Progress())
    return kept_data(depends_on, device, lambda: measure(settings, unused))


def determined_by(
    paper: Paper, figure: PaperFigure, settings: Any, resources: Resources
) -> dict[str, Any]:
    """Returns what the data of a figure depend on beside the code.

    Raises ValueError or OSError if its images cannot be loaded.
    """
    images = _images_sha256(settings, resources.shared)
    names = {"paper": paper.key, "figure": figure.key, "images": images}
    return {**names, "settings": asdict(settings)}


def _images_sha256(settings: Any, shared: dict[Any, Any]) -> str:
    """Returns the SHA-256 of all images of the dataset; empty if the settings name none.

    It is computed once for a paper, and kept in `shared`.
    """
    if not hasattr(settings, "dataset"):
        return ""
    key = "SHA-256 of images", settings.dataset
    if key not in shared:
        whole = load(settings.dataset, None, numpy_generator(0, "examples"))
        shared[key] = whole.digest()
    sha256: str = shared[key]
    return sha256


def check_images(settings: Any) -> None:
    """Raises ValueError or OSError if the settings name images that cannot be loaded."""
    if hasattr(settings, "dataset"):
        counts = [count for count in _example_counts(settings) if count]
        load(settings.dataset, max(counts, default=None), numpy_generator(0, "examples"))


def _example_counts(settings: Any) -> Iterator[int | None]:
    """Yields the values of the settings that count examples; None means all examples."""
    for name, value in asdict(settings).items():
        if name.startswith("examples"):
            yield value
