"""Output tensors of Ultralytics' exports as detections.

Two forms: the one-to-many head, (4 + classes, cells): centre, width and height in pixels of the
input, then scores, whose copies its NMS drops; and the NMS-free one, (detections, 6): x1 y1 x2 y2
in pixels, score, class.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torchvision  # noqa: F401 - Ultralytics' NMS takes torchvision's where that is imported
from ultralytics.utils import nms, ops

from edgesmith.boxes import Boxes
from edgesmith.contract import Description
from edgesmith.decode.detect import Detections
from edgesmith.errors import ContractError
from edgesmith.preprocess import Float32Array


class Rule(NamedTuple):
    """How its program would suppress copies.

    `every_class`: a box counts for each class that reaches the score, as its validation has it; its
    prediction keeps the best alone.
    """

    score: float
    iou: float
    most: int
    every_class: bool


def validating(boxes: Boxes, score: float) -> Rule:
    """As its `val` does, from `score` up, with our thresholds for the rest."""
    return Rule(score, boxes.iou_threshold, boxes.max_detections, every_class=True)


def predicting(boxes: Boxes) -> Rule:
    """As its `predict` does, with our thresholds."""
    return Rule(boxes.score_threshold, boxes.iou_threshold, boxes.max_detections, every_class=False)


def is_single(shape: tuple[int, ...] | list[int], classes: int) -> bool:
    """Whether an output of this shape, without the batch, is the NMS-free one.

    Raises ContractError where it is neither form.
    """
    if len(shape) == 2 and shape[1] == 6:
        return True
    if len(shape) == 2 and shape[0] == 4 + classes:
        return False
    raise ContractError(
        f"an export of Ultralytics gives {list(shape)}; of {classes} classes it is "
        f"[{4 + classes}, cells] or [detections, 6]: look at its options"
    )


def suppress(output: torch.Tensor, contract: Description, rule: Rule) -> torch.Tensor:
    """(n, 6) x1 y1 x2 y2 in pixels of the input, score and class, best first, by Ultralytics' NMS.

    `output` is that of one image, in either form; raw boxes of a TFLite file are shares of the
    input, which is how its exporter keeps scores apart from hundreds of pixels in one integer
    tensor.
    """
    classes = len(contract.labels)
    single = is_single(output.shape, classes)
    if not single and contract.format == "tflite":
        spec = contract.input.preprocess
        sizes = torch.tensor([spec.width, spec.height, spec.width, spec.height])
        output = torch.cat([output[:4] * sizes[:, None], output[4:]])
    kept: torch.Tensor
    (kept,) = nms.non_max_suppression(
        output[None],
        conf_thres=rule.score,
        iou_thres=rule.iou,
        multi_label=rule.every_class,
        max_det=rule.most,
        nc=classes,
        end2end=single,
    )
    return kept


def detections(output: Float32Array, contract: Description, rule: Rule) -> Detections:
    """`suppress` of one image's output, in pixels of the fitted image."""
    return _as_detections(suppress(torch.from_numpy(output), contract, rule))


def in_image(
    output: Float32Array, contract: Description, rule: Rule, height: int, width: int
) -> Detections:
    """`detections` in pixels of an image of `height` × `width`, put back by Ultralytics."""
    kept = suppress(torch.from_numpy(output), contract, rule)
    spec = contract.input.preprocess
    kept[:, :4] = ops.scale_boxes((spec.height, spec.width), kept[:, :4], (height, width))
    return _as_detections(kept)


def _as_detections(kept: torch.Tensor) -> Detections:
    values = kept.numpy().astype(np.float32)
    return Detections(values[:, :4], values[:, 4], values[:, 5].astype(np.int64))
