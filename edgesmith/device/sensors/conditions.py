"""Under which conditions something was measured, as metric files hold it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Temperature(_Part):
    """Degrees Celsius of the processor, over time."""

    start: float
    max: float
    mean: float
    end: float


class Clock(_Part):
    """MHz, mean over the cores, over time."""

    min: float
    mean: float


class Conditions(_Part):
    """What the sensors said while something ran; None where they could not say.

    `throttle_reasons` gives the share of readings with each reason. `power_w` is the mean.
    `energy_mj_per_frame` is millijoules *above idle* where `idle_power_w` is known: energy of the
    interval less idle power times its length, over the frames; without it, of the whole machine.
    `fps_per_watt` is frames per second over the whole `power_w`, idle included. `sensors` says by
    quantity which sensor spoke and what it leaves out, `absent` why a field is None. Write it with
    `model_dump(mode="json", exclude_none=True)`: DVC drops nulls.
    """

    seconds: float = Field(ge=0)
    temperature_c: Temperature | None = None
    clock_mhz: Clock | None = None
    governor: str | None = None
    throttled: bool | None = None
    throttle_reasons: dict[str, float] = Field(default_factory=dict)
    power_w: float | None = None
    idle_power_w: float | None = None
    energy_mj_per_frame: float | None = None
    fps_per_watt: float | None = None
    sensors: dict[str, str] = Field(default_factory=dict)
    absent: dict[str, str] = Field(default_factory=dict)
