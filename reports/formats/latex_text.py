"""Text for LaTeX: plain ASCII that prints alike in pdflatex, xelatex and lualatex."""

import unicodedata
from itertools import pairwise

SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "_": r"\_",
    "%": r"\%",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\mgauditquote{}",  # xelatex and lualatex would print a curly one
    "`": r"\textasciigrave{}",
    "\u00a0": "~",
    "\u2009": r"\,",
    "\u202f": r"\,",
    "\u200b": r"\hspace{0pt}",
    "\u00ad": r"\-",
    "–": r"\textendash{}",
    "—": r"\textemdash{}",
    "‘": r"\textquoteleft{}",
    "’": r"\textquoteright{}",
    "“": r"\textquotedblleft{}",
    "”": r"\textquotedblright{}",
    "…": r"\ldots{}",
    "§": r"\S{}",
    "©": r"\copyright{}",
    "ß": r"\ss{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "œ": r"\oe{}",
    "Œ": r"\OE{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "ı": r"\i{}",
}
MATHS = {
    "α": r"\alpha",
    "β": r"\beta",
    "γ": r"\gamma",
    "δ": r"\delta",
    "ε": r"\varepsilon",
    "ζ": r"\zeta",
    "η": r"\eta",
    "θ": r"\theta",
    "ι": r"\iota",
    "κ": r"\kappa",
    "λ": r"\lambda",
    "μ": r"\mu",
    "µ": r"\mu",
    "ν": r"\nu",
    "ξ": r"\xi",
    "π": r"\pi",
    "ρ": r"\rho",
    "σ": r"\sigma",
    "τ": r"\tau",
    "φ": r"\varphi",
    "χ": r"\chi",
    "ψ": r"\psi",
    "ω": r"\omega",
    "Γ": r"\Gamma",
    "Δ": r"\Delta",
    "Θ": r"\Theta",
    "Λ": r"\Lambda",
    "Π": r"\Pi",
    "Σ": r"\Sigma",
    "Φ": r"\Phi",
    "Ψ": r"\Psi",
    "Ω": r"\Omega",
    "±": r"\pm",
    "−": "-",
    "×": r"\times",
    "·": r"\cdot",
    "⊙": r"\odot",
    "∞": r"\infty",
    "≤": r"\leq",
    "≥": r"\geq",
    "≈": r"\approx",
    "≠": r"\neq",
    "→": r"\rightarrow",
    "←": r"\leftarrow",
    "√": r"\surd",
    "†": r"\dagger",
    "‡": r"\ddagger",
    "°": r"^{\circ}",
    **{sign: f"^{{{digit}}}" for digit, sign in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
    **{sign: f"_{{{digit}}}" for digit, sign in enumerate("₀₁₂₃₄₅₆₇₈₉")},
}
DOUBLED = "-,'"
ACCENTS = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0304": "=",
    "\u0306": "u",
    "\u0307": ".",
    "\u0308": '"',
    "\u030a": "r",
    "\u030b": "H",
    "\u030c": "v",
    "\u0327": "c",
}
# lualatex (which defines \Umathcode) prints the character if the font has it, pdflatex its number.
DEFINE_CHARACTER = (
    r"\providecommand{\mgauditchar}[1]{\ifdefined\Umathcode\iffontchar\font"
    r'"#1\relax\char"#1\relax\else[U+#1]\fi\else[U+#1]\fi}'
)
DEFINE_QUOTE = (
    r"\providecommand{\mgauditquote}{\ifdefined\Umathcode\textquotedbl\else\symbol{34}\fi}"
)
COMMANDS = {r"\mgauditchar{": DEFINE_CHARACTER, r"\mgauditquote{": DEFINE_QUOTE}


def commands(tex: str) -> str:
    """Returns the definitions, one per line, of the commands that escaped text in `tex` uses."""
    used = [definition for name, definition in COMMANDS.items() if name in tex]
    return "".join(f"{definition}\n" for definition in used)


def escape_latex(text: str) -> str:
    r"""Returns the text escaped for LaTeX: no part is read as a command, and nothing is dropped.

    A character without a command of its own becomes \mgauditchar with its number (`commands`
    defines it): the character itself in xelatex and lualatex if the font has it, and a visible
    [U+4E2D] otherwise. An invisible character is always printed as its number.

    >>> print(escape_latex("50 % of a_b, ε ≤ 2²"))
    50 \% of a\_b, \ensuremath{\varepsilon} \ensuremath{\leq} 2\ensuremath{^{2}}
    >>> print(escape_latex("naïve 中"))
    na\"{i}ve \mgauditchar{4E2D}
    """
    escaped = []
    for previous, character in pairwise("\0" + text):
        # LaTeX joins two of these into another sign: a dash, a quotation mark.
        if character == previous and character in DOUBLED:
            escaped.append(r"\kern0pt{}")
        escaped.append(_escape_character(character))
    return "".join(escaped)


def _escape_character(character: str) -> str:
    if character in SPECIAL:
        return SPECIAL[character]
    if character in MATHS:
        return rf"\ensuremath{{{MATHS[character]}}}"
    if character in "\n\r\t":
        return " "
    if character.isascii() and character.isprintable():
        return character
    letter, *marks = list(unicodedata.normalize("NFD", character))
    if letter.isascii() and len(marks) == 1 and marks[0] in ACCENTS:
        accent = ACCENTS[marks[0]]
        return rf"\{accent}{{{letter}}}"
    number = f"{ord(character):04X}"
    if character.isprintable():
        return rf"\mgauditchar{{{number}}}"
    return f"[U+{number}]"
