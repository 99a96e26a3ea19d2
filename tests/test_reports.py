"""A study made up of known numbers, told in every form."""

import io
import json
import re
import xml.etree.ElementTree as ET
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pypdf import PdfReader

from reports.document import document
from reports.figures import accuracy_figure, drawings, exposed_figure, roc_figure, score_figure
from reports.html import render_html
from reports.pdf import render_pdf
from reports.results import (
    ARRAYS_FILE,
    RESULT_FILE,
    Arrays,
    AttackResult,
    AuditResult,
    ClassExposure,
    DatasetSummary,
    Estimate,
    ExposedExample,
    PrivacyClaim,
    Provenance,
    StudyResult,
    Times,
    arrays_to_bytes,
    read_study,
)
from reports.tables import accuracy_vs_privacy, all_metrics, by_class, most_exposed, number, single_targets
from reports.verdict import question, verdict

NASTY = '<script>alert("1")</script> #strong[x] $y$ *z* {{ 7*7 }}'
METRICS = (
    "auc",
    "tpr_at_0.1_fpr",
    "tpr_at_0.01_fpr",
    "tpr_at_0.001_fpr",
    "tpr_at_0_fpr",
    "balanced_accuracy",
    "advantage",
)


def estimate(value: float, half: float) -> Estimate:
    return Estimate(value=value, low=value - half, high=value + half)


def attack(name: str, auc: float, change: float | None, knowledge: Any = "adaptive") -> AttackResult:
    metrics = {metric: estimate(0.2 + 0.01 * place, 0.005) for place, metric in enumerate(METRICS)}
    metrics["auc"] = estimate(auc, 0.0123)
    return AttackResult(
        attack=name,
        knowledge=knowledge,
        targets=[0, 1, 2],
        source="Somebody 2020",
        needs=["shadows"] if name == "lira" else [],
        metrics=metrics,
        per_target={metric: [0.3, 0.2, 0.4] for metric in METRICS},
        single_targets={metric: [estimate(value, 0.03) for value in (0.3, 0.2, 0.4)] for metric in METRICS[:5]},
        differences={} if change is None else {metric: estimate(change, 0.02) for metric in METRICS},
        correct_guesses=[4, 4, 3],
        epsilon_lower_bound=0.3299,
        false_positives_allowed={"tpr_at_0.1_fpr": 30, "tpr_at_0.01_fpr": 10, "tpr_at_0.001_fpr": 0, "tpr_at_0_fpr": 0},
        non_members=299,
    )


def arm(scheme: str, label: str, auc: float, change: float | None, claim: PrivacyClaim | None = None) -> AuditResult:
    return AuditResult(
        scheme=scheme,
        label=label,
        learning_rate=0.02,
        diverged=[],
        train_accuracy=estimate(0.99, 0.004),
        test_accuracy=Estimate(value=0.985, low=0.96, high=1.0),
        test_accuracy_difference=None if change is None else estimate(-0.031, 0.012),
        claim=claim,
        delta=8.8071e-4,
        guesses=6,
        epsilon_provable=8.9012,
        attacks=[
            attack("lira", auc, change),
            attack("loss", auc - 0.05, change),
            *([] if change is None else [attack("lira", auc - 0.1, change - 0.1, knowledge="naive")]),
        ],
        most_exposed=[
            ExposedExample(
                example=place,
                origin=f"train/{place}.png",
                label=NASTY if place == 0 else "a",
                score=7.5 - place,
                rank_in=Estimate(value=0.95, low=0.9, high=1.0),
                rank_out=None if place == 1 else Estimate(value=0.5, low=0.25, high=0.75),
                targets=2,
            )
            for place in range(20)
        ],
        by_class=[
            ClassExposure(label="a", examples=40, auc=estimate(auc - 0.02, 0.03)),
            ClassExposure(label=NASTY, examples=20, auc=None),
        ],
    )


def study(label: str = "gaussian-mask (kappa=0.3)", **changes: Any) -> StudyResult:
    claim = PrivacyClaim(
        epsilon=7.994,
        delta=8.8071e-4,
        noise_multiplier=1.0986,
        max_grad_norm=1.0,
        sample_rate=0.1068,
        steps=281,
        accountant="PRV",
        adjacency="add/remove",
    )
    fields: dict[str, Any] = {
        "settings": {
            "models": 3,
            "seed": 5,
            "queries": "plain",
            "examples": None,
            "stack": 4,
            "training": dict(SETTINGS),
        },
        "target": "CNN",
        "dataset": DatasetSummary(
            name=f"folder:/data/{label}",
            sha256="ab" * 32,
            examples=60,
            test_examples=20,
            input_shape=(1, 8, 8),
            classes=("a", NASTY),
        ),
        "arms": [
            arm("none", "no noise", 0.75, None),
            arm("gaussian-mask:kappa=0.3", label, 0.7, -0.05),
            arm("dp-sgd:epsilon=8", "dp-sgd (epsilon=8)", 0.501, -0.249, claim),
        ],
        "lost": [],
        "baseline": "none",
        "provenance": Provenance(versions={"torch": "2"}, code_sha256="cd" * 32, device="cpu", processor="x"),
        "times": Times(started="2026-01-01", seconds=61.5, training_seconds={"none": 9.0}, models_reused={"none": 2}),
    }
    return StudyResult(**{**fields, **changes})


SETTINGS = {
    "epochs": 3,
    "batch_size": 8,
    "optimizer": "sgd",
    "momentum": 0.9,
    "weight_decay": 0.0,
    "augment": "crops",
    "precision": "tf32",
}


def arrays() -> Arrays:
    generator = np.random.default_rng(0)
    grid = np.concatenate([[0.0], np.logspace(-4, 0, 30)])
    found: Arrays = {"membership": generator.random((3, 60)) < 0.5, "roc_fpr": grid}
    for index in range(3):
        for name in ("lira", "loss", "lira, naive"):
            found[f"arm{index}/{name}/scores"] = generator.standard_normal((3, 60))
            found[f"arm{index}/{name}/roc_tpr"] = np.sqrt(grid)
        found[f"arm{index}/most_exposed_pictures"] = generator.integers(0, 256, (20, 8, 8)).astype(np.uint8)
    return found


def write(folder: Path, result: StudyResult, held: Arrays) -> None:
    folder.mkdir(exist_ok=True)
    (folder / RESULT_FILE).write_text(result.model_dump_json())
    (folder / ARRAYS_FILE).write_bytes(arrays_to_bytes(held))


def pdf_text(pdf: bytes) -> str:
    return " ".join(" ".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages).split())


def html_text(html: str) -> str:
    body = re.sub(r"(?s)<(style|svg).*?</\1>", " ", html)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def test_a_result_survives_the_way_to_disk_and_back(tmp_path: Path) -> None:
    write(tmp_path / "run", study(), arrays())
    found, held = read_study(tmp_path / "run")
    assert found == study()
    assert set(held) == set(arrays())
    assert all(np.array_equal(held[name], values) for name, values in arrays().items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: "{", "cannot be read"),
        (lambda text: "[1]", "cannot be read"),
        (lambda text: text.replace('"schema_version":3', '"schema_version":4'), "schema version 4 .* update mgaudit"),
        (lambda text: text.replace('"schema_version":3', '"schema_version":2'), "schema version 2 .* run it again"),
        (lambda text: text.replace('"seconds":61.5', '"seconds":"long"'), "times.seconds"),
        (lambda text: text.replace('"target":"CNN",', ""), "target: Field required"),
    ],
)
def test_a_result_that_cannot_be_read_is_refused(tmp_path: Path, change: Any, message: str) -> None:
    write(tmp_path / "run", study(), arrays())
    path = tmp_path / "run" / RESULT_FILE
    path.write_text(change(path.read_text()))
    with pytest.raises(ValueError, match=message):
        read_study(tmp_path / "run")


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="is not the folder of a study"):
        read_study(tmp_path)
    write(tmp_path / "run", study(), arrays())
    (tmp_path / "run" / ARRAYS_FILE).unlink()
    with pytest.raises(FileNotFoundError, match=r"arrays\.npz is missing"):
        read_study(tmp_path / "run")


def test_arrays_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "run", study(), arrays())
    path = tmp_path / "run" / ARRAYS_FILE
    for content in (path.read_bytes()[:500], b"", b"nonsense"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"arrays\.npz cannot be read"):
            read_study(tmp_path / "run")


def test_an_estimate_without_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        Estimate(value=float("nan"), low=0.0, high=1.0)


@pytest.mark.parametrize(
    ("value", "low", "high", "options", "shown"),
    [
        (0.612, 0.602, 0.622, {}, "0.612 ± 0.010"),
        (0.002, 0.0, 0.0071, {"scale": 100, "digits": 2}, "0.20 [0.00, 0.71]"),
        (-0.0641, -0.0821, -0.0461, {"signed": True}, "−0.064 ± 0.018"),
        (0.0031, -0.0039, 0.0101, {"signed": True}, "+0.003 ± 0.007"),
        (-0.0001, -0.01, 0.01, {"signed": True}, "+0.000 ± 0.010"),
        (0.5, 0.4, 0.6, {"mark": "*"}, "0.500* ± 0.100"),
    ],
)
def test_numbers_are_printed_with_their_interval(
    value: float, low: float, high: float, options: dict[str, Any], shown: str
) -> None:
    assert str(number(Estimate(value=value, low=low, high=high), **options)) == shown


def test_the_main_table_has_a_row_for_each_arm_and_attack_with_the_numbers_of_the_result() -> None:
    table = accuracy_vs_privacy(study())
    rows = [[str(cell) for cell in row] for row in table.rows]
    assert [row[3] for row in rows] == ["lira", "loss", *["lira", "loss", "lira, naive"] * 2]
    assert rows[2] == [
        "gaussian-mask (kappa=0.3)",
        "99.0 ± 0.4",
        "98.5 [96.0, 100.0]",
        "lira",
        "0.700 ± 0.012",
        "22.00 ± 0.50",
        "23.00* ± 0.50",
        "0.32",
        "none",
    ]
    assert rows[4][4] == "0.600 ± 0.012"
    assert [row[-1] for row in rows] == ["none"] * 5 + ["8.00"] * 3
    assert any("Fewer than 10 of a target's 299 or more" in note for note in table.notes)
    assert any("guessing gets 0.33 % at 0.1 % FPR)" in note for note in table.notes)  # 1 of 300
    # Bounds are rounded up: 7.994 and 8.8071e-4.
    assert any("ε = 8.00 at δ = 8.81e-04" in note and "281 steps" in note for note in table.notes)
    assert any("would prove 8.90 at δ = 8.81e-04." in note for note in table.notes)
    assert any("naive adversary's shadows are trained without noise" in note for note in table.notes)
    assert len(all_metrics(study()).rows) == 8 * 7


def test_the_verdict_says_what_the_intervals_say() -> None:
    assert "Does training with gaussian-mask (kappa=0.3) protect the training data of a CNN on" in question(study())
    mask, private = verdict(study())
    assert mask.startswith(
        "Training with gaussian-mask (kappa=0.3) lowers the AUC of the attack lira: "
        "0.700 ± 0.012 against 0.750 ± 0.012 without noise (paired difference −0.050 ± 0.020); "
        "members remain recognisable, and test accuracy falls: "
    )
    assert "98.5 % ([96.0, 100.0])" in mask
    assert "(−3.1 ± 1.2 points)" in mask
    assert "for which ε ≤ 8.00 at δ = 8.81e-04 is proved, lowers" in private
    assert "this attack does no better than guessing, and test accuracy" in private


def test_the_verdict_does_not_hide_a_later_attack_that_succeeds_where_the_first_fails() -> None:
    weak = arm("x", "x", 0.501, -0.2)
    found = weak.model_copy(update={"attacks": [weak.attacks[0], attack("loss", 0.53, -0.2)]})
    told = verdict(study(arms=[arm("none", "no noise", 0.75, None), found]))[0]
    assert "this attack does no better than guessing, but loss does (AUC 0.530 ± 0.012)" in told


@pytest.mark.parametrize(
    ("change", "word"), [(-0.05, "lowers"), (0.019, "does not measurably change"), (0.05, "raises")]
)
def test_the_verdict_claims_a_change_only_when_the_interval_leaves_zero_out(change: float, word: str) -> None:
    arms = [arm("none", "no noise", 0.75, None), arm("x", "x", 0.75 + change, change)]
    assert f"Training with x {word} the AUC" in verdict(study(arms=arms))[0]


def test_what_proves_nothing_is_not_called_a_proof() -> None:
    clipped = study().arms[2]
    assert clipped.claim is not None
    unbounded = clipped.model_copy(update={"claim": clipped.claim.model_copy(update={"epsilon": None})})
    result = study(arms=[study().arms[0], unbounded])
    assert "for which no finite ε is proved, lowers" in verdict(result)[0]
    assert str(accuracy_vs_privacy(result).rows[-1][-1]) == "∞"


def test_the_method_claims_no_shadows_that_no_attack_used() -> None:
    arms = [one.model_copy(update={"attacks": one.attacks[1:]}) for one in study().arms]
    assert any("shadow models" in text for text in document(study(), arrays()).method)
    assert not any("shadow models" in text for text in document(study(arms=arms), arrays()).method)


def test_a_study_without_a_baseline_is_told_without_comparisons() -> None:
    alone = study(arms=[arm("x", "x", 0.4, None)], baseline=None)
    assert "Trained with x, the model reaches a test accuracy of 98.5 %" in verdict(alone)[0]
    assert "worse than guessing" in verdict(alone)[0]
    plain = study(arms=[arm("none", "no noise", 0.4, None)])
    assert question(plain).startswith("How much does a CNN on")
    assert len(verdict(plain)) == 1


def test_html_and_pdf_show_the_same_and_every_number_of_the_tables() -> None:
    content = document(study(), arrays())
    html, pdf = html_text(render_html(content)), pdf_text(render_pdf(content))
    for text in (*content.verdict, *content.method, *(note for note in content.main_table.notes)):
        for word in re.findall(r"[\w.]*\d[\w.]*", text):
            assert word in html
            assert word in pdf
    for table in (
        content.main_table,
        content.target_table,
        content.exposed_table,
        content.class_table,
        content.metrics_table,
    ):
        for row in table.rows:
            for cell in row:
                assert cell.text in html
                assert cell.text in pdf
                assert cell.interval in html
                assert cell.interval in pdf
    for heading in (
        "Accuracy against privacy",
        "Figures",
        "Single targets",
        "Most exposed examples",
        "Exposure by class",
        "Method",
        "What was run",
        "Run it again",
        "All metrics",
    ):
        assert heading in html
        assert heading in pdf
    assert "nan" not in html.lower().replace("nan,", "")


def test_the_page_is_one_file_that_needs_no_network_and_no_script() -> None:
    html = render_html(document(study(), arrays()))
    assert "<script" not in html
    assert html.count("<svg") == 4
    loaded = re.findall(r"""(?:src|href)\s*=\s*["'](?!#|data:image/png;base64,)([^"']+)""", html)
    assert loaded == []
    assert "@import" not in html
    assert "url(http" not in html


def test_ids_are_not_shared_between_the_figures_of_a_page() -> None:
    html = render_html(document(study(), arrays()))
    ids = [
        set(re.findall(r'\bid="([^"]+)"', block)) - {"figure_1", "patch_1"}
        for block in re.findall(r"(?s)<svg.*?</svg>", html)
    ]
    figures = re.findall(r"(?s)<svg.*?</svg>", html)
    figures = re.findall(r"(?s)<svg.*?</svg>", html)
    referenced = [set(re.findall(r'(?:url\(#|href="#)([^)"]+)', figure)) for figure in figures]
    for place, names in enumerate(referenced):
        assert names <= ids[place]
        for other in range(place):
            shared = names & ids[other]
            assert not {name for name in shared if not name.startswith("DejaVu")}


def test_text_from_files_and_settings_is_text_in_every_form() -> None:
    content = document(study(label=NASTY), arrays())
    html = render_html(content)
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt; #strong[x] $y$ *z* {{ 7*7 }}" in html
    assert "#strong[x] $y$ *z* {{ 7*7 }}" in pdf_text(render_pdf(content))


def test_figures_show_the_numbers_of_the_result() -> None:
    held = arrays()
    held["arm0/lira/scores"] = np.where(held["membership"], 2.0, -1.0) + 0.1 * held["arm0/lira/scores"]
    result = study()
    for axes, name in zip(accuracy_figure(result).axes, ("lira", "loss"), strict=True):
        filled = [bar.lines[0] for bar in axes.containers if bar.lines[0].get_markerfacecolor() != "none"]
        points = [line.get_xydata()[0] for line in filled]
        expected = [
            (arm.test_accuracy.value * 100, next(a for a in arm.attacks if a.attack == name).metrics["auc"].value)
            for arm in result.arms
        ]
        assert np.allclose(points, expected)
    for axes in roc_figure(result, held).axes:
        curve = axes.lines[0].get_xydata()
        assert np.allclose(curve[:, 1], np.sqrt(curve[:, 0]))
    scores = score_figure(result, held).axes[0]
    assert scores.get_legend_handles_labels()[1] == ["members", "non-members"]
    for group, centre in zip(scores.containers, (2.0, -1.0), strict=True):
        heights = [bar.get_height() for bar in group]
        assert np.average([bar.get_x() for bar in group], weights=heights) == pytest.approx(centre, abs=0.1)


def test_many_attacks_and_arms_are_drawn_in_rows_of_three() -> None:
    many = [attack(f"attack {place}", 0.6, None) for place in range(7)]
    held = {**arrays(), **{f"arm0/attack {place}/roc_tpr": arrays()["arm0/lira/roc_tpr"] for place in range(7)}}
    result = study(arms=[study().arms[0].model_copy(update={"attacks": many})])
    for figure in (accuracy_figure(result), roc_figure(result, held)):
        assert [axes.get_title() for axes in figure.axes] == [one.attack for one in many]
        spec = figure.axes[0].get_gridspec()
        assert (spec.nrows, spec.ncols) == (3, 3)


def test_drawings_are_svg_with_words_for_those_who_do_not_see_them() -> None:
    first, again = drawings(study(), arrays()), drawings(study(), arrays())
    assert [drawing.svg for drawing in first] == [drawing.svg for drawing in again]
    assert len(drawings(study(label=r"$\frac{broken$"), arrays())) == 3
    for drawing in first:
        assert ET.fromstring(drawing.svg).tag.endswith("svg")
        assert "no noise" in drawing.description
    assert "AUC 0.700 ± 0.012 under lira" in first[0].description
    assert "AUC 0.600 ± 0.012 under lira, naive" in first[0].description
    assert "TPR @ 1 % FPR, %: 22.00 ± 0.50" in first[1].description


def test_the_naive_adversary_is_drawn_beside_the_adaptive_one() -> None:
    points = [container.lines[0] for container in accuracy_figure(study()).axes[0].containers]
    assert [point.get_ydata()[0] for point in points] == pytest.approx([0.75, 0.7, 0.6, 0.501, 0.401])
    assert [point.get_markerfacecolor() == "none" for point in points] == [False, False, True, False, True]
    assert [line.get_linestyle() for line in roc_figure(study(), arrays()).axes[0].lines].count(":") == 2
    assert "Hollow: the naive adversary." in drawings(study(), arrays())[0].caption
    alone = study(arms=[study().arms[0]])
    assert "naive" not in " ".join(drawing.caption for drawing in drawings(alone, arrays()))


def test_the_most_exposed_examples_are_shown_as_pictures_where_they_are_some() -> None:
    figure = exposed_figure(study(), arrays())
    rows = np.array(figure.axes).reshape(3, 8)
    assert np.array_equal(rows[1, 2].images[0].get_array(), arrays()["arm1/most_exposed_pictures"][2])
    assert rows[0, 1].get_title() == "a\n95 %"
    without = {name: held for name, held in arrays().items() if "pictures" not in name}
    assert document(study(), without).exposed_drawing is None
    assert "Most exposed examples" in render_html(document(study(), without))
    assert "Most exposed examples" in pdf_text(render_pdf(document(study(), without)))


def test_single_targets_are_the_least_the_middling_and_the_most_vulnerable() -> None:
    rows = [[str(cell) for cell in row] for row in single_targets(study()).rows]
    assert [row[1] for row in rows] == ["least: model 1", "middle: model 0", "most: model 2"] * 3
    assert rows[0] == ["no noise", "least: model 1", "0.200 ± 0.030", "20.00 ± 3.00", "20.00 ± 3.00"]


def test_the_exposed_are_told_with_their_rank_and_their_class() -> None:
    rows = [[str(cell) for cell in row] for row in most_exposed(study()).rows]
    assert len(rows) == 3 * 5
    assert rows[1] == ["no noise", "train/1.png", "a", "6.50", "95.0 ± 5.0", "–", "2"]
    assert rows[2] == ["no noise", "train/2.png", "a", "5.50", "95.0 ± 5.0", "50.0 ± 25.0", "2"]
    table = by_class(study())
    assert table.columns == ["Class", "Examples", "no noise", "gaussian-mask (kappa=0.3)", "dp-sgd (epsilon=8)"]
    assert [[str(cell) for cell in row] for row in table.rows] == [
        ["a", "40", "0.730 ± 0.030", "0.680 ± 0.030", "0.481 ± 0.030"],
        [NASTY, "20", "too few", "too few", "too few"],
    ]
    classes = [ClassExposure(label=str(place), examples=9, auc=estimate(place / 40, 0.01)) for place in range(30)]
    many = by_class(study(arms=[study().arms[0].model_copy(update={"by_class": classes})] * 7))
    assert [str(row[0]) for row in many.rows] == ["29", "28", "27", "26", "25", "24", "5", "4", "3", "2", "1", "0"]
    assert len(many.columns) == 7
    assert "most and least exposed classes; all are in result.json" in many.notes[1]
    assert "first 5 arms; all are in result.json" in many.notes[2]


def test_a_bound_that_crosses_the_claim_raises_an_alarm_everywhere() -> None:
    calm, private = study(), study().arms[2]
    assert not any("Alarm" in sentence for sentence in verdict(calm))
    broken = [attack.model_copy(update={"epsilon_lower_bound": 8.456}) for attack in private.attacks]
    second = study(arms=[*calm.arms[:2], private.model_copy(update={"attacks": [private.attacks[0], broken[1]]})])
    assert not any("Alarm" in sentence for sentence in verdict(second))  # the largest of many bounds is no bound
    alarmed = study(arms=[*calm.arms[:2], private.model_copy(update={"attacks": [broken[0], private.attacks[1]]})])
    assert "Alarm: dp-sgd (epsilon=8) claims ε ≤ 8.00, but the attack lira proves ε ≥ 8.45" in verdict(alarmed)[-1]
    assert [str(row[-2]) for row in accuracy_vs_privacy(alarmed).rows][-2:] == ["8.45!", "0.32"]
    held = {name: values for name, values in arrays().items() if "naive" not in name or "arm2" not in name}
    for text in (html_text(render_html(document(alarmed, held))), pdf_text(render_pdf(document(alarmed, held)))):
        assert "Alarm: dp-sgd" in text
        assert "8.45!" in text


def test_the_pdf_has_pages_fonts_and_a_title() -> None:
    reader = PdfReader(io.BytesIO(render_pdf(document(study(), arrays()))))
    assert reader.metadata is not None
    assert reader.metadata.title == f"Privacy audit: CNN on folder:{study().dataset.name.rpartition('/')[2]}"
    assert f"1 / {len(reader.pages)}" in reader.pages[0].extract_text()
    for page in reader.pages:
        for font in page["/Resources"]["/Font"].values():  # type: ignore[index]
            descendant = font.get_object()["/DescendantFonts"][0].get_object()["/FontDescriptor"].get_object()
            assert any(name.startswith("/FontFile") for name in descendant)


def test_json_holds_numbers_and_not_nan() -> None:
    text = study().model_dump_json()
    assert json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))


def many() -> tuple[StudyResult, Arrays]:
    """Twelve arms, some composed: five masks lower the AUC, five raise it, and one leaves it."""
    arms = [arm("none", "no noise", 0.75, None)]
    for place in range(11):
        change = (-0.05, 0.05)[place % 2] if place < 10 else 0.0
        kappa = f"kappa={place}"
        scheme, label = (f"gaussian-mask:{kappa}", f"gaussian-mask ({kappa})")
        if place > 7:
            scheme, label = f"{scheme}+dp-sgd:epsilon=8", f"{label} + dp-sgd (epsilon=8)"
        arms.append(arm(scheme, label, 0.75 + change - place / 1000, change))
    held = arrays()
    for index in range(3, 12):
        held |= {
            name.replace("arm1", f"arm{index}"): values for name, values in held.items() if name.startswith("arm1/")
        }
    return study(arms=arms), held


def test_a_report_of_many_arms_counts_them_and_tells_of_the_lowest() -> None:
    result, held = many()
    told = verdict(result)
    assert told[0].startswith(
        "Of 11 arms, 5 lower the AUC of the attack lira, 5 raise it, and 1 do not measurably change it"
    )
    assert [sentence.split(" lowers")[0] for sentence in told[1:6]] == [
        f"Training with {label}"
        for label in (
            "gaussian-mask (kappa=8) + dp-sgd (epsilon=8)",
            "gaussian-mask (kappa=6)",
            "gaussian-mask (kappa=4)",
            "gaussian-mask (kappa=2)",
            "gaussian-mask (kappa=0)",
        )
    ]
    assert question(result).startswith("Does training with each of 11 schemes protect the training data of a CNN")
    page = document(result, held)
    assert "The first 7 arms." in page.drawings[1].caption
    assert "0.02 (all arms)" in dict(page.facts)["Training"]
    assert len(page.main_table.rows) == 2 + 11 * 3  # the table has them all


@pytest.mark.parametrize(("target", "article"), [("MLP (hidden=4)", "an"), ("CNN", "a"), ("ResNet", "a"), ("Net", "a")])
def test_the_article_is_that_of_how_the_name_is_said(target: str, article: str) -> None:
    assert f"the training data of {article} {target} on" in question(study(target=target))


def test_the_question_names_a_composition_with_dp_sgd_but_not_dp_sgd_alone() -> None:
    composed = arm("gaussian-mask:kappa=1+dp-sgd:epsilon=8", "both", 0.6, -0.1, study().arms[2].claim)
    assert "Does training with both protect" in question(study(arms=[study().arms[0], composed, study().arms[2]]))


def test_shadows_are_counted_where_models_diverged() -> None:
    whole = study()
    lira = whole.arms[1].attacks[0]
    first_two = {
        name: {key: numbers[:2] for key, numbers in getattr(lira, name).items()}
        for name in ("per_target", "single_targets")
    }
    lira = lira.model_copy(update={"targets": [0, 2], **first_two})
    fewer = whole.arms[1].model_copy(update={"attacks": [lira, *whole.arms[1].attacks[1:]], "diverged": [1]})
    held = arrays()
    held["arm1/lira/scores"] = held["arm1/lira/scores"][[0, 2]]
    text = " ".join(document(study(arms=[whole.arms[0], fewer, whole.arms[2]]), held).method)
    assert "has trained 1 to 2 shadow models" in text
    assert "has trained 2 shadow models" in " ".join(document(whole, arrays()).method)


@pytest.mark.parametrize("figure", [accuracy_figure, roc_figure])
def test_a_legend_stays_within_its_figure(figure: Any) -> None:
    result, held = many()
    few = study(arms=[result.arms[0], *result.arms[9:12]])
    drawn = figure(few) if figure is accuracy_figure else figure(few, held)
    drawn.draw_without_rendering()
    box = drawn.legends[0].get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= drawn.bbox.width
