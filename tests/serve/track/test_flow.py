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
