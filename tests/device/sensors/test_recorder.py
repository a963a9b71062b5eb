import itertools
import time
from collections.abc import Callable, Iterator

import pytest

from edgesmith.device.sensors.conditions import Conditions
from edgesmith.device.sensors.find import Sensors
from edgesmith.device.sensors.recorder import Reading, Recorder, mean_power_w
from edgesmith.device.sensors.source import Counter, Gauge, SensorError, Watch


def _reading(
    seconds: float, power_w: float | None = None, energy_j: float | None = None
) -> Reading:
    return Reading(seconds, None, None, None, power_w, (), energy_j)


def _saying(*values: float) -> Callable[[], float]:
    said: Iterator[float] = itertools.chain(values, itertools.repeat(values[-1]))
    return lambda: next(said)


def _failing() -> float:
    raise SensorError("thermal_zone0: input/output error")


def test_sampled_power_is_weighted_by_time() -> None:
    # 2 W for one second, rising to 6 W over the next three: (2 + 12) J in 4 s.
    readings = [_reading(0, 2), _reading(1, 2), _reading(2, None), _reading(4, 6)]
    assert mean_power_w(readings) == pytest.approx(14 / 4)


def test_counted_energy_is_taken_from_both_ends() -> None:
    readings = [_reading(10, None, 100), _reading(11, 1, 101), _reading(14, 9, 120)]
    assert mean_power_w(readings) == 5.0


@pytest.mark.parametrize("readings", [[], [_reading(0, 2)], [_reading(0, None, 2)]])
def test_too_few_readings_give_no_power(readings: list[Reading]) -> None:
    assert mean_power_w(readings) is None


def test_conditions_of_an_interval() -> None:
    reasons = iter([(), ("capped",), ()])
    sensors = Sensors(
        temperature=Gauge("zone", _saying(50, 60, 55)),
        clock=Gauge("cpufreq", _saying(2400, 1500, 2400)),
        governor="performance",
        throttling=(Watch("firmware", lambda: next(reasons)),),
        power=Gauge("shunt", _saying(4.0)),
    )
    recorder = Recorder(sensors)
    times = [recorder.look().seconds for _ in range(3)]
    found = recorder.conditions(times[0], times[-1])
    assert found.temperature_c is not None and found.clock_mhz is not None
    assert found.temperature_c.model_dump() == {"start": 50, "max": 60, "mean": 55, "end": 55}
    assert found.clock_mhz.model_dump() == {"min": 1500, "mean": 2100}
    assert found.governor == "performance"
    assert found.throttled is True and found.throttle_reasons == {
        "capped": pytest.approx(1 / 3, abs=1e-4)
    }
    assert found.power_w == 4.0 and found.absent == {}


def test_energy_of_a_frame_is_above_idle_and_frames_per_watt_are_not() -> None:
    recorder = Recorder(Sensors(power=Gauge("shunt", _saying(6.0))))
    since = recorder.look().seconds
    recorder.look()
    until = since + 10.0
    found = recorder.conditions(since, until, frames=100, idle_power_w=2.0)
    assert found.energy_mj_per_frame == pytest.approx(400)  # (6 - 2) W x 10 s over 100 frames
    assert found.fps_per_watt == pytest.approx(10 / 6, abs=1e-4)
    whole = recorder.conditions(since, until, frames=100)
    assert whole.energy_mj_per_frame == pytest.approx(600) and whole.idle_power_w is None


def test_absent_sensors_are_absent_fields_with_reasons() -> None:
    recorder = Recorder(Sensors(absent={"power": "no meter given", "clock": "no cpufreq"}))
    now = recorder.look().seconds
    found = recorder.conditions(now, now, frames=10, idle_power_w=None)
    content = found.model_dump(mode="json", exclude_none=True)
    assert set(content) == {"seconds", "throttle_reasons", "sensors", "absent"}
    assert content["absent"]["power"] == "no meter given"
    assert Conditions.model_validate(content) == found


def test_sensor_that_fails_is_absent_with_its_last_reason_and_the_others_go_on() -> None:
    sensors = Sensors(temperature=Gauge("zone", _failing), clock=Gauge("cpufreq", _saying(1500)))
    recorder = Recorder(sensors)
    now = recorder.look().seconds
    found = recorder.conditions(now, now)
    assert found.temperature_c is None and found.clock_mhz is not None
    assert found.absent["temperature"] == "thermal_zone0: input/output error"


def test_power_of_a_counter_is_the_mean_since_the_last_reading() -> None:
    recorder = Recorder(Sensors(power=Counter("RAPL", _saying(0, 1))))
    first, second = recorder.look(), recorder.look()
    assert first.power_w is None
    assert second.power_w == pytest.approx(1 / (second.seconds - first.seconds))


def test_thread_reads_until_the_block_ends_and_keeps_what_is_asked_for() -> None:
    recorder = Recorder(Sensors(clock=Gauge("cpufreq", _saying(1500))), 0.002, keep_seconds=0.05)
    with recorder:
        time.sleep(0.2)
    readings = recorder.readings
    assert len(readings) > 2 and readings[-1].seconds - readings[0].seconds <= 0.05
    assert not recorder._thread.is_alive()
    time.sleep(0.01)
    assert recorder.readings == readings


def test_idle_power_is_measured_over_the_seconds_given() -> None:
    with Recorder(Sensors(power=Gauge("shunt", _saying(2.5))), 0.01) as recorder:
        assert recorder.idle_power(0.05) == 2.5
    with Recorder(Sensors()) as blind:
        assert blind.idle_power(60) is None
