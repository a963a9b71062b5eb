"""What one frame became, and how the loop is: what its parts hand to one another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

State = Literal["starting", "running", "degraded", "recovering", "cooling", "stopped"]


class Seen(NamedTuple):
    """One object in a frame, or what a classifier says of the whole frame.

    Attributes:
        label: Index into the labels of the artifact's contract.
        score: Confidence, 0 to 1.
        box: x1, y1, x2, y2 in pixels of the frame; None from a classifier.
        track: Number that the object keeps from frame to frame, from 1; None untracked.
    """

    label: int
    score: float
    box: tuple[float, float, float, float] | None = None
    track: int | None = None


@dataclass(frozen=True)
class Result:
    """One frame after the loop.

    Attributes:
        index: Number of the frame in its source, from 0; a gap is a dropped frame.
        captured_s: When it was read, seconds since the epoch.
        objects: What is in it.
        detected: Whether the model ran on it; otherwise the tracker carried the boxes.
        ms: Milliseconds by stage: `capture`, `wait`, `preprocess`, `infer`, `decode`, `track`.
        artifact: `<variant>/<format>` that answered.
    """

    index: int
    captured_s: float
    objects: tuple[Seen, ...]
    detected: bool
    ms: Mapping[str, float]
    artifact: str


@dataclass(frozen=True)
class Status:
    """The loop as a whole, at one moment.

    Attributes:
        state: What it does now; `degraded` is a smaller or a CPU artifact after faults.
        fps: Frames finished per second, over the last 30.
        frames: Frames finished.
        dropped: Frames that a newer one replaced before they were looked at.
        detected: Frames that the model ran on.
        restarts: Times that a part of the loop was replaced, by part.
        temperature_c: Hottest zone; None where no sensor is.
        step: What the governor asks for, in words; empty at full speed.
    """

    state: State
    fps: float
    frames: int
    dropped: int
    detected: int
    restarts: Mapping[str, int] = field(default_factory=dict)
    temperature_c: float | None = None
    step: str = ""
