"""BibTeX entries of the papers behind the methods that a result used."""

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from mgaudit.reports.formats.latex_text import escape_latex
from mgaudit.reports.results import PrivacyClaim, Result, StudyResult

ONE_RUN = ("steinke2023", "mahloujifar2024")
TWO_WAY = ("cameron2011", "owen2007")
SINGLE_TARGET = ("delong1988", "clopper1934")
HOLM = "holm1979"
CANARIES = "aerni2024"
BLIND = "das2024"
ACCOUNTANTS = {
    "PRV": "gopi2021",
    "PLD": "doroshenko2022",
    "RDP": "mironov2019",
    "GDP": "balle2018",
}
TRADE_OFF = "dong2022"
OPACUS = "yousefpour2021"


def references(result: Result) -> dict[str, str]:
    """Returns BibTeX entries by key, of all methods that the studies of a result used.

    These are attacks, schemes, bounds, accountants and statistics. An unknown source, such as that
    of a user's own attack, becomes an entry with its text as title and its arXiv number.
    """
    known = entries()
    cited: dict[str, str] = {}
    for study in result.studies:
        for source in _sources(study):
            key = key_of(source)
            cited[key] = known.get(key) or _unknown(key, source)
        cited |= {key: known[key] for key in _methods(study)}
    return cited


def _sources(study: StudyResult) -> Iterator[str]:
    """Yields the sources of all attacks and schemes."""
    yield from (attack.source for arm in study.arms for attack in arm.attacks)
    yield from (source for arm in study.arms for source in arm.sources)
    yield from (source for arm in study.lost for source in arm.sources)


def _methods(study: StudyResult) -> Iterator[str]:
    for arm in study.arms:
        if arm.claim is not None:
            yield OPACUS
            yield from (ACCOUNTANTS[name] for name in _accountants(arm.claim))
            if arm.claim.ceiling is not None:
                yield TRADE_OFF
    if any(arm.delta is not None for arm in study.arms):
        yield from ONE_RUN
    yield from (*TWO_WAY, *SINGLE_TARGET)
    if any(arm.canaries is not None for arm in study.arms):
        yield CANARIES
    if study.checks is not None and study.checks.blind is not None:
        yield BLIND
    if study.analysis.changes:
        yield HOLM


def _accountants(claim: PrivacyClaim) -> list[str]:
    """Returns the names of the accountants of the claim, the compared bounds and the ceilings."""
    bounds = {"PRV": claim.epsilon_prv, "PLD": claim.epsilon_pld}
    compared = [name for name, epsilon in bounds.items() if epsilon is not None]
    of_ceiling = [] if claim.ceiling is None else [claim.ceiling.accountant]
    return list(dict.fromkeys([claim.accountant, *compared, *of_ceiling]))


def arxiv_number(source: str) -> str:
    """Returns the arXiv number in a source, or an empty text.

    >>> arxiv_number("Carlini et al. 2022, arXiv 2112.03570")
    '2112.03570'
    """
    number = re.search(r"arXiv:? ?(\d{4}\.\d{4,5})", source)
    return number[1] if number else ""


def key_of(source: str) -> str:
    """Returns the key of a source: that of a known arXiv number, or else name and year.

    >>> key_of("Carlini et al. 2022, arXiv 2112.03570"), key_of("Krogh and Hertz 1991")
    ('carlini2022', 'krogh1991')
    >>> key_of("a blog")
    'a-blog'
    """
    number = arxiv_number(source)
    if number:
        for key, entry in entries().items():
            if f"eprint = {{{number}}}" in entry:
                return key
    named = re.match(r"([A-Za-z-]+).*?\b((?:19|20)\d\d)\b", source)
    if named:
        return (named[1].replace("-", "") + named[2]).lower()
    words = re.findall(r"[A-Za-z0-9]+", source)
    return "-".join(words).lower() or "source"


@cache
def entries() -> dict[str, str]:
    """Returns all known entries by key."""
    path = files("mgaudit.reports.formats") / "templates" / "references.bib"
    blocks = path.read_text(encoding="utf-8").strip().split("\n\n")
    return {block[block.index("{") + 1 : block.index(",")]: block for block in blocks}


def _unknown(key: str, source: str) -> str:
    number = arxiv_number(source)
    title = f"  title = {{{{{escape_latex(source)}}}}},\n"
    eprint = f"  eprint = {{{number}}},\n  archiveprefix = {{arXiv}},\n" if number else ""
    return f"@misc{{{key},\n{title}{eprint}}}"
