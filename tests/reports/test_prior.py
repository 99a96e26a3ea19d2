"""The PPV at a prior of the reader's own, from the PPVs in a result."""

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgaudit.attacks.intervals import Interval
from mgaudit.attacks.positive_predictive_value import PRIORS, ppv_interval
from mgaudit.errors import UsageError
from mgaudit.reports.document import AuditDocument, document
from mgaudit.reports.formats.html import render_html
from mgaudit.reports.formats.latex import table_tex
from mgaudit.reports.formats.numbers_csv import render_csv
from mgaudit.reports.formats.pdf import render_pdf
from mgaudit.reports.prior import checked_prior, ppv_at, with_prior
from mgaudit.reports.record import Estimate
from mgaudit.reports.results import Result
from mgaudit.reports.risk import PredictiveValues, PriorValue, Risk
from mgaudit.reports.section import Listing
from mgaudit.reports.table import Table
from tests import tex
from tests.fake_study import arrays, html_text, pdf_text, result, study, three_arms

TPR = Interval(0.21, 0.16, 0.27)
FPR = Interval(0.0131, 0.0131, 0.0131)  # that of a new non-member, and not the nominal 0.01
PRIOR = 0.03


def recorded(tpr: Interval = TPR, fpr: Interval = FPR) -> list[PriorValue]:
    """The PPVs at the priors of every result."""
    intervals = {prior: ppv_interval(tpr, fpr, prior) for prior in PRIORS}
    return [
        PriorValue(prior=prior, ppv=Estimate(value=ppv.value, low=ppv.low, high=ppv.high))
        for prior, ppv in intervals.items()
    ]


def by_hand(tpr: float, prior: float) -> float:
    return prior * tpr / (prior * tpr + (1 - prior) * FPR.value)


def test_the_ppv_is_that_of_the_formula_with_the_limits_of_the_tpr() -> None:
    ppv = ppv_at(PRIOR, recorded())
    assert ppv.value == pytest.approx(0.33146, abs=1e-5)  # 0.0063 / (0.0063 + 0.97 * 0.0131)
    assert ppv.value == pytest.approx(by_hand(TPR.value, PRIOR), rel=1e-12)
    assert ppv.low == pytest.approx(by_hand(TPR.low, PRIOR), rel=1e-12)
    assert ppv.high == pytest.approx(by_hand(TPR.high, PRIOR), rel=1e-12)
    nominal = PRIOR * TPR.value / (PRIOR * TPR.value + (1 - PRIOR) * 0.01)
    assert nominal - ppv.value > 0.05  # the nominal FPR would promise the adversary too much


RATES = st.floats(1e-4, 1.0)
OPEN = st.floats(1e-6, 1 - 1e-6)


@given(RATES, RATES, RATES, RATES, OPEN)
def test_the_interval_at_any_prior_is_that_of_the_attack(
    tpr: float, of_tpr: float, fpr: float, of_fpr: float, prior: float
) -> None:
    rates = Interval(tpr, tpr * of_tpr, tpr + (1 - tpr) * of_tpr)
    errors = Interval(fpr, fpr * of_fpr, fpr + (1 - fpr) * of_fpr)
    expected = ppv_interval(rates, errors, prior)
    ppv = ppv_at(prior, recorded(rates, errors))
    assert (ppv.value, ppv.low, ppv.high) == pytest.approx(expected, rel=1e-7)


def test_the_ppv_goes_from_0_to_1_with_the_prior() -> None:
    priors = [1e-9, 1e-6, 1e-3, 0.05, 0.5, 0.9, 1 - 1e-6, 1 - 1e-9]
    ppvs = [ppv_at(prior, recorded()) for prior in priors]
    for numbers in zip(*[(ppv.value, ppv.low, ppv.high) for ppv in ppvs], strict=True):
        assert list(numbers) == sorted(numbers)
        assert numbers[0] < 1e-7
        assert numbers[-1] > 1 - 1e-7
    assert all(ppv.low < ppv.value < ppv.high for ppv in ppvs)


@pytest.mark.parametrize("prior", [0.001, 0.03, 0.2, 0.77])
def test_the_ppv_of_guessing_is_the_prior(prior: float) -> None:
    guessing = Interval(FPR.value, FPR.value / 2, FPR.value * 2)
    ppv = ppv_at(prior, recorded(guessing))
    assert ppv.value == pytest.approx(prior, rel=1e-12)
    assert ppv.low < prior < ppv.high


def test_limits_of_0_and_1_stay() -> None:
    sure = [PriorValue(prior=0.5, ppv=Estimate(value=1.0, low=0.0, high=1.0))]
    assert ppv_at(0.001, sure) == Estimate(value=1.0, low=0.0, high=1.0)


@pytest.mark.parametrize("prior", [0.0, 1.0, -0.1, 3.0, float("nan"), float("inf")])
def test_a_prior_outside_0_and_1_is_refused(prior: float) -> None:
    with pytest.raises(UsageError, match="--prior must be a fraction") as caught:
        checked_prior(prior)
    assert ("write 3 % as 0.03" in str(caught.value)) == (prior == 3.0)


def with_ppv(**changes: Any) -> Result:
    """A result whose arms have PPVs at two FPRs."""
    values = [
        PredictiveValues(
            level=level,
            realised_fpr=level,
            fpr=FPR.value,
            tpr=Estimate(value=TPR.value, low=TPR.low, high=TPR.high),
            values=recorded(),
        )
        for level in (0.1, 0.01)
    ]
    risk = Risk(
        attack="lira",
        predictive_values=values,
        flagged=None,
        without_flagged="it is not in this test",
        over_targets=None,
        without_over_targets="it is not in this test",
        over_halves=None,
        without_over_halves="it is not in this test",
    )
    arms = [arm.model_copy(update={"risk": risk, **changes}) for arm in three_arms()]
    return result(study(arms=arms))


def ppv_table(content: AuditDocument) -> Table:
    (table,) = (table for _, table in content.tables if table.key == "ppv")
    return table


@pytest.mark.usefixtures("blank_figures")
def test_html_pdf_latex_and_csv_have_the_same_ppv_for_each_arm_and_fpr() -> None:
    content = document(with_ppv(), [arrays()], prior=PRIOR)
    table = ppv_table(content)
    column = table.columns.index("PPV at prior 3 %, %")
    assert table.columns[column - 1 : column + 2] == [
        "PPV at prior 10 %, %",
        "PPV at prior 3 %, %",
        "PPV at prior 1 %, %",
    ]
    cells = [str(row[column]) for row in table.rows]
    assert cells == ["33.1 [27.4, 38.9]"] * 6
    for text in (html_text(render_html(content)), pdf_text(render_pdf(content))):
        squeezed = "".join(text.split())
        assert "PPVatprior3%,%" in squeezed
        assert squeezed.count("33.1[27.4,38.9]") == 6
    lines = [line for line in table_tex(table, "l").splitlines() if line.startswith("{}")]
    assert len(lines) == 6
    for line in lines:
        cell = line.removesuffix(r" \tabularnewline").split(" & ")[column]
        assert tex.read(cell) == "33.1 [27.4, 38.9]"
    rows = list(csv.DictReader(io.StringIO(render_csv(content.result))))
    own = [row for row in rows if row["what"] == "PPV at prior 0.03"]
    assert len(own) == 6
    for row in own:
        assert float(row["value"]) == pytest.approx(by_hand(TPR.value, PRIOR), rel=1e-12)
        assert float(row["low"]) == pytest.approx(by_hand(TPR.low, PRIOR), rel=1e-12)
        assert float(row["high"]) == pytest.approx(by_hand(TPR.high, PRIOR), rel=1e-12)


@pytest.mark.usefixtures("blank_figures")
def test_the_report_says_how_it_is_rendered_again() -> None:
    (_, again) = document(with_ppv(), [arrays()], prior=PRIOR).sections[-1].blocks[:2]
    assert isinstance(again, Listing)
    assert again.text.endswith("mgaudit report RUN --prior 0.03")
    (_, again) = document(with_ppv(), [arrays()]).sections[-1].blocks[:2]
    assert isinstance(again, Listing)
    assert again.text.endswith("mgaudit report RUN")


def test_a_prior_that_a_result_has_already_is_not_added() -> None:
    assert with_prior(with_ppv(), 0.1) == with_ppv()


def test_a_result_without_a_risk_is_refused() -> None:
    with pytest.raises(UsageError, match="--prior needs a result with the risk"):
        with_prior(result(study()), PRIOR)
