import pytest

from edgesmith.soak import summary
from edgesmith.soak.rows import Recording
from tests.soak.recording import head, heated, row


def test_heat_shows_as_a_change_from_the_first_minute_to_the_steady_state() -> None:
    found = summary.summarise(heated(), "complete")
    assert (found.first_minute.from_s, found.first_minute.to_s) == (0, 60)
    assert (found.steady.from_s, found.steady.to_s) == (400, 600)
    assert found.first_minute.fps == pytest.approx(61, abs=0.1)
    assert found.steady.fps == pytest.approx(41, abs=0.1)
    assert found.fps_change == pytest.approx(41 / 61 - 1, abs=0.003)
    assert found.fps_change_ci95 is not None
    assert found.fps_change_ci95.low < found.fps_change < found.fps_change_ci95.high < -0.3
    assert found.temperature_c_max == 82 and found.settled is True
    assert found.throttled_share == pytest.approx(0.5, abs=0.01)
    assert found.throttle_reasons == {"soft temperature limit": found.throttled_share}


def test_growth_of_memory_is_between_the_phases() -> None:
    found = summary.summarise(heated(), "complete")
    # 1 MB a minute, from the middle of the first minute to the middle of the last third.
    assert found.rss_growth_mb == pytest.approx(500 / 60 - 0.5, abs=0.1)


def test_run_that_still_heats_is_not_settled() -> None:
    recording = heated(10)
    half = Recording(recording.head, recording.rows[:150])
    found = summary.summarise(half, "interrupted")
    assert found.settled is False
    assert found.temperature_slope_c_per_minute == pytest.approx(6.4, abs=0.1)


def test_short_run_compares_its_thirds() -> None:
    found = summary.summarise(heated(1), "complete")
    assert (found.first_minute.to_s, found.steady.from_s) == (20, 40)


def test_single_row_has_no_interval_and_no_sensor_no_figure() -> None:
    recording = Recording(head(absent={"power": "no meter given"}), [row(2)])
    content = summary.summarise(recording, "interrupted").model_dump(exclude_none=True)
    assert content["fps_change"] == 0 and "fps_change_ci95" not in content
    assert not {"settled", "temperature_c_max", "throttled_share"} & set(content)
    assert content["absent"] == {"power": "no meter given"}


def test_power_gives_frames_per_watt() -> None:
    rows = [row(2.0 * number, 50, power_w=5.0) for number in range(1, 10)]
    assert summary.summarise(Recording(head(), rows), "complete").steady.fps_per_watt == 10


def test_table_has_a_line_for_each_part_of_the_time() -> None:
    headers, lines = summary.table(heated().rows, 10)
    assert len(lines) == 10 and all(len(line) == len(headers) for line in lines)
    assert lines[0][headers.index("throttled")] == "0%"
    assert lines[-1][headers.index("throttled")] == "100%"
    assert lines[0][headers.index("W")] == "–"
