from functools import partial
from typing import Literal

import pytest

from mgaudit.settings.choices import Entry, parse
from mgaudit.settings.schemes import scheme_choice
from mgaudit.settings.study_settings import attack_choice, target_choice


class Thing:
    def __init__(
        self,
        given: int,
        size: float,
        widths: tuple[int, ...] = (1, 2),
        flag: bool = False,
        kind: Literal["a", "b"] = "a",
        limit: float | None = None,
    ) -> None:
        pass


def choice(text: str):  # type: ignore[no-untyped-def]
    return parse("thing", {"thing": Thing}, text, partial(Entry, supplied=("given",)))


def test_options_take_the_types_of_the_signature() -> None:
    options = choice("thing:size=2,widths=3x4x5,flag=true,kind=b,limit=1e-5").options
    assert options == {"size": 2.0, "widths": (3, 4, 5), "flag": True, "kind": "b", "limit": 1e-5}
    assert choice(" thing:size=1,widths=7 ").options["widths"] == (7,)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("thing:widths=3x4, size=2.50", "thing:size=2.5,widths=3x4"),
        ("thing:size=1,flag=false,kind=a,widths=1x2", "thing:size=1"),
        ("thing:flag=yes,size=1e-1", "thing:size=0.1,flag=true"),
        ("thing:2.50,flag=yes", "thing:size=2.5,flag=true"),
    ],
)
def test_the_canonical_spelling_is_one_for_each_meaning(text: str, canonical: str) -> None:
    assert choice(text).text == canonical
    assert choice(canonical).options == choice(choice(text).text).options


def test_labels_are_for_readers() -> None:
    assert choice("thing:size=2,flag=true").label() == "thing (size=2, flag=true)"
    assert choice("thing:size=2").label(title="Thing") == "Thing (size=2)"
    assert scheme_choice("none").label() == "no noise"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("thin:size=1", "must be one of thing, got 'thin'"),
        ("thing", "thing needs size; write thing:size=VALUE"),
        (
            "thing:size=1,colour=red",
            r"thing.colour is not an option .* takes size, widths, flag, kind \(a or b\), limit",
        ),
        ("thing:given=1,size=1", "thing.given is not an option"),
        ("thing:size=1,flag", "thing.flag needs a value; write flag=VALUE"),
        ("thing:size", "thing.size must .*number.*, got 'size'"),
        ("thing:1,size=2", "thing.size may be given once"),
        ("thing:size=1,size=2", "thing.size may be given once"),
        ("thing:size=big", "thing.size must .*number.*, got 'big'"),
        ("thing:size=1,widths=3xa", "thing.widths must .*integer.*, got '3xa'"),
        ("thing:size=1,kind=c", "'a' or 'b', got 'c'"),
    ],
)
def test_a_choice_that_is_none_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        choice(text)


def test_the_real_registries_build_what_they_name() -> None:
    target = target_choice("cnn:channels=8x16,norm=group")
    assert type(target.built((1, 8, 8), 3)).__name__ == "CNN"
    assert scheme_choice("gaussian-mask:kappa=0.30").text == "gaussian-mask:kappa=0.3"
    assert attack_choice("lira:online=no").text == "lira:online=false"
    with pytest.raises(ValueError, match="kappa must be a finite number >= 0, got -1"):
        scheme_choice("gaussian-mask:kappa=-1")
