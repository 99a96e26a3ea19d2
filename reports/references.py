"""The papers behind the methods that a result used, as BibTeX."""

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from mgaudit.reports.formats.latex_text import escape_latex
from mgaudit.reports.results import Result, StudyResult

ONE_RUN = ("steinke2023", "mahloujifar2024")
TWO_WAY = ("cameron2011", "owen2007")
SINGLE_TARGET = ("delong1988", "clopper1934")
HOLM = "holm1979"
ACCOUNTANTS = {"PRV": "gopi2021"}
OPACUS = "yousefpour2021"


def references(result: Result) -> dict[str, str]:
    """Returns BibTeX entries by key, of the attacks, schemes, bounds, accountants and statistics that were used.

    A source that is not known, as that of an attack of one's own, becomes an entry that says it as it was given, with
    its arXiv number.
    """
    known, found = entries(), dict[str, str]()
    for study in result.studies:
        for source in _sources(study):
            key = key_of(source)
            found[key] = known.get(key) or _unknown(key, source)
        found |= {key: known[key] for key in _methods(study)}
    return found


def _sources(study: StudyResult) -> Iterator[str]:
    """Yields the sources of all attacks and schemes, as they were given."""
    yield from (attack.source for arm in study.arms for attack in arm.attacks)
    yield from (source for arm in study.arms for source in arm.sources)
    yield from (source for arm in study.lost for source in arm.sources)


def _methods(study: StudyResult) -> Iterator[str]:
    for arm in study.arms:
        if arm.claim is not None:
            yield OPACUS
            yield from (key for name, key in ACCOUNTANTS.items() if name in arm.claim.accountant)
    yield from (*ONE_RUN, *TWO_WAY, *SINGLE_TARGET)
    if study.analysis.changes:
        yield HOLM


def arxiv_number(source: str) -> str:
    """Returns the arXiv number in a source, empty where it has none.

    >>> arxiv_number("Carlini et al. 2022, arXiv 2112.03570")
    '2112.03570'
    """
    number = re.search(r"arXiv:? ?(\d{4}\.\d{4,5})", source)
    return number[1] if number else ""


def key_of(source: str) -> str:
    """Returns the key of a source: that of its arXiv number where it is known, or name and year.

    >>> key_of("Carlini et al. 2022, arXiv 2112.03570"), key_of("Krogh and Hertz 1991"), key_of("a blog")
    ('carlini2022', 'krogh1991', 'a-blog')
    """
    number = arxiv_number(source)
    if number:
        for key, entry in entries().items():
            if f"eprint = {{{number}}}" in entry:
                return key
    named = re.match(r"([A-Za-z-]+).*?\b((?:19|20)\d\d)\b", source)
    words = (
        named[1].replace("-", "") + named[2]
        if named
        else "-".join(re.findall(r"[A-Za-z0-9]+", source))
    )
    return words.lower() or "source"


@cache
def entries() -> dict[str, str]:
    """Returns all entries that are known, by key."""
    text = (files("mgaudit.reports.formats") / "templates" / "references.bib").read_text(
        encoding="utf-8"
    )
    return {
        entry[entry.index("{") + 1 : entry.index(",")]: entry
        for entry in text.strip().split("\n\n")
    }


def _unknown(key: str, source: str) -> str:
    number = arxiv_number(source)
    eprint = f"  eprint = {{{number}}},\n  archiveprefix = {{arXiv}},\n" if number else ""
    return f"@misc{{{key},\n  title = {{{{{escape_latex(source)}}}}},\n{eprint}}}"
