"""Shows the README, its neighbours and the notebooks in the site, and adapts links that leave it.

Links are written as the code host resolves them, relative to the file. In the site, a link to a
shown file leads to its page, an image outside docs/ is copied, and a link to another file of the
repository becomes plain text.
"""

import json
import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = {
    f"examples/{path.name}": f"notebooks/{path.stem}.md"
    for path in sorted((ROOT / "examples").glob("*.ipynb"))
}
PAGES = {
    "README.md": "about/readme.md",
    "CONTRIBUTING.md": "about/contributing.md",
    "SECURITY.md": "about/security.md",
    "CHANGELOG.md": "about/changelog.md",
    **NOTEBOOKS,
}
SOURCES = {page: source for source, page in PAGES.items()}
PAGES["examples"] = next(iter(NOTEBOOKS.values()))
IMAGES = (".svg", ".png", ".jpg", ".webp")
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
FENCE = re.compile(r"^(```.*?^```\s*?$)", re.DOTALL | re.MULTILINE)


def on_files(files: "Files", config: "MkDocsConfig") -> "Files":
    """Adds the files of the repository's root, and the images outside docs/ that they show."""
    from mkdocs.structure.files import File  # the tests of links have no mkdocs

    root = Path(config.config_file_path).parent
    for page, source in SOURCES.items():
        text = (root / source).read_text(encoding="utf-8")
        if source in NOTEBOOKS:
            text = notebook_markdown(text)
        files.append(File.generated(config, page, content=text))
        for mark, _, target in LINK.findall(text):
            is_image = mark and target.endswith(IMAGES) and not target.startswith("docs/")
            if is_image and (root / target).is_file():
                image = (root / target).read_bytes()
                files.append(File.generated(config, f"about/{target}", content=image))
    return files


def notebook_markdown(notebook: str) -> str:
    """Returns the cells of a notebook, in JSON, as Markdown, with the outputs that are stored.

    >>> cell = {"cell_type": "code", "source": ["1 + 1"], "outputs": [{"text": ["2"]}]}
    >>> print(notebook_markdown(json.dumps({"cells": [cell]})))
    ```python
    1 + 1
    ```
    <BLANKLINE>
    ```text
    2
    ```
    """
    blocks = []
    for cell in json.loads(notebook)["cells"]:
        source = "".join(cell["source"])
        blocks.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        blocks += [_output(output) for output in cell.get("outputs", [])]
    return "\n\n".join(blocks)


def _output(output: dict[str, Any]) -> str:
    data = output.get("data", {})
    if "text/html" in data:
        html = re.sub(r"\n\s*\n", "\n", "".join(data["text/html"]))
        return f'<div class="notebook-output">\n{html}\n</div>'
    text = "".join(data.get("text/plain", output.get("text", "")))
    return f"```text\n{text}\n```"


def on_page_markdown(markdown: str, page: "Page", config: "MkDocsConfig", files: "Files") -> str:
    """Adapts the links of a page outside of its code blocks."""
    source = SOURCES.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    parts = FENCE.split(markdown)
    return "".join(
        part if part.startswith("```") else adapted_links(part, source, page.file.src_uri)
        for part in parts
    )


def adapted_links(text: str, source: str, page: str) -> str:
    """Returns the text with the links of the site.

    Args:
        text: Markdown without code blocks.
        source: The path of the file in the repository, to which links are relative.
        page: The path of the page in the site.

    >>> adapted_links("[a](docs/method.md#x) [b](studies) [c](#y)", "README.md", "about/readme.md")
    '[a](../method.md#x) b [c](#y)'
    >>> adapted_links("[c](../CONTRIBUTING.md)", "docs/index.md", "index.md")
    '[c](about/contributing.md)'
    """

    def adapted(link: re.Match[str]) -> str:
        mark, words, target = link.groups()
        path, hash_mark, anchor = target.partition("#")
        if not path or re.match(r"[a-z]+:", path):
            return link.group()
        in_repository = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        if in_repository in PAGES:
            in_site = PAGES[in_repository]
        elif in_repository.startswith("docs/"):
            in_site = in_repository.removeprefix("docs/")
        elif mark:
            in_site = f"about/{in_repository}"
        else:
            return words
        relative = posixpath.relpath(in_site, posixpath.dirname(page) or ".")
        return f"{mark}[{words}]({relative}{hash_mark}{anchor})"

    return LINK.sub(adapted, text)
