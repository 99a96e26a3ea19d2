"""The same report in every form."""

import pytest

from mgaudit.reports import document as report
from mgaudit.reports.arrays import Arrays
from mgaudit.reports.document import document
from mgaudit.reports.formats.html import render_html
from mgaudit.reports.formats.numbers_csv import render_csv
from mgaudit.reports.formats.pdf import render_pdf
from mgaudit.reports.method import method
from mgaudit.reports.record import NamedChoice
from mgaudit.reports.results import EpsilonProof, StudyResult
from mgaudit.reports.section import Facts, Section, Words
from mgaudit.reports.table import Cell, Table
from mgaudit.reports.tables import accuracy_vs_privacy
from mgaudit.reports.verdict import verdict
from tests.fake_study import NASTY, arrays, html_text, many, pdf_text, result, study

SECTIONS = [
    "Answer",
    "Accuracy against privacy",
    "Figures",
    "Ceilings of the accountant",
    "Differences to training without noise",
    "Differences between arms",
    "Pareto front",
    "Privacy at matched accuracy",
    "Adaptive and naive adversary",
    "Attack power and shadow models",
    "Single targets",
    "Exposed examples",
    "Method",
    "What was run",
    "All metrics",
    "Not computed",
    "Run it again",
]


@pytest.mark.usefixtures("blank_figures")
def test_html_and_pdf_show_the_same_sections_and_every_cell_of_every_table() -> None:
    content = document(result(study()), [arrays()])
    assert [section.title for section in content.sections] == SECTIONS
    html, pdf = html_text(render_html(content)), pdf_text(render_pdf(content))
    for section, table in content.tables:
        assert section.title in html
        assert section.title in pdf
        for text in (
            *(table.columns if table.rows else ()),
            *table.notes,
            *(part for row in table.rows for cell in row for part in printed(cell)),
        ):
            assert squeezed(text) in squeezed(html)
            assert squeezed(text) in squeezed(pdf)
    for sentence in content.chapters[0].verdict:
        assert squeezed(sentence) in squeezed(html)
        assert squeezed(sentence) in squeezed(pdf)


def printed(cell: Cell) -> tuple[str, str]:
    return cell.text + cell.mark, cell.interval


def squeezed(text: str) -> str:
    """The text without spaces: a cell may be broken into lines."""
    return "".join(text.split()).replace("\u200b", "")


def test_a_section_more_is_one_function_in_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    def own_section(record: StudyResult, arrays: Arrays) -> Section:
        return Section.of("Own ε", Words([record.target]))

    def absent_section(record: StudyResult, arrays: Arrays) -> None:
        return None

    before = document(result(study()), [arrays()]).chapters[0].sections
    monkeypatch.setattr(report, "SECTIONS", (own_section, absent_section, *report.SECTIONS))
    first, *rest = document(result(study()), [arrays()]).chapters[0].sections
    assert (first.anchor, first.title) == ("own-epsilon", "Own ε")
    assert [section.title for section in rest] == [section.title for section in before]


@pytest.mark.usefixtures("blank_figures")
def test_a_part_that_is_empty_says_why() -> None:
    alone = study(arms=[study().arms[1]])
    content = document(result(alone), [arrays(alone.arms)])
    assert all(table.rows for _, table in content.tables)
    (missing,) = (section for section in content.sections if section.title == "Not computed")
    (facts,) = missing.blocks
    assert isinstance(facts, Facts)
    reasons = dict(facts.pairs)
    no_plain = "There is no arm without noise to compare with."
    for title in ("Differences to training without noise", "Adaptive and naive adversary"):
        assert reasons[title] == no_plain
    assert "two arms with DP-SGD at finite ε" in reasons["DP-equivalent ε"]
    assert reasons["Privacy at matched accuracy"] == (
        "All arms belong to one family, so there is no other family to match it with."
    )
    titles = [section.title for section in content.sections]
    assert "Pareto front" in titles
    assert not set(titles) & set(reasons)
    # The third time is in the section on exposed examples, whose other tables have rows.
    assert html_text(render_html(content)).count(no_plain) == 3


def test_tables_and_figures_are_numbered_in_their_order() -> None:
    content = document(result(study()), [arrays()])
    tables = [content.numbers[id(table)] for _, table in content.tables]
    drawings = [content.numbers[id(drawing)] for _, drawing in content.drawings]
    assert tables == [f"Table {count}" for count in range(1, len(tables) + 1)]
    assert drawings == [f"Figure {count}" for count in range(1, len(drawings) + 1)]
    html = html_text(render_html(content))
    for name in (*tables, *drawings):
        assert html.count(f"{name}.") == 1, name
    pdf = squeezed(pdf_text(render_pdf(content)))  # which counts them itself
    for _, block in (*content.tables, *content.drawings):
        assert squeezed(f"{content.numbers[id(block)]}: {block.caption}") in pdf
    first = content.sections[0]
    assert content.numbers[id(first.blocks[0])] == "Table 1"
    assert content.numbers[id(first.blocks[1])] == "Figure 1"


def test_a_part_that_is_empty_without_a_reason_is_an_error() -> None:
    whole = study()
    emptied = whole.model_copy(
        update={"analysis": whole.analysis.model_copy(update={"ignorance": []})}
    )
    with pytest.raises(KeyError, match="ignorance"):
        document(result(emptied), [arrays()])


@pytest.mark.parametrize(
    "missing", ["arm1/lira/scores", "arm2/loss/roc_tpr", "roc_fpr", "membership"]
)
def test_an_array_that_is_missing_is_an_error(missing: str) -> None:
    without = {name: values for name, values in arrays().items() if name != missing}
    with pytest.raises(KeyError, match=missing):
        document(result(study()), [without])


@pytest.mark.usefixtures("blank_figures")
def test_text_from_files_and_settings_is_text_in_every_form() -> None:
    content = document(result(study(label=NASTY), title=NASTY, note=NASTY), [arrays()])
    html = render_html(content)
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt; #strong[x] $y$ *z* {{ 7*7 }}" in html
    assert squeezed("#strong[x] $y$ *z* {{ 7*7 }}") in squeezed(pdf_text(render_pdf(content)))


def test_notes_on_arms_stand_under_the_main_table() -> None:
    arms = [study().arms[0], study().arms[1].model_copy(update={"note": NASTY})]
    table = accuracy_vs_privacy(study(arms=arms))
    assert f"gaussian-mask (kappa=0.3): {NASTY}" in table.notes


@pytest.mark.usefixtures("blank_figures")
def test_several_studies_are_chapters_behind_one_table_of_all() -> None:
    other = study(
        settings={**study().settings, "seed": 6}, target=NamedChoice(name="mlp", label="MLP")
    )
    content = document(result(study(), other), [arrays(), arrays()])
    assert [chapter.title for chapter in content.chapters] == [
        "CNN on folder:gaussian-mask (kappa=0.3), seed 5",
        "MLP on folder:gaussian-mask (kappa=0.3), seed 6",
    ]
    anchors = [section.anchor for section in content.sections]
    assert len(set(anchors)) == len(anchors)
    ((_, overview), *_) = content.tables
    assert len(overview.rows) == 6
    html, pdf = html_text(render_html(content)), pdf_text(render_pdf(content))
    for chapter in content.chapters:
        assert chapter.title in html
        assert squeezed(chapter.title) in squeezed(pdf)


def test_over_seeds_stand_the_mean_and_the_mean_half_width() -> None:
    first, second = study(), shifted(study(), 0.02)
    ((_, overview), *_) = document(result(first, second), [arrays(), arrays()]).tables
    assert isinstance(overview, Table)
    assert overview.columns == ["Study", "Arm", "Test acc., %", "AUC", "seed 5", "seed 6"]
    assert [str(cell) for cell in overview.rows[0]][3:] == [
        "0.760 ± 0.017",
        "0.750 ± 0.012",
        "0.770 ± 0.022",
    ]


def shifted(record: StudyResult, by: float) -> StudyResult:
    """The study with another seed, the first arm's AUC moved and its interval wider."""
    arm = record.arms[0]
    auc = arm.attacks[0].metrics["auc"]
    moved = auc.model_copy(
        update={"value": auc.value + by, "low": auc.low + by - 0.01, "high": auc.high + by + 0.01}
    )
    attack = arm.attacks[0].model_copy(update={"metrics": {**arm.attacks[0].metrics, "auc": moved}})
    arms = [arm.model_copy(update={"attacks": [attack, *arm.attacks[1:]]}), *record.arms[1:]]
    return record.model_copy(update={"arms": arms, "settings": {**record.settings, "seed": 6}})


@pytest.mark.usefixtures("blank_figures")
def test_a_bound_that_crosses_the_claim_raises_an_alarm_everywhere() -> None:
    calm, private = study(), study().arms[2]
    assert not any("Alarm" in sentence for sentence in verdict(calm))
    broken = [
        attack.model_copy(update={"epsilon_lower_bound": 8.456}) for attack in private.attacks
    ]
    arms = [
        *calm.arms[:2],
        private.model_copy(update={"attacks": [private.attacks[0], *broken[1:]]}),
    ]
    assert not any(
        "Alarm" in sentence for sentence in verdict(study(arms=arms))
    )  # the largest of many is no bound
    arms = [
        *calm.arms[:2],
        private.model_copy(update={"attacks": [broken[0], *private.attacks[1:]]}),
    ]
    alarmed = study(arms=arms)
    assert (
        "Alarm: dp-sgd (epsilon=8) claims ε ≤ 8.00, but the attack lira proves ε ≥ 8.45, "
        "both at δ = 8.81e-04." in verdict(alarmed)[-1]
    )
    assert [str(row[-2]) for row in accuracy_vs_privacy(alarmed).rows][-3:] == [
        "8.45!",
        "0.32",
        "0.32",
    ]
    content = document(result(alarmed), [arrays()])
    for text in (html_text(render_html(content)), pdf_text(render_pdf(content))):
        assert "Alarm: dp-sgd" in text
        assert "8.45!" in text


def test_a_report_of_many_arms_has_them_all() -> None:
    record, study_arrays = many()
    content = document(result(record), [study_arrays])
    tables = {table.key: table for _, table in content.tables}
    assert len(tables["accuracy-vs-privacy"].rows) == 2 + 11 * 3
    assert len(tables["front"].rows) == 12


def test_the_method_states_the_rule_of_every_bound() -> None:
    usual = study()
    assert "own bounds at 97.5 %, computed by an earlier version" in " ".join(method(usual))
    proof = EpsilonProof(
        rule="RULE OF HALVES", combination="Fisher", targets=[0, 2], shadows=[1, 3], guesses=4,
        correct=[4, 3], significance=0.0125, provable=3.0,
    )  # fmt: skip
    without = proof.model_copy(update={"rule": "RULE WITHOUT SHADOWS"})
    arms = []
    for arm in usual.arms:
        attacks = []
        for attack in arm.attacks:
            rule = proof if "shadows" in attack.needs else without
            attacks.append(attack.model_copy(update={"epsilon_proof": rule}))
        arms.append(arm.model_copy(update={"attacks": attacks}))
    words = " ".join(method(usual.model_copy(update={"arms": arms})))
    assert "for lira: RULE OF HALVES. And for loss: RULE WITHOUT SHADOWS." in words
    assert "earlier version" not in words
    rows = render_csv(result(usual.model_copy(update={"arms": arms})))
    assert "RULE OF HALVES" in rows


def test_the_method_says_what_the_stacked_attack_is_with_few_models() -> None:
    usual = study()
    first = usual.arms[0].attacks[0]
    choice = first.choice.model_copy(update={"name": "stacked"})
    attacks = [first.model_copy(update={"attack": "stacked", "choice": choice})]
    arms = [usual.arms[0].model_copy(update={"attacks": attacks}), *usual.arms[1:]]
    sentence = "With fewer than 4 of them, its score is the mean of the normal"
    assert sentence in " ".join(method(usual.model_copy(update={"arms": arms})))
    assert sentence not in " ".join(method(usual))
