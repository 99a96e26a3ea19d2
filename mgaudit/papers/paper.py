"""A paper as its figures: what is measured for each, how it is drawn, and which claims it decides."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from matplotlib.figure import Figure

from mgaudit.papers.claim import Claim, Data
from mgaudit.study.progress import Progress


@dataclass(frozen=True)
class Workshop:
    """What figures are made with: worker processes, the device of training, and who hears of progress.

    `shared` is what figures of one paper leave for one another, so that what two of them show is computed once.
    """

    jobs: int
    device: str
    progress: Progress
    shared: dict[Any, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PaperFigure:
    """One figure of a paper: settings → data → figure, and the claims that the data decide.

    `quick` and `full` are frozen dataclasses of one type, plain values in their fields; one named `dataset` is what
    `--dataset` replaces. `measure` returns tables of rows, numbers and words, from which alone `draw` and the claims
    work. `about` says what the paper shows and where ours differs.
    """

    key: str
    title: str
    about: str
    quick: Any
    full: Any
    measure: Callable[[Any, Workshop], Data]
    draw: Callable[[Data], Figure]
    description: str
    claims: tuple[Claim, ...]


@dataclass(frozen=True)
class Paper:
    """A paper's name on the command line, its title, where it is found, what it says in a sentence or two."""

    key: str
    title: str
    source: str
    about: str
    figures: tuple[PaperFigure, ...]
