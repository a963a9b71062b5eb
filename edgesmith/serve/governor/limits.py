"""At which temperatures the loop slows down, stops and goes on."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Limits(BaseModel):
    """Temperatures in °C of the hottest zone, and times in seconds.

    Full speed up to `full_c`, then less in a straight line down to the share `least` at `floor_c`
    and above it. At `critical_c` everything stops until `resume_c`. The way back up is
    `hysteresis_c` cooler than the way down, and not before `dwell_s` at the step below. A sensor
    that falls silent is believed for `silence_s`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    full_c: float = 75.0
    floor_c: float = 85.0
    least: float = Field(default=0.2, gt=0, le=1)
    critical_c: float = 90.0
    resume_c: float = 70.0
    hysteresis_c: float = Field(default=2.0, ge=0)
    dwell_s: float = Field(default=10.0, ge=0)
    silence_s: float = Field(default=30.0, ge=0)

    @model_validator(mode="after")
    def _in_order(self) -> Limits:
        if not self.resume_c < self.full_c < self.floor_c < self.critical_c:
            raise ValueError(
                f"resume_c {self.resume_c:g} < full_c {self.full_c:g} < floor_c {self.floor_c:g} < "
                f"critical_c {self.critical_c:g} is what they have to be"
            )
        return self

    def share(self, temperature_c: float) -> float:
        """Share of full speed that the temperature allows, `least` to 1."""
        over = (temperature_c - self.full_c) / (self.floor_c - self.full_c)
        return min(max(1 - (1 - self.least) * over, self.least), 1.0)
