"""Packed predictions as their split judges them."""

from __future__ import annotations

import numpy as np
import pytest

from edgesmith.contract import Boxes
from edgesmith.data.detect.store import Scenes
from edgesmith.tasks.detect import task
from tests.tiny_detector import SIZE, SPEC

BOXES = Boxes(head="one-to-one")
CELLS = sum((SIZE // stride) ** 2 for stride in (8, 16, 32))


def split(count: int = 4) -> Scenes:
    """One object per image, of two classes in turn: two cells from a cell of stride 8."""
    boxes = [np.array([[8.0, 8 * k, 24, 8 * k + 16]], np.float32) for k in range(count)]
    classes = [np.array([k % 2]) for k in range(count)]
    images = np.zeros((count, SPEC.height, SPEC.width, 3), np.uint8)
    return Scenes(images, boxes, classes, np.full((count, 2), SIZE), [str(k) for k in range(count)])


def predictions(scenes: Scenes, logit: float = 4.0, scale: float = 1.0) -> np.ndarray:
    """What finds every object; `scale` makes its boxes smaller than they are."""
    found = np.full((len(scenes), CELLS, 6), -20, np.float32)
    found[:, :, :4] = 0
    for image, (boxes, classes) in enumerate(zip(scenes.boxes, scenes.classes, strict=True)):
        left, top, right, bottom = boxes[0]
        column, row = int(left // 8), int(top // 8)
        x, y = 8 * column + 4, 8 * row + 4
        found[image, row * (SIZE // 8) + column, :4] = (
            np.array([x - left, y - top, right - x, bottom - y]) / 8 * scale
        )
        found[image, row * (SIZE // 8) + column, 4 + classes[0]] = logit
    return found


def test_what_finds_every_object_has_all_of_it() -> None:
    scenes = split()
    assert task.metric(predictions(scenes), scenes, BOXES) == pytest.approx(1)


def test_what_finds_half_of_a_class_has_half_of_it() -> None:
    scenes = split()
    found = predictions(scenes)
    found[0, :, 4:] = -20

    assert task.metric(found, scenes, BOXES) == pytest.approx((0.5 + 1) / 2, abs=0.01)


def test_loose_boxes_count_at_the_looser_thresholds() -> None:
    scenes = split()
    value = task.metric(predictions(scenes, scale=0.85), scenes, BOXES)

    # 0.85² of the area is shared: IoU 0.72, above five of the ten thresholds.
    assert value == pytest.approx(0.5, abs=0.01)


def test_doubtful_detections_count_for_the_metric_and_not_for_agreement() -> None:
    scenes = split()
    sure, doubtful = predictions(scenes), predictions(scenes, logit=-3.0)

    assert task.metric(doubtful, scenes, BOXES) == pytest.approx(1)
    assert task.agreement(sure, doubtful, scenes, BOXES) == 0
    assert task.agreement(doubtful, doubtful, scenes, BOXES) == 1


def test_agreement_is_the_share_of_detections_in_common() -> None:
    scenes = split()
    one, other = predictions(scenes), predictions(scenes)
    other[0, :, 4:] = other[0, :, :3:-1]  # of the other class

    assert task.agreement(one, one, scenes, BOXES) == 1
    assert task.agreement(one, other, scenes, BOXES) == pytest.approx(6 / 8)
    assert task.agreement(one, other, scenes, BOXES) == task.agreement(other, one, scenes, BOXES)


def test_a_split_without_objects_has_the_metric_zero() -> None:
    scenes = split()
    empty = Scenes(
        scenes.images,
        [np.zeros((0, 4), np.float32)] * 4,
        [np.zeros(0, np.int64)] * 4,
        scenes.sizes,
        scenes.names,
    )

    assert task.metric(predictions(scenes), empty, BOXES) == 0


def test_copies_of_an_object_are_dropped_for_the_head_that_gives_them() -> None:
    scenes = split(3)
    found = predictions(scenes)
    cell = int(found[0, :, 4:].max(axis=1).argmax())
    # The same box, as the next cell to the right sees it.
    found[0, cell + 1] = found[0, cell] + np.array([1, 0, -1, 0, 0, 0], np.float32)
    found[2, :, 4:] -= 1  # the other object of the class comes after the copy

    assert task.metric(found, scenes, Boxes(head="one-to-many")) == pytest.approx(1)
    # One class of two has half of its recall at a precision of two thirds.
    assert task.metric(found, scenes, BOXES) == pytest.approx(1 - 0.5 * 0.5 / 3, abs=0.01)
