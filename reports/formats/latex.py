"""The report as a folder of LaTeX: an article with references, and a file per table and figure."""

from collections.abc import Iterator, Sequence

from mgaudit.reports.document import AuditDocument, Document
from mgaudit.reports.figures.drawing import Drawing
from mgaudit.reports.formats.latex_text import commands, escape_latex
from mgaudit.reports.formats.unbroken import LONGEST_WORD, lines, parts, texts, unbreakable, words
from mgaudit.reports.references import references
from mgaudit.reports.section import Block, Facts, Listing, Section, Words
from mgaudit.reports.table import Cell, Table

LONGEST_FLOAT = 20  # rows that certainly fit on one page
MANY_COLUMNS = 7
PORTRAIT = 110  # characters of a line in the type of a table with many columns
CHARACTER = 0.5  # em: the width of a digit and of most letters
WIDEST = 60  # characters: the most that a column of text gets
TALLEST = 2  # lines of a cell of text in a table on a portrait page
BOLD = 1.4  # ratio of the widths of a bold heading and of a number with as many characters
SMALL, SMALLER = r"\footnotesize", r"\scriptsize"

PREAMBLE = r"""% Compiles with pdflatex and lualatex (xelatex: untested), references with bibtex.
% Text is ASCII. pdflatex prints characters without a command as numbers, such as [U+4E2D];
% lualatex prints those that the main font has (\usepackage{fontspec} \setmainfont{...}).
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
# A table is laid out for the line into which it is read. Where the line is narrower than the first
# width that \mgauditfit gets, the layout is narrow: \mgauditpick takes its second argument, and a
# line may end where \mgauditgap stands, between a number and its interval. Where the line is also
# narrower than the second width, the table is shrunk to the line; a longtable, which cannot be, has
# smaller letters. \mgauditrest is what the least widths of the columns leave of the line.
TABLE_HEAD = r"""% Needs \usepackage{array,booktabs,longtable,graphicx}. The table fits the line.
\ifdefined\mgauditrest\else\newdimen\mgauditrest\fi
\providecommand{\mgauditfirst}[2]{#1}
\providecommand{\mgauditsecond}[2]{#2}
\providecommand{\mgauditsame}[1]{#1}
\providecommand{\mgauditshrunk}[1]{\resizebox{\linewidth}{!}{#1}}
\providecommand{\mgauditspace}{ }
\providecommand{\mgauditfit}[2]{%
  \edef\mgauditwidth{\the\linewidth}\let\mgauditbox\mgauditsame
  \ifdim\linewidth<\dimexpr#1\relax
    \let\mgauditpick\mgauditsecond\let\mgauditgap\mgauditspace
    \ifdim\linewidth<\dimexpr#2\relax
      \edef\mgauditwidth{\the\dimexpr#2\relax}\let\mgauditbox\mgauditshrunk
    \fi
    \mgauditrest\dimexpr\mgauditwidth-(#2)\relax
  \else
    \let\mgauditpick\mgauditfirst\let\mgauditgap\nobreakspace
    \mgauditrest\dimexpr\mgauditwidth-(#1)\relax
  \fi}
"""


def render_latex(document: AuditDocument) -> dict[str, bytes]:
    """Returns the files by their paths in the folder.

    These are report.tex, references.bib, tables/*.tex and figures/*.pdf.
    """
    files: dict[str, bytes] = {}
    for section, table in document.tables:
        label = f"tab:{section.anchor}-{table.key}"
        _put(files, f"{_table_path(section, table)}.tex", table_tex(table, label).encode())
    for section, drawing in document.drawings:
        _put(files, _figure_path(section, drawing), drawing.pdf())
    bibliography = "\n\n".join(references(document.result).values()) + "\n"
    report = "\n".join(_report(document, bibliography)) + "\n"
    files["references.bib"] = bibliography.encode()
    files["report.tex"] = report.encode()
    return files


def _put(files: dict[str, bytes], path: str, content: bytes) -> None:
    if path in files:
        rule = "keys must differ within a section"
        raise ValueError(f"two parts of the report would be written to {path}; {rule}")
    files[path] = content


def _table_path(section: Section, table: Table) -> str:
    return f"tables/{section.anchor}-{table.key}"


def _figure_path(section: Section, drawing: Drawing) -> str:
    return f"figures/{section.anchor}-{drawing.name}.pdf"


def table_tex(table: Table, label: str) -> str:
    r"""Returns the table for \input: caption, label, booktabs rules and notes.

    A short table is a float, a longer one a longtable, which may break across pages.
    """
    tex = "\n".join(_table_lines(table, label)) + "\n"
    return TABLE_HEAD + commands(tex) + tex


def _table_lines(table: Table, label: str) -> list[str]:
    size = SMALLER if len(table.columns) > MANY_COLUMNS else SMALL
    setting = rf"{size}\setlength{{\tabcolsep}}{{3pt}}\raggedright"
    caption = rf"\caption{{{escape_latex(table.caption)}}}\label{{{label}}}"
    columns, fit = f"@{{}}{_columns_tex(table)}@{{}}", _fit(table)
    heading = rf"\toprule {_row([_heading(column) for column in table.columns])} \midrule"
    rows = [_row([_cell(cell) for cell in row]) for row in table.rows]
    notes = [rf"\par\smallskip {{{SMALL} {_running(note)}\par}}" for note in table.notes]
    if len(rows) > LONGEST_FLOAT:
        return [
            rf"\begingroup{setting}{fit}\ifdim\mgauditwidth>\linewidth\tiny{fit}\fi",
            rf"\begin{{longtable}}{{{columns}}}",
            rf"{caption}\tabularnewline",
            rf"{heading}\endfirsthead",
            rf"{heading}\endhead",
            r"\bottomrule\endfoot",
            *rows,
            r"\end{longtable}",
            *notes,
            r"\endgroup",
        ]
    return [
        r"\begin{table}",
        caption + r"\par\smallskip",
        f"{setting}{fit}",
        r"\mgauditbox{\begin{minipage}{\mgauditwidth}\raggedright",
        rf"\begin{{tabular}}{{{columns}}}",
        heading,
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{minipage}}\par",
        *notes,
        r"\end{table}",
    ]


def _columns_tex(table: Table) -> str:
    """Returns the definitions of the columns: left-aligned text, in a wide and a narrow layout.

    A column has its least width, and a share of the rest of the line.
    """
    layouts = [(least, _shares_of_rest(table, least)) for least in _layouts(table)]
    (wide, of_wide), (narrow, of_narrow) = layouts
    columns = []
    for numbers in zip(wide, narrow, of_wide, of_narrow, strict=True):
        least, narrow_least, share, narrow_share = numbers
        ems = rf"\mgauditpick{{{CHARACTER * least:.2f}}}{{{CHARACTER * narrow_least:.2f}}}em"
        rest = rf"\mgauditpick{{{share:.4f}}}{{{narrow_share:.4f}}}\mgauditrest"
        width = rf"\dimexpr {ems}+{rest}\relax"
        columns.append(rf">{{\raggedright\arraybackslash}}p{{{width}}}")
    return "".join(columns)


def _fit(table: Table) -> str:
    """Returns the command that chooses the layout, with the widths that both layouts need."""
    wide, narrow = (f"{CHARACTER * sum(least):.2f}em" for least in _layouts(table))
    gaps = rf"{2 * (len(table.columns) - 1)}\tabcolsep"
    return rf"\mgauditfit{{{wide}+{gaps}}}{{{narrow}+{gaps}}}"


def _layouts(table: Table) -> tuple[list[float], list[float]]:
    """Returns the least widths of the columns in both layouts, in characters.

    In the narrow one, lines may also end between a number and its interval.
    """
    columns = range(len(table.columns))
    return _least(table), [_longest_piece(table, column, True) + 1 for column in columns]


def _shares_of_rest(table: Table, least: list[float]) -> list[float]:
    """Returns the share that each column has of what these least widths leave of a line.

    A column with longer text has more of it. If there is none, all columns grow alike.
    """
    wished = [max(more - less, 0) for less, more in zip(least, _most(table), strict=True)]
    total = sum(wished)
    if total == 0:
        return [less / sum(least) for less in least]
    return [wish / total for wish in wished]


def is_wide(table: Table) -> bool:
    """Returns whether a table of many columns is too wide for a portrait page with low rows."""
    needed = (
        max(less, more / TALLEST) if column else max(less, more / TALLEST, LONGEST_WORD)
        for column, (less, more) in enumerate(
            zip(_least(table), map(_longest, _columns(table)), strict=True)
        )
    )
    return len(table.columns) > MANY_COLUMNS and sum(needed) > PORTRAIT


def _columns(table: Table) -> list[Sequence[str]]:
    return [texts(table, column) for column in range(len(table.columns))]


def _longest(column: Sequence[str]) -> int:
    return max(map(len, column), default=1)


def _least(table: Table) -> list[float]:
    """Returns the width of the longest piece of each column in characters, plus one as margin."""
    return [_longest_piece(table, column) + 1 for column in range(len(table.columns))]


def _longest_piece(table: Table, column: int, is_narrow: bool = False) -> float:
    pieces = unbreakable(table, column)
    if is_narrow:
        pieces = [part for piece in pieces for part in _narrow_pieces(piece)]
    heading = [part for word in words(table.columns[column]) for part in parts(word)]
    return max([*map(len, pieces), *(BOLD * len(part) for part in heading)])


def _most(table: Table) -> list[int]:
    return [min(_longest(column), WIDEST) for column in _columns(table)]


def _row(cells: list[str]) -> str:
    return "{}" + " & ".join(cells) + r" \tabularnewline"


def _heading(text: str) -> str:
    return rf"\textbf{{{_running(text)}}}"


def _cell(cell: Cell) -> str:
    return " ".join(map(_piece_of_cell, lines(cell).pieces))


def _piece_of_cell(piece: str) -> str:
    """Returns a piece that stays on one line where the line is wide enough."""
    if " " not in piece:
        return _piece(piece)
    return r"\mgauditgap{}".join(map(_piece, _narrow_pieces(piece)))


def _narrow_pieces(piece: str) -> list[str]:
    """Returns the parts between which a narrow line may end.

    >>> _narrow_pieces("0.589 ± 0.012"), _narrow_pieces("[96.0, 100.0]"), _narrow_pieces("5 %")
    (['0.589', '± 0.012'], ['[96.0,', '100.0]'], ['5 %'])
    """
    if piece.startswith("["):
        return piece.split(" ")
    before, sign, error = piece.partition(" ± ")
    return [before, f"± {error}"] if sign else [piece]


def _piece(piece: str) -> str:
    if " " in piece:
        return rf"\mbox{{{escape_latex(piece)}}}"
    return r"\allowbreak{}".join(map(escape_latex, parts(piece)))


def _running(text: str) -> str:
    """Returns text whose long words may be broken."""
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
    for index, chapter in enumerate(document.chapters):
        if chapter.title:
            title = rf"\section*{{{_running(chapter.title)}}}"
            yield rf"\clearpage{title}\label{{sec:{chapter.anchor}}}"
        yield rf"\begin{{quote}}\itshape {_running(chapter.question)}\end{{quote}}"
        if chapter.answer is not None:
            yield from _section(chapter.answer)
        yield from (_paragraph(sentence) for sentence in chapter.verdict)
        if index == 0:
            yield r"\tableofcontents"
        for section in chapter.sections:
            yield from _section(section)
    for section in document.closing:
        yield from _section(section)


def _section(section: Section) -> Iterator[str]:
    """Yields the section; if a wide table comes first, the heading is on its landscape page."""
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
            yield from (_verbatim(line) for line in block.text.splitlines())
            yield r"\end{quote}"
        case Table():
            yield _on_its_side(_input(section, block)) if is_wide(block) else _input(section, block)
        case Drawing():
            yield r"\begin{figure}\centering"
            size = rf"width={block.share_of_width:.3g}\linewidth"
            yield rf"\includegraphics[{size}]{{{_figure_path(section, block)}}}"
            label = rf"\label{{fig:{section.anchor}-{block.name}}}"
            yield rf"\caption{{{escape_latex(block.caption)}}}{label}"
            yield r"\end{figure}"


def _input(section: Section, table: Table) -> str:
    return rf"\input{{{_table_path(section, table)}.tex}}"


def _on_its_side(tex: str) -> str:
    return f"\\begin{{landscape}}\n{tex}\n\\end{{landscape}}"


def _paragraph(text: str) -> str:
    lines_of_text = [line for line in text.split("\n") if line.strip()]
    return "\n".join(rf"{_running(line)}\par" for line in lines_of_text)


def _verbatim(line: str) -> str:
    """Returns a verbatim line: every blank is kept, and a long word may be broken."""
    indented = len(line) - len(line.lstrip(" "))
    blanks = "{}" + r"\ " * indented
    pieces = map(_piece, line[indented:].split(" "))
    return blanks + r"\ ".join(pieces) + r"\par"
