"""A network of known speed for the benchmark's worker: it waits."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

_SLOW_MS, _FAST_MS = 6, 2


class Waiting(NamedTuple):
    engine: str
    providers: Sequence[str]
    load_ms: float
    calls: dict[str, Callable[[], object]]


def load(folder: Path, threads: int, providers: Sequence[str], frame: bytes) -> Waiting:
    """Each call takes 20 ms; where `folder` has a file `wavering`, 2 or 6, process by process."""
    wavering = folder / "wavering"
    ms = 20.0
    if wavering.is_file():
        slow = wavering.read_text() == "slow"
        wavering.write_text("fast" if slow else "slow")
        ms = _SLOW_MS if slow else _FAST_MS
    return Waiting("waiting 1", ("cpu",), 1.0, {"infer": lambda: time.sleep(ms / 1000)})
