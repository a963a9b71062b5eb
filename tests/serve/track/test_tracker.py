"""Numbers that objects keep, on drawn frames whose motion is known."""

import cv2
import numpy as np
import pytest

from edgesmith.serve.result import Seen
from edgesmith.serve.track import Tracker, associate

WIDTH, HEIGHT = 320, 240
Box = tuple[float, float, float, float]


def picture(*boxes: Box) -> np.ndarray:
    """(240, 320, 3) uint8: quiet noise, and a checkered square in every box."""
    rng = np.random.default_rng(0)
    image = rng.integers(90, 110, (HEIGHT, WIDTH, 3), np.uint8)
    for number, (x1, y1, x2, y2) in enumerate(boxes):
        board = (np.indices((8, 8)).sum(axis=0) % 2 * 120 + 20 + 40 * number).astype(np.uint8)
        board[2:4, 1:5] = 255
        side = (round(x2 - x1), round(y2 - y1))
        face = cv2.resize(board, side, interpolation=cv2.INTER_LINEAR)
        left, top = max(round(x1), 0), max(round(y1), 0)
        right, bottom = min(round(x1) + side[0], WIDTH), min(round(y1) + side[1], HEIGHT)
        if right > left and bottom > top:
            part = face[top - round(y1) : bottom - round(y1), left - round(x1) : right - round(x1)]
            image[top:bottom, left:right] = part[:, :, None]
    return image


def seen(box: Box, label: int = 0, score: float = 0.9) -> Seen:
    return Seen(label, score, box)


def near(box: Box | None, other: Box, pixels: float) -> bool:
    return box is not None and max(abs(a - b) for a, b in zip(box, other, strict=True)) <= pixels


def right(k: int) -> Box:
    return (40.0 + 4 * k, 60.0, 100.0 + 4 * k, 120.0)


def left(k: int) -> Box:
    return (240.0 - 3 * k, 150.0 + k, 290.0 - 3 * k, 200.0 + k)


def test_objects_keep_their_numbers_when_every_frame_is_detected() -> None:
    tracker = Tracker(30)
    for k in range(20):
        found = tracker.update([seen(right(k), 1), seen(left(k), 2)], picture(right(k), left(k)))
        assert {(one.track, one.label) for one in found} == {(1, 1), (2, 2)}


@pytest.mark.parametrize("every", [3, 6])
def test_boxes_are_carried_to_where_the_objects_went(every: int) -> None:
    tracker = Tracker(30)
    for k in range(25):
        image = picture(right(k), left(k))
        if k % every == 0:
            found = tracker.update([seen(right(k)), seen(left(k))], image)
        else:
            found = tracker.carry(image)
        boxes = {one.track: one.box for one in found}
        assert set(boxes) == {1, 2}
        assert near(boxes[1], right(k), 3.0) and near(boxes[2], left(k), 3.0)


def test_carried_box_grows_with_the_object() -> None:
    def box(k: int) -> Box:
        return (100.0 - 2 * k, 80.0 - 2 * k, 160.0 + 2 * k, 140.0 + 2 * k)

    tracker = Tracker(30)
    tracker.update([seen(box(0))], picture(box(0)))
    for k in range(1, 6):
        found = tracker.carry(picture(box(k)))
    assert near(found[0].box, box(5), 4.0)


def test_number_survives_an_object_that_hides_for_half_a_second() -> None:
    tracker = Tracker(30)
    for k in range(10):
        tracker.update([seen(right(k), 4)], picture(right(k)))
    for _ in range(15):
        tracker.update([], picture())
    assert tracker.update([seen(right(25), 4)], picture(right(25)))[0].track == 1


def test_object_that_left_is_forgotten() -> None:
    tracker = Tracker(30)
    tracker.update([seen(right(0))], picture(right(0)))
    for _ in range(90):
        assert len(tracker.update([], picture())) == 0 or _ < 10
    assert tracker.update([seen(right(0))], picture(right(0)))[0].track == 2


def test_carried_box_is_dropped_when_the_object_leaves_the_frame() -> None:
    def box(k: int) -> Box:
        return (250.0 + 6 * k, 60.0, 310.0 + 6 * k, 120.0)

    tracker = Tracker(30)
    tracker.update([seen(box(0))], picture(box(0)))
    counts = [len(tracker.carry(picture(box(k)))) for k in range(1, 15)]
    assert counts[0] == 1 and counts[-1] == 0


def test_boxes_stay_inside_the_frame_and_touch_it_while_an_object_enters() -> None:
    def box(k: int) -> Box:
        return (-30.0 + 5 * k, 60.0, 30.0 + 5 * k, 120.0)

    tracker = Tracker(30)
    tracker.update([seen((0.0, 60.0, 30.0, 120.0))], picture(box(0)))
    for k in range(1, 4):
        found = tracker.carry(picture(box(k)))
    assert found[0].box is not None
    assert found[0].box[0] == 0.0
    assert found[0].box[2] == pytest.approx(45.0, abs=3.0)


def test_doubtful_box_begins_no_track_but_continues_one() -> None:
    tracker = Tracker(30)
    assert tracker.update([seen(right(0), score=0.15)], picture(right(0))) == ()
    assert tracker.doubt > 0
    tracker.update([seen(right(1))], picture(right(1)))
    assert tracker.doubt == 0
    found = tracker.update([seen(right(2), score=0.15)], picture(right(2)))
    assert [(one.track, one.score) for one in found] == [(1, 0.15)]


def test_object_given_twice_is_one() -> None:
    tracker = Tracker(30)
    twice = [seen(right(0), 1, 0.6), seen(right(0), 2, 0.5), seen(left(0), 2)]
    assert len(tracker.update(twice, picture(right(0), left(0)))) == 2


def test_label_is_what_an_object_was_called_most_often() -> None:
    tracker = Tracker(30)
    for k, label in enumerate((3, 3, 5, 3)):
        found = tracker.update([seen(right(k), label)], picture(right(k)))
    assert [(one.track, one.label) for one in found] == [(1, 3)]


def test_per_label_another_label_is_another_object() -> None:
    tracker = Tracker(30, per_label=True)
    tracker.update([seen(right(0), 3)], picture(right(0)))
    found = tracker.update([seen(right(1), 5)], picture(right(1)))
    assert {one.track for one in found if one.label == 5} == {2}


def test_missed_object_coasts_through_two_detections() -> None:
    tracker = Tracker(3)  # a tenth of a second is less than a frame: misses alone count
    tracker.update([seen(right(0))], picture(right(0)))
    for k in (1, 2):
        found = tracker.update([], picture(right(k)))
        assert [one.track for one in found] == [1] and near(found[0].box, right(k), 3.0)
        assert tracker.doubt > 0
    assert tracker.update([], picture(right(3))) == ()


def test_same_frames_give_the_same_numbers() -> None:
    def run() -> list[tuple[Seen, ...]]:
        tracker = Tracker(30)
        answers = []
        for k in range(12):
            image = picture(right(k), left(k))
            found = [seen(left(k)), seen(right(k))]
            answers.append(tracker.update(found, image) if k % 3 == 0 else tracker.carry(image))
        return answers

    assert run() == run()


def test_classifier_answers_pass_and_are_repeated() -> None:
    tracker = Tracker(30)
    answer = (Seen(7, 0.8),)
    assert tracker.carry(picture()) == ()
    assert tracker.update(answer, picture()) == answer
    assert tracker.carry(picture()) == answer


def test_camera_that_changes_its_mode_loses_no_track() -> None:
    tracker = Tracker(30)
    tracker.update([seen(right(0))], picture(right(0)))
    assert len(tracker.carry(np.zeros((480, 640, 3), np.uint8))) == 1


def test_months_of_objects_leave_nothing_behind() -> None:
    tracker = Tracker(30)
    for k in range(400):
        x = float(k * 67 % 250)
        tracker.update([seen((x, 20.0, x + 40, 60.0))] if k % 8 == 0 else [], picture())
    association = tracker._association
    assert association is not None
    assert association._count > 40
    assert len(association._numbers) <= associate._MOST_NUMBERS and len(tracker._hidden) <= 10
