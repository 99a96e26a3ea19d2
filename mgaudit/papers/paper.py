"""A paper as its figures: how each is measured and drawn, and which claims it decides."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from matplotlib.figure import Figure

from mgaudit.papers.claim import Claim, Data
from mgaudit.study.progress import Progress


@dataclass(frozen=True)
class Resources:
    """The resources for measuring figures: worker processes, training device, progress reports.

    `shared` holds results that several figures of one paper use, so that they are computed once.
    """

    jobs: int
    device: str
    progress: Progress
    shared: dict[Any, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PaperFigure:
    """One figure of a paper: settings → data → figure, and the claims that the data decide.

    `quick` and `full` are settings: frozen dataclasses of one type with plain values in their
    fields. The option `--dataset` replaces a field named `dataset`. `measure` returns tables of
    rows with numbers and words; `draw` and the claims use nothing else. `about` says what the
    paper shows and where ours differs.
    """

    key: str
    title: str
    about: str
    quick: Any
    full: Any
    measure: Callable[[Any, Resources], Data]
    draw: Callable[[Data], Figure]
    description: str
    claims: tuple[Claim, ...]


@dataclass(frozen=True)
class Paper:
    """A paper: its name on the command line, title, source, summary and figures."""

    key: str
    title: str
    source: str
    about: str
    figures: tuple[PaperFigure, ...]
