"""What holds for every scheme, whoever adds it, and that the contract notices where it does not."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from mgaudit.targets.ranges import Range
from mgaudit.targets.schemes import SCHEMES, Scheme
from mgaudit.targets.training import Training
from mgaudit.testing import check_scheme


@pytest.mark.parametrize("name", SCHEMES)
def test_every_scheme_keeps_the_contract(name: str) -> None:
    check_scheme(SCHEMES[name])


def test_every_scheme_is_registered_by_its_own_name_and_names_its_source() -> None:
    for name, scheme in SCHEMES.items():
        assert scheme.name == name
        assert {"name", "law", "source"} <= vars(scheme).keys(), name
        zero, _ = scheme.examples()
        assert (zero is None) == (name == "dp-sgd"), name


@dataclass(frozen=True)
class Shift(Scheme):
    """Adds `by` to the inputs."""

    name: ClassVar[str] = "shift"
    law: ClassVar[str] = "x + by"

    by: Annotated[float, Range(0)]

    @classmethod
    def examples(cls) -> tuple[Scheme | None, tuple[Scheme, ...]]:
        return cls(0.0), (cls(0.5),)

    def inputs(self, x: Tensor, generator: Generator) -> Tensor:
        return x + self.by if self.by else x


def test_a_scheme_of_ones_own_keeps_it() -> None:
    check_scheme(Shift)


@dataclass(frozen=True)
class Nameless(Shift):
    """Has the name of another."""


@dataclass(frozen=True)
class Unbounded(Scheme):
    """Has a field that may be anything."""

    name: ClassVar[str] = "unbounded"
    law: ClassVar[str] = "x"
    by: float


@dataclass(frozen=True)
class WithoutExamples(Scheme):
    """Does not override examples."""

    name: ClassVar[str] = "without-examples"
    law: ClassVar[str] = "x"
    by: float = 0.0


def own(word: str, **hooks: Any) -> type[Shift]:
    """Returns a scheme whose hooks are other ones."""
    facts = {"name": word, "law": word, "__module__": __name__, "__annotations__": {}}
    return dataclass(frozen=True)(type("Own", (Shift,), {**facts, **hooks}))


def drawing_always(self: Shift, x: Tensor, generator: Generator) -> Tensor:
    torch.empty(1).normal_(generator=generator)
    return x + self.by


def of_global_randomness(self: Shift, x: Tensor, generator: Generator) -> Tensor:
    return x + self.by * float(np.random.default_rng().normal()) if self.by else x


def of_the_stack(
    self: Shift, weights: dict[str, Tensor], step: int, epoch: float, generator: Generator
) -> Any:
    name, weight = next(iter(weights.items()))
    in_a_stack = weight.numel() < weight.untyped_storage().nbytes() // weight.element_size()
    return {name: torch.full_like(weight, -self.by if in_a_stack else self.by)} if self.by else {}


@pytest.mark.parametrize(
    ("scheme", "rule"),
    [
        (int, "must be a class that extends Scheme"),
        (Nameless, "must state its name"),
        (Unbounded, "must give by a default or a range"),
        (
            own("eight", smaller_is_stronger="steps"),
            "must name an option in smaller_is_stronger, got 'steps'",
        ),
        (WithoutExamples, r"must override the class method examples\(\)"),
        (
            own("one", inputs=lambda self, x, generator: x + 1),
            "must train the same weights as plain training",
        ),
        (
            own("two", inputs=drawing_always),
            r"must draw nothing at strength zero, but draws from .*\['inputs'\]",
        ),
        (
            own("three", inputs=lambda self, x, generator: x),
            "must change the weights at a strength that is not zero",
        ),
        (
            own("four", inputs=of_global_randomness),
            "must draw from the given generator and from nothing else",
        ),
        (
            own("nan", inputs=lambda self, x, generator: x * torch.nan if self.by else x),
            "must keep the weights finite",
        ),
        (
            own("none", inputs=lambda self, x, generator: None),
            "Own must train models, and fails: TypeError",
        ),
        (
            own("shape", inputs=lambda self, x, generator: x[:, :1]),
            "Own must train models, and fails: RuntimeError",
        ),
        (
            own("raises", inputs=lambda self, x, generator: 1 / 0),
            "Own must train .* ZeroDivisionError",
        ),
        (
            own("six", inputs=Scheme.inputs, weight_noise=of_the_stack),
            "must give the same model alone and in a stack",
        ),
        (
            own(
                "seven", training=lambda self, training: Training(epochs=2) if self.by else training
            ),
            "must let",
        ),
        (
            own("five", examples=classmethod(lambda cls: (cls(0.0), ()))),
            "must have an example of a strength",
        ),
    ],
)
def test_a_scheme_that_breaks_a_rule_is_told_which_in_one_line(scheme: Any, rule: str) -> None:
    with pytest.raises(AssertionError, match=rule) as caught:
        check_scheme(scheme)
    assert "\n" not in str(caught.value)
