"""CSV, in which no text is a formula for a spreadsheet."""

import csv
import io
import re
from collections.abc import Iterable

# A spreadsheet also reads the full-width signs as formulas.
SIGNS = "=+\\-@＝＋－＠"
FORMULA = re.compile(rf"\s*[{SIGNS}]|[\t\r\n]")
# Where a spreadsheet expects ; or tab between cells, a cell may begin within a text.
WITHIN = re.compile(rf"(?<=[;\t\r\n])(?=\s*[{SIGNS}])")

CsvCell = str | int | float | None


def csv_text(rows: Iterable[Iterable[CsvCell]], line_end: str = "\n") -> str:
    """Returns the rows as CSV. Texts are guarded against formulas; numbers are left as they are.

    None is an empty cell. With the line end "\\r\\n", a lone "\\r" in a text is quoted.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator=line_end)
    for row in rows:
        writer.writerow([guarded(cell) if isinstance(cell, str) else cell for cell in row])
    return buffer.getvalue()


def guarded(text: str) -> str:
    """Returns the text with an apostrophe where a spreadsheet would read a formula.

    >>> guarded('=HYPERLINK("http://evil")'), guarded("x; =1"), guarded("a-b")
    ('\\'=HYPERLINK("http://evil")', "x;' =1", 'a-b')
    """
    text = WITHIN.sub("'", text)
    return f"'{text}" if FORMULA.match(text) else text
