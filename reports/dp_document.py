"""The report of an audit of DP-SGD: finding, bounds, checks, figures, and how to repeat it."""

import shlex
from collections.abc import Sequence

from mgaudit.reports.arrays import Arrays
from mgaudit.reports.document import Chapter, Document
from mgaudit.reports.dp_audit import DPAuditResult, bounds_table, finding
from mgaudit.reports.figures.dp_audit import roc_drawing, score_drawing, steps_drawing
from mgaudit.reports.section import Block, Facts, Listing, Section, Words
from mgaudit.reports.short_paths import NOTE, with_short_paths
from mgaudit.reports.table import Cell, Table
from mgaudit.reports.white_box import checks_table

QUESTION = "How much privacy loss can be proved, and does the proof reach the claim?"

# What an adversary sees and does, and the command that proves more, if there is one.
THREAT_MODELS = {
    "one-run": (
        "The adversary knows the data and the candidates for canaries, and sees the final models. "
        "It guesses, for each canary, whether it was trained on. These bounds hold for every "
        "mechanism, and are far below the claim even where the claim is tight: the final models "
        "say less than all steps, and a limited number of guesses proves a limited ε. An adversary "
        "who sees every step proves more; {white_box} is this audit."
    ),
    "white-box": (
        "The adversary sees what every step releases, as the claim of DP-SGD assumes, and adds "
        "canaries of its own to the steps. Its bounds come near the claim. They are implied by the "
        "accountant, so they say nothing of the accounting; the checks look at what it assumes."
    ),
    "repeated": (
        "The adversary knows the data and the start of the training, adds one example or leaves it "
        "out, and sees the final model of each training. The runs are independent, so the first "
        "bound needs no assumption; the number of runs limits it. mgaudit audit-dp --adversary "
        "white-box proves more in one training."
    ),
}
WHITE_BOX = "mgaudit audit-dp --adversary white-box"
WHITE_BOX_OF_LOOP = "mgaudit.WhiteBoxAuditor, for a loop with Opacus,"
ALARM_MEANS = (
    "An alarm means that the implementation or the accounting is wrong, or that it is false, which "
    "a correct implementation causes with at most the significance as probability. No alarm is no "
    "proof that the claim holds."
)


def dp_document(
    result: DPAuditResult, arrays: Arrays, permission: str = "", full_paths: bool = False
) -> Document:
    """Returns the report; `arrays` are those that were kept with the result.

    `permission` is the option that the command needs which repeats the audit, or "". `full_paths`
    states whether to show the directories of the data.
    """
    complete = result
    if not full_paths:
        result = with_short_paths(complete)
    bounds: list[Block] = [bounds_table(result), Words([_threat_model(result)])]
    sections = [Section.of("Bounds", *bounds)]
    facts = result.white_box
    if facts is not None:
        sections.append(Section.of("Checks", checks_table(facts), Words([ALARM_MEANS])))
    elif result.adversary == "one-run":
        sections.append(Section.of("Alarm", Words([ALARM_MEANS])))
    sections.append(Section.of("Figures", *_drawings(result, arrays)))
    ceilings = _ceilings(result)
    if ceilings is not None:
        sections.append(Section.of("Ceilings", ceilings))
    version = result.provenance.versions.get("mgaudit", "of unknown version")
    return Document(
        title=f"Audit of {result.label}",
        byline=f"{result.started[:10]} · adversary: {result.adversary} · mgaudit {version}",
        note="",
        overview=[],
        chapters=[Chapter("audit", "", QUESTION, [finding(result)], sections)],
        closing=[_run_again(result, permission, result is not complete)],
    )


def _threat_model(result: DPAuditResult) -> str:
    """Returns what the adversary sees and does, and which audit proves more."""
    white_box = WHITE_BOX_OF_LOOP if result.command else WHITE_BOX
    return THREAT_MODELS[result.adversary].format(white_box=white_box)


def _drawings(result: DPAuditResult, arrays: Arrays) -> Sequence[Block]:
    scores = score_drawing(result, arrays)
    if result.white_box is None:
        return [scores, roc_drawing(result, arrays)]
    # A ROC curve of single steps cannot be compared with the ceiling, which is that of all steps.
    by_steps = steps_drawing(result)
    return [scores] if by_steps is None else [by_steps, scores]


def _ceilings(result: DPAuditResult) -> Table | None:
    """Returns what no attack exceeds under the claim; None where there is no claim."""
    if result.ceiling is None:
        return None
    names = {
        "auc": "AUC",
        "advantage": "advantage",
        "tpr@0.001": "TPR at 0.1 % FPR",
        "tpr@0.01": "TPR at 1 % FPR",
        "tpr@0.1": "TPR at 10 % FPR",
    }
    values = result.ceiling.metrics
    rows = [
        [Cell(words), Cell(f"{values[name]:.3f}", value=values[name])]
        for name, words in names.items()
        if name in values
    ]
    notes = [
        f"From the trade-off curve of {result.ceiling.accountant}. No attack on one example "
        "exceeds these, even one that sees every step, if the claim holds."
    ]
    caption = "Largest success that the claim allows"
    return Table("ceilings", caption, ["Metric", "At most"], rows, notes)


def _run_again(result: DPAuditResult, permission: str, is_shortened: bool) -> Section:
    provenance = result.provenance
    versions = ", ".join(f"{name} {version}" for name, version in provenance.versions.items())
    facts = [
        ("Time", f"{result.seconds:.0f} s"),
        ("Device", provenance.device),
        ("Versions", versions),
    ]
    blocks: list[Block] = [Facts(facts)]
    if result.notes:
        blocks.insert(0, Words(list(result.notes)))
    settings = shlex.join(["mgaudit", "audit-dp", "--settings", "settings.toml"])
    blocks.append(Listing(result.command or settings + permission))
    if is_shortened:
        blocks.append(Words([NOTE]))
    return Section.of("Run it again", *blocks)
