"""Text for the fonts of the PDF and of figures, which lack some characters."""

import unicodedata
from functools import cache
from pathlib import Path

# The font in typst with the most signs, which matplotlib has, too.
WIDEST_FONT = "fonts/ttf/DejaVuSansMono.ttf"
KEPT = "\n\t\u200b\u00ad"


def visible(text: str) -> str:
    """Returns the text with [U+4E2D] for each character that is invisible or in no font here.

    Invisible are, for example, signs that change the direction of the text; blanks are kept.

    >>> visible("ε = 2, 中\\u202e")
    'ε = 2, [U+4E2D][U+202E]'
    """
    return "".join(map(_visible_character, text))


def _visible_character(character: str) -> str:
    return character if _is_visible(character) else f"[U+{ord(character):04X}]"


def _is_visible(character: str) -> bool:
    if character in KEPT or unicodedata.category(character) == "Zs":
        return True
    return character.isprintable() and ord(character) in _signs()


@cache
def _signs() -> frozenset[int]:
    import matplotlib as mpl  # imported here, because it takes half a second
    from matplotlib.ft2font import FT2Font

    path = Path(mpl.get_data_path()) / WIDEST_FONT
    return frozenset(FT2Font(str(path)).get_charmap())
