import numpy as np
import pytest

from edgesmith.decode.detect import Detections
from edgesmith.draw import colour, draw


def detections(*boxes: list[float]) -> Detections:
    count = len(boxes)
    scores = np.linspace(0.9, 0.5, count).astype(np.float32)
    array = np.asarray(boxes, np.float32).reshape(count, 4)
    return Detections(array, scores, np.arange(count, dtype=np.int64))


@pytest.mark.parametrize("size", [(16, 16), (60, 40), (480, 640), (2000, 3000)])
def test_labels_and_boxes_stay_inside_images_of_every_size(size: tuple[int, int]) -> None:
    height, width = size
    image = np.zeros((height, width, 3), np.uint8)
    found = detections([0, 0, width, height], [width / 2, height / 2, width + 50, height])
    drawn = draw(image, found, ["a", "b"])
    assert drawn.shape == image.shape and drawn.any() and not image.any()


def test_the_best_box_lies_on_top() -> None:
    image = np.zeros((200, 200, 3), np.uint8)
    drawn = draw(image, detections([50, 50, 150, 150], [50, 50, 150, 150]), ["a", "b"])
    assert tuple(drawn[150, 100]) == colour(0)


def test_a_label_is_as_wide_as_its_text_and_above_its_box() -> None:
    image = np.zeros((200, 300, 3), np.uint8)
    drawn = draw(image, detections([20, 100, 60, 150]), ["a rather long label"])
    rows, columns = np.nonzero(drawn[:99].any(axis=2))
    assert rows.min() > 70 and columns.max() > 120


def test_an_image_without_objects_is_itself() -> None:
    image = np.full((9, 9, 3), 7, np.uint8)
    assert np.array_equal(draw(image, detections(), []), image)


def test_colours_of_classes_differ_well() -> None:
    colours = np.array([colour(number) for number in range(20)], float)
    distance = np.linalg.norm(colours[:, None] - colours[None], axis=2) + 1e3 * np.eye(20)
    assert distance.min() > 40
    near = np.linalg.norm(np.diff(colours, axis=0), axis=1)
    assert near.min() > 150
