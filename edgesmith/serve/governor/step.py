"""From a temperature to what the loop is to do."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edgesmith.errors import ParamsError
from edgesmith.serve.governor.ladder import MOST_SKIP, Level, Rung, ladder
from edgesmith.serve.governor.limits import Limits

# A change of less than this share is not made: sensors step by half a degree.
_NOTICEABLE = 0.02


class Governor:
    """Keeps a device below its limits by doing less, and no less than it has to.

    The share of full speed falls in a straight line with the temperature. It is reached by
    detecting more seldom, at most `MOST_SKIP` times; what is missing then by the next rung. Skips
    have no steps, so that there is one for the temperature at which heat and cooling are in
    balance: between two fixed steps a device swings for ever.
    """

    def __init__(self, levels: Sequence[Rung] = ladder(), limits: Limits | None = None) -> None:
        """`levels` come from `ladder`, the full one first. Raises ParamsError for none."""
        if not levels:
            raise ParamsError("governor: no rung to stand on; the least is ladder()")
        self._levels = tuple(levels)
        self._limits = limits or Limits()
        self._share = 1.0
        self._rung = 0
        self._stopped = False
        self._read: tuple[float, float] | None = None
        self._changed_s: float | None = None
        self._lowered_s: float | None = None

    def step(self, temperature_c: float | None, now_s: float) -> Level:
        """What to do from now on; to be asked about once a second.

        `temperature_c` is that of the hottest zone, None (or no number) where none can be read.
        `now_s` is a clock that does not jump (time.monotonic); one that goes back restarts times.
        """
        if temperature_c is None or not math.isfinite(temperature_c):
            if self._read is None or not 0 <= now_s - self._read[1] <= self._limits.silence_s:
                return self._blind()
            temperature_c = self._read[0]
        else:
            self._read = (temperature_c, now_s)
        if self._changed_s is not None and now_s < self._changed_s:
            self._changed_s = now_s
        if self._lowered_s is not None and now_s < self._lowered_s:
            self._lowered_s = now_s
        if self._stop(temperature_c, now_s):
            return self._level(
                f"cooling at {temperature_c:.1f} °C, until it is {self._limits.resume_c:g} °C"
            )
        self._throttle(temperature_c, now_s)
        return self._level(f"{temperature_c:.1f} °C")

    def _blind(self) -> Level:
        self._share, self._rung, self._stopped, self._read = 1.0, 0, False, None
        self._changed_s = self._lowered_s = None
        return Level(1.0, None, None, False, "full speed: no temperature sensor")

    def _stop(self, temperature_c: float, now_s: float) -> bool:
        limits = self._limits
        if temperature_c >= limits.critical_c:
            self._stopped = True
        elif self._stopped and temperature_c <= limits.resume_c:
            # Back at the lowest step: what stopped it would heat it as fast again.
            self._stopped = False
            self._share, self._rung = limits.least, self._lowest(limits.least)
            self._changed_s = self._lowered_s = now_s
        return self._stopped

    def _throttle(self, temperature_c: float, now_s: float) -> None:
        """Down at once, up only when cooler by the hysteresis and after the dwell."""
        limits = self._limits
        allowed = limits.share(temperature_c)
        if allowed <= self._share - _NOTICEABLE or allowed == limits.least < self._share:
            self._share, self._changed_s = allowed, now_s
            if (rung := self._lowest(allowed)) > self._rung:
                self._rung, self._lowered_s = rung, now_s
            return
        cooler = limits.share(temperature_c + limits.hysteresis_c)
        noticeable = cooler >= self._share + _NOTICEABLE or cooler == 1 > self._share
        if noticeable and self._rested(self._changed_s, now_s):
            self._share, self._changed_s = cooler, now_s
        # A larger network at its most seldom must be well within what is allowed: changing takes
        # seconds in which nothing is seen.
        above = self._lowest(limits.share(temperature_c + 2 * limits.hysteresis_c))
        if above < self._rung and self._rested(self._lowered_s, now_s):
            self._rung, self._lowered_s = self._rung - 1, now_s

    def _rested(self, since_s: float | None, now_s: float) -> bool:
        return since_s is None or now_s - since_s >= self._limits.dwell_s

    def _lowest(self, share: float) -> int:
        """The first rung whose detections, at their most seldom, cost no more than `share`."""
        for place, rung in enumerate(self._levels):
            if rung.cost / MOST_SKIP <= share:
                return place
        return len(self._levels) - 1

    def _level(self, why: str) -> Level:
        rung = self._levels[self._rung]
        skip = max(rung.cost / self._share, 1.0)
        if self._stopped:
            return Level(skip, rung.size, rung.artifact, True, f"stopped, {why}")
        if self._share >= 1 and self._rung == 0:
            return Level(1.0, None, None, False, "")
        parts = [
            f"{100 * self._share:.0f} % of full speed at {why}",
            f"detecting {skip:.2g}× as seldom",
        ]
        if rung.size is not None:
            parts.append(f"frames of {rung.size[1]}×{rung.size[0]}")
        if rung.artifact is not None:
            parts.append(rung.artifact)
        return Level(skip, rung.size, rung.artifact, False, ", ".join(parts))
