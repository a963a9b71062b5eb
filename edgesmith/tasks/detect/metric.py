"""How well packed predictions find the objects of a split."""

from __future__ import annotations

from edgesmith.boxes import Boxes
from edgesmith.data.detect.store import Scenes
from edgesmith.decode.detect import Detections, detect
from edgesmith.preprocess import Float32Array
from edgesmith.scoring import detect as scoring
from edgesmith.scoring.detect import CONFIDENT, SCORE_FLOOR, Truth, mean_average_precision


def map50_95(outputs: Float32Array, split: Scenes, boxes: Boxes) -> float:
    """COCO mAP50-95 in [0, 1] of predictions (N, cells, 4 + classes) for the images of `split`."""
    truth = [Truth(*pair) for pair in zip(split.boxes, split.classes, strict=True)]
    return mean_average_precision(_decoded(outputs, split, boxes), truth, outputs.shape[2] - 4)


def agreement(outputs: Float32Array, reference: Float32Array, split: Scenes, boxes: Boxes) -> float:
    """Share of confident detections that two predictions for the same images have in common."""
    one, other = (_decoded(given, split, boxes) for given in (outputs, reference))
    return scoring.agreement(one, other, CONFIDENT)


def _decoded(outputs: Float32Array, split: Scenes, boxes: Boxes) -> list[Detections]:
    rule = boxes.model_copy(update={"score_threshold": SCORE_FLOOR})
    height, width = split.images.shape[1:3]
    return [detect(image, rule, height, width) for image in outputs]
