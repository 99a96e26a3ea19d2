"""Text for the fonts of the PDF and of figures: what they cannot show is shown by its number."""

import unicodedata
from functools import cache
from pathlib import Path

# Of the fonts in typst this has the most signs; matplotlib has it, too.
WIDEST_FONT = "fonts/ttf/DejaVuSansMono.ttf"
KEPT = "\n\t\u200b\u00ad"


def visible(text: str) -> str:
    """Returns the text with [U+4E2D] for a character that no font here has, or that could not be seen.

    Signs that turn the direction of the text around are such characters; blanks are not.

    >>> visible("ε = 2, 中\\u202e")
    'ε = 2, [U+4E2D][U+202E]'
    """
    return "".join(one if _is_visible(one) else f"[U+{ord(one):04X}]" for one in text)


def _is_visible(character: str) -> bool:
    if character in KEPT or unicodedata.category(character) == "Zs":
        return True
    return character.isprintable() and ord(character) in _signs()


@cache
def _signs() -> frozenset[int]:
    import matplotlib as mpl  # takes half a second, which only those who draw should wait
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(str(Path(mpl.get_data_path()) / WIDEST_FONT)).get_charmap())
