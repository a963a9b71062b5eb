"""`python -m benchmarks.events [FOLDER]`: events a second and latency of a commit, by durability.

Name a folder on the disk that is meant: an SD card is not a solid-state disk, and /tmp may be RAM.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any, get_args

import numpy as np

from edgesmith.events.database import Synchronous
from edgesmith.events.event import Event
from edgesmith.events.log import EventLog
from edgesmith.serve.outputs.http import Address, Http
from edgesmith.serve.outputs.output import Output
from edgesmith.serve.outputs.overlay import Overlay
from edgesmith.serve.result import Result, Seen, Status

LABELS = ["car", "person"]
_BATCHES = (1, 20, 200)


def commits(folder: Path, synchronous: Synchronous, batch: int, count: int) -> dict[str, Any]:
    """Events are put and flushed `batch` by batch, as a busy scene would have them."""
    times = []
    log = EventLog(folder / f"{synchronous}-{batch}.db", LABELS, synchronous=synchronous)
    more = {"artifact": "yolo26n-qat/ncnn"}
    began = time.perf_counter()
    for _ in range(count):
        start = time.perf_counter()
        log.add(
            Event("begin", time.time(), f"car {n} appeared", "car", n, 0.9, (1, 2, 3, 4), more)
            for n in range(batch)
        )
        log.flush(60)
        times.append(1000 * (time.perf_counter() - start))
    seconds = time.perf_counter() - began
    log.close()
    return {
        "synchronous": synchronous,
        "batch": batch,
        "events_per_s": round(batch * count / seconds),
        "commit_ms_p50": round(float(np.quantile(times, 0.5)), 2),
        "commit_ms_p99": round(float(np.quantile(times, 0.99)), 2),
    }


def puts(folder: Path, frames: int) -> dict[str, float]:
    """Microseconds that `put` keeps the loop, at the median, for frames of 640 × 480 with tracks.

    The page has no viewer.
    """
    image = np.full((480, 640, 3), 128, np.uint8)
    outputs: dict[str, Output] = {
        "events": EventLog(folder / "puts.db", LABELS),
        "http": Http(Address("127.0.0.1", 0), LABELS, Overlay(LABELS)),
    }
    found = {}
    for name, output in outputs.items():
        times = []
        for n in range(frames):
            objects = tuple(
                Seen(k % 2, 0.9, (10.0 * k, 10.0, 10.0 * k + 50, 90.0), track=n // 50 * 6 + k)
                for k in range(6)
            )
            stages = {"capture": 1.0, "infer": 9.0, "track": 1.0}
            result = Result(n, time.time(), objects, True, stages, "yolo26n-qat/ncnn")
            start = time.perf_counter()
            output.put(image, result, Status("running", 30, n, 0, n))
            times.append(1e6 * (time.perf_counter() - start))
        output.close()
        found[name] = round(float(np.quantile(times, 0.5)), 1)
    return found


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.events", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path(), help="on the disk meant")
    parser.add_argument("--count", type=int, default=100, help="commits of each kind")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder, prefix=".events-") as name:
        measured = {
            "commits": [
                commits(Path(name), synchronous, batch, given.count)
                for synchronous in get_args(Synchronous)
                for batch in _BATCHES
            ],
            "put_us": puts(Path(name), 10 * given.count),
        }
    print(json.dumps(measured, indent=2))


if __name__ == "__main__":
    main()
