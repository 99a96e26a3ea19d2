"""The report as data, built once for all formats."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from mgaudit.reports import comparison_tables as compared
from mgaudit.reports.across import across_studies
from mgaudit.reports.answer import answer_section
from mgaudit.reports.arrays import Arrays
from mgaudit.reports.canary_table import canary_section
from mgaudit.reports.ceiling_table import ceiling_section
from mgaudit.reports.check_section import check_section
from mgaudit.reports.figures.adversaries import ignorance_section, power_section
from mgaudit.reports.figures.drawing import Drawing
from mgaudit.reports.figures.exposed import exposed_section
from mgaudit.reports.figures.overview import figures_section
from mgaudit.reports.method import facts_section, method_section
from mgaudit.reports.prior import with_prior
from mgaudit.reports.published import published_section
from mgaudit.reports.results import Result, StudyResult
from mgaudit.reports.risk_tables import risk_section
from mgaudit.reports.search_tables import search_section
from mgaudit.reports.section import Block, Facts, Listing, Section, Words
from mgaudit.reports.short_paths import NOTE, with_short_paths
from mgaudit.reports.table import Table
from mgaudit.reports.tables import all_metrics_section, main_section, single_targets_section
from mgaudit.reports.verdict import question, verdict


@dataclass(frozen=True)
class Chapter:
    """One study: its question, answer, verdict and sections.

    The title is empty if there is only one. Without an answer, the verdict is all.
    """

    anchor: str
    title: str
    question: str
    verdict: Sequence[str]
    sections: Sequence[Section]
    answer: Section | None = None

    @property
    def all_sections(self) -> list[Section]:
        """The answer, if any, and the sections."""
        first = [] if self.answer is None else [self.answer]
        return [*first, *self.sections]


@dataclass(frozen=True)
class Document:
    """Everything that a report shows, in order: chapters, then sections on all of them.

    `byline` gives the date, the number of studies and arms, and the version of mgaudit.
    """

    title: str
    byline: str
    note: str
    overview: Sequence[Section]
    chapters: Sequence[Chapter]
    closing: Sequence[Section]

    @property
    def sections(self) -> list[Section]:
        """All sections in their order."""
        of_chapters = (section for chapter in self.chapters for section in chapter.all_sections)
        return [*self.overview, *of_chapters, *self.closing]

    @property
    def tables(self) -> Iterator[tuple[Section, Table]]:
        """All tables in their order, each with its section."""
        for section, block in self._blocks():
            if isinstance(block, Table):
                yield section, block

    @property
    def drawings(self) -> Iterator[tuple[Section, Drawing]]:
        """All figures in their order, each with its section."""
        for section, block in self._blocks():
            if isinstance(block, Drawing):
                yield section, block

    @cached_property
    def numbers(self) -> dict[int, str]:
        """The names of tables and figures, such as "Table 1", by their `id`.

        A table without rows has none.
        """
        tables = [table for _, table in self.tables if table.rows]
        drawings = [drawing for _, drawing in self.drawings]
        parts: Sequence[tuple[str, Sequence[Table | Drawing]]] = (
            ("Table", tables),
            ("Figure", drawings),
        )
        return {
            id(block): f"{word} {count}"
            for word, blocks in parts
            for count, block in enumerate(blocks, start=1)
        }

    def _blocks(self) -> Iterator[tuple[Section, Block]]:
        for section in self.sections:
            for block in section.blocks:
                yield section, block


@dataclass(frozen=True)
class AuditDocument(Document):
    """The report of an audit, with the result that it presents."""

    result: Result = field(repr=False)


def document(
    result: Result,
    arrays: Sequence[Arrays],
    full_paths: bool = False,
    prior: float | None = None,
) -> AuditDocument:
    """Returns the report of a result.

    Args:
        result: The result of one or several studies.
        arrays: The arrays of each study, in the order of `result.studies`.
        full_paths: Whether to show the directories of the data.
        prior: A prior in (0, 1) at which to add the PPV; None adds none.

    Raises:
        UsageError: If a prior is given and the result has no PPV.
    """
    if prior is not None:
        result = with_prior(result, prior)
    complete = result
    if not full_paths:
        result = _with_leaks_of(complete, with_short_paths(complete))
    several = len(result.studies) > 1
    overview = []
    if several:
        overview.append(Section("overview", "All studies", [across_studies(result.studies)]))
    numbered = enumerate(zip(result.studies, arrays, strict=True), start=1)
    chapters = [_chapter(count, study, own, several) for count, (study, own) in numbered]
    return AuditDocument(
        title=result.title or _default_title(result.studies),
        byline=_byline(result.studies),
        note=result.note,
        overview=overview,
        chapters=chapters,
        closing=[_run_again(result, result is not complete, prior)],
        result=result,
    )


def _with_leaks_of(complete: Result, shortened: Result) -> Result:
    """Returns the shortened result with the smallest leaks, which its JSON does not have."""
    if shortened is complete:
        return complete
    pairs = zip(complete.studies, shortened.studies, strict=True)
    studies = [
        study.model_copy(update={"smallest_leaks": whole.smallest_leaks}) for whole, study in pairs
    ]
    return shortened.model_copy(update={"studies": studies})


def _default_title(studies: Sequence[StudyResult]) -> str:
    names = dict.fromkeys(study.name for study in studies)
    return f"Privacy audit: {' and '.join(names)}"


def _chapter(count: int, study: StudyResult, arrays: Arrays, several: bool) -> Chapter:
    """Returns the chapter of a study; with several studies it has a title and unique anchors."""
    anchor = f"study-{count}"
    title, prefix = "", ""
    if several:
        title = f"{study.name}, seed {study.settings['seed']}"
        prefix = f"{anchor}-"
    sections = _sections(study, arrays, prefix)
    answer = answer_section(study)
    answer = replace(answer, anchor=prefix + answer.anchor)
    return Chapter(anchor, title, question(study), verdict(study), sections, answer)


def _run_again(result: Result, is_shortened: bool, prior: float | None) -> Section:
    option = "" if prior is None else f" --prior {prior!r}"
    where = "In the directory where the run was started, with RUN the directory of this report:"
    blocks: list[Block] = [
        Words([where]),
        Listing(f"{result.command}\nmgaudit report RUN{option}"),
        Words(["The settings, which are also in RUN/settings.toml:"]),
        Listing(result.settings_toml),
    ]
    if is_shortened:
        blocks.append(Words([NOTE]))
    return Section("again", "Run it again", blocks)


def _byline(studies: Sequence[StudyResult]) -> str:
    arms = sum(len(study.arms) for study in studies)
    date = max(study.times.started for study in studies)[:10]
    counts = [_count(len(studies), "study", "studies"), _count(arms, "arm", "arms")]
    versions = [study.provenance.versions.get("mgaudit", "of unknown version") for study in studies]
    programs = dict.fromkeys(f"mgaudit {version}" for version in versions)
    return " · ".join([date, *counts, *programs])


def _count(count: int, singular: str, plural: str) -> str:
    return f"{count} {singular if count == 1 else plural}"


# Each function returns a section, or None to omit it; it is defined beside its table or figure.
SECTIONS: tuple[Callable[[StudyResult, Arrays], Section | None], ...] = (
    main_section,
    search_section,
    check_section,
    figures_section,
    ceiling_section,
    canary_section,
    compared.differences_section,
    compared.pairs_section,
    compared.front_section,
    compared.matched_section,
    compared.dp_equivalent_section,
    ignorance_section,
    compared.through_noise_section,
    power_section,
    single_targets_section,
    risk_section,
    exposed_section,
    published_section,
    method_section,
    facts_section,
    all_metrics_section,
)


# Sections that compare arms, and those that compare the noise of mgaudit.
OF_SEVERAL_ARMS = (
    compared.differences_section,
    compared.pairs_section,
    compared.front_section,
    ignorance_section,
)
OF_NOISE = (compared.matched_section, compared.dp_equivalent_section, published_section)


def _sections(study: StudyResult, arrays: Arrays, prefix: str) -> list[Section]:
    left_out: tuple[Callable[[StudyResult, Arrays], Section | None], ...] = ()
    if study.checks is not None:  # models that mgaudit did not train
        left_out = OF_NOISE if len(study.arms) > 1 else OF_NOISE + OF_SEVERAL_ARMS
    sections = [build(study, arrays) for build in SECTIONS if build not in left_out]
    present = [section for section in sections if section is not None]
    absent = [(section.title, section.absent) for section in present if section.absent]
    with_blocks = [section for section in present if section.blocks]
    if absent:
        with_blocks.append(Section.of("Not computed", Facts(absent)))
    return [replace(section, anchor=prefix + section.anchor) for section in with_blocks]
