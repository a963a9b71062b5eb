"""What every figure with an uncertainty has: its 95 % confidence interval."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

# Two-sided 95 % quantile of the normal distribution.
Z95 = 1.959964


class Interval(NamedTuple):
    """A 95 % confidence interval, as computed."""

    low: float
    high: float


class Bounds(BaseModel):
    """A 95 % confidence interval, as metric files hold it: an object, for DVC drops lists."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: float
    high: float

    @classmethod
    def of(cls, interval: Interval, digits: int = 4) -> Bounds:
        """The interval, rounded to `digits` decimals."""
        return cls(low=round(interval.low, digits), high=round(interval.high, digits))
