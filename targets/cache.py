"""The cache directory, whose files are kept between runs."""

import os
from pathlib import Path

from platformdirs import user_cache_path

from mgaudit.targets.home import with_home

CACHE_VARIABLE = "MGAUDIT_CACHE"


def cache_folder() -> Path:
    """Returns the directory of trained models and downloaded data, which need not exist.

    It is $MGAUDIT_CACHE if this is set and not empty, otherwise the user's cache directory. Raises
    UsageError if $MGAUDIT_CACHE begins with the `~` of a user who has no home directory.
    """
    chosen = os.environ.get(CACHE_VARIABLE)
    return with_home(chosen, CACHE_VARIABLE) if chosen else user_cache_path("mgaudit")
