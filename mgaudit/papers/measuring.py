"""Measure figures: their data are read where they are kept, and some are measured at once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from typing import Any

from threadpoolctl import threadpool_limits

from mgaudit.compute.parallel import pool_of
from mgaudit.papers.claim import Data
from mgaudit.papers.kept import kept_data
from mgaudit.papers.paper import Paper, PaperFigure, Resources
from mgaudit.settings.datasets import load
from mgaudit.study.progress import Progress
from mgaudit.targets.seeds import numpy_generator


def measured(
    paper: Paper, figure: PaperFigure, settings: Any, resources: Resources
) -> tuple[Data, float]:
    """Returns the data of a figure, kept or measured now, and the seconds that measuring took.

    Raises ValueError or OSError if its images cannot be loaded.
    """

    def measure() -> Data:
        if figure.uses_resources:
            return figure.measure(settings, resources)
        with threadpool_limits(1):  # as in a worker
            return figure.measure(settings, resources)

    return kept_data(_determined_by(paper, figure, settings), resources.device, measure)


def measure_at_once(
    paper: Paper,
    figures: Sequence[PaperFigure],
    settings: Mapping[str, Any],
    resources: Resources,
) -> None:
    """Measures the figures that do not use resources in worker processes, which keep their data.

    `settings` are those of each figure by its key. What fails is not reported: it is measured
    again by `measured`.
    """
    alone = [figure for figure in figures if not figure.uses_resources]
    if resources.jobs == 1 or len(alone) < 2:
        return
    keys = ", ".join(figure.key for figure in alone)
    resources.progress.stage(f"{paper.key}: measuring at once {keys}")
    with pool_of(resources.jobs) as pool:
        for figure in alone:
            own = settings[figure.key]
            with suppress(ValueError, OSError):  # of images
                arguments = (own, _determined_by(paper, figure, own), resources.device)
                pool.submit(_keep_measured, figure.measure, *arguments, name=figure.key)
        for future in pool.completed():
            with suppress(Exception):
                future.result()


def _keep_measured(
    measure: Callable[[Any, Resources], Data],
    settings: Any,
    determined_by: dict[str, Any],
    device: str,
) -> None:
    """Measures a figure in this worker, unless its data are kept."""
    unused = Resources(jobs=1, device=device, progress=Progress())
    kept_data(determined_by, device, lambda: measure(settings, unused))


def _determined_by(paper: Paper, figure: PaperFigure, settings: Any) -> dict[str, Any]:
    """Returns what the data of a figure depend on beside the code.

    Raises ValueError or OSError if its images cannot be loaded.
    """
    names = {"paper": paper.key, "figure": figure.key, "images": images_sha256(settings)}
    return {**names, "settings": asdict(settings)}


def images_sha256(settings: Any) -> str:
    """Returns the SHA-256 of the images that the settings name; empty if they name none.

    Raises ValueError or OSError if the images cannot be loaded.
    """
    if not hasattr(settings, "dataset"):
        return ""
    counts = [count for count in _example_counts(settings) if count]
    return _sha256_of_images(settings.dataset, max(counts, default=None))


def _example_counts(settings: Any) -> Iterator[int | None]:
    """Yields the values of the settings that count examples; None means all examples."""
    for name, value in asdict(settings).items():
        if name.startswith("examples"):
            yield value


@cache
def _sha256_of_images(dataset: str, examples: int | None) -> str:
    """Loads the dataset, once per process, and returns its checksum."""
    return load(dataset, examples, numpy_generator(0, "examples")).digest()
