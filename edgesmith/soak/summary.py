"""What a long run says once it is over: first minute against steady state.

**First minute**: the rows that end within 60 s, or the first third of a run of less than three
minutes. **Steady state**: the last third of the run. It counts as `settled` when the temperature
rises or falls by less than 1 °C per minute over that third (least squares); without a thermometer
nobody knows, and `settled` is absent.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from edgesmith import files
from edgesmith.errors import DataError
from edgesmith.intervals import Bounds, Interval
from edgesmith.soak.rows import Recording, Row

NAME = "summary.json"
_SETTLED_PER_MINUTE = 1.0
_DRAWS = 1000


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Phase(_Part):
    """Figures of one part of the run; latencies are medians over its intervals."""

    from_s: float
    to_s: float
    fps: float
    p50_ms: float
    p99_ms: float
    temperature_c: float | None = None
    clock_mhz: float | None = None
    power_w: float | None = None
    fps_per_watt: float | None = None
    rss_mb: float


class Summary(_Part):
    """`summary.json` of a soak run.

    `fps_change` is steady state over first minute less 1, with a 95 % interval that draws whole
    intervals of the run (bootstrap); neighbours resemble each other, so it is rather too narrow.
    `throttled_share` is the share of the time in which some sensor told of throttling.
    """

    version: Literal[1] = 1
    variant: str
    format: str
    runtime: str
    threads: int
    ended: str
    seconds: float
    inferences: int
    first_minute: Phase
    steady: Phase
    settled: bool | None = None
    temperature_slope_c_per_minute: float | None = None
    fps_change: float
    fps_change_ci95: Bounds | None = None
    temperature_c_max: float | None = None
    throttled_share: float | None = None
    throttle_reasons: dict[str, float] = Field(default_factory=dict)
    rss_growth_mb: float
    absent: dict[str, str] = Field(default_factory=dict)


def summarise(recording: Recording, ended: str) -> Summary:
    """The summary of at least one row; `ended` says in words why the run ended."""
    head, rows = recording
    if not rows:
        raise ValueError("a summary needs at least one row")
    first, steady = first_minute(rows), last_third(rows)
    change, interval = _change(first, steady)
    slope = _slope_per_minute(steady)
    told = [row for row in rows if row.throttled is not None]
    seconds = sum(row.seconds for row in told)
    reasons = sorted({reason for row in told for reason in row.throttle_reasons})
    hottest = _known(rows, lambda row: row.temperature_c)
    return Summary(
        variant=head.variant,
        format=head.format,
        runtime=head.runtime,
        threads=head.threads,
        ended=ended,
        seconds=round(rows[-1].elapsed_s, 2),
        inferences=sum(row.inferences for row in rows),
        first_minute=_phase(first),
        steady=_phase(steady),
        settled=None if slope is None else abs(slope) < _SETTLED_PER_MINUTE,
        temperature_slope_c_per_minute=None if slope is None else round(slope, 3),
        fps_change=round(change, 4),
        fps_change_ci95=None if interval is None else Bounds.of(interval),
        temperature_c_max=round(max(hottest), 2) if hottest else None,
        throttled_share=_share(told, lambda row: bool(row.throttled)) if seconds else None,
        throttle_reasons={
            reason: _share(told, lambda row, r=reason: r in row.throttle_reasons)  # type: ignore[misc]
            for reason in reasons
        },
        rss_growth_mb=round(_median(steady, "rss_mb") - _median(first, "rss_mb"), 2),
        absent=head.absent,
    )


def read(folder: Path) -> Summary:
    """Parse the `summary.json` of a run; DataError names the key that does not fit."""
    remedy = "remove it and run `edgesmith soak --plot` on its folder"
    return files.read_record(folder / NAME, Summary, DataError, missing=remedy, damaged=remedy)


def first_minute(rows: Sequence[Row]) -> list[Row]:
    """Rows of the first 60 s, or of the first third of a run of less than three minutes."""
    end = min(60.0, rows[-1].elapsed_s / 3)
    return [row for row in rows if row.elapsed_s <= end] or list(rows[:1])


def last_third(rows: Sequence[Row]) -> list[Row]:
    """Rows that begin in the last third of the run."""
    start = rows[-1].elapsed_s * 2 / 3
    return [row for row in rows if row.elapsed_s - row.seconds >= start] or list(rows[-1:])


def table(rows: Sequence[Row], parts: int = 10) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Headers and lines of the run in `parts` equal parts of time, for a terminal or a page."""
    headers = ("until, s", "fps", "p50, ms", "p99, ms", "°C", "MHz", "throttled", "W", "RSS, MB")
    length = rows[-1].elapsed_s / parts
    lines = []
    for _, group in itertools.groupby(
        rows, lambda row: min(int(row.elapsed_s / length), parts - 1)
    ):
        members = list(group)
        phase = _phase(members)
        told = [row for row in members if row.throttled is not None]
        share = _share(told, lambda row: bool(row.throttled)) if told else None
        lines.append(
            (
                f"{phase.to_s:.0f}",
                f"{phase.fps:.1f}",
                f"{phase.p50_ms:.3f}",
                f"{phase.p99_ms:.3f}",
                _or_dash(phase.temperature_c, "{:.1f}"),
                _or_dash(phase.clock_mhz, "{:.0f}"),
                _or_dash(share, "{:.0%}"),
                _or_dash(phase.power_w, "{:.2f}"),
                f"{phase.rss_mb:.1f}",
            )
        )
    return headers, lines


def _or_dash(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)


def _phase(rows: Sequence[Row]) -> Phase:
    fps = _fps(rows)
    power = _mean(rows, lambda row: row.power_w)
    return Phase(
        from_s=round(max(0.0, rows[0].elapsed_s - rows[0].seconds), 2),
        to_s=round(rows[-1].elapsed_s, 2),
        fps=round(fps, 3),
        p50_ms=round(_median(rows, "p50_ms"), 4),
        p99_ms=round(_median(rows, "p99_ms"), 4),
        temperature_c=_mean(rows, lambda row: row.temperature_c),
        clock_mhz=_mean(rows, lambda row: row.clock_mhz),
        power_w=power,
        fps_per_watt=round(fps / power, 4) if power else None,
        rss_mb=round(_median(rows, "rss_mb"), 2),
    )


def _fps(rows: Sequence[Row]) -> float:
    return sum(row.inferences for row in rows) / sum(row.seconds for row in rows)


def _median(rows: Sequence[Row], name: str) -> float:
    return float(np.median([getattr(row, name) for row in rows]))


def _known(rows: Sequence[Row], value: Callable[[Row], float | None]) -> list[float]:
    return [found for row in rows if (found := value(row)) is not None]


def _mean(rows: Sequence[Row], value: Callable[[Row], float | None]) -> float | None:
    found = _known(rows, value)
    return round(float(np.mean(found)), 3) if found else None


def _share(rows: Sequence[Row], holds: Callable[[Row], bool]) -> float:
    """Share of the time of the rows for which something holds."""
    total = sum(row.seconds for row in rows)
    return round(sum(row.seconds for row in rows if holds(row)) / total, 4)


def _change(first: Sequence[Row], steady: Sequence[Row]) -> tuple[float, Interval | None]:
    """Throughput of steady state over the first minute, less 1; no interval from single rows."""
    change = _fps(steady) / _fps(first) - 1
    if len(first) < 2 or len(steady) < 2:
        return change, None
    random = np.random.default_rng(0)

    def drawn(rows: Sequence[Row]) -> list[Row]:
        return [rows[index] for index in random.integers(0, len(rows), len(rows))]

    changes = [_fps(drawn(steady)) / _fps(drawn(first)) - 1 for _ in range(_DRAWS)]
    low, high = np.percentile(changes, [2.5, 97.5])
    return change, Interval(float(low), float(high))


def _slope_per_minute(rows: Sequence[Row]) -> float | None:
    """°C per minute, by least squares; None with fewer than three readings."""
    known = [
        (row.elapsed_s / 60, row.temperature_c) for row in rows if row.temperature_c is not None
    ]
    if len(known) < 3:
        return None
    minutes, degrees = zip(*known, strict=True)
    return float(np.polyfit(minutes, degrees, 1)[0])
