"""`params.yaml: datasets`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from edgesmith.params.section import Count, Section, Share, Task


class Augment(Section):
    """Random changes of training images; all off for calibration and evaluation.

    `hue` (share of the circle), `saturation` and `mosaic` (share of images that are made of four)
    are for images with boxes.
    """

    flip: bool = False
    shift: Share = 0.0
    scale: float = Field(default=0.0, ge=0, lt=1)
    brightness: Share = 0.0
    contrast: Share = 0.0
    hue: Share = 0.0
    saturation: Share = 0.0
    mosaic: Share = 0.0


class Dataset(Section):
    """Where images come from and how they are split.

    Counts are totals, drawn evenly over the classes by the seed; 0 means all there are, `null`
    none. A split that the source lacks is carved out of its train images, and 0 then means a fifth
    of them for test, a tenth for val. Calibration is drawn from what test and val leave of the
    train images, never equal in content to one of theirs; it may share images with train.
    `train: null` marks a dataset that is only evaluated on: calibration is drawn first, then as
    many images as val says, and test takes from the rest, all of it when 0.
    """

    source: Literal["signs", "imagefolder", "cifar10", "synsets", "scenes", "yolo", "coco", "voc"]
    path: str
    size: int = Field(default=64, ge=16, le=1024)
    train: Count | None = 0
    val: Count | None = 0
    test: Count | None = 0
    calibration: int = Field(gt=0)
    difficulty: Share = 0.5
    on_bad_labels: Literal["error", "drop"] = "error"
    augment: Augment = Augment()

    @property
    def task(self) -> Task:
        """What its labels are for: a class per image, or boxes."""
        return "detect" if self.source in {"scenes", "yolo", "coco", "voc"} else "classify"

    @model_validator(mode="after")
    def _keys_fit_the_task(self) -> Dataset:
        boxes = {"hue": self.augment.hue, "saturation": self.augment.saturation}
        boxes["mosaic"] = self.augment.mosaic
        if self.task == "classify":
            for key, value in boxes.items():
                if value:
                    raise ValueError(
                        f"augment.{key}: only for datasets with boxes (scenes, yolo, coco, voc); "
                        "remove the key"
                    )
        return self
