"""Figures on pages: their texts, made from recorded numbers, and where they stand.

A `Figure` is one number of a recording, in the form in which a page shows it. A `Table`, a
`Sentence` and a `Quote` say which figures stand where on a page. Each returns the places on the
page, with the text that is there and the text that should be.
"""

import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from mgaudit.reports.findings import SIGNIFICANT
from mgaudit.reports.record import Estimate
from mgaudit.reports.table import number
from mgaudit.reports.tables import (
    FEW_FALSE_POSITIVES,
    epsilon_at_least,
    epsilon_at_most,
    rounded_up,
)
from tests.docs.pages import ROOT
from tests.docs.recorded import Recorded, Where, facts, number_of

WIDTH = 128  # of the lines of a quote


Form = Callable[[Recorded, str], str]  # the text of a number with a footnote mark


def estimate(digits: int = 3, *, percent: bool = False, signed: bool = False) -> Form:
    """Returns the form "0.626 ± 0.014", or "97.3 [96.2, 98.1]" if the interval is asymmetric."""

    def text(recorded: Recorded, mark: str) -> str:
        assert recorded.low is not None
        assert recorded.high is not None
        interval = Estimate(value=recorded.value, low=recorded.low, high=recorded.high)
        return str(number(interval, 100 if percent else 1, digits, signed, mark))

    return text


def limits(digits: int = 3, *, signed: bool = False) -> Form:
    """Returns the form "[−0.081, −0.034]", without the number."""
    form = value(digits, signed=signed)

    def text(recorded: Recorded, mark: str) -> str:
        assert recorded.low is not None
        assert recorded.high is not None
        low, high = (
            form(replace(recorded, value=end), "") for end in (recorded.low, recorded.high)
        )
        return f"[{low}, {high}]{mark}"

    return text


def negative(form: Form) -> Form:
    """Returns the form of a cost: an estimate with the opposite sign."""

    def text(recorded: Recorded, mark: str) -> str:
        assert recorded.low is not None
        assert recorded.high is not None
        low, high = -recorded.high, -recorded.low
        return form(Recorded(-recorded.value, low, high, recorded.p_adjusted), mark)

    return text


def value(digits: int = 3, *, percent: bool = False, signed: bool = False) -> Form:
    """Returns the form "0.626", without the interval."""

    def text(recorded: Recorded, mark: str) -> str:
        point = Estimate(value=recorded.value, low=recorded.value, high=recorded.value)
        return number(point, 100 if percent else 1, digits, signed).text + mark

    return text


def at_least(recorded: Recorded, mark: str) -> str:
    """Returns a lower bound on ε, rounded down."""
    return epsilon_at_least(recorded.value) + mark


def at_most(recorded: Recorded, mark: str) -> str:
    """Returns an upper bound on ε, rounded up."""
    return epsilon_at_most(recorded.value) + mark


def delta(recorded: Recorded, mark: str) -> str:
    """Returns a δ, rounded up."""
    return rounded_up(recorded.value) + mark


def plain(recorded: Recorded, mark: str) -> str:
    """Returns a setting, such as a number of epochs."""
    return f"{recorded.value:g}" + mark


@dataclass(frozen=True)
class Figure:
    """A recorded number in its form on a page.

    Args:
        where: The columns of the number in the recording.
        form: How the number is shown.
        star: Whether a TPR has a star if fewer than ten non-members can pass the threshold.
        dagger: Columns of the tested difference, where they are others than in `where`: the figure
            has a dagger if the difference is significant. None: never a dagger.
    """

    where: Where
    form: Form
    star: bool = False
    dagger: Where | None = None

    def text(self) -> str:
        """Returns the text of the figure on the page."""
        text = self.form(number_of(self.where), "*" if self.star and self._is_coarse() else "")
        return text + (" †" if self.dagger is not None and self._is_significant() else "")

    def _is_coarse(self) -> bool:
        allowed = number_of({**self.where, "what": "false positives allowed"})
        return allowed.value < FEW_FALSE_POSITIVES

    def _is_significant(self) -> bool:
        assert self.dagger is not None
        tested = number_of({**self.where, **self.dagger})
        assert tested.p_adjusted is not None, self
        return tested.p_adjusted < SIGNIFICANT


@dataclass(frozen=True)
class Extreme:
    """The least or greatest of several figures; `choose` is min or max."""

    choose: Callable[..., Figure]
    figures: Sequence[Figure]

    def text(self) -> str:
        """Returns the text of the figure on the page."""
        return self.choose(self.figures, key=lambda figure: number_of(figure.where).value).text()


def least(figures: Sequence[Figure]) -> Extreme:
    return Extreme(min, figures)


def greatest(figures: Sequence[Figure]) -> Extreme:
    return Extreme(max, figures)


@dataclass(frozen=True)
class Fact:
    """A fact about a recording: a key of its TOML file, or a key within `versions`."""

    recording: str
    key: str

    def text(self) -> str:
        """Returns the text of the fact on the page, without the build after a "+"."""
        known = facts(self.recording)
        return str((known | known["versions"])[self.key]).partition("+")[0]


class Shown(Protocol):
    """A figure that has a text on a page."""

    def text(self) -> str:
        """Returns the text of the figure on the page."""


@dataclass(frozen=True)
class Place:
    """A part of a page, from `start` to `end`, and the text that it should have."""

    start: int
    end: int
    expected: str


def joined(text: str) -> str:
    """Returns the text of a page's lines in one line, without the marks of a quote."""
    return " ".join(re.sub(r"(?m)^> ?", "", text).split())


@dataclass(frozen=True)
class Column:
    """A column of figures. `where` is added to that of the row.

    A figure that is not recorded, such as the difference of the arm without noise to itself, is a
    dash if it is `optional`.
    """

    where: Where
    form: Form
    star: bool = False
    dagger: Where | None = None
    optional: bool = False

    def cell(self, row: Where) -> str:
        """Returns the text of the cell in a row."""
        figure = Figure({**row, **self.where}, self.form, self.star, self.dagger)
        try:
            return figure.text()
        except KeyError:
            if self.optional:
                return "–"
            raise


LABEL = None  # instead of a column of figures


@dataclass(frozen=True)
class Table:
    """A table of a page: the one with these columns after a heading.

    `rows` has the labels of each row, for the columns that are LABEL, and where its numbers are.
    """

    page: Path
    heading: str
    columns: Mapping[str, Column | None]
    rows: Mapping[Any, Where]  # by a tuple of labels

    @cached_property
    def expected(self) -> list[str]:
        """The lines of the rows."""
        return [self.row(labels, where) for labels, where in self.rows.items()]

    def row(self, labels: tuple[str, ...], where: Where) -> str:
        """Returns the line of a row."""
        label = iter(labels)
        return line(
            [
                next(label) if column is LABEL else column.cell(where)
                for column in self.columns.values()
            ]
        )

    def places(self, page: str) -> list[Place]:
        """Returns the places of the rows, or of all of them if there are too many or too few.

        Raises:
            LookupError: There is no such table.
        """
        header = line(list(self.columns))
        after = re.search(rf"^#+ {re.escape(self.heading)}$", page, flags=re.MULTILINE)
        start = -1 if after is None else page.find(header + "\n", after.end())
        if start < 0:
            raise LookupError(f"{self.page.name}: no table {header!r} after {self.heading!r}")
        block = re.compile(r".*\n.*\n((?:\|.*\n)*)").match(page, start)
        assert block is not None
        lines = list(re.compile(r"\|.*(?=\n)").finditer(page, *block.span(1)))
        if len(lines) == len(self.expected):
            together = zip(lines, self.expected, strict=True)
            return [Place(*row.span(), text) for row, text in together]
        return [Place(*block.span(1), "".join(f"{row}\n" for row in self.expected))]


def line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


@dataclass(frozen=True)
class Sentence:
    """A part of a sentence in which each {} stands for a figure."""

    page: Path
    text: str
    figures: tuple[Shown, ...]

    def places(self, page: str) -> list[Place]:
        """Returns the places of the figures. Raises LookupError where the sentence is not once."""
        words = (re.escape(part).replace(r"\ ", r"\s+(?:> )?") for part in self.text.split("{}"))
        pattern = r"([^|{}]{1,60}?)".join(words) + r"(?!\d)"  # a full stop is no decimal point
        found = list(re.finditer(pattern, page))
        if len(found) != 1:
            raise LookupError(f"{self.page.name}: {len(found)} times {self.text!r}")
        assert self.text.count("{}") == len(self.figures), self.text
        return [
            Place(*found[0].span(group), figure.text())
            for group, figure in enumerate(self.figures, start=1)
        ]


def sentence(page: Path, text: str, *figures: Shown) -> Sentence:
    return Sentence(page, text, figures)


@dataclass(frozen=True)
class Quote:
    """A verdict that a page quotes: the sentence at this position."""

    page: Path
    recording: str
    position: int

    def places(self, page: str) -> list[Place]:
        """Returns the place of the only quote. Raises LookupError where there is another number."""
        found = list(re.finditer(r"(?:^> .*\n)+", page, flags=re.MULTILINE))
        if len(found) != 1:
            raise LookupError(f"{self.page.name}: {len(found)} quotes")
        verdict = facts(self.recording)["verdict"][self.position]
        together = re.sub(r" (?=[%±])|(?<=[±≥]) ", "\xa0", verdict)
        lines = textwrap.wrap(together, WIDTH - 2, break_long_words=False, break_on_hyphens=False)
        quote = "".join(f"> {line}\n" for line in lines).replace("\xa0", " ")
        return [Place(*found[0].span(), quote)]


class Tied(Protocol):
    """A part of a page whose figures are recorded."""

    @property
    def page(self) -> Path:
        """The page."""

    def places(self, page: str) -> list[Place]:
        """Returns the places of the figures. Raises LookupError where they are not as expected."""


def differences(tied: Tied, page: str) -> list[str]:
    """Returns what a page shows instead of the recorded figures."""
    try:
        places = tied.places(page)
    except LookupError as error:
        return [str(error)]
    return [
        f"{tied.page.relative_to(ROOT)}: {shown!r} should be {expected!r}"
        for place in places
        for shown, expected in [(page[place.start : place.end], place.expected)]
        if joined(shown) != joined(expected)
    ]


def written(tied: Tied, page: str) -> str:
    """Returns the page with the recorded figures."""
    for place in reversed(tied.places(page)):
        shown, expected = page[place.start : place.end], place.expected
        if joined(shown) != joined(expected):
            page = page[: place.start] + expected + page[place.end :]
    return page
