"""Where files are kept between runs."""

import os
from pathlib import Path

from platformdirs import user_cache_path


def cache_folder() -> Path:
    """Returns where trained models and fetched data are kept: $MGAUDIT_CACHE, or else the user's cache folder."""
    chosen = os.environ.get("MGAUDIT_CACHE")
    return Path(chosen) if chosen else user_cache_path("mgaudit")
