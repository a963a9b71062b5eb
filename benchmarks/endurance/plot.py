"""Memory of every process over time, as one picture."""

from __future__ import annotations

import io
from collections.abc import Sequence

import matplotlib
from matplotlib.figure import Figure

from benchmarks.endurance.measure import SUPERVISOR, Row
from benchmarks.running import PARTS


def memory_png(rows: Sequence[Row], title: str) -> bytes:
    """PNG of each process's resident memory and descriptors."""
    with matplotlib.rc_context({"font.family": "DejaVu Sans", "font.size": 8}):
        figure = Figure(figsize=(7, 4.5), dpi=100, layout="constrained")
        memory, descriptors = figure.subplots(2, 1, sharex=True)
        figure.suptitle(title)
        for process in (SUPERVISOR, *PARTS):
            mine = [row for row in rows if row.process == process]
            minutes = [row.elapsed_s / 60 for row in mine]
            memory.plot(minutes, [row.rss_mb for row in mine], label=process, linewidth=1)
            descriptors.plot(minutes, [row.descriptors for row in mine], linewidth=1)
        memory.set_ylabel("resident memory, MB")
        memory.legend(loc="center right")
        descriptors.set_ylabel("descriptors")
        descriptors.set_xlabel("minutes")
        for axes in (memory, descriptors):
            axes.set_ylim(bottom=0)
            axes.grid(alpha=0.3)
        stream = io.BytesIO()
        # Without a fixed value matplotlib writes its version, and the file differs between hosts.
        figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()
