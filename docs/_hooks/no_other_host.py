"""Removes the addresses of other hosts that the theme's scripts would load.

The theme loads a diagram library, a polyfill for old browsers and facts about a code host's
repository where a page needs them. No page does. Without the addresses, no browser can ask there.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig

ADDRESS = re.compile(r"""(["'`])https://(?:unpkg\.com|api\.github\.com)[^"'`]*\1""")
NOTHING = r"\1data:text/javascript,\1"


def on_post_build(config: "MkDocsConfig") -> None:
    """Changes the scripts of the built site."""
    for script in Path(config.site_dir).rglob("*.js"):
        text = script.read_text(encoding="utf-8")
        script.write_text(ADDRESS.sub(NOTHING, text), encoding="utf-8")
