"""A paper as its figures: how each is measured and drawn, and which claims it decides."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

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
    A figure that does not use its resources is measured in one worker process, beside others.
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
    uses_resources: bool = True


@dataclass(frozen=True)
class Coverage:
    """How far a numbered figure, theorem or section of a paper is reproduced.

    `item` is its number in the paper, such as "Fig. 3a", and `about` its content in our words.
    `figures` are the keys of our figures that reproduce it: none if `extent` is "not". `why` says
    what is missing and why; it is empty if the item is reproduced.

    Raises:
        ValueError: If extent, figures and reason contradict each other.
    """

    item: str
    about: str
    extent: Literal["reproduced", "partly", "not"]
    figures: tuple[str, ...] = ()
    why: str = ""

    def __post_init__(self) -> None:
        if (self.extent == "not") == bool(self.figures):
            rule = 'figures must be named unless extent is "not"'
            raise ValueError(f"{rule}, got {self.extent!r} with {self.figures}")
        if (self.extent == "reproduced") == bool(self.why):
            rule = 'why must be given unless extent is "reproduced"'
            raise ValueError(f"{rule}, got {self.extent!r} with {self.why!r}")


@dataclass(frozen=True)
class Paper:
    """A paper: `key` is its name on the command line, and `about` is a summary.

    `source` is where to find the paper, such as its arXiv number. `coverage` lists the numbered
    figures and theorems of the paper, in its order, with how far each is reproduced.
    """

    key: str
    title: str
    source: str
    about: str
    figures: tuple[PaperFigure, ...]
    coverage: tuple[Coverage, ...] = ()
