"""The newest figure of a source that sends on its own, and how old it may be."""

from __future__ import annotations

import threading
import time

from edgesmith.device.sensors.source import SensorError


class Latest:
    """What a reading thread last got; shared with the thread that asks."""

    def __init__(self, max_age_s: float) -> None:
        self._max_age_s = max_age_s
        self._value: float | None = None
        self._at = 0.0
        self._fault = ""
        self._changed = threading.Condition()

    def put(self, value: float) -> None:
        """Keep a figure as of now; what went wrong before is forgotten."""
        with self._changed:
            self._value, self._at, self._fault = value, time.monotonic(), ""
            self._changed.notify_all()

    def fail(self, fault: str) -> None:
        """Keep why there is no new figure; the last one counts until it is too old."""
        with self._changed:
            self._fault = fault
            self._changed.notify_all()

    def wait(self, seconds: float) -> None:
        """Until there is a figure or a fault, at most `seconds`."""
        with self._changed:
            self._changed.wait_for(lambda: self._value is not None or bool(self._fault), seconds)

    def get(self, where: str) -> float:
        """The figure; SensorError where there is none yet or it is too old."""
        with self._changed:
            age = time.monotonic() - self._at
            if self._value is not None and age <= self._max_age_s:
                return self._value
            if self._fault:
                raise SensorError(f"{where}: {self._fault}")
            if self._value is None:
                raise SensorError(f"{where}: no figure yet")
            raise SensorError(f"{where}: the last figure is {age:.1f} s old")
