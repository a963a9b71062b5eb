"""What the host asks of a job, and what comes back."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, PositiveFloat

from edgesmith.bench.measure import Settings
from edgesmith.bench.record import Bench
from edgesmith.device.fingerprint import Device


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Request(_Part):
    """One measurement. `fingerprint` is the one that the device must have, if any;
    `alone` says that the artifact is its own baseline.
    """

    device: str
    fingerprint: str | None
    settings: Settings
    alone: bool
    timeout_s: PositiveFloat


class Outcome(_Part):
    """The measurement with the device that made it, or the name and message of an error."""

    bench: Bench | None = None
    device: Device | None = None
    error: str = ""
    message: str = ""
