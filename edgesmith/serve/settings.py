"""What `edgesmith serve` was asked for, valid; handed to its processes as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Kind = Literal["camera", "picamera", "stream", "video", "folder", "synthetic"]
# Kinds that do not wait for the one who reads.
LIVE: tuple[Kind, ...] = ("camera", "picamera", "stream")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Part):
    """Where frames come from.

    `address` is a device, an address or a path; `width` × `height` and `fps` are asked of a
    camera, given by a synthetic source, and otherwise unused but for the pace of a folder.
    """

    kind: Kind
    address: str = ""
    width: int = Field(default=640, ge=16, le=4096)
    height: int = Field(default=480, ge=16, le=3072)
    fps: float | None = Field(default=None, gt=0, le=1000)
    fast: bool = False
    every_frame: bool = False
    frames: int | None = Field(default=None, ge=1)

    @property
    def live(self) -> bool:
        """Whether the source does not wait for the one who reads."""
        return self.kind in LIVE


class Watch(_Part):
    """When a part counts as hung, and how often it is replaced."""

    hang_s: float = Field(default=1.5, ge=0.2, le=600)
    start_s: float = Field(default=60.0, ge=1, le=3600)
    failures: int = Field(default=5, ge=1, le=100)


class Outputs(_Part):
    """Where results go."""

    jsonl: Path | None = None
    video: Path | None = None
    http: str | None = None
    events: Path | None = None
    event_pictures: bool = False
    window: bool = False


class Settings(_Part):
    """All of it.

    `smaller` are artifacts that the governor may turn to, the next smaller first; `fallback` is
    what runs after `artifact` failed too often. `every` is 1 for the model on every frame.
    """

    artifact: Path
    smaller: tuple[Path, ...] = ()
    fallback: Path | None = None
    source: Source
    threads: int = Field(default=1, ge=1)
    providers: tuple[str, ...] = ("cpu",)
    threshold: float | None = Field(default=None, ge=0, le=1)
    every: int | Literal["adaptive"] = 1
    target_fps: float | None = Field(default=None, gt=0)
    govern: bool = True
    outputs: Outputs = Outputs()
    watch: Watch = Watch()

    @model_validator(mode="after")
    def _fits(self) -> Settings:
        if isinstance(self.every, int) and self.every < 1:
            raise ValueError("every must be 1 or more, or adaptive")
        if self.source.live and (self.source.every_frame or self.source.fast):
            raise ValueError(
                f"a {self.source.kind} does not wait: --every-frame and --fast are for video "
                "files, folders and synthetic; leave them out"
            )
        return self
