"""The directory of files that are kept between runs."""

import os
from pathlib import Path

from platformdirs import user_cache_path


def cache_folder() -> Path:
    """Returns the directory of trained models and fetched data.

    It is $MGAUDIT_CACHE if set, otherwise the user's cache directory.
    """
    chosen = os.environ.get("MGAUDIT_CACHE")
    return Path(chosen) if chosen else user_cache_path("mgaudit")
