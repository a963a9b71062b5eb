"""What the governor asks for at a temperature, and how it gets there."""

import math

import pytest

from edgesmith.errors import ParamsError
from edgesmith.serve.governor import FULL_SPEED, Governor, Level, Limits, ladder

RUNGS = ladder([((128, 128), 0.6)], [("small/ncnn", 0.3)])
LIMITS = Limits()


def after(*temperatures: float | None, every_s: float = 60.0) -> Level:
    governor = Governor(RUNGS, LIMITS)
    levels = [governor.step(value, every_s * k) for k, value in enumerate(temperatures)]
    return levels[-1]


def speed(level: Level) -> float:
    """Share of full work that a level stands for."""
    costs = {(rung.size, rung.artifact): rung.cost for rung in RUNGS}
    return 0.0 if level.stop else costs[level.size, level.artifact] / level.skip


@pytest.mark.parametrize("temperature", [-5.0, 20.0, 74.9, 75.0])
def test_cool_device_runs_at_full_speed(temperature: float) -> None:
    assert after(temperature) == FULL_SPEED


@pytest.mark.parametrize(
    ("temperature", "share"), [(77.5, 0.8), (80.0, 0.6), (82.5, 0.4), (85.0, 0.2), (89.0, 0.2)]
)
def test_speed_falls_in_a_straight_line(temperature: float, share: float) -> None:
    assert speed(after(temperature)) == pytest.approx(share)


def test_frames_are_skipped_before_pixels_and_pixels_before_the_network() -> None:
    warm, hot, hotter = after(81.0), after(83.5), after(85.0)
    assert (warm.size, warm.artifact) == (None, None) and warm.skip > 1
    assert (hot.size, hot.artifact) == ((128, 128), None)
    assert hotter.artifact is None and hotter.size == (128, 128)
    only_networks = Governor(ladder(artifacts=[("small/ncnn", 0.3)]), LIMITS)
    assert only_networks.step(85.0, 0.0).artifact == "small/ncnn"


def test_without_a_rung_below_frames_are_skipped_as_far_as_needed() -> None:
    assert Governor().step(85.0, 0.0).skip == pytest.approx(5.0)


def test_way_up_needs_the_hysteresis() -> None:
    assert speed(after(80.0, 79.0)) == pytest.approx(0.6)
    assert speed(after(80.0, 77.0)) == pytest.approx(0.68)
    assert after(80.0, 72.9) == FULL_SPEED


def test_way_up_needs_the_dwell_and_way_down_does_not() -> None:
    assert speed(after(80.0, 70.0, every_s=9.0)) == pytest.approx(0.6)
    assert after(80.0, 70.0, every_s=10.0) == FULL_SPEED
    assert speed(after(70.0, 80.0, every_s=0.1)) == pytest.approx(0.6)


def test_noise_of_half_a_degree_changes_nothing() -> None:
    governor = Governor(RUNGS, LIMITS)
    levels = [governor.step(80.0 + 0.5 * (k % 2), 1.0 * k) for k in range(300)]
    assert len({level[:4] for level in levels[2:]}) == 1


def test_critical_stops_until_the_lower_bound_and_goes_on_at_the_lowest_step() -> None:
    governor = Governor(RUNGS, LIMITS)
    assert governor.step(90.0, 0.0).stop
    assert governor.step(70.1, 100.0).stop
    on = governor.step(70.0, 200.0)
    assert not on.stop and speed(on) == pytest.approx(0.2)
    assert governor.step(70.0, 400.0).skip == 1.0


def test_without_a_sensor_it_is_full_speed_and_says_so() -> None:
    level = after(None)
    assert level[:4] == FULL_SPEED[:4]
    assert "no temperature sensor" in level.words


@pytest.mark.parametrize("nothing", [None, math.nan, math.inf])
def test_silent_sensor_is_believed_for_a_while(nothing: float | None) -> None:
    assert speed(after(80.0, nothing, every_s=29.0)) == pytest.approx(0.6)
    assert "no temperature sensor" in after(80.0, nothing, every_s=31.0).words


def test_clock_that_goes_back_does_not_hold_the_way_up_for_ever() -> None:
    governor = Governor(RUNGS, LIMITS)
    governor.step(80.0, 1_000_000.0)
    governor.step(70.0, 0.0)
    assert governor.step(70.0, 10.0) == FULL_SPEED


def test_words_name_temperature_and_step() -> None:
    words = after(83.5).words
    assert "83.5 °C" in words and "128×128" in words


def test_rung_that_costs_as_much_as_the_one_above_is_refused() -> None:
    with pytest.raises(ParamsError, match=r"small/ncnn costs 0\.7"):
        ladder([((128, 128), 0.6)], [("small/ncnn", 0.7)])
    with pytest.raises(ParamsError, match="no rung"):
        Governor([])


def test_limits_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="resume_c 80"):
        Limits(resume_c=80.0)
