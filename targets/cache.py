"""The cache directory, whose files are kept between runs."""

import os
from pathlib import Path

from platformdirs import user_cache_path

from mgaudit.targets.home import with_home


def cache_folder() -> Path:
    """Returns the directory of trained models and downloaded data, which need not exist.

    It is $MGAUDIT_CACHE if this is set and not empty, otherwise the user's cache directory. Raises
    UsageError if $MGAUDIT_CACHE begins with the `~` of a user who has no home directory.
    """
    chosen = os.environ.get("MGAUDIT_CACHE")
    return with_home(chosen, "MGAUDIT_CACHE") if chosen else user_cache_path("mgaudit")
