"""The contracts for users' own attacks and schemes, as their pages show them."""

import doctest

import pytest

from tests.docs.pages import DOCS


@pytest.mark.parametrize(("page", "examples"), [("own-attack", 6), ("own-scheme", 6)])
def test_the_examples_of_a_page_give_what_they_say(page: str, examples: int) -> None:
    path = str(DOCS / "howto" / f"{page}.md")
    results = doctest.testfile(path, module_relative=False, encoding="utf-8")
    assert results.failed == 0
    assert results.attempted >= examples
