"""Whether code draws from the global random generators of Python and numpy."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from mgaudit.errors import UsageError

WAY_OUT = "draw random numbers from torch's generator and no other"


@contextmanager
def refuse_global_draws(way_out: str = WAY_OUT) -> Iterator[None]:
    """Raises UsageError at the end if a global generator was used or seeded in the context.

    The generators are those of the modules `random` and `numpy.random`. They are not restored.
    """
    before = _states()
    yield
    for name, state in _states().items():
        if state != before[name]:
            rule = f"must not draw from the global generator of {name}"
            raise UsageError("", rule, None, way_out)


def _states() -> dict[str, object]:
    """Returns the state of each global generator, by the name of its module."""
    kind, key, *rest = np.random.get_state(legacy=True)  # noqa: NPY002 - what own code may use
    return {"random": random.getstate(), "numpy.random": (kind, np.asarray(key).tobytes(), *rest)}
