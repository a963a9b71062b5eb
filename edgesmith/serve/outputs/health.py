"""Whether frames finish: what `/healthz` answers."""

from __future__ import annotations

import time
from collections.abc import Callable

from edgesmith.preprocess import UInt8Array
from edgesmith.serve.result import Result, State, Status


class Health:
    """Remembers when a frame last finished.

    A loop that is alive and finishes nothing (camera gone, detector stuck, cooling) is not healthy.
    """

    def __init__(self, within_s: float = 5.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._within_s, self._clock = within_s, clock
        self._last: tuple[float, State] | None = None

    def put(self, image: UInt8Array, result: Result, status: Status) -> None:
        """A frame has finished."""
        self._last = (self._clock(), status.state)

    def close(self) -> None:
        """Nothing finishes any more."""
        self._last = None

    def verdict(self) -> tuple[bool, str]:
        """Healthy or not, and why in words."""
        last = self._last
        if last is None:
            return False, "no frame has finished"
        age = self._clock() - last[0]
        return age <= self._within_s, f"{last[1]}, the last frame finished {age:.1f} s ago"
