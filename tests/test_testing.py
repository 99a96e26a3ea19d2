"""The contracts for users' own attacks and schemes, as the guide shows them."""

import doctest
from pathlib import Path

GUIDE = Path(__file__).resolve().parent.parent / "docs" / "guide.md"


def test_the_examples_of_the_guide_give_what_they_say() -> None:
    results = doctest.testfile(str(GUIDE), module_relative=False, encoding="utf-8")
    assert results.failed == 0
    assert results.attempted > 10
