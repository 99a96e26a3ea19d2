"""What pages say in words about printed tables and claims, each with the condition for it."""

from collections.abc import Iterable

from tests.docs.page_others import RESULTS_PAGE
from tests.docs.page_papers import MASKING, PAGE, WEIGHTS, row_of
from tests.docs.page_tables import (
    DIFFERENCES,
    FLAGGED_ROWS,
    ONE_RUN,
    PERFORMANCE,
    RULES,
    VALIDATION,
    WITH_SHADOWS,
    WRONG,
    WRONG_ALONE,
)
from tests.docs.recorded_tables import Where, matching, value_of
from tests.docs.statements import Statement


def values(file: str, columns: Iterable[str], where: Where | None = None) -> list[float]:
    """Returns the numbers of columns in the rows that have the columns `where`."""
    found = matching(file, where or {})
    assert found, (file, where)
    return [value_of(row[column]) for row in found for column in columns]


def lowest_attack() -> str:
    found = [row for file in WITH_SHADOWS for row in matching(file, {})]
    return min(found, key=lambda row: value_of(row["covered, %"]))["attack"]


def missed(file: str, value: str) -> list[dict[str, str]]:
    """Returns the rows whose value misses the aim."""
    return [row for row in matching(file, {}) if value_of(row[value]) < value_of(row["aim"])]


GAUSSIAN, OTHERS = RULES[2:], (*RULES[:2], *ONE_RUN)
NO_DIFFERENCE, PROTECTS = "no difference that matters", "protects"

ON_VALIDATION = [
    Statement(
        VALIDATION,
        "of the stacked attack with 200 audits.",
        lambda: lowest_attack() == "stacked",
    ),
    Statement(
        VALIDATION,
        "**For LiRA the power is below 70 %.**",
        lambda: (
            max(
                values(
                    "detectable-shadows",
                    ("AUC", "difference in AUC", "TPR", "difference in TPR"),
                    {"attack": "LiRA"},
                )
            )
            < 70
        ),
    ),
    Statement(
        VALIDATION,
        "assume the family that is true here, are within 25 % everywhere.",
        lambda: min(values("bounds-tightness", GAUSSIAN)) >= 0.75,
    ),
    Statement(
        VALIDATION,
        "**All other bounds are not within 25 % in most cells**",
        lambda: sum(value < 0.75 for value in values("bounds-tightness", OTHERS)) > 42,  # of 84
    ),
    Statement(
        VALIDATION,
        "All percentages are below 5, because",
        lambda: (
            max(values("verdict-errors", WRONG.values())) < 5
            and max(values("verdict-errors-alone", WRONG_ALONE)) < 5
        ),
    ),
    Statement(
        VALIDATION,
        "With 8 models, a difference of three margins (0.06 in AUC) is always found to protect",
        lambda: (
            min(values("verdict-power", (PROTECTS,), {"d, margins": "−3", "models": "8"})) == 100
        ),
    ),
    Statement(
        VALIDATION,
        "With 32 models, it is then mostly *no difference that matters*.",
        lambda: (
            min(values("verdict-power", (NO_DIFFERENCE,), {"d, margins": "0", "models": "32"})) > 50
        ),
    ),
    Statement(
        VALIDATION,
        "With 400 examples and 8 models, it never finds *no difference that matters*",
        lambda: (
            max(values("verdict-power-shadows", (NO_DIFFERENCE,), {"metric": "TPR", "models": "8"}))
            == 0
        ),
    ),
    Statement(
        VALIDATION,
        "The FDR is above 10 % only in one row, with 8 groups and 3 targets,",
        lambda: (
            [
                (row["law"], row["targets"], row["examples"])
                for row in matching("flagged", FLAGGED_ROWS)
                if value_of(row["FDR"]) > 10
            ]
            == [("groups of 5", "3", "40")]
        ),
    ),
]
ON_PERFORMANCE = [
    Statement(
        PERFORMANCE,
        "## Aims that are missed, and what limits the speed **Images MLP,",
        lambda: (
            {row["case"] for row in missed("training", "÷ plain")}
            == {"images MLP 3072-512-256-10", "digits CNN 32-64, 128"}
        ),
    ),
    Statement(
        PERFORMANCE,
        "Both reach their aims",
        lambda: missed("whole-audit", "ratio") == [],
    ),
    Statement(
        RESULTS_PAGE,
        "**BaVarIA is at least as good as LiRA and RMIA in AUC at every number of shadow models.**",
        lambda: (
            min(
                value_of(row["AUC"])
                for row in matching(DIFFERENCES, {})
                if row["difference"].startswith("BaVarIA, Student's t −")
            )
            >= 0
        ),
    ),
]


def interval(paper: str, place: str) -> tuple[float, float]:
    """Returns the limits of the 95 % interval of a claim."""
    row = row_of(paper, place)
    return float(row["low"]), float(row["high"])


def covers_zero(paper: str, *places: str) -> bool:
    limits = [interval(paper, place) for place in places]
    return all(low <= 0 <= high for low, high in limits)


def is_above(paper: str, *places: str) -> bool:
    return all(interval(paper, place)[0] > 0 for place in places)


ON_PAPERS = [
    Statement(
        PAGE,
        "κ = 0.2 does not measurably change the accuracy of the MLP",
        lambda: covers_zero(MASKING, "fig4/small-kappa-helps"),
    ),
    Statement(
        PAGE,
        "κ = 1.5 does not measurably lower the accuracy of the MLP",
        lambda: interval(MASKING, "fig4/mlp-degrades")[1] >= 0,
    ),
    Statement(
        PAGE,
        "but it lowers the accuracy of the CNN",
        lambda: interval(MASKING, "fig4/cnn-degrades")[1] < 0,
    ),
    Statement(
        PAGE,
        "times fewer averagings, not twenty times fewer",
        lambda: interval(MASKING, "fig3b/fewer-rounds")[1] < 20,
    ),
    Statement(
        PAGE,
        "the AUC of LiRA is *higher* than without a mask",
        lambda: is_above(MASKING, "fig5/mlp-monotone", "fig5/cnn-monotone"),
    ),
    Statement(
        PAGE,
        "at no measurable cost in accuracy",
        lambda: covers_zero(MASKING, "open-questions/large-kappa-cost"),
    ),
    Statement(
        PAGE,
        "Neither mask is close to DP-SGD at ε = 8",
        lambda: is_above(MASKING, "open-questions/formal-dp"),
    ),
    Statement(
        PAGE,
        "percentage points, and each interval covers 0)",
        lambda: covers_zero(
            WEIGHTS, *(f"sigma-sweep/accuracy-{name}" for name in ("wide", "deep", "cnn"))
        ),
    ),
]

TABLE_STATEMENTS = [*ON_VALIDATION, *ON_PERFORMANCE, *ON_PAPERS]
