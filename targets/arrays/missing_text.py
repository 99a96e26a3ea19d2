"""Texts that programs write for a missing value."""

# Both signs of NaN, and those of old compilers, are included, as in pandas.
MISSING = frozenset(
    {
        *("?", "NA", "N/A", "n/a", "#N/A", "#N/A N/A", "#NA", "<NA>", "NULL", "null", "None"),
        *("NaN", "nan", "-NaN", "-nan", "NAN", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
    }
)
