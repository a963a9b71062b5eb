"""An artifact slowed by 5 % on purpose, as the benchmark's worker times it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from edgesmith.bench.artifact import Artifact

SHARE = 0.05


class Slowed(Artifact):
    """Waits after each inference, awake, for 5 % of the time that it took."""

    def __init__(self, folder: Path, threads: int, providers: Sequence[str], frame: bytes) -> None:
        super().__init__(folder, threads, providers, frame)
        self.calls = {"infer": self._slow}

    def _slow(self) -> None:
        start = time.perf_counter_ns()
        self._infer()
        end = time.perf_counter_ns()
        until = end + int(SHARE * (end - start))
        while time.perf_counter_ns() < until:
            pass


load = Slowed
