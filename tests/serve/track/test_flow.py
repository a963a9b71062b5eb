import cv2
import numpy as np
import pytest

from edgesmith.serve.track import flow


@pytest.mark.parametrize(
    "box", [(400.0, 50.0, 440.0, 90.0), (-90.0, -60.0, -40.0, -20.0), (100.0, 300.0, 140.0, 340.0)]
)
def test_box_beyond_the_frame_is_where_it_was(box: flow.Box) -> None:
    image = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    before, after = flow.grey(image), flow.grey(np.roll(image, 2, axis=1))
    assert flow.follow(before, after, [box]) == [flow.Moved(box, 0.0)]


def test_box_is_followed_wherever_it_is_in_the_frame() -> None:
    image = np.random.default_rng(0).integers(0, 256, (15, 20, 3), dtype=np.uint8)
    image = np.asarray(cv2.resize(image, (320, 240), interpolation=cv2.INTER_CUBIC), np.uint8)
    before, after = flow.grey(image), flow.grey(np.roll(image, 2, axis=1))
    for left, top in ((10.0, 10.0), (130.0, 90.0), (240.0, 170.0)):
        moved = flow.follow(before, after, [(left, top, left + 60, top + 50)])[0]
        assert moved.sure > 0.5 and moved.box == pytest.approx(
            (left + 2, top, left + 62, top + 50), abs=0.5
        )


def test_part_of_a_frame_is_enough_and_gives_what_the_whole_gives() -> None:
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    image = np.asarray(cv2.resize(image, (640, 480), interpolation=cv2.INTER_CUBIC), np.uint8)
    frames = [np.roll(image, 4 * step, axis=1) for step in range(3)]
    box = (300.0, 200.0, 360.0, 250.0)
    whole = [flow.grey(frame) for frame in frames]
    parts = [flow.grey(frame, around=[box]) for frame in frames]
    assert parts[0].pixels.size < whole[0].pixels.size / 2
    for before, after in ((0, 1), (1, 2)):
        one, other = (
            flow.follow(greys[before], greys[after], [box], [(4.0, 0.0, 4.0, 0.0)])[0]
            for greys in (whole, parts)
        )
        assert other.box == pytest.approx(one.box, abs=0.05) and other.sure == one.sure
        assert other.box == pytest.approx((304, 200, 364, 250), abs=0.5)


def test_parts_of_two_frames_that_share_nothing_move_nothing() -> None:
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    here, there = (20.0, 20.0, 50.0, 50.0), (560.0, 420.0, 600.0, 460.0)
    before, after = flow.grey(image, around=[here]), flow.grey(image, around=[there])
    assert flow.follow(before, after, [here]) == [flow.Moved(here, 0.0)]
