"""One thing that happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from edgesmith.preprocess import UInt8Array

# Of objects: begin, label, end; of a classifier: answer; of the loop and its log: the rest.
Kind = Literal["begin", "label", "end", "answer", "state", "step", "restart", "lost"]


@dataclass(frozen=True)
class Event:
    """What changed, and when.

    Attributes:
        kind: What it is about.
        at_s: Seconds since the epoch by the device's clock, of the frame that showed it first.
        words: The same for a reader, such as `car 3 appeared`.
        label: Name of the object or of the answer, where it is about one.
        track: Number of the object.
        score: Confidence when it was decided, 0 to 1.
        box: x1, y1, x2, y2 in pixels of the frame.
        more: What else the kind knows: `was`, `frames`, `seconds`, `best_score`, `artifact` ….
        picture: The object's part of the frame, (H, W, 3) uint8 BGR, where pictures are kept.
    """

    kind: Kind
    at_s: float
    words: str
    label: str | None = None
    track: int | None = None
    score: float | None = None
    box: tuple[float, float, float, float] | None = None
    more: Mapping[str, Any] = field(default_factory=dict)
    picture: UInt8Array | None = field(default=None, compare=False, repr=False)
