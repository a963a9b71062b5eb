"""A network of known speed for the benchmark's worker: it waits."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple


class Waiting(NamedTuple):
    engine: str
    providers: Sequence[str]
    load_ms: float
    calls: dict[str, Callable[[], object]]


def load(folder: Path, threads: int, providers: Sequence[str], frame: bytes) -> Waiting:
    """Each call takes 20 ms."""
    return Waiting("waiting 1", ("cpu",), 1.0, {"infer": lambda: time.sleep(0.02)})
