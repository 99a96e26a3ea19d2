"""The report as data: what HTML and PDF both show, put together once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from mgaudit.reports import comparison_tables as compared
from mgaudit.reports.across import across_studies
from mgaudit.reports.figures.accuracy import accuracy_drawing
from mgaudit.reports.figures.adversaries import ignorance_drawing, power_drawing
from mgaudit.reports.figures.drawing import Drawing
from mgaudit.reports.figures.exposed import exposed_drawing, shared_exposure_drawing
from mgaudit.reports.figures.roc import roc_drawing
from mgaudit.reports.figures.scores import score_drawing
from mgaudit.reports.figures.strengths import strength_drawings
from mgaudit.reports.method import facts, method
from mgaudit.reports.published import published_table
from mgaudit.reports.results import Arrays, Result, StudyResult
from mgaudit.reports.tables import Table, accuracy_vs_privacy, all_metrics, by_class, most_exposed, single_targets
from mgaudit.reports.verdict import question, verdict


@dataclass(frozen=True)
class Words:
    """Paragraphs."""

    paragraphs: Sequence[str]


@dataclass(frozen=True)
class Facts:
    """Names and what they stand for."""

    pairs: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Listing:
    """Text as it is typed."""

    text: str


Block = Words | Facts | Listing | Table | Drawing


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it; `anchor` is unique in the document."""

    anchor: str
    title: str
    blocks: Sequence[Block]


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


def _sections(study: StudyResult, arrays: Arrays, prefix: str) -> list[Section]:
    main, metrics = accuracy_vs_privacy(study), all_metrics(study)
    ignorance, power = ignorance_drawing(study), power_drawing(study)
    exposed, shared = exposed_drawing(study, arrays), shared_exposure_drawing(study)
    sections: list[tuple[str, list[Block | None]]] = [
        (main.caption, [main]),
        (
            "Figures",
            [
                accuracy_drawing(study),
                *strength_drawings(study),
                roc_drawing(study, arrays),
                score_drawing(study, arrays),
            ],
        ),
        ("Differences to training without noise", [compared.differences(study)]),
        ("Pareto front", [compared.front(study)]),
        ("Privacy at matched accuracy", [compared.matched(study, "auc"), compared.matched(study, "tpr_at_0.001_fpr")]),
        ("DP-equivalent ε", [compared.dp_equivalent(study)]),
        ("Adaptive and naive adversary", [ignorance, compared.ignorance(study)]),
        ("Attack power and shadow models", [power, compared.power(study)]),
        ("Single targets", [single_targets(study)]),
        ("Exposed examples", [exposed, most_exposed(study), shared, compared.shared_exposure(study), by_class(study)]),
        ("Beside published figures", [published_table(study)]),
        ("Method", [Words(method(study))]),
        ("What was run", [Facts(facts(study))]),
        (metrics.caption, [metrics]),
    ]
    return [
        Section(prefix + _anchor(title), title, [block for block in blocks if block is not None])
        for title, blocks in sections
    ]


def _anchor(title: str) -> str:
    return "-".join(title.lower().replace("ε", "epsilon").split())
