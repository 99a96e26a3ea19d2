"""The visible text of LaTeX: an inverse of `latex_text.escape_latex`, by the rules of TeX."""

import re
import unicodedata

COMMANDS = {
    "textbackslash": "\\",
    "textasciicircum": "^",
    "textasciitilde": "~",
    "textless": "<",
    "textgreater": ">",
    "textbar": "|",
    "textasciigrave": "`",
    "textendash": "–",
    "textemdash": "—",
    "textquoteleft": "‘",
    "textquoteright": "’",
    "textquotedblleft": "“",
    "textquotedblright": "”",
    "ldots": "…",
    "S": "§",
    "copyright": "©",
    "ss": "ß",
    "ae": "æ",
    "AE": "Æ",
    "oe": "œ",
    "OE": "Œ",
    "o": "ø",
    "O": "Ø",
    "l": "ł",
    "L": "Ł",
    "i": "ı",
    "varepsilon": "ε",
    "varphi": "φ",
    "pm": "±",
    "times": "×",
    "cdot": "·",
    "odot": "⊙",
    "infty": "∞",
    "leq": "≤",
    "geq": "≥",
    "approx": "≈",
    "neq": "≠",
    "rightarrow": "→",
    "leftarrow": "←",
    "surd": "√",
    "dagger": "†",
    "ddagger": "‡",
}
COMBINING = {
    "`": 0x300,
    "'": 0x301,
    "^": 0x302,
    "~": 0x303,
    "=": 0x304,
    '"': 0x308,
    ".": 0x307,
    "u": 0x306,
}
COMBINING |= {"r": 0x30A, "H": 0x30B, "v": 0x30C, "c": 0x327}
TOKEN = re.compile(
    r"\\mgauditgap\{\}(g?)|\\mgauditchar\{([0-9A-F]+)\}|\\mgauditquote\{\}(q?)|\\hspace\{0pt\}(z?)|\\ensuremath\{\^\{\\circ\}\}(d?)"
    r"|\\ensuremath\{([\^_])\{(\d)\}\}|\\ensuremath\{(-)\}|\\ensuremath\{\\([A-Za-z]+)\}|\\([`'^~=\".urHvc])\{([A-Za-z])\}"
    r"|\\(?!allowbreak|mgauditquote)([A-Za-z]+)\{\}|\\([{}$&#_%])|(\\kern0pt\{\}|\{\}|\\allowbreak\{\}|\\mbox\{|\})|(\\,)|(\\-)|(~)|(.)",
    re.DOTALL,
)


def greek(name: str) -> str:
    kind = "CAPITAL" if name[0].isupper() else "SMALL"
    return unicodedata.lookup(f"GREEK {kind} LETTER {name.upper().replace('LAMBDA', 'LAMDA')}")


def read(tex: str) -> str:
    """Returns the text that the LaTeX says; raises KeyError at a command that is not known here."""
    return "".join(map(_read, TOKEN.finditer(tex)))


def _read(match: re.Match[str]) -> str:
    (
        gap,
        number,
        quote,
        zero,
        degree,
        raised,
        digit,
        minus,
        maths,
        accent,
        letter,
        command,
        special,
        *rest,
    ) = match.groups()
    nothing, thin, hyphen, blank, other = rest
    if gap is not None:
        return " "
    if number:
        return chr(int(number, 16))
    if quote is not None:
        return '"'
    if zero is not None:
        return "\u200b"
    if degree is not None:
        return "°"
    if raised:
        return ("⁰¹²³⁴⁵⁶⁷⁸⁹" if raised == "^" else "₀₁₂₃₄₅₆₇₈₉")[int(digit)]
    if minus:
        return "−"
    if maths:
        return COMMANDS[maths] if maths in COMMANDS else greek(maths)
    if accent:
        return unicodedata.normalize("NFC", letter + chr(COMBINING[accent]))
    if command:
        return COMMANDS[command]
    if nothing is not None:
        return ""
    assert other not in set('\\{}$&#_%^<>|"`'), f"{other!r} stands in the text as it is"
    return special or (thin and "\u2009") or (hyphen and "\u00ad") or (blank and "\u00a0") or other
