"""The report as LaTeX: escaped text, complete tables, used references; and it compiles."""

import io
import re
import shutil
import subprocess
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from pypdf import PdfReader

from mgaudit.cli.catalogue import catalogue
from mgaudit.reports.document import AuditDocument, document
from mgaudit.reports.formats.latex import is_wide, render_latex, table_tex
from mgaudit.reports.formats.latex_text import escape_latex
from mgaudit.reports.input_checks import BlindBaseline, InputChecks, MembershipCheck
from mgaudit.reports.record import Estimate
from mgaudit.reports.references import arxiv_number, entries, key_of, references
from mgaudit.reports.table import Cell, Table
from tests import tex
from tests.fake_study import arrays, result, study

HOSTILE = (
    r"<script>alert(1)</script> #strong[x] $y$ *z* \textbf{a} \input{/etc/passwd} "
    r'% & _ ^ ~ {} | " `` -- @'
)
SIGNS = "ε κ σ δ ± − ∞ × † ‡ Δ ² ₂ … – — ’ “ ” ≤ ≥ ⊙ · é ñ ü ß Ø µ"
DRAWN = 2  # of the figures
STRANGE = "中文 \u202e \u200b 🙂 \u0301"


def seen(text: str) -> str:
    """The text with blanks for line ends, and by its number what cannot be seen."""
    text = text.replace("\r\n", "\n").translate(
        {10: " ", 13: " ", 9: " ", 0xB5: "μ", 0x202F: "\u2009"}
    )
    known = "\u00a0\u2009\u200b\u00ad"
    signs = (
        sign if sign.isprintable() or sign in known else f"[U+{ord(sign):04X}]" for sign in text
    )
    return unicodedata.normalize("NFC", "".join(signs))


@given(st.text() | st.text(st.sampled_from(HOSTILE + SIGNS + STRANGE)))
def test_text_is_ascii_that_reads_as_it_was(text: str) -> None:
    written = escape_latex(text)
    assert written.isascii()
    assert unicodedata.normalize("NFC", tex.read(written)) == seen(text)


@pytest.mark.parametrize(
    "text", ["--", "---", ",,", "''", "!`", "?`", "<<", ">>", "``", "\\\\[2em]", "%", "$$"]
)
def test_signs_are_not_made_into_others(text: str) -> None:
    written = escape_latex(text)
    assert tex.read(written) == text
    assert not re.search(r"--|,,|''|[!?]`|<<|>>|``|(?<!\\)[%$]", written)


def test_a_table_is_a_float_or_goes_over_pages() -> None:
    short, long = (
        Table("k", "A & B", ["x", "y_1"], [[Cell("[a]"), Cell("*b")]] * rows, ["50 %"])
        for rows in (3, 30)
    )
    tex_source = table_tex(short, "tab:k")
    assert r"\begin{table}" in tex_source
    assert r"\caption{A \& B}\label{tab:k}" in tex_source
    assert (
        tex_source.count("{}[a] & *b \\tabularnewline") == 3
    )  # the braces keep [a] from being an option of the row before
    assert r"50 \%" in tex_source
    tex_source = table_tex(long, "tab:k")
    assert r"\endhead" in tex_source
    assert tex_source.count("{}[a] & *b") == 30


def test_a_number_stays_with_its_error() -> None:
    tex_source = table_tex(Table("k", "c", ["x"], [[Cell("0.589", "± 0.012 [0.3]", "†")]]), "l")
    error = r"\mgauditgap{}\mbox{\ensuremath{\pm} 0.012}"
    assert rf"0.589\ensuremath{{\dagger}}{error} [0.3]" in tex_source
    assert r"98.5 [96.0,\mgauditgap{}100.0]" in table_tex(
        Table("k", "c", ["x"], [[Cell("98.5", "[96.0, 100.0]")]]), "l"
    )
    assert r"\let\mgauditgap\nobreakspace" in tex_source  # on a line that is wide enough


def test_a_wide_table_lies_on_its_side() -> None:
    name = "my_package.schemes:VeryLongSchemeNameThatGoesOn (kappa=0.123456789, fixed=true)"
    columns = ["Arm", *(f"TPR {index}" for index in range(8))]
    numbers = [Cell("98.5", "[96.0, 100.0]")] * 8
    assert is_wide(Table("k", "c", columns, [[Cell(name), *numbers]]))
    assert not is_wide(Table("k", "c", columns, [[Cell(name), *[Cell("0.5")] * 8]]))
    assert not is_wide(
        Table("k", "c", ["Arm", "TPR"], [[Cell(name), Cell("98.5", "[96.0, 100.0]")]])
    )


TEXT_LINE = 345.0  # pt: of an article with letters of 10 pt
PICK = r"\\mgauditpick\{([\d.]+)\}\{([\d.]+)\}"
EM, GAP = 8.0, 3.0  # pt: of \\scriptsize in such an article, and \\tabcolsep


def widths_in_pt(tex_source: str) -> list[float]:
    """The lines that a table needs with wide columns, and with narrow ones."""
    (pair,) = re.findall(r"\\mgauditfit(\{[\d.]+em\+\d+\\tabcolsep\}\{[^}]*\})", tex_source)
    needed = re.findall(r"([\d.]+)em\+(\d+)\\tabcolsep", pair)
    return [float(ems) * EM + int(gaps) * GAP for ems, gaps in needed]


def test_a_table_of_many_columns_fits_the_line_of_an_article() -> None:
    columns = ["Arm", "Attack", *(f"TPR {index}" for index in range(7))]
    numbers = [Cell("98.5", "[96.0, 100.0]"), Cell("0.589", "± 0.012")] * 4
    row = [Cell("gaussian-mask (kappa=0.3)"), *numbers]
    table = Table("k", "c", columns, [row])
    tex_source = table_tex(table, "l")
    wide, narrow = widths_in_pt(tex_source)
    assert TEXT_LINE / wide < 0.7
    assert TEXT_LINE / narrow > 0.9  # how much it is shrunk
    shares = [
        [float(share) for share in pair] for pair in re.findall(rf"{PICK}\\mgauditrest", tex_source)
    ]
    assert len(shares) == len(columns)
    for of_layout in zip(*shares, strict=True):
        assert sum(of_layout) == pytest.approx(1, abs=1e-3)
    ems = [
        float(first) for first in re.findall(r"\\mgauditpick\{([\d.]+)\}\{[\d.]+\}em", tex_source)
    ]
    gaps = 2 * (len(columns) - 1) * GAP
    assert sum(ems) * EM + gaps == pytest.approx(wide, abs=0.1)
    # A table that is too wide for that is shrunk to the line, which needs graphicx.
    assert r"\mgauditbox{\begin{minipage}{\mgauditwidth}" in tex_source
    wider = Table("k", "c", [*columns, *columns[2:]], [[*row, *numbers[1:]]])
    assert widths_in_pt(table_tex(wider, "l"))[1] > TEXT_LINE
    assert "graphicx" in tex_source.splitlines()[0]


def test_a_longtable_that_is_too_wide_has_smaller_letters() -> None:
    tex_source = table_tex(Table("k", "c", ["x", "y"], [[Cell("a"), Cell("b")]] * 30), "l")
    assert re.search(r"\\ifdim\\mgauditwidth>\\linewidth\\tiny\\mgauditfit\{.*\}\\fi\n", tex_source)
    assert "minipage" not in tex_source.partition(r"\begingroup")[2]


@pytest.fixture(scope="module")
def hostile() -> AuditDocument:
    label = f"{HOSTILE} {SIGNS}"
    record = study(label=label)
    noted = record.arms[1].model_copy(update={"note": f"{HOSTILE} {SIGNS} {STRANGE}"})
    arms = [record.arms[0], noted, record.arms[2]]
    content = document(
        result(record.model_copy(update={"arms": arms}), title=label, note=HOSTILE), [arrays()]
    )
    for _, drawing in list(content.drawings)[DRAWN:]:
        vars(drawing)["figure"] = Figure(
            figsize=(1, 1)
        )  # matplotlib takes longer than all the rest
    return content


@pytest.fixture(scope="module")
def files(hostile: AuditDocument) -> dict[str, bytes]:
    return render_latex(hostile)


def test_the_folder_has_a_file_for_each_table_and_figure(
    hostile: AuditDocument, files: dict[str, bytes]
) -> None:
    tables, drawings = len([*hostile.tables]), len([*hostile.drawings])
    assert sum(name.startswith("tables/") and name.endswith(".tex") for name in files) == tables
    assert sum(name.startswith("figures/") and name.endswith(".pdf") for name in files) == drawings
    assert set(files) - {name for name in files if "/" in name} == {"report.tex", "references.bib"}
    article = files["report.tex"].decode("ascii")
    for name in files:
        if "/" in name:
            assert article.count(f"{{{name}}}") == 1
    for section in hostile.sections:
        assert rf"\label{{sec:{section.anchor}}}" in article


def test_figures_are_vectors_with_their_fonts(files: dict[str, bytes]) -> None:
    figures = [content for name, content in files.items() if name.endswith(".pdf")]
    for content in figures[:DRAWN]:
        (page,) = PdfReader(io.BytesIO(content)).pages
        fonts = page["/Resources"]["/Font"].values()  # type: ignore[index]
        assert fonts
        for font in fonts:
            (descendant,) = font.get_object()["/DescendantFonts"]
            assert "/FontFile2" in descendant.get_object()["/FontDescriptor"].get_object()


def test_nothing_of_a_name_is_a_command(files: dict[str, bytes]) -> None:
    for name, content in files.items():
        if name.endswith((".tex", ".bib")):
            text = content.decode("ascii")
            assert r"\textbf{a}" not in text
            assert "passwd" not in "".join(re.findall(r"\\input\{[^}]*\}", text))
            assert "$y$" not in text
    label = tex.read(
        " ".join(re.findall(r"\n\{\}(.*?) & ", files["tables/pareto-front-front.tex"].decode()))
    )
    assert "".join(f"{HOSTILE} {SIGNS}".split()) in "".join(label.replace("μ", "µ").split())


def test_two_parts_of_one_name_are_refused(hostile: AuditDocument) -> None:
    first = hostile.chapters[0].sections[0]
    doubled = hostile.chapters[0].__class__("a", "", "", [], [first, first])
    with pytest.raises(ValueError, match="keys must differ"):
        render_latex(AuditDocument("t", "", "", [], [doubled], [], hostile.result))


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_the_article_compiles_whatever_the_names(files: dict[str, bytes], tmp_path: Path) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    command = [
        "pdflatex",
        "-interaction=nonstopmode",
        "-halt-on-error",
        "-no-shell-escape",
        "report.tex",
    ]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False
    )
    assert done.returncode == 0, done.stdout[-3000:]
    text = "".join(page.extract_text() for page in PdfReader(tmp_path / "report.pdf").pages)
    assert "".join([r"\textbf{a}", r"\input{/etc/passwd}"]) in "".join(text.split())
    assert "root:" not in text
    for sign in ("[U+4E2D]", "[U+202E]", "[U+1F642]"):
        assert sign in text
    # A table may stand over the edge by the width of a letter at most.
    assert all(float(over) < 6 for over in re.findall(r"Overfull \\hbox \(([\d.]+)pt", done.stdout))


ARTICLE = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{}
\usepackage{textcomp}
\usepackage{array,booktabs,longtable,graphicx}
\begin{document}
"""


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_every_table_fits_an_article_of_one_column(tmp_path: Path) -> None:
    content = document(result(study()), [arrays()])
    inputs = ""
    for section, table in content.tables:
        name = f"{section.anchor}-{table.key}.tex"
        (tmp_path / name).write_text(table_tex(table, f"tab:{name}"))
        inputs += rf"\input{{{name}}}\clearpage" + "\n"
    (tmp_path / "article.tex").write_text(rf"{ARTICLE}{inputs}\end{{document}}")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "article.tex"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert all(float(over) < 6 for over in re.findall(r"Overfull \\hbox \(([\d.]+)pt", done.stdout))


def test_the_references_are_those_of_what_was_used() -> None:
    record = study()
    lira = (
        record.arms[1]
        .attacks[0]
        .model_copy(update={"source": "Carlini et al. 2022, arXiv 2112.03570"})
    )
    own = record.arms[1].attacks[1].model_copy(update={"source": r"\input{x} & a blog"})
    arms = [
        record.arms[0].model_copy(update={"attacks": [lira]}),
        record.arms[1].model_copy(update={"attacks": [lira, own]}),
    ]
    plain = record.model_copy(update={"arms": arms})
    cited = references(result(plain))
    statistics = {
        "steinke2023",
        "mahloujifar2024",
        "cameron2011",
        "owen2007",
        "delong1988",
        "clopper1934",
        "holm1979",
    }
    assert set(cited) == {"carlini2022", "input-x-a-blog", "kolomvaki2026"} | statistics
    assert r"\textbackslash{}input\{x\} \& a blog" in cited["input-x-a-blog"]
    private = record.model_copy(
        update={"arms": [plain.arms[0], record.arms[2].model_copy(update={"attacks": [lira]})]}
    )
    by_prv = {"carlini2022", "abadi2016", "gopi2021", "yousefpour2021"}
    of_ceiling = {"dong2022", "doroshenko2022"}
    assert set(references(result(private))) == by_prv | of_ceiling | statistics
    arm = private.arms[1]
    claim = arm.claim.model_copy(update={"ceiling": None})
    without = arm.model_copy(update={"claim": claim})
    cited = references(result(private.model_copy(update={"arms": [plain.arms[0], without]})))
    assert set(cited) == by_prv | statistics
    claim = arm.claim.model_copy(
        update={"accountant": "PLD", "epsilon_prv": 8.01, "epsilon_pld": 8.0}
    )
    both = arm.model_copy(update={"claim": claim})
    cited = references(result(private.model_copy(update={"arms": [plain.arms[0], both]})))
    assert {"gopi2021", "doroshenko2022"} <= set(cited)
    assert "mironov2019" not in cited


def test_given_models_have_the_papers_of_their_checks() -> None:
    arms = [arm.model_copy(update={"delta": None}) for arm in study().arms[:1]]
    membership = MembershipCheck(
        correlations=[-1.0], independent=False, references_in=1, references_out=1, reason="x"
    )
    checks = InputChecks(
        membership=membership,
        blind=BlindBaseline(auc=Estimate(value=0.7, low=0.6, high=0.8), p_value=1e-4, inputs=True),
        allowed=[],
        left_out=[],
        clipping=None,
        is_grouped=False,
        by_group=[],
        notes=[],
    )
    changes = {"arms": arms, "models_from": "outputs", "checks": checks}
    cited = references(result(study().model_copy(update=changes)))
    assert "das2024" in cited
    assert "steinke2023" not in cited  # there is no bound


def test_each_attack_and_each_scheme_has_its_paper() -> None:
    for entry in (*catalogue()["attacks"], *catalogue()["schemes"]):
        if entry["name"] != "none":
            assert key_of(entry["source"]) in entries() or arxiv_number(entry["source"]), entry[
                "name"
            ]


def test_a_paper_that_is_not_in_the_list_is_found_by_its_arxiv_number() -> None:
    record = study()
    source = "Somebody and Other 2031, arXiv 3101.01234"
    attacks = [record.arms[0].attacks[0].model_copy(update={"source": source})]
    alone = record.model_copy(
        update={"arms": [record.arms[0].model_copy(update={"attacks": attacks})]}
    )
    entry = references(result(alone))["somebody2031"]
    assert f"title = {{{{{source}}}}}" in entry
    assert "eprint = {3101.01234}" in entry


def test_each_entry_says_who_what_and_when() -> None:
    for key, entry in entries().items():
        assert entry.isascii()
        assert entry.count("{") == entry.count("}")
        fields = set(re.findall(r"^  (\w+) = \{", entry, flags=re.MULTILINE))
        assert {"author", "title", "year"} <= fields, key
        is_software = key == "mgaudit2026"
        assert fields & {"booktitle", "journal", "eprint"} or is_software, key
        year = re.search(r"year = \{(\d{4})\}", entry)
        assert year
        assert key.endswith(year[1])
