"""Parts of a running loop are killed and frozen, and what follows is timed from outside."""

from __future__ import annotations

import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.running import PARTS, Running

HURTS = {"crash (SIGKILL)": signal.SIGKILL, "hang (SIGSTOP)": signal.SIGSTOP}
HEADERS = ("fault", "part", "n", "seen, s: p50", "p90", "max", "frames again, s: p50", "p90", "max")
_OPTIONS = ("--source", "synthetic")
# Long enough for the loop to be in its stride.
_CALM_SECONDS = 1.0


class Recovery(NamedTuple):
    """Seconds from the signal to the log's line, and to the first frame after it."""

    hurt: str
    part: str
    seen_s: float
    frames_s: float


def measure(artifact: Path, repeats: int, tell: Callable[[str], None]) -> list[Recovery]:
    """Every part hurt once in each of `repeats` sessions per fault.

    Frames are those that reached the outputs, seen by the growth of a file of JSON lines.
    """
    found: list[Recovery] = []
    for hurt, number in HURTS.items():
        for repeat in range(repeats):
            with tempfile.TemporaryDirectory() as folder:
                found += _session(artifact, Path(folder) / "seen.jsonl", hurt, number)
            tell(f"{hurt}: {repeat + 1} of {repeats}")
    return found


def _session(artifact: Path, jsonl: Path, hurt: str, number: signal.Signals) -> list[Recovery]:
    found = []
    with Running(artifact, jsonl, _OPTIONS) as running:
        for part in PARTS:
            running.wait_for_growth(running.written())
            time.sleep(_CALM_SECONDS)
            victim = running.part(part)
            start = time.monotonic()
            victim.send_signal(number)
            seen = running.wait_for_words(f"{part}: ", start)
            again = running.wait_for_growth(running.written())
            running.wait_for_words(f"{part}: works again", start)
            found.append(Recovery(hurt, part, seen - start, again - start))
        running.stop()
    return found


def rows(found: Sequence[Recovery]) -> list[tuple[str, ...]]:
    """A row per fault and part."""
    table = []
    for hurt in HURTS:
        for part in PARTS:
            chosen = [one for one in found if (one.hurt, one.part) == (hurt, part)]
            cells = [*_cells([one.seen_s for one in chosen])]
            cells += _cells([one.frames_s for one in chosen])
            table.append((hurt, part, str(len(chosen)), *cells))
    return table


def _cells(seconds: Sequence[float]) -> list[str]:
    p50, p90 = np.percentile(seconds, [50, 90])
    return [f"{value:.2f}" for value in (p50, p90, max(seconds))]
