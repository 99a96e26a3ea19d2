"""What looks like a measured figure in the text of a page, and which of it is none."""

import json
import re
from pathlib import Path

from tests.docs.pages import DOCS, PAGES, ROOT

CHECKED = [
    *(page for page in PAGES if DOCS / "papers" not in page.parents),
    *(ROOT / name for name in ("SECURITY.md", "CONTRIBUTING.md")),
]  # reports of papers are results themselves

NUMBER = r"(?<![\w.,/^#-])[−+-]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)"
UNIT = "s|ms|µs|min|h|hours?|minutes?|seconds?|MiB|GiB|GB|MB|kB|bytes|GFLOP/s|times"
MEASURED = re.compile(
    "|".join(
        (
            rf"{NUMBER}\s?(?:{UNIT})\b",
            rf"{NUMBER}\s×(?!\s?\d)",
            rf"{NUMBER}\s?%",
            rf"{NUMBER}\spercentage",
            r"± ?[\d.]+",
            r"\[[−+-]?[\d.]+,\s[−+-]?[\d.]+\]",
            r"ε ≥ \d+\.\d+",
            r"(?<=\| )\d+\.\d+(?= \|)",
            # Two decimals or more, and no value of a symbol such as "κ = 0.75".
            r"(?<![\w.=≥≤<>/^-])(?<![=≥≤<>κσεδμc]\s)[−+-]?\d*\.\d\d+(?![\d.]*[\w(])",
        )
    )
)
# Levels, rates and priors, which the method sets.
LEVELS = ("0.1", "1", "5", "10", "20", "50", "80", "95", "97.5", "98.75", "99", "100", "2.5")
NO_TEXT = (
    r"(?ms)^( *)```.*?^ *```$",  # a block of code
    r"`[^`\n]*`",
    r"arXiv\s+\d+\.\d+|\d{4}\.\d{5}",
    r"(?:[vV]ersions?|Python|Opacus|torch)\s+[\d.]+",
)


def measured(text: str) -> list[str]:
    """Returns the parts of a text that look like measured figures.

    >>> measured("The AUC is 0.612 ± 0.02 at κ = 0.75, and 1.8 % fail at the level of 95 %.")
    ['0.612', '± 0.02', '1.8 %']
    >>> measured("It takes 3 s, twice as long as in version 0.2. `--clip 0.01` | 4.5 |")
    ['3 s', '4.5']
    >>> measured("A slope of 2.8 [2.7, 2.9], which is 1.5 times that without.")
    ['[2.7, 2.9]', '1.5 times']
    """
    for pattern in NO_TEXT:
        text = re.sub(pattern, "…", text)
    found = (match[0] for match in MEASURED.finditer(text))
    return [part for part in found if part.rstrip(" %") not in LEVELS]


SETTING, EXAMPLE = "a setting of the method", "an example"
IN_TEST = "a bound that a test asserts"
SIMULATED = "a setting of the simulation"
DERIVED = "follows from other numbers"
AIM = "an aim"
VALIDATION, METHOD = DOCS / "validation.md", DOCS / "method.md"
CONCEPTS, HOW_TO = DOCS / "concepts", DOCS / "howto"
RESULTS = DOCS / "results.md"

# Words of pages with numbers that are not measured, and why; or that are, and why they are not
# tied. Words that begin with "#" are the heading of a section.
NOT_TIED = {
    (CONCEPTS / "intervals.md", "*0.626 ± 0.014*"): EXAMPLE,
    (CONCEPTS / "low-fpr.md", "an AUC of about 0.525"): DERIVED,
    (CONCEPTS / "verdict.md", "The margins are 0.02"): SETTING,
    (DOCS / "data-protection.md", "here 3 %"): EXAMPLE,
    (DOCS / "read-report.md", "here 3 %"): EXAMPLE,
    (HOW_TO / "ci.md", "is above 0.99, and all are below 0.999"): EXAMPLE,
    (HOW_TO / "ci.md", "if an AUC above 0.55 is"): EXAMPLE,
    (HOW_TO / "ci.md", "unless an AUC below 0.55 is"): EXAMPLE,
    (HOW_TO / "ci.md", "exactly 0.55 fails by chance"): EXAMPLE,
    (HOW_TO / "ci.md", "exactly 0.55 passes by chance"): EXAMPLE,
    (HOW_TO / "cluster.md", "a model of 10 s needs 1,000 s on 100 workers"): DERIVED,
    (HOW_TO / "dp-training.md", "out of 100 prove ε ≥ 3.4"): "computed in test_figures.py",
    (HOW_TO / "own-network.md", "a_r = ±1"): SETTING,
    (HOW_TO / "tune-dp.md", "at learning rate 0.05"): SETTING,
    (METHOD, "0.02 (SGD), 0.05 (DP-SGD) or 0.001 (Adam)"): SETTING,
    (METHOD, "at least ε − 0.01"): SETTING,
    (METHOD, "by less than 0.001"): SETTING,
    (METHOD, "0.01, 0.1 or 1: the larger"): SETTING,
    (METHOD, "cover at least 90 % ("): IN_TEST,
    (METHOD, "1.2 times the TPR of guessing"): SETTING,
    (METHOD, "the quantile 1 − 0.001"): SETTING,
    (METHOD, "a probability of about 0.001"): SETTING,
    (METHOD, "Two further tests at the level 0.001"): SETTING,
    (METHOD, "binomial test at the level 0.001"): SETTING,
    (METHOD, "is below 0.002"): SETTING,
    (METHOD, "they prove ε ≥ 3.3 at"): "computed in test_figures.py",
    (DOCS / "papers.md", "Growth begins at ηλ = 2 ×"): SETTING,
    (DOCS / "papers.md", "divergence begins at ηλ = 4 ×"): SETTING,
    (DOCS / "performance.md", "at most 2.5 times the size of the logits"): AIM,
    (DOCS / "performance.md", "The aim is 10 s"): AIM,
    (DOCS / "performance.md", "largest activation in\n16 MiB"): SETTING,
    (DOCS / "reliability.md", "no process was left after 5 s"): "a limit of the benchmark",
    (RESULTS, "by the verdict's margin of 0.02"): SETTING,
    (RESULTS, "lowers the AUC by more than 0.01"): "a statement, tested in statements.py",
    (RESULTS, "a smoothing of 0.05 to 0.3"): SETTING,
    (DOCS / "stability.md", "| 8 | 0.3 |"): "a version",
    (DOCS / "stability.md", "| 6 | 0.2 |"): "a version",
    (VALIDATION, "this share is 93 to 97 % for one target, and 93 to 98.5 % over"): IN_TEST,
    (VALIDATION, "AUCs above .99"): SIMULATED,
    (VALIDATION, "asserts 70 to 90 % in"): IN_TEST,
    (VALIDATION, "at least 75 % for the AUC of exposed"): IN_TEST,
    (VALIDATION, "up to 2.9 %, without"): DERIVED,
    (VALIDATION, "the power is below 70 %."): IN_TEST,
    (VALIDATION, "70 to 90 % up to two standard errors"): IN_TEST,
    (VALIDATION, "also 70 % less two standard errors"): IN_TEST,
    (VALIDATION, "(standard errors 0.7 and 1.5 %)"): DERIVED,
    (VALIDATION, "the leak of whole models differs by 30 %"): SIMULATED,
    (VALIDATION, "in 3 % of the runs. Clopper"): SIMULATED,
    (VALIDATION, "are within 25 % everywhere. **All other bounds are not within 25 % in"): IN_TEST,
    (
        VALIDATION,
        "a standard deviation of 0.01 for the AUC (0.006 for the TPR), that of the shared examples "
        "0.004 (0.0025), and that of both 0.008 (0.006).",
    ): SIMULATED,
    (VALIDATION, "an AUC of 0.7 and a TPR of 6 %"): SIMULATED,
    (VALIDATION, "three margins (0.06 in AUC)"): DERIVED,
    (VALIDATION, "Here m is 0.05, because the intervals are too wide for 0.02,"): SIMULATED,
    (VALIDATION, "a standard deviation of 30 %"): SIMULATED,
    (VALIDATION, "(0.65 for d = 0)"): SIMULATED,
    (VALIDATION, "standard errors are about 1.3 %"): DERIVED,
    (VALIDATION, "lists are shorter than 60 %"): IN_TEST,
    (VALIDATION, "the simulation error is 0.7 percentage points"): DERIVED,
}
# Lines of pages that another test compares.
ELSEWHERE = {HOW_TO / "tune-dp.md": r"(?m)^\| (?:digits|CIFAR-10), .*$"}  # test_dp_search.py


NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


def notebook_text(path: Path) -> str:
    """Returns the text of the cells of a notebook that are no code."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] != "code")


def untied(page: Path, text: str) -> str:
    """Returns a text of a page without the words that are not tied."""
    text = re.sub(ELSEWHERE.get(page, r"\Z"), "", text)
    for other, words in NOT_TIED:
        if other == page:
            text = without_part(text, words)
    return text


def without_part(text: str, words: str) -> str:
    """Returns a text without these words, or without the section that they are the heading of.

    Raises:
        LookupError: The words are not there exactly once.
    """
    pattern = re.escape(words).replace(r"\ ", r"\s+")
    if words.startswith("#"):
        level = len(words.partition(" ")[0])
        pattern = rf"(?ms)^{pattern}\n.*?(?=^#{{1,{level}}} |\Z)"
    changed, number = re.subn(pattern, "", text)
    if number != 1:
        raise LookupError(f"{number} times {words!r}")
    return changed
