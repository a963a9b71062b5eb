"""Sensors read beside a measurement, by a thread of their own."""

from __future__ import annotations

import bisect
import itertools
import statistics
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import NamedTuple

from edgesmith.device.sensors.conditions import Clock, Conditions, Temperature
from edgesmith.device.sensors.find import Sensors
from edgesmith.device.sensors.source import Counter, Gauge, SensorError


class Reading(NamedTuple):
    """One look at all sensors; None where a sensor is absent or said nothing.

    `seconds` is time.monotonic(). `power_w` of a counter is the mean since the reading before.
    `reasons` says in words what throttles; `energy_j` is the counter's own, since recording began.
    """

    seconds: float
    temperature_c: float | None
    clock_mhz: float | None
    throttled: bool | None
    power_w: float | None
    reasons: tuple[str, ...] = ()
    energy_j: float | None = None


class Recorder:
    """Reads all sensors every `interval_s` while its block runs; a context manager.

    A sensor that fails leaves None in that reading, and its last reason in `failed`. Readings older
    than `keep_seconds` are forgotten (None: kept). The sensors stay open for the next recorder.
    """

    def __init__(
        self, sensors: Sensors, interval_s: float = 0.25, keep_seconds: float | None = None
    ) -> None:
        self.sensors = sensors
        self.failed: dict[str, str] = {}
        self._interval_s = interval_s
        self._keep_seconds = keep_seconds
        self._readings: list[Reading] = []
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._record, name="sensors", daemon=True)

    def __enter__(self) -> Recorder:
        self.look()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        self.look()

    @property
    def readings(self) -> list[Reading]:
        """All readings so far, oldest first."""
        with self._lock:
            return list(self._readings)

    def between(self, since: float, until: float) -> list[Reading]:
        """The readings of an interval of time.monotonic(), both ends included."""
        with self._lock:
            first = bisect.bisect_left(self._readings, since, key=_time)
            return self._readings[first : bisect.bisect_right(self._readings, until, key=_time)]

    def look(self) -> Reading:
        """Read every sensor now, and keep the reading."""
        with self._lock:
            reading = self._read()
            self._readings.append(reading)
            if self._keep_seconds is not None:
                limit = reading.seconds - self._keep_seconds
                del self._readings[: bisect.bisect_left(self._readings, limit, key=_time)]
        return reading

    def idle_power(self, seconds: float) -> float | None:
        """Mean power of the next `seconds`, W, in which the caller does nothing."""
        if self.sensors.power is None:
            return None
        since = self.look().seconds
        time.sleep(seconds)
        until = self.look().seconds
        return self.conditions(since, until).power_w

    def conditions(
        self,
        since: float,
        until: float,
        frames: int | None = None,
        idle_power_w: float | None = None,
    ) -> Conditions:
        """What the sensors said between two times of time.monotonic(), of which `frames` ran.

        Energy is above idle where `idle_power_w` is given: see `Conditions`.
        """
        readings = self.between(since, until)
        seconds = until - since
        temperatures = [r.temperature_c for r in readings if r.temperature_c is not None]
        clocks = [r.clock_mhz for r in readings if r.clock_mhz is not None]
        told = [r for r in readings if r.throttled is not None]
        power_w = mean_power_w(readings)
        absent = {**self.sensors.absent}
        for quantity, found in (
            ("temperature", temperatures),
            ("clock", clocks),
            ("throttling", told),
            ("power", [] if power_w is None else [power_w]),
        ):
            if not found and quantity not in absent:
                absent[quantity] = self.failed.get(quantity, f"too few readings in {seconds:.2f} s")
        energy_w = None if power_w is None else power_w - (idle_power_w or 0.0)
        return Conditions(
            seconds=round(seconds, 3),
            temperature_c=_temperature(temperatures),
            clock_mhz=Clock(min=round(min(clocks), 1), mean=round(statistics.fmean(clocks), 1))
            if clocks
            else None,
            governor=self.sensors.governor,
            throttled=any(r.throttled for r in told) if told else None,
            throttle_reasons=_shares(told),
            power_w=None if power_w is None else round(power_w, 3),
            idle_power_w=None if idle_power_w is None else round(idle_power_w, 3),
            energy_mj_per_frame=round(1000 * energy_w * seconds / frames, 4)
            if energy_w is not None and frames
            else None,
            fps_per_watt=round(frames / seconds / power_w, 4)
            if power_w and frames and seconds
            else None,
            sensors=self.sensors.describe(),
            absent=absent,
        )

    def _record(self) -> None:
        while not self._stop.wait(self._interval_s):
            self.look()

    def _read(self) -> Reading:
        now = time.monotonic()
        power = self._gauge("power", self.sensors.power)
        energy_j = power if isinstance(self.sensors.power, Counter) else None
        reasons = self._reasons()
        return Reading(
            seconds=now,
            temperature_c=self._gauge("temperature", self.sensors.temperature),
            clock_mhz=self._gauge("clock", self.sensors.clock),
            throttled=None if reasons is None else bool(reasons),
            power_w=power if energy_j is None else self._power_since_last(now, energy_j),
            reasons=reasons or (),
            energy_j=energy_j,
        )

    def _gauge(self, quantity: str, sensor: Gauge | Counter | None) -> float | None:
        if sensor is None:
            return None
        try:
            return sensor.read()
        except SensorError as error:
            self.failed[quantity] = str(error)
            return None

    def _reasons(self) -> tuple[str, ...] | None:
        """What throttles now; None where no sensor could tell."""
        reasons: list[str] = []
        told = False
        for watch in self.sensors.throttling:
            try:
                reasons += watch.read()
                told = True
            except SensorError as error:
                self.failed["throttling"] = str(error)
        return tuple(dict.fromkeys(reasons)) if told else None

    def _power_since_last(self, now: float, energy_j: float) -> float | None:
        last = next((r for r in reversed(self._readings) if r.energy_j is not None), None)
        if last is None or last.energy_j is None or now <= last.seconds:
            return None
        return (energy_j - last.energy_j) / (now - last.seconds)


def mean_power_w(readings: Sequence[Reading]) -> float | None:
    """Mean power over the readings: a counter's difference, else the trapezoid over its samples."""
    counted = [(r.seconds, r.energy_j) for r in readings if r.energy_j is not None]
    if len(counted) >= 2:
        return (counted[-1][1] - counted[0][1]) / (counted[-1][0] - counted[0][0])
    if counted:
        return None
    sampled = [(r.seconds, r.power_w) for r in readings if r.power_w is not None]
    if len(sampled) < 2:
        return None
    area = sum((t1 - t0) * (w0 + w1) / 2 for (t0, w0), (t1, w1) in itertools.pairwise(sampled))
    return area / (sampled[-1][0] - sampled[0][0])


def _time(reading: Reading) -> float:
    return reading.seconds


def _temperature(values: Sequence[float]) -> Temperature | None:
    if not values:
        return None
    return Temperature(
        start=round(values[0], 2),
        max=round(max(values), 2),
        mean=round(statistics.fmean(values), 2),
        end=round(values[-1], 2),
    )


def _shares(told: Sequence[Reading]) -> dict[str, float]:
    """Share of the readings that give each reason."""
    reasons = dict.fromkeys(reason for reading in told for reason in reading.reasons)
    return {
        reason: round(sum(reason in reading.reasons for reading in told) / len(told), 4)
        for reason in reasons
    }
