"""What the catalogue holds of a device: hardware, formats, settings, limits, published figures.

Everything published names its source. What no source that could be read says is absent.
"""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator

Precision = Literal["fp32", "fp16", "int8"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Part):
    """Where a figure was read; `date` as exact as known: 2024, 2024-12 or 2024-12-31."""

    title: str
    url: str = Field(default="", pattern=r"^(https://\S+)?$")
    date: str = Field(default="", pattern=r"^(\d{4}(-\d\d){0,2})?$")


class Accelerator(_Part):
    """What runs networks besides the CPU; `tops` are the vendor's, of integers."""

    name: str
    tops: PositiveFloat | None = None


class Taken(_Part):
    """A format that the device takes, in the precisions that it is good at, best first."""

    format: Literal["onnx", "onnx-trt", "engine", "tflite", "edgetpu", "ncnn", "hef", "torchscript"]
    precisions: tuple[Precision, ...] = Field(min_length=1)
    runtime: str
    why: str


class Thermal(_Part):
    """°C: where a warning is due, where clocks fall, where the device switches itself off."""

    soft_c: PositiveFloat | None = None
    throttle_c: PositiveFloat | None = None
    critical_c: PositiveFloat | None = None
    note: str
    source: str = ""

    @model_validator(mode="after")
    def _rise(self) -> Thermal:
        known = [c for c in (self.soft_c, self.throttle_c, self.critical_c) if c is not None]
        if known != sorted(known):
            raise ValueError("soft_c, throttle_c and critical_c must rise")
        if known and not self.source:
            raise ValueError("a limit needs its source")
        return self


class Setting(_Part):
    """Something to set on the device before measuring, and what it changes."""

    name: str
    command: str
    why: str


class Figure(_Part):
    """A figure that somebody else published; never measured here."""

    value: PositiveFloat
    unit: Literal["fps", "ms"]
    model: str
    input: str = ""
    precision: str = ""
    runtime: str
    batch: PositiveInt = 1
    note: str = ""
    source: str


class Entry(_Part):
    """One device.

    `recognise` maps keys of a fingerprint to patterns that all must be found. `formats` are in
    order of preference, and the first of `published` is the one that an overview shows.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    title: str
    cpu: str
    cores: PositiveInt | None = None
    ram_gb: tuple[PositiveFloat, ...] = ()
    tdp_w: PositiveFloat | None = None
    accelerator: Accelerator | None = None
    formats: tuple[Taken, ...] = Field(min_length=1)
    recognise: dict[str, str] = Field(default_factory=dict)
    thermal: Thermal
    settings: tuple[Setting, ...] = ()
    published: tuple[Figure, ...] = ()
    sources: dict[str, Source] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _sources_exist(self) -> Entry:
        for name in [self.thermal.source, *(figure.source for figure in self.published)]:
            if name and name not in self.sources:
                raise ValueError(f"{name!r} is not one of the sources: {', '.join(self.sources)}")
        for key, pattern in self.recognise.items():
            try:
                re.compile(pattern)
            except re.error as fault:
                raise ValueError(f"recognise.{key}: not a pattern ({fault})") from fault
        return self
