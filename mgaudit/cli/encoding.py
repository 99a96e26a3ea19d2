"""Characters that the encoding of the terminal lacks, such as κ in cp1252 or ASCII.

They are replaced when a command writes them. A terminal's encoding must not end a run.
"""

import codecs
import io
import sys

HANDLER = "mgaudit.readable"
UNKNOWN = "?"
READABLE = {
    "α": "alpha",
    "δ": "delta",
    "ε": "epsilon",
    "κ": "kappa",
    "μ": "mu",
    "σ": "sigma",
    "²": "^2",
    "±": "+/-",
    "≤": "<=",
    "≥": ">=",
    "→": "->",
    "×": "x",
    "·": "-",
    "•": "*",
    "–": "-",
    "—": "-",
    "−": "-",
    "…": "...",
    "’": "'",
    "‘": "'",
    "“": '"',
    "”": '"',
}


def replace_missing_characters() -> None:
    """Makes stdout and stderr write characters that their encoding lacks in another way.

    A character of `READABLE` is spelled out, and any other becomes "?".
    """
    codecs.register_error(HANDLER, _readable)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=HANDLER)


def _readable(error: UnicodeError) -> tuple[str | bytes, int]:
    """Returns the replacement of characters that cannot be encoded, and where to go on."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(READABLE.get(character, UNKNOWN) for character in missing), error.end
