"""Temperature, and what the governor makes of it, read beside the supervisor's watch."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from edgesmith.device.sensors.find import Sensors
from edgesmith.device.sensors.source import SensorError
from edgesmith.serve.governor import Governor, ladder
from edgesmith.serve.governor.facts import facts
from edgesmith.serve.settings import Settings

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 1.0
# Every step has other figures: the log gets those that are apart by as long.
_LOG_SECONDS = 30.0


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
        self._next_log_s = 0.0
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
            self._tell(relief)
            self.now = (temperature, relief)

    def _tell(self, relief: Relief) -> None:
        before, now = self.now[1], time.monotonic()
        turned = (bool(before.words), before.pause) != (bool(relief.words), relief.pause)
        if turned or (relief.words != before.words and now >= self._next_log_s):
            self._next_log_s = now + _LOG_SECONDS
            _log.warning("heat: %s (%s)", relief.words or "full speed again", facts())

    def _hottest(self) -> float | None:
        found = []
        for gauge in self._sensors.temperatures:
            try:
                found.append(gauge.read())
            except SensorError:  # a zone that sleeps: the others count
                continue
        return max(found, default=None)


def governor(settings: Settings) -> Govern:
    """The governor's answers for these settings.

    The rungs below full speed are the artifacts `smaller`; what a detection of one costs is taken
    to be its share of the multiplications. Raises ParamsError where one is not smaller, and
    ContractError where it is no artifact.
    """
    steps = Governor(ladder(artifacts=_costs(settings)))

    def govern(temperature_c: float | None, now_s: float) -> Relief:
        level = steps.step(temperature_c, now_s)
        return Relief(level.skip, level.artifact or "", level.stop, level.words)

    return govern


def _costs(settings: Settings) -> list[tuple[str, float]]:
    if not settings.smaller:
        return []
    # Brings OpenCV, which the supervisor otherwise has no use for.
    from edgesmith import contract as contracts  # noqa: PLC0415

    whole = contracts.read(settings.artifact).macs
    return [(str(path), contracts.read(path).macs / whole) for path in settings.smaller]
