"""On which frames the detector runs."""

import cv2
import numpy as np
import pytest

from edgesmith.errors import ParamsError
from edgesmith.serve.result import Seen
from edgesmith.serve.track import Pace

STILL = np.full((240, 320, 3), 100, np.uint8)
STILL[::7] = 140


def with_object(x: int) -> np.ndarray:
    image = STILL.copy()
    image[90:150, max(x, 0) : max(x + 60, 0)] = 230
    return image


def frames(pace: Pace, count: int, image: np.ndarray = STILL) -> list[int]:
    return [k for k in range(count) if pace.detect_next(image, ())]


def test_fixed_pace_detects_every_nth_frame_from_the_first() -> None:
    assert frames(Pace(3), 10) == [0, 3, 6, 9]
    assert frames(Pace(1), 4) == [0, 1, 2, 3]


def test_governor_slows_by_parts_of_frames() -> None:
    pace = Pace(2)
    pace.slow_down(1.25)
    assert frames(pace, 11) == [0, 3, 5, 8, 10]


def test_adaptive_pace_waits_as_long_as_it_may_when_nothing_moves() -> None:
    assert frames(Pace("adaptive", n_max=5), 16) == [0, 5, 10, 15]


def test_adaptive_pace_looks_when_something_comes_in() -> None:
    pace = Pace("adaptive", n_max=30)
    assert frames(pace, 5) == [0]
    looked = [k for k in range(12) if pace.detect_next(with_object(10 * k - 60), ())]
    assert looked and looked[0] <= 8


def test_adaptive_pace_is_calm_about_what_is_tracked() -> None:
    pace = Pace("adaptive", n_max=30)
    for k in range(10):
        x = 40 + 6 * k
        track = Seen(0, 0.9, (float(x), 90.0, float(x + 60), 150.0), 1)
        detected = pace.detect_next(with_object(x), (track,))
        assert detected == (k == 0)


def test_camera_motion_is_no_news() -> None:
    rng = np.random.default_rng(0)
    grain = rng.integers(0, 255, (9, 13, 3), np.uint8)
    world = cv2.resize(grain, (440, 300), interpolation=cv2.INTER_CUBIC)
    pace = Pace("adaptive", n_max=30)
    looked = [
        k for k in range(12) if pace.detect_next(world[20:260, 8 * k : 8 * k + 320].copy(), ())
    ]
    assert looked == [0]


def test_doubt_brings_the_detector_back() -> None:
    pace = Pace("adaptive", n_max=30)
    pace.detect_next(STILL, ())
    assert [pace.detect_next(STILL, (), 0.5) for _ in range(4)] == [False, True, False, True]


def test_costs_that_the_target_cannot_pay_lengthen_the_wait() -> None:
    pace = Pace("adaptive", target_fps=20, n_max=6)
    pace.measured(detect_ms=120.0, other_ms=10.0)  # 40 ms of each 50 are left for 120
    assert pace.n == 3
    assert [pace.detect_next(STILL, (), 1.0) for _ in range(7)] == [
        True, False, False, True, False, False, True,
    ]  # fmt: skip


def test_target_that_cannot_be_met_detects_as_seldom_as_allowed() -> None:
    pace = Pace("adaptive", target_fps=20, n_max=6)
    pace.measured(detect_ms=100.0, other_ms=60.0)
    assert pace.n == 6


def test_same_calls_give_the_same_answers() -> None:
    def run() -> list[bool]:
        pace = Pace("adaptive", target_fps=30, n_max=8)
        answers = []
        for k in range(40):
            answers.append(pace.detect_next(with_object(9 * k - 60), (), 0.1 * (k % 3)))
            pace.measured(20.0 if answers[-1] else None, 5.0)
        return answers

    assert run() == run()


def test_impossible_paces_are_refused() -> None:
    for make in (
        lambda: Pace(0),
        lambda: Pace("adaptive", n_max=0),
        lambda: Pace(2, target_fps=0),
        lambda: Pace(2).slow_down(0.5),
    ):
        with pytest.raises(ParamsError):
            make()
