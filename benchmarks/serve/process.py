"""A command and all processes below it: how long, how much memory, how much CPU."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

from edgesmith.errors import DataError

_LOOK_SECONDS = 0.05
# Of each process the kernel walks all pages for it, which takes a core of what is measured: not as
# often as the CPU's clocks are read, and often enough for what grows once and stays.
_LOOKS_PER_MEMORY = 5
_PATIENCE_SECONDS = 300


class Spent(NamedTuple):
    """Of a command and its children, all at the same moment: the highest sums, in 10^6 bytes.

    `rss_mb` counts pages that several of them share once for each, `pss_mb` once.
    """

    seconds: float
    cpu_s: float
    rss_mb: float
    pss_mb: float
    output: str


def run(command: Sequence[str], environment: Mapping[str, str], cwd: Path) -> Spent:
    """Run it to its end; DataError with its last words where it fails."""
    start = time.monotonic()
    process = subprocess.Popen(
        command, env=environment, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    watch = _Watch(process.pid)
    watch.start()
    try:
        output, complaints = process.communicate(timeout=_PATIENCE_SECONDS)
    except BaseException:
        process.kill()
        process.wait()
        raise
    finally:
        watch.end.set()
        watch.join()
    if process.returncode:
        last = "\n".join(complaints.strip().splitlines()[-5:])
        raise DataError(f"`{' '.join(command)}` ended with status {process.returncode}: {last}")
    return Spent(time.monotonic() - start, watch.cpu_s, watch.rss_mb, watch.pss_mb, output)


class _Watch(threading.Thread):
    """Looks at a process tree's CPU twenty times a second, at its memory four times."""

    def __init__(self, pid: int) -> None:
        super().__init__(name="watch", daemon=True)
        self.end = threading.Event()
        self.rss_mb = self.pss_mb = 0.0
        self._root = psutil.Process(pid)
        self._cpu: dict[int, float] = {}

    @property
    def cpu_s(self) -> float:
        """CPU seconds of all that was ever seen, up to the last look at each."""
        return sum(self._cpu.values())

    def run(self) -> None:
        """Until told to end."""
        looks = 0
        while not self.end.wait(_LOOK_SECONDS):
            rss = pss = 0.0
            looks += 1
            try:
                tree = [self._root, *self._root.children(recursive=True)]
            except psutil.Error:
                continue
            for process in tree:
                try:
                    times = process.cpu_times()
                    self._cpu[process.pid] = times.user + times.system
                    if looks % _LOOKS_PER_MEMORY == 0:
                        memory = process.memory_full_info()
                        rss += memory.rss / 1e6
                        pss += memory.pss / 1e6
                except psutil.Error:
                    continue
            self.rss_mb, self.pss_mb = max(self.rss_mb, rss), max(self.pss_mb, pss)
