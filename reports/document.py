"""The report as data: what HTML and PDF both show, put together once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from mgaudit.reports import comparison_tables as compared
from mgaudit.reports.across import across_studies
from mgaudit.reports.arrays import Arrays
from mgaudit.reports.figures.adversaries import ignorance_section, power_section
from mgaudit.reports.figures.drawing import Drawing
from mgaudit.reports.figures.exposed import exposed_section
from mgaudit.reports.figures.overview import figures_section
from mgaudit.reports.method import facts_section, method_section
from mgaudit.reports.published import published_section
from mgaudit.reports.results import Result, StudyResult
from mgaudit.reports.section import Listing, Section, Words
from mgaudit.reports.table import Table
from mgaudit.reports.tables import all_metrics_section, main_section, single_targets_section
from mgaudit.reports.verdict import question, verdict


@dataclass(frozen=True)
class Chapter:
    """One study: its question, its verdict and its sections. The title is empty where there is but one."""

    anchor: str
    title: str
    question: str
    verdict: Sequence[str]
    sections: Sequence[Section]


@dataclass(frozen=True)
class Document:
    """Everything that a report shows, in its order: chapters, and then sections on all of them.

    `byline` says when it was made, of how much, by which version.
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
        return [*self.overview, *(section for one in self.chapters for section in one.sections), *self.closing]

    @property
    def tables(self) -> Iterator[tuple[Section, Table]]:
        """All tables in their order, each with its section."""
        return ((section, block) for section in self.sections for block in section.blocks if isinstance(block, Table))

    @property
    def drawings(self) -> Iterator[tuple[Section, Drawing]]:
        """All figures in their order, each with its section."""
        return ((section, block) for section in self.sections for block in section.blocks if isinstance(block, Drawing))


@dataclass(frozen=True)
class AuditDocument(Document):
    """The report of an audit, with the result that it tells of."""

    result: Result = field(repr=False)


def document(result: Result, arrays: Sequence[Arrays]) -> AuditDocument:
    """Returns the report of a result, `arrays` being those of its studies."""
    one = len(result.studies) == 1
    return AuditDocument(
        title=result.title or f"Privacy audit: {' and '.join(dict.fromkeys(study.name for study in result.studies))}",
        byline=_byline(result.studies),
        note=result.note,
        overview=[] if one else [Section("overview", "All studies", [across_studies(result.studies)])],
        chapters=[
            Chapter(
                f"study-{place + 1}",
                "" if one else f"{study.name}, seed {study.settings['seed']}",
                question(study),
                verdict(study),
                _sections(study, held, "" if one else f"study-{place + 1}-"),
            )
            for place, (study, held) in enumerate(zip(result.studies, arrays, strict=True))
        ],
        closing=[
            Section(
                "again",
                "Run it again",
                [
                    Words(["In the folder that the run was started in, RUN being the folder of this report:"]),
                    Listing(f"{result.command}\nmgaudit report RUN"),
                    Words(["with these settings, which are in settings.toml there:"]),
                    Listing(result.settings_toml),
                ],
            )
        ],
        result=result,
    )


def _byline(studies: Sequence[StudyResult]) -> str:
    arms = sum(len(study.arms) for study in studies)
    counts = [(len(studies), "study", "studies"), (arms, "arm", "arms")]
    told = [f"{count} {one if count == 1 else several}" for count, one, several in counts]
    versions = (study.provenance.versions.get("mgaudit", "of unknown version") for study in studies)
    made = dict.fromkeys(f"mgaudit {version}" for version in versions)
    return " · ".join([max(study.times.started for study in studies)[:10], *told, *made])


# A section is a function of a study and its arrays, which stands beside its table or figure; None leaves it out.
SECTIONS: tuple[Callable[[StudyResult, Arrays], Section | None], ...] = (
    main_section,
    figures_section,
    compared.differences_section,
    compared.front_section,
    compared.matched_section,
    compared.dp_equivalent_section,
    ignorance_section,
    power_section,
    single_targets_section,
    exposed_section,
    published_section,
    method_section,
    facts_section,
    all_metrics_section,
)


def _sections(study: StudyResult, arrays: Arrays, prefix: str) -> list[Section]:
    sections = (section for write in SECTIONS if (section := write(study, arrays)) is not None)
    return [replace(section, anchor=prefix + section.anchor) for section in sections]
