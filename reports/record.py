"""What every part of a result is made of."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A part of a result: unchanging, of finite numbers, without unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


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
