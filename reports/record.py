"""The records that results are made of."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A part of a result: immutable, with finite numbers and without unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ChoiceRecord(Record):
    """The name of a scheme, attack, network, query or dataset, and its non-default options."""

    name: str
    options: dict[str, Any] = {}

    def __str__(self) -> str:
        options = ", ".join(f"{key}={_format(value)}" for key, value in self.options.items())
        return f"{self.name} ({options})" if options else self.name


class NamedChoice(ChoiceRecord):
    """A choice and its `label` in reports."""

    label: str


def _format(value: object) -> str:
    if isinstance(value, list | tuple):
        return "x".join(map(_format, value))
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.15g}"
    return str(value)


class Estimate(Record):
    """A number and its two-sided 95 % confidence interval, for new targets and new examples."""

    value: float
    low: float
    high: float

    @property
    def sign(self) -> Literal[-1, 0, 1]:
        """The side of 0 on which the whole interval lies, -1 or 1; 0 if it covers 0."""
        if self.low > 0:
            return 1
        return -1 if self.high < 0 else 0
