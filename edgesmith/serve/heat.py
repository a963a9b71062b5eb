"""Temperature, and what the governor makes of it, read beside the supervisor's watch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from edgesmith.device.sensors.find import Sensors
from edgesmith.device.sensors.source import SensorError

_LOOK_SECONDS = 1.0


class Relief(NamedTuple):
    """What is done about heat: `skip` is how many times as seldom the model runs.

    `artifact` is a folder to run in place of the one asked for; empty for none.
    """

    skip: float = 1.0
    artifact: str = ""
    pause: bool = False
    words: str = ""


# From temperature (None where it is unknown) and monotonic seconds.
Govern = Callable[[float | None, float], Relief]


class Heat:
    """A thread, for a sensor that is a tool may take seconds; `now` never waits.

    Attributes:
        now: The hottest zone in °C, None where no sensor is or none answers, and the relief.
        highest_c: The highest temperature so far.
    """

    def __init__(self, sensors: Sensors, govern: Govern | None) -> None:
        """Start to read; `govern` None reads and does nothing."""
        self.now: tuple[float | None, Relief] = (None, Relief())
        self.highest_c: float | None = None
        self._sensors = sensors
        self._govern = govern
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._read, name="heat", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop reading; a tool that takes long is not waited for."""
        self._end.set()
        self._thread.join(_LOOK_SECONDS)
        self._sensors.close()

    def _read(self) -> None:
        while not self._end.wait(_LOOK_SECONDS):
            temperature = self._hottest()
            if temperature is not None:
                self.highest_c = max(temperature, self.highest_c or temperature)
            relief = self._govern(temperature, time.monotonic()) if self._govern else Relief()
            self.now = (temperature, relief)

    def _hottest(self) -> float | None:
        found = []
        for gauge in self._sensors.temperatures:
            try:
                found.append(gauge.read())
            except SensorError:  # a zone that sleeps: the others count
                continue
        return max(found, default=None)
