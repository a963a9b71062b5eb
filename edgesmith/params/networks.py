"""`params.yaml: models` and `schedules`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from edgesmith.params.section import OpenShare, Section, Task
from edgesmith.preprocess import Preprocess


class Model(Section):
    """A network before training: architecture, start weights and its input.

    `head` is which of a detector's two heads is deployed (see `contract.Boxes`).
    """

    task: Task
    architecture: Literal[
        "mobilenet_v2",
        "mobilenet_v3_small",
        "mobilenet_v3_large",
        "resnet18",
        "resnet50",
        "efficientnet_lite0",
        "efficientnet_lite1",
        "efficientnet_lite2",
        "yolo26n",
        "yolo26s",
    ]
    weights: str = "none"
    width: float = Field(default=1.0, gt=0, le=2)
    stem_stride: Literal[1, 2] = 2
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    head: Literal["one-to-one", "one-to-many"] = "one-to-one"
    dataset: str
    input: Preprocess

    @model_validator(mode="after")
    def _fits_its_architecture(self) -> Model:
        if self.width != 1.0 and self.architecture != "mobilenet_v2":
            raise ValueError("width: only mobilenet_v2 has a width multiplier; remove the key")
        detects = self.architecture.startswith("yolo")
        if detects != (self.task == "detect"):
            raise ValueError(
                f"task is {self.task}, but {self.architecture} is made to "
                f"{'detect' if detects else 'classify'}; write that"
            )
        if detects and (self.input.height % 32 or self.input.width % 32):
            raise ValueError(
                f"input: {self.input.height} x {self.input.width}; {self.architecture} divides "
                "its input by 32: give multiples of it"
            )
        if not detects and self.input.resize == "letterbox":
            raise ValueError("input.resize: letterbox is for detectors; stretch or center-crop")
        return self


class Schedule(Section):
    """How long and how fast to train."""

    epochs: int = Field(ge=0)
    batch: int = Field(gt=0)
    optimizer: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    warmup_share: OpenShare = 0.1
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    clip_norm: float = Field(default=0.0, ge=0)
    ema: float = Field(default=0.0, ge=0, lt=1)
    mixed_precision: bool = False
