"""COCO's average precision, by faster-coco-eval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster

from edgesmith.decode.detect import Detections
from edgesmith.scoring.detect import Float32Array, Truth


class Summary(NamedTuple):
    """Mean average precision in [0, 1]: over IoU 0.5 to 0.95, at 0.5, and of small (below 32²
    pixels), medium and large (above 96²) objects; None where the images hold no such object.
    """

    map50_95: float | None
    map50: float | None
    small: float | None
    medium: float | None
    large: float | None


def summarise(
    detections: Sequence[Detections], truth: Sequence[Truth], labels: Sequence[str]
) -> Summary:
    """The figures of `detections`, image by image in the order of `truth` and in its pixels."""
    objects = [
        {"id": number, "image_id": image, "category_id": kind, "bbox": box, "iscrowd": 0}
        | {"area": box[2] * box[3]}
        for number, (image, kind, box) in enumerate(_objects(truth), start=1)
    ]
    images = [{"id": image} for image in range(len(truth))]
    categories = [{"id": number, "name": name} for number, name in enumerate(labels)]
    truths = COCO({"images": images, "annotations": objects, "categories": categories})
    results = truths.loadRes(
        [
            {"image_id": image, "category_id": int(kind), "bbox": box, "score": float(score)}
            for image, found in enumerate(detections)
            for box, score, kind in zip(
                _corner_and_size(found.boxes), found.scores, found.classes, strict=True
            )
        ]
    )
    evaluation = COCOeval_faster(truths, results, "bbox", print_function=_silent)
    evaluation.run()
    stats = [float(value) if value >= 0 else None for value in evaluation.stats]
    return Summary(stats[0], stats[1], stats[3], stats[4], stats[5])


def _objects(truth: Sequence[Truth]) -> list[tuple[int, int, list[float]]]:
    return [
        (image, int(kind), box)
        for image, real in enumerate(truth)
        for kind, box in zip(real.classes, _corner_and_size(real.boxes), strict=True)
    ]


def _corner_and_size(boxes: Float32Array) -> list[list[float]]:
    """Left, top, width and height of each.

    A network may give a box whose edges cross; as width times height of two negatives it would
    have an area.
    """
    exact = boxes.astype(np.float64)
    sizes = np.maximum(exact[:, 2:] - exact[:, :2], 0)
    result: list[list[float]] = np.hstack([exact[:, :2], sizes]).tolist()
    return result


def _silent(*_: Any) -> None:
    """Not a table of twelve figures per artifact."""
