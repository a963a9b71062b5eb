"""What a run was like, in memory that does not grow with its length."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from edgesmith.preprocess import UInt8Array
from edgesmith.serve.result import Result, Status

# Bins of 5 % from a microsecond to 11 minutes: a quantile is right within 2.5 %.
_RATIO, _SMALLEST_MS, _BINS = 1.05, 0.001, 416


class Quantiles:
    """Quantiles of positive values, each within 2.5 %, from counts in bins of equal ratio."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._sum = 0.0
        self.count = 0

    def add(self, value: float) -> None:
        """Count one value."""
        steps = math.log(max(value, _SMALLEST_MS) / _SMALLEST_MS, _RATIO)
        self._counts[min(_BINS, int(steps))] += 1
        self._sum += value
        self.count += 1

    @property
    def mean(self) -> float:
        """The exact mean; NaN of nothing."""
        return self._sum / self.count if self.count else math.nan

    def quantile(self, share: float) -> float:
        """The value that `share` of all are at most; NaN of nothing."""
        reached = 0
        for step in sorted(self._counts):
            reached += self._counts[step]
            if reached >= share * self.count:
                return float(_SMALLEST_MS * _RATIO ** (step + 0.5))
        return math.nan


class Summary:
    """Gathers the figures of a run; `report` gives them, `lines` for a reader.

    `total` is the sum of a frame's stages.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._stages: dict[str, Quantiles] = {}
        self._states: Counter[str] = Counter()
        self._span: tuple[float, float] | None = None
        self._frames = 0
        self._hottest: float | None = None
        self._artifacts: Counter[str] = Counter()
        self._status: Status | None = None

    def put(self, image: UInt8Array, result: Result, status: Status) -> None:
        """Count one frame."""
        now = self._clock()
        self._span = (now if self._span is None else self._span[0], now)
        self._frames += 1
        for stage, value in (*result.ms.items(), ("total", sum(result.ms.values()))):
            self._stages.setdefault(stage, Quantiles()).add(value)
        self._states[status.state] += 1
        self._artifacts[result.artifact] += 1
        if status.temperature_c is not None:
            self._hottest = max(self._hottest or -math.inf, status.temperature_c)
        self._status = status

    def close(self) -> None:
        """Nothing is held."""

    def report(self) -> dict[str, Any]:
        """Figures of the run as plain values; of an empty one `frames` 0 alone."""
        if self._status is None or self._span is None:
            return {"frames": 0}
        seconds = self._span[1] - self._span[0]
        report: dict[str, Any] = {
            "frames": self._frames,
            "seconds": round(seconds, 1),
            # Between the first and the last frame lie one interval fewer than frames.
            "fps": round((self._frames - 1) / seconds, 2) if seconds else None,
            "dropped": self._status.dropped,
            "detected": self._status.detected,
            "ms": {
                stage: {
                    "mean": round(times.mean, 2),
                    "p50": round(times.quantile(0.5), 2),
                    "p99": round(times.quantile(0.99), 2),
                }
                for stage, times in self._stages.items()
            },
            "states": {
                state: round(count / self._frames, 4) for state, count in self._states.items()
            },
            "artifacts": dict(self._artifacts),
            "restarts": dict(self._status.restarts),
        }
        if self._hottest is not None:
            report["temperature_c_max"] = round(self._hottest, 1)
        return report

    def lines(self) -> dict[str, str]:
        """Names and values for `print_pairs`."""
        report = self.report()
        if not report["frames"]:
            return {"frames": "none finished"}
        looked = report["frames"] + report["dropped"]
        pairs = {
            "frames": f"{report['frames']} in {report['seconds']} s",
            "rate": "one frame" if report["fps"] is None else f"{report['fps']} frames/s",
            "dropped": f"{report['dropped']} ({report['dropped'] / looked:.1%})",
            "model on": f"{report['detected']} frames",
            **{
                f"{stage}, ms": f"p50 {times['p50']}, p99 {times['p99']}, mean {times['mean']}"
                for stage, times in report["ms"].items()
            },
            "states": ", ".join(f"{state} {part:.0%}" for state, part in report["states"].items()),
            "artifact": ", ".join(report["artifacts"]),
        }
        if "temperature_c_max" in report:
            pairs["temperature"] = f"{report['temperature_c_max']} °C at most"
        if report["restarts"]:
            pairs["restarts"] = ", ".join(f"{part} {n}" for part, n in report["restarts"].items())
        return pairs
