"""How much memory a process took."""

from __future__ import annotations

import resource
import sys
from pathlib import Path


def peak_rss_mb() -> float:
    """The largest resident memory of this process so far, in 10^6 bytes.

    Linux keeps `ru_maxrss` across fork and exec, so that a small worker would show its parent's
    peak: VmHWM starts anew with the program.
    """
    try:
        status = Path("/proc/self/status").read_text()
        kibibytes = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(kibibytes.split()[1]) * 1024 / 1e6
    except (OSError, StopIteration):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
