"""Memory and descriptors of every process of a loop that runs as fast as it can."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil

from benchmarks.running import PARTS, Running

SUPERVISOR, TOGETHER = "supervisor", "together"
HEADERS = (
    *("process", "RSS at first, MB", "at last, MB", "growth", "growth, MB an hour"),
    *("descriptors at first", "at last", "most", "threads"),
)
# Until caches are warm and every code path was taken once; not counted.
WARM_SECONDS = 30.0


class Row(NamedTuple):
    """One process at one moment, `elapsed_s` after the start of the counting."""

    elapsed_s: float
    process: str
    rss_mb: float
    descriptors: int
    threads: int


class Growth(NamedTuple):
    """Medians of the first and the last tenth of the time."""

    first_mb: float
    last_mb: float
    mb_per_hour: float

    @property
    def share(self) -> float:
        """Of the first."""
        return self.last_mb / self.first_mb - 1


def watch(
    running: Running, minutes: float, interval_s: float, tell: Callable[[str], None]
) -> list[Row]:
    """Rows of all processes, one set per interval, after the warm-up."""
    running.wait_for_growth(0)
    time.sleep(min(WARM_SECONDS, 60 * minutes / 4))
    processes = {SUPERVISOR: psutil.Process(running.process.pid)}
    processes |= {part: running.part(part) for part in PARTS}
    rows: list[Row] = []
    start = time.monotonic()
    for elapsed_s in _times(start, 60 * minutes, interval_s):
        for name, process in processes.items():
            with process.oneshot():
                rows.append(
                    Row(
                        round(elapsed_s, 1),
                        name,
                        round(process.memory_info().rss / 1e6, 3),
                        process.num_fds(),
                        process.num_threads(),
                    )
                )
        rows.append(together(rows[-len(processes) :]))
        last = ", ".join(f"{row.process} {row.rss_mb:.1f}" for row in rows[-len(processes) - 1 :])
        tell(f"{elapsed_s:6.0f} of {60 * minutes:.0f} s: {last} MB")
    return rows


def together(rows: Sequence[Row]) -> Row:
    """The loop as a whole at one moment: the sums over its processes."""
    return Row(
        rows[0].elapsed_s,
        TOGETHER,
        round(sum(row.rss_mb for row in rows), 3),
        sum(row.descriptors for row in rows),
        sum(row.threads for row in rows),
    )


def growth(rows: Sequence[Row], process: str) -> Growth:
    """How the memory of one process changed; the slope is that of least squares."""
    mine = [row for row in rows if row.process == process]
    tenth = max(len(mine) // 10, 1)
    memory = np.asarray([row.rss_mb for row in mine])
    hours = np.asarray([row.elapsed_s for row in mine]) / 3600
    slope = float(np.polyfit(hours, memory, 1)[0]) if len(mine) > 1 else 0.0
    return Growth(float(np.median(memory[:tenth])), float(np.median(memory[-tenth:])), slope)


def table_rows(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """A row per process, and one for all."""
    table: list[tuple[str, ...]] = []
    for process in (SUPERVISOR, *PARTS, TOGETHER):
        mine = [row for row in rows if row.process == process]
        found = growth(rows, process)
        open_files = [row.descriptors for row in mine]
        table.append(
            (
                process,
                f"{found.first_mb:.1f}",
                f"{found.last_mb:.1f}",
                f"{100 * found.share:+.2f} %",
                f"{found.mb_per_hour:+.2f}",
                str(open_files[0]),
                str(open_files[-1]),
                str(max(open_files)),
                str(mine[-1].threads),
            )
        )
    return table


def session(artifact: Path, jsonl: Path, options: Sequence[str]) -> Running:
    """A loop under accelerated load: as many frames as the machine gives."""
    return Running(artifact, jsonl, ("--source", "synthetic", "--fast", *options))


def _times(start: float, seconds: float, interval_s: float) -> Iterator[float]:
    """Seconds since the start, once per interval."""
    number = 0
    while number * interval_s <= seconds:
        time.sleep(max(start + number * interval_s - time.monotonic(), 0))
        yield time.monotonic() - start
        number += 1
