"""The examples in docstrings give what they say."""

import doctest
import importlib
import pkgutil

import pytest

PACKAGES = ("mgaudit", "attacks", "targets", "reports")
MODULES = [
    one.name
    for package in PACKAGES
    for one in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}.")
    if not one.name.endswith("__main__")
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name))
    assert found.failed == 0


def test_there_are_some() -> None:
    assert sum(doctest.testmod(importlib.import_module(name)).attempted for name in MODULES) > 20
