"""An artifact measured with the sensors being read beside it, and without, in turns."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

from edgesmith.bench import statistics as stats
from edgesmith.bench.process import Loadable, Settings
from edgesmith.bench.turns import take_turns
from edgesmith.device.sensors.find import Sensors
from edgesmith.device.sensors.recorder import Recorder
from edgesmith.intervals import Interval

HEADERS = ("artifact", "without, p50 ms", "with, p50 ms", "with / without")


class Row(NamedTuple):
    """The p50 of all pairs of measurements, and the ratio of the two with its interval."""

    artifact: str
    without_ms: float
    with_ms: float
    ratio: float
    interval: Interval


def compare(artifact: Path, settings: Settings, pairs: int, sensors: Sensors) -> Row:
    """`pairs` measurements of each kind, of one round each, the first of a pair by turns."""
    found: dict[bool, list[float]] = {True: [], False: []}
    one = settings._replace(rounds=1)
    for pair in range(pairs):
        for watched in (pair % 2 == 0, pair % 2 == 1):
            with Recorder(sensors) if watched else nullcontext() as recorder:
                turns = take_turns([Loadable(artifact)], one, recorder=recorder)
            found[watched].append(stats.latency(turns.all_ms(0)).p50)
    ratios = [on / off for on, off in zip(found[True], found[False], strict=True)]
    ratio, interval = stats.ratio_interval(ratios)
    name = f"{artifact.parent.name}.{artifact.name}"
    middle = {kind: stats.latency(values).p50 for kind, values in found.items()}
    return Row(name, middle[False], middle[True], ratio, interval)


def texts(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """The rows as text."""
    return [
        (
            row.artifact,
            f"{row.without_ms:.3f}",
            f"{row.with_ms:.3f}",
            f"{row.ratio:.3f} [{row.interval.low:.3f}, {row.interval.high:.3f}]",
        )
        for row in rows
    ]
