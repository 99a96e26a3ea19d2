"""The report as a folder of LaTeX: a table a file, a figure a file, references, and an article that holds them."""

from collections.abc import Iterator, Sequence

from mgaudit.reports.document import AuditDocument, Document
from mgaudit.reports.figures.drawing import Drawing
from mgaudit.reports.formats.latex_text import commands, escape_latex
from mgaudit.reports.formats.unbroken import LONGEST_WORD, lines, parts, texts, unbreakable, words
from mgaudit.reports.references import references
from mgaudit.reports.section import Block, Facts, Listing, Section, Words
from mgaudit.reports.table import Cell, Table

LONGEST_FLOAT = 20  # rows that one page holds with room to spare
MANY_COLUMNS = 7
PORTRAIT, LANDSCAPE = 110, 166  # characters of a line in the small type of a table of many columns
WIDEST = 60  # characters that a column of text is given where there is room
TALLEST = 2  # lines of a cell of text that a portrait page is good enough for
BOLD = 1.4  # how much wider a heading, capitals and all, is than a number of as many characters
SMALL, SMALLER = r"\footnotesize", r"\scriptsize"

PREAMBLE = r"""% Compiles with pdflatex and lualatex (xelatex: not tried); run bibtex for the references. Text is ASCII.
% Characters that pdflatex has no sign for are shown by number, as [U+4E2D]; lualatex prints those that the main font
% has (\usepackage{fontspec} \setmainfont{...}).
\documentclass[10pt,a4paper]{article}
\ifdefined\Umathcode\else
  \usepackage[utf8]{inputenc}
  \usepackage[T1]{fontenc}
  \IfFileExists{lmodern.sty}{\usepackage{lmodern}}{}
\fi
\ifdefined\pdfgentounicode\input{glyphtounicode}\pdfgentounicode=1\fi
\usepackage{textcomp}
\usepackage[margin=2cm]{geometry}
\usepackage{array,booktabs,longtable}
\usepackage{graphicx,lscape}
\setlength{\emergencystretch}{3em}
\IfFileExists{float.sty}{\usepackage{float}\floatplacement{table}{H}\floatplacement{figure}{H}}{}
"""
TABLE_HEAD = "% Needs \\usepackage{array,booktabs,longtable}.\n"


def render_latex(document: AuditDocument) -> dict[str, bytes]:
    """Returns the files by their paths in the folder: report.tex, references.bib, tables/*.tex and figures/*.pdf."""
    files: dict[str, bytes] = {}
    for section, table in document.tables:
        _put(
            files,
            f"{_table_path(section, table)}.tex",
            table_tex(table, f"tab:{section.anchor}-{table.key}").encode(),
        )
    for section, drawing in document.drawings:
        _put(files, _figure_path(section, drawing), drawing.pdf())
    bibliography = "\n\n".join(references(document.result).values()) + "\n"
    files["references.bib"] = bibliography.encode()
    files["report.tex"] = ("\n".join(_report(document, bibliography)) + "\n").encode()
    return files


def _put(files: dict[str, bytes], path: str, content: bytes) -> None:
    if path in files:
        raise ValueError(
            f"two parts of the report are to be written to {path}; keys must differ within a section"
        )
    files[path] = content


def _table_path(section: Section, table: Table) -> str:
    return f"tables/{section.anchor}-{table.key}"


def _figure_path(section: Section, drawing: Drawing) -> str:
    return f"figures/{section.anchor}-{drawing.name}.pdf"


def table_tex(table: Table, label: str) -> str:
    """Returns the table to be put in by \\input: caption, label, booktabs rules and notes.

    A float where it is short, a longtable where it may go over several pages.
    """
    size = SMALLER if len(table.columns) > MANY_COLUMNS else SMALL
    caption = rf"\caption{{{escape_latex(table.caption)}}}\label{{{label}}}"
    columns = "".join(
        rf">{{\raggedright\arraybackslash}}p{{\dimexpr {share:.4f}\linewidth-{_gaps(table):.3f}\tabcolsep\relax}}"
        for share in shares(table)
    )
    heading = rf"\toprule {_row([_heading(column) for column in table.columns])} \midrule"
    rows = [_row([_cell(cell) for cell in row]) for row in table.rows]
    notes = [rf"\par\smallskip {{{SMALL} {_running(note)}\par}}" for note in table.notes]
    setting = rf"{size}\setlength{{\tabcolsep}}{{3pt}}\raggedright"
    if len(rows) > LONGEST_FLOAT:
        told = [
            rf"\begingroup{setting}",
            rf"\begin{{longtable}}{{@{{}}{columns}@{{}}}}",
            rf"{caption}\tabularnewline",
            rf"{heading}\endfirsthead",
            rf"{heading}\endhead",
            r"\bottomrule\endfoot",
            *rows,
            r"\end{longtable}",
            *notes,
            r"\endgroup",
        ]
    else:
        drawn = [
            rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}",
            heading,
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
        ]
        told = [r"\begin{table}", caption + r"\par\smallskip", setting, *drawn, *notes]
        told.append(r"\end{table}")
    tex = "\n".join(told) + "\n"
    return TABLE_HEAD + commands(tex) + tex


def _gaps(table: Table) -> float:
    """Returns how much of the space between columns each column gives."""
    return 2 * (len(table.columns) - 1) / len(table.columns)


def shares(table: Table) -> list[float]:
    """Returns the share of the line that each column takes: what cannot be broken, and then more for more text."""
    least, most = _least(table), _most(table)
    spare = max((LANDSCAPE if is_wide(table) else PORTRAIT) - sum(least), 1)
    wished = [max(more - less, 0) for less, more in zip(least, most, strict=True)]
    given = [
        less + spare * wish / max(sum(wished), 1) for less, wish in zip(least, wished, strict=True)
    ]
    return [one / sum(given) for one in given]


def is_wide(table: Table) -> bool:
    """Returns whether the table has many columns and more to say than a portrait page holds in a few lines a row."""
    needed = (
        max(less, more / TALLEST) if column else max(less, more / TALLEST, LONGEST_WORD)
        for column, (less, more) in enumerate(
            zip(_least(table), map(_longest, _columns(table)), strict=True)
        )
    )
    return len(table.columns) > MANY_COLUMNS and sum(needed) > PORTRAIT


def _columns(table: Table) -> list[Sequence[str]]:
    return [texts(table, column) for column in range(len(table.columns))]


def _longest(found: Sequence[str]) -> int:
    return max(map(len, found), default=1)


def _least(table: Table) -> list[float]:
    """Returns the characters of the longest piece of each column, and one for the look of it."""
    return [
        max(
            [
                *map(len, unbreakable(table, column)),
                *(BOLD * len(part) for word in words(name) for part in parts(word)),
            ]
        )
        + 1
        for column, name in enumerate(table.columns)
    ]


def _most(table: Table) -> list[int]:
    return [min(_longest(found), WIDEST) for found in _columns(table)]


def _row(cells: list[str]) -> str:
    return "{}" + " & ".join(cells) + r" \tabularnewline"


def _heading(text: str) -> str:
    return rf"\textbf{{{_running(text)}}}"


def _cell(cell: Cell) -> str:
    found = lines(cell)
    return " ".join(_piece(piece) for piece in found.pieces)


def _piece(piece: str) -> str:
    if " " in piece:
        return rf"\mbox{{{escape_latex(piece)}}}"
    return r"\allowbreak{}".join(map(escape_latex, parts(piece)))


def _running(text: str) -> str:
    """Returns words in which a long one may be broken."""
    return " ".join(map(_piece, words(text)))


def _report(document: Document, bibliography: str) -> Iterator[str]:
    title = rf"\title{{{escape_latex(document.title)}}}"
    body = [*_body(document)]
    yield PREAMBLE + commands("\n".join((title, *body, bibliography))) + title
    yield "\\author{}\n\\date{}\n\\begin{document}\n\\maketitle"
    yield from body
    yield "\\nocite{*}\n\\bibliographystyle{plain}\n\\bibliography{references}\n\\end{document}"


def _body(document: Document) -> Iterator[str]:
    if document.note:
        yield _paragraph(document.note)
    for section in document.overview:
        yield from _section(section)
    for place, chapter in enumerate(document.chapters):
        if chapter.title:
            yield rf"\clearpage\section*{{{_running(chapter.title)}}}\label{{sec:{chapter.anchor}}}"
        yield rf"\begin{{quote}}\itshape {_running(chapter.question)}\end{{quote}}"
        yield from (_paragraph(sentence) for sentence in chapter.verdict)
        if place == 0:
            yield r"\tableofcontents"
        for section in chapter.sections:
            yield from _section(section)
    for section in document.closing:
        yield from _section(section)


def _section(section: Section) -> Iterator[str]:
    """Yields the section; its heading lies on the page of a first table that is too wide to stand upright."""
    heading = rf"\section{{{escape_latex(section.title)}}}\label{{sec:{section.anchor}}}"
    first = section.blocks[0]
    if isinstance(first, Table) and is_wide(first):
        yield _on_its_side(f"{heading}\n{_input(section, first)}")
        rest = section.blocks[1:]
    else:
        yield heading
        rest = section.blocks
    for block in rest:
        yield from _block(section, block)


def _block(section: Section, block: Block) -> Iterator[str]:
    match block:
        case Words():
            yield from (_paragraph(paragraph) for paragraph in block.paragraphs)
        case Facts():
            yield r"\begin{description}\raggedright"
            yield from (
                rf"\item[{{{escape_latex(name)}}}] {_running(value)}" for name, value in block.pairs
            )
            yield r"\end{description}"
        case Listing():
            yield r"\begin{quote}\ttfamily\small\raggedright\setlength{\parindent}{0pt}"
            yield from (_typed(line) for line in block.text.splitlines())
            yield r"\end{quote}"
        case Table():
            yield _on_its_side(_input(section, block)) if is_wide(block) else _input(section, block)
        case Drawing():
            yield r"\begin{figure}\centering"
            yield rf"\includegraphics[width=\linewidth]{{{_figure_path(section, block)}}}"
            yield rf"\caption{{{escape_latex(block.caption)}}}\label{{fig:{section.anchor}-{block.name}}}"
            yield r"\end{figure}"


def _input(section: Section, table: Table) -> str:
    return rf"\input{{{_table_path(section, table)}.tex}}"


def _on_its_side(tex: str) -> str:
    return f"\\begin{{landscape}}\n{tex}\n\\end{{landscape}}"


def _paragraph(text: str) -> str:
    return "\n".join(rf"{_running(part)}\par" for part in text.split("\n") if part.strip())


def _typed(line: str) -> str:
    """Returns a line as it is typed: every blank is kept, and a long word is broken."""
    indented = len(line) - len(line.lstrip(" "))
    blanks = "{}" + r"\ " * indented
    return blanks + r"\ ".join(map(_piece, line[indented:].split(" "))) + r"\par"
