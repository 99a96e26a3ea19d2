"""What every part of a result is made of."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A part of a result: unchanging, of finite numbers, without unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ChoiceRecord(Record):
    """A scheme, an attack, a network, queries or a dataset by name, and its options that are not the defaults."""

    name: str
    options: dict[str, Any] = {}

    def __str__(self) -> str:
        options = ", ".join(f"{key}={_shown(value)}" for key, value in self.options.items())
        return f"{self.name} ({options})" if options else self.name


class NamedChoice(ChoiceRecord):
    """A choice and the `label` that a reader sees."""

    label: str


def _shown(value: object) -> str:
    if isinstance(value, list | tuple):
        return "x".join(map(_shown, value))
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.15g}" if isinstance(value, float) else str(value)


class Estimate(Record):
    """A number and its two-sided 95 % confidence interval, for new targets and new examples."""

    value: float
    low: float
    high: float

    @property
    def sign(self) -> Literal[-1, 0, 1]:
        """Says on which side of 0 the whole interval lies; 0 when it covers 0."""
        if self.low > 0:
            return 1
        return -1 if self.high < 0 else 0
