"""How one call is timed: warm until steady, then long enough."""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

# A window of the steady-state test: enough runs for a median, long enough to see clocks change.
_WINDOW_RUNS = 10
_WINDOW_SECONDS = 0.1
_STEADY = 0.03


class WarmUp(NamedTuple):
    """How many runs the warm-up took, and whether it ended because the latency was steady."""

    runs: int
    steady: bool


def warm_up(call: Callable[[], object], max_seconds: float) -> WarmUp:
    """Run `call` until it is steady, or for `max_seconds`.

    Steady: the medians of two windows in a row (each at least 10 runs and 0.1 s) differ by less
    than 3 %. A fixed count warms a fast network too little and a slow one for minutes.
    """
    end = time.perf_counter() + max_seconds
    runs = 0
    previous: float | None = None
    with collection_paused():
        while True:
            window: list[float] = []
            start = time.perf_counter()
            while len(window) < _WINDOW_RUNS or time.perf_counter() - start < _WINDOW_SECONDS:
                window.append(time_once(call))
                if time.perf_counter() >= end:
                    return WarmUp(runs + len(window), steady=False)
            runs += len(window)
            median = statistics.median(window)
            if previous is not None and abs(median - previous) < _STEADY * previous:
                return WarmUp(runs, steady=True)
            previous = median


def sample(
    call: Callable[[], object],
    min_runs: int,
    min_seconds: float,
    settle_seconds: float = 0.0,
    max_seconds: float = math.inf,
) -> list[float]:
    """Milliseconds of at least `min_runs` runs over at least `min_seconds`, in order.

    Runs of the first `settle_seconds` are thrown away: they find the caches as another process
    left them. `max_seconds` after that it ends with the runs that it has, at least one.
    """
    samples: list[float] = []
    with collection_paused():
        start = time.perf_counter()
        while time.perf_counter() - start < settle_seconds:
            call()
        start = time.perf_counter()
        elapsed = 0.0
        while len(samples) < min_runs or elapsed < min_seconds:
            samples.append(time_once(call))
            elapsed = time.perf_counter() - start
            if elapsed >= max_seconds:
                break
    return samples


def stream(call: Callable[[], object], seconds: float) -> list[float]:
    """When the runs of the next `seconds` began and ended: the start, then the end of each.

    Seconds of `time.perf_counter`, which on Linux is one clock for all processes.
    """
    with collection_paused():
        ends = [time.perf_counter()]
        while ends[-1] - ends[0] < seconds:
            call()
            ends.append(time.perf_counter())
    return ends


def time_once(call: Callable[[], object]) -> float:
    """Milliseconds that one call takes."""
    start = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - start) / 1e6


@contextmanager
def collection_paused() -> Iterator[None]:
    """Keep Python's garbage collector from running inside a timed call."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
