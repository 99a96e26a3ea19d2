"""A paper as its figures: how each is measured and drawn, and which claims it decides."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from matplotlib.figure import Figure

from mgaudit.papers.claim import Claim, Data
from mgaudit.study.progress import Progress


@dataclass(frozen=True)
class Resources:
    """The resources for measuring figures.

    `jobs` is the number of worker processes, `device` is torch's name of the device on which models
    are trained, and `progress` receives messages. `shared` holds results that several figures of
    one paper use, so that they are computed once.
    """

    jobs: int
    device: str
    progress: Progress
    shared: dict[Any, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PaperFigure:
    """One figure of a paper, how it is reproduced, and the claims that its data decide.

    `measure` computes the data from settings, `draw` draws the data, and the claims are checked
    with the data; neither uses anything else. The data are tables of rows with numbers and words.
    `quick` and `full` are the settings of both scales, frozen dataclasses of one type with plain
    values in their fields. The option `--dataset` replaces a field named `dataset`. `about` says
    what the paper shows and how the reproduction differs, and `description` describes the figure
    for readers who do not see it.
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
    """A paper: `key` is its name on the command line, and `about` is a summary.

    `source` is where to find the paper, such as its arXiv number.
    """

    key: str
    title: str
    source: str
    about: str
    figures: tuple[PaperFigure, ...]
