"""How a detector's maps become boxes: part of the contract, and read by training too."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Boxes(BaseModel):
    """How a detector's maps become boxes.

    A `one-to-one` head gives each object once; a `one-to-many` one several times, and all but the
    best of a class that overlap it by more than `iou_threshold` are dropped (NMS).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    head: Literal["one-to-one", "one-to-many"]
    score_threshold: float = Field(default=0.25, ge=0, le=1)
    iou_threshold: float = Field(default=0.7, ge=0, le=1)
    max_detections: int = Field(default=300, gt=0)
