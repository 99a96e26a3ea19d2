"""A duration as text."""

MINUTE = 60
HOUR = 60 * MINUTE


def time_text(seconds: float) -> str:
    """Returns a time in the unit that suits it.

    >>> time_text(40.4), time_text(12 * 60), time_text(3.44 * 3600)
    ('40 s', '12 min', '3.4 h')
    """
    if seconds < 1.5 * MINUTE:
        return f"{seconds:.0f} s"
    if seconds < 1.5 * HOUR:
        return f"{seconds / MINUTE:.0f} min"
    return f"{seconds / HOUR:.1f} h"
