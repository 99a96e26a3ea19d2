"""The hooks of the site: links of root pages, the command reference, addresses of other hosts."""

import doctest
import re
from types import SimpleNamespace

from typer.main import get_command

from mgaudit.cli.app import app
from tests.docs.hooks import hook
from tests.docs.pages import DOCS, ROOT


def test_the_examples_of_the_hooks() -> None:
    results = doctest.testmod(hook("root_pages"))
    assert (results.failed, results.attempted) == (0, 4)


def test_links_lead_to_pages_of_the_site_from_both_sides() -> None:
    root_pages = hook("root_pages")
    assert len(root_pages.NOTEBOOKS) == 5
    for page, source in root_pages.SOURCES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        if source in root_pages.NOTEBOOKS:
            text = root_pages.notebook_markdown(text)
        adapted = root_pages.adapted_links(text, source, page)
        for link in re.findall(r"\]\((?!https?:)([^)#\s]+)[^)]*\)", adapted):
            target = (DOCS / page).parent.joinpath(link).resolve()
            in_site = target.relative_to(DOCS).as_posix()
            assert target.exists() or in_site in root_pages.PAGES.values(), f"{source}: {link}"


def test_links_inside_code_stay_as_they_are() -> None:
    page = SimpleNamespace(file=SimpleNamespace(src_uri="index.md"))
    text = "[a](../README.md)\n\n```text\n[a](../README.md)\n```\n"
    adapted = hook("root_pages").on_page_markdown(text, page, None, None)
    assert adapted == "[a](about/readme.md)\n\n```text\n[a](../README.md)\n```\n"


def test_the_command_reference_has_every_command_and_option() -> None:
    command_reference = hook("command_reference")
    assert command_reference.MARK in (DOCS / "commands.md").read_text(encoding="utf-8")
    sections = {
        part.partition("\n")[0]: part
        for part in command_reference.command_reference().split("### ")[1:]
    }
    root = get_command(app)
    described = 0
    for name, command in command_reference.commands(root, "mgaudit"):
        for option in command.params:
            names = option.opts + option.secondary_opts if option.opts[0][0] == "-" else []
            assert all(f"`{word}`" in sections[name] for word in names), (name, names)
            described += len(names)
    top = {name.split()[1] for name in sections}
    assert top == set(root.commands)
    assert described > 100


def test_addresses_of_other_hosts_are_removed_from_scripts(tmp_path) -> None:
    script = tmp_path / "assets" / "bundle.js"
    script.parent.mkdir()
    script.write_text('load("https://unpkg.com/mermaid@11/dist/mermaid.min.js");name("http://a")')
    hook("no_other_host").on_post_build(SimpleNamespace(site_dir=str(tmp_path)))
    assert script.read_text() == 'load("data:text/javascript,");name("http://a")'
